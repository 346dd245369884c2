#include "search-fixture.h"

#include <stdio.h>

void put_text(struct fx *fx, const char *id, const char *body)
{
	static int serial;
	char own[32];

	snprintf(own, sizeof(own), "put-%d", ++serial);
	fx->now += SEC;
	put_live(fx, text_in(id ? id : own, body), false);
}

void index_all(struct fx *fx)
{
	int r;

	while ((r = index_step(fx->s, BUDGET)) > 0)
		;
	assert_int_equal(r, 0);
	assert_false(index_due(fx->s));
}

int on_hit(void *userdata, const struct message_row *row, const struct search_range *ranges, size_t n)
{
	struct hits *h = userdata;

	buf_addf(&h->text, "%s%s", h->n ? "|" : "", row->body);
	for (size_t i = 0; h->ranges && i < n; i++)
		buf_addf(&h->text, "[%u+%u]", ranges[i].start, ranges[i].length);
	h->n++;
	return 0;
}

const char *found_with(struct fx *fx, struct search_query q, bool ranges)
{
	static struct hits h;
	_cleanup_(search_freep) struct search *x = NULL;
	_cleanup_(freep) char *cursor = NULL;
	int r;

	buf_deinit(&h.text);
	h = (struct hits){ .ranges = ranges };
	q.account = fx->account;
	r = search_new(fx->s, &q, &x);
	if (r > 0) {
		buf_addf(&h.text, "!%d", r);
		return buf_str(&h.text);
	}
	assert_int_equal(r, 0);
	while ((r = search_step(x, BUDGET)) > 0)
		;
	assert_int_equal(r, 0);
	assert_int_equal(search_hits(x, on_hit, &h, &cursor), 0);
	assert_string_equal(cursor, "");
	return buf_str(&h.text);
}

const char *found(struct fx *fx, const char *text)
{
	return found_with(fx, (struct search_query){ .text = text }, false);
}

int on_result(void *userdata, const struct message_row *row, _unused_ const struct search_range *ranges, size_t n)
{
	struct result *res = userdata;

	assert_true(n > 0);
	for (size_t i = 0; i < res->n; i++) {
		if (res->ids[i] == row->id)
			fail_msg("%d comes twice", (int)row->id);
	}
	assert_true(res->n < READ_ROWS_MAX);
	res->ids[res->n++] = row->id;
	return 0;
}
