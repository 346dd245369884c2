/* wire/settle.c: what READY says, and rosters. */
#include "base/buf.h"
#include "link/link.h"
#include "wire-test.h"
#include "wire/limits.h"
#include "wire/settle.h"

#define ME "alice@chat.test"

struct bench {
	struct iq_table *iqs;
	struct settle *settle;
	struct buf sent;
	struct buf records;
};

static void on_send(void *userdata, const char *xml)
{
	struct bench *b = userdata;

	buf_addf(&b->sent, "%s\n", xml);
}

static void on_emit(void *userdata, const struct link_record *r)
{
	struct bench *b = userdata;

	if (r->kind == LINK_BLOCKED || r->kind == LINK_READ) {
		buf_addf(&b->records, "%s:%s ", link_kind_name(r->kind),
			 r->kind == LINK_READ ? r->read.stanza_id : r->blocked.jid);
		return;
	}
	assert_int_equal(r->kind, LINK_ROSTER);
	buf_addf(&b->records, "%u:%s:%s:%s:%s%s%s ", r->roster.n, r->roster.jid, r->roster.subscription,
		 r->roster.groups, r->roster.reset ? "R" : "", r->roster.last ? "L" : "", r->roster.ask ? "A" : "");
}

static int64_t on_now(_unused_ void *userdata)
{
	return 1;
}

static int setup(void **state)
{
	struct bench *b = xnew(struct bench);
	const struct mam_ops ops = { .send = on_send, .emit = on_emit, .now = on_now, .userdata = b };
	static const struct record_context context = { .bare = ME, .domain = "chat.test" };

	b->iqs = iq_table_new(ME);
	b->settle = settle_new("chat.test", &context, b->iqs, &ops);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	settle_free(b->settle);
	iq_table_free(b->iqs);
	buf_deinit(&b->sent);
	buf_deinit(&b->records);
	free(b);
	return 0;
}

/* The id of the request in which ${what} stands. */
static char *id_of(struct bench *b, const char *what)
{
	const char *at = strstr(b->sent.data, what), *id;

	assert_non_null(at);
	while (at > b->sent.data && at[-1] != '\n')
		at--;
	id = strstr(at, " id='") + 5;
	return xstrndup(id, strcspn(id, "'"));
}

/* Of the disco requests: the server's has its address, the account's comes after it and has none. */
static char *server_id(struct bench *b)
{
	return id_of(b, "to='chat.test'");
}

static char *account_id(struct bench *b)
{
	return id_of(b, "'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>\n<iq type='get' id='varve-roster'");
}

static void answer(struct bench *b, const char *id, const char *from, const char *payload, bool expected)
{
	_cleanup_(freep) char *text = xasprintf("<iq type='result' id='%s' from='%s'>%s</iq>", id, from, payload);
	_cleanup_(element_releasep) xmpp_stanza_t *iq = parse(text, NULL);

	assert_int_equal(iq_settle(b->iqs, iq, NULL, 9), expected);
}

#define DISCO(features) "<query xmlns='http://jabber.org/protocol/disco#info'>" features "</query>"
#define FEATURE(var) "<feature var='" var "'/>"

static void carbons_are_asked_for_before_presence_and_presence_is_last(void **state)
{
	struct bench *b = *state;
	const char *carbons, *presence;

	settle_begin(b->settle);
	carbons = strstr(b->sent.data, "<enable xmlns='urn:xmpp:carbons:2'/>");
	presence = strstr(b->sent.data, "<presence>");
	assert_non_null(carbons);
	assert_non_null(presence);
	assert_true(carbons < presence);
	/* with our capabilities: without them no server sends what our other devices have read */
	assert_non_null(strstr(presence, "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1'"));
	assert_string_equal(strchr(presence, '\n'), "\n");
}

static void ready_when_both_disco_answers_are_in(void **state)
{
	struct bench *b = *state;
	_cleanup_(freep) char *server = NULL, *account = NULL;
	struct link_ready ready = { 0 };

	settle_begin(b->settle);
	server = server_id(b);
	account = account_id(b);
	assert_false(settle_is_done(b->settle));
	answer(b, server, ME, DISCO(FEATURE("forged")), false); /* I8 */
	answer(b, server, "chat.test", DISCO(FEATURE("urn:xmpp:carbons:2") FEATURE("x")), true);
	assert_false(settle_is_done(b->settle));
	answer(b, account, ME,
	       DISCO(FEATURE("urn:xmpp:mam:2") FEATURE("urn:xmpp:mam:2#extended") FEATURE("urn:xmpp:sid:0")
			     FEATURE("x")),
	       true);
	assert_true(settle_is_done(b->settle));
	settle_fill_ready(b->settle, &ready);
	assert_int_equal(ready.archive, ARCHIVE_EXTENDED);
	assert_true(ready.stanza_ids);
	assert_false(ready.untold);
	assert_string_equal(ready.features,
			    "urn:xmpp:carbons:2\nx\nurn:xmpp:mam:2\nurn:xmpp:mam:2#extended\nurn:xmpp:sid:0");
}

static void features_without_end_are_not_all_looked_at(void **state)
{
	struct bench *b = *state;
	_cleanup_(freep) char *server = NULL;
	_cleanup_(buf_deinit) struct buf payload = { 0 };

	settle_begin(b->settle);
	server = server_id(b);
	buf_adds(&payload, "<query xmlns='http://jabber.org/protocol/disco#info'>");
	for (int i = 1; i <= DISCO_FEATURES_MAX + 1; i++)
		buf_addf(&payload, "<feature var='f%d'/>", i);
	buf_adds(&payload, "</query>");
	answer(b, server, "chat.test", payload.data, true);
	assert_true(settle_has(b->settle, "f1"));
	assert_true(settle_has(b->settle, "f1000"));
	assert_false(settle_has(b->settle, "f1001"));
}

/* An archive that is not asked cannot say what arrived: messages in doubt would be doubled. */
static void an_error_does_not_take_the_archive_away(void **state)
{
	struct bench *b = *state;
	_cleanup_(freep) char *account = NULL, *text = NULL;
	_cleanup_(element_releasep) xmpp_stanza_t *iq = NULL;
	struct link_ready ready = { 0 };

	settle_know(b->settle, ARCHIVE_EXTENDED);
	settle_begin(b->settle);
	account = account_id(b);
	settle_fill_ready(b->settle, &ready);
	assert_int_equal(ready.archive, ARCHIVE_NONE);
	text = xasprintf("<iq type='error' id='%s'><error type='wait'><internal-server-error "
			 "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", account);
	iq = parse(text, NULL);
	assert_true(iq_settle(b->iqs, iq, NULL, 9));
	settle_fill_ready(b->settle, &ready);
	assert_int_equal(ready.archive, ARCHIVE_EXTENDED);
	/* Nor anything else that was not said. */
	assert_true(ready.untold);
}

static void D23_after_a_resume_nothing_is_sent(void **state)
{
	struct bench *b = *state;
	const struct link_start start = { .features = "a\nb", .archive = ARCHIVE_BASIC, .stanza_ids = true };
	struct link_ready ready = { 0 };

	settle_resumed(b->settle, &start);
	assert_int_equal(b->sent.len, 0);
	settle_fill_ready(b->settle, &ready);
	assert_int_equal(ready.archive, ARCHIVE_BASIC);
	assert_true(ready.stanza_ids);
	assert_string_equal(ready.features, "a\nb");
}

static void a_roster_repeated_after_a_resume_is_taken(void **state)
{
	struct bench *b = *state;
	const struct link_start start = { .features = "a" };

	settle_resumed(b->settle, &start);
	answer(b, "varve-roster", "eve@x", "<query xmlns='jabber:iq:roster'><item jid='e@x'/></query>", false);
	answer(b, "varve-roster", ME, "<query xmlns='jabber:iq:roster'><item jid='b@x'/></query>", true);
	assert_string_equal(buf_str(&b->records), "9:b@x:none::RL ");
}

static void a_roster_is_records_with_a_first_and_a_last(void **state)
{
	struct bench *b = *state;

	settle_begin(b->settle);
	answer(b, "varve-roster", ME,
	       "<query xmlns='jabber:iq:roster'><item jid='b@x' subscription='both'><group>one</group><group>two"
	       "</group></item><item subscription='both'/><item jid='c@x' ask='subscribe' "
	       "subscription='odd'/></query>",
	       true);
	assert_string_equal(buf_str(&b->records), "0:b@x:both:one\ntwo:R 9:c@x:none::LA ");
}

static void block_list_and_read_states_are_asked_for_where_they_are_announced(void **state)
{
	struct bench *b = *state;
	_cleanup_(freep) char *server = NULL, *account = NULL;

	settle_begin(b->settle);
	server = server_id(b);
	account = account_id(b);
	buf_reset(&b->sent);
	answer(b, server, "chat.test", DISCO(FEATURE("urn:xmpp:blocking")), true);
	assert_string_equal(buf_str(&b->sent),
			    "<iq type='get' id='varve-blocklist'><blocklist xmlns='urn:xmpp:blocking'/></iq>\n");
	buf_reset(&b->sent);
	answer(b, account, ME, DISCO(FEATURE("http://jabber.org/protocol/pubsub#publish-options")), true);
	assert_string_equal(buf_str(&b->sent),
			    "<iq type='get' id='varve-read'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items "
			    "node='urn:xmpp:mds:displayed:0'/></pubsub></iq>\n");
	assert_true(settle_is_done(b->settle));
	answer(b, "varve-blocklist", "eve@x", "<blocklist xmlns='urn:xmpp:blocking'/>", false); /* I8 */
	answer(b, "varve-blocklist", ME, "<blocklist xmlns='urn:xmpp:blocking'><item jid='e@x'/></blocklist>", true);
	answer(b, "varve-read", ME,
	       "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:mds:displayed:0'><item id='b@x'>"
	       "<displayed xmlns='urn:xmpp:mds:displayed:0'><stanza-id xmlns='urn:xmpp:sid:0' by='" ME "' id='s'/>"
	       "</displayed></item></items></pubsub>",
	       true);
	assert_string_equal(buf_str(&b->records), "BLOCKED:e@x READ:s ");
}

static void neither_is_asked_for_where_it_is_not(void **state)
{
	struct bench *b = *state;
	_cleanup_(freep) char *server = NULL, *account = NULL;

	settle_begin(b->settle);
	server = server_id(b);
	account = account_id(b);
	buf_reset(&b->sent);
	answer(b, server, "chat.test", DISCO(FEATURE("x")), true);
	answer(b, account, ME, DISCO(FEATURE("urn:xmpp:blocking")), true); /* the server announces it, not the account */
	assert_int_equal(b->sent.len, 0);
}

static void csi_is_remembered_over_a_resume_that_shows_no_features(void **state)
{
	struct bench *b = *state;
	const struct link_start start = { .features = "a\nurn:xmpp:csi:0" }, older = { .features = "a" };
	struct link_ready ready = { 0 };

	settle_resumed(b->settle, &start);
	assert_true(settle_has(b->settle, "urn:xmpp:csi:0"));
	assert_false(settle_has(b->settle, "urn:xmpp:csi"));
	settle_csi(b->settle);
	settle_resumed(b->settle, &older);
	settle_fill_ready(b->settle, &ready);
	assert_string_equal(ready.features, "a\nurn:xmpp:csi:0");
}

static void an_empty_roster_is_one_record_without_a_jid(void **state)
{
	struct bench *b = *state;

	settle_begin(b->settle);
	answer(b, "varve-roster", ME, "<query xmlns='jabber:iq:roster'/>", true);
	assert_string_equal(buf_str(&b->records), "9::none::RL ");
}

static void a_push_changes_one_item_and_resets_nothing(void **state)
{
	struct bench *b = *state;
	_cleanup_(element_releasep) xmpp_stanza_t *iq =
		parse("<iq type='set' id='p'><query xmlns='jabber:iq:roster'><item jid='b@x' "
		      "subscription='remove'/></query></iq>",
		      NULL);

	settle_emit_roster(b->settle, iq, 4, false);
	assert_string_equal(buf_str(&b->records), "4:b@x:remove::L ");
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(carbons_are_asked_for_before_presence_and_presence_is_last),
		STORY(ready_when_both_disco_answers_are_in),
		STORY(features_without_end_are_not_all_looked_at),
		STORY(an_error_does_not_take_the_archive_away),
		STORY(D23_after_a_resume_nothing_is_sent),
		STORY(a_roster_repeated_after_a_resume_is_taken),
		STORY(a_roster_is_records_with_a_first_and_a_last),
		STORY(block_list_and_read_states_are_asked_for_where_they_are_announced),
		STORY(neither_is_asked_for_where_it_is_not),
		STORY(csi_is_remembered_over_a_resume_that_shows_no_features),
		STORY(an_empty_roster_is_one_record_without_a_jid),
		STORY(a_push_changes_one_item_and_resets_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
