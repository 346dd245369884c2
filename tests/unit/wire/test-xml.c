/* wire/xml.c: every row of the table of hostile input (docs/decisions/0002), by name. */
#include <sys/resource.h>
#include <time.h>

#include "base/buf.h"
#include "core/message.h"
#include "wire-test.h"
#include "wire/limits.h"

static double cpu_seconds(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

static void expect_broken(const char *text, size_t len, const char *condition)
{
	_cleanup_(xml_freep) struct xml *x = open_reader();
	struct xml_event ev;

	xml_feed(x, text, len);
	while (xml_next(x, &ev) == XML_STANZA)
		xmpp_stanza_release(ev.element);
	assert_int_equal(ev.kind, XML_BROKEN);
	assert_string_equal(ev.condition, condition);
	/* and it stays so */
	xml_feed(x, "<message/>", 10);
	assert_int_equal(xml_next(x, &ev), XML_NOTHING);
}

static void expect_broken_str(const char *text, const char *condition)
{
	expect_broken(text, strlen(text), condition);
}

static void repeat(struct buf *b, const char *s, size_t n)
{
	while (n-- > 0)
		buf_adds(b, s);
}

/* The stanza in ${b} is dropped for ${why}, keeps its id, and the one after it arrives whole. */
static void expect_dropped(struct buf *b, const char *why)
{
	_cleanup_(xml_freep) struct xml *x = open_reader();
	struct xml_event ev;

	buf_adds(b, "<message id='after'><body>still here</body></message>");
	xml_feed(x, b->data, b->len);
	assert_int_equal(xml_next(x, &ev), XML_STANZA);
	assert_non_null(ev.dropped);
	assert_string_equal(ev.dropped, why);
	assert_string_equal(element_name(ev.element), "message");
	assert_string_equal(element_attr(ev.element, "id"), "m1");
	assert_string_equal(element_attr(ev.element, "from"), "bob@chat.test/x");
	xmpp_stanza_release(ev.element);
	assert_int_equal(xml_next(x, &ev), XML_STANZA);
	assert_null(ev.dropped);
	assert_string_equal(element_attr(ev.element, "id"), "after");
	xmpp_stanza_release(ev.element);
}

TEST(a_stanza_keeps_names_namespaces_attributes_and_text)
{
	_cleanup_(element_releasep) xmpp_stanza_t *m =
		parse("<message from='a@b/c' type='chat' xml:lang='de'><body>x &lt;<![CDATA[&y]]> &#x1F600;</body>"
		      "<p:q xmlns:p='urn:p' z='1'><p:r/></p:q></message>",
		      NULL);
	_cleanup_(freep) char *body = element_child_text(m, "body", "jabber:client");
	xmpp_stanza_t *q = element_child(m, "q", "urn:p");

	assert_true(element_is(m, "message", "jabber:client"));
	assert_string_equal(element_attr(m, "from"), "a@b/c");
	assert_string_equal(element_attr(m, "xml:lang"), "de");
	assert_string_equal(body, "x <&y \xf0\x9f\x98\x80");
	assert_non_null(q);
	assert_string_equal(element_attr(q, "z"), "1");
	assert_non_null(element_child(q, "r", "urn:p"));
	assert_null(element_child(m, "q", "jabber:client"));
}

TEST(bytes_may_come_one_at_a_time)
{
	const char *text = "<message id='1'><body>a&amp;b</body></message> \n<presence/>";
	_cleanup_(xml_freep) struct xml *x = open_reader();
	struct xml_event ev;
	int stanzas = 0;

	for (const char *p = text; *p; p++) {
		xml_feed(x, p, 1);
		while (xml_next(x, &ev) == XML_STANZA) {
			stanzas++;
			xmpp_stanza_release(ev.element);
		}
	}
	assert_int_equal(stanzas, 2);
}

/* libstrophe: freezes, nothing of the 60 later stanzas is delivered (expat's reparse deferral). */
TEST(a_tag_of_9_kB_does_not_hold_back_what_follows)
{
	_cleanup_(xml_freep) struct xml *x = open_reader();
	_cleanup_(buf_deinit) struct buf b = { 0 };
	struct xml_event ev;

	buf_adds(&b, "<message id='long' z='");
	repeat(&b, "a", 9000);
	buf_adds(&b, "'/>");
	/* in pieces, as TCP does */
	for (size_t at = 0; at < b.len; at += 1400)
		xml_feed(x, b.data + at, b.len - at < 1400 ? b.len - at : 1400);
	assert_int_equal(xml_next(x, &ev), XML_STANZA);
	assert_null(ev.dropped);
	assert_int_equal(strlen(element_attr(ev.element, "z")), 9000);
	xmpp_stanza_release(ev.element);
}

TEST(a_tag_over_its_limit_is_dropped_and_the_next_stanza_arrives)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };

	buf_adds(&b, "<message from='bob@chat.test/x' id='m1' z='");
	repeat(&b, "a", TAG_MAX + 1);
	buf_adds(&b, "'><body>hi</body></message>");
	expect_dropped(&b, "tag too long");
}

TEST(a_long_tag_inside_a_result_leaves_the_archive_id)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };
	_cleanup_(element_releasep) xmpp_stanza_t *m = NULL;
	xmpp_stanza_t *result;
	const char *dropped;

	buf_adds(&b, "<message><result xmlns='urn:xmpp:mam:2' id='77' queryid='q'><forwarded "
		     "xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' z='");
	repeat(&b, "a", TAG_MAX + 1);
	buf_adds(&b, "'/></forwarded></result></message>");
	m = parse(b.data, &dropped);
	assert_string_equal(dropped, "tag too long");
	result = element_child(m, "result", "urn:xmpp:mam:2");
	assert_string_equal(element_attr(result, "id"), "77");
	assert_string_equal(element_attr(result, "queryid"), "q");
}

TEST(a_tag_that_never_ends_ends_the_stream)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };

	buf_adds(&b, "<message z='");
	repeat(&b, "aaaaaaaaaaaaaaaa", TOKEN_MAX / 16 + READ_CHUNK / 8);
	expect_broken(b.data, b.len, "policy-violation");
}

/* libstrophe: reports from='admin@chat.test' (the last attribute of that local name wins). */
TEST(a_prefixed_from_is_no_from)
{
	_cleanup_(element_releasep) xmpp_stanza_t *m =
		parse("<message xmlns:f='u' from='bob@chat.test/x' f:from='admin@chat.test' f:id='i' f:type='error' "
		      "f:to='t'><stanza-id xmlns='urn:xmpp:sid:0' f:by='alice@chat.test' f:id='1'/></message>",
		      NULL);
	xmpp_stanza_t *sid = element_child(m, "stanza-id", "urn:xmpp:sid:0");

	assert_string_equal(element_attr(m, "from"), "bob@chat.test/x");
	assert_string_equal(element_attr(m, "id"), "");
	assert_string_equal(element_attr(m, "type"), "");
	assert_string_equal(element_attr(m, "to"), "");
	assert_string_equal(element_attr(sid, "by"), "");
	assert_string_equal(element_attr(sid, "id"), "");
}

/* libstrophe: 18.6 s of CPU and 197 MB. */
TEST(a_text_of_64_MB_is_skipped_and_not_kept)
{
	static const char tail[] = "</body></message><message><body>next</body></message>";
	_cleanup_(xml_freep) struct xml *x = open_reader();
	static char chunk[64 * 1024];
	double start = cpu_seconds();
	struct xml_event ev = { 0 };
	struct rusage before, after;

	memset(chunk, 'a', sizeof(chunk));
	getrusage(RUSAGE_SELF, &before);
	xml_feed(x, "<message id='big'><body>", 24);
	for (size_t fed = 0; fed < 64u * 1024 * 1024; fed += sizeof(chunk)) {
		assert_int_equal(xml_next(x, &ev), XML_NOTHING);
		xml_feed(x, chunk, sizeof(chunk));
	}
	xml_feed(x, tail, sizeof(tail) - 1);
	assert_int_equal(xml_next(x, &ev), XML_STANZA);
	assert_string_equal(element_attr(ev.element, "id"), "big");
	xmpp_stanza_release(ev.element);
	assert_int_equal(xml_next(x, &ev), XML_STANZA);
	xmpp_stanza_release(ev.element);
	getrusage(RUSAGE_SELF, &after);
	assert_true(after.ru_maxrss - before.ru_maxrss < 8 * 1024);
	assert_true(cpu_seconds() - start < 5.0);
}

TEST(a_stanza_over_its_limit_is_dropped_and_the_next_one_arrives)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };

	buf_adds(&b, "<message from='bob@chat.test/x' id='m1'><body>");
	repeat(&b, "0123456789abcdef", 1024 * 1024 / 16);
	buf_adds(&b, "</body></message>");
	expect_dropped(&b, "stanza too large");
}

/* libstrophe: 1 MB of lines takes 1.5 s, 4 MB 25.6 s (a reallocation and a copy for each). */
TEST(a_text_of_newlines_is_not_quadratic)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };
	_cleanup_(element_releasep) xmpp_stanza_t *m = NULL;
	_cleanup_(freep) char *body = NULL;
	double start = cpu_seconds();

	buf_adds(&b, "<message><body>");
	repeat(&b, "\n", STANZA_MAX - 100);
	buf_adds(&b, "</body></message>");
	m = parse(b.data, NULL);
	body = element_child_text(m, "body", "jabber:client");
	assert_int_equal(strlen(body), STANZA_MAX - 100);
	assert_true(cpu_seconds() - start < 0.5);
}

/* libstrophe: appending is O(n): 80,000 children take 8.2 s. */
TEST(too_many_children_are_dropped)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };
	double start = cpu_seconds();

	buf_adds(&b, "<message from='bob@chat.test/x' id='m1'>");
	repeat(&b, "<a/>", 50000);
	buf_adds(&b, "</message>");
	expect_dropped(&b, "too many elements");
	assert_true(cpu_seconds() - start < 1.0);
}

/* libstrophe: a stack overflow at 100,000. */
TEST(deep_nesting_is_dropped)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };

	buf_adds(&b, "<message from='bob@chat.test/x' id='m1'>");
	repeat(&b, "<a>", 20000);
	repeat(&b, "</a>", 20000);
	buf_adds(&b, "</message>");
	expect_dropped(&b, "nested too deeply");
}

TEST(nesting_up_to_the_limit_is_kept)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };
	const char *dropped;

	buf_adds(&b, "<message>");
	repeat(&b, "<a>", DEPTH_MAX - 2);
	repeat(&b, "</a>", DEPTH_MAX - 2);
	buf_adds(&b, "</message>");
	xmpp_stanza_release(parse(b.data, &dropped));
	assert_null(dropped);
}

TEST(too_many_attributes_are_dropped)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };

	buf_adds(&b, "<message from='bob@chat.test/x' id='m1'");
	for (int i = 0; i < ATTRIBUTES_MAX; i++)
		buf_addf(&b, " a%d='1'", i);
	buf_adds(&b, "/>");
	expect_dropped(&b, "too many attributes");
}

TEST(an_iq_result_of_our_own_may_be_as_large_as_a_roster)
{
	_cleanup_(xml_freep) struct xml *x = open_reader();
	_cleanup_(buf_deinit) struct buf b = { 0 };
	struct xml_event ev;

	xml_set_own(x, "alice@chat.test");
	for (int foreign = 0; foreign < 2; foreign++) {
		buf_reset(&b);
		buf_addf(&b, "<iq type='result' id='r' from='%s'><query xmlns='jabber:iq:roster'>",
			 foreign ? "bob@chat.test/x" : "alice@chat.test");
		repeat(&b, "<item jid='a-contact-with-a-name-of-some-length@example.org'/>", 8000);
		buf_adds(&b, "</query></iq>");
		xml_feed(x, b.data, b.len);
		assert_int_equal(xml_next(x, &ev), XML_STANZA);
		assert_int_equal(ev.dropped != NULL, foreign);
		xmpp_stanza_release(ev.element);
	}
}

/* libstrophe: accepted and expanded. */
TEST(a_DTD_ends_the_stream)
{
	_cleanup_(xml_freep) struct xml *x = xml_new(test_ctx());
	struct xml_event ev;
	const char *text = "<?xml version='1.0'?><!DOCTYPE s [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>" STREAM_OPEN
			   "<message><body>&b;</body></message>";

	xml_feed(x, text, strlen(text));
	assert_int_equal(xml_next(x, &ev), XML_BROKEN);
	assert_string_equal(ev.condition, "restricted-xml");
}

TEST(a_doctype_after_the_root_ends_the_stream)
{
	expect_broken_str("<!DOCTYPE x>", "not-well-formed");
}

/* libstrophe: silently ignored. RFC 6120 section 11.1 forbids them. */
TEST(comments_and_processing_instructions_end_the_stream)
{
	expect_broken_str("<message><!-- c --></message>", "restricted-xml");
	expect_broken_str("<?php echo 1 ?>", "restricted-xml");
}

TEST(undefined_entities_end_the_stream)
{
	expect_broken_str("<message>&nbsp;</message>", "not-well-formed");
}

/* libstrophe: expat's error makes a zombie that answers each read with an error of its own, for ever. */
TEST(bad_UTF_8_ends_the_stream)
{
	expect_broken_str("<message>\xff</message>", "not-well-formed");
	expect_broken_str("<message>\xc0\xaf</message>", "not-well-formed"); /* overlong */
	expect_broken_str("<message>\xed\xa0\x80</message>", "not-well-formed"); /* surrogate */
}

TEST(NUL_and_control_characters_end_the_stream)
{
	expect_broken("<message>\0</message>", 20, "not-well-formed");
	expect_broken_str("<message>\x01</message>", "not-well-formed");
	expect_broken_str("<message>&#0;</message>", "not-well-formed");
}

TEST(mismatched_tags_end_the_stream)
{
	expect_broken_str("<message><body></message>", "not-well-formed");
	expect_broken_str("<message x:y='1'/>", "not-well-formed"); /* unbound prefix */
	expect_broken_str("<message a='1' a='2'/>", "not-well-formed");
}

TEST(text_between_stanzas_ends_the_stream_but_whitespace_is_a_keepalive)
{
	_cleanup_(xml_freep) struct xml *x = open_reader();
	static char spaces[1024 * 1024];
	struct xml_event ev;

	expect_broken_str("hello", "bad-format");
	memset(spaces, ' ', sizeof(spaces));
	for (int i = 0; i < 32; i++)
		xml_feed(x, spaces, sizeof(spaces));
	assert_int_equal(xml_next(x, &ev), XML_NOTHING);
	xml_feed(x, "<a/>", 4);
	assert_int_equal(xml_next(x, &ev), XML_STANZA);
	xmpp_stanza_release(ev.element);
}

/* libstrophe: encoding='UTF-16' and ISO-8859-1 are accepted. */
TEST(another_encoding_is_not_obeyed)
{
	_cleanup_(xml_freep) struct xml *x = xml_new(test_ctx());
	struct xml_event ev;
	const char *text = "<?xml version='1.0' encoding='ISO-8859-1'?>" STREAM_OPEN "<message>\xe4</message>";

	xml_feed(x, text, strlen(text));
	assert_int_equal(xml_next(x, &ev), XML_OPENED);
	xmpp_stanza_release(ev.element);
	assert_int_equal(xml_next(x, &ev), XML_BROKEN);
}

/* sd-bus refuses them in strings: a page that has one would break the link. */
TEST(noncharacters_are_replaced)
{
	_cleanup_(element_releasep) xmpp_stanza_t *m =
		parse("<message id='a\xef\xb7\x90'><body>\xf0\x9f\xbf\xbe!</body></message>", NULL);
	_cleanup_(freep) char *body = element_child_text(m, "body", "jabber:client");

	assert_string_equal(element_attr(m, "id"), "a\xef\xbf\xbd");
	assert_string_equal(body, "\xef\xbf\xbd!");
}

/* CVE-2011-0411 class: what stands in clear behind <proceed/> in the same read must not outlive the restart. */
TEST(a_restart_forgets_what_was_read_but_not_taken)
{
	_cleanup_(xml_freep) struct xml *x = open_reader();
	struct xml_event ev;
	const char *text = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><message id='injected'/><mess";

	xml_feed(x, text, strlen(text));
	assert_int_equal(xml_next(x, &ev), XML_STANZA);
	xmpp_stanza_release(ev.element);
	xml_restart(x);
	assert_int_equal(xml_next(x, &ev), XML_NOTHING);
	xml_feed(x, STREAM_OPEN, strlen(STREAM_OPEN));
	assert_int_equal(xml_next(x, &ev), XML_OPENED);
	xmpp_stanza_release(ev.element);
}

TEST(the_end_of_the_stream_is_seen)
{
	_cleanup_(xml_freep) struct xml *x = open_reader();
	struct xml_event ev;

	xml_feed(x, "</stream:stream>", 16);
	assert_int_equal(xml_next(x, &ev), XML_CLOSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(a_stanza_keeps_names_namespaces_attributes_and_text),
		RUN(bytes_may_come_one_at_a_time),
		RUN(a_tag_of_9_kB_does_not_hold_back_what_follows),
		RUN(a_tag_over_its_limit_is_dropped_and_the_next_stanza_arrives),
		RUN(a_long_tag_inside_a_result_leaves_the_archive_id),
		RUN(a_tag_that_never_ends_ends_the_stream),
		RUN(a_prefixed_from_is_no_from),
		RUN(a_text_of_64_MB_is_skipped_and_not_kept),
		RUN(a_stanza_over_its_limit_is_dropped_and_the_next_one_arrives),
		RUN(a_text_of_newlines_is_not_quadratic),
		RUN(too_many_children_are_dropped),
		RUN(deep_nesting_is_dropped),
		RUN(nesting_up_to_the_limit_is_kept),
		RUN(too_many_attributes_are_dropped),
		RUN(an_iq_result_of_our_own_may_be_as_large_as_a_roster),
		RUN(a_DTD_ends_the_stream),
		RUN(a_doctype_after_the_root_ends_the_stream),
		RUN(comments_and_processing_instructions_end_the_stream),
		RUN(undefined_entities_end_the_stream),
		RUN(bad_UTF_8_ends_the_stream),
		RUN(NUL_and_control_characters_end_the_stream),
		RUN(mismatched_tags_end_the_stream),
		RUN(text_between_stanzas_ends_the_stream_but_whitespace_is_a_keepalive),
		RUN(another_encoding_is_not_obeyed),
		RUN(noncharacters_are_replaced),
		RUN(a_restart_forgets_what_was_read_but_not_taken),
		RUN(the_end_of_the_stream_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
