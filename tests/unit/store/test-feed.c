/* The change feed: promise 5. */
#include <stdio.h>
#include <stdlib.h>

#include "fixture.h"

#define MIRROR_MAX 400

/* What a client that follows the feed knows. */
struct mirror {
	uint64_t since;
	struct {
		int64_t id;
		uint64_t mod;
		char body[24];
		uint32_t state;
	} rows[MIRROR_MAX];
	size_t n;
	char contacts[MIRROR_MAX][24];
	size_t n_contacts;
	uint64_t begun;
	uint64_t last_mod; /* of this pull: ascending */
	size_t seen;	   /* rows in this pull */
	int conversations;
};

static void ascending(struct mirror *m, uint64_t mod)
{
	assert_true(mod > m->last_mod);
	m->last_mod = mod;
	m->seen++;
}

static int on_message(void *userdata, const struct message_row *row)
{
	struct mirror *m = userdata;
	size_t i = 0;

	ascending(m, row->mod);
	while (i < m->n && m->rows[i].id != row->id)
		i++;
	assert_true(i < MIRROR_MAX);
	m->n += i == m->n;
	/* Each change once: a row comes again only when it changed. */
	assert_true(row->mod > m->rows[i].mod);
	m->rows[i].id = row->id;
	m->rows[i].mod = row->mod;
	m->rows[i].state = row->state;
	snprintf(m->rows[i].body, sizeof(m->rows[i].body), "%s", row->body);
	return 0;
}

static int on_conversation(void *userdata, const struct conversation_row *row)
{
	struct mirror *m = userdata;

	ascending(m, row->mod);
	m->conversations++;
	return 0;
}

static int on_contact(void *userdata, const struct contact_row *row)
{
	struct mirror *m = userdata;

	ascending(m, row->mod);
	for (size_t i = 0; i < m->n_contacts; i++)
		if (strcmp(m->contacts[i], row->jid) == 0)
			return 0;
	snprintf(m->contacts[m->n_contacts++], sizeof(m->contacts[0]), "%s", row->jid);
	return 0;
}

static int on_removed(void *userdata, const char *kind, const char *key)
{
	struct mirror *m = userdata;

	assert_string_equal(kind, "contact");
	m->seen++;
	for (size_t i = 0; i < m->n_contacts; i++) {
		if (strcmp(m->contacts[i], key) != 0)
			continue;
		m->n_contacts--;
		memmove(m->contacts[i], m->contacts[m->n_contacts], sizeof(m->contacts[0]));
		return 0;
	}
	return 0;
}

static const struct changes_fns fns = { on_message, on_conversation, on_contact, on_removed };

static int pull(struct fx *fx, struct mirror *m, uint32_t limit, bool *more)
{
	uint64_t next;
	int r;

	m->last_mod = m->since;
	m->seen = 0;
	r = read_changes(fx->s, fx->account, m->since, m->begun, limit, &fns, m, &next, more);
	if (r == 0) {
		assert_true(limit == 0 || m->seen <= limit);
		assert_true(next >= m->since);
		m->since = next;
	}
	return r;
}

static int compare_row(void *userdata, const struct message_row *row)
{
	struct mirror *m = userdata;

	for (size_t i = 0; i < m->n; i++) {
		if (m->rows[i].id != row->id)
			continue;
		assert_int_equal(m->rows[i].mod, row->mod);
		assert_int_equal(m->rows[i].state, row->state);
		assert_string_equal(m->rows[i].body, row->body);
		m->seen++;
		return 0;
	}
	fail_msg("row %d is not in the mirror", (int)row->id);
	return 0;
}

static void assert_mirrors(struct fx *fx, struct mirror *m)
{
	struct history_query q = { .account = fx->account, .conversation = "", .anchor = ANCHOR_OLDEST, .after = 500 };
	uint32_t edges;
	uint64_t seq;

	m->seen = 0;
	assert_int_equal(read_history(fx->s, &q, compare_row, m, &edges, &seq), 0);
	assert_int_equal(m->seen, m->n);
	assert_int_equal(m->since, seq);
}

static unsigned int rnd(unsigned int n)
{
	return (unsigned int)rand() % n;
}

static void put_contact(struct fx *fx, const char *jid, const char *subscription)
{
	const struct roster_item item = { .jid = jid, .subscription = subscription };

	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(roster_put(fx->s, fx->account, &item), 0);
	assert_int_equal(store_commit(fx->s), 0);
}

/* One random change: a message, a page below or a correction, receipt, marker, roster item. */
static void change(struct fx *fx, int k)
{
	static char ids[300][16];
	char target[16];
	struct message m;

	snprintf(ids[k], sizeof(ids[k]), "i%d", k);
	snprintf(target, sizeof(target), "i%u", rnd(300));
	switch (rnd(7)) {
	case 0:
		put_live(fx, text_out(ids[k], ids[k]), false);
		break;
	case 1:
		m = text_in(ids[k], "corrected");
		m.replace_id = target;
		put_live(fx, m, false);
		break;
	case 2:
		put_live(fx, ref_in(PAYLOAD_MARKER, target), false);
		break;
	case 3:
		put_contact(fx, target, rnd(2) ? "both" : "remove");
		break;
	case 4:
		PAGE(fx, "", "", archived(text_in(ids[k], ids[k]), ids[k], (int64_t)rnd(1000)));
		break;
	default:
		put_live(fx, text_in(ids[k], ids[k]), false);
		break;
	}
}

TEST(who_follows_misses_nothing_and_gets_nothing_twice)
{
	struct fx *fx = *state;
	struct mirror *m;
	bool more;

	for (unsigned int seed = 1; seed <= 4; seed++) {
		m = xnew(struct mirror);
		srand(seed);
		for (int k = 0; k < 60; k++) {
			change(fx, (int)(seed - 1) * 60 + k);
			for (unsigned int pulls = rnd(3); pulls; pulls--)
				assert_int_equal(pull(fx, m, 1 + rnd(9), &more), 0);
		}
		do {
			assert_int_equal(pull(fx, m, 7, &more), 0);
		} while (more);
		assert_mirrors(fx, m);
		assert_int_equal(pull(fx, m, 0, &more), 0);
		assert_int_equal(m->seen, 0);
		free(m);
	}
}

TEST(what_is_gone_leaves_a_tombstone_until_it_is_back)
{
	struct fx *fx = *state;
	struct mirror *m = xnew(struct mirror);
	bool more;

	put_contact(fx, BOB, "both");
	assert_int_equal(pull(fx, m, 0, &more), 0);
	assert_int_equal(m->n_contacts, 1);
	put_contact(fx, BOB, "remove");
	assert_int_equal(pull(fx, m, 0, &more), 0);
	assert_int_equal(m->seen, 1);
	assert_int_equal(m->n_contacts, 0);
	put_contact(fx, BOB, "both");
	m->since = 0;
	assert_int_equal(pull(fx, m, 0, &more), 0);
	assert_int_equal(m->seen, 1);
	assert_int_equal(m->n_contacts, 1);
	free(m);
}

TEST(who_slept_too_long_is_told)
{
	struct fx *fx = *state;
	struct mirror *m = xnew(struct mirror);
	uint64_t seq, oldest;
	char jid[16];
	bool more;

	fx->s->limits.tombstones = 3;
	put_contact(fx, BOB, "both");
	assert_int_equal(pull(fx, m, 0, &more), 0);
	for (int i = 0; i < 5; i++) {
		snprintf(jid, sizeof(jid), "c%d@x", i);
		put_contact(fx, jid, "both");
		put_contact(fx, jid, "remove");
	}
	assert_int_equal(read_seq(fx->s, fx->account, &seq, &oldest), 0);
	assert_true(oldest > m->since);
	assert_int_equal(pull(fx, m, 0, &more), READ_E_TOO_OLD);
	/* From exactly there it can still be answered; and who has nothing starts at 0. */
	m->since = oldest;
	assert_int_equal(pull(fx, m, 0, &more), 0);
	m->since = 0;
	assert_int_equal(pull(fx, m, 0, &more), 0);
	/* A position that was never given out is of another archive. */
	m->since = seq + 1;
	assert_int_equal(pull(fx, m, 0, &more), READ_E_TOO_OLD);
	free(m);
}

/* A reading from 0 in several pages, with expired tombstones above where it stands: it needs none of them. */
TEST(who_reads_from_the_beginning_comes_to_the_end)
{
	struct fx *fx = *state;
	struct mirror *m = xnew(struct mirror);
	uint64_t oldest;
	char jid[16];
	bool more;

	fx->s->limits.tombstones = 1;
	for (int i = 0; i < 4; i++)
		put_live(fx, text_in("", "tea"), false);
	for (int i = 0; i < 5; i++) {
		snprintf(jid, sizeof(jid), "c%d@x", i);
		put_contact(fx, jid, "both");
		put_contact(fx, jid, "remove");
	}
	assert_int_equal(read_seq(fx->s, fx->account, &m->begun, &oldest), 0);
	assert_int_equal(pull(fx, m, 2, &more), 0);
	assert_true(m->since < oldest);
	assert_int_equal(pull(fx, m, 2, &more), 0);
	/* What is removed while it reads does matter, once it is forgotten. */
	put_contact(fx, "d@x", "both");
	put_contact(fx, "d@x", "remove");
	assert_int_equal(pull(fx, m, 1, &more), 0);
	put_contact(fx, "e@x", "both");
	put_contact(fx, "e@x", "remove");
	assert_int_equal(pull(fx, m, 1, &more), READ_E_TOO_OLD);
	free(m);
}

TEST(a_pull_is_limited_in_bytes)
{
	struct fx *fx = *state;
	struct mirror *m = xnew(struct mirror);
	_cleanup_(freep) char *big = xcalloc(1, 250001);
	bool more = true;
	size_t pulls = 0;

	memset(big, 'x', 250000);
	for (int i = 0; i < 12; i++)
		put_live(fx, text_in("", big), false);
	for (; more; pulls++)
		assert_int_equal(pull(fx, m, 0, &more), 0);
	assert_int_equal(m->n, 12);
	assert_in_range(pulls, 3, 4);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(who_follows_misses_nothing_and_gets_nothing_twice),
		RUN(what_is_gone_leaves_a_tombstone_until_it_is_back),
		RUN(who_slept_too_long_is_told),
		RUN(who_reads_from_the_beginning_comes_to_the_end),
		RUN(a_pull_is_limited_in_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
