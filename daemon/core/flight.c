#include "core/flight.h"

#include <string.h>

#include "base/mem.h"

static bool goes_alone(const struct flight *f, bool again, uint32_t strikes)
{
	return strikes > 0 || (f->careful && again);
}

void flight_begin(struct flight *f, int64_t now_us)
{
	f->n = f->bytes = 0;
	f->has_last = false;
	f->stands_us = now_us;
}

static bool on_trial(const struct flight *f)
{
	return f->soon >= FLIGHT_SOON_MAX;
}

static size_t find_vain(const struct flight *f, int64_t id)
{
	size_t i = 0;

	while (i < f->n_vain && f->vain[i].id != id)
		i++;
	return i;
}

int64_t flight_hold(const struct flight *f, int64_t id, int64_t now_us)
{
	size_t i = find_vain(f, id);
	int64_t rest = i < f->n_vain ? f->vain[i].rest_us : 0;

	if (on_trial(f) && id == f->suspect && rest < FLIGHT_STEADY_US)
		rest = FLIGHT_STEADY_US;
	rest -= now_us - f->stands_us;
	return rest > 0 ? rest : 0;
}

size_t flight_late(const struct flight *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n_vain; i++)
		n += f->vain[i].streams >= FLIGHT_SOON_MAX;
	return n;
}

bool flight_may(const struct flight *f, size_t bytes, bool again, uint32_t strikes)
{
	if (f->n == 0)
		return true;
	if (goes_alone(f, again, strikes) || f->items[0].alone)
		return false;
	return f->n < FLIGHT_ITEMS_MAX && f->bytes + bytes <= FLIGHT_BYTES_MAX;
}

void flight_offer(struct flight *f, int64_t id, int64_t seq, size_t bytes, bool again, uint32_t strikes)
{
	f->items[f->n++] = (struct flight_item){
		.id = id, .seq = seq, .bytes = bytes, .alone = goes_alone(f, again, strikes),
	};
	f->bytes += bytes;
}

static void forget_vain(struct flight *f, int64_t id)
{
	size_t i = find_vain(f, id);

	if (i == f->n_vain)
		return;
	memmove(&f->vain[i], &f->vain[i + 1], (f->n_vain - i - 1) * sizeof(*f->vain));
	f->n_vain--;
}

static void take_out(struct flight *f, size_t i)
{
	f->bytes -= f->items[i].bytes;
	memmove(&f->items[i], &f->items[i + 1], (f->n - i - 1) * sizeof(*f->items));
	f->n--;
}

static size_t first_offered(const struct flight *f)
{
	size_t i = 0;

	while (i < f->n && f->items[i].state != FLIGHT_OFFERED)
		i++;
	return i;
}

bool flight_numbered(struct flight *f, int64_t id, uint32_t n)
{
	size_t i = first_offered(f);

	if (i == f->n || f->items[i].id != id || (f->has_last && (int32_t)(n - f->last) <= 0))
		return false;
	f->items[i].state = FLIGHT_NUMBERED;
	f->items[i].n = n;
	f->last = n;
	f->has_last = true;
	return true;
}

bool flight_unsendable(struct flight *f, int64_t id)
{
	for (size_t i = first_offered(f); i < f->n; i++) {
		if (f->items[i].id != id)
			continue;
		take_out(f, i);
		return true;
	}
	return false;
}

bool flight_whole(const struct flight *f)
{
	return f->n && f->items[f->n - 1].state == FLIGHT_NUMBERED;
}

bool flight_idle(const struct flight *f)
{
	return f->n == 0 || f->items[f->n - 1].state == FLIGHT_GONE;
}

uint32_t flight_go(struct flight *f, int64_t now_us)
{
	f->went_us = now_us;
	for (size_t i = f->n; i-- > 0;) {
		if (f->items[i].state != FLIGHT_NUMBERED)
			continue;
		f->items[i].state = FLIGHT_GONE;
		if (f->items[i].withdrawn)
			take_out(f, i);
	}
	return f->last;
}

size_t flight_acked(struct flight *f, uint32_t n)
{
	size_t done = 0;

	while (f->n && f->items[0].state == FLIGHT_GONE && (int32_t)(n - f->items[0].n) >= 0) {
		/* It got there after all. */
		if (f->items[0].id == f->suspect)
			f->soon = 0;
		forget_vain(f, f->items[0].id);
		take_out(f, 0);
		done++;
	}
	if (done)
		f->fruitless = 0;
	return done;
}

size_t flight_gone(const struct flight *f)
{
	size_t n = 0;

	while (n < f->n && f->items[n].state == FLIGHT_GONE)
		n++;
	return n;
}

/* There is one on its way that went alone. */
static bool has_lone(const struct flight *f)
{
	return f->n == 1 && f->items[0].state == FLIGHT_GONE && f->items[0].alone;
}

/* The other end closed right after it, whether that counts or not. */
static bool closed_soon(const struct flight *f, bool closed, int64_t now_us)
{
	return closed && has_lone(f) && now_us - f->went_us <= FLIGHT_SOON_US;
}

/* A stream that had a session is over. True: the experiment was made, and speaks against the suspect. */
static bool weigh_close(struct flight *f, bool closed, int64_t now_us)
{
	bool soon = closed_soon(f, closed, now_us), tried;

	if (!soon) {
		/* Also one that broke while the suspect was kept back. */
		if (f->n || on_trial(f))
			f->soon = 0;
		return false;
	}
	tried = on_trial(f) && f->items[0].id == f->suspect && f->went_us - f->stands_us >= FLIGHT_STEADY_US;
	if (f->items[0].id != f->suspect)
		f->soon = 0;
	f->suspect = f->items[0].id;
	f->soon++;
	return tried;
}

static int64_t rest_after(unsigned int streams)
{
	int64_t rest = FLIGHT_REST_US;

	if (streams < FLIGHT_SOON_MAX)
		return 0;
	for (; streams > FLIGHT_SOON_MAX && rest < FLIGHT_REST_CAP_US; streams--)
		rest *= 2;
	return rest < FLIGHT_REST_CAP_US ? rest : FLIGHT_REST_CAP_US;
}

/* A stream ended over ${id}, which was alone. */
static void note_vain(struct flight *f, int64_t id)
{
	size_t i = find_vain(f, id);

	if (i == f->n_vain) {
		if (f->n_vain == FLIGHT_VAIN_MAX)
			forget_vain(f, f->vain[0].id);
		i = f->n_vain++;
		f->vain[i] = (struct flight_vain){ .id = id };
	}
	f->vain[i].rest_us = rest_after(++f->vain[i].streams);
}

/* A stream has stood for so long: whoever is late has rested meanwhile. */
static void rest_for(struct flight *f, int64_t us)
{
	for (size_t i = 0; i < f->n_vain; i++)
		f->vain[i].rest_us = f->vain[i].rest_us > us ? f->vain[i].rest_us - us : 0;
}

/* A stream did not stand though nothing was on its way: it is the link, and speaks for whoever is late. */
static void forgive_vain(struct flight *f)
{
	for (size_t i = 0; i < f->n_vain; i++) {
		struct flight_vain *v = &f->vain[i];
		int64_t rest;

		if (v->streams < FLIGHT_SOON_MAX)
			continue;
		rest = rest_after(--v->streams);
		v->rest_us = v->rest_us < rest ? v->rest_us : rest;
	}
}

bool flight_over(struct flight *f, const char *condition, bool closed, int64_t now_us)
{
	bool gone = flight_gone(f) > 0, blamed = gone && flight_blames_us(condition);

	if (gone)
		f->fruitless++;
	if (f->stands_us) {
		rest_for(f, now_us - f->stands_us);
		if (f->n == 0 && now_us - f->stands_us < FLIGHT_STEADY_US)
			forgive_vain(f);
		/* What a stream error or a close at once says has its own count. */
		if (!blamed && has_lone(f) && !closed_soon(f, closed, now_us))
			note_vain(f, f->items[0].id);
		blamed |= weigh_close(f, closed, now_us);
	}
	if (blamed || f->fruitless >= FLIGHT_FRUITLESS_MAX)
		f->careful = true;
	f->n = 0;
	f->bytes = 0;
	f->has_last = false;
	f->stands_us = 0;
	return blamed;
}

void flight_calm(struct flight *f)
{
	f->careful = false;
	f->n_vain = 0;
}

/* What RFC 6120 section 4.9.3 says of the sender's bytes. Not those about addresses, load, limits of time or the link. */
bool flight_blames_us(const char *condition)
{
	static const char *const ours[] = {
		"bad-format",	   "bad-namespace-prefix", "improper-addressing",    "invalid-from",
		"invalid-namespace", "invalid-xml",	   "not-well-formed",	     "policy-violation",
		"restricted-xml",  "unsupported-encoding", "unsupported-stanza-type",
	};

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (strcmp(condition, ours[i]) == 0)
			return true;
	return false;
}

int64_t flight_delay(bool again, int64_t written_us, int64_t now_us)
{
	return again && written_us >= FLIGHT_CLOCK_SET_US && written_us < now_us ? written_us : 0;
}

const char *doubt_anchor(const struct cover *c)
{
	size_t i = c->n;

	while (i > 0 && c->spans[i - 1].flags & SPAN_RUN)
		i--;
	return i > 0 ? c->spans[i - 1].last.id : "";
}

bool doubt_is_over(const struct cover *c, size_t from)
{
	struct gap gap;

	if (!cover_is_live(c))
		return false;
	for (size_t i = from; i < c->n; i++)
		if (cover_gap(c, i, &gap) && gap.state != GAP_LOST)
			return false;
	return true;
}
