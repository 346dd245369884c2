/* wire/mam.c and wire/iq.c: what is asked, and whose answer counts (I4, I8, A2, A14). */
#include "base/buf.h"
#include "link/link.h"
#include "wire-test.h"
#include "wire/limits.h"
#include "wire/mam.h"

#define ME "alice@chat.test"
#define SECOND INT64_C(1000000)

/* The wire around it: what was sent, and which records came out, one word each. */
struct bench {
	struct record_context context;
	struct iq_table *iqs;
	struct mam *mam;
	struct buf sent;
	struct buf records;
	int64_t now_us;
};

static void on_send(void *userdata, const char *xml)
{
	struct bench *b = userdata;

	buf_reset(&b->sent);
	buf_adds(&b->sent, xml);
}

static void on_emit(void *userdata, const struct link_record *r)
{
	struct bench *b = userdata;

	buf_addf(&b->records, "%s", link_kind_name(r->kind));
	if (r->kind == LINK_MSG)
		buf_addf(&b->records, ":%u:%u:%s:%s", r->msg.n, r->msg.query, r->msg.archive_id, r->msg.body);
	else if (r->kind == LINK_FIN)
		buf_addf(&b->records, ":%u:%u:%s-%s:%s:%s", r->fin.n, r->fin.query, r->fin.first, r->fin.last,
			 r->fin.complete ? "complete" : "more", r->fin.stable ? "stable" : "unstable");
	else if (r->kind == LINK_META)
		buf_addf(&b->records, ":%u:%s:%s-%s:%lld-%lld", r->meta.query, r->meta.empty ? "empty" : "some",
			 r->meta.start_id, r->meta.end_id, (long long)r->meta.start_us, (long long)r->meta.end_us);
	else if (r->kind == LINK_QUERY_FAILED)
		buf_addf(&b->records, ":%u:%s:%s", r->query_failed.query, r->query_failed.condition,
			 r->query_failed.text);
	buf_adds(&b->records, " ");
}

static int64_t on_now(void *userdata)
{
	return ((struct bench *)userdata)->now_us;
}

static struct bench *bench_new(void)
{
	struct bench *b = xnew(struct bench);
	const struct mam_ops ops = { .send = on_send, .emit = on_emit, .now = on_now, .userdata = b };

	b->context = (struct record_context){ .bare = ME, .domain = "chat.test", .stanza_ids = true };
	b->iqs = iq_table_new(ME);
	b->mam = mam_new(&b->context, b->iqs, &ops);
	b->now_us = SECOND;
	return b;
}

static void bench_free(struct bench *b)
{
	mam_free(b->mam);
	iq_table_free(b->iqs);
	buf_deinit(&b->sent);
	buf_deinit(&b->records);
	free(b);
}

static void bench_freep(struct bench **b)
{
	bench_free(*b);
}

static void ask(struct bench *b, uint32_t query, const char *archive)
{
	const struct link_query q = { .query = query, .archive = archive, .cursor = "", .with = "", .max = 50, .backward = true };

	mam_query(b->mam, &q);
}

/* The value of ${name}='...' in what was sent last. */
static char *sent_attr(struct bench *b, const char *name)
{
	_cleanup_(freep) char *key = xasprintf(" %s='", name);
	const char *at = strstr(b->sent.data, key);

	assert_non_null(at);
	at += strlen(key);
	return xstrndup(at, strcspn(at, "'"));
}

static bool result(struct bench *b, uint32_t n, const char *from, const char *queryid, const char *id)
{
	_cleanup_(freep) char *text = xasprintf(
		"<message%s%s%s to='" ME "/r'><result xmlns='urn:xmpp:mam:2' queryid='%s' id='%s'><forwarded "
		"xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='1970-01-01T00:00:0%sZ'/><message "
		"xmlns='jabber:client' from='bob@x/1' to='" ME "'><body>b%s</body></message></forwarded></result>"
		"</message>",
		from ? " from='" : "", from ? from : "", from ? "'" : "", queryid, id, id, id);
	_cleanup_(element_releasep) xmpp_stanza_t *m = parse(text, NULL);

	return mam_take(b->mam, m, NULL, n);
}

static bool answer(struct bench *b, uint32_t n, const char *type, const char *id, const char *from,
		   const char *payload)
{
	_cleanup_(freep) char *text = xasprintf("<iq type='%s' id='%s'%s%s%s>%s</iq>", type, id,
						from ? " from='" : "", from ? from : "", from ? "'" : "", payload);
	_cleanup_(element_releasep) xmpp_stanza_t *iq = parse(text, NULL);

	return iq_settle(b->iqs, iq, NULL, n);
}

#define FIN(attrs, set) "<fin xmlns='urn:xmpp:mam:2' " attrs ">" set "</fin>"
#define SET(first, last)                                                                                             \
	"<set xmlns='http://jabber.org/protocol/rsm'><first>" first "</first><last>" last "</last></set>"

TEST(a_query_for_the_newest_page)
{
	_cleanup_(buf_deinit) struct buf out = { 0 };
	const struct link_query q = { .archive = "", .cursor = "", .with = "", .max = 250, .backward = true };

	mam_build(&out, &q, "i", "q");
	assert_string_equal(out.data, "<iq type='set' id='i'><query xmlns='urn:xmpp:mam:2' queryid='q'><set "
				      "xmlns='http://jabber.org/protocol/rsm'><max>250</max><before></before></set>"
				      "</query></iq>");
}

TEST(a_query_with_times_and_a_cursor_that_needs_escaping)
{
	_cleanup_(buf_deinit) struct buf out = { 0 };
	const struct link_query q = {
		.archive = "room@muc", .cursor = "a<'&b", .with = "", .max = 0, .start_us = SECOND / 2, .end_us = 60 * SECOND
	};

	mam_build(&out, &q, "i", "q");
	assert_string_equal(
		out.data,
		"<iq type='set' id='i' to='room@muc'><query xmlns='urn:xmpp:mam:2' queryid='q'><x "
		"xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2"
		"</value></field><field var='start'><value>1970-01-01T00:00:00.500000Z</value></field><field "
		"var='end'><value>1970-01-01T00:01:00Z</value></field></x><set "
		"xmlns='http://jabber.org/protocol/rsm'>"
		"<max>1000</max><after>a&lt;&apos;&amp;b</after></set></query></iq>");
}

TEST(a_query_for_one_conversation)
{
	_cleanup_(buf_deinit) struct buf out = { 0 };
	const struct link_query q = { .archive = "", .cursor = "", .with = "o'b@x", .max = 10, .backward = true };

	mam_build(&out, &q, "i", "q");
	assert_non_null(strstr(out.data, "<value>urn:xmpp:mam:2</value></field><field var='with'><value>o&apos;b@x</value>"
					 "</field></x>"));
}

TEST(a_query_from_the_oldest_end_has_no_cursor_element)
{
	_cleanup_(buf_deinit) struct buf out = { 0 };
	const struct link_query q = { .archive = "", .cursor = "", .with = "", .max = 10 };

	mam_build(&out, &q, "i", "q");
	assert_null(strstr(out.data, "<after>"));
	assert_null(strstr(out.data, "<before>"));
}

TEST(a_page_is_its_results_and_then_fin)
{
	_cleanup_(bench_freep) struct bench *b = bench_new();
	_cleanup_(freep) char *id = NULL, *queryid = NULL;

	ask(b, 7, "");
	id = sent_attr(b, "id");
	queryid = sent_attr(b, "queryid");
	assert_true(result(b, 3, NULL, queryid, "1"));
	assert_true(result(b, 4, ME, queryid, "2"));
	assert_true(answer(b, 5, "result", id, ME, FIN("complete='true'", SET("1", "2"))));
	assert_string_equal(buf_str(&b->records), "MSG:3:7:1:b1 MSG:4:7:2:b2 FIN:5:7:1-2:complete:stable ");
	assert_int_equal(mam_open(b->mam), 0);
}

TEST(A2_A14_fin_is_reported_as_it_is_without_complete_and_without_set)
{
	_cleanup_(bench_freep) struct bench *b = bench_new();
	_cleanup_(freep) char *id = NULL;

	ask(b, 1, "");
	id = sent_attr(b, "id");
	assert_true(answer(b, 1, "result", id, NULL, FIN("stable='false'", "")));
	assert_string_equal(buf_str(&b->records), "FIN:1:1:-:more:unstable ");
}

TEST(I4_a_result_without_an_open_query_is_dropped)
{
	_cleanup_(bench_freep) struct bench *b = bench_new();

	assert_true(result(b, 1, NULL, "q", "1"));
	assert_string_equal(buf_str(&b->records), "");
}

TEST(I4_a_result_with_the_right_queryid_from_somebody_else_is_dropped)
{
	_cleanup_(bench_freep) struct bench *b = bench_new();
	_cleanup_(freep) char *id = NULL, *queryid = NULL;

	ask(b, 1, "");
	id = sent_attr(b, "id");
	queryid = sent_attr(b, "queryid");
	assert_true(result(b, 1, "eve@chat.test/x", queryid, "1"));
	assert_true(result(b, 1, ME "/r", queryid, "2"));
	assert_true(answer(b, 2, "result", id, NULL, FIN("complete='true'", "")));
	/* nor do they count as progress */
	assert_string_equal(buf_str(&b->records), "FIN:2:1:-:complete:stable ");
}

TEST(I4_a_result_from_the_archive_of_another_open_query_is_dropped)
{
	_cleanup_(bench_freep) struct bench *b = bench_new();
	_cleanup_(freep) char *own = NULL, *room = NULL;

	ask(b, 1, "");
	own = sent_attr(b, "queryid");
	ask(b, 2, "room@muc");
	room = sent_attr(b, "queryid");
	assert_string_not_equal(own, room);
	assert_true(result(b, 1, "room@muc", own, "1"));
	assert_true(result(b, 1, ME, room, "2"));
	assert_string_equal(buf_str(&b->records), "");
	assert_true(result(b, 1, "room@muc", room, "3"));
	assert_string_equal(buf_str(&b->records), "MSG:1:2:3:b3 ");
}

TEST(I4_a_result_after_fin_is_dropped)
{
	_cleanup_(bench_freep) struct bench *b = bench_new();
	_cleanup_(freep) char *id = NULL, *queryid = NULL;

	ask(b, 1, "");
	id = sent_attr(b, "id");
	queryid = sent_attr(b, "queryid");
	assert_true(answer(b, 2, "result", id, NULL, FIN("complete='true'", "")));
	buf_reset(&b->records);
	assert_true(result(b, 3, NULL, queryid, "1"));
	assert_string_equal(buf_str(&b->records), "");
}

/* What follows is dropped, as above: an end that names messages none of which came would prove that they are here. */
TEST(a_fin_before_its_results_proves_nothing)
{
	_cleanup_(bench_freep) struct bench *b = bench_new();
	_cleanup_(freep) char *id = NULL;

	ask(b, 1, "");
	id = sent_attr(b, "id");
	assert_true(answer(b, 2, "result", id, NULL,
			   FIN("complete='true'", "<set xmlns='http://jabber.org/protocol/rsm'><first>1</first><last>9</last></set>")));
	assert_string_equal(buf_str(&b->records), "QUERY_FAILED:1:undefined-condition: ");
}

TEST(I8_an_answer_from_somebody_else_is_no_answer)
{
	_cleanup_(bench_freep) struct bench *b = bench_new();
	_cleanup_(freep) char *id = NULL;

	ask(b, 1, "");
	id = sent_attr(b, "id");
	assert_false(answer(b, 1, "result", id, "eve@chat.test", FIN("complete='true'", "")));
	assert_false(answer(b, 1, "result", id, "chat.test", FIN("complete='true'", "")));
	assert_false(answer(b, 1, "result", "other", NULL, FIN("complete='true'", "")));
	assert_int_equal(mam_open(b->mam), 1);
	assert_true(answer(b, 1, "result", id, NULL, FIN("complete='true'", "")));
	/* and only once */
	assert_false(answer(b, 1, "result", id, NULL, FIN("complete='true'", "")));
}

TEST(B7_item_not_found_is_told_by_condition_whatever_its_type)
{
	_cleanup_(bench_freep) struct bench *b = bench_new();
	_cleanup_(freep) char *id = NULL;

	ask(b, 9, "");
	id = sent_attr(b, "id");
	assert_true(answer(b, 1, "error", id, NULL,
			   "<error type='modify'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text "
			   "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>no</text></error>"));
	assert_string_equal(buf_str(&b->records), "QUERY_FAILED:9:item-not-found:no ");
}

TEST(a_page_that_takes_too_long_fails_and_what_comes_later_is_dropped)
{
	_cleanup_(bench_freep) struct bench *b = bench_new();
	_cleanup_(freep) char *queryid = NULL;

	ask(b, 1, "");
	queryid = sent_attr(b, "queryid");
	assert_true(iq_expire(b->iqs, b->now_us) == b->now_us + QUERY_TIMEOUT_US);
	assert_true(iq_expire(b->iqs, b->now_us + QUERY_TIMEOUT_US) == 0);
	assert_string_equal(buf_str(&b->records), "QUERY_FAILED:1:remote-server-timeout: ");
	buf_reset(&b->records);
	assert_true(result(b, 3, NULL, queryid, "1"));
	assert_string_equal(buf_str(&b->records), "");
}

TEST(too_many_open_queries_are_refused)
{
	_cleanup_(bench_freep) struct bench *b = bench_new();

	for (uint32_t i = 0; i < QUERIES_MAX; i++)
		ask(b, i + 1, "");
	assert_string_equal(buf_str(&b->records), "");
	ask(b, 1000, "");
	assert_string_equal(buf_str(&b->records), "QUERY_FAILED:1000:resource-constraint: ");
}

#define META_XML                                                                                                     \
	"<metadata xmlns='urn:xmpp:mam:2'><start id='s' timestamp='1970-01-01T00:00:01Z'/><end id='e' "              \
	"timestamp='1970-01-01T00:00:02Z'/></metadata>"

TEST(the_ends_by_metadata)
{
	_cleanup_(bench_freep) struct bench *b = bench_new();
	const struct link_meta_query q = { .query = 4, .archive = "" };
	_cleanup_(freep) char *id = NULL;

	mam_set_extended(b->mam, true);
	mam_meta_query(b->mam, &q);
	assert_non_null(strstr(b->sent.data, "<metadata xmlns='urn:xmpp:mam:2'/>"));
	id = sent_attr(b, "id");
	assert_true(answer(b, 1, "result", id, NULL, META_XML));
	assert_string_equal(buf_str(&b->records), "META:4:some:s-e:1000000-2000000 ");
}

/* One message from each end, hidden behind the same record. */
static void answer_both_ends(struct bench *b)
{
	_cleanup_(freep) char *id1 = sent_attr(b, "id"), *q1 = sent_attr(b, "queryid");
	_cleanup_(freep) char *id2 = NULL, *q2 = NULL;

	assert_non_null(strstr(b->sent.data, "<max>1</max></set>"));
	assert_true(result(b, 1, NULL, q1, "1"));
	assert_true(answer(b, 2, "result", id1, NULL, FIN("", SET("1", "1"))));
	assert_non_null(strstr(b->sent.data, "<max>1</max><before></before></set>"));
	id2 = sent_attr(b, "id");
	q2 = sent_attr(b, "queryid");
	assert_true(result(b, 3, NULL, q1, "8")); /* late, of the first */
	assert_true(result(b, 3, NULL, q2, "9"));
	assert_true(answer(b, 4, "result", id2, NULL, FIN("", SET("9", "9"))));
}

TEST(the_ends_without_metadata)
{
	_cleanup_(bench_freep) struct bench *b = bench_new();
	const struct link_meta_query q = { .query = 4, .archive = "" };

	mam_meta_query(b->mam, &q);
	answer_both_ends(b);
	assert_string_equal(buf_str(&b->records), "META:4:some:1-9:1000000-9000000 ");
}

TEST(the_ends_when_metadata_is_announced_and_refused)
{
	_cleanup_(bench_freep) struct bench *b = bench_new();
	const struct link_meta_query q = { .query = 4, .archive = "" };
	_cleanup_(freep) char *id = NULL;

	mam_set_extended(b->mam, true);
	mam_meta_query(b->mam, &q);
	id = sent_attr(b, "id");
	assert_true(answer(b, 1, "error", id, NULL,
			   "<error type='cancel'><service-unavailable "
			   "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"));
	answer_both_ends(b);
	assert_string_equal(buf_str(&b->records), "META:4:some:1-9:1000000-9000000 ");
}

TEST(the_ends_of_an_empty_archive)
{
	_cleanup_(bench_freep) struct bench *b = bench_new();
	const struct link_meta_query q = { .query = 4, .archive = "" };
	_cleanup_(freep) char *id = NULL, *id2 = NULL;

	mam_meta_query(b->mam, &q);
	id = sent_attr(b, "id");
	assert_true(answer(b, 1, "result", id, NULL, FIN("complete='true'", "")));
	mam_set_extended(b->mam, true);
	mam_meta_query(b->mam, &q);
	id2 = sent_attr(b, "id");
	assert_true(answer(b, 1, "result", id2, NULL, "<metadata xmlns='urn:xmpp:mam:2'/>"));
	assert_string_equal(buf_str(&b->records), "META:4:empty:-:0-0 META:4:empty:-:0-0 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(a_query_for_the_newest_page),
		RUN(a_query_with_times_and_a_cursor_that_needs_escaping),
		RUN(a_query_for_one_conversation),
		RUN(a_query_from_the_oldest_end_has_no_cursor_element),
		RUN(a_page_is_its_results_and_then_fin),
		RUN(A2_A14_fin_is_reported_as_it_is_without_complete_and_without_set),
		RUN(I4_a_result_without_an_open_query_is_dropped),
		RUN(I4_a_result_with_the_right_queryid_from_somebody_else_is_dropped),
		RUN(I4_a_result_from_the_archive_of_another_open_query_is_dropped),
		RUN(I4_a_result_after_fin_is_dropped),
		RUN(a_fin_before_its_results_proves_nothing),
		RUN(I8_an_answer_from_somebody_else_is_no_answer),
		RUN(B7_item_not_found_is_told_by_condition_whatever_its_type),
		RUN(a_page_that_takes_too_long_fails_and_what_comes_later_is_dropped),
		RUN(too_many_open_queries_are_refused),
		RUN(the_ends_by_metadata),
		RUN(the_ends_without_metadata),
		RUN(the_ends_when_metadata_is_announced_and_refused),
		RUN(the_ends_of_an_empty_archive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
