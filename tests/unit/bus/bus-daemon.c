/*
 * A daemon that is only the bus: server + hub double over a real store, for tests/bus. Its life is told by lines on
 * stdin, each answered by "ok" when it is done:
 *
 *   seed N            N archive messages of 30 contacts, oldest 2 years ago, with a gap after the first third
 *   live JID TEXT     one message from JID now
 *   flood N           N live messages, a transaction and a doorbell each
 *   chance P SEED N   N random events with ids that begin with P (chance.h), a transaction and a doorbell each
 *   settle A B        the archive's page that brings live message A says that it stands right before live message B
 *   tombstones N      that many are kept
 *   backup FILE       a whole one: FILE and FILE.keys
 *   state NAME        the account's state
 *   sync N            N changes of progress
 *   archive NAME      the archive is ready, locked or failed
 *   finish NAME       the keyring call at work ends: ok, wrong, busy
 *   last, last-send   answers the last call of the double (hub-double-send.h for the latter)
 *   outcome NAME      the next call of hub-send.h ends so: ok, conflict, notfound, ... (hub-double-send.c)
 *   answer NAME       the server answers all requests: ok, remote, offline
 *   asking JID, answered JID   JID asks to see our presence, or not any more
 *   typing JID STATE, presence JID SHOW STATUS   news of somebody; SHOW "here" is none
 *   errand done|failed           what the fetch of one conversation has come to
 *   verified N|done|failed        what a verify has come to
 *   online, fill, caught-up 0|1   the archive is ready and the account online; the gaps are closed; what the engine says
 *   quit
 *
 * bus-daemon --seed DATA CONFIG N makes an archive for a real varved and ends: one disabled account, N messages.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "bus/server.h"
#include "chance.h"
#include "core/message.h"
#include "hub-double-send.h"
#include "hub-double.h"
#include "hub-double-keyring.h"
#include "settle.h"
#include "store/archive.h"
#include "store/copy.h"
#include "store/db.h"
#include "vault/vault.h"

#define OWN "me@example.org"
#define DAY (86400 * USEC_PER_SEC)
#define CONTACTS 30
#define PAGE 100
#define FLOODS "contact00@example.net/phone" /* from whom live messages without a name come */

struct world {
	sd_event *event;
	struct vault *vault;
	struct store *store;
	struct hub *hub;
	struct server *server;
	int64_t account, archive;
	unsigned int serial;
	struct chance chance;
	char prefix[32];
};

static void check(int r, const char *what)
{
	if (r == 0)
		return;
	fprintf(stderr, "bus-daemon: %s: %d %s\n", what, r, r < 0 ? strerror(-r) : "");
	exit(1);
}

static void make_message(struct message *m, char *text, size_t size, unsigned int i, const char *from)
{
	message_init(m);
	m->payload = PAYLOAD_TEXT;
	m->from = from;
	m->to = OWN "/here";
	m->type = "chat";
	m->body = text;
	/* Every tenth has what sd-bus 252 refuses: a noncharacter. */
	snprintf(text, size, i % 10 == 9 ? "message %u with \xef\xbf\xbe in it" : "message %u", i);
}

static void add_account(struct world *w)
{
	struct account a = { .jid = xstrdup(OWN), .password = xstrdup("secret"), .host = xstrdup(""), .ca_pem = xstrdup(""),
			     .nick = xstrdup(""), .resource = xstrdup("r") };
	char *why = NULL;

	check(hub_account_add(w->hub, &a, &w->account, &why), "account");
	account_deinit(&a);
	free(why);
	check(store_begin(w->store), "begin");
	check(archive_id(w->store, w->account, "", &w->archive), "archive");
	check(store_commit(w->store), "commit");
}

static void seed_page(struct world *w, unsigned int from, unsigned int n, unsigned int total, bool opens_gap)
{
	struct message m[PAGE];
	const struct message *items[PAGE];
	struct put_outcome out[PAGE];
	char text[PAGE][80], id[PAGE][24], jid[PAGE][64];
	int64_t begin = clock_real_us() - 730 * DAY;
	struct cover *c = hub_double_cover(w->hub, w->account);
	const struct archive_page page = {
		.items = items, .n = n, .below_id = c->n > 0 ? c->spans[c->n - 1].last.id : "", .above_id = "",
	};

	for (unsigned int i = 0; i < n; i++) {
		unsigned int k = from + i;

		snprintf(jid[i], sizeof(jid[i]), "contact%02u@example.net/phone", k % CONTACTS);
		snprintf(id[i], sizeof(id[i]), "a%06u", k);
		make_message(&m[i], text[i], sizeof(text[i]), k, jid[i]);
		m[i].via = VIA_ARCHIVE;
		m[i].archive_id = id[i];
		m[i].id = id[i];
		m[i].archive_us = begin + (int64_t)k * (700 * DAY / (int64_t)(total ? total : 1));
		items[i] = &m[i];
	}
	check(store_begin(w->store), "begin");
	check(archive_put(w->store, w->account, w->archive, OWN, &page, clock_real_us(), out), "page");
	if (c->n == 0 || opens_gap) {
		cover_load(c, id[0], m[0].archive_us, id[n - 1], m[n - 1].archive_us, c->n == 0 ? SPAN_START : 0);
	} else {
		str_set(&c->spans[c->n - 1].last.id, id[n - 1]);
		c->spans[c->n - 1].last.us = m[n - 1].archive_us;
	}
	check(cover_write(w->store, w->archive, c), "cover");
	check(store_commit(w->store), "commit");
}

static void seed(struct world *w, unsigned int total)
{
	int64_t begin = clock_real_us() - 730 * DAY;
	bool gap = false;

	for (unsigned int k = 0; k < total; k += PAGE) {
		bool opens = !gap && k >= total / 3 && k > 0;

		gap = gap || opens;
		seed_page(w, k, total - k < PAGE ? total - k : PAGE, total, opens);
	}
	hub_double_set_ends(w->hub, w->account, begin, begin + 700 * DAY);
	check(archive_count(w->store, w->account, &hub_double_status(w->hub, w->account)->messages), "count");
	hub_double_tell(w->hub, HUB_FEED, w->account);
}

static void live(struct world *w, const char *from, const char *body)
{
	char id[24], text[80];
	struct put_outcome out;
	struct message m;

	make_message(&m, text, sizeof(text), w->serial, from);
	if (body)
		m.body = body;
	snprintf(id, sizeof(id), "live%06u", w->serial++);
	m.via = VIA_LIVE;
	m.id = id;
	check(store_begin(w->store), "begin");
	check(archive_put_live(w->store, w->account, w->archive, OWN, &m, clock_real_us(), false, &out), "live");
	check(store_commit(w->store), "commit");
	hub_double_tell(w->hub, HUB_FEED, w->account);
}

/* The numbers are those of flood. */
static void settled(struct world *w, unsigned long a, unsigned long b)
{
	check(settle(w->store, w->account, w->archive, OWN, FLOODS, a, b), "settle");
	hub_double_tell(w->hub, HUB_FEED, w->account);
}

static void asking(struct world *w, const char *jid, bool is)
{
	check(store_begin(w->store), "begin");
	check(roster_set_asking(w->store, w->account, jid, is), "asking");
	check(store_commit(w->store), "commit");
	hub_double_tell(w->hub, HUB_FEED, w->account);
}

/* The walk is so many seconds on ("verified N"), has found what it counts to ("verified done"), or fails. */
static void verified(struct world *w, const char *how, uint64_t n)
{
	struct verify *v = hub_double_verify(w->hub, w->account);

	if (strcmp(how, "done") == 0) {
		v->state = VERIFY_DONE;
		v->tally = (struct verify_tally){ .pages = 1, .messages = 20, .missing = 3, .different = 4, .gone = 5, .moved = 6 };
	} else if (strcmp(how, "failed") == 0) {
		v->state = VERIFY_FAILED;
		str_set(&v->why, "the server keeps no archive");
	} else {
		v->state = VERIFY_WALKING;
		v->cursor_us -= (int64_t)n * 1000000;
	}
	hub_double_tell(w->hub, HUB_SYNC, w->account);
}

static void fill(struct world *w)
{
	struct cover *c = hub_double_cover(w->hub, w->account);

	while (c->n > 1) {
		struct span *first = &c->spans[0], *second = &c->spans[1];

		str_set(&first->last.id, second->last.id);
		first->last.us = second->last.us;
		first->flags |= second->flags;
		free(second->first.id);
		free(second->last.id);
		memmove(second, second + 1, (--c->n - 1) * sizeof(*second));
	}
	if (c->n > 0)
		c->spans[0].flags |= SPAN_LIVE;
	hub_double_tell(w->hub, HUB_SYNC, w->account);
}

static void set_state(struct world *w, const char *name)
{
	static const struct {
		const char *word, *state, *reason_name, *reason_text;
	} states[] = {
		{ "disabled", "disabled", "", "" },
		{ "offline", "offline", "", "" },
		{ "disconnected", "offline", "Offline", "disconnected by you" },
		{ "connecting", "connecting", "", "" },
		{ "online", "online", "", "" },
		{ "auth-failed", "auth-failed", "AuthFailed", "the server refused the password" },
	};
	struct account_status *s = hub_double_status(w->hub, w->account);

	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		if (strcmp(states[i].word, name) == 0) {
			s->state = states[i].state;
			s->reason_name = states[i].reason_name;
			s->reason_text = states[i].reason_text;
		}
	hub_double_tell(w->hub, HUB_ACCOUNT_STATE, w->account);
}

static void set_archive(struct world *w, const char *name)
{
	if (strcmp(name, "ready") == 0)
		hub_double_set_state(w->hub, HUB_READY, "");
	else if (strcmp(name, "locked") == 0)
		hub_double_set_state(w->hub, HUB_LOCKED, "no key is at hand");
	else
		hub_double_set_state(w->hub, HUB_FAILED, "page 7 of archive.db is damaged");
}

static void finish(const char *name)
{
	int r = strcmp(name, "ok") == 0 ? 0 : strcmp(name, "wrong") == 0 ? HUB_E_WRONG : HUB_E_BUSY;

	hub_double_finish(r, r == 0 ? NULL : "as the test wants");
}

static void chance(struct world *w, const char *prefix, uint64_t seed, unsigned long n)
{
	struct chance *c = &w->chance;

	if (strcmp(prefix, w->prefix) != 0) {
		snprintf(w->prefix, sizeof(w->prefix), "%s", prefix);
		check(archive_id(w->store, w->account, "", &w->archive), "archive");
		*c = (struct chance){ .s = w->store, .account = w->account, .archive = w->archive, .own = OWN,
				      .prefix = w->prefix };
	}
	c->seed = seed;
	for (unsigned long i = 0; i < n; i++) {
		chance_write(c);
		hub_double_tell(w->hub, HUB_FEED, w->account);
	}
}

static void backup(struct world *w, const char *path)
{
	_cleanup_(vault_next_freep) struct vault_next *next = NULL;
	_cleanup_(copy_freep) struct copy *c = NULL;
	int r;

	check(vault_next_at(w->vault, path, &next), "backup keys");
	check(copy_new(w->store, COPY_BACKUP, path, vault_next_keys(next), &c), "copy");
	while ((r = copy_step(c, 1000000)) > 0)
		;
	check(r, "copy");
	check(vault_next_write(next), "backup keys");
	check(copy_keep(c), "backup");
}

static void command(struct world *w, char *line)
{
	char *word = strsep(&line, " ");
	unsigned long n = line ? strtoul(line, NULL, 10) : 0;

	if (strcmp(word, "seed") == 0)
		seed(w, (unsigned int)n);
	if (strcmp(word, "live") == 0) {
		char *from = strsep(&line, " ");

		live(w, from, line);
	}
	if (strcmp(word, "chance") == 0) {
		char *prefix = strsep(&line, " "), *seed = strsep(&line, " ");

		chance(w, prefix, strtoull(seed, NULL, 10), strtoul(line, NULL, 10));
	}
	if (strcmp(word, "tombstones") == 0)
		w->store->limits.tombstones = (uint32_t)n;
	if (strcmp(word, "backup") == 0)
		backup(w, line);
	for (unsigned long i = 0; strcmp(word, "flood") == 0 && i < n; i++)
		live(w, FLOODS, NULL);
	if (strcmp(word, "settle") == 0) {
		char *a = strsep(&line, " ");

		settled(w, strtoul(a, NULL, 10), strtoul(line, NULL, 10));
	}
	if (strcmp(word, "state") == 0)
		set_state(w, line);
	if (strcmp(word, "archive") == 0)
		set_archive(w, line);
	if (strcmp(word, "finish") == 0)
		finish(line);
	if (strcmp(word, "outcome") == 0)
		hub_double_outcome(line);
	if (strcmp(word, "answer") == 0)
		hub_double_answer(line);
	if (strcmp(word, "asking") == 0 || strcmp(word, "answered") == 0)
		asking(w, line, strcmp(word, "asking") == 0);
	if (strcmp(word, "typing") == 0) {
		char *jid = strsep(&line, " ");

		hub_double_typing(w->account, jid, line);
	}
	if (strcmp(word, "presence") == 0) {
		char *jid = strsep(&line, " "), *show = strsep(&line, " ");

		hub_double_presence(w->account, jid, show, line);
	}
	if (strcmp(word, "online") == 0) {
		hub_double_set_state(w->hub, HUB_READY, "");
		set_state(w, "online");
	}
	if (strcmp(word, "caught-up") == 0)
		hub_double_status(w->hub, w->account)->caught_up = n != 0;
	if (strcmp(word, "fill") == 0)
		fill(w);
	if (strcmp(word, "fetching") == 0)
		hub_double_set_fetching(w->hub, w->account, n);
	if (strcmp(word, "errand") == 0)
		hub_double_errand(w->hub, w->account, strcmp(line, "done") == 0 ? ERRAND_DONE : ERRAND_FAILED);
	if (strcmp(word, "verified") == 0)
		verified(w, line, (uint64_t)n);
	if (strcmp(word, "sync") == 0) {
		hub_double_status(w->hub, w->account)->done += n;
		hub_double_status(w->hub, w->account)->total = 1000000;
		hub_double_tell(w->hub, HUB_SYNC, w->account);
	}
	if (strcmp(word, "last") == 0)
		printf("%s\n", hub_double_last_call(w->hub));
	else if (strcmp(word, "last-send") == 0)
		printf("%s\n", hub_double_last_send());
	else
		printf("ok\n");
	if (strcmp(word, "quit") == 0)
		sd_event_exit(w->event, 0);
	fflush(stdout);
}

static int on_stdin(_unused_ sd_event_source *s, int fd, _unused_ uint32_t revents, void *userdata)
{
	char line[4096], *p = line, *one;
	ssize_t n = read(fd, line, sizeof(line) - 1);

	if (n <= 0)
		return sd_event_exit(((struct world *)userdata)->event, 0);
	line[n] = '\0';
	while ((one = strsep(&p, "\n")))
		if (*one)
			command(userdata, one);
	return 0;
}

static int seed_archive(struct world *w, char **argv)
{
	_cleanup_(freep) char *why = NULL;
	int r;

	r = store_find(argv[2], argv[3], &w->vault, &why);
	if (r == 0)
		r = store_open(w->vault, &w->store, &why);
	if (r != 0)
		fprintf(stderr, "%s\n", str_or_empty(why));
	check(r, "store");
	w->hub = hub_double_new(w->event, w->store);
	add_account(w);
	seed(w, (unsigned int)strtoul(argv[4], NULL, 10));
	hub_free(w->hub);
	check(store_checkpoint(w->store), "checkpoint");
	store_free(w->store);
	vault_free(w->vault);
	sd_event_unref(w->event);
	return 0;
}

int main(int argc, char **argv)
{
	_cleanup_(freep) char *data = NULL, *run = NULL, *why = NULL;
	struct world w = { 0 };
	int r;

	log_init("bus-daemon");
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argc == 5 && strcmp(argv[1], "--seed") == 0) {
		check(sd_event_default(&w.event) < 0, "event");
		return seed_archive(&w, argv);
	}
	if (argc != 2)
		return 2;
	data = xasprintf("%s/data", argv[1]);
	run = xasprintf("%s/varve", argv[1]);
	check(sd_event_default(&w.event) < 0, "event");
	r = store_find(data, data, &w.vault, &why);
	if (r == 0)
		r = store_open(w.vault, &w.store, &why);
	if (r != 0)
		fprintf(stderr, "%s\n", str_or_empty(why));
	check(r, "store");
	w.hub = hub_double_new(w.event, w.store);
	if (hub_account_count(w.hub) == 0)
		add_account(&w);
	else
		w.account = hub_account_id(w.hub, 0);
	r = server_new(w.event, w.hub, run, &w.server, &why);
	if (r != 0)
		fprintf(stderr, "%s\n", str_or_empty(why));
	check(r, "server");
	check(sd_event_add_io(w.event, NULL, 0, EPOLLIN, on_stdin, &w) < 0, "stdin");
	printf("ready\n");
	fflush(stdout);
	sd_event_loop(w.event);
	server_free(w.server);
	hub_free(w.hub);
	store_free(w.store);
	vault_free(w.vault);
	sd_event_unref(w.event);
	return 0;
}
