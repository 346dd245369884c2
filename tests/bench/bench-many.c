/*
 * Many of everything but messages: what one action costs the store when there are so many of something, and ten times as many.
 * In steps of SQLite's machine, which no other load on the machine moves, and in CPU. What is there to be seen is the ratio.
 *
 *   bench-many [PART]        gaps, conversations, contacts, outbox, unread or reactions; default: all
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "store/account.h"
#include "store/conversation.h"
#include "store/outbox.h"
#include "store/read.h"
#include "store/walls.h"

static struct load b;
static char dir[64];

static int64_t steps(void)
{
	int64_t n = 0;

	for (sqlite3_stmt *st = sqlite3_next_stmt(b.s->db, NULL); st; st = sqlite3_next_stmt(b.s->db, st))
		n += sqlite3_stmt_status(st, SQLITE_STMTSTATUS_VM_STEP, 0);
	return n;
}

static int64_t before;
static double began;

static void start(void)
{
	before = steps();
	began = now_s(CLOCK_PROCESS_CPUTIME_ID);
}

static void stop(const char *what, long n, long actions)
{
	double ms = (now_s(CLOCK_PROCESS_CPUTIME_ID) - began) * 1000;

	printf("%-52s %7ld %12lld steps %10.3f ms\n", what, n, (long long)(steps() - before) / actions, ms / (double)actions);
	fflush(stdout);
}

static void make(void)
{
	snprintf(dir, sizeof(dir), "/tmp/varve-bench-many-XXXXXX");
	check(mkdtemp(dir) == NULL, "directory");
	load_init(&b, 1, 100);
	load_open(&b, dir, false);
}

static void drop(void)
{
	load_close(&b);
	load_deinit(&b);
	load_remove(dir);
}

static int no_row(_unused_ void *u, _unused_ const struct message_row *row)
{
	return 0;
}

static int no_conv(_unused_ void *u, _unused_ const struct conversation_row *row)
{
	return 0;
}

/* ---- messages ---- */

static void put(long k, const char *conv, const char *type, bool in)
{
	struct load_line *l = &b.lines[0];
	struct message *m = &b.messages[0];

	load_message(l, m, k);
	snprintf(l->from, sizeof(l->from), "%s%s", in ? conv : LOAD_OWN, in ? "/x" : "/desk");
	snprintf(l->to, sizeof(l->to), "%s", in ? LOAD_OWN : conv);
	m->from = l->from;
	m->to = l->to;
	m->type = type;
	m->via = VIA_LIVE;
	check(archive_put_live(b.s, b.account, b.archive, LOAD_OWN, m, LOAD_T0 + k * 1000000, true, &b.out[0]), "put");
}

static char *aid_of(long k, char buf[24])
{
	struct load_line l;
	struct message m;

	load_message(&l, &m, k);
	snprintf(buf, 24, "%s", l.aid);
	return buf;
}

static void history(const char *what, long n, const char *conv, bool across)
{
	struct history_query q = {
		.account = b.account, .conversation = conv, .anchor = ANCHOR_NEWEST, .before = 50, .across_gaps = across,
	};
	uint32_t edges;
	uint64_t seq;

	start();
	for (int i = 0; i < 10; i++)
		check(read_history(b.s, &q, no_row, NULL, &edges, &seq), "history");
	stop(what, n, 10);
}

/* ---- parts ---- */

/* Ten gaps, from the middle or at the newest end, each with the copy that the engine makes. */
static void close_ten(struct cover *c, bool middle, long n, const char *what)
{
	start();
	for (int i = 0; i < 10; i++) {
		struct cover copy = { 0 };

		check(store_begin(b.s), "begin");
		cover_copy(&copy, c);
		cover_deinit(c);
		*c = copy;
		cover_exhausted(c, middle ? c->n / 2 : c->n - 2, LOAD_T0 - 1);
		check(cover_write(b.s, b.archive, c), "cover");
		check(store_commit(b.s), "commit");
	}
	stop(what, n, 10);
}

static void gaps(long n)
{
	struct cover c;
	char aid[24];

	make();
	check(store_begin(b.s), "begin");
	for (long k = 0; k < n; k++) {
		char conv[48];

		snprintf(conv, sizeof(conv), "contact%ld@b.example", k % 30);
		put(k, conv, "chat", true);
	}
	cover_init(&c);
	for (long k = 0; k < n; k++)
		cover_load(&c, aid_of(k, aid), LOAD_T0 + k * 1000000, aid, LOAD_T0 + k * 1000000, 0);
	check(cover_write(b.s, b.archive, &c), "cover");
	check(store_commit(b.s), "commit");
	history("gaps: a page of history", n, "contact7@b.example", false);
	history("gaps: a page of history across them", n, "contact7@b.example", true);
	start();
	for (long k = n; k < n + 10; k++) {
		struct cover copy = { 0 };

		check(store_begin(b.s), "begin");
		put(k, "contact7@b.example", "chat", true);
		cover_copy(&copy, &c);
		cover_live(&copy, aid_of(k, aid));
		check(cover_write(b.s, b.archive, &copy), "cover");
		check(store_commit(b.s), "commit");
		cover_deinit(&c);
		c = copy;
	}
	stop("gaps: a live message", n, 10);
	close_ten(&c, true, n, "gaps: one in the middle is closed");
	close_ten(&c, false, n, "gaps: the newest is closed");
	cover_deinit(&c);
	drop();
}

static void conversations(long n)
{
	struct conversation_query q = { .account = b.account, .limit = 50 };
	struct cover c;
	_cleanup_(freep) char *next = NULL;
	char aid[24];
	uint64_t seq;
	long rows = 0;

	make();
	q.account = b.account;
	check(store_begin(b.s), "begin");
	for (long k = 0; k < n * 5; k++) {
		char conv[48];

		snprintf(conv, sizeof(conv), "contact%ld@b.example", k % n);
		put(k, conv, "chat", k % 2);
	}
	check(store_commit(b.s), "commit");
	start();
	check(read_conversations(b.s, &q, no_conv, NULL, &next, &seq), "list");
	stop("conversations: the first 50", n, 1);
	start();
	do {
		q.cursor = next;
		char *was = next;
		next = NULL;
		q.cursor = was;
		check(read_conversations(b.s, &q, no_conv, NULL, &next, &seq), "list");
		free(was);
		rows++;
	} while (*next);
	stop("conversations: all, 50 at a time (a page)", n, rows);
	q.cursor = "";
	q.query = "nobody at all";
	{
		char *no = NULL;
		start();
		check(read_conversations(b.s, &q, no_conv, NULL, &no, &seq), "list");
		stop("conversations: one by its name, in vain", n, 1);
		free(no);
	}
	cover_init(&c);
	cover_load(&c, aid_of(n, aid), LOAD_T0 + n * 1000000, aid, LOAD_T0 + n * 1000000, 0);
	for (int i = 0; i < 2; i++) {
		check(store_begin(b.s), "begin");
		start();
		check(cover_write(b.s, b.archive, &c), "cover");
		stop(i ? "conversations: another gap" : "conversations: the first gap", n, 1);
		check(store_commit(b.s), "commit");
		cover_load(&c, aid_of(n * 3, aid), LOAD_T0 + n * 3 * 1000000, aid, LOAD_T0 + n * 3 * 1000000, 0);
	}
	cover_deinit(&c);
	for (int i = 0; i < 2; i++) {
		start();
		for (long k = n * 5 + i * 50; k < n * 5 + i * 50 + 50; k++) {
			char conv[48];

			snprintf(conv, sizeof(conv), "contact%ld@b.example", (k * 7919) % n);
			check(store_begin(b.s), "begin");
			put(k, conv, "chat", true);
			check(store_commit(b.s), "commit");
		}
	}
	stop("conversations: a live message", n, 50);
	drop();
}

static void put_roster(long n, const char *name)
{
	char **jids = xnewn(char *, n);

	check(store_begin(b.s), "begin");
	for (long k = 0; k < n; k++) {
		char jid[48], title[64];
		struct roster_item item = { .jid = jid, .name = title, .subscription = "both", .groups = "Friends\nWork" };

		snprintf(jid, sizeof(jid), "contact%ld@b.example", k);
		snprintf(title, sizeof(title), "%s %ld", name, k);
		check(roster_put(b.s, b.account, &item), "roster");
		jids[k] = xstrdup(jid);
	}
	check(roster_keep_only(b.s, b.account, jids, (size_t)n), "keep");
	check(store_commit(b.s), "commit");
	for (long k = 0; k < n; k++)
		free(jids[k]);
	free(jids);
}

static int no_contact(_unused_ void *u, _unused_ const struct contact_row *row)
{
	return 0;
}

static void contacts(long n)
{
	_cleanup_(freep) char *next = NULL;
	uint64_t seq;

	make();
	start();
	put_roster(n, "Contact");
	stop("contacts: the first login (the whole of it)", n, 1);
	start();
	put_roster(n, "Contact");
	stop("contacts: the next, nothing changed (the whole)", n, 1);
	start();
	put_roster(n, "Other");
	stop("contacts: all of them renamed (the whole)", n, 1);
	start();
	check(read_contacts(b.s, b.account, "contact4", 50, no_contact, NULL, &next, &seq), "contacts");
	stop("contacts: a page of 50", n, 1);
	start();
	check(store_begin(b.s), "begin");
	check(roster_set_blocked(b.s, b.account, "b.example", true), "block");
	check(store_commit(b.s), "commit");
	stop("contacts: their domain is blocked", n, 1);
	drop();
}

struct queue {
	int64_t ids[100], seqs[100];
	size_t n;
};

static int take(void *userdata, const struct out_item *item)
{
	struct queue *q = userdata;

	q->ids[q->n] = item->id;
	q->seqs[q->n++] = item->seq;
	return 0;
}

static void outbox(long n)
{
	uint32_t number = 0;
	struct outbox_counts counts;

	make();
	start();
	for (long k = 0; k < n; k++) {
		char conv[48], id[40];
		struct outgoing o = { .kind = OUT_TEXT, .conversation = conv, .client_id = id, .body = "hello out there", .emojis = "" };
		int64_t msg;
		bool existing;

		snprintf(conv, sizeof(conv), "contact%ld@b.example", k % 30);
		snprintf(id, sizeof(id), "id-%ld", k);
		check(store_begin(b.s), "begin");
		check(outbox_put(b.s, b.account, LOAD_OWN, &o, LOAD_T0 + k * 1000000, &msg, &existing), "send");
		check(store_commit(b.s), "commit");
	}
	stop("outbox: one is written", n, n);
	start();
	for (int i = 0; i < 10; i++)
		check(outbox_count(b.s, b.account, &counts), "count");
	stop("outbox: how many wait (each GetStatus)", n, 10);
	start();
	for (;;) {
		struct queue q = { .n = 0 };
		size_t done;

		check(outbox_next(b.s, b.account, INT64_MIN, 100, take, &q), "next");
		if (q.n == 0)
			break;
		check(store_begin(b.s), "begin");
		for (size_t i = 0; i < q.n; i++)
			check(outbox_numbered(b.s, b.account, q.ids[i], q.seqs[i], ++number, "") != 1, "numbered");
		check(store_commit(b.s), "commit");
		check(store_begin(b.s), "begin");
		check(outbox_acked(b.s, b.account, number, &done), "acked");
		check(store_commit(b.s), "commit");
	}
	stop("outbox: one leaves, a hundred at a time", n, n);
	drop();
}

static void unread(long n)
{
	int64_t upto;
	long turns = 0;
	double worst = 0;

	make();
	check(store_begin(b.s), "begin");
	for (long k = 0; k < n; k++) {
		put(k, "room@muc.example", "groupchat", true);
		if (k % 500 == 499) {
			check(store_commit(b.s), "commit");
			check(store_begin(b.s), "begin");
		}
	}
	check(store_commit(b.s), "commit");
	start();
	for (long k = n; k < n + 10; k++) {
		check(store_begin(b.s), "begin");
		put(k, "room@muc.example", "groupchat", true);
		check(store_commit(b.s), "commit");
	}
	stop("unread: a live message more", n, 10);
	start();
	check(store_begin(b.s), "begin");
	check(conversation_mark_read(b.s, b.account, "room@muc.example", 0, &upto), "read");
	check(store_commit(b.s), "commit");
	stop("unread: all is read (the call)", n, 1);
	start();
	check(store_begin(b.s), "begin");
	check(conversation_delete(b.s, b.account, "room@muc.example", LOAD_T0), "delete");
	check(store_commit(b.s), "commit");
	stop("unread: the conversation is deleted (the call)", n, 1);
	start();
	for (;;) {
		double t = now_s(CLOCK_PROCESS_CPUTIME_ID);
		int r = store_upkeep(b.s, 10000);

		t = now_s(CLOCK_PROCESS_CPUTIME_ID) - t;
		worst = t > worst ? t : worst;
		turns++;
		if (r <= 0)
			break;
	}
	stop("unread: its rows go at idle (a turn)", n, turns);
	printf("  %ld turns, the longest %.1f ms\n", turns, worst * 1000);
	drop();
}

static void reactions(long n)
{
	make();
	check(store_begin(b.s), "begin");
	put(0, "room@muc.example", "groupchat", true);
	check(store_commit(b.s), "commit");
	start();
	check(store_begin(b.s), "begin");
	for (long k = 1; k < n; k++) {
		struct load_line *l = &b.lines[0];
		struct message *m = &b.messages[0];
		struct load_line first;
		struct message of;

		load_message(&first, &of, 0);
		load_message(l, m, k);
		snprintf(l->from, sizeof(l->from), "room@muc.example/n%ld", k);
		m->from = l->from;
		m->to = LOAD_OWN;
		m->type = "groupchat";
		m->via = VIA_LIVE;
		m->payload = PAYLOAD_REACTION;
		m->body = "";
		m->target_id = of.id;
		m->text = "x";
		check(archive_put_live(b.s, b.account, b.archive, LOAD_OWN, m, LOAD_T0 + k * 1000000, true, &b.out[0]), "put");
		if (k % 50 == 49) {
			check(store_commit(b.s), "commit");
			check(store_begin(b.s), "begin");
		}
	}
	check(store_commit(b.s), "commit");
	stop("reactions: one more on the same message", n, n);
	history("reactions: its page of history", n, "room@muc.example", false);
	drop();
}

static const struct part {
	const char *name;
	void (*fn)(long n);
	long n[3];
} parts[] = {
	{ "gaps", gaps, { 100, 1000, 10000 } },
	{ "conversations", conversations, { 30, 300, 3000 } },
	{ "contacts", contacts, { 50, 500, 5000 } },
	{ "outbox", outbox, { 100, 1000, 5000 } },
	{ "unread", unread, { 1000, 20000, 200000 } },
	{ "reactions", reactions, { 500, 5000, 20000 } },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		for (size_t k = 0; k < ARRAY_SIZE(parts[i].n) && (argc < 2 || strcmp(argv[1], parts[i].name) == 0); k++)
			parts[i].fn(parts[i].n[k]);
	return 0;
}
