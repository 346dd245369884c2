#include "wire/mam.h"

#include <string.h>

#include "base/log.h"
#include "core/stamp.h"
#include "core/text.h"
#include "link/link.h"
#include "wire/element.h"
#include "wire/limits.h"
#include "wire/ns.h"

/* What an open request is for; the last three belong to one META. */
enum asked { ASKED_PAGE, ASKED_METADATA, ASKED_OLDEST, ASKED_NEWEST };

struct open_query {
	struct open_query *next;
	uint32_t query;
	uint32_t serial; /* cookie of its iq */
	enum asked asked;
	char *queryid;
	char *archive; /* "" = own */
	bool answered; /* by a <result/> at least */
	/* ASKED_OLDEST, ASKED_NEWEST: the message at that end */
	char *ends[2];
	int64_t stamps[2];
};

struct mam {
	const struct record_context *context;
	struct iq_table *iqs;
	struct mam_ops ops;
	bool extended;
	unsigned int n;
	uint32_t last_serial;
	struct open_query *first;
};

struct mam *mam_new(const struct record_context *context, struct iq_table *iqs, const struct mam_ops *ops)
{
	struct mam *m = xnew(struct mam);

	m->context = context;
	m->iqs = iqs;
	m->ops = *ops;
	return m;
}

static void open_query_free(struct open_query *o)
{
	free(o->queryid);
	free(o->archive);
	free(o->ends[0]);
	free(o->ends[1]);
	free(o);
}

struct mam *mam_free(struct mam *m)
{
	struct open_query *next;

	if (!m)
		return NULL;
	for (struct open_query *o = m->first; o; o = next) {
		next = o->next;
		open_query_free(o);
	}
	free(m);
	return NULL;
}

void mam_set_extended(struct mam *m, bool extended)
{
	m->extended = extended;
}

unsigned int mam_open(const struct mam *m)
{
	return m->n;
}

static void add_field(struct buf *out, const char *var, int64_t us)
{
	char stamp[STAMP_SIZE];

	if (us)
		buf_addf(out, "<field var='%s'><value>%s</value></field>", var, stamp_format(us, stamp));
}

void mam_build(struct buf *out, const struct link_query *q, const char *id, const char *queryid)
{
	const char *edge = q->backward ? "before" : "after";

	buf_addf(out, "<iq type='set' id='%s'", id);
	if (*q->archive) {
		buf_adds(out, " to='");
		buf_add_xml(out, q->archive);
		buf_adds(out, "'");
	}
	buf_addf(out, "><query xmlns='" NS_MAM "' queryid='%s'>", queryid);
	if (q->start_us || q->end_us || *q->with) {
		buf_adds(out, "<x xmlns='" NS_DATA "' type='submit'><field var='FORM_TYPE' type='hidden'>"
			      "<value>" NS_MAM "</value></field>");
		add_field(out, "start", q->start_us);
		add_field(out, "end", q->end_us);
		if (*q->with) {
			buf_adds(out, "<field var='with'><value>");
			buf_add_xml(out, q->with);
			buf_adds(out, "</value></field>");
		}
		buf_adds(out, "</x>");
	}
	buf_addf(out, "<set xmlns='" NS_RSM "'><max>%u</max>", q->max && q->max < PAGE_MAX ? q->max : PAGE_MAX);
	/* An empty <before/> is the last page (XEP-0059 section 2.5); an empty <after/> would be nothing at all. */
	if (*q->cursor || q->backward) {
		buf_addf(out, "<%s>", edge);
		buf_add_xml(out, q->cursor);
		buf_addf(out, "</%s>", edge);
	}
	buf_adds(out, "</set></query></iq>");
}

static void fail_query(struct mam *m, uint32_t query, uint32_t n, const char *condition, xmpp_stanza_t *iq)
{
	_cleanup_(freep) char *text =
		element_child_text(element_child(iq, "error", NS_CLIENT), "text", NS_STANZAS_ERROR);
	struct link_record r;

	text[text_prefix(text, SHORT_TEXT_MAX)] = '\0';
	link_record_init(&r, LINK_QUERY_FAILED);
	r.query_failed.n = n;
	r.query_failed.query = query;
	r.query_failed.condition = strlen(condition) <= 64 ? condition : "undefined-condition";
	r.query_failed.text = text;
	m->ops.emit(m->ops.userdata, &r);
}

static struct open_query *take_open(struct mam *m, uint32_t serial)
{
	for (struct open_query **at = &m->first; *at; at = &(*at)->next) {
		struct open_query *o = *at;

		if (o->serial != serial)
			continue;
		*at = o->next;
		m->n--;
		return o;
	}
	return NULL;
}

/* XEP-0313 gives the ids as text of <first/> and <last/>; a longer one than we can ask with is none. */
static const char *rsm_text(xmpp_stanza_t *set, const char *name, char **hold)
{
	*hold = element_child_text(set, name, NS_RSM);
	return strlen(*hold) <= ID_MAX ? *hold : "";
}

bool mam_read_fin(xmpp_stanza_t *iq, struct link_fin *ret, char *hold[2])
{
	xmpp_stanza_t *fin = element_child(iq, "fin", NS_MAM);
	xmpp_stanza_t *set = element_child(fin, "set", NS_RSM);
	const char *complete = element_attr(fin, "complete");
	const char *stable = element_attr(fin, "stable");

	hold[0] = hold[1] = NULL;
	if (!fin)
		return false;
	ret->complete = strcmp(complete, "true") == 0 || strcmp(complete, "1") == 0;
	ret->stable = strcmp(stable, "false") != 0 && strcmp(stable, "0") != 0;
	ret->first = rsm_text(set, "first", &hold[0]);
	ret->last = rsm_text(set, "last", &hold[1]);
	return true;
}

static void send_meta(struct mam *m, const struct open_query *o, uint32_t n)
{
	struct link_record r;

	link_record_init(&r, LINK_META);
	r.meta.n = n;
	r.meta.query = o->query;
	r.meta.empty = !o->ends[0] || !o->ends[1];
	if (!r.meta.empty) {
		r.meta.start_id = o->ends[0];
		r.meta.start_us = o->stamps[0];
		r.meta.end_id = o->ends[1];
		r.meta.end_us = o->stamps[1];
	}
	m->ops.emit(m->ops.userdata, &r);
}

static void ask(struct mam *m, struct open_query *o);

/* The end of one request of a META without <metadata/>: the oldest first, then the newest. */
static void end_probe(struct mam *m, struct open_query *o, const struct iq_answer *a)
{
	if (o->asked == ASKED_OLDEST && o->ends[0]) {
		o->asked = ASKED_NEWEST;
		ask(m, o);
		return;
	}
	send_meta(m, o, a->n);
	open_query_free(o);
}

static void read_end(xmpp_stanza_t *metadata, const char *name, struct open_query *o, int which)
{
	xmpp_stanza_t *el = element_child(metadata, name, NS_MAM);
	const char *id = element_attr(el, "id");

	if (!*id || strlen(id) > ID_MAX)
		return;
	o->ends[which] = xstrdup(id);
	if (!stamp_parse(element_attr(el, "timestamp"), &o->stamps[which]))
		o->stamps[which] = 0;
}

/* Announced but not there, or a room of which we do not know: ask the old way. */
static bool wants_fallback(const char *condition)
{
	return strcmp(condition, "feature-not-implemented") == 0 || strcmp(condition, "service-unavailable") == 0 ||
	       strcmp(condition, "bad-request") == 0;
}

static void end_metadata(struct mam *m, struct open_query *o, const struct iq_answer *a)
{
	xmpp_stanza_t *metadata = element_child(a->iq, "metadata", NS_MAM);

	read_end(metadata, "start", o, 0);
	read_end(metadata, "end", o, 1);
	send_meta(m, o, a->n);
	open_query_free(o);
}

static void end_page(struct mam *m, struct open_query *o, const struct iq_answer *a)
{
	_cleanup_(freep) char *first = NULL, *last = NULL;
	char *hold[2];
	struct link_record r;

	link_record_init(&r, LINK_FIN);
	if (!mam_read_fin(a->iq, &r.fin, hold)) {
		fail_query(m, o->query, a->n, "undefined-condition", NULL);
		open_query_free(o);
		return;
	}
	first = hold[0];
	last = hold[1];
	/* It must come after its results (XEP-0313 section 4.2); what follows it is dropped, so nothing may be proven by it. */
	if (*r.fin.first && !o->answered) {
		log_info("the archive's answer ends before the messages that it names: not used");
		fail_query(m, o->query, a->n, "undefined-condition", NULL);
	} else {
		r.fin.n = a->n;
		r.fin.query = o->query;
		m->ops.emit(m->ops.userdata, &r);
	}
	open_query_free(o);
}

static void on_answer(void *userdata, uint32_t serial, const struct iq_answer *a)
{
	struct mam *m = userdata;
	struct open_query *o = take_open(m, serial);

	if (!o)
		return;
	if (!a->ok && o->asked == ASKED_METADATA && wants_fallback(a->condition)) {
		o->asked = ASKED_OLDEST;
		ask(m, o);
		return;
	}
	if (!a->ok) {
		fail_query(m, o->query, a->n, a->condition, a->iq);
		open_query_free(o);
		return;
	}
	if (o->asked == ASKED_PAGE)
		end_page(m, o, a);
	else if (o->asked == ASKED_METADATA)
		end_metadata(m, o, a);
	else
		end_probe(m, o, a);
}

/* Register ${o}, which is owned from here on, for an iq to its archive. NULL if too much is open: it has failed. */
static char *open_request(struct mam *m, struct open_query *o)
{
	char *id = iq_new_id(m->iqs);

	o->serial = ++m->last_serial;
	if (m->n >= QUERIES_MAX || !iq_expect(m->iqs, id, o->archive, m->ops.now(m->ops.userdata) + QUERY_TIMEOUT_US,
					      on_answer, m, o->serial)) {
		fail_query(m, o->query, 0, "resource-constraint", NULL);
		open_query_free(o);
		free(id);
		return NULL;
	}
	o->next = m->first;
	m->first = o;
	m->n++;
	return id;
}

static void ask_page(struct mam *m, struct open_query *o, const struct link_query *q)
{
	_cleanup_(buf_deinit) struct buf xml = { 0 };
	_cleanup_(freep) char *id = NULL;

	free(o->queryid);
	o->queryid = iq_new_id(m->iqs);
	id = open_request(m, o);
	if (!id)
		return;
	mam_build(&xml, q, id, o->queryid);
	m->ops.send(m->ops.userdata, xml.data);
}

static void ask_metadata(struct mam *m, struct open_query *o)
{
	_cleanup_(buf_deinit) struct buf xml = { 0 };
	_cleanup_(freep) char *id = open_request(m, o);

	if (!id)
		return;
	buf_addf(&xml, "<iq type='get' id='%s'", id);
	if (*o->archive) {
		buf_adds(&xml, " to='");
		buf_add_xml(&xml, o->archive);
		buf_adds(&xml, "'");
	}
	buf_adds(&xml, "><metadata xmlns='" NS_MAM "'/></iq>");
	m->ops.send(m->ops.userdata, xml.data);
}

static void ask(struct mam *m, struct open_query *o)
{
	const struct link_query q = {
		.archive = o->archive, .cursor = "", .with = "", .max = 1, .backward = o->asked == ASKED_NEWEST
	};

	if (o->asked == ASKED_METADATA)
		ask_metadata(m, o);
	else
		ask_page(m, o, &q);
}

void mam_query(struct mam *m, const struct link_query *q)
{
	struct open_query *o = xnew(struct open_query);

	o->query = q->query;
	o->asked = ASKED_PAGE;
	o->archive = xstrdup(q->archive);
	ask_page(m, o, q);
}

void mam_meta_query(struct mam *m, const struct link_meta_query *q)
{
	struct open_query *o = xnew(struct open_query);

	o->query = q->query;
	/* What a room announces is not known here: ask, and fall back. */
	o->asked = m->extended || *q->archive ? ASKED_METADATA : ASKED_OLDEST;
	o->archive = xstrdup(q->archive);
	ask(m, o);
}

/* The open query that this result belongs to by its queryid and by who sent it; NULL: nobody asked for it. */
static struct open_query *query_of(struct mam *m, const char *from, const char *queryid)
{
	if (!*from)
		from = m->context->bare;
	for (struct open_query *o = m->first; o; o = o->next) {
		const char *archive = *o->archive ? o->archive : m->context->bare;

		if (o->queryid && strcmp(o->queryid, queryid) == 0)
			return strcmp(archive, from) == 0 ? o : NULL;
	}
	return NULL;
}

/* One message at an end of the archive: remember it, the keeper does not see it. */
static void take_end(struct open_query *o, const struct message *msg)
{
	int which = o->asked == ASKED_NEWEST;

	if (!*msg->archive_id)
		return;
	str_set(&o->ends[which], msg->archive_id);
	o->stamps[which] = msg->archive_us;
}

bool mam_take(struct mam *m, xmpp_stanza_t *message, const char *dropped, uint32_t n)
{
	xmpp_stanza_t *result = element_child(message, "result", NS_MAM);
	struct record_context context = *m->context;
	struct record rec;
	struct link_record r;
	struct open_query *o;

	if (!result)
		return false;
	o = query_of(m, element_attr(message, "from"), element_attr(result, "queryid"));
	if (!o) {
		log_debug("archive result that nobody asked for, from %s", LOG_JID(element_attr(message, "from")));
		return true;
	}
	o->answered = true;
	context.foreign = *o->archive != '\0';
	if (record_archived(&context, result, dropped, &rec) == 0) {
		if (o->asked == ASKED_PAGE) {
			link_record_init(&r, LINK_MSG);
			r.msg = rec.message;
			r.msg.n = n;
			r.msg.query = o->query;
			m->ops.emit(m->ops.userdata, &r);
		} else {
			take_end(o, &rec.message);
		}
	}
	record_deinit(&rec);
	return true;
}
