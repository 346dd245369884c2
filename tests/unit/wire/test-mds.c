/* wire/mds.c: what becomes of a published read state. */
#include "wire-test.h"
#include "wire/mds.h"

#define ME "alice@chat.test"
#define REFUSED                                                                                       \
	"<error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"                \
	"<precondition-not-met xmlns='http://jabber.org/protocol/pubsub#errors'/></error>"

#define CONFLICT "<error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"

struct bench {
	struct iq_table *iqs;
	struct mds *mds;
	char *last; /* sent */
	int sent;
};

static void on_send(void *userdata, const char *xml)
{
	struct bench *b = userdata;

	str_set(&b->last, xml);
	b->sent++;
}

static void on_emit(_unused_ void *userdata, _unused_ const struct link_record *r)
{
	fail_msg("it says nothing to the keeper");
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
	b->mds = mds_new(ME, b->iqs, &ops);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	mds_free(b->mds);
	iq_table_free(b->iqs);
	free(b->last);
	free(b);
	return 0;
}

static void publish(struct bench *b, const char *id, const char *stanza_id)
{
	const struct link_send send = { .kind = OUT_READ, .to = "bob@b.test", .id = id, .target_id = stanza_id };

	mds_published(b->mds, &send);
}

static bool answer(struct bench *b, const char *type, const char *id, const char *payload)
{
	_cleanup_(freep) char *text = xasprintf("<iq type='%s' id='%s' from='" ME "'>%s</iq>", type, id, payload);
	_cleanup_(element_releasep) xmpp_stanza_t *iq = parse(text, NULL);

	return iq_settle(b->iqs, iq, NULL, 7);
}

static bool answer_last(struct bench *b, const char *type, const char *payload)
{
	_cleanup_(element_releasep) xmpp_stanza_t *sent = parse(b->last, NULL);

	return answer(b, type, element_attr(sent, "id"), payload);
}

static void what_the_server_takes_is_over(void **state)
{
	struct bench *b = *state;

	publish(b, "r1", "s1");
	assert_true(answer(b, "result", "r1", ""));
	assert_int_equal(b->sent, 0);
}

static void a_node_with_other_options_is_configured_once_and_gets_it_again(void **state)
{
	struct bench *b = *state;

	publish(b, "r1", "s1");
	publish(b, "r2", "s2");
	publish(b, "r3", "s3");
	assert_true(answer(b, "error", "r1", REFUSED));
	assert_int_equal(b->sent, 1);
	assert_non_null(strstr(b->last, "<create node='urn:xmpp:mds:displayed:0'/>"));
	assert_non_null(strstr(b->last, "<field var='pubsub#access_model'><value>whitelist</value></field>"));
	assert_true(answer(b, "error", "r2", REFUSED));
	assert_int_equal(b->sent, 1);
	/* there is one */
	assert_true(answer_last(b, "error", CONFLICT));
	assert_int_equal(b->sent, 2);
	assert_non_null(strstr(b->last, "<configure node='urn:xmpp:mds:displayed:0'>"));
	assert_non_null(strstr(b->last, "<field var='pubsub#access_model'><value>whitelist</value></field>"));
	assert_false(mds_is_configured(b->mds));
	assert_true(answer_last(b, "result", ""));
	assert_true(mds_is_configured(b->mds));
	assert_int_equal(b->sent, 4);
	assert_non_null(strstr(b->last, "<stanza-id xmlns='urn:xmpp:sid:0' by='" ME "' id='s"));
	assert_non_null(strstr(b->last, "<field var='pubsub#access_model'><value>whitelist</value></field>"));
	assert_null(strstr(b->last, "max_items"));
	/* sent before the node was right: once more */
	assert_true(answer(b, "error", "r3", REFUSED));
	assert_int_equal(b->sent, 5);
	/* sent after: that is all */
	publish(b, "r4", "s4");
	assert_true(answer(b, "error", "r4", REFUSED));
	assert_int_equal(b->sent, 5);
}

static void a_node_that_can_be_made_is_made_for_a_server_that_does_not_know_an_option(void **state)
{
	struct bench *b = *state;

	publish(b, "r1", "s1");
	assert_true(answer(b, "error", "r1",
			   "<error type='wait'><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"));
	assert_true(answer_last(b, "result", ""));
	assert_int_equal(b->sent, 2);
	assert_non_null(strstr(b->last, "id='s1'"));
}

static void a_node_that_cannot_be_configured_is_left_alone(void **state)
{
	struct bench *b = *state;

	publish(b, "r1", "s1");
	assert_true(answer(b, "error", "r1", REFUSED));
	assert_true(answer_last(b, "error", CONFLICT));
	assert_true(answer_last(b, "error", "<error type='auth'/>"));
	assert_int_equal(b->sent, 2);
	publish(b, "r2", "s2");
	assert_true(answer(b, "error", "r2", REFUSED));
	assert_int_equal(b->sent, 2);
	assert_false(mds_is_configured(b->mds));
}

static void no_answer_is_the_end_of_it(void **state)
{
	struct bench *b = *state;

	publish(b, "r1", "s1");
	iq_expire(b->iqs, INT64_MAX);
	assert_int_equal(b->sent, 0);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(what_the_server_takes_is_over),
		STORY(a_node_with_other_options_is_configured_once_and_gets_it_again),
		STORY(a_node_that_cannot_be_configured_is_left_alone),
		STORY(a_node_that_can_be_made_is_made_for_a_server_that_does_not_know_an_option),
		STORY(no_answer_is_the_end_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
