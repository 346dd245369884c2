#include "wire/compose.h"

#include <string.h>

#include "base/buf.h"
#include "core/jid.h"
#include "core/stamp.h"
#include "core/text.h"
#include "wire/caps.h"
#include "wire/limits.h"
#include "wire/ns.h"

struct out {
	struct buf xml;
	bool bad; /* something in it is no XML */
};

/* A parser turns \r\n into \n, and any of them in an attribute into a space: as references they stay (XML 1.0, 2.11). */
static void add_escaped(struct out *o, const char *s, bool attribute)
{
	size_t plain;

	/* Noncharacters too: XML has some, but xml.c replaces them all, and an id has to come back as it left. */
	o->bad |= !text_is_utf8(s) || text_unsayable(s);
	for (; *s; s += plain) {
		plain = strcspn(s, "&<>'\"\t\n\r");
		buf_add(&o->xml, s, plain);
		if (!s[plain])
			return;
		if (s[plain] == '\r' || (attribute && (s[plain] == '\n' || s[plain] == '\t')))
			buf_addf(&o->xml, "&#%d;", s[plain]);
		else
			buf_add_xml(&o->xml, (const char[]){ s[plain], '\0' });
		plain++;
	}
}

static void add(struct out *o, const char *xml)
{
	buf_adds(&o->xml, xml);
}

static void add_attr(struct out *o, const char *name, const char *value)
{
	buf_addf(&o->xml, " %s='", name);
	add_escaped(o, value, true);
	add(o, "'");
}

/* <name xmlns='ns' id='${id}'/> */
static void add_pointer(struct out *o, const char *name, const char *ns, const char *id)
{
	buf_addf(&o->xml, "<%s xmlns='%s'", name, ns);
	add_attr(o, "id", id);
	add(o, "/>");
}

static void add_body(struct out *o, const char *body)
{
	add(o, "<body>");
	add_escaped(o, body, false);
	add(o, "</body>");
}

static void add_delay(struct out *o, int64_t us)
{
	char stamp[STAMP_SIZE];

	/* Without from: it is our own word, and readers trust only a server's (XEP-0203 section 5). */
	if (us)
		buf_addf(&o->xml, "<delay xmlns='" NS_DELAY "' stamp='%s'/>", stamp_format(us, stamp));
}

static void add_text(struct out *o, const struct link_send *s)
{
	add_body(o, s->body);
	if (s->kind == OUT_CORRECTION)
		add_pointer(o, "replace", NS_CORRECT, s->target_id);
	if (*s->reply_id) {
		add(o, "<reply xmlns='" NS_REPLY "'");
		if (*s->reply_jid)
			add_attr(o, "to", s->reply_jid);
		add_attr(o, "id", s->reply_id);
		add(o, "/>");
	}
	add_pointer(o, "origin-id", NS_SID, s->id);
	add(o, "<request xmlns='" NS_RECEIPTS "'/><markable xmlns='" NS_MARKERS "'/><active xmlns='" NS_CHATSTATES "'/>");
}

static void add_retraction(struct out *o, const struct link_send *s)
{
	add_pointer(o, "retract", NS_RETRACT, s->target_id);
	add(o, "<fallback xmlns='" NS_FALLBACK "' for='" NS_RETRACT "'/>");
	/* Word for word XEP-0424 section 3. */
	add_body(o, "/me retracted a previous message, but it's unsupported by your client.");
	add_pointer(o, "origin-id", NS_SID, s->id);
	add(o, "<store xmlns='" NS_HINTS "'/>");
}

/* One of ${len} bytes at ${s}, and not before it: XEP-0444 section 4 forbids the same twice. */
static bool is_first(const char *all, const char *s, size_t len)
{
	for (const char *p = all; p < s; p += strcspn(p, "\n") + 1)
		if (strcspn(p, "\n") == len && memcmp(p, s, len) == 0)
			return false;
	return true;
}

static void add_reaction(struct out *o, const struct link_send *s)
{
	add(o, "<reactions xmlns='" NS_REACTIONS "'");
	add_attr(o, "id", s->target_id);
	add(o, ">");
	for (const char *p = s->text; *p; p += strspn(p, "\n")) {
		size_t len = strcspn(p, "\n");
		_cleanup_(freep) char *emoji = xstrndup(p, len);

		if (len && is_first(s->text, p, len)) {
			add(o, "<reaction>");
			add_escaped(o, emoji, false);
			add(o, "</reaction>");
		}
		p += len;
	}
	add(o, "</reactions>");
	add_pointer(o, "origin-id", NS_SID, s->id);
	add(o, "<store xmlns='" NS_HINTS "'/>");
}

static void add_message(struct out *o, const struct link_send *s)
{
	add(o, "<message type='chat'");
	add_attr(o, "to", s->to);
	add_attr(o, "id", s->id);
	add(o, ">");
	switch ((enum out_kind)s->kind) {
	case OUT_TEXT:
	case OUT_CORRECTION:
		add_text(o, s);
		break;
	case OUT_RETRACTION:
		add_retraction(o, s);
		break;
	case OUT_REACTION:
		add_reaction(o, s);
		break;
	case OUT_RECEIPT:
		/*
		 * XEP-0184 section 7 would have nothing else in it. But ejabberd keeps a stanza without a body for
		 * somebody who is offline only with the hint (XEP-0334), and then it would never be known.
		 */
		add_pointer(o, "received", NS_RECEIPTS, s->target_id);
		add(o, "<store xmlns='" NS_HINTS "'/>");
		break;
	case OUT_MARKER:
		add_pointer(o, "displayed", NS_MARKERS, s->target_id);
		add(o, "<store xmlns='" NS_HINTS "'/>");
		break;
	case OUT_READ:
	case OUT_KINDS:
		break;
	}
	add_delay(o, s->delay_us);
	add(o, "</message>");
}

#define FIELD(var, value) "<field var='pubsub#" var "'><value>" value "</value></field>"
#define FORM(type, fields)                                                                     \
	"<x xmlns='" NS_DATA "' type='submit'><field var='FORM_TYPE' type='hidden'><value>" type \
	"</value></field>" fields "</x>"
/* XEP-0490 section 4.2: nobody but our own devices may read it. */
#define MDS_PRIVATE FIELD("persist_items", "true") FIELD("access_model", "whitelist")
#define MDS_FIELDS FIELD("max_items", "max") FIELD("send_last_published_item", "never") MDS_PRIVATE

static void add_read(struct out *o, const struct link_send *s, const char *own_bare, bool configured)
{
	const char *options = configured ? FORM(NS_PUBLISH_OPTIONS, MDS_PRIVATE) : FORM(NS_PUBLISH_OPTIONS, MDS_FIELDS);

	add(o, "<iq type='set'");
	add_attr(o, "id", s->id);
	add(o, "><pubsub xmlns='" NS_PUBSUB "'><publish node='" NS_MDS "'><item");
	add_attr(o, "id", s->to);
	add(o, "><displayed xmlns='" NS_MDS "'><stanza-id xmlns='" NS_SID "'");
	add_attr(o, "by", own_bare);
	add_attr(o, "id", s->target_id);
	add(o, "/></displayed></item></publish><publish-options>");
	add(o, options);
	add(o, "</publish-options></pubsub></iq>");
}

#define TEXT_BAD "it holds characters that XMPP cannot carry"
#define TEXT_LONG "it is too long for the server to take"
#define TEXT_ADDRESS "the address is not valid"

/* NULL, or the RFC 6120 condition for which ${o} must not be sent; *ret_text. */
static const char *problem(const struct out *o, const char **ret_text)
{
	if (o->bad) {
		*ret_text = TEXT_BAD;
		return "not-acceptable";
	}
	*ret_text = TEXT_LONG;
	return o->xml.len > SEND_MAX ? "policy-violation" : NULL;
}

static const char *problem_of_send(const struct link_send *s, const char **ret_text)
{
	*ret_text = "not a kind of message that can be sent";
	if (s->kind >= OUT_KINDS)
		return "bad-request";
	*ret_text = "it has no id, or does not say which message it is about";
	if (!*s->id || (s->kind != OUT_TEXT && !*s->target_id))
		return "bad-request";
	*ret_text = TEXT_ADDRESS;
	return jid_is_valid(s->to) ? NULL : "jid-malformed";
}

/* *ret, or the problem. */
static int finish(struct out *o, char **ret, const char **ret_condition, const char **ret_text)
{
	*ret_condition = problem(o, ret_text);
	if (*ret_condition) {
		buf_deinit(&o->xml);
		return COMPOSE_E_UNSENDABLE;
	}
	*ret = buf_steal(&o->xml);
	return 0;
}

int compose_send(const struct link_send *send, const char *own_bare, bool configured, char **ret,
		 const char **ret_condition, const char **ret_text)
{
	struct out o = { .bad = false };

	*ret_condition = problem_of_send(send, ret_text);
	if (*ret_condition)
		return COMPOSE_E_UNSENDABLE;
	if (send->kind == OUT_READ)
		add_read(&o, send, own_bare, configured);
	else
		add_message(&o, send);
	return finish(&o, ret, ret_condition, ret_text);
}

char *compose_read_node(const char *id, bool create)
{
	static const char form[] = FORM(NS_PUBSUB "#node_config", MDS_FIELDS);

	if (create)
		return xasprintf("<iq type='set' id='%s'><pubsub xmlns='" NS_PUBSUB "'><create node='" NS_MDS "'/>"
				 "<configure>%s</configure></pubsub></iq>", id, form);
	return xasprintf("<iq type='set' id='%s'><pubsub xmlns='" NS_PUBSUB_OWNER "'><configure node='" NS_MDS "'>%s"
			 "</configure></pubsub></iq>", id, form);
}

int compose_chat_state(const struct link_chat_state *state, char **ret, const char **ret_condition,
		       const char **ret_text)
{
	static const char *const names[CHAT_STATES] = { "active", "composing", "paused", "inactive", "gone" };
	struct out o = { .bad = false };

	*ret_condition = "bad-request";
	*ret_text = "not a chat state, or not an address";
	if (state->state >= CHAT_STATES || !jid_is_valid(state->to))
		return COMPOSE_E_UNSENDABLE;
	add(&o, "<message type='chat'");
	add_attr(&o, "to", state->to);
	/* Worth nothing later (XEP-0334): no server may keep it. */
	buf_addf(&o.xml, "><%s xmlns='" NS_CHATSTATES "'/><no-store xmlns='" NS_HINTS "'/></message>",
		 names[state->state]);
	return finish(&o, ret, ret_condition, ret_text);
}

char *compose_presence(const char *show, const char *status)
{
	struct out o = { .bad = false };

	add(&o, "<presence>");
	if (*show) {
		add(&o, "<show>");
		add_escaped(&o, show, false);
		add(&o, "</show>");
	}
	if (*status) {
		add(&o, "<status>");
		add_escaped(&o, status, false);
		add(&o, "</status>");
	}
	add(&o, "<priority>0</priority>");
	caps_add(&o.xml);
	add(&o, "</presence>");
	if (o.bad) {
		buf_deinit(&o.xml);
		return NULL;
	}
	return buf_steal(&o.xml);
}

static void add_groups(struct out *o, const char *groups)
{
	for (const char *p = groups; *p; p += strspn(p, "\n")) {
		size_t len = strcspn(p, "\n");
		_cleanup_(freep) char *name = xstrndup(p, len);

		/* RFC 6121 section 2.3.3: a group twice is an error. */
		if (len && is_first(groups, p, len)) {
			add(o, "<group>");
			add_escaped(o, name, false);
			add(o, "</group>");
		}
		p += len;
	}
}

static void add_iq(struct out *o, const struct link_request *q, const char *id)
{
	bool set = q->kind == REQUEST_ROSTER_SET, blocks = q->kind == REQUEST_BLOCK;

	add(o, "<iq type='set'");
	add_attr(o, "id", id);
	if (q->kind == REQUEST_PUSH_ENABLE || q->kind == REQUEST_PUSH_DISABLE) {
		add(o, q->kind == REQUEST_PUSH_ENABLE ? "><enable xmlns='" NS_PUSH "'" : "><disable xmlns='" NS_PUSH "'");
		add_attr(o, "jid", q->jid);
		add_attr(o, "node", q->name);
		add(o, "/></iq>");
		return;
	}
	if (set || q->kind == REQUEST_ROSTER_REMOVE) {
		add(o, "><query xmlns='" NS_ROSTER "'><item");
		add_attr(o, "jid", q->jid);
		if (set && *q->name)
			add_attr(o, "name", q->name);
		add(o, set ? ">" : " subscription='remove'>");
		if (set)
			add_groups(o, q->text);
		add(o, "</item></query></iq>");
		return;
	}
	add(o, blocks ? "><block xmlns='" NS_BLOCKING "'><item" : "><unblock xmlns='" NS_BLOCKING "'><item");
	add_attr(o, "jid", q->jid);
	add(o, blocks ? "/></block></iq>" : "/></unblock></iq>");
}

static bool is_one_of(const char *value, const char *const *known, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(value, known[i]) == 0)
			return true;
	return false;
}

static const char *problem_of_request(const struct link_request *q, const char **ret_text)
{
	static const char *const subscriptions[] = { "subscribe", "subscribed", "unsubscribe", "unsubscribed" };
	static const char *const shows[] = { "", "away", "chat", "dnd", "xa" };

	*ret_text = "not a kind of request that there is";
	if (q->kind >= REQUEST_KINDS)
		return "bad-request";
	if (q->kind == REQUEST_SUBSCRIPTION && !is_one_of(q->name, subscriptions, ARRAY_SIZE(subscriptions)))
		return "bad-request";
	if (q->kind == REQUEST_PRESENCE && !is_one_of(q->name, shows, ARRAY_SIZE(shows)))
		return "bad-request";
	/* Without a node all of that service's would be meant (XEP-0357 section 6). */
	if ((q->kind == REQUEST_PUSH_ENABLE || q->kind == REQUEST_PUSH_DISABLE) && !*q->name)
		return "bad-request";
	*ret_text = TEXT_ADDRESS;
	return q->kind == REQUEST_PRESENCE || jid_is_valid(q->jid) ? NULL : "jid-malformed";
}

int compose_request(const struct link_request *request, const char *id, char **ret, const char **ret_condition,
		    const char **ret_text)
{
	struct out o = { .bad = false };

	*ret_condition = problem_of_request(request, ret_text);
	if (*ret_condition)
		return COMPOSE_E_UNSENDABLE;
	if (request->kind == REQUEST_PRESENCE) {
		*ret = compose_presence(request->name, request->text);
		*ret_condition = "not-acceptable";
		*ret_text = TEXT_BAD;
		return *ret ? 0 : COMPOSE_E_UNSENDABLE;
	}
	if (request->kind == REQUEST_SUBSCRIPTION) {
		buf_addf(&o.xml, "<presence type='%s'", request->name);
		add_attr(&o, "to", request->jid);
		add(&o, "/>");
	} else {
		add_iq(&o, request, id);
	}
	return finish(&o, ret, ret_condition, ret_text);
}
