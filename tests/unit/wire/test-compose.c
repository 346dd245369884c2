/* wire/compose.c: every kind byte for byte, and what is refused. */
#include "wire-test.h"
#include "wire/compose.h"
#include "wire/limits.h"

#define ME "alice@chat.test"
#define ASKS                                                                                 \
	"<request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/>"    \
	"<active xmlns='http://jabber.org/protocol/chatstates'/>"
#define ORIGIN "<origin-id xmlns='urn:xmpp:sid:0' id='i1'/>"
#define STORE "<store xmlns='urn:xmpp:hints'/>"
#define DELAY "<delay xmlns='urn:xmpp:delay' stamp='2026-11-22T17:09:00Z'/>"
#define HEAD "<message type='chat' to='bob@b.test' id='i1'>"
#define DELAY_US INT64_C(1795367340000000)

/* What a row leaves out. */
static struct link_send filled(struct link_send s)
{
#define FILL_STR(name) s.name = s.name ? s.name : "";
#define FILL_U32(name)
#define FILL_U64(name)
#define FILL_I64(name)
#define FILL(type, name, max) FILL_##type(name)
	s.to = s.to ? s.to : "bob@b.test";
	s.id = s.id ? s.id : "i1";
	LINK_SEND_FIELDS(FILL)
	return s;
}

static const struct {
	const char *why;
	struct link_send send;
	const char *xml;
} kinds[] = {
	{ "text", { .kind = OUT_TEXT, .body = "hi" }, HEAD "<body>hi</body>" ORIGIN ASKS "</message>" },
	{ "text, written long ago",
	  { .kind = OUT_TEXT, .body = "hi", .delay_us = DELAY_US },
	  HEAD "<body>hi</body>" ORIGIN ASKS DELAY "</message>" },
	{ "an answer",
	  { .kind = OUT_TEXT, .body = "hi", .reply_id = "r", .reply_jid = "bob@b.test/x" },
	  HEAD "<body>hi</body><reply xmlns='urn:xmpp:reply:0' to='bob@b.test/x' id='r'/>" ORIGIN ASKS "</message>" },
	{ "a correction",
	  { .kind = OUT_CORRECTION, .body = "ho", .target_id = "t" },
	  HEAD "<body>ho</body><replace xmlns='urn:xmpp:message-correct:0' id='t'/>" ORIGIN ASKS "</message>" },
	{ "a retraction",
	  { .kind = OUT_RETRACTION, .target_id = "t" },
	  HEAD "<retract xmlns='urn:xmpp:message-retract:1' id='t'/><fallback xmlns='urn:xmpp:fallback:0' "
	       "for='urn:xmpp:message-retract:1'/><body>/me retracted a previous message, but it&apos;s unsupported by "
	       "your client.</body>" ORIGIN STORE "</message>" },
	{ "reactions, each once",
	  { .kind = OUT_REACTION, .target_id = "t", .text = "\n\U0001F44B\n\U0001F422\n\U0001F44B\n" },
	  HEAD "<reactions xmlns='urn:xmpp:reactions:0' id='t'><reaction>\U0001F44B</reaction><reaction>\U0001F422"
	       "</reaction></reactions>" ORIGIN STORE "</message>" },
	{ "reactions taken back",
	  { .kind = OUT_REACTION, .target_id = "t" },
	  HEAD "<reactions xmlns='urn:xmpp:reactions:0' id='t'></reactions>" ORIGIN STORE "</message>" },
	{ "a receipt",
	  { .kind = OUT_RECEIPT, .target_id = "t" },
	  HEAD "<received xmlns='urn:xmpp:receipts' id='t'/>" STORE "</message>" },
	{ "a marker",
	  { .kind = OUT_MARKER, .target_id = "t" },
	  HEAD "<displayed xmlns='urn:xmpp:chat-markers:0' id='t'/>" STORE "</message>" },
	{ "a read state",
	  { .kind = OUT_READ, .target_id = "s" },
	  "<iq type='set' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish "
	  "node='urn:xmpp:mds:displayed:0'><item id='bob@b.test'><displayed xmlns='urn:xmpp:mds:displayed:0'><stanza-id "
	  "xmlns='urn:xmpp:sid:0' by='alice@chat.test' id='s'/></displayed></item></publish><publish-options><x "
	  "xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>"
	  "http://jabber.org/protocol/pubsub#publish-options</value></field><field var='pubsub#max_items'><value>max"
	  "</value></field><field var='pubsub#send_last_published_item'><value>never</value></field><field "
	  "var='pubsub#persist_items'><value>true</value></field><field var='pubsub#access_model'><value>"
	  "whitelist</value></field></x></publish-options></pubsub></iq>" },
	{ "what XML must not be told literally",
	  { .kind = OUT_TEXT, .body = "<b>&'\"\r\n\t]]>", .reply_id = "a'\n\t\r<" },
	  HEAD "<body>&lt;b&gt;&amp;&apos;&quot;&#13;\n\t]]&gt;</body><reply xmlns='urn:xmpp:reply:0' "
	       "id='a&apos;&#10;&#9;&#13;&lt;'/>" ORIGIN ASKS "</message>" },
};

TEST(every_kind_byte_for_byte)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		_cleanup_(freep) char *xml = NULL;
		const struct link_send send = filled(kinds[i].send);
		const char *condition, *text;

		if (compose_send(&send, ME, false, &xml, &condition, &text) != 0)
			fail_msg("%s: %s", kinds[i].why, text);
		if (strcmp(xml, kinds[i].xml) != 0)
			fail_msg("%s:\n%s\n%s", kinds[i].why, xml, kinds[i].xml);
	}
}

TEST(what_was_composed_reads_back_as_it_was_meant)
{
	const char *body = "<b>&'\"\r\nline\ttab ]]> \U0001F44B \u202e &#13; &amp;";
	const struct link_send send = filled((struct link_send){ .kind = OUT_TEXT, .body = body });
	_cleanup_(freep) char *xml = NULL, *read = NULL;
	_cleanup_(element_releasep) xmpp_stanza_t *el = NULL;
	const char *condition, *text;

	assert_int_equal(compose_send(&send, ME, false, &xml, &condition, &text), 0);
	el = parse(xml, NULL);
	read = element_child_text(el, "body", "jabber:client");
	assert_string_equal(read, body);
}

static const struct {
	const char *why;
	struct link_send send;
	const char *condition;
} refused[] = {
	{ "a control character", { .kind = OUT_TEXT, .body = "a\x01z" }, "not-acceptable" },
	{ "an escape sequence", { .kind = OUT_TEXT, .body = "\x1b[2J" }, "not-acceptable" },
	{ "U+FFFF", { .kind = OUT_TEXT, .body = "a\xef\xbf\xbf" }, "not-acceptable" },
	/* What XML can say and our own reader replaces: it would not be found again. */
	{ "U+1FFFE in an id", { .kind = OUT_TEXT, .id = "i\xf0\x9f\xbf\xbe", .body = "a" }, "not-acceptable" },
	{ "a control character in an id",
	  { .kind = OUT_RECEIPT, .target_id = "a\x7f\x02" },
	  "not-acceptable" },
	{ "bad UTF-8", { .kind = OUT_TEXT, .body = "\xff" }, "not-acceptable" },
	{ "a kind from the future", { .kind = OUT_KINDS, .target_id = "t" }, "bad-request" },
	{ "nothing to point at", { .kind = OUT_MARKER }, "bad-request" },
	{ "no address", { .kind = OUT_TEXT, .to = "" }, "jid-malformed" },
	{ "no JID", { .kind = OUT_TEXT, .to = "a@b@c//" }, "jid-malformed" },
	{ "no id", { .kind = OUT_TEXT, .id = "" }, "bad-request" },
};

TEST(what_cannot_be_a_stanza_is_refused_and_says_why)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		const struct link_send send = filled(refused[i].send);
		char *xml = NULL;
		const char *condition, *text;

		if (compose_send(&send, ME, false, &xml, &condition, &text) != COMPOSE_E_UNSENDABLE)
			fail_msg("%s: %s", refused[i].why, xml);
		assert_string_equal(condition, refused[i].condition);
		assert_true(*text);
		assert_null(xml);
	}
}

TEST(the_longest_that_fits_is_sent_and_one_byte_more_is_not)
{
	struct link_send send = filled((struct link_send){ .kind = OUT_TEXT });
	_cleanup_(freep) char *body = xcalloc(1, SEND_MAX + 1), *xml = NULL, *fits = NULL;
	const char *condition, *text;
	size_t overhead;

	send.body = body;
	assert_int_equal(compose_send(&send, ME, false, &xml, &condition, &text), 0);
	overhead = strlen(xml);
	memset(body, 'x', SEND_MAX - overhead);
	assert_int_equal(compose_send(&send, ME, false, &fits, &condition, &text), 0);
	assert_int_equal(strlen(fits), SEND_MAX);
	body[SEND_MAX - overhead] = 'x';
	assert_int_equal(compose_send(&send, ME, false, &xml, &condition, &text), COMPOSE_E_UNSENDABLE);
	assert_string_equal(condition, "policy-violation");
	/* quotes are six bytes each */
	memset(body, '"', 64 * 1024);
	body[64 * 1024] = '\0';
	assert_int_equal(compose_send(&send, ME, false, &xml, &condition, &text), COMPOSE_E_UNSENDABLE);
}

static struct link_request filled_request(struct link_request q)
{
	q.jid = q.jid ? q.jid : "bob@b.test";
	q.name = q.name ? q.name : "";
	q.text = q.text ? q.text : "";
	return q;
}

#define IQ(payload) "<iq type='set' id='q1'>" payload "</iq>"

static const struct {
	const char *why;
	struct link_request request;
	const char *xml; /* or, without '<', the condition */
} requests[] = {
	{ "a contact",
	  { .kind = REQUEST_ROSTER_SET, .name = "Bob 'n' <co>", .text = "one\ntwo\n\none" },
	  IQ("<query xmlns='jabber:iq:roster'><item jid='bob@b.test' name='Bob &apos;n&apos; &lt;co&gt;'><group>one</group>"
	     "<group>two</group></item></query>") },
	{ "a contact without a name", { .kind = REQUEST_ROSTER_SET },
	  IQ("<query xmlns='jabber:iq:roster'><item jid='bob@b.test'></item></query>") },
	{ "no contact", { .kind = REQUEST_ROSTER_REMOVE },
	  IQ("<query xmlns='jabber:iq:roster'><item jid='bob@b.test' subscription='remove'></item></query>") },
	{ "block", { .kind = REQUEST_BLOCK }, IQ("<block xmlns='urn:xmpp:blocking'><item jid='bob@b.test'/></block>") },
	{ "unblock", { .kind = REQUEST_UNBLOCK },
	  IQ("<unblock xmlns='urn:xmpp:blocking'><item jid='bob@b.test'/></unblock>") },
	{ "unblock nobody, which would be everybody", { .kind = REQUEST_UNBLOCK, .jid = "" }, "jid-malformed" },
	{ "subscribe", { .kind = REQUEST_SUBSCRIPTION, .name = "subscribe" },
	  "<presence type='subscribe' to='bob@b.test'/>" },
	{ "a subscription that is none", { .kind = REQUEST_SUBSCRIPTION, .name = "probe" }, "bad-request" },
	{ "a show that is none", { .kind = REQUEST_PRESENCE, .name = "busy" }, "bad-request" },
	{ "a status that is no XML", { .kind = REQUEST_PRESENCE, .text = "\x02" }, "not-acceptable" },
	{ "a name that is no XML", { .kind = REQUEST_ROSTER_SET, .name = "\x02" }, "not-acceptable" },
	{ "push", { .kind = REQUEST_PUSH_ENABLE, .jid = "push.test", .name = "0f" },
	  IQ("<enable xmlns='urn:xmpp:push:0' jid='push.test' node='0f'/>") },
	{ "push, with a node that a keeper does not make", { .kind = REQUEST_PUSH_ENABLE, .name = "a'<b" },
	  IQ("<enable xmlns='urn:xmpp:push:0' jid='bob@b.test' node='a&apos;&lt;b'/>") },
	{ "no push", { .kind = REQUEST_PUSH_DISABLE, .jid = "push.test", .name = "0f" },
	  IQ("<disable xmlns='urn:xmpp:push:0' jid='push.test' node='0f'/>") },
	{ "no push without a service, which could be each", { .kind = REQUEST_PUSH_DISABLE, .jid = "", .name = "0f" },
	  "jid-malformed" },
	{ "push, without a node, which could be any", { .kind = REQUEST_PUSH_DISABLE }, "bad-request" },
	{ "a kind from the future", { .kind = REQUEST_KINDS }, "bad-request" },
};

TEST(every_request_byte_for_byte)
{
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		_cleanup_(freep) char *xml = NULL;
		const struct link_request q = filled_request(requests[i].request);
		const char *condition, *text;
		int r = compose_request(&q, "q1", &xml, &condition, &text);

		if (strcmp(r == 0 ? xml : condition, requests[i].xml) != 0)
			fail_msg("%s: %s", requests[i].why, r == 0 ? xml : condition);
	}
}

TEST(presence_has_show_status_and_what_we_can_do)
{
	_cleanup_(freep) char *xml = compose_presence("away", "a < b"), *plain = compose_presence("", "");

	assert_ptr_equal(strstr(xml, "<presence><show>away</show><status>a &lt; b</status><priority>0</priority><c "), xml);
	assert_ptr_equal(strstr(plain, "<presence><priority>0</priority><c "), plain);
	assert_non_null(strstr(plain, "'/></presence>"));
}

TEST(a_chat_state_is_not_for_any_archive)
{
	const struct link_chat_state typing = { .to = "bob@b.test", .state = CHAT_COMPOSING };
	const struct link_chat_state none = { .to = "bob@b.test", .state = CHAT_STATES };
	_cleanup_(freep) char *xml = NULL;
	char *no = NULL;
	const char *condition, *text;

	assert_int_equal(compose_chat_state(&typing, &xml, &condition, &text), 0);
	assert_string_equal(xml, "<message type='chat' to='bob@b.test'><composing "
				 "xmlns='http://jabber.org/protocol/chatstates'/><no-store xmlns='urn:xmpp:hints'/></message>");
	assert_int_equal(compose_chat_state(&none, &no, &condition, &text), COMPOSE_E_UNSENDABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(every_kind_byte_for_byte),
		RUN(what_was_composed_reads_back_as_it_was_meant),
		RUN(what_cannot_be_a_stanza_is_refused_and_says_why),
		RUN(every_request_byte_for_byte),
		RUN(presence_has_show_status_and_what_we_can_do),
		RUN(a_chat_state_is_not_for_any_archive),
		RUN(the_longest_that_fits_is_sent_and_one_byte_more_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
