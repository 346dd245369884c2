/*
 * Bytes from the network -> records. Whatever comes in, no record that goes out may break a limit of the link or hold
 * text that D-Bus refuses, and cutting the bytes differently may not change what is read.
 */
#include <stdint.h>
#include <string.h>

#include "core/text.h"
#include "fuzz.h"
#include "link/link.h"
#include "records.h"
#include "wire/element.h"
#include "wire/iq.h"
#include "wire/mam.h"
#include "wire/notice.h"
#include "wire/record.h"
#include "wire/settle.h"
#include "wire/xml.h"

#define ME "alice@chat.test"
#define HEADER "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

struct run {
	xmpp_ctx_t *ctx;
	struct record_context context;
	struct iq_table *iqs;
	struct mam *mam;
	struct settle *settle;
	size_t stanzas;
	size_t records;
};

static void on_emit(void *userdata, const struct link_record *r)
{
	((struct run *)userdata)->records++;
	must_fit(r);
}

static void on_send(_unused_ void *userdata, const char *xml)
{
	must(text_is_utf8(xml), "sent what is not UTF-8");
}

static int64_t on_now(_unused_ void *userdata)
{
	return 1;
}

static void emit_message(struct run *run, const struct record *rec)
{
	struct link_record r;

	link_record_init(&r, LINK_MSG);
	r.msg = rec->message;
	on_emit(run, &r);
}

static void take(struct run *run, xmpp_stanza_t *el, const char *dropped)
{
	xmpp_stanza_t *result = element_child(el, "result", "urn:xmpp:mam:2");
	struct record rec;
	struct link_fin fin = { 0 };
	char *hold[2];
	const struct notice_sink to = { .emit = on_emit, .userdata = run };

	run->stanzas++;
	if (element_is(el, "presence", "jabber:client"))
		notice_presence(&run->context, el, dropped, 1, &to);
	if (element_is(el, "message", "jabber:client")) {
		notice_event(&run->context, el, dropped, 1, &to);
		notice_typing(&run->context, el, dropped, 1, &to);
		if (record_live(&run->context, el, dropped, &rec) == 0)
			emit_message(run, &rec);
		record_deinit(&rec);
		/* As if the query were open: what its results may hold is the matter here. */
		if (result && record_archived(&run->context, result, dropped, &rec) == 0)
			emit_message(run, &rec);
		if (result)
			record_deinit(&rec);
		mam_take(run->mam, el, dropped, 1);
	}
	if (element_is(el, "iq", "jabber:client")) {
		settle_emit_roster(run->settle, el, 1, true);
		notice_block_push(el, 1, &to);
		notice_blocklist(el, 1, &to);
		notice_read_states(&run->context, el, 1, &to);
		iq_settle(run->iqs, el, dropped, 1);
		if (mam_read_fin(el, &fin, hold))
			must(strlen(fin.first) <= ID_MAX && strlen(fin.last) <= ID_MAX, "fin too long");
		free(hold[0]);
		free(hold[1]);
	}
}

/* Read ${data} in pieces of ${piece} bytes. */
static struct run run_once(const uint8_t *data, size_t size, size_t piece)
{
	struct run run = { .ctx = xmpp_ctx_new(NULL, NULL),
			   .context = { .bare = ME, .domain = "chat.test", .stanza_ids = true },
			   .iqs = iq_table_new(ME) };
	const struct mam_ops ops = { .send = on_send, .emit = on_emit, .now = on_now, .userdata = &run };
	struct xml *x = xml_new(run.ctx);
	struct xml_event ev;

	run.mam = mam_new(&run.context, run.iqs, &ops);
	run.settle = settle_new("chat.test", &run.context, run.iqs, &ops);
	settle_begin(run.settle);
	xml_set_own(x, ME);
	xml_feed(x, HEADER, strlen(HEADER));
	for (size_t at = 0; at < size; at += piece) {
		xml_feed(x, (const char *)data + at, size - at < piece ? size - at : piece);
		while (xml_next(x, &ev) != XML_NOTHING) {
			if (ev.kind == XML_STANZA)
				take(&run, ev.element, ev.dropped);
			if (ev.element)
				xmpp_stanza_release(ev.element);
		}
	}
	xml_free(x);
	settle_free(run.settle);
	mam_free(run.mam);
	iq_table_free(run.iqs);
	xmpp_ctx_free(run.ctx);
	return run;
}

void fuzz_one(const uint8_t *data, size_t size)
{
	struct run whole = run_once(data, size, 65536);
	struct run pieces = run_once(data, size, size > 4096 ? 1361 : 7);

	must(whole.stanzas == pieces.stanzas && whole.records == pieces.records, "pieces read differently");
}
