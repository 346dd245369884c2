/* store/put.h, the message as it will be stored: its stamps as far as they can be, its author, its hash. */
#include "store/put.h"

#include <string.h>

#include "base/hash.h"
#include "core/jid.h"
#include "store/known.h"

/*
 * Stamps that cannot be. The archive's are only held against the calendar: a phone without a battery-backed clock may
 * believe in any year, its server hardly.
 */
#define STAMP_MIN_US INT64_C(631152000000000)  /* 1990-01-01: before XMPP */
#define STAMP_MAX_US INT64_C(4102444800000000) /* 2100-01-01 */
#define CLOCK_SET_US INT64_C(1735689600000000) /* 2025-01-01: a clock before that was never set */
#define PEER_AHEAD_US INT64_C(86400000000)     /* one day: wrong time zones are up to 14 hours off */

static bool plausible(int64_t us)
{
	return us >= STAMP_MIN_US && us <= STAMP_MAX_US;
}

/*
 * A delay lies in the past. Anybody can write <delay from='our.server'/>, and a stanza from the year 2099 would stay
 * on top for ever; so a stamp ahead of our clock is only believed from our server, and only while our clock is one of
 * a phone that woke up without a battery.
 */
static bool delay_is_past(const struct put *p, const struct message *m)
{
	return m->delay_us <= p->now_us + PEER_AHEAD_US || (m->delay_trusted && p->now_us < CLOCK_SET_US);
}

static int64_t display_time(const struct put *p, const struct message *m, enum put_clock *ret_clock)
{
	if (plausible(m->archive_us)) {
		*ret_clock = CLOCK_ARCHIVE;
		return m->archive_us;
	}
	if (plausible(m->delay_us) && delay_is_past(p, m)) {
		*ret_clock = CLOCK_DELAY;
		return m->delay_us;
	}
	*ret_clock = CLOCK_OURS;
	return p->now_us;
}

int64_t item_stamp(const struct put *p, const struct message *m)
{
	enum put_clock clock;

	return display_time(p, m, &clock);
}

void item_init(struct item *it, const struct put *p, const struct message *m)
{
	_cleanup_(freep) char *from = jid_bare(m->from);
	_cleanup_(freep) char *to = jid_bare(m->to);

	*it = (struct item){ .m = m, .room = strcmp(m->type, "groupchat") == 0 };
	it->out = strcmp(from, p->own_bare) == 0;
	/* A stanza without "to" is handled as if sent to the own bare JID (RFC 6120 section 10.3). */
	it->self = it->out && (!*to || strcmp(to, p->own_bare) == 0);
	it->conv_jid = xstrdup(!it->out ? from : it->self ? p->own_bare : to);
	it->author = it->room ? xstrdup(m->from) : TAKE_PTR(from);
	it->time_us = display_time(p, m, &it->clock);
	/* No archive has what is yet to come. */
	if (it->clock == CLOCK_ARCHIVE && it->time_us > p->now_us)
		store_clock_was_off(p->s, it->time_us - p->now_us);
	it->off_us = p->s->clock_off_us;
	/* Nothing says that it is ahead until the archived copy of what came live is here: this may be it. */
	if (it->clock == CLOCK_ARCHIVE && p->ahead_us > it->off_us)
		it->off_us = p->ahead_us;
	it->hash = hash_bytes(message_hash(m), it->author, strlen(it->author));
}

bool item_is_of_room(const struct item *it)
{
	return !it->out && (it->m->occupant || (it->known && it->known->room));
}

void item_deinit(struct item *it)
{
	free(it->conv_jid);
	free(it->author);
	*it = (struct item){ 0 };
}

bool item_has_row(const struct message *m)
{
	return (m->payload == PAYLOAD_TEXT && !*m->replace_id) || m->payload == PAYLOAD_DROPPED;
}

bool author_is(const char *sender, const char *author, bool room)
{
	return room ? strcmp(sender, author) == 0 : jid_bare_equal(sender, author);
}
