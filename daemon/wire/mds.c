#include "wire/mds.h"

#include "wire/compose.h"
#include "wire/element.h"
#include "wire/limits.h"
#include "wire/ns.h"

struct publish {
	struct publish *next;
	uint32_t number;
	bool refused; /* waits for the node to be configured */
	char *to;
	char *stanza_id;
};

enum configure { CONFIGURE_NOT, CONFIGURE_ASKED, CONFIGURE_OVER };

struct mds {
	char *bare;
	struct iq_table *iqs;
	struct mam_ops ops;
	enum configure configure;
	uint32_t last;
	struct publish *first;
};

struct mds *mds_new(const char *own_bare, struct iq_table *iqs, const struct mam_ops *ops)
{
	struct mds *m = xnew(struct mds);

	m->bare = xstrdup(own_bare);
	m->iqs = iqs;
	m->ops = *ops;
	return m;
}

/* Take ${*at} out of the list. */
static void forget(struct publish **at)
{
	struct publish *p = *at;

	*at = p->next;
	free(p->to);
	free(p->stanza_id);
	free(p);
}

struct mds *mds_free(struct mds *m)
{
	if (m) {
		while (m->first)
			forget(&m->first);
		free(m->bare);
		free(m);
	}
	return NULL;
}

void mds_set_own(struct mds *m, const char *own_bare)
{
	str_set(&m->bare, own_bare);
}

static void publish_again(struct mds *m, const struct publish *p)
{
	_cleanup_(freep) char *id = iq_new_id(m->iqs), *xml = NULL;
	struct link_record r;
	const char *condition, *text;

	link_record_init(&r, LINK_SEND);
	r.send.kind = OUT_READ;
	r.send.id = id;
	r.send.to = p->to;
	r.send.target_id = p->stanza_id;
	if (compose_send(&r.send, m->bare, &xml, &condition, &text) == 0)
		m->ops.send(m->ops.userdata, xml);
}

static void on_configured(void *userdata, _unused_ uint32_t cookie, const struct iq_answer *a)
{
	struct mds *m = userdata;
	struct publish **at = &m->first;

	m->configure = CONFIGURE_OVER;
	while (*at) {
		if (!(*at)->refused) {
			at = &(*at)->next;
			continue;
		}
		if (a->ok)
			publish_again(m, *at);
		forget(at);
	}
}

static void configure(struct mds *m)
{
	_cleanup_(freep) char *id = iq_new_id(m->iqs), *xml = NULL;

	if (!iq_expect(m->iqs, id, "", m->ops.now(m->ops.userdata) + IQ_TIMEOUT_US, on_configured, m, 0))
		return;
	m->configure = CONFIGURE_ASKED;
	xml = compose_configure_read_node(id);
	m->ops.send(m->ops.userdata, xml);
}

static bool is_precondition(const struct iq_answer *a)
{
	return a->iq && element_child(element_child(a->iq, "error", NS_CLIENT), "precondition-not-met", NS_PUBSUB_ERRORS);
}

static void on_published(void *userdata, uint32_t number, const struct iq_answer *a)
{
	struct mds *m = userdata;
	struct publish **at = &m->first;

	while (*at && (*at)->number != number)
		at = &(*at)->next;
	if (!*at)
		return;
	if (!a->ok && is_precondition(a) && m->configure != CONFIGURE_OVER) {
		(*at)->refused = true;
		if (m->configure == CONFIGURE_NOT)
			configure(m);
		return;
	}
	forget(at);
}

void mds_published(struct mds *m, const struct link_send *send)
{
	int64_t deadline = m->ops.now(m->ops.userdata) + IQ_TIMEOUT_US;
	struct publish *p;

	/* Too many questions are open: then it is as good as published. */
	if (!iq_expect(m->iqs, send->id, "", deadline, on_published, m, m->last + 1))
		return;
	p = xnew(struct publish);
	p->number = ++m->last;
	p->to = xstrdup(send->to);
	p->stanza_id = xstrdup(send->target_id);
	p->next = m->first;
	m->first = p;
}
