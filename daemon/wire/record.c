#include "wire/record.h"

#include <string.h>

#include "base/buf.h"
#include "core/jid.h"
#include "core/stamp.h"
#include "core/text.h"
#include "wire/element.h"
#include "wire/limits.h"
#include "wire/ns.h"

static const char *keep(struct record *r, char *s)
{
	if (r->n_keep >= ARRAY_SIZE(r->keep))
		abort();
	r->keep[r->n_keep++] = s;
	return s;
}

/* The value of an attribute, or "" when it is longer than the record may carry. */
static const char *attr_within(xmpp_stanza_t *el, const char *name, size_t max)
{
	const char *s = element_attr(el, name);

	return strlen(s) <= max ? s : "";
}

static const char *copy_cut(struct record *r, const char *s, size_t max)
{
	return keep(r, xstrndup(s, text_prefix(s, max)));
}

static void set_dropped(struct message *m, const char *why)
{
	m->payload = PAYLOAD_DROPPED;
	m->error_text = why;
	m->body = m->text = m->target_id = m->replace_id = m->reply_id = m->encryption = m->error = "";
}

static int64_t stamp_of(xmpp_stanza_t *delay)
{
	int64_t us = 0;

	return delay && stamp_parse(element_attr(delay, "stamp"), &us) ? us : 0;
}

/* The first delay that is by our own server, else the first of all: anybody may add one (XEP-0203 section 5). */
static void read_delay(const struct record_context *c, xmpp_stanza_t *stanza, struct message *m)
{
	xmpp_stanza_t *d = element_child(stanza, "delay", NS_DELAY);

	m->delay_us = stamp_of(d);
	for (; d; d = element_next(d, "delay", NS_DELAY)) {
		const char *from = element_attr(d, "from");

		if (strcmp(from, c->domain) != 0 && strcmp(from, c->bare) != 0)
			continue;
		m->delay_us = stamp_of(d);
		m->delay_trusted = m->delay_us != 0;
		return;
	}
}

/*
 * The archive id that our own archive gave a live stanza (A7, A9): only by our bare JID, only if the server announces
 * that it filters, and only if there is exactly one: XEP-0359 section 3.1 forbids a second, so one is forged (I5).
 */
static void read_stanza_id(const struct record_context *c, xmpp_stanza_t *stanza, struct message *m)
{
	xmpp_stanza_t *el = element_child(stanza, "stanza-id", NS_SID);
	const char *id = "";
	int found = 0;

	for (; el; el = element_next(el, "stanza-id", NS_SID)) {
		if (strcmp(element_attr(el, "by"), c->bare) != 0)
			continue;
		id = attr_within(el, "id", ID_MAX);
		found++;
	}
	if (c->stanza_ids && found == 1)
		m->archive_id = id;
}

static const char *known_type(const char *type)
{
	static const char *const types[] = { "chat", "normal", "groupchat", "headline", "error" };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(types[i], type) == 0)
			return types[i];
	return "normal"; /* RFC 6121 section 5.2.2: absent and unknown */
}

/* Addresses and ids. False if an address is over its limit: there is nothing to file the stanza under. */
static bool read_envelope(const struct record_context *c, xmpp_stanza_t *stanza, struct message *m)
{
	const char *from = element_attr(stanza, "from");
	const char *to = element_attr(stanza, "to");
	bool fits = strlen(from) <= JID_MAX && strlen(to) <= JID_MAX;

	m->from = *from && fits ? from : c->bare;
	m->to = *to && fits ? to : c->bare;
	m->type = known_type(element_attr(stanza, "type"));
	/* The room puts it there (XEP-0045 section 7.5). Who does so himself is taken for less. */
	m->occupant = element_child(stanza, "x", NS_MUC_USER) && strchr(m->from, '/');
	m->id = attr_within(stanza, "id", ID_MAX);
	m->origin_id = attr_within(element_child(stanza, "origin-id", NS_SID), "id", ID_MAX);
	return fits;
}

static xmpp_stanza_t *body_of(xmpp_stanza_t *stanza)
{
	xmpp_stanza_t *first = element_child(stanza, "body", NS_CLIENT);

	/* The one without a language is meant for everybody (RFC 6121 section 5.2.3). */
	for (xmpp_stanza_t *b = first; b; b = element_next(b, "body", NS_CLIENT))
		if (!*element_attr(b, "xml:lang"))
			return b;
	return first;
}

/* XEP-0380's namespace, or the payload that we know; "" for clear text. */
static const char *encryption_of(xmpp_stanza_t *stanza, const char *body)
{
	static const struct {
		const char *name;
		const char *ns;
		const char *content; /* a child that must be there: without it it carries a key, no text */
	} known[] = {
		{ "encrypted", NS_OMEMO_0, "payload" },
		{ "encrypted", NS_OMEMO_1, "payload" },
		{ "encrypted", NS_OMEMO_2, "payload" },
		{ "openpgp", NS_OX, NULL },
		{ "x", NS_PGP, NULL },
	};
	const char *eme = attr_within(element_child(stanza, "encryption", NS_EME), "namespace", 256);

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		xmpp_stanza_t *el = element_child(stanza, known[i].name, known[i].ns);

		if (!el)
			continue;
		if (!known[i].content || element_child(el, known[i].content, known[i].ns))
			return known[i].ns;
		return *body ? known[i].ns : "";
	}
	if (*eme)
		return eme;
	return strncmp(body, "?OTR", 4) == 0 ? NS_OTR : "";
}

/* The body is only there for clients that do not know ${ns} (XEP-0428). */
static bool body_is_fallback(xmpp_stanza_t *stanza, const char *ns)
{
	xmpp_stanza_t *f = element_child(stanza, "fallback", NS_FALLBACK);

	for (; f; f = element_next(f, "fallback", NS_FALLBACK))
		if (strcmp(element_attr(f, "for"), ns) == 0)
			return true;
	return false;
}

static void read_reactions(struct record *r, xmpp_stanza_t *el)
{
	_cleanup_(buf_deinit) struct buf all = { 0 };
	xmpp_stanza_t *e = element_child(el, "reaction", NS_REACTIONS);

	for (int i = 0; e && i < REACTIONS_MAX; i++, e = element_next(e, "reaction", NS_REACTIONS)) {
		_cleanup_(freep) char *emoji = element_text(e);
		size_t len = strlen(emoji);

		if (len == 0 || strchr(emoji, '\n') || all.len + len + 1 > SHORT_TEXT_MAX)
			continue;
		if (all.len)
			buf_adds(&all, "\n");
		buf_add(&all, emoji, len);
	}
	r->message.text = keep(r, buf_steal(&all));
}

/* A payload that points at another message by the id in ${el}; one whose target cannot be named is dropped. */
static bool points(struct message *m, xmpp_stanza_t *el, const char *attr, enum message_payload payload)
{
	const char *id = element_attr(el, attr);

	if (!el || !*id)
		return false;
	if (strlen(id) > ID_MAX) {
		set_dropped(m, "target id too long");
		return true;
	}
	m->payload = payload;
	m->target_id = id;
	return true;
}

static void read_error(struct record *r, xmpp_stanza_t *stanza)
{
	xmpp_stanza_t *error = element_child(stanza, "error", NS_CLIENT);
	_cleanup_(freep) char *text = element_child_text(error, "text", NS_STANZAS_ERROR);

	r->message.payload = PAYLOAD_ERROR;
	r->message.error = copy_cut(r, element_condition(error, NS_STANZAS_ERROR), 64);
	r->message.error_text = copy_cut(r, text, SHORT_TEXT_MAX);
}

/* XEP-0184 section 7 and XEP-0333 section 4.1: only what has an id can be answered for. */
static uint32_t asks_of(xmpp_stanza_t *stanza, const struct message *m)
{
	uint32_t asks = 0;

	if (!*m->id)
		return 0;
	if (element_child(stanza, "request", NS_RECEIPTS))
		asks |= ASKS_RECEIPT;
	if (element_child(stanza, "markable", NS_MARKERS))
		asks |= ASKS_MARKER;
	return asks;
}

/*
 * A moderator's retraction comes from the room itself; whoever else says "moderated" is not believed in any part of it (XEP-0425
 * section 5).
 */
static bool is_forged_moderation(xmpp_stanza_t *retract, const struct message *m)
{
	bool room = strcmp(m->type, "groupchat") == 0 && !strchr(m->from, '/');

	return !room && element_child(retract, "moderated", NS_MODERATE);
}

/*
 * <retract/>, or what stands for it in version 0 of XEP-0424 (slixmpp 1.8, clients of until 2024): <apply-to/> with the target's id and
 * a <retract/> in it. A moderator's of that time has <moderated/> between the two, and is not believed by this.
 */
static xmpp_stanza_t *retraction_of(xmpp_stanza_t *stanza)
{
	xmpp_stanza_t *retract = element_child(stanza, "retract", NS_RETRACT);
	xmpp_stanza_t *apply = element_child(stanza, "apply-to", NS_FASTEN);

	return retract || !element_child(apply, "retract", NS_RETRACT_0) ? retract : apply;
}

static void read_text(struct record *r, xmpp_stanza_t *stanza, const char *body, const char *encryption)
{
	struct message *m = &r->message;

	m->payload = PAYLOAD_TEXT;
	m->body = body;
	m->encryption = encryption;
	m->replace_id = attr_within(element_child(stanza, "replace", NS_CORRECT), "id", ID_MAX);
	m->reply_id = attr_within(element_child(stanza, "reply", NS_REPLY), "id", ID_MAX);
	m->asks = asks_of(stanza, m);
}

/*
 * What somebody says without a body: a link alone (XEP-0066), a subject alone (RFC 6121 section 5.2.4), which is a room's affair in a
 * room (XEP-0045 section 8.1). "" if nothing.
 */
static const char *words_of(struct record *r, xmpp_stanza_t *stanza)
{
	const char *url = keep(r, element_child_text(element_child(stanza, "x", NS_OOB), "url", NS_OOB));

	if (*url || strcmp(r->message.type, "groupchat") == 0)
		return url;
	return keep(r, element_child_text(stanza, "subject", NS_CLIENT));
}

static void read_payload(struct record *r, xmpp_stanza_t *stanza)
{
	struct message *m = &r->message;
	xmpp_stanza_t *reactions = element_child(stanza, "reactions", NS_REACTIONS);
	xmpp_stanza_t *retract = retraction_of(stanza);
	xmpp_stanza_t *body_el = body_of(stanza);
	const char *body, *encryption, *words;

	m->payload = PAYLOAD_NONE;
	/* An error repeats the payload that failed: it says none of it (RFC 6120 section 8.3.1). */
	if (strcmp(m->type, "error") == 0) {
		read_error(r, stanza);
		return;
	}
	/* A retraction's body is for old clients and must never be shown (XEP-0424 section 3). */
	if (retract && is_forged_moderation(retract, m))
		return;
	if (points(m, retract, "id", PAYLOAD_RETRACTION))
		return;
	if (reactions && (!body_el || body_is_fallback(stanza, NS_REACTIONS)) &&
	    points(m, reactions, "id", PAYLOAD_REACTION)) {
		if (m->payload == PAYLOAD_REACTION)
			read_reactions(r, reactions);
		return;
	}
	body = keep(r, element_text(body_el));
	encryption = encryption_of(stanza, body);
	if (*body || *encryption) {
		read_text(r, stanza, body, encryption);
		return;
	}
	if (points(m, element_child(stanza, "received", NS_RECEIPTS), "id", PAYLOAD_RECEIPT))
		return;
	if (points(m, element_child(stanza, "displayed", NS_MARKERS), "id", PAYLOAD_MARKER))
		return;
	words = words_of(r, stanza);
	if (*words)
		read_text(r, stanza, words, "");
}

static void read_message(const struct record_context *c, xmpp_stanza_t *stanza, const char *dropped, struct record *r)
{
	bool fits = read_envelope(c, stanza, &r->message);

	read_stanza_id(c, stanza, &r->message);
	read_delay(c, stanza, &r->message);
	if (!fits)
		set_dropped(&r->message, "address too long");
	else if (dropped)
		set_dropped(&r->message, dropped);
	else
		read_payload(r, stanza);
}

/* Neither from nor to is ours: it is no message of this account, whoever forwards it (I6). Absent means ours. */
static bool is_ours(const struct record_context *c, const struct message *m)
{
	return c->foreign || jid_bare_equal(m->from, c->bare) || jid_bare_equal(m->to, c->bare);
}

static xmpp_stanza_t *forwarded_message(xmpp_stanza_t *wrapper)
{
	return element_child(element_child(wrapper, "forwarded", NS_FORWARD), "message", NS_CLIENT);
}

/* The CVE-2017-5589 family: a carbon is believed from our own account alone, compared byte for byte (I1). */
static bool from_own_account(const struct record_context *c, xmpp_stanza_t *stanza)
{
	const char *from = element_attr(stanza, "from");

	return !*from || strcmp(from, c->bare) == 0;
}

static int read_carbon(const struct record_context *c, xmpp_stanza_t *stanza, xmpp_stanza_t *wrapper,
		       const char *dropped, struct record *r)
{
	xmpp_stanza_t *inner = forwarded_message(wrapper);

	if (!from_own_account(c, stanza) || !inner)
		return RECORD_E_NOTHING;
	read_message(c, inner, dropped, r);
	r->message.via = VIA_CARBON;
	/* Groupchat must not be copied (XEP-0280 section 6.1): whoever does so is confused (C15). */
	if (strcmp(r->message.type, "groupchat") == 0 || !is_ours(c, &r->message))
		return RECORD_E_NOTHING;
	return r->message.payload == PAYLOAD_NONE ? RECORD_E_NOTHING : 0;
}

int record_live(const struct record_context *c, xmpp_stanza_t *stanza, const char *dropped, struct record *ret)
{
	xmpp_stanza_t *wrapper;

	*ret = (struct record){ .n_keep = 0 };
	message_init(&ret->message);
	wrapper = element_child(stanza, "received", NS_CARBONS);
	if (!wrapper)
		wrapper = element_child(stanza, "sent", NS_CARBONS);
	if (wrapper)
		return read_carbon(c, stanza, wrapper, dropped, ret);
	read_message(c, stanza, dropped, ret);
	ret->message.via = VIA_LIVE;
	return ret->message.payload == PAYLOAD_NONE ? RECORD_E_NOTHING : 0;
}

int record_archived(const struct record_context *c, xmpp_stanza_t *result, const char *dropped, struct record *ret)
{
	xmpp_stanza_t *forwarded = element_child(result, "forwarded", NS_FORWARD);
	xmpp_stanza_t *inner = forwarded_message(result);
	struct message *m = &ret->message;

	*ret = (struct record){ .n_keep = 0 };
	message_init(m);
	if (inner) {
		read_message(c, inner, dropped, ret);
		/* The archive has a tombstone in its place (XEP-0424 section 4, XEP-0425 section 4). */
		if (m->payload == PAYLOAD_NONE &&
		    (element_child(inner, "retracted", NS_RETRACT) || element_child(inner, "retracted", NS_RETRACT_0)))
			m->payload = PAYLOAD_RETRACTION;
	} else {
		/* Removed from the middle of the archive, or dropped before its message was read. */
		m->from = m->to = c->bare;
		m->type = "normal";
		m->payload = PAYLOAD_NONE;
		if (dropped)
			set_dropped(m, dropped);
	}
	m->via = VIA_ARCHIVE;
	/* The result's id is the id, whatever <stanza-id/>s the stanza has inside (C11). */
	m->archive_id = attr_within(result, "id", ID_MAX);
	m->archive_us = stamp_of(element_child(forwarded, "delay", NS_DELAY));
	return is_ours(c, m) ? 0 : RECORD_E_NOTHING;
}

void record_deinit(struct record *r)
{
	for (unsigned int i = 0; i < r->n_keep; i++)
		free(r->keep[i]);
	r->n_keep = 0;
}
