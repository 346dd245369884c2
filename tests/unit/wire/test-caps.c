/* wire/caps.c: what is hashed is what is answered. */
#include "wire-test.h"
#include "wire/caps.h"

TEST(the_hash_is_of_the_answer)
{
	_cleanup_(buf_deinit) struct buf answer = { 0 }, hashed = { 0 }, expected = { 0 };
	_cleanup_(element_releasep) xmpp_stanza_t *query = NULL;
	xmpp_stanza_t *f;
	const char *before = "";

	assert_true(caps_answer(&answer, ""));
	query = parse(answer.data, NULL);
	f = element_child(query, "identity", "http://jabber.org/protocol/disco#info");
	buf_addf(&expected, "%s/%s//%s<", element_attr(f, "category"), element_attr(f, "type"), element_attr(f, "name"));
	f = element_child(query, "feature", "http://jabber.org/protocol/disco#info");
	for (; f; f = element_next(f, "feature", "http://jabber.org/protocol/disco#info")) {
		/* i;octet: whoever checks the hash sorts */
		assert_true(strcmp(before, element_attr(f, "var")) < 0);
		before = element_attr(f, "var");
		buf_addf(&expected, "%s<", before);
	}
	caps_string(&hashed);
	assert_string_equal(hashed.data, expected.data);
	assert_non_null(strstr(hashed.data, "<urn:xmpp:mds:displayed:0+notify<"));
	assert_int_equal(strlen(caps_ver()), 28);
	assert_string_equal(caps_ver() + 27, "=");
}

TEST(our_own_node_is_answered_and_no_other)
{
	_cleanup_(buf_deinit) struct buf answer = { 0 };
	_cleanup_(freep) char *node = xasprintf(CAPS_NODE "#%s", caps_ver());
	_cleanup_(element_releasep) xmpp_stanza_t *query = NULL;

	assert_false(caps_answer(&answer, "https://elsewhere.test#abc"));
	assert_int_equal(answer.len, 0);
	assert_true(caps_answer(&answer, node));
	query = parse(answer.data, NULL);
	assert_string_equal(element_attr(query, "node"), node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(the_hash_is_of_the_answer),
		RUN(our_own_node_is_answered_and_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
