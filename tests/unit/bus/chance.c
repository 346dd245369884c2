#include "chance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/cover.h"
#include "store/account.h"
#include "store/archive.h"

enum { CONTACTS = 7, ROSTER = 40, PAGE = 12, RECENT = 60, TEXT = 200 };

static void check(int r, const char *what)
{
	if (r == 0)
		return;
	fprintf(stderr, "chance: %s: %d %s\n", what, r, r < 0 ? strerror(-r) : "");
	exit(1);
}

/* SplitMix64. */
static uint32_t rnd(struct chance *c, uint32_t below)
{
	uint64_t z = c->seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ (z >> 31)) % below);
}

/* One stanza, and room for its strings. What message ${k} is follows from ${k} alone, so that a copy of it is the same. */
struct made {
	struct message m;
	char from[64], to[64], id[64], target[64], body[TEXT], text[64];
};

static const char *contact(char buf[64], unsigned int k, const char *resource)
{
	snprintf(buf, 64, "contact%u@example.net%s", k % CONTACTS, resource);
	return buf;
}

static bool is_outgoing(unsigned int k)
{
	return k % 4 == 3;
}

static void make_text(struct chance *c, struct made *x, unsigned int k)
{
	char own[64];

	message_init(&x->m);
	snprintf(own, sizeof(own), "%s/tablet", c->own);
	contact(x->from, k, "/phone");
	snprintf(x->to, sizeof(x->to), "%s", c->own);
	if (is_outgoing(k)) {
		contact(x->to, k, "");
		snprintf(x->from, sizeof(x->from), "%s", own);
	}
	snprintf(x->id, sizeof(x->id), "%s-%u", c->prefix, k);
	snprintf(x->body, sizeof(x->body), "%s text %u %.*s", c->prefix, k, (int)(k * 37 % 120),
		 "and a tail so that rows differ in length, which pages of a feed and their limits in bytes should not "
		 "care about, but who knows");
	x->m.payload = PAYLOAD_TEXT;
	x->m.from = x->from;
	x->m.to = x->to;
	x->m.type = "chat";
	x->m.id = x->id;
	x->m.origin_id = k % 3 ? x->id : "";
	x->m.body = x->body;
	x->m.via = is_outgoing(k) ? VIA_CARBON : VIA_LIVE;
	if (k % 5 == 0 && k > 0) {
		snprintf(x->target, sizeof(x->target), "%s-%u", c->prefix, k - k % CONTACTS);
		x->m.reply_id = x->target;
	}
}

/* About an earlier message, or one that is still to come. */
static void make_about(struct chance *c, struct made *x, enum message_payload payload)
{
	unsigned int back = rnd(c, RECENT), k = c->serial > back ? c->serial - back : c->serial + rnd(c, 5);
	bool ours = payload == PAYLOAD_REACTION || payload == PAYLOAD_MARKER ? rnd(c, 2) == 0 : is_outgoing(k);

	make_text(c, x, k);
	snprintf(x->target, sizeof(x->target), "%s", x->id);
	snprintf(x->id, sizeof(x->id), "%s-about-%u", c->prefix, rnd(c, 1u << 30));
	x->m.origin_id = x->m.reply_id = "";
	if (payload == PAYLOAD_RECEIPT || payload == PAYLOAD_ERROR)
		ours = false;
	if (ours) {
		snprintf(x->from, sizeof(x->from), "%s/tablet", c->own);
		contact(x->to, k, "");
		x->m.via = VIA_CARBON;
	} else {
		contact(x->from, k, "/phone");
		snprintf(x->to, sizeof(x->to), "%s", c->own);
		x->m.via = VIA_LIVE;
	}
	x->m.payload = payload;
	x->m.target_id = x->target;
	if (payload == PAYLOAD_TEXT) { /* a correction */
		x->m.replace_id = x->target;
		x->m.target_id = "";
		snprintf(x->body, sizeof(x->body), "%s corrected %u", x->target, rnd(c, 1000));
		return;
	}
	x->m.body = "";
	if (payload == PAYLOAD_ERROR) { /* it has the id of what it answers (RFC 6120 section 8.3.1) */
		x->m.target_id = "";
		x->m.id = x->target;
		x->m.type = "error";
		x->m.error = "service-unavailable";
	}
	if (payload == PAYLOAD_REACTION) {
		snprintf(x->text, sizeof(x->text), "%s", rnd(c, 4) ? "\xf0\x9f\x91\x8d\n\xe2\x9d\xa4" : "");
		x->m.text = x->text;
	}
}

static void put_live(struct chance *c, const struct message *m)
{
	struct put_outcome out;

	check(archive_put_live(c->s, c->account, c->archive, c->own, m, clock_real_us(), false, &out), "live");
}

/* The newest page: copies of what came live, and messages that did not. Coverage grows by it, or begins anew after a gap. */
static void put_page(struct chance *c)
{
	struct made x[PAGE];
	const struct message *items[PAGE];
	struct put_outcome out[PAGE];
	struct cover cover = { 0 };
	char aid[PAGE][64];
	size_t n = 1 + rnd(c, PAGE);
	const struct archive_page page = { .items = items, .n = n, .below_id = c->last_archived, .above_id = "" };
	bool joins = *c->last_archived != '\0';

	for (size_t i = 0; i < n; i++) {
		make_text(c, &x[i], c->archived);
		snprintf(aid[i], sizeof(aid[i]), "%s-a%06u", c->prefix, c->archived);
		x[i].m.via = VIA_ARCHIVE;
		x[i].m.archive_id = aid[i];
		x[i].m.archive_us = clock_real_us();
		items[i] = &x[i].m;
		c->archived++;
	}
	if (c->serial < c->archived)
		c->serial = c->archived;
	check(cover_read(c->s, c->archive, &cover), "cover");
	check(archive_put(c->s, c->account, c->archive, c->own, &page, clock_real_us(), out), "page");
	if (!joins) {
		cover_load(&cover, aid[0], x[0].m.archive_us, aid[n - 1], x[n - 1].m.archive_us, cover.n == 0 ? SPAN_START : 0);
	} else {
		str_set(&cover.spans[cover.n - 1].last.id, aid[n - 1]);
		cover.spans[cover.n - 1].last.us = x[n - 1].m.archive_us;
	}
	check(cover_write(c->s, c->archive, &cover), "cover");
	snprintf(c->last_archived, sizeof(c->last_archived), "%s", aid[n - 1]);
	cover_deinit(&cover);
}

static void put_contact(struct chance *c)
{
	char jid[64], name[64], groups[64];
	struct roster_item item = { .jid = jid, .name = name, .groups = groups };

	snprintf(jid, sizeof(jid), "contact%u@example.net", rnd(c, ROSTER));
	snprintf(name, sizeof(name), "Name %u", rnd(c, 1000));
	snprintf(groups, sizeof(groups), "%s", rnd(c, 2) ? "friends" : "");
	item.subscription = rnd(c, 3) ? "both" : "remove";
	check(roster_put(c->s, c->account, &item), "roster");
}

void chance_write(struct chance *c)
{
	static const enum message_payload about[] = { PAYLOAD_TEXT, PAYLOAD_REACTION, PAYLOAD_RETRACTION, PAYLOAD_RECEIPT,
						       PAYLOAD_MARKER, PAYLOAD_ERROR };
	uint32_t dice = rnd(c, 100);
	struct made x;

	check(store_begin(c->s), "begin");
	if (dice < 45) {
		make_text(c, &x, c->serial++);
		put_live(c, &x.m);
	} else if (dice < 80) {
		make_about(c, &x, about[rnd(c, ARRAY_SIZE(about))]);
		put_live(c, &x.m);
	} else if (dice < 90) {
		put_page(c);
	} else {
		put_contact(c);
	}
	check(store_commit(c->s), "commit");
}
