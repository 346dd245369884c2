#include "wire/settle.h"

#include <string.h>

#include "base/buf.h"
#include "core/text.h"
#include "link/link.h"
#include "wire/compose.h"
#include "wire/element.h"
#include "wire/limits.h"
#include "wire/notice.h"
#include "wire/ns.h"

/* One id for all sessions: after a resume the server may repeat the answer to another process. */
#define ROSTER_ID "varve-roster"
#define BLOCKLIST_ID "varve-blocklist"
#define READ_ID "varve-read"

enum asked { ASKED_CARBONS, ASKED_SERVER, ASKED_ACCOUNT, ASKED_ROSTER, ASKED_BLOCKLIST, ASKED_READ };

struct settle {
	const struct record_context *context;
	struct iq_table *iqs;
	struct mam_ops ops;
	char *domain;
	bool csi;
	int discos_open;
	bool mam; /* of the account */
	bool mam_extended;
	bool server_mam;
	bool server_mam_extended;
	bool stanza_ids;
	enum link_archive_kind known_archive; /* of the session before */
	bool untold; /* the account's answer was an error, or did not come */
	bool resumed;
	struct buf features; /* one a line */
};

struct settle *settle_new(const char *domain, const struct record_context *context, struct iq_table *iqs,
			  const struct mam_ops *ops)
{
	struct settle *s = xnew(struct settle);

	s->context = context;
	s->iqs = iqs;
	s->ops = *ops;
	s->domain = xstrdup(domain);
	return s;
}

struct settle *settle_free(struct settle *s)
{
	if (s) {
		free(s->domain);
		buf_deinit(&s->features);
		free(s);
	}
	return NULL;
}

static void add_feature(struct settle *s, const char *var, bool account)
{
	size_t len = strlen(var);

	if (strcmp(var, NS_MAM) == 0)
		*(account ? &s->mam : &s->server_mam) = true;
	else if (strcmp(var, NS_MAM_EXTENDED) == 0)
		*(account ? &s->mam_extended : &s->server_mam_extended) = true;
	else if (strcmp(var, NS_SID) == 0)
		s->stanza_ids = true;
	if (len == 0 || strchr(var, '\n') || s->features.len + len + 1 > FEATURES_MAX ||
	    text_has_line(buf_str(&s->features), var))
		return;
	if (s->features.len)
		buf_adds(&s->features, "\n");
	buf_adds(&s->features, var);
}

static void read_disco(struct settle *s, xmpp_stanza_t *iq, bool account)
{
	xmpp_stanza_t *query = element_child(iq, "query", NS_DISCO_INFO);
	xmpp_stanza_t *f = element_child(query, "feature", NS_DISCO_INFO);

	for (int n = 0; f && n < DISCO_FEATURES_MAX; f = element_next(f, "feature", NS_DISCO_INFO), n++)
		add_feature(s, element_attr(f, "var"), account);
}

static void on_answer(void *userdata, uint32_t asked, const struct iq_answer *a);

static void request(struct settle *s, enum asked asked, const char *type, const char *id, const char *to,
		    const char *payload)
{
	_cleanup_(freep) char *fresh = id ? NULL : iq_new_id(s->iqs);
	_cleanup_(buf_deinit) struct buf xml = { 0 };
	int64_t deadline = s->ops.now(s->ops.userdata) + IQ_TIMEOUT_US;

	iq_expect(s->iqs, id ? id : fresh, to, deadline, on_answer, s, asked);
	buf_addf(&xml, "<iq type='%s' id='%s'", type, id ? id : fresh);
	if (*to) {
		buf_adds(&xml, " to='");
		buf_add_xml(&xml, to);
		buf_adds(&xml, "'");
	}
	buf_addf(&xml, ">%s</iq>", payload);
	s->ops.send(s->ops.userdata, xml.data);
}

/* What ${asked}, the server or the account, has said to be there. */
static void ask_more(struct settle *s, uint32_t asked)
{
	if (asked == ASKED_SERVER && settle_has(s, NS_BLOCKING))
		request(s, ASKED_BLOCKLIST, "get", BLOCKLIST_ID, "", "<blocklist xmlns='" NS_BLOCKING "'/>");
	/* What XEP-0490 wants for publishing; whoever has that has the nodes of XEP-0163. */
	if (asked == ASKED_ACCOUNT && settle_has(s, NS_PUBLISH_OPTIONS))
		request(s, ASKED_READ, "get", READ_ID, "",
			"<pubsub xmlns='" NS_PUBSUB "'><items node='" NS_MDS "'/></pubsub>");
}

static void on_answer(void *userdata, uint32_t asked, const struct iq_answer *a)
{
	struct settle *s = userdata;
	const struct notice_sink to = { .emit = s->ops.emit, .userdata = s->ops.userdata };

	switch ((enum asked)asked) {
	case ASKED_CARBONS:
		/* Refused: then other devices' messages come from the archive alone. */
		return;
	case ASKED_ROSTER:
		if (a->ok)
			settle_emit_roster(s, a->iq, a->n, true);
		return;
	case ASKED_SERVER:
	case ASKED_ACCOUNT:
		if (a->ok)
			read_disco(s, a->iq, asked == ASKED_ACCOUNT);
		else if (asked == ASKED_ACCOUNT)
			s->untold = true;
		s->discos_open--;
		ask_more(s, asked);
		return;
	case ASKED_BLOCKLIST:
		if (a->ok)
			notice_blocklist(a->iq, a->n, &to);
		return;
	case ASKED_READ:
		/* An error: nothing was ever published. */
		if (a->ok)
			notice_read_states(s->context, a->iq, a->n, &to);
		return;
	}
}

void settle_know(struct settle *s, uint32_t archive)
{
	s->known_archive = archive <= ARCHIVE_EXTENDED ? (enum link_archive_kind)archive : ARCHIVE_NONE;
}

void settle_begin(struct settle *s)
{
	_cleanup_(freep) char *presence = NULL;

	s->discos_open = 2;
	request(s, ASKED_CARBONS, "set", NULL, "", "<enable xmlns='" NS_CARBONS "'/>");
	request(s, ASKED_SERVER, "get", NULL, s->domain, "<query xmlns='" NS_DISCO_INFO "'/>");
	/* Without an address it is for the account (RFC 6120 section 10.3.3). */
	request(s, ASKED_ACCOUNT, "get", NULL, "", "<query xmlns='" NS_DISCO_INFO "'/>");
	request(s, ASKED_ROSTER, "get", ROSTER_ID, "", "<query xmlns='" NS_ROSTER "'/>");
	/* Last: it makes the server deliver what it kept, which needs the answers above to be read. */
	presence = compose_presence("", "");
	s->ops.send(s->ops.userdata, presence);
}

uint32_t settle_stanzas(const struct link_start *start)
{
	uint32_t n = 5; /* settle_begin() */

	/* ask_more(), before READY lets anything else follow. */
	n += text_has_line(start->features, NS_BLOCKING);
	n += text_has_line(start->features, NS_PUBLISH_OPTIONS);
	return n;
}

void settle_resumed(struct settle *s, const struct link_start *start)
{
	int64_t deadline = s->ops.now(s->ops.userdata) + IQ_TIMEOUT_US;

	s->resumed = true;
	settle_know(s, start->archive);
	s->stanza_ids = start->stanza_ids;
	buf_reset(&s->features);
	buf_adds(&s->features, start->features);
	if (s->csi)
		add_feature(s, NS_CSI, false);
	iq_expect(s->iqs, ROSTER_ID, "", deadline, on_answer, s, ASKED_ROSTER);
	iq_expect(s->iqs, BLOCKLIST_ID, "", deadline, on_answer, s, ASKED_BLOCKLIST);
	iq_expect(s->iqs, READ_ID, "", deadline, on_answer, s, ASKED_READ);
}

void settle_csi(struct settle *s)
{
	s->csi = true;
	add_feature(s, NS_CSI, false);
}

bool settle_has(const struct settle *s, const char *feature)
{
	return text_has_line(buf_str(&s->features), feature);
}

bool settle_is_done(const struct settle *s)
{
	return s->discos_open == 0;
}

void settle_fill_ready(const struct settle *s, struct link_ready *ret)
{
	/* Older servers announce the account's archive on the domain (XEP-0313 section 2 wants it on the account). */
	bool mam = s->mam || s->server_mam;
	bool extended = s->mam ? s->mam_extended : s->server_mam_extended;

	/* An error is no word that there is no archive: messages in doubt would be sent again without asking it. */
	if (s->resumed || (!mam && s->untold))
		ret->archive = s->known_archive;
	else
		ret->archive = !mam ? ARCHIVE_NONE : extended ? ARCHIVE_EXTENDED : ARCHIVE_BASIC;
	ret->stanza_ids = s->stanza_ids;
	ret->untold = s->untold;
	ret->features = buf_str(&s->features);
}

static char *groups_of(xmpp_stanza_t *item)
{
	struct buf groups = { 0 };
	xmpp_stanza_t *g = element_child(item, "group", NS_ROSTER);

	for (; g; g = element_next(g, "group", NS_ROSTER)) {
		_cleanup_(freep) char *name = element_text(g);
		size_t len = strlen(name);

		if (len == 0 || strchr(name, '\n') || groups.len + len + 1 > 8192)
			continue;
		if (groups.len)
			buf_adds(&groups, "\n");
		buf_adds(&groups, name);
	}
	return buf_steal(&groups);
}

static const char *subscription_of(xmpp_stanza_t *item)
{
	static const char *const known[] = { "none", "to", "from", "both", "remove" };
	const char *value = element_attr(item, "subscription");

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(known[i], value) == 0)
			return known[i];
	return "none"; /* RFC 6121 section 2.1.2.5 */
}

static xmpp_stanza_t *next_item(xmpp_stanza_t *item)
{
	while (item && (!*element_attr(item, "jid") || strlen(element_attr(item, "jid")) > JID_MAX))
		item = element_next(item, "item", NS_ROSTER);
	return item;
}

void settle_emit_roster(struct settle *s, xmpp_stanza_t *iq, uint32_t n, bool full)
{
	xmpp_stanza_t *query = element_child(iq, "query", NS_ROSTER);
	xmpp_stanza_t *item = next_item(element_child(query, "item", NS_ROSTER)), *next;
	bool first = true;

	do {
		_cleanup_(freep) char *groups = groups_of(item);
		_cleanup_(freep) char *name = NULL;
		const char *given = element_attr(item, "name");
		struct link_record r;

		next = item ? next_item(element_next(item, "item", NS_ROSTER)) : NULL;
		name = xstrndup(given, text_prefix(given, SHORT_TEXT_MAX));
		link_record_init(&r, LINK_ROSTER);
		r.roster.n = next ? 0 : n; /* the stanza is durable when its last item is */
		r.roster.jid = element_attr(item, "jid"); /* "": the roster is empty */
		r.roster.name = name;
		r.roster.subscription = subscription_of(item);
		r.roster.ask = *element_attr(item, "ask") != '\0';
		r.roster.groups = groups;
		r.roster.reset = full && first;
		r.roster.last = !next;
		/* A push names one item (RFC 6121 section 2.1.6); an empty one says nothing. */
		if (item || full)
			s->ops.emit(s->ops.userdata, &r);
		first = false;
		item = next;
	} while (item);
}
