/*
 * Whatever order an archive is read in, oldest or newest first, in pages of any size, with some of it delivered live before: edits,
 * retractions, reactions, replies, receipts and markers end as if everything had come as it was sent. Ids are used again.
 * More: VARVE_REFS=20000 VARVE_REFS_FIRST=1.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fixture.h"

#define EVENTS 60
/* Ids are used again within minutes, or, where some came live without the archive's word, within days: clocks may be so far off. */
#define APART_S 60
#define APART_LIVE_S (3 * 86400)

struct event {
	struct message m;
	char aid[8], id[16], target[16], body[16], text[16];
};

struct history {
	struct event events[EVENTS];
	unsigned int dice;
	int64_t apart_s;
};

static unsigned int pick(struct history *h, unsigned int n)
{
	return (unsigned int)rand_r(&h->dice) % n;
}

/* An id of an earlier event of that direction, mostly. */
static void choose_target(struct history *h, struct event *e, int i)
{
	const struct event *t = &h->events[i ? pick(h, (unsigned int)i) : 0];

	snprintf(e->target, sizeof(e->target), "%s", i ? t->id : "none");
	e->m.target_id = e->target;
}

static void make(struct history *h, int i)
{
	static const enum message_payload kinds[] = { PAYLOAD_TEXT, PAYLOAD_TEXT, PAYLOAD_TEXT, PAYLOAD_TEXT, PAYLOAD_RETRACTION,
						      PAYLOAD_REACTION, PAYLOAD_REACTION, PAYLOAD_RECEIPT, PAYLOAD_MARKER };
	struct event *e = &h->events[i];
	bool out = pick(h, 2);

	snprintf(e->aid, sizeof(e->aid), "a%02d", i);
	snprintf(e->id, sizeof(e->id), "%s%u", out ? "o" : "i", pick(h, 3) ? 100 + (unsigned int)i : pick(h, 4));
	snprintf(e->body, sizeof(e->body), "body%d", i);
	e->m = out ? text_out(e->id, e->body) : text_in(e->id, e->body);
	e->m = archived(e->m, e->aid, i * h->apart_s);
	e->m.payload = kinds[pick(h, ARRAY_SIZE(kinds))];
	choose_target(h, e, i);
	if (e->m.payload != PAYLOAD_TEXT) {
		snprintf(e->id, sizeof(e->id), "%s%u", out ? "o" : "i", 100 + (unsigned int)i);
		e->m.body = "";
		snprintf(e->text, sizeof(e->text), "%c", 'a' + (int)pick(h, 4));
		e->m.text = e->m.payload == PAYLOAD_REACTION && pick(h, 4) ? e->text : "";
		return;
	}
	e->m.target_id = "";
	/* A name that is a message's and a correction's is the message's: that one has its own. */
	if (pick(h, 3) == 0) {
		e->m.replace_id = e->target;
		snprintf(e->id, sizeof(e->id), "%s%u", out ? "o" : "i", 100 + (unsigned int)i);
	} else if (pick(h, 3) == 0) {
		e->m.reply_id = e->target;
	}
}

static void page(struct fx *fx, struct history *h, int from, int to, const char *below, const char *above)
{
	struct message items[EVENTS];

	for (int i = from; i < to; i++)
		items[i - from] = h->events[i].m;
	put_page(fx, items, (size_t)(to - from), below, above, NULL);
}

static void read_forwards(struct fx *fx, struct history *h)
{
	for (int from = 0, to; from < EVENTS; from = to) {
		int n = 1 + (int)pick(h, 12);

		to = from + n < EVENTS ? from + n : EVENTS;
		page(fx, h, from, to, from ? h->events[from - 1].aid : "", "");
	}
}

static void read_backwards(struct fx *fx, struct history *h)
{
	for (int to = EVENTS, from; to > 0; to = from) {
		int n = 1 + (int)pick(h, 12);

		from = to > n ? to - n : 0;
		page(fx, h, from, to, "", to < EVENTS ? h->events[to].aid : "");
	}
}

/* The last of them came live, some without the archive's id, and in order. */
static void come_live(struct fx *fx, struct history *h)
{
	bool ids = pick(h, 2);

	for (int i = EVENTS - (int)pick(h, EVENTS); i < EVENTS; i++) {
		struct message m = h->events[i].m;

		m.via = VIA_LIVE;
		m.archive_us = 0;
		if (!ids || pick(h, 8) == 0)
			m.archive_id = "";
		fx->now = T0 + i * h->apart_s * SEC;
		put_live(fx, m, *m.archive_id);
	}
	fx->now = T0 + EVENTS * h->apart_s * SEC;
}

/* All of the account as one text; what is unread, and who has seen what was taken back, is another matter. The caller frees. */
static char *picture(struct fx *fx)
{
	static const char text[] =
		"SELECT group_concat(x, char(10)) FROM (SELECT coalesce((SELECT id FROM aid WHERE msg=m.id ORDER BY key LIMIT 1), '-')"
		"||' '||coalesce(m.body, '')||' '||m.kind||' '||CASE WHEN m.direction=1 AND m.kind=0 THEN m.state ELSE '' END||' '||"
		"coalesce((SELECT group_concat(sender||'='||value) FROM (SELECT sender, value FROM msg_ref r WHERE r.msg=m.id"
		" AND r.kind=1 AND value<>'' ORDER BY sender)), '')||' '||coalesce((SELECT min(id) FROM aid WHERE msg=m.reply_to), '') x"
		" FROM msg m WHERE m.account=?1 ORDER BY m.key)";
	sqlite3_stmt *st = NULL;
	char *s;

	assert_int_equal(sqlite3_prepare_v2(fx->s->db, text, -1, &st, NULL), SQLITE_OK);
	sqlite3_bind_int64(st, 1, fx->account);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	s = xstrdup(str_or_empty((const char *)sqlite3_column_text(st, 0)));
	sqlite3_finalize(st);
	return s;
}

static char *picture_of(struct fx *fx, struct history *h, unsigned int seed, const char *name, bool live,
			void (*read)(struct fx *fx, struct history *h))
{
	_cleanup_(freep) char *jid = xasprintf("%s%u@a.example", name, seed);
	int64_t account = fx->account, archive = fx->archive;
	char *s;

	fx->account = fx_account(fx, jid, &fx->archive);
	if (live)
		come_live(fx, h);
	read(fx, h);
	s = picture(fx);
	fx->account = account;
	fx->archive = archive;
	return s;
}

static unsigned int number(const char *name, unsigned int otherwise)
{
	const char *v = getenv(name);

	return v ? (unsigned int)strtoul(v, NULL, 10) : otherwise;
}

static void say(const struct history *h)
{
	static const char *const names[] = { "text", "retraction", "reaction", "receipt", "marker" };

	for (int i = 0; i < EVENTS; i++) {
		const struct message *m = &h->events[i].m;

		print_message("%s %s %s %s about=%s replaces=%s answers=%s %s\n", m->archive_id, strncmp(m->from, OWN, strlen(OWN)) ? "in" : "out",
			      names[m->payload], m->id, m->target_id, m->replace_id, m->reply_id, m->text);
	}
}

static void the_order_of_reading_does_not_matter(_unused_ void **state)
{
	unsigned int first = number("VARVE_REFS_FIRST", 1), n = number("VARVE_REFS", 40);

	for (unsigned int seed = first; seed < first + n; seed++) {
		_cleanup_(freep) struct history *h = xnew(struct history);
		_cleanup_(freep) char *want = NULL, *backwards = NULL, *live = NULL;
		void *store = NULL;
		struct fx *fx;

		fx_setup(&store);
		fx = store;

		h->dice = seed;
		h->apart_s = APART_S;
		for (int i = 0; i < EVENTS; i++)
			make(h, i);
		if (getenv("VARVE_REFS_SAY"))
			say(h);
		want = picture_of(fx, h, seed, "a", false, read_forwards);
		backwards = picture_of(fx, h, seed, "b", false, read_backwards);
		for (int i = 0; i < EVENTS; i++)
			h->events[i].m.archive_us = T0 + i * APART_LIVE_S * SEC;
		h->apart_s = APART_LIVE_S;
		live = picture_of(fx, h, seed, "c", true, read_backwards);
		if (strcmp(want, backwards) != 0)
			fail_msg("seed %u, newest first:\n%s\n-- but --\n%s", seed, want, backwards);
		if (strcmp(want, live) != 0)
			fail_msg("seed %u, some of it live:\n%s\n-- but --\n%s", seed, want, live);
		fx_teardown(&store);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_order_of_reading_does_not_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
