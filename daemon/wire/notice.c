#include "wire/notice.h"

#include <string.h>

#include "core/jid.h"
#include "core/text.h"
#include "wire/element.h"
#include "wire/ns.h"

static void emit(const struct notice_sink *to, const struct link_record *r)
{
	to->emit(to->userdata, r);
}

/* ${value} if it is in ${known}, as a string that lives for ever; else NULL. */
static const char *one_of(const char *value, const char *const *known, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(known[i], value) == 0)
			return known[i];
	return NULL;
}

static bool is_address(const char *jid)
{
	return strlen(jid) <= JID_MAX && jid_is_valid(jid);
}

/* RFC 6121 section 4.7.2.3: a number from -128 to 127. */
static int64_t priority_of(xmpp_stanza_t *presence)
{
	_cleanup_(freep) char *text = element_child_text(presence, "priority", NS_CLIENT);
	long n = strtol(text, NULL, 10);

	return n < -128 ? -128 : n > 127 ? 127 : n;
}

static const char *show_of(xmpp_stanza_t *presence)
{
	static const char *const shows[] = { "away", "chat", "dnd", "xa" };
	_cleanup_(freep) char *text = element_child_text(presence, "show", NS_CLIENT);

	return str_or_empty(one_of(text, shows, ARRAY_SIZE(shows)));
}

/* The text without a language, else the first; cut. The caller frees. */
static char *status_of(xmpp_stanza_t *presence)
{
	xmpp_stanza_t *el = element_child(presence, "status", NS_CLIENT), *s = el;
	_cleanup_(freep) char *text = NULL;

	while (s && *element_attr(s, "xml:lang"))
		s = element_next(s, "status", NS_CLIENT);
	text = element_text(s ? s : el);
	return xstrndup(text, text_prefix(text, SHORT_TEXT_MAX));
}

void notice_presence(const struct record_context *c, xmpp_stanza_t *presence, const char *dropped, uint32_t n,
		     const struct notice_sink *to)
{
	static const char *const types[] = { "",	     "unavailable",  "subscribe", "subscribed",
					     "unsubscribe", "unsubscribed", "error" };
	const char *from = element_attr(presence, "from");
	const char *type = one_of(element_attr(presence, "type"), types, ARRAY_SIZE(types));
	_cleanup_(freep) char *status = NULL;
	struct link_record r;

	if (!*from)
		from = c->bare;
	if (!type || dropped || !is_address(from))
		return;
	link_record_init(&r, LINK_PRESENCE);
	r.presence.n = n;
	r.presence.from = from;
	r.presence.type = type;
	/* An error repeats what was sent: it says nothing of who sends it. */
	if (strcmp(type, "error") != 0) {
		status = status_of(presence);
		r.presence.status = status;
	}
	if (!*type) {
		r.presence.show = show_of(presence);
		r.presence.priority = priority_of(presence);
	}
	emit(to, &r);
}

static int chat_state_of(xmpp_stanza_t *message)
{
	static const char *const names[CHAT_STATES] = { "active", "composing", "paused", "inactive", "gone" };

	for (int i = 0; i < CHAT_STATES; i++)
		if (element_child(message, names[i], NS_CHATSTATES))
			return i;
	return CHAT_STATES;
}

void notice_typing(const struct record_context *c, xmpp_stanza_t *message, const char *dropped, uint32_t n,
		   const struct notice_sink *to)
{
	static const char *const others[] = { "error", "groupchat", "headline" };
	const char *from = element_attr(message, "from");
	int state = chat_state_of(message);
	struct link_record r;

	if (state == CHAT_STATES || dropped || !is_address(from) || jid_bare_equal(from, c->bare))
		return;
	if (one_of(element_attr(message, "type"), others, ARRAY_SIZE(others)) ||
	    element_child(message, "delay", NS_DELAY) || element_child(message, "received", NS_CARBONS) ||
	    element_child(message, "sent", NS_CARBONS))
		return;
	link_record_init(&r, LINK_TYPING);
	r.typing.n = n;
	r.typing.from = from;
	r.typing.state = (uint32_t)state;
	emit(to, &r);
}

/*
 * The archive id that an item of our read states names: by our own account, and exactly one (XEP-0490 section 4.1).
 * NULL if there is none: a room's, say.
 */
static const char *read_id_of(const struct record_context *c, xmpp_stanza_t *item)
{
	xmpp_stanza_t *displayed = element_child(item, "displayed", NS_MDS);
	xmpp_stanza_t *el = element_child(displayed, "stanza-id", NS_SID);
	const char *id = element_attr(el, "id");

	if (!el || element_next(el, "stanza-id", NS_SID) || strcmp(element_attr(el, "by"), c->bare) != 0)
		return NULL;
	return *id && strlen(id) <= ID_MAX && is_address(element_attr(item, "id")) ? id : NULL;
}

/* The first from ${item} on that says something. */
static xmpp_stanza_t *next_read(const struct record_context *c, xmpp_stanza_t *item, const char *ns)
{
	while (item && !read_id_of(c, item))
		item = element_next(item, "item", ns);
	return item;
}

static void emit_read_states(const struct record_context *c, xmpp_stanza_t *holder, const char *ns, uint32_t n,
			     const struct notice_sink *to)
{
	xmpp_stanza_t *items = element_child(holder, "items", ns);
	xmpp_stanza_t *item, *next;

	if (strcmp(element_attr(items, "node"), NS_MDS) != 0)
		return;
	for (item = next_read(c, element_child(items, "item", ns), ns); item; item = next) {
		struct link_record r;

		next = next_read(c, element_next(item, "item", ns), ns);
		link_record_init(&r, LINK_READ);
		r.read.n = next ? 0 : n;
		r.read.jid = element_attr(item, "id");
		r.read.stanza_id = read_id_of(c, item);
		emit(to, &r);
	}
}

bool notice_event(const struct record_context *c, xmpp_stanza_t *message, const char *dropped, uint32_t n,
		  const struct notice_sink *to)
{
	xmpp_stanza_t *event = element_child(message, "event", NS_PUBSUB_EVENT);
	const char *from = element_attr(message, "from");

	/* Anybody has nodes and may send events of them; ours come from our own bare JID, byte for byte. */
	if (!event || dropped || (*from && strcmp(from, c->bare) != 0))
		return false;
	emit_read_states(c, event, NS_PUBSUB_EVENT, n, to);
	return true;
}

void notice_read_states(const struct record_context *c, xmpp_stanza_t *iq, uint32_t n, const struct notice_sink *to)
{
	emit_read_states(c, element_child(iq, "pubsub", NS_PUBSUB), NS_PUBSUB, n, to);
}

static xmpp_stanza_t *next_blocked(xmpp_stanza_t *item)
{
	while (item && !is_address(element_attr(item, "jid")))
		item = element_next(item, "item", NS_BLOCKING);
	return item;
}

static void emit_blocked(xmpp_stanza_t *list, bool blocked, bool full, uint32_t n, const struct notice_sink *to)
{
	xmpp_stanza_t *item = next_blocked(element_child(list, "item", NS_BLOCKING)), *next;

	for (bool first = true; item; item = next, first = false) {
		struct link_record r;

		next = next_blocked(element_next(item, "item", NS_BLOCKING));
		link_record_init(&r, LINK_BLOCKED);
		r.blocked.n = next ? 0 : n;
		r.blocked.jid = element_attr(item, "jid");
		r.blocked.blocked = blocked;
		r.blocked.reset = full && first;
		r.blocked.last = !next;
		emit(to, &r);
	}
}

static void emit_none_blocked(bool full, uint32_t n, const struct notice_sink *to)
{
	struct link_record r;

	link_record_init(&r, LINK_BLOCKED);
	r.blocked.n = n;
	r.blocked.reset = full;
	r.blocked.last = true;
	emit(to, &r);
}

void notice_blocklist(xmpp_stanza_t *iq, uint32_t n, const struct notice_sink *to)
{
	xmpp_stanza_t *list = element_child(iq, "blocklist", NS_BLOCKING);

	if (next_blocked(element_child(list, "item", NS_BLOCKING)))
		emit_blocked(list, true, true, n, to);
	else if (list)
		emit_none_blocked(true, n, to);
}

bool notice_block_push(xmpp_stanza_t *iq, uint32_t n, const struct notice_sink *to)
{
	xmpp_stanza_t *block = element_child(iq, "block", NS_BLOCKING);
	xmpp_stanza_t *unblock = element_child(iq, "unblock", NS_BLOCKING);

	if (block)
		emit_blocked(block, true, false, n, to);
	else if (unblock && element_child(unblock, "item", NS_BLOCKING))
		emit_blocked(unblock, false, false, n, to);
	else if (unblock)
		emit_none_blocked(false, n, to);
	return block || unblock;
}
