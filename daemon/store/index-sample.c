/*
 * Does the index still find what it holds? FTS5's own check reads everything at once, and some damage is no error to
 * it: a list of segments that is empty, a leaf whose words happen to be others. So a pass asks the index for one word
 * each of some messages: soon after the store is opened, then weekly.
 */
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "store/index-priv.h"
#include "store/search-query.h"
#include "store/tokenizer.h"

enum {
	SAMPLES_STEP = 10, /* of upkeep */
};
#define SAMPLE_EVERY_US (7 * 24 * 3600 * USEC_PER_SEC)

bool sample_due(const struct store *s, int64_t upto)
{
	if (upto == 0)
		return false;
	return s->index.samples > 0 || clock_boot_us() - s->index.sampled_us > SAMPLE_EVERY_US;
}

struct pick {
	size_t at, n; /* token to take, tokens seen */
	size_t len;
	char text[TOKEN_MAX];
};

static int on_token(void *userdata, const struct token *t)
{
	struct pick *p = userdata;

	/* Any of them must be found; each number of a token seen replaces the one before, up to the one wanted. */
	if (p->n++ > p->at)
		return 1;
	memcpy(p->text, t->text, t->len);
	p->len = t->len;
	return 0;
}

/* One message at or below ${id}: *ret_found: there is none, or the index has it. */
static int sample(struct store *s, int64_t id, bool *ret_found)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_INDEX_SAMPLE), has = { 0 };
	_cleanup_(buf_deinit) struct buf match = { 0 };
	struct pick pick = { 0 };
	const char *body;
	int r;

	*ret_found = true;
	put_i(&q, id);
	r = db_row(&q);
	if (r <= 0)
		return r < 0 ? err_trace(r) : 0;
	body = col_t(&q, 1);
	pick.at = (size_t)(col_i(&q, 0) * 2654435761) % 16;
	r = tokenizer_run(s->tokenizer, body, strlen(body), on_token, &pick);
	if (r < 0)
		return err_trace(r);
	if (pick.len == 0)
		return 0;
	query_string(pick.text, pick.len, &match);
	has = db_use(s, SQL_INDEX_HAS);
	put_t(&has, buf_str(&match));
	put_i(&has, col_i(&q, 0));
	r = db_row(&has);
	if (r < 0)
		return err_trace(r);
	*ret_found = r > 0;
	return 0;
}

int sample_step(struct store *s, int64_t upto)
{
	if (s->index.samples <= 0)
		s->index.samples = INDEX_SAMPLES;
	for (int i = 0; i < SAMPLES_STEP && s->index.samples > 0; i++) {
		bool found = true;
		int r = sample(s, upto * s->index.samples / INDEX_SAMPLES, &found);

		if (r < 0)
			return err_trace(r);
		if (!found) {
			s->index.damaged = true;
			return 0;
		}
		s->index.samples--;
	}
	if (s->index.samples == 0)
		s->index.sampled_us = clock_boot_us();
	return 0;
}
