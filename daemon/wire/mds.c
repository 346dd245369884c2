#include "wire/mds.h"

#include <string.h>

#include "wire/compose.h"
#include "wire/limits.h"

struct publish {
	struct publish *next;
	uint32_t number;
	bool again; /* sent when the node was right: there is no more to try */
	bool waits; /* for the node to be configured */
	char *to;
	char *stanza_id;
};

enum configure {
	CONFIGURE_NOT,
	CONFIGURE_ASKED, /* first to make the node; if there is one, to change it */
	CONFIGURE_DONE,
	CONFIGURE_FAILED,
};

enum asked { ASKED_CREATE, ASKED_CONFIGURE };

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
	if (compose_send(&r.send, m->bare, true, &xml, &condition, &text) == 0)
		m->ops.send(m->ops.userdata, xml);
}

static void configured(struct mds *m, bool ok)
{
	struct publish **at = &m->first;

	m->configure = ok ? CONFIGURE_DONE : CONFIGURE_FAILED;
	while (*at) {
		if (!(*at)->waits) {
			at = &(*at)->next;
			continue;
		}
		if (ok)
			publish_again(m, *at);
		forget(at);
	}
}

static void on_configured(void *userdata, uint32_t asked, const struct iq_answer *a);

static void configure(struct mds *m, enum asked asked)
{
	_cleanup_(freep) char *id = iq_new_id(m->iqs), *xml = NULL;

	if (!iq_expect(m->iqs, id, "", m->ops.now(m->ops.userdata) + IQ_TIMEOUT_US, on_configured, m, asked)) {
		configured(m, false);
		return;
	}
	m->configure = CONFIGURE_ASKED;
	xml = compose_read_node(id, asked == ASKED_CREATE);
	m->ops.send(m->ops.userdata, xml);
}

static void on_configured(void *userdata, uint32_t asked, const struct iq_answer *a)
{
	struct mds *m = userdata;

	if (!a->ok && asked == ASKED_CREATE && strcmp(a->condition, "conflict") == 0)
		configure(m, ASKED_CONFIGURE);
	else
		configured(m, a->ok);
}

static void on_published(void *userdata, uint32_t number, const struct iq_answer *a)
{
	struct mds *m = userdata;
	struct publish **at = &m->first;

	while (*at && (*at)->number != number)
		at = &(*at)->next;
	if (!*at)
		return;
	if (a->ok || !a->iq || m->configure == CONFIGURE_FAILED || (*at)->again) {
		forget(at);
		return;
	}
	/* Refused meanwhile, as what was sent before the node was right. */
	if (m->configure == CONFIGURE_DONE) {
		publish_again(m, *at);
		forget(at);
		return;
	}
	(*at)->waits = true;
	if (m->configure == CONFIGURE_NOT)
		configure(m, ASKED_CREATE);
}

bool mds_is_configured(const struct mds *m)
{
	return m->configure == CONFIGURE_DONE;
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
	p->again = m->configure == CONFIGURE_DONE;
	p->to = xstrdup(send->to);
	p->stanza_id = xstrdup(send->target_id);
	p->next = m->first;
	m->first = p;
}
