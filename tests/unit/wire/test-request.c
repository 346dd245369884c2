/* wire/request.c: REQUEST to RESULT. */
#include "base/buf.h"
#include "wire-test.h"
#include "wire/request.h"

#define ME "alice@chat.test"

struct bench {
	struct iq_table *iqs;
	struct requests *requests;
	struct buf sent;
	struct buf results;
};

static void on_send(void *userdata, const char *xml)
{
	buf_adds(&((struct bench *)userdata)->sent, xml);
}

static void on_emit(void *userdata, const struct link_record *r)
{
	assert_int_equal(r->kind, LINK_RESULT);
	buf_addf(&((struct bench *)userdata)->results, "%u:%u:%s:%s:%s ", r->result.n, r->result.request,
		 r->result.ok ? "ok" : "no", r->result.condition, r->result.text);
}

static int64_t on_now(_unused_ void *userdata)
{
	return 1;
}

static int setup(void **state)
{
	struct bench *b = xnew(struct bench);
	const struct mam_ops ops = { .send = on_send, .emit = on_emit, .now = on_now, .userdata = b };

	b->iqs = iq_table_new(ME);
	b->requests = requests_new(b->iqs, &ops);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	requests_free(b->requests);
	iq_table_free(b->iqs);
	buf_deinit(&b->sent);
	buf_deinit(&b->results);
	free(b);
	return 0;
}

static void ask(struct bench *b, uint32_t number, uint32_t kind, const char *jid, const char *name)
{
	const struct link_request q = { .request = number, .kind = kind, .jid = jid, .name = name, .text = "" };

	requests_take(b->requests, &q);
}

/* The answer to what was sent last, as ${type} from ${from}. */
static bool answer(struct bench *b, const char *type, const char *from, const char *payload)
{
	_cleanup_(element_releasep) xmpp_stanza_t *sent = parse(b->sent.data, NULL);
	_cleanup_(freep) char *text = xasprintf("<iq type='%s' id='%s' from='%s'>%s</iq>", type, element_attr(sent, "id"),
						from, payload);
	_cleanup_(element_releasep) xmpp_stanza_t *iq = parse(text, NULL);

	return iq_settle(b->iqs, iq, NULL, 7);
}

static void a_question_is_answered_when_the_server_answers_and_by_nobody_else(void **state)
{
	struct bench *b = *state;

	ask(b, 5, REQUEST_ROSTER_SET, "bob@b.test", "Bob");
	assert_int_equal(b->results.len, 0);
	assert_false(answer(b, "result", "bob@b.test/x", ""));
	assert_true(answer(b, "result", ME, ""));
	assert_string_equal(buf_str(&b->results), "7:5:ok:: ");
}

static void a_refusal_says_what_the_server_says(void **state)
{
	struct bench *b = *state;

	ask(b, 6, REQUEST_BLOCK, "bob@b.test", "");
	assert_true(answer(b, "error", ME,
			   "<error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text "
			   "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>No.</text></error>"));
	assert_string_equal(buf_str(&b->results), "7:6:no:not-allowed:No. ");
}

static void no_answer_in_time_is_an_answer(void **state)
{
	struct bench *b = *state;

	ask(b, 6, REQUEST_BLOCK, "bob@b.test", "");
	iq_expire(b->iqs, INT64_MAX);
	assert_string_equal(buf_str(&b->results), "0:6:no:remote-server-timeout: ");
}

static void presences_are_done_when_they_are_sent(void **state)
{
	struct bench *b = *state;

	ask(b, 1, REQUEST_SUBSCRIPTION, "bob@b.test", "subscribed");
	assert_string_equal(buf_str(&b->sent), "<presence type='subscribed' to='bob@b.test'/>");
	ask(b, 2, REQUEST_PRESENCE, "", "xa");
	/* and nothing is waited for */
	iq_expire(b->iqs, INT64_MAX);
	assert_string_equal(buf_str(&b->results), "0:1:ok:: 0:2:ok:: ");
}

static void what_cannot_be_sent_is_answered_at_once(void **state)
{
	struct bench *b = *state;

	ask(b, 9, REQUEST_ROSTER_SET, "", "");
	assert_int_equal(b->sent.len, 0);
	assert_string_equal(buf_str(&b->results), "0:9:no:jid-malformed:the address is not valid ");
}

static void too_many_questions_are_refused_and_not_sent(void **state)
{
	struct bench *b = *state;
	uint32_t n = 0;

	while (b->results.len == 0 && n < 10000) {
		buf_reset(&b->sent);
		ask(b, n++, REQUEST_ROSTER_REMOVE, "bob@b.test", "");
	}
	assert_int_equal(b->sent.len, 0);
	assert_non_null(strstr(b->results.data, ":no:resource-constraint:"));
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(a_question_is_answered_when_the_server_answers_and_by_nobody_else),
		STORY(a_refusal_says_what_the_server_says),
		STORY(no_answer_in_time_is_an_answer),
		STORY(presences_are_done_when_they_are_sent),
		STORY(what_cannot_be_sent_is_answered_at_once),
		STORY(too_many_questions_are_refused_and_not_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
