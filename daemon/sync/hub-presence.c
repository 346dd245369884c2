/*
 * What passes and is not kept: who is online, who types, and what we say of ourselves.
 *
 * A resumed session goes on where it was, so presence is forgotten with the session, not with the stream (XEP-0198
 * section 5): servers tell it once, after a bind. While there is no stream it is not shown. Whoever restarts varved and resumes
 * knows nobody until they move. The only way to be told again is to go and come back (RFC 6121 sections 4.2.2 and 4.5.2),
 * which all contacts would see; and to keep it on the disk would be a write for each phone in a pocket, all day.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "core/jid.h"
#include "link/link.h"
#include "sync/hub-priv.h"

/* ---- telling ---- */

static void tell_typing(struct seat *seat, const char *conversation, const char *sender, uint32_t state)
{
	const struct hub *h = seat->hub;

	if (h->ephemeral && h->ephemeral->typing && !seat->going)
		h->ephemeral->typing(h->ephemeral_data, engine_account(seat->engine)->id, conversation, sender, state);
}

static void tell_presence(struct seat *seat, const struct presence_row *row)
{
	const struct hub *h = seat->hub;

	if (h->ephemeral && h->ephemeral->presence && !seat->going)
		h->ephemeral->presence(h->ephemeral_data, engine_account(seat->engine)->id, row);
}

void hub_observe_ephemeral(struct hub *h, const struct hub_ephemeral *fns, void *userdata)
{
	h->ephemeral = fns;
	h->ephemeral_data = userdata;
}

/* ---- typing ---- */

static void arm_typing(struct seat *seat);

static int on_typing_timer(_unused_ sd_event_source *s, _unused_ uint64_t usec, void *userdata)
{
	struct seat *seat = userdata;
	char *conversation, *sender;

	while (crowd_expired(&seat->crowd, clock_boot_us(), &conversation, &sender)) {
		tell_typing(seat, conversation, sender, CHAT_PAUSED);
		free(conversation);
		free(sender);
	}
	arm_typing(seat);
	return 0;
}

/* The timer runs only while somebody types. */
static void arm_typing(struct seat *seat)
{
	int64_t next = crowd_next(&seat->crowd);

	if (!seat->typing_timer) {
		if (next)
			sd_event_add_time(seat->hub->event, &seat->typing_timer, CLOCK_BOOTTIME, (uint64_t)next, USEC_PER_SEC,
					  on_typing_timer, seat);
		return;
	}
	if (next)
		sd_event_source_set_time(seat->typing_timer, (uint64_t)next);
	sd_event_source_set_enabled(seat->typing_timer, next ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static void on_typing(struct seat *seat, const char *from, uint32_t state)
{
	_cleanup_(freep) char *bare = jid_bare(from);

	if (!crowd_typing(&seat->crowd, bare, from, state == CHAT_COMPOSING, state, clock_boot_us()))
		return;
	arm_typing(seat);
	tell_typing(seat, bare, from, state);
}

int hub_typing(struct hub *h, int64_t account, typing_fn fn, void *userdata)
{
	struct seat *seat = hub_seat(h, account);

	return seat ? crowd_who_types(&seat->crowd, fn, userdata) : HUB_E_NOT_FOUND;
}

/* ---- own typing ---- */

/*
 * Apps may call at every key. A state is told once in a row (XEP-0085 section 5.3), and no more than the burst, then one each so
 * often: servers count stanzas. What is left out is lost, as anything about typing may be.
 */
#define TYPED_EACH_US (INT64_C(250) * 1000)
#define TYPED_BURST 40

static void forget_typed(struct seat *seat)
{
	while (seat->n_typed > 0)
		free(seat->typed[--seat->n_typed].to);
}

/* False if that is what we said last. */
static bool note_typed(struct seat *seat, const char *to, uint32_t state)
{
	char *name = NULL;
	size_t i = 0;

	while (i < seat->n_typed && strcmp(seat->typed[i].to, to) != 0)
		i++;
	if (i < seat->n_typed && seat->typed[i].state == state)
		return false;
	if (i == seat->n_typed && i < TYPED_MAX) {
		seat->n_typed++;
	} else {
		i = i < TYPED_MAX ? i : 0;
		name = seat->typed[i].to;
		memmove(&seat->typed[i], &seat->typed[i + 1], (seat->n_typed - 1 - i) * sizeof(*seat->typed));
	}
	free(name);
	seat->typed[seat->n_typed - 1] = (struct typed){ xstrdup(to), state };
	return true;
}

void hub_typed_text(struct seat *seat, const char *to)
{
	if (seat->streaming)
		(void)note_typed(seat, to, CHAT_ACTIVE);
}

static void tell_typed(struct seat *seat, const char *to, uint32_t state)
{
	int64_t now_us = clock_boot_us();

	if (!seat->streaming)
		return;
	seat->typed_us = seat->typed_us > now_us ? seat->typed_us : now_us;
	if (seat->typed_us - now_us > TYPED_BURST * TYPED_EACH_US || !note_typed(seat, to, state))
		return;
	seat->typed_us += TYPED_EACH_US;
	engine_chat_state(seat->engine, to, state);
}

int hub_set_typing(struct hub *h, int64_t account, const char *conversation, uint32_t chat_state, char **ret_why)
{
	_cleanup_(freep) char *bare = NULL;
	struct seat *seat;
	int r;

	r = hub_find_seat(h, account, &seat, ret_why);
	if (r != 0)
		return r;
	if (chat_state >= CHAT_STATES || !jid_is_valid(conversation)) {
		*ret_why = xasprintf("\"%.200s\" is not a JID, or that is no chat state", conversation);
		return HUB_E_INVALID;
	}
	bare = jid_bare(conversation);
	tell_typed(seat, bare, chat_state);
	return 0;
}

/* ---- presence of others ---- */

static void on_presence(struct seat *seat, const struct link_presence *p)
{
	bool gone = strcmp(p->type, "unavailable") == 0 || strcmp(p->type, "error") == 0;
	struct presence_row row = {
		.jid = p->from, .show = gone ? "offline" : p->show, .status = p->status, .priority = p->priority,
	};

	/* What they ask for is in the roster (engine-records.c), what they allow too, by the server's pushes. */
	if (!gone && *p->type)
		return;
	if (crowd_presence(&seat->crowd, &row))
		tell_presence(seat, &row);
}

int hub_presence(struct hub *h, int64_t account, const char *bare, presence_fn fn, void *userdata)
{
	_cleanup_(freep) char *folded = jid_bare(bare);
	struct seat *seat = hub_seat(h, account);

	if (!seat)
		return HUB_E_NOT_FOUND;
	return seat->streaming ? crowd_of(&seat->crowd, folded, fn, userdata) : 0;
}

/* ---- of ourselves ---- */

static void say_presence(struct seat *seat)
{
	struct link_request what = { .kind = REQUEST_PRESENCE, .jid = "", .name = seat->show, .text = seat->status };
	uint32_t number;

	if (engine_request(seat->engine, &what, &number) == 0)
		seat->new_session = false;
}

int hub_set_presence(struct hub *h, int64_t account, const char *show, const char *status, char **ret_why)
{
	struct seat *seat;
	int r;

	r = hub_find_seat(h, account, &seat, ret_why);
	if (r != 0)
		return r;
	if (!hub_is_show(show)) {
		*ret_why = xasprintf("\"%.50s\" is none of away, chat, dnd, xa or nothing for available", show);
		return HUB_E_INVALID;
	}
	r = hub_check_text(status, SHORT_TEXT_MAX, "the status", ret_why);
	if (r != 0)
		return r;
	str_set(&seat->show, show);
	str_set(&seat->status, status);
	seat->new_session = true;
	if (seat->streaming)
		say_presence(seat);
	return 0;
}

void hub_set_active(struct hub *h, bool active)
{
	h->inactive = !active;
	for (size_t i = 0; i < h->n_seats; i++)
		engine_set_active(h->seats[i]->engine, active);
}

void hub_asked(struct hub *h)
{
	h->asked_us = clock_boot_us();
}

/* ---- what the engine sees pass ---- */

void hub_passing(struct seat *seat, const struct link_record *r)
{
	switch (r->kind) {
	case LINK_PRESENCE:
		on_presence(seat, &r->presence);
		break;
	case LINK_TYPING:
		on_typing(seat, r->typing.from, r->typing.state);
		break;
	case LINK_MSG:
		/* Who has said it has stopped typing it. */
		if (r->msg.via == VIA_LIVE && r->msg.payload == PAYLOAD_TEXT)
			on_typing(seat, r->msg.from, CHAT_ACTIVE);
		break;
	case LINK_RESULT:
		hub_request_result(seat, &r->result);
		break;
	default:
		break;
	}
}

void hub_stream(struct seat *seat, enum engine_stream what)
{
	switch (what) {
	case STREAM_NEW_SESSION:
		crowd_clear(&seat->crowd);
		seat->new_session = true;
		break;
	case STREAM_READY:
		seat->streaming = true;
		hub_ping(seat);
		if (seat->new_session && seat->show)
			say_presence(seat);
		break;
	case STREAM_OVER:
		seat->streaming = false;
		forget_typed(seat);
		crowd_clear_typing(&seat->crowd);
		arm_typing(seat);
		hub_request_stream_over(seat);
		break;
	}
}

void hub_presence_free(struct seat *seat)
{
	forget_typed(seat);
	crowd_clear(&seat->crowd);
	sd_event_source_disable_unref(seat->typing_timer);
	free(seat->show);
	free(seat->status);
}
