#include "store/identity.h"

#include <string.h>

#include "base/err.h"
#include "store/known.h"

struct search {
	const struct item *it;
	int64_t best; /* row, 0 = none */
	uint64_t best_distance;
};

static uint64_t distance(int64_t a, int64_t b)
{
	return a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
}

static bool same_id(const char *a, const char *b)
{
	return *a && strcmp(a, b) == 0;
}

/* The archive's stamps of both, and equal, as far as an archive that keeps whole seconds can say. */
static bool same_stamp(const struct item *it, const struct candidate *c)
{
	int64_t a = it->time_us, b = c->time_us, second = 1000000;

	if (it->clock != CLOCK_ARCHIVE || c->clock != CLOCK_ARCHIVE)
		return false;
	return a == b || (a / second == b / second && (a % second == 0 || b % second == 0));
}

bool identity_is(const struct item *it, const struct candidate *c)
{
	uint64_t apart = distance(it->time_us, c->time_us);
	const struct message *m = it->m;
	bool by_origin = same_id(m->origin_id, c->origin_id);
	bool by_id = same_id(m->id, c->xmpp_id);
	bool same = c->hash == it->hash;
	bool archived = c->clock == CLOCK_ARCHIVE || it->clock == CLOCK_ARCHIVE;
	uint64_t window = IDENTITY_WINDOW_US;

	if (c->clock == CLOCK_OURS || it->clock == CLOCK_OURS)
		window = IDENTITY_CLOCK_US + (uint64_t)(archived ? it->off_us : 0);
	if (c->out != it->out)
		return false;
	/* Private messages of a room, too, are by who has that name in it. */
	if (item_is_of_room(it) && c->sender && strcmp(c->sender, m->from) != 0)
		return false;
	if (c->ours && (by_origin || by_id || same_id(m->id, c->origin_id)))
		return true;
	if (it->out && by_origin && (same || !c->archived))
		return true;
	/* What it was is gone; only a copy that came live, and has no archive id yet, can be what it stands for. */
	if (m->payload == PAYLOAD_RETRACTION)
		return c->sender && by_id && !c->archived && apart <= window && author_is(c->sender, it->author, it->room);
	if (!same)
		return false;
	if (by_origin && apart <= IDENTITY_RESEND_US)
		return true;
	if (it->self && by_id && apart <= window)
		return true;
	return by_id && (same_stamp(it, c) || ((!c->archived || !*m->archive_id) && apart <= window));
}

static void consider(void *userdata, const struct candidate *c)
{
	struct search *s = userdata;
	uint64_t apart = distance(s->it->time_us, c->time_us);

	if (!identity_is(s->it, c) || (s->best && apart >= s->best_distance))
		return;
	s->best = c->id;
	s->best_distance = apart;
}

int identity_find(struct put *p, const struct item *it, int64_t *ret_msg)
{
	const struct message *m = it->m;
	struct search s = { .it = it };
	int r;

	r = row_candidates(p, it->conv, m->id, row_side(it->out), consider, &s);
	if (r == 0 && strcmp(m->origin_id, m->id) != 0)
		r = row_candidates(p, it->conv, m->origin_id, row_side(it->out), consider, &s);
	if (r < 0)
		return err_trace(r);
	*ret_msg = s.best;
	return 0;
}
