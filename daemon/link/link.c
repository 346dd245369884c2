#include "link/link.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/intake.h"
#include "base/log.h"
#include "link/fields.h"

#define LINK_PATH "/link"
#define LINK_INTERFACE "org.varve.Link1"

/*
 * MSG: as many as come up in one turn of the event loop make one sd-bus message, an array of bytes with their fields
 * (fields_pack()). A page of an archive is hundreds in a row, and of each alone both ends would pay for a header, two reads and
 * a turn of the loop, and for each of its fields for a call of sd-bus (decisions/0024, 0030).
 */
#define MANY LINK_MSG
#define MANY_MAX 64		  /* records; what the other side does with them it does in one turn */
#define MANY_BYTES_MAX (64 * 1024) /* no record is begun above it */

/*
 * A message of a wire: MANY_BYTES_MAX and one more record, or one of another kind, of which READY has the longest text. libsystemd
 * takes 128 MB, and a wire that was taken over would make the keeper hold that (decisions/0032).
 */
#define FROM_WIRE_MAX (1024 * 1024)
#define FIELD_SIZE(type, name, max) + (max) + 16
_Static_assert(MANY_BYTES_MAX + (0 MESSAGE_FIELDS(FIELD_SIZE)) < FROM_WIRE_MAX / 2, "a message of messages");
_Static_assert((0 LINK_READY_FIELDS(FIELD_SIZE)) < FROM_WIRE_MAX / 2, "READY");

struct link {
	sd_bus *bus;
	int fd; /* the bus's, guarded; -1 */
	struct buf many; /* ${many_n} records that wait for company */
	size_t many_n;
	size_t more; /* records beyond the first of each message that may still be queued */
	sd_event_source *turn; /* sends it */
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

static int send_many(struct link *l)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	if (!l->many_n)
		return 0;
	r = sd_bus_message_new_signal(l->bus, &m, LINK_PATH, LINK_INTERFACE, link_kind_name(MANY));
	if (r >= 0)
		r = sd_bus_message_append_array(m, 'y', l->many.data, l->many.len);
	/* For want of memory alone, as malloc() fails; they must not be lost without a word. */
	if (r < 0) {
		log_error("link: no memory for a record: %s", strerror(-r));
		abort();
	}
	l->more += l->many_n - 1;
	l->many_n = 0;
	buf_reset(&l->many);
	r = sd_bus_send(l->bus, m, NULL);
	return r < 0 ? err_origin(r) : 0;
}

static void end_guard(struct link *l)
{
	if (l->fd >= 0)
		intake_guard_end(l->fd);
	l->fd = -1;
}

static struct link *link_release(struct link *l)
{
	if (l->depth > 0)
		return NULL;
	end_guard(l);
	(void)send_many(l);
	sd_event_source_disable_unref(l->post);
	sd_event_source_disable_unref(l->turn);
	sd_bus_close(l->bus);
	sd_bus_detach_event(l->bus);
	sd_bus_unref(l->bus);
	buf_deinit(&l->many);
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

static int read_one(struct link *l, sd_bus_message *m, enum link_kind kind)
{
	struct link_record rec = { .kind = kind };
	int r = fields_read(m, &rec);

	if (r == 0 && sd_bus_message_at_end(m, true) <= 0)
		r = -EBADMSG;
	if (r == 0)
		l->on_record(l->userdata, &rec);
	return r;
}

/* What comes after one that is bad, or that ended the link, is nobody's; a peer that sends more than we would is taken over. */
static int read_many(struct link *l, sd_bus_message *m)
{
	const void *bytes = NULL;
	const char *p, *end;
	size_t size, n = 0;
	int r = sd_bus_message_read_array(m, 'y', &bytes, &size);

	if (r > 0)
		r = sd_bus_message_at_end(m, true);
	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	p = bytes;
	end = p + size;
	while (p < end) {
		struct link_record rec = { .kind = MANY };

		r = ++n > MANY_MAX ? -EBADMSG : fields_unpack(&p, end, &rec);
		if (r < 0)
			return r;
		l->on_record(l->userdata, &rec);
		if (l->gone || l->freed)
			return 0;
	}
	return 0;
}

static int on_message(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error)
{
	struct link *l = userdata;
	const char *iface = sd_bus_message_get_interface(m), *name = str_or_empty(sd_bus_message_get_member(m));
	enum link_kind kind;
	bool closed = iface && strcmp(iface, "org.freedesktop.DBus.Local") == 0;
	int r;

	/* After this sd-bus closes its descriptor. */
	if (closed)
		end_guard(l);
	else if (l->fd >= 0)
		intake_guard_whole(l->fd);
	if (l->gone || l->freed)
		return 1;
	l->depth++;
	if (closed) {
		say_gone(l, "closed");
	} else {
		kind = sd_bus_message_is_signal(m, LINK_INTERFACE, NULL) > 0 ? fields_kind(l->side, name) : LINK_KINDS;
		r = kind == LINK_KINDS ? -EBADMSG : kind == MANY ? read_many(l, m) : read_one(l, m, kind);
		if (r < 0) {
			log_debug("link: bad record %s: %s", name, strerror(-r));
			say_gone(l, "broke the vocabulary");
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

/* The next turn: nothing comes up any more in the one that began it. */
static int on_turn(_unused_ sd_event_source *s, void *userdata)
{
	struct link *l = userdata;

	if (!l->gone && !l->freed)
		(void)send_many(l);
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

	l->fd = -1;
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
	if (side == LINK_KEEPER) {
		l->fd = owned;
		intake_guard(l->fd, FROM_WIRE_MAX);
	}
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
	r = sd_event_add_defer(event, &l->turn, on_turn, l);
	if (r >= 0)
		r = sd_event_source_set_enabled(l->turn, SD_EVENT_OFF);
	/* Before more is read that would have to wait behind it. */
	if (r >= 0)
		r = sd_event_source_set_priority(l->turn, SD_EVENT_PRIORITY_IMPORTANT);
	if (r < 0)
		return err_origin(r);
	*ret = TAKE_PTR(l);
	return 0;
}

static int add_to_many(struct link *l, const struct link_record *rec)
{
	int r = l->many_n ? 0 : sd_event_source_set_enabled(l->turn, SD_EVENT_ONESHOT);

	if (r < 0)
		return err_origin(r);
	r = fields_pack(&l->many, rec);
	if (r < 0)
		return err_trace(r);
	l->many_n++;
	return l->many_n >= MANY_MAX || l->many.len >= MANY_BYTES_MAX ? send_many(l) : 0;
}

int link_send(struct link *l, const struct link_record *rec)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	if (l->gone || l->freed)
		return -ENOTCONN;
	if (rec->kind == MANY)
		return add_to_many(l, rec);
	r = sd_bus_message_new_signal(l->bus, &m, LINK_PATH, LINK_INTERFACE, link_kind_name(rec->kind));
	if (r < 0)
		return err_origin(r);
	/* Secrets are wiped from sd-bus's memory. */
	if (rec->kind == LINK_START || rec->kind == LINK_TOKEN || rec->kind == LINK_TICKET)
		sd_bus_message_sensitive(m);
	r = fields_write(m, rec);
	if (r < 0)
		return err_origin(r == -EINVAL ? -EBADMSG : r);
	r = send_many(l);
	if (r >= 0)
		r = sd_bus_send(l->bus, m, NULL);
	return r < 0 ? err_origin(r) : 0;
}

size_t link_queued(struct link *l)
{
	uint64_t n = 0;

	if (sd_bus_get_n_queued_write(l->bus, &n) < 0)
		n = 0;
	if (n == 0)
		l->more = 0;
	return n + l->more + l->many_n;
}

int link_flush(struct link *l, int64_t timeout_us)
{
	int64_t until = clock_boot_us() + timeout_us;
	int r = 0;

	if (!l->gone)
		(void)send_many(l);
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
