#include "wire/xml.h"

#include <expat.h>
#include <string.h>

#include "base/buf.h"
#include "core/message.h"
#include "core/text.h"
#include "wire/limits.h"
#include "wire/ns.h"

/* Between namespace and name in what expat reports; expat refuses namespaces that hold it (since 2.4.5). */
#define NS_SEPARATOR '\n'

/*
 * Since 2.6 (and in Debian's 2.5.0-1+deb12u5) expat puts off parsing a long token until twice as many bytes came,
 * which freezes a quiet stream. Older libraries have no such symbol and no need of it.
 */
extern XML_Bool XML_SetReparseDeferralEnabled(XML_Parser parser, XML_Bool enabled) __attribute__((weak));

/* The names of before 2.9, which say that they are obsolete from there on. */
#if XML_MAJOR_VERSION == 2 && XML_MINOR_VERSION < 9
#define XML_GetCurrentByteIndex64 XML_GetCurrentByteIndex
#define XML_GetCurrentByteCount64 XML_GetCurrentByteCount
#endif

struct node {
	struct node *next;
	struct xml_event event;
};

struct xml {
	xmpp_ctx_t *ctx;
	XML_Parser parser;
	int depth; /* open elements, the stream's own included */
	xmpp_stanza_t *open[DEPTH_MAX + 2];
	int kept; /* how many of the open elements are in ${open}; fewer than depth once dropped */
	struct buf text; /* of the innermost open element since its last tag */
	const char *dropped;
	/* Bytes of the stream, modulo 2^32: on a 32-bit machine expat before 2.9 knows no more of them. Only differences count. */
	uint32_t stanza_start, fed;
	size_t nodes;
	int ids_kept; /* after the stanza was dropped */
	size_t size_max;
	size_t nodes_max;
	bool broken;
	char *own; /* our bare JID, NULL before it is known */
	struct node *first, **last;
};

static void push(struct xml *x, struct xml_event event)
{
	struct node *n = xnew(struct node);

	n->event = event;
	*x->last = n;
	x->last = &n->next;
}

static void fail(struct xml *x, const char *condition, const char *text)
{
	if (x->broken)
		return;
	x->broken = true;
	push(x, (struct xml_event){ .kind = XML_BROKEN, .condition = condition, .text = text });
	XML_StopParser(x->parser, XML_FALSE);
}

/* From here on the stanza is only skipped; the elements open now stay as its marker. */
static void drop(struct xml *x, const char *why)
{
	if (!x->dropped)
		x->dropped = why;
	buf_deinit(&x->text);
}

/* Where the event begins, or what is not whole yet. */
static uint32_t position(const struct xml *x)
{
	return (uint32_t)XML_GetCurrentByteIndex64(x->parser);
}

static bool within_size(struct xml *x)
{
	uint32_t size = position(x) + (uint32_t)XML_GetCurrentByteCount64(x->parser) - x->stanza_start;

	if (size > STANZA_SKIP_MAX) {
		fail(x, "policy-violation", "stanza larger than any server relays");
		return false;
	}
	if (size > x->size_max)
		drop(x, "stanza too large");
	return true;
}

static void set_attribute(xmpp_stanza_t *el, const char *name, const char *value)
{
	_cleanup_(freep) char *clean = text_is_clean(value) ? NULL : text_clean(value);

	if (xmpp_stanza_set_attribute(el, name, clean ? clean : value) != XMPP_EOK)
		abort();
}

/* What a marker keeps of an oversized tag: enough to answer an iq, to move a cursor, to say who sent it. */
static bool marker_keeps(const char *name, const char *value)
{
	static const char *const names[] = { "type", "id", "from", "to", "queryid", "stamp", "by" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i], name) == 0)
			return strlen(value) <= JID_MAX;
	return false;
}

static xmpp_stanza_t *build(struct xml *x, const char *qname, const char **atts)
{
	const char *sep = strchr(qname, NS_SEPARATOR);
	const char *name = sep ? sep + 1 : qname;
	_cleanup_(freep) char *ns = sep ? xstrndup(qname, (size_t)(sep - qname)) : NULL;
	_cleanup_(freep) char *cut = strlen(name) > ELEMENT_NAME_MAX ? xstrndup(name, ELEMENT_NAME_MAX) : NULL;
	xmpp_stanza_t *el = xmpp_stanza_new(x->ctx);

	if (!el || xmpp_stanza_set_name(el, cut ? cut : name) != XMPP_EOK)
		abort();
	for (; *atts; atts += 2) {
		/* A prefixed attribute is another attribute than the bare one of that name: never the stanza's. */
		if (strcmp(atts[0], NS_XML "\nlang") == 0)
			set_attribute(el, "xml:lang", atts[1]);
		else if (!strchr(atts[0], NS_SEPARATOR) && (!x->dropped || marker_keeps(atts[0], atts[1])))
			set_attribute(el, atts[0], atts[1]);
	}
	/* Last: an attribute spelled xmlns cannot come through expat, but the namespace must win anyhow. */
	set_attribute(el, "xmlns", str_or_empty(ns));
	return el;
}

static void take_text(struct xml *x)
{
	_cleanup_(freep) char *clean = NULL;
	xmpp_stanza_t *t;

	if (x->text.len == 0)
		return;
	if (++x->nodes > x->nodes_max) {
		drop(x, "too many elements");
		return;
	}
	clean = text_is_clean(x->text.data) ? NULL : text_clean(x->text.data);
	t = xmpp_stanza_new(x->ctx);
	if (!t || xmpp_stanza_set_text(t, clean ? clean : x->text.data) != XMPP_EOK)
		abort();
	xmpp_stanza_add_child_ex(x->open[x->kept - 1], t, 0);
	buf_reset(&x->text);
}

static int count_attributes(const char **atts)
{
	int n = 0;

	while (atts[2 * n])
		n++;
	return n;
}

static void open_stanza(struct xml *x, const char *qname, const char **atts)
{
	bool result = strcmp(qname, NS_CLIENT "\niq") == 0;

	/* Only our own account's answers (the roster) may be large: a peer could send results, too. */
	for (const char **a = atts; result && *a; a += 2) {
		if (strcmp(a[0], "type") == 0)
			result = strcmp(a[1], "result") == 0;
		else if (strcmp(a[0], "from") == 0)
			result = x->own && strcmp(a[1], x->own) == 0;
	}
	x->stanza_start = position(x);
	x->size_max = result ? IQ_RESULT_MAX : STANZA_MAX;
	x->nodes_max = result ? IQ_RESULT_NODES_MAX : NODES_MAX;
	x->nodes = 0;
	x->ids_kept = 0;
	x->dropped = NULL;
	x->kept = 0;
}

/* The archive's id stands last in a stanza, behind what made it too large: without it the marker has no place there. */
static void keep_stanza_id(struct xml *x, const char *qname, const char **atts)
{
	if (x->depth != 3 || strcmp(qname, NS_SID "\nstanza-id") != 0 || x->ids_kept >= MARKER_IDS_MAX)
		return;
	x->ids_kept++;
	xmpp_stanza_add_child_ex(x->open[0], build(x, qname, atts), 0);
}

static void on_start(void *userdata, const char *qname, const char **atts)
{
	struct xml *x = userdata;
	xmpp_stanza_t *el;

	if (x->broken)
		return;
	if (x->depth == 0) {
		x->depth = 1;
		if (XML_GetCurrentByteCount64(x->parser) > TAG_MAX || count_attributes(atts) > ATTRIBUTES_MAX) {
			fail(x, "policy-violation", "stream header too large");
			return;
		}
		push(x, (struct xml_event){ .kind = XML_OPENED, .element = build(x, qname, atts) });
		return;
	}
	if (x->depth == 1)
		open_stanza(x, qname, atts);
	else if (!x->dropped)
		take_text(x);
	x->depth++;
	if (!within_size(x))
		return;
	/* A stanza's own tag is built whatever it breaks: there must be a marker. */
	if (x->dropped && x->kept > 0) {
		keep_stanza_id(x, qname, atts);
		return;
	}
	x->nodes++;
	if (XML_GetCurrentByteCount64(x->parser) > TAG_MAX)
		drop(x, "tag too long");
	else if (count_attributes(atts) > ATTRIBUTES_MAX)
		drop(x, "too many attributes");
	else if (x->nodes > x->nodes_max)
		drop(x, "too many elements");
	else if (x->depth > DEPTH_MAX)
		drop(x, "nested too deeply");
	el = build(x, qname, atts);
	/* Without a clone the parent owns it from here on; the stanza itself goes with its event. */
	if (x->kept > 0)
		xmpp_stanza_add_child_ex(x->open[x->kept - 1], el, 0);
	x->open[x->kept++] = el;
}

static void on_end(void *userdata, _unused_ const char *qname)
{
	struct xml *x = userdata;

	if (x->broken)
		return;
	if (x->depth == 1) {
		x->depth = 0;
		push(x, (struct xml_event){ .kind = XML_CLOSED });
		return;
	}
	if (!within_size(x))
		return;
	if (!x->dropped)
		take_text(x);
	x->depth--;
	if (x->depth > 1) {
		/* open[k] is the element at depth k + 2; deeper ones than kept were never built. */
		if (x->kept > x->depth - 1)
			x->kept = x->depth - 1;
		return;
	}
	push(x, (struct xml_event){ .kind = XML_STANZA, .element = x->open[0], .dropped = x->dropped });
	x->kept = 0;
	x->dropped = NULL;
	buf_reset(&x->text);
}

static void on_text(void *userdata, const char *s, int len)
{
	struct xml *x = userdata;

	if (x->broken)
		return;
	if (x->depth <= 1) {
		/* RFC 6120 section 4.6.1: whitespace is a keepalive, anything else has no place here. */
		for (int i = 0; i < len; i++)
			if (!strchr(" \t\r\n", s[i])) {
				fail(x, "bad-format", "text between stanzas");
				return;
			}
		return;
	}
	if (within_size(x) && !x->dropped)
		buf_add(&x->text, s, (size_t)len);
}

static void on_doctype(void *userdata, _unused_ const char *name, _unused_ const char *sysid,
		       _unused_ const char *pubid, _unused_ int internal)
{
	fail(userdata, "restricted-xml", "document type declaration");
}

static void on_comment(void *userdata, _unused_ const char *data)
{
	fail(userdata, "restricted-xml", "comment");
}

static void on_pi(void *userdata, _unused_ const char *target, _unused_ const char *data)
{
	fail(userdata, "restricted-xml", "processing instruction");
}

static void forget(struct xml *x)
{
	struct node *next;

	if (x->kept > 0)
		xmpp_stanza_release(x->open[0]);
	x->kept = 0;
	for (struct node *n = x->first; n; n = next) {
		next = n->next;
		if (n->event.element)
			xmpp_stanza_release(n->event.element);
		free(n);
	}
	x->first = NULL;
	x->last = &x->first;
	buf_deinit(&x->text);
	if (x->parser)
		XML_ParserFree(x->parser);
	x->parser = NULL;
}

void xml_restart(struct xml *x)
{
	forget(x);
	x->depth = 0;
	x->dropped = NULL;
	x->broken = false;
	x->fed = 0;
	/* The encoding named here overrides the declaration: RFC 6120 section 11.6 knows UTF-8 only. */
	x->parser = XML_ParserCreateNS("UTF-8", NS_SEPARATOR);
	if (!x->parser)
		abort();
	if (XML_SetReparseDeferralEnabled)
		XML_SetReparseDeferralEnabled(x->parser, XML_FALSE);
	XML_SetUserData(x->parser, x);
	XML_SetElementHandler(x->parser, on_start, on_end);
	XML_SetCharacterDataHandler(x->parser, on_text);
	XML_SetStartDoctypeDeclHandler(x->parser, on_doctype);
	XML_SetCommentHandler(x->parser, on_comment);
	XML_SetProcessingInstructionHandler(x->parser, on_pi);
}

struct xml *xml_new(xmpp_ctx_t *ctx)
{
	struct xml *x = xnew(struct xml);

	x->ctx = ctx;
	x->last = &x->first;
	xml_restart(x);
	return x;
}

void xml_set_own(struct xml *x, const char *bare)
{
	str_set(&x->own, bare);
}

struct xml *xml_free(struct xml *x)
{
	if (x) {
		forget(x);
		free(x->own);
		free(x);
	}
	return NULL;
}

/* A tag that never ends is scanned from its start at each call: bound it. */
static bool token_too_long(struct xml *x)
{
	return x->fed - position(x) > TOKEN_MAX;
}

void xml_feed(struct xml *x, const char *data, size_t len)
{
	while (len > 0 && !x->broken) {
		size_t n = len < READ_CHUNK ? len : READ_CHUNK;

		x->fed += (uint32_t)n;
		if (XML_Parse(x->parser, data, (int)n, XML_FALSE) != XML_STATUS_OK)
			fail(x, "not-well-formed", XML_ErrorString(XML_GetErrorCode(x->parser)));
		else if (token_too_long(x))
			fail(x, "policy-violation", "tag that does not end");
		data += n;
		len -= n;
	}
}

enum xml_event_kind xml_next(struct xml *x, struct xml_event *ret)
{
	struct node *n = x->first;

	*ret = (struct xml_event){ 0 };
	if (!n)
		return XML_NOTHING;
	x->first = n->next;
	if (!x->first)
		x->last = &x->first;
	*ret = n->event;
	free(n);
	return ret->kind;
}
