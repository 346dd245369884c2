/* wire/notice.c: what is of the moment, and whose word it is. */
#include "base/buf.h"
#include "link/link.h"
#include "wire-test.h"
#include "wire/notice.h"

#define ME "alice@chat.test"
#define COMPOSING "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
#define MDS "urn:xmpp:mds:displayed:0"
#define ITEM(jid, by, id)                                                                                         \
	"<item id='" jid "'><displayed xmlns='" MDS "'><stanza-id xmlns='urn:xmpp:sid:0' by='" by "' id='" id     \
	"'/></displayed></item>"
#define EVENT(node, items)                                                                                        \
	"<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='" node "'>" items "</items></event>"

static const struct record_context context = { .bare = ME, .domain = "chat.test" };

static void on_emit(void *userdata, const struct link_record *r)
{
	struct buf *b = userdata;

	switch ((int)r->kind) {
	case LINK_PRESENCE:
		buf_addf(b, "%u:%s:%s:%s:%s:%d ", r->presence.n, r->presence.from, r->presence.type, r->presence.show,
			 r->presence.status, (int)r->presence.priority);
		return;
	case LINK_TYPING:
		buf_addf(b, "%u:%s:%u ", r->typing.n, r->typing.from, r->typing.state);
		return;
	case LINK_READ:
		buf_addf(b, "%u:%s:%s ", r->read.n, r->read.jid, r->read.stanza_id);
		return;
	case LINK_BLOCKED:
		buf_addf(b, "%u:%s:%s%s%s ", r->blocked.n, r->blocked.jid, r->blocked.blocked ? "B" : "U",
			 r->blocked.reset ? "R" : "", r->blocked.last ? "L" : "");
		return;
	default:
		fail_msg("record %s", link_kind_name(r->kind));
	}
}

/* What a stanza makes: of number 9. "-": nothing. The caller frees. */
static char *read_stanza(const char *xml)
{
	const char *dropped;
	_cleanup_(element_releasep) xmpp_stanza_t *el = parse(xml, &dropped);
	struct buf b = { 0 };
	const struct notice_sink to = { .emit = on_emit, .userdata = &b };

	if (strcmp(element_name(el), "presence") == 0)
		notice_presence(&context, el, dropped, 9, &to);
	else if (strcmp(element_name(el), "iq") == 0)
		notice_block_push(el, 9, &to);
	else if (!notice_event(&context, el, dropped, 9, &to))
		notice_typing(&context, el, dropped, 9, &to);
	if (b.len == 0)
		buf_adds(&b, "-");
	return buf_steal(&b);
}

static const struct {
	const char *why;
	const char *xml;
	const char *records;
} rows[] = {
	{ "available", "<presence from='bob@b.test/x'/>", "9:bob@b.test/x::::0 " },
	{ "all of it",
	  "<presence from='bob@b.test/x'><show>dnd</show><status xml:lang='de'>nein</status><status>no</status>"
	  "<priority>-5</priority></presence>",
	  "9:bob@b.test/x::dnd:no:-5 " },
	{ "only a foreign status", "<presence from='b@b'><status xml:lang='de'>nein</status></presence>", "9:b@b:::nein:0 " },
	{ "a show that is none", "<presence from='b@b'><show>evil</show></presence>", "9:b@b::::0 " },
	{ "a priority out of range", "<presence from='b@b'><priority>99999999999999999999</priority></presence>",
	  "9:b@b::::127 " },
	{ "gone", "<presence from='b@b/x' type='unavailable'><show>xa</show><status>bye</status></presence>",
	  "9:b@b/x:unavailable::bye:0 " },
	{ "a request", "<presence from='b@b' type='subscribe'><status>let me in</status></presence>",
	  "9:b@b:subscribe::let me in:0 " },
	{ "another device of ours", "<presence from='" ME "/phone'/>", "9:" ME "/phone::::0 " },
	{ "from our server without a from", "<presence type='unavailable'/>", "9:" ME ":unavailable:::0 " },
	{ "an error says nothing of its sender",
	  "<presence from='b@b' type='error'><show>away</show><status>x</status></presence>", "9:b@b:error:::0 " },
	{ "a probe is for servers", "<presence from='b@b' type='probe'/>", "-" },
	{ "a type that is none", "<presence from='b@b' type='evil'/>", "-" },
	{ "no address", "<presence from='a@b@c//'/>", "-" },
	{ "prefixed attributes are others", "<presence xmlns:f='u' f:type='unavailable' from='b@b' f:from='c@c'/>",
	  "9:b@b::::0 " },
	{ "prefixed children are others",
	  "<presence xmlns:f='u' from='b@b'><f:show>away</f:show><f:status>x</f:status></presence>", "9:b@b::::0 " },

	{ "typing", "<message type='chat' from='b@b/x'>" COMPOSING "</message>", "9:b@b/x:1 " },
	{ "typing, in a message without a type", "<message from='b@b/x'>" COMPOSING "</message>", "9:b@b/x:1 " },
	{ "active beside a body",
	  "<message type='chat' from='b@b/x'><body>x</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>",
	  "9:b@b/x:0 " },
	{ "another namespace", "<message type='chat' from='b@b/x'><composing xmlns='jabber:x:event'/></message>", "-" },
	{ "an error", "<message type='error' from='b@b/x'>" COMPOSING "</message>", "-" },
	{ "a room", "<message type='groupchat' from='r@b/x'>" COMPOSING "</message>", "-" },
	{ "delayed",
	  "<message type='chat' from='b@b/x'>" COMPOSING
	  "<delay xmlns='urn:xmpp:delay' stamp='2026-11-22T17:09:00Z'/></message>",
	  "-" },
	{ "our own account", "<message type='chat' from='" ME "/phone'>" COMPOSING "</message>", "-" },
	{ "no sender", "<message type='chat'>" COMPOSING "</message>", "-" },
	{ "a carbon",
	  "<message from='" ME "'><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message "
	  "from='b@b/x' type='chat'>" COMPOSING "</message></forwarded></received></message>",
	  "-" },
	{ "beside a carbon",
	  "<message from='b@b/x' type='chat'>" COMPOSING "<sent xmlns='urn:xmpp:carbons:2'/></message>", "-" },

	{ "read elsewhere", "<message from='" ME "' type='headline'>" EVENT(MDS, ITEM("b@b", ME, "s1")) "</message>",
	  "9:b@b:s1 " },
	{ "read elsewhere, said without a from",
	  "<message type='headline'>" EVENT(MDS, ITEM("b@b", ME, "s1")) "</message>", "9:b@b:s1 " },
	{ "two of them: the number on the last",
	  "<message from='" ME "'>" EVENT(MDS, ITEM("b@b", ME, "s1") ITEM("c@c", ME, "s2")) "</message>",
	  "0:b@b:s1 9:c@c:s2 " },
	{ "the number also where the last says nothing",
	  "<message from='" ME "'>" EVENT(MDS, ITEM("b@b", ME, "s1") ITEM("c@c", "c@c", "s2")) "</message>", "9:b@b:s1 " },
	{ "from a stranger", "<message from='eve@b'>" EVENT(MDS, ITEM("b@b", ME, "s1")) "</message>", "-" },
	{ "from our own resource", "<message from='" ME "/phone'>" EVENT(MDS, ITEM("b@b", ME, "s1")) "</message>", "-" },
	{ "from our own address in capitals", "<message from='ALICE@chat.test'>" EVENT(MDS, ITEM("b@b", ME, "s1"))
	  "</message>", "-" },
	{ "from our server", "<message from='chat.test'>" EVENT(MDS, ITEM("b@b", ME, "s1")) "</message>", "-" },
	{ "from is another attribute",
	  "<message from='eve@b' xmlns:f='u' f:from='" ME "'>" EVENT(MDS, ITEM("b@b", ME, "s1")) "</message>", "-" },
	{ "another node", "<message from='" ME "'>" EVENT("urn:xmpp:other", ITEM("b@b", ME, "s1")) "</message>", "-" },
	{ "by somebody else", "<message from='" ME "'>" EVENT(MDS, ITEM("b@b", "b@b", "s1")) "</message>", "-" },
	{ "by nobody",
	  "<message from='" ME "'>" EVENT(MDS, "<item id='b@b'><displayed xmlns='" MDS
	  "'><stanza-id xmlns='urn:xmpp:sid:0' id='s'/></displayed></item>") "</message>", "-" },
	{ "two ids",
	  "<message from='" ME "'>" EVENT(MDS, "<item id='b@b'><displayed xmlns='" MDS
	  "'><stanza-id xmlns='urn:xmpp:sid:0' by='" ME "' id='s'/><stanza-id xmlns='urn:xmpp:sid:0' by='" ME
	  "' id='t'/></displayed></item>") "</message>", "-" },
	{ "of no conversation", "<message from='" ME "'>" EVENT(MDS, ITEM("current", ME, "s1") ITEM("a@b@c", ME, "s"))
	  "</message>", "9:current:s1 " },
	{ "taken back", "<message from='" ME "'>" EVENT(MDS, "<retract id='b@b'/>") "</message>", "-" },
	{ "forwarded",
	  "<message from='" ME "'><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message "
	  "from='" ME "'>" EVENT(MDS, ITEM("b@b", ME, "s1")) "</message></forwarded></received></message>",
	  "-" },

	{ "blocked", "<iq type='set'><block xmlns='urn:xmpp:blocking'><item jid='e@e'/><item jid='f.f'/></block></iq>",
	  "0:e@e:B 9:f.f:BL " },
	{ "nobody blocked", "<iq type='set'><block xmlns='urn:xmpp:blocking'/></iq>", "-" },
	{ "unblocked", "<iq type='set'><unblock xmlns='urn:xmpp:blocking'><item jid='e@e'/></unblock></iq>", "9:e@e:UL " },
	{ "all unblocked", "<iq type='set'><unblock xmlns='urn:xmpp:blocking'/></iq>", "9::UL " },
	{ "one that is no address is not all",
	  "<iq type='set'><unblock xmlns='urn:xmpp:blocking'><item jid='a@b@c'/></unblock></iq>", "-" },
	{ "another namespace", "<iq type='set'><unblock xmlns='urn:xmpp:other'/></iq>", "-" },
};

TEST(each_stanza_says_what_it_may_say)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *records = read_stanza(rows[i].xml);

		if (strcmp(records, rows[i].records) != 0)
			fail_msg("%s: %s", rows[i].why, records);
	}
}

TEST(a_long_status_is_cut_between_characters)
{
	_cleanup_(buf_deinit) struct buf xml = { 0 };
	_cleanup_(freep) char *records = NULL;

	buf_adds(&xml, "<presence from='b@b'><status>x");
	for (int i = 0; i < SHORT_TEXT_MAX; i++)
		buf_adds(&xml, "\u00fc");
	buf_adds(&xml, "</status></presence>");
	records = read_stanza(xml.data);
	assert_int_equal(strlen(records), strlen("9:b@b::::0 ") + SHORT_TEXT_MAX - 1);
}

TEST(one_that_broke_a_limit_says_nothing)
{
	_cleanup_(element_releasep) xmpp_stanza_t *presence = parse("<presence from='b@b'/>", NULL);
	_cleanup_(element_releasep) xmpp_stanza_t *event =
		parse("<message from='" ME "'>" EVENT(MDS, ITEM("b@b", ME, "s1")) "</message>", NULL);
	_cleanup_(element_releasep) xmpp_stanza_t *typing =
		parse("<message type='chat' from='b@b/x'>" COMPOSING "</message>", NULL);
	_cleanup_(buf_deinit) struct buf b = { 0 };
	const struct notice_sink to = { .emit = on_emit, .userdata = &b };

	notice_presence(&context, presence, "too large", 9, &to);
	notice_typing(&context, typing, "too large", 9, &to);
	assert_false(notice_event(&context, event, "too large", 9, &to));
	assert_int_equal(b.len, 0);
}

static char *read_list(const char *xml)
{
	_cleanup_(element_releasep) xmpp_stanza_t *iq = parse(xml, NULL);
	struct buf b = { 0 };
	const struct notice_sink to = { .emit = on_emit, .userdata = &b };

	notice_blocklist(iq, 9, &to);
	notice_read_states(&context, iq, 9, &to);
	return buf_steal(&b);
}

TEST(whole_lists)
{
	_cleanup_(freep) char *empty = read_list("<iq><blocklist xmlns='urn:xmpp:blocking'/></iq>");
	_cleanup_(freep) char *two = read_list(
		"<iq><blocklist xmlns='urn:xmpp:blocking'><item jid='e@e'/><item/><item jid='f@f'/><item jid='@'/>"
		"</blocklist></iq>");
	_cleanup_(freep) char *none = read_list("<iq><x xmlns='urn:xmpp:blocking'/></iq>");
	_cleanup_(freep) char *read = read_list("<iq><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='" MDS
						"'>" ITEM("b@b", ME, "s1") ITEM("c@c", ME, "s2") "</items></pubsub></iq>");

	assert_string_equal(empty, "9::URL ");
	assert_string_equal(two, "0:e@e:BR 9:f@f:BL ");
	assert_string_equal(none, "");
	assert_string_equal(read, "0:b@b:s1 9:c@c:s2 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(each_stanza_says_what_it_may_say),
		RUN(a_long_status_is_cut_between_characters),
		RUN(one_that_broke_a_limit_says_nothing),
		RUN(whole_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
