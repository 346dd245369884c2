/*
 * Bytes from the network -> records. Whatever comes in, no record that goes out may break a limit of the link or hold
 * text that D-Bus refuses, and cutting the bytes differently may not change what is read.
 *
 *   clang -fsanitize=fuzzer,address,undefined   LLVMFuzzerTestOneInput() is the entry (tests/fuzz/meson.build)
 *   otherwise                                   main() replays the directories and files named: the normal test run
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/log.h"
#include "core/text.h"
#include "link/link.h"
#include "wire/element.h"
#include "wire/iq.h"
#include "wire/mam.h"
#include "wire/record.h"
#include "wire/settle.h"
#include "wire/xml.h"

#define ME "alice@chat.test"
#define HEADER "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	xmpp_ctx_t *ctx;
	struct record_context context;
	struct iq_table *iqs;
	struct mam *mam;
	struct settle *settle;
	size_t stanzas;
	size_t records;
};

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz-stanza: %s\n", what);
	abort();
}

#define CHECK_STR(name, max)                                                                                         \
	must(v->name &&strlen(v->name) <= (max), #name " too long");                                                 \
	must(text_is_utf8(v->name) && text_is_clean(v->name), #name " not clean");
#define CHECK_U32(name, max)
#define CHECK_U64(name, max)
#define CHECK_I64(name, max)
#define CHECK_BOOL(name, max)
#define CHECK(type, name, max) CHECK_##type(name, max)
#define CHECK_CASE(NAME, name, tag, fields, dir)                                                                     \
	case LINK_##NAME: {                                                                                          \
		const struct tag *v _unused_ = &r->name;                                                             \
		fields(CHECK) break;                                                                                 \
	}

static void on_emit(void *userdata, const struct link_record *r)
{
	((struct run *)userdata)->records++;
	switch (r->kind) {
		LINK_VOCABULARY(CHECK_CASE)
	case LINK_KINDS:
		break;
	}
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

	run->stanzas++;
	if (element_is(el, "message", "jabber:client")) {
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
	run.settle = settle_new("chat.test", run.iqs, &ops);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run whole = run_once(data, size, 65536);
	struct run pieces = run_once(data, size, size > 4096 ? 1361 : 7);

	must(whole.stanzas == pieces.stanzas && whole.records == pieces.records, "pieces read differently");
	return 0;
}

#ifndef FUZZING_ENGINE
static int replay(const char *path)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };
	char data[65536];
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f) {
		perror(path);
		return 1;
	}
	while ((n = fread(data, 1, sizeof(data), f)) > 0)
		buf_add(&b, data, n);
	fclose(f);
	LLVMFuzzerTestOneInput((const uint8_t *)buf_str(&b), b.len);
	return 0;
}

/* 1 on a directory that cannot be read or has nothing in it: a corpus that is not there must not pass. */
static int replay_all(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int files = 0, failed = 0;

	if (!d)
		return replay(path);
	while ((e = readdir(d))) {
		_cleanup_(freep) char *file = xasprintf("%s/%s", path, e->d_name);

		if (e->d_name[0] == '.')
			continue;
		files++;
		failed |= replay(file);
	}
	closedir(d);
	printf("%s: %d files\n", path, files);
	return failed || files == 0;
}

int main(int argc, char **argv)
{
	int failed = argc < 2;

	for (int i = 1; i < argc; i++)
		failed |= replay_all(argv[i]);
	return failed;
}
#endif
