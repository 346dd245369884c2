/*
 * The change feed, without gap or repetition (facts of org.varve.Varve1(5), Changes):
 *
 *              start, connected             Changes: rows, next          nothing more
 *     WAITING ------------------> PULLING <----------------+----------> RESTING
 *        ^                           |  ^  more, or it rang meanwhile      |
 *        | the connection went       |  +---------------------------------+ Changed(epoch, seq) beyond ours
 *        +---------------------------+
 *                                    | EpochChanged, ChangesTooOld: POSITION asks where it is now; RESET; PULLING
 *                                    | another failure: TROUBLE until a sign of life, or RETRY_US
 *
 * We hear every signal from the first byte of a connection (peer to peer), so nothing falls between reading and
 * listening; and a Changes() follows each connect without a doorbell.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ipc/libvarve/client.h"
#include "ipc/libvarve/dict.h"

#define CHANGES_LIMIT 500		/* rows a call; the daemon gives no more */
#define RETRY_US (2 * UINT64_C(1000000)) /* after a failure that no signal announces the end of */

enum follow_state { WAITING, PULLING, POSITION, RESTING, TROUBLE };

struct varve_follow {
	struct varve *varve;
	struct varve_follow *next;
	char *path;
	char *epoch; /* NULL: from now on, once we know when that is */
	uint64_t since;
	unsigned flags;
	varve_event_fn fn;
	void *userdata;
	enum follow_state state;
	bool troubled; /* and told so */
	bool rang; /* while PULLING */
	bool reset; /* POSITION was asked because of ${why} */
	char *why;
	struct varve_slot *slot;
	sd_event_source *timer;
	bool *gone; /* of the function that is telling: it was freed */
};

static void pull(struct varve_follow *f);
static void ask_position(struct varve_follow *f);

static void start(struct varve_follow *f)
{
	f->slot = varve_slot_free(f->slot);
	f->rang = false;
	if (f->epoch && !f->reset)
		pull(f);
	else
		ask_position(f);
}

/* One event. False when there is nobody to tell any more: ${f} may be gone. */
static bool tell(struct varve_follow *f, const struct varve_event *e)
{
	bool gone = false;
	int r;

	f->gone = &gone;
	f->varve->news++;
	r = f->fn(f->userdata, e);
	if (gone)
		return false;
	f->gone = NULL;
	if (r >= 0)
		return true;
	varve_follow_free(f);
	return false;
}

static int on_timer(sd_event_source *s, uint64_t now, void *userdata)
{
	struct varve_follow *f = userdata;

	(void)s;
	(void)now;
	if (!f->slot && f->varve->ready)
		start(f);
	return 0;
}

static void trouble(struct varve_follow *f, int r)
{
	struct timespec ts;
	struct varve_event e = { .kind = VARVE_EVENT_TROUBLE,
				 .r = r,
				 .name = varve_errname(f->varve),
				 .text = varve_errmsg(f->varve),
				 .epoch = f->epoch ? f->epoch : "",
				 .seq = f->since };
	bool again = f->troubled;

	if (r == -ENOTCONN) { /* it is being looked for */
		f->state = WAITING;
		return;
	}
	f->state = TROUBLE;
	f->troubled = true;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	sd_event_source_set_time(f->timer, (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000 + RETRY_US);
	sd_event_source_set_enabled(f->timer, SD_EVENT_ONESHOT);
	varve__client_kick(f->varve);
	if (!again)
		tell(f, &e);
}

/* A question about the account's archive; the follower is the userdata of ${fn}. */
static void ask(struct varve_follow *f, sd_bus_message *m, int r, slot_fn fn)
{
	struct varve_slot *slot = NULL;

	if (r < 0)
		r = varve__fail_args(f->varve, r);
	else
		r = varve__call_async(f->varve, m, 0, fn, NULL, f, &slot);
	if (r < 0)
		trouble(f, r);
	else
		f->slot = slot;
}

struct position {
	const char *epoch;
	uint64_t *seq;
};

static int on_property(sd_bus_message *m, const char *key, const char *contents, void *userdata)
{
	struct position *p = userdata;

	if (strcmp(key, "Epoch") == 0 && strcmp(contents, "s") == 0)
		return sd_bus_message_read(m, "v", "s", &p->epoch);
	if (strcmp(key, "Seq") == 0 && strcmp(contents, "t") == 0)
		return sd_bus_message_read(m, "v", "t", p->seq);
	return 0;
}

static int read_position(sd_bus_message *m, const char **ret_epoch, uint64_t *ret_seq)
{
	struct position p = { .seq = ret_seq };
	int r = varve__dict_each(m, on_property, &p);

	*ret_epoch = p.epoch;
	return r < 0 ? r : p.epoch ? 0 : -EBADMSG;
}

/* From the background: never a blocking connect. */
static int check_ready(struct varve *v)
{
	return v->ready && sd_bus_is_open(v->bus) > 0 ? 0 : varve__fail_bus(v, NULL, -ENOTCONN);
}

static int position_new(struct varve *v, const char *path, sd_bus_message **ret)
{
	int r = varve_call_new(v, path, "org.freedesktop.DBus.Properties", "GetAll", ret);

	if (r < 0)
		return r;
	r = sd_bus_message_append(*ret, "s", VARVE_IFACE_ARCHIVE);
	return r < 0 ? varve__fail_args(v, r) : 0;
}

int varve_position(struct varve_account *a, char **ret_epoch, uint64_t *ret_seq)
{
	_cleanup_(unref_message) sd_bus_message *m = NULL, *reply = NULL;
	const char *epoch;
	uint64_t seq = 0;
	char *copy;
	int r = position_new(a->varve, a->path, &m);

	if (r >= 0)
		r = varve_call(a->varve, m, 0, &reply);
	if (r < 0)
		return r;
	if (read_position(reply, &epoch, &seq) < 0)
		return varve__fail_reply(a->varve, "GetAll");
	copy = strdup(epoch);
	if (!copy)
		return varve__fail_bus(a->varve, NULL, -ENOMEM);
	*ret_epoch = copy;
	*ret_seq = seq;
	return 0;
}

static bool tell_position(struct varve_follow *f, bool more)
{
	return tell(f, &(struct varve_event){ .kind = VARVE_EVENT_POSITION, .epoch = f->epoch, .seq = f->since, .more = more });
}

static void on_position(struct varve_slot *s, int r, sd_bus_message *reply)
{
	struct varve_follow *f = s->userdata;
	_cleanup_(unref_message) sd_bus_message *keep = NULL;
	const char *epoch;
	char *copy;
	uint64_t seq = 0;
	bool reset = f->reset, there;

	f->slot = varve_slot_free(f->slot);
	if (r >= 0 && read_position(reply, &epoch, &seq) < 0)
		r = varve__fail_reply(f->varve, "GetAll");
	if (r < 0) {
		trouble(f, r);
		return;
	}
	keep = sd_bus_message_ref(reply);
	copy = strdup(epoch);
	if (!copy) {
		trouble(f, varve__fail_bus(f->varve, NULL, -ENOMEM));
		return;
	}
	free(f->epoch);
	f->epoch = copy;
	f->since = seq;
	f->reset = f->troubled = false;
	f->state = RESTING;
	if (reset)
		there = tell(f, &(struct varve_event){ .kind = VARVE_EVENT_RESET, .epoch = f->epoch, .seq = seq,
						       .name = f->why ? f->why : "" });
	else
		there = tell_position(f, false);
	if (there)
		pull(f); /* what came between the answer and now */
}

static void ask_position(struct varve_follow *f)
{
	_cleanup_(unref_message) sd_bus_message *m = NULL;
	int r = check_ready(f->varve);

	f->state = POSITION;
	if (r == 0)
		r = position_new(f->varve, f->path, &m);
	if (r < 0)
		trouble(f, r);
	else
		ask(f, m, 0, on_position);
}

/* The rows of one answer, told in the order of mod. */
struct batch {
	struct varve_messages *messages;
	struct varve_conversations *conversations;
	struct varve_contacts *contacts;
	sd_bus_message *m; /* at the array of what was removed */
};

static void batch_deinit(struct batch *b)
{
	varve_messages_unref(b->messages);
	varve_conversations_unref(b->conversations);
	varve_contacts_unref(b->contacts);
	sd_bus_message_unref(b->m);
}

static uint64_t lowest(uint64_t a, uint64_t b, uint64_t c)
{
	a = a < b ? a : b;
	return a < c ? a : c;
}

static bool tell_rows(struct varve_follow *f, const struct batch *b)
{
	size_t i = 0, j = 0, k = 0;

	for (;;) {
		const struct varve_message *m = varve_messages_get(b->messages, i);
		const struct varve_conversation *c = varve_conversations_get(b->conversations, j);
		const struct varve_contact *k_row = varve_contacts_get(b->contacts, k);
		struct varve_event e = { .epoch = f->epoch };

		if (!m && !c && !k_row)
			return true;
		e.seq = lowest(m ? m->mod : UINT64_MAX, c ? c->mod : UINT64_MAX, k_row ? k_row->mod : UINT64_MAX);
		if (m && m->mod == e.seq) {
			e.kind = VARVE_EVENT_MESSAGE;
			e.message = m;
			i++;
		} else if (c && c->mod == e.seq) {
			e.kind = VARVE_EVENT_CONVERSATION;
			e.conversation = c;
			j++;
		} else {
			e.kind = VARVE_EVENT_CONTACT;
			e.contact = k_row;
			k++;
		}
		if (!tell(f, &e))
			return false;
	}
}

/* They carry no mod: after the rows, with the position of the answer. */
static bool tell_removed(struct varve_follow *f, const struct batch *b, uint64_t next)
{
	struct varve_event e = { .kind = VARVE_EVENT_REMOVED, .epoch = f->epoch, .seq = next };

	while (sd_bus_message_read(b->m, "(ss)", &e.removed_kind, &e.removed_key) > 0)
		if (!tell(f, &e))
			return false;
	return true;
}

static int read_batch(sd_bus_message *reply, struct batch *b)
{
	int r = varve_read_messages(reply, &b->messages);

	if (r >= 0)
		r = varve_read_conversations(reply, &b->conversations);
	if (r >= 0)
		r = varve_read_contacts(reply, &b->contacts);
	if (r >= 0)
		r = sd_bus_message_enter_container(reply, 'a', "(ss)");
	b->m = sd_bus_message_ref(reply);
	return r;
}

static void on_changes(struct varve_slot *s, int r, sd_bus_message *reply)
{
	struct varve_follow *f = s->userdata;
	_cleanup_(batch_deinit) struct batch b = { 0 };
	uint64_t next = 0;
	int more = 0;

	f->slot = varve_slot_free(f->slot);
	if (r == -ESTALE) {
		free(f->why);
		f->why = strdup(varve_errname(f->varve));
		f->reset = true;
		ask_position(f);
		return;
	}
	if (r >= 0 && (sd_bus_message_read(reply, "tb", &next, &more) < 0 || read_batch(reply, &b) < 0 ||
		       (more && next <= f->since)))
		r = varve__fail_reply(f->varve, "Changes");
	if (r < 0) {
		trouble(f, r);
		return;
	}
	f->troubled = false;
	if (!tell_rows(f, &b) || !tell_removed(f, &b, next))
		return;
	if (next != f->since) {
		f->since = next;
		if (!tell_position(f, more || f->rang))
			return;
	}
	f->state = RESTING;
	if (more || f->rang)
		pull(f);
}

static void pull(struct varve_follow *f)
{
	_cleanup_(unref_message) sd_bus_message *m = NULL;
	int r = check_ready(f->varve);

	f->rang = false;
	f->state = PULLING;
	if (r == 0)
		r = varve_call_new(f->varve, f->path, VARVE_IFACE_ARCHIVE, "Changes", &m);
	if (r >= 0)
		r = sd_bus_message_append(m, "stua{sv}", f->epoch, f->since, (uint32_t)CHANGES_LIMIT, 0);
	if (r < 0 && !m)
		trouble(f, r);
	else
		ask(f, m, r, on_changes);
}

/* Callbacks may free any of them. */
static struct varve_follow *still_there(struct varve *v, struct varve_follow *f)
{
	for (struct varve_follow *p = v->follows; p; p = p->next)
		if (p == f)
			return f;
	return NULL;
}

void varve__follow_connected(struct varve *v)
{
	for (struct varve_follow *f = v->follows, *next; f; f = still_there(v, next)) {
		next = f->next;
		start(f);
	}
}

static void on_doorbell(struct varve_follow *f, sd_bus_message *m)
{
	const char *epoch;
	uint64_t seq;

	if (sd_bus_message_rewind(m, true) < 0 || sd_bus_message_read(m, "st", &epoch, &seq) < 0)
		return;
	if (f->slot)
		f->rang = true;
	else if (f->epoch && (seq > f->since || strcmp(epoch, f->epoch) != 0 || f->state == TROUBLE))
		start(f);
}

static void on_ephemeral(struct varve_follow *f, sd_bus_message *m, bool typing)
{
	struct varve_event e = { .kind = typing ? VARVE_EVENT_TYPING : VARVE_EVENT_PRESENCE };
	int r = sd_bus_message_rewind(m, true);

	if (r >= 0 && typing)
		r = sd_bus_message_read(m, "sss", &e.typing_conversation, &e.jid, &e.state);
	else if (r >= 0)
		r = sd_bus_message_read(m, "sss", &e.jid, &e.state, &e.text);
	if (r >= 0 && (f->flags & VARVE_FOLLOW_EPHEMERAL))
		tell(f, &e);
}

static void hear(struct varve_follow *f, sd_bus_message *m)
{
	const char *path = sd_bus_message_get_path(m);

	/* The account's object comes back when the archive is unlocked. */
	if (f->state == TROUBLE && sd_bus_message_is_signal(m, "org.freedesktop.DBus.ObjectManager", "InterfacesAdded") > 0)
		start(f);
	else if (!path || strcmp(path, f->path) != 0)
		return;
	else if (sd_bus_message_is_signal(m, VARVE_IFACE_ARCHIVE, "Changed") > 0)
		on_doorbell(f, m);
	else if (sd_bus_message_is_signal(m, VARVE_IFACE_CONVERSATIONS, "Typing") > 0)
		on_ephemeral(f, m, true);
	else if (sd_bus_message_is_signal(m, VARVE_IFACE_ROSTER, "Presence") > 0)
		on_ephemeral(f, m, false);
}

void varve__follow_signal(struct varve *v, sd_bus_message *m)
{
	for (struct varve_follow *f = v->follows, *next; f; f = still_there(v, next)) {
		next = f->next;
		hear(f, m);
	}
}

int varve_follow(struct varve_account *a, const char *epoch, uint64_t since, unsigned flags, varve_event_fn fn,
		 void *userdata, struct varve_follow **ret)
{
	struct varve *v = a->varve;
	struct varve_follow *f;
	int r;

	/* It would switch off the check that the archive is still the same one, for good. */
	if (epoch && !*epoch)
		return varve__fail(v, -EINVAL, "org.freedesktop.DBus.Error.InvalidArgs",
				   "the epoch is empty: give that of varve_position(), or NULL for \"from now on\"");
	f = calloc(1, sizeof(*f));
	if (!f)
		return varve__fail_bus(v, NULL, -ENOMEM);
	*f = (struct varve_follow){ .varve = v, .since = since, .flags = flags, .fn = fn, .userdata = userdata };
	f->path = strdup(a->path);
	f->epoch = epoch ? strdup(epoch) : NULL;
	r = !f->path || (epoch && !f->epoch) ? -ENOMEM : 0;
	if (r == 0)
		r = sd_event_add_time(v->event, &f->timer, CLOCK_MONOTONIC, UINT64_MAX, 1000, on_timer, f);
	if (r >= 0)
		r = sd_event_source_set_enabled(f->timer, SD_EVENT_OFF);
	if (r < 0) {
		varve_follow_free(f);
		return varve__fail_bus(v, NULL, r);
	}
	f->next = v->follows;
	v->follows = f;
	*ret = f;
	/* From varve_process(), as everything that is told. */
	sd_event_source_set_time(f->timer, 0);
	sd_event_source_set_enabled(f->timer, SD_EVENT_ONESHOT);
	varve__client_kick(v);
	varve__client_seek(v);
	return 0;
}

struct varve_follow *varve_follow_free(struct varve_follow *f)
{
	if (!f)
		return NULL;
	for (struct varve_follow **p = &f->varve->follows; *p; p = &(*p)->next)
		if (*p == f) {
			*p = f->next;
			break;
		}
	if (f->gone)
		*f->gone = true;
	varve_slot_free(f->slot);
	sd_event_source_disable_unref(f->timer);
	free(f->path);
	free(f->epoch);
	free(f->why);
	free(f);
	return NULL;
}
