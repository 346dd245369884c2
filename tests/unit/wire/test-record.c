/* wire/record.c: whose word is believed. Case names as in the facts (sync.md). */
#include "base/buf.h"
#include "core/stamp.h"
#include "wire-test.h"
#include "wire/record.h"

#define ME "alice@chat.test"

static const struct record_context trusted = { .bare = ME, .domain = "chat.test", .stanza_ids = true };
static const struct record_context untrusted = { .bare = ME, .domain = "chat.test", .stanza_ids = false };

/*
 * What record_live() makes of ${text}, or, without ${c}, record_archived() of the result in it. The record lives until the next
 * call; ${text} NULL ends it.
 */
static int record_of(const struct record_context *c, const char *text, const struct message **ret)
{
	static xmpp_stanza_t *stanza;
	static struct record r;
	const char *dropped;

	record_deinit(&r);
	if (stanza)
		xmpp_stanza_release(stanza);
	stanza = NULL;
	if (!text)
		return 0;
	stanza = parse(text, &dropped);
	*ret = &r.message;
	if (c)
		return record_live(c, stanza, dropped, &r);
	return record_archived(&trusted, element_child(stanza, "result", "urn:xmpp:mam:2"), dropped, &r);
}

static int live(const struct record_context *c, const char *text, const struct message **ret)
{
	return record_of(c, text, ret);
}

static int archived(const char *text, const struct message **ret)
{
	return record_of(NULL, text, ret);
}

static const struct message *live_ok(const char *text)
{
	const struct message *m;

	assert_int_equal(live(&trusted, text, &m), 0);
	return m;
}

#define RESULT(inner)                                                                                                \
	"<message to='" ME "/r'><result xmlns='urn:xmpp:mam:2' queryid='q' id='arch-1'><forwarded "                  \
	"xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2020-01-02T03:04:05.678Z'/>" inner          \
	"</forwarded></result></message>"
#define CARBON(outer, kind, inner)                                                                                   \
	"<message " outer " to='" ME "/r'><" kind " xmlns='urn:xmpp:carbons:2'><forwarded "                          \
	"xmlns='urn:xmpp:forward:0'>" inner "</forwarded></" kind "></message>"
#define INNER(attrs, children) "<message xmlns='jabber:client' " attrs ">" children "</message>"

TEST(a_message_with_a_body)
{
	const struct message *m = live_ok("<message from='bob@chat.test/x' to='" ME "/r' type='chat' id='i1'>"
					  "<body>hi</body><origin-id xmlns='urn:xmpp:sid:0' id='o1'/></message>");

	assert_int_equal(m->via, VIA_LIVE);
	assert_int_equal(m->payload, PAYLOAD_TEXT);
	assert_string_equal(m->from, "bob@chat.test/x");
	assert_string_equal(m->to, ME "/r");
	assert_string_equal(m->type, "chat");
	assert_string_equal(m->id, "i1");
	assert_string_equal(m->origin_id, "o1");
	assert_string_equal(m->body, "hi");
	assert_string_equal(m->archive_id, "");
}

#define REQUEST "<request xmlns='urn:xmpp:receipts'/>"
#define MARKABLE "<markable xmlns='urn:xmpp:chat-markers:0'/>"

TEST(what_the_sender_asks_for_live_in_a_carbon_and_archived)
{
	static const struct {
		const char *attrs, *children;
		uint32_t asks;
	} rows[] = {
		{ "from='b@b' id='i'", "<body>x</body>", 0 },
		{ "from='b@b' id='i'", "<body>x</body>" REQUEST, ASKS_RECEIPT },
		{ "from='b@b' id='i'", "<body>x</body>" MARKABLE, ASKS_MARKER },
		{ "from='b@b' id='i'", "<body>x</body>" REQUEST MARKABLE, ASKS_RECEIPT | ASKS_MARKER },
		{ "from='b@b'", "<body>x</body>" REQUEST MARKABLE, 0 }, /* no id to answer with */
		{ "from='b@b' id='i'", "<body>x</body><request xmlns='urn:other'/>", 0 },
		{ "from='b@b' id='i' type='error'", "<body>x</body>" REQUEST, 0 },
		/* a receipt for a receipt would go on for ever (XEP-0184 section 5.4) */
		{ "from='b@b' id='i'", "<received xmlns='urn:xmpp:receipts' id='j'/>" REQUEST MARKABLE, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *inner = xasprintf("<message xmlns='jabber:client' to='" ME "' %s>%s</message>",
							 rows[i].attrs, rows[i].children);
		_cleanup_(freep) char *carbon = xasprintf(CARBON("from='" ME "'", "received", "%s"), inner);
		_cleanup_(freep) char *result = xasprintf(RESULT("%s"), inner);
		const struct message *m;

		assert_int_equal(live(&trusted, inner, &m), 0);
		assert_int_equal(m->asks, rows[i].asks);
		assert_int_equal(live(&trusted, carbon, &m), 0);
		assert_int_equal(m->asks, rows[i].asks);
		assert_int_equal(archived(result, &m), 0);
		assert_int_equal(m->asks, rows[i].asks);
	}
}

TEST(absent_addresses_are_our_own_and_unknown_types_are_normal)
{
	const struct message *m = live_ok("<message type='strange'><body>x</body></message>");

	assert_string_equal(m->from, ME);
	assert_string_equal(m->to, ME);
	assert_string_equal(m->type, "normal");
}

TEST(I1_a_carbon_is_believed_from_our_bare_JID_alone)
{
	static const char *const lies[] = {
		CARBON("from='bob@chat.test'", "received", INNER("from='carol@x/y' to='" ME "'", "<body>x</body>")),
		CARBON("from='" ME "/r'", "received", INNER("from='carol@x/y' to='" ME "'", "<body>x</body>")),
		CARBON("from='chat.test'", "received", INNER("from='carol@x/y' to='" ME "'", "<body>x</body>")),
		CARBON("from='Alice@chat.test'", "sent", INNER("from='" ME "/o' to='c@x'", "<body>x</body>")),
		CARBON("from='" ME " '", "sent", INNER("from='" ME "/o' to='c@x'", "<body>x</body>")),
		/* a body of its own does not save it */
		"<message from='bob@chat.test/x'><body>outer</body><sent xmlns='urn:xmpp:carbons:2'/></message>",
	};
	const struct message *m;

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++)
		assert_int_equal(live(&trusted, lies[i], &m), RECORD_E_NOTHING);
	assert_int_equal(
		live(&trusted, CARBON("", "received", INNER("from='carol@x/y' to='" ME "'", "<body>y</body>")), &m),
		0);
	assert_int_equal(m->via, VIA_CARBON);
}

TEST(I2_a_carbon_of_a_message_from_another_domain)
{
	const struct message *m =
		live_ok(CARBON("from='" ME "'", "received",
			       INNER("from='carol@elsewhere.example/y' to='" ME "/other' type='chat' id='c1'",
				     "<body>hello</body><stanza-id xmlns='urn:xmpp:sid:0' by='" ME "' id='a7'/>")));

	assert_int_equal(m->via, VIA_CARBON);
	assert_string_equal(m->from, "carol@elsewhere.example/y");
	assert_string_equal(m->to, ME "/other");
	assert_string_equal(m->body, "hello");
	assert_string_equal(m->archive_id, "a7");
}

TEST(C7_what_another_device_sent_is_a_carbon_from_us)
{
	const struct message *m = live_ok(CARBON(
		"from='" ME "'", "sent", INNER("from='" ME "/phone' to='bob@x' type='chat'", "<body>b</body>")));

	assert_int_equal(m->via, VIA_CARBON);
	assert_string_equal(m->from, ME "/phone");
	assert_string_equal(m->to, "bob@x");
}

TEST(I5_a_stanza_id_is_believed_only_once_by_us_and_announced)
{
#define SID(by, id) "<stanza-id xmlns='urn:xmpp:sid:0' by='" by "' id='" id "'/>"
	const struct message *m;

	assert_string_equal(live_ok("<message><body>x</body>" SID(ME, "s1") "</message>")->archive_id, "s1");
	/* not announced: a contact may have put it there */
	assert_int_equal(live(&untrusted, "<message><body>x</body>" SID(ME, "s1") "</message>", &m), 0);
	assert_string_equal(m->archive_id, "");
	/* two of the same by: one is forged */
	assert_string_equal(live_ok("<message><body>x</body>" SID(ME, "s1") SID(ME, "s2") "</message>")->archive_id,
			    "");
	assert_string_equal(live_ok("<message><body>x</body>" SID("bob@x", "s1") "</message>")->archive_id, "");
}

TEST(A7_the_archive_id_is_never_the_stanzas_own_id)
{
	const struct message *m = live_ok("<message id='M'><body>x</body>" SID(ME, "S") "</message>");

	assert_string_equal(m->archive_id, "S");
	assert_string_equal(m->id, "M");
	m = live_ok("<message id='M'><body>x</body></message>");
	assert_string_equal(m->archive_id, "");
}

TEST(A9_of_two_archives_ids_ours_is_taken)
{
	const struct message *m = live_ok("<message from='room@muc/n' type='groupchat'><body>x</body>" SID(
		"room@muc", "R") SID(ME, "S") "</message>");

	assert_string_equal(m->archive_id, "S");
}

TEST(I6_a_forwarded_message_of_strangers_is_dropped)
{
	const struct message *m;

	assert_int_equal(archived(RESULT(INNER("from='eve@x/1' to='bob@x'", "<body>x</body>")), &m),
			 RECORD_E_NOTHING);
	assert_int_equal(
		live(&trusted,
		     CARBON("from='" ME "'", "received", INNER("from='eve@x/1' to='bob@x'", "<body>x</body>")), &m),
		RECORD_E_NOTHING);
	/* a prefix of our address is not our address */
	assert_int_equal(archived(RESULT(INNER("from='" ME "x/1' to='bob@x'", "<body>x</body>")), &m),
			 RECORD_E_NOTHING);
}

TEST(C11_the_results_id_wins_over_stanza_ids_inside)
{
	const struct message *m;
	int64_t us;

	assert_int_equal(archived(RESULT(INNER("from='bob@x/1' to='" ME "' id='i'",
					       "<body>x</body>" SID(ME, "in-1") SID(ME, "in-2"))),
				  &m),
			 0);
	assert_string_equal(m->archive_id, "arch-1");
	assert_int_equal(m->via, VIA_ARCHIVE);
	assert_true(stamp_parse("2020-01-02T03:04:05.678Z", &us));
	assert_true(m->archive_us == us);
}

TEST(A6_a_result_that_says_nothing_is_still_a_cursor)
{
	const struct message *m;

	assert_int_equal(archived(RESULT(""), &m), 0);
	assert_int_equal(m->payload, PAYLOAD_NONE);
	assert_string_equal(m->archive_id, "arch-1");
	assert_true(m->archive_us != 0);
	assert_int_equal(archived(RESULT(INNER("from='bob@x/1' to='" ME "'",
					       "<composing xmlns='http://jabber.org/protocol/chatstates'/>")),
				  &m),
			 0);
	assert_int_equal(m->payload, PAYLOAD_NONE);
	assert_int_equal(archived("<message><result xmlns='urn:xmpp:mam:2' id='x9'/></message>", &m), 0);
	assert_string_equal(m->archive_id, "x9");
	assert_string_equal(m->from, ME);
}

TEST(a_live_message_that_says_nothing_is_no_record)
{
	const struct message *m;

	assert_int_equal(live(&trusted,
			      "<message from='b@x/1' type='chat'><composing "
			      "xmlns='http://jabber.org/protocol/chatstates'/></message>",
			      &m),
			 RECORD_E_NOTHING);
	assert_int_equal(live(&trusted, "<message from='b@x/1'><body/></message>", &m), RECORD_E_NOTHING);
}

TEST(C15_groupchat_carbons_are_ignored)
{
	const struct message *m;

	assert_int_equal(live(&trusted,
			      CARBON("from='" ME "'", "received",
				     INNER("from='room@muc/n' to='" ME "/o' type='groupchat'", "<body>x</body>")),
			      &m),
			 RECORD_E_NOTHING);
}

TEST(only_one_level_of_forwarding_is_read)
{
	const struct message *m;

	/* a carbon inside an archived message is content, and says nothing */
	assert_int_equal(
		archived(
			RESULT(INNER(
				"from='eve@x/1' to='" ME "'",
				"<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>" INNER(
					"from='boss@x' to='" ME "'", "<body>fake</body>") "</forwarded></received>")),
			&m),
		0);
	assert_int_equal(m->payload, PAYLOAD_NONE);
	assert_string_equal(m->from, "eve@x/1");
	/* forwarded without a wrapper that means something is a plain message without a body */
	assert_int_equal(live(&trusted,
			      "<message from='eve@x/1'><forwarded xmlns='urn:xmpp:forward:0'>" INNER(
				      "from='boss@x'", "<body>fake</body>") "</forwarded></message>",
			      &m),
			 RECORD_E_NOTHING);
}

TEST(a_body_of_another_namespace_is_no_body)
{
	const struct message *m;

	assert_int_equal(
		live(&trusted,
		     "<message><html xmlns='http://jabber.org/protocol/xhtml-im'><body "
		     "xmlns='http://www.w3.org/1999/xhtml'>x</body></html><body xmlns='u'>y</body></message>",
		     &m),
		RECORD_E_NOTHING);
}

TEST(the_body_without_a_language_is_taken)
{
	const struct message *m = live_ok("<message><body xml:lang='de'>Tag</body><body>day</body></message>");

	assert_string_equal(m->body, "day");
	m = live_ok("<message><body xml:lang='de'>Tag</body><body xml:lang='fr'>jour</body></message>");
	assert_string_equal(m->body, "Tag");
}

TEST(payloads_that_point_at_another_message)
{
	const struct message *m = live_ok("<message><received xmlns='urn:xmpp:receipts' id='t'/></message>");

	assert_int_equal(m->payload, PAYLOAD_RECEIPT);
	assert_string_equal(m->target_id, "t");
	m = live_ok("<message><displayed xmlns='urn:xmpp:chat-markers:0' id='t'/></message>");
	assert_int_equal(m->payload, PAYLOAD_MARKER);
	m = live_ok("<message><reactions xmlns='urn:xmpp:reactions:0' id='t'><reaction>\xf0\x9f\x91\x8b</reaction>"
		    "<reaction>+1</reaction></reactions></message>");
	assert_int_equal(m->payload, PAYLOAD_REACTION);
	assert_string_equal(m->text, "\xf0\x9f\x91\x8b\n+1");
	m = live_ok("<message><reactions xmlns='urn:xmpp:reactions:0' id='t'/></message>");
	assert_int_equal(m->payload, PAYLOAD_REACTION);
	assert_string_equal(m->text, "");
	m = live_ok("<message><body>b</body><replace xmlns='urn:xmpp:message-correct:0' id='t'/>"
		    "<reply xmlns='urn:xmpp:reply:0' id='u' to='x@y'/></message>");
	assert_int_equal(m->payload, PAYLOAD_TEXT);
	assert_string_equal(m->replace_id, "t");
	assert_string_equal(m->reply_id, "u");
}

/* XEP-0424 section 3: a retraction's body is for clients that do not know it, and must not be shown. */
TEST(a_retractions_body_is_no_text)
{
	const struct message *m =
		live_ok("<message><retract xmlns='urn:xmpp:message-retract:1' id='t'/><fallback "
			"xmlns='urn:xmpp:fallback:0' for='urn:xmpp:message-retract:1'/><body>gone</body></message>");

	assert_int_equal(m->payload, PAYLOAD_RETRACTION);
	assert_string_equal(m->target_id, "t");
	assert_string_equal(m->body, "");
}

/* XEP-0045 section 7.5: live, and as another device's carbon or the archive have it. */
TEST(a_private_message_of_a_room_says_so)
{
	assert_true(live_ok("<message from='r@muc/eve' type='chat'><x xmlns='http://jabber.org/protocol/muc#user'/><body>a</body></message>")->occupant);
	assert_false(live_ok("<message from='r@muc' type='normal'><x xmlns='http://jabber.org/protocol/muc#user'/><body>a</body></message>")->occupant);
	assert_false(live_ok("<message from='r@muc/eve' type='chat'><x/><body>a</body></message>")->occupant);
}

/* XEP-0425 section 5: from the room itself; whoever else says so says nothing. */
/* A link or a subject alone is something that somebody said, and was stored nowhere. */
TEST(what_is_said_without_a_body)
{
#define OOB(what) "<x xmlns='jabber:x:oob'>" what "</x>"
#define URL "<url>https://upload.chat.test/balcony.jpg</url>"
	static const struct {
		const char *type, *children, *body; /* body NULL: nothing */
	} rows[] = {
		{ "chat", OOB(URL), "https://upload.chat.test/balcony.jpg" },
		{ "normal", "<subject>Verona calls</subject>", "Verona calls" },
		{ "chat", "<subject>Verona calls</subject><body/>" OOB(URL), "https://upload.chat.test/balcony.jpg" },
		{ "chat", "<subject>Verona calls</subject><body>text</body>" OOB(URL), "text" },
		{ "groupchat", "<subject>the room's</subject>", NULL },
		{ "chat", OOB("<desc>of nothing</desc>"), NULL },
		{ "chat", "<subject/>", NULL },
		{ "chat", "<x xmlns='urn:other'>" URL "</x>", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *stanza = xasprintf("<message id='i' type='%s' to='" ME "' from='romeo@chat.test/r'>%s</message>",
							  rows[i].type, rows[i].children);
		const struct message *m;

		if (!rows[i].body) {
			assert_int_equal(live(&trusted, stanza, &m), RECORD_E_NOTHING);
			continue;
		}
		m = live_ok(stanza);
		assert_int_equal(m->payload, PAYLOAD_TEXT);
		assert_string_equal(m->body, rows[i].body);
	}
	/* What a receipt or a marker is about goes first. */
	assert_int_equal(live_ok("<message id='i' from='b@b'><received xmlns='urn:xmpp:receipts' id='j'/>" OOB(URL) "</message>")->payload,
			 PAYLOAD_RECEIPT);
}

#define APPLY(attrs, what) "<apply-to xmlns='urn:xmpp:fasten:0'" attrs ">" what "</apply-to>"
#define RETRACT_0 "<retract xmlns='urn:xmpp:message-retract:0'/>"
#define MODERATED_0 "<moderated xmlns='urn:xmpp:message-moderate:0' by='r@muc/macbeth'>" RETRACT_0 "</moderated>"

/* What slixmpp 1.8.3 of Debian 12 sends, and what others of its time did. */
TEST(a_retraction_as_of_version_0)
{
	static const struct {
		const char *children;
		enum message_payload payload;
	} rows[] = {
		{ APPLY(" id='romeo-1'", RETRACT_0) "<store xmlns='urn:xmpp:hints'/>", PAYLOAD_RETRACTION },
		{ APPLY("", RETRACT_0), PAYLOAD_TEXT },
		{ APPLY(" id='romeo-1'", "<edit xmlns='urn:other'/>"), PAYLOAD_TEXT },
		/* a moderator's, which comes from the room and names the room's stanza-id */
		{ APPLY(" id='romeo-1'", MODERATED_0), PAYLOAD_TEXT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *stanza = xasprintf(
			"<message id='941907812876480f818a24e8746def27' type='chat' to='" ME "' from='romeo@chat.test/slix'>"
			"<body>This person attempted to retract a previous message, but it is unsupported by your client.</body>"
			"<fallback xmlns='urn:xmpp:fallback:0'/>%s</message>", rows[i].children);
		const struct message *m = live_ok(stanza);

		assert_int_equal(m->payload, rows[i].payload);
		assert_string_equal(m->target_id, m->payload == PAYLOAD_RETRACTION ? "romeo-1" : "");
		assert_true(m->payload == PAYLOAD_TEXT || !*m->body);
	}
}

TEST(a_moderators_retraction_comes_from_the_room_itself)
{
#define MODERATED "<retract id='sid-1' xmlns='urn:xmpp:message-retract:1'><moderated by='r@muc/macbeth' " \
		  "xmlns='urn:xmpp:message-moderate:1'/><reason>spam</reason></retract>"
	const struct message *m = live_ok("<message type='groupchat' from='r@muc' id='x'>" MODERATED "</message>");

	assert_int_equal(m->payload, PAYLOAD_RETRACTION);
	assert_string_equal(m->target_id, "sid-1");
	assert_string_equal(m->body, "");
	assert_int_equal(live(&trusted, "<message type='groupchat' from='r@muc/eve' id='x'>" MODERATED "</message>", &m),
			 RECORD_E_NOTHING);
	assert_int_equal(live(&trusted, "<message type='chat' from='r@muc' id='x'>" MODERATED "</message>", &m), RECORD_E_NOTHING);
	assert_int_equal(live(&trusted, "<message type='chat' from='bob@x/y' id='x'>" MODERATED "<body>so</body></message>", &m),
			 RECORD_E_NOTHING);
}

/* XEP-0424 section 4: in an archive, and only there, it stands for the message; what has a text is one. */
TEST(H4_a_tombstone_in_the_archive)
{
#define TOMB_0                                                                                                                \
	"<retracted stamp='2019-09-20T23:09:32Z' xmlns='urn:xmpp:message-retract:0'><origin-id id='m1' xmlns='urn:xmpp:sid:0'/></retracted>"
#define TOMB "<retracted stamp='2019-09-20T23:09:32Z' id='r1' xmlns='urn:xmpp:message-retract:1'/>"
	const struct message *m;

	assert_int_equal(archived(RESULT(INNER("from='bob@chat.test/x' to='" ME "' id='m1'", TOMB)), &m), 0);
	assert_int_equal(m->payload, PAYLOAD_RETRACTION);
	assert_string_equal(m->target_id, "");
	assert_string_equal(m->id, "m1");
	assert_int_equal(archived(RESULT(INNER("from='bob@chat.test/x' to='" ME "' id='m1'", TOMB_0)), &m), 0);
	assert_int_equal(m->payload, PAYLOAD_RETRACTION);
	assert_int_equal(archived(RESULT(INNER("from='bob@chat.test/x' to='" ME "' id='m1'", TOMB "<body>text</body>")), &m), 0);
	assert_int_equal(m->payload, PAYLOAD_TEXT);
	assert_int_equal(live(&trusted, "<message from='bob@chat.test/x' id='m1'>" TOMB "</message>", &m), RECORD_E_NOTHING);
}

TEST(an_error_repeats_what_failed_and_says_none_of_it)
{
	const struct message *m =
		live_ok("<message type='error' from='bob@x' id='m1'><body>my own words</body><error type='cancel'>"
			"<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text "
			"xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>away</text></error></message>");

	assert_int_equal(m->payload, PAYLOAD_ERROR);
	assert_string_equal(m->error, "service-unavailable");
	assert_string_equal(m->error_text, "away");
	assert_string_equal(m->body, "");
	assert_string_equal(m->id, "m1");
}

TEST(encryption_is_named)
{
	const struct message *m = live_ok(
		"<message><encrypted xmlns='eu.siacs.conversations.axolotl'><header/><payload>x</payload></encrypted>"
		"<body>I sent you an OMEMO message</body></message>");

	assert_string_equal(m->encryption, "eu.siacs.conversations.axolotl");
	m = live_ok(
		"<message><encrypted xmlns='urn:xmpp:omemo:2'><header/><payload>x</payload></encrypted></message>");
	assert_int_equal(m->payload, PAYLOAD_TEXT);
	assert_string_equal(m->encryption, "urn:xmpp:omemo:2");
	m = live_ok("<message><encryption xmlns='urn:xmpp:eme:0' namespace='urn:new'/><body>x</body></message>");
	assert_string_equal(m->encryption, "urn:new");
	m = live_ok("<message><body>?OTR:AAMC</body></message>");
	assert_string_equal(m->encryption, "urn:xmpp:otr:0");
	/* a key without a text is nothing to keep */
	assert_int_equal(
		live(&trusted,
		     "<message><encrypted xmlns='eu.siacs.conversations.axolotl'><header/></encrypted></message>",
		     &m),
		RECORD_E_NOTHING);
}

TEST(F_a_delay_is_trusted_from_our_own_server)
{
#define DELAY(from, stamp) "<delay xmlns='urn:xmpp:delay' from='" from "' stamp='" stamp "'/>"
	const struct message *m;
	int64_t us;

	assert_true(stamp_parse("2021-01-01T00:00:00Z", &us));
	m = live_ok("<message from='b@x'><body>x</body>" DELAY("b@x", "1999-01-01T00:00:00Z")
			    DELAY("chat.test", "2021-01-01T00:00:00Z") "</message>");
	assert_true(m->delay_trusted);
	assert_true(m->delay_us == us);
	m = live_ok("<message from='b@x'><body>x</body>" DELAY("b@x", "2021-01-01T00:00:00Z") "</message>");
	assert_false(m->delay_trusted);
	assert_true(m->delay_us == us);
	m = live_ok("<message from='b@x'><body>x</body>" DELAY("chat.test", "yesterday") "</message>");
	assert_false(m->delay_trusted);
	assert_true(m->delay_us == 0);
}

TEST(strings_over_their_limit_never_reach_the_record)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };
	_cleanup_(freep) char *longid = xcalloc(1, ID_MAX + 2);
	const struct message *m;

	memset(longid, 'i', ID_MAX + 1);
	buf_addf(&b,
		 "<message id='%s'><body>x</body><origin-id xmlns='urn:xmpp:sid:0' id='%s'/>"
		 "<stanza-id xmlns='urn:xmpp:sid:0' by='" ME "' id='%s'/></message>",
		 longid, longid, longid);
	m = live_ok(b.data);
	assert_string_equal(m->id, "");
	assert_string_equal(m->origin_id, "");
	assert_string_equal(m->archive_id, "");
	buf_reset(&b);
	buf_addf(&b, "<message><received xmlns='urn:xmpp:receipts' id='%s'/></message>", longid);
	m = live_ok(b.data);
	assert_int_equal(m->payload, PAYLOAD_DROPPED);
	buf_reset(&b);
	buf_addf(&b, "<message from='%s%s%s%s'><body>x</body></message>", longid, longid, longid, longid);
	m = live_ok(b.data);
	assert_int_equal(m->payload, PAYLOAD_DROPPED);
	assert_string_equal(m->from, ME);
	assert_string_equal(m->body, "");
}

TEST(a_dropped_stanza_is_a_marker_with_its_ids)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };
	const struct message *m;

	buf_adds(&b, "<message><result xmlns='urn:xmpp:mam:2' id='77'><forwarded xmlns='urn:xmpp:forward:0'>"
		     "<delay xmlns='urn:xmpp:delay' stamp='2020-01-02T03:04:05Z'/><message xmlns='jabber:client' "
		     "from='bob@x/1' to='" ME "' id='m'><body>short</body>");
	for (int i = 0; i < 20000; i++)
		buf_adds(&b, "<a/>");
	buf_adds(&b, "</message></forwarded></result></message>");
	assert_int_equal(archived(b.data, &m), 0);
	assert_int_equal(m->payload, PAYLOAD_DROPPED);
	assert_string_equal(m->error_text, "too many elements");
	assert_string_equal(m->archive_id, "77");
	assert_true(m->archive_us != 0);
	assert_string_equal(m->from, "bob@x/1");
	assert_string_equal(m->body, "");
}

TEST(a_dropped_live_stanza_keeps_the_archives_id_that_stands_behind)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };
	const struct message *m;

	buf_adds(&b, "<message from='bob@x/1' id='m'><deep>");
	for (int i = 0; i < 20000; i++)
		buf_adds(&b, "<a/>");
	buf_adds(&b, SID(ME, "inside") "</deep>" SID(ME, "S") "<body>x</body></message>");
	m = live_ok(b.data);
	assert_int_equal(m->payload, PAYLOAD_DROPPED);
	assert_string_equal(m->archive_id, "S");
	assert_string_equal(m->body, "");
}

static int forget(_unused_ void **state)
{
	const struct message *m;

	archived(NULL, &m);
	xmpp_ctx_free(test_ctx());
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(a_message_with_a_body),
		RUN(what_the_sender_asks_for_live_in_a_carbon_and_archived),
		RUN(absent_addresses_are_our_own_and_unknown_types_are_normal),
		RUN(I1_a_carbon_is_believed_from_our_bare_JID_alone),
		RUN(I2_a_carbon_of_a_message_from_another_domain),
		RUN(C7_what_another_device_sent_is_a_carbon_from_us),
		RUN(I5_a_stanza_id_is_believed_only_once_by_us_and_announced),
		RUN(A7_the_archive_id_is_never_the_stanzas_own_id),
		RUN(A9_of_two_archives_ids_ours_is_taken),
		RUN(I6_a_forwarded_message_of_strangers_is_dropped),
		RUN(C11_the_results_id_wins_over_stanza_ids_inside),
		RUN(A6_a_result_that_says_nothing_is_still_a_cursor),
		RUN(a_live_message_that_says_nothing_is_no_record),
		RUN(C15_groupchat_carbons_are_ignored),
		RUN(only_one_level_of_forwarding_is_read),
		RUN(a_body_of_another_namespace_is_no_body),
		RUN(the_body_without_a_language_is_taken),
		RUN(payloads_that_point_at_another_message),
		RUN(a_retractions_body_is_no_text),
		RUN(a_private_message_of_a_room_says_so),
		RUN(what_is_said_without_a_body),
		RUN(a_retraction_as_of_version_0),
		RUN(a_moderators_retraction_comes_from_the_room_itself),
		RUN(H4_a_tombstone_in_the_archive),
		RUN(an_error_repeats_what_failed_and_says_none_of_it),
		RUN(encryption_is_named),
		RUN(F_a_delay_is_trusted_from_our_own_server),
		RUN(strings_over_their_limit_never_reach_the_record),
		RUN(a_dropped_stanza_is_a_marker_with_its_ids),
		RUN(a_dropped_live_stanza_keeps_the_archives_id_that_stands_behind),
	};

	return cmocka_run_group_tests(tests, NULL, forget);
}
