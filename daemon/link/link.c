#include "link/link.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#define LINK_PATH "/link"
#define LINK_INTERFACE "org.varve.Link1"

enum field_type { F_U32, F_U64, F_I64, F_BOOL, F_STR };

struct field {
	enum field_type type;
	size_t offset; /* within the record's struct */
	size_t max;    /* bytes; F_STR only */
};

struct entry {
	const char *name;
	enum link_side reader;
	const struct field *(*fields)(size_t *ret_n);
};

#define TO_WIRE LINK_WIRE
#define TO_KEEPER LINK_KEEPER

/* A field row needs the struct's name, which the field list does not know: a local typedef supplies it. */
#define FIELD_ROW(type, name, max) { F_##type, offsetof(RECORD, name), (max) },
#define DEFINE_FIELDS(NAME, name, tag, list, dir)                  \
	static const struct field *fields_##NAME(size_t *ret_n)    \
	{                                                          \
		typedef struct tag RECORD;                         \
		static const struct field rows[] = { list(FIELD_ROW) }; \
                                                                   \
		*ret_n = ARRAY_SIZE(rows);                         \
		return rows;                                       \
	}
LINK_VOCABULARY(DEFINE_FIELDS)

#define ENTRY(NAME, name, tag, list, dir) [LINK_##NAME] = { #NAME, dir, fields_##NAME },
static const struct entry entries[LINK_KINDS] = { LINK_VOCABULARY(ENTRY) };

struct link {
	sd_bus *bus;
	enum link_side side;
	link_record_fn on_record;
	link_gone_fn on_gone;
	void *userdata;
	sd_event_source *post;
	bool drained;
	bool gone;
	int depth;  /* inside callbacks: link_free() only marks */
	bool freed;
};

const char *link_kind_name(enum link_kind kind)
{
	return kind < LINK_KINDS ? entries[kind].name : "?";
}

/* The union member starts where the struct does, whatever its kind. */
static void *body_of(struct link_record *r)
{
	return &r->start;
}

static const void *body_of_const(const struct link_record *r)
{
	return &r->start;
}

void link_record_init(struct link_record *r, enum link_kind kind)
{
	size_t n;
	const struct field *f = entries[kind].fields(&n);

	*r = (struct link_record){ .kind = kind };
	for (size_t i = 0; i < n; i++)
		if (f[i].type == F_STR)
			*(const char **)(void *)((char *)body_of(r) + f[i].offset) = "";
}

static struct link *link_release(struct link *l)
{
	if (l->depth > 0)
		return NULL;
	sd_event_source_disable_unref(l->post);
	sd_bus_close(l->bus);
	sd_bus_detach_event(l->bus);
	sd_bus_unref(l->bus);
	free(l);
	return NULL;
}

struct link *link_free(struct link *l)
{
	if (!l)
		return NULL;
	l->freed = true;
	return link_release(l);
}

static void say_gone(struct link *l, const char *why)
{
	if (l->gone || l->freed)
		return;
	l->gone = true;
	l->on_gone(l->userdata, why);
}

static int read_field(sd_bus_message *m, const struct field *f, void *at)
{
	const char *s;
	uint32_t b;
	int r;

	switch (f->type) {
	case F_U32:
		return sd_bus_message_read_basic(m, 'u', at);
	case F_U64:
		return sd_bus_message_read_basic(m, 't', at);
	case F_I64:
		return sd_bus_message_read_basic(m, 'x', at);
	case F_BOOL:
		r = sd_bus_message_read_basic(m, 'b', &b);
		if (r > 0)
			*(bool *)at = b;
		return r;
	case F_STR:
		r = sd_bus_message_read_basic(m, 's', &s);
		if (r > 0 && strlen(s) > f->max)
			return -EMSGSIZE;
		if (r > 0)
			*(const char **)at = s;
		return r;
	}
	return -EINVAL;
}

static int read_record(struct link *l, sd_bus_message *m, struct link_record *ret)
{
	const char *name = sd_bus_message_get_member(m);
	const struct field *f;
	size_t n;
	int r;

	if (!name || !sd_bus_message_is_signal(m, LINK_INTERFACE, NULL))
		return -EBADMSG;
	for (int k = 0; k < LINK_KINDS; k++) {
		if (entries[k].reader != l->side || strcmp(entries[k].name, name) != 0)
			continue;
		ret->kind = (enum link_kind)k;
		f = entries[k].fields(&n);
		for (size_t i = 0; i < n; i++) {
			r = read_field(m, &f[i], (char *)body_of(ret) + f[i].offset);
			if (r <= 0)
				return r < 0 ? r : -EBADMSG;
		}
		return sd_bus_message_at_end(m, true) > 0 ? 0 : -EBADMSG;
	}
	return -EBADMSG;
}

static int on_message(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error)
{
	struct link *l = userdata;
	struct link_record rec = { 0 };
	const char *iface = sd_bus_message_get_interface(m);
	int r;

	if (l->gone || l->freed)
		return 1;
	l->depth++;
	if (iface && strcmp(iface, "org.freedesktop.DBus.Local") == 0) {
		say_gone(l, "closed");
	} else {
		r = read_record(l, m, &rec);
		if (r < 0) {
			log_debug("link: bad record %s: %s", str_or_empty(sd_bus_message_get_member(m)), strerror(-r));
			say_gone(l, "broke the vocabulary");
		} else {
			l->on_record(l->userdata, &rec);
		}
	}
	l->depth--;
	if (l->freed)
		link_release(l);
	return 1;
}

/*
 * sd-bus 252 leaves a message that came in the same read as the end of the handshake in its buffer, and nothing wakes
 * it before more bytes come (facts: drain after BEGIN). So once, when the bus is ready, process until empty.
 */
static int on_post(_unused_ sd_event_source *s, void *userdata)
{
	struct link *l = userdata;
	int r;

	if (l->drained || l->gone || l->freed || sd_bus_is_ready(l->bus) <= 0)
		return 0;
	l->drained = true;
	l->depth++;
	do {
		r = sd_bus_process(l->bus, NULL);
	} while (r > 0 && !l->freed && !l->gone);
	sd_event_source_set_enabled(l->post, SD_EVENT_OFF);
	l->depth--;
	if (l->freed)
		link_release(l);
	return 0;
}

int link_new(sd_event *event, int fd, enum link_side side, link_record_fn on_record, link_gone_fn on_gone,
	     void *userdata, struct link **ret)
{
	/* Both ends are ours: the id is a formality of the D-Bus handshake. */
	static const sd_id128_t id = SD_ID128_MAKE(76, 61, 72, 76, 65, 2d, 6c, 69, 6e, 6b, 2d, 31, 00, 00, 00, 01);
	_cleanup_(link_freep) struct link *l = xnew(struct link);
	_cleanup_(closep) int owned = fd;
	int r;

	l->side = side;
	l->on_record = on_record;
	l->on_gone = on_gone;
	l->userdata = userdata;
	r = sd_bus_new(&l->bus);
	if (r < 0)
		return err_origin(r);
	r = sd_bus_set_fd(l->bus, owned, owned);
	if (r < 0)
		return err_origin(r);
	TAKE_FD(owned);
	if (side == LINK_KEEPER) {
		r = sd_bus_set_server(l->bus, 1, id);
		if (r < 0)
			return err_origin(r);
	}
	/* No record has one; a peer that sends some all the same could fill the other's table of them. */
	r = sd_bus_negotiate_fds(l->bus, 0);
	if (r < 0)
		return err_origin(r);
	r = sd_bus_add_filter(l->bus, NULL, on_message, l);
	if (r < 0)
		return err_origin(r);
	/* By default sd-bus closes with the event loop; the last words (STOP, FAILED) come after it. */
	r = sd_bus_set_close_on_exit(l->bus, 0);
	if (r < 0)
		return err_origin(r);
	r = sd_bus_start(l->bus);
	if (r < 0)
		return err_origin(r);
	r = sd_bus_attach_event(l->bus, event, 0);
	if (r < 0)
		return err_origin(r);
	r = sd_event_add_post(event, &l->post, on_post, l);
	if (r < 0)
		return err_origin(r);
	*ret = TAKE_PTR(l);
	return 0;
}

static int write_field(sd_bus_message *m, const struct field *f, const void *at)
{
	const char *s;
	uint32_t b;

	switch (f->type) {
	case F_U32:
		return sd_bus_message_append_basic(m, 'u', at);
	case F_U64:
		return sd_bus_message_append_basic(m, 't', at);
	case F_I64:
		return sd_bus_message_append_basic(m, 'x', at);
	case F_BOOL:
		b = *(const bool *)at;
		return sd_bus_message_append_basic(m, 'b', &b);
	case F_STR:
		s = *(const char *const *)at;
		if (strlen(s) > f->max)
			return -EMSGSIZE;
		return sd_bus_message_append_basic(m, 's', s);
	}
	return -EINVAL;
}

int link_send(struct link *l, const struct link_record *rec)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	const struct field *f;
	size_t n;
	int r;

	if (l->gone || l->freed)
		return -ENOTCONN;
	r = sd_bus_message_new_signal(l->bus, &m, LINK_PATH, LINK_INTERFACE, entries[rec->kind].name);
	if (r < 0)
		return err_origin(r);
	/* Secrets are wiped from sd-bus's memory. */
	if (rec->kind == LINK_START || rec->kind == LINK_TOKEN || rec->kind == LINK_TICKET)
		sd_bus_message_sensitive(m);
	f = entries[rec->kind].fields(&n);
	for (size_t i = 0; i < n; i++) {
		r = write_field(m, &f[i], (const char *)body_of_const(rec) + f[i].offset);
		if (r < 0)
			return err_origin(r == -EINVAL ? -EBADMSG : r);
	}
	r = sd_bus_send(l->bus, m, NULL);
	return r < 0 ? err_origin(r) : 0;
}

size_t link_queued(struct link *l)
{
	uint64_t n = 0;

	return sd_bus_get_n_queued_write(l->bus, &n) < 0 ? 0 : n;
}

int link_flush(struct link *l, int64_t timeout_us)
{
	int64_t until = clock_boot_us() + timeout_us;
	int r = 0;

	/* Records may arrive meanwhile, and their receiver may free us. */
	l->depth++;
	while (r >= 0 && !l->gone && !l->freed && link_queued(l) > 0) {
		struct pollfd p = { .fd = sd_bus_get_fd(l->bus), .events = POLLOUT };
		int64_t left = until - clock_boot_us();

		if (left <= 0) {
			r = -ETIMEDOUT;
		} else if (poll(&p, 1, (int)(left / 1000) + 1) < 0 && errno != EINTR) {
			r = err_origin(-errno);
		} else {
			r = sd_bus_process(l->bus, NULL);
		}
	}
	l->depth--;
	if (l->freed) {
		link_release(l);
		return -ENOTCONN;
	}
	return r < 0 ? r : 0;
}
