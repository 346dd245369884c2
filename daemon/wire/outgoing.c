#include "wire/outgoing.h"

#include <string.h>

#include "link/vocab.h"
#include "wire/limits.h"

struct waiting {
	struct waiting *next;
	char *xml; /* NULL: withdrawn, and nothing in its place */
	bool held; /* not before GO */
	bool numbered;
	uint64_t item;
	uint32_t n; /* 0 for what is not counted */
};

/* An item that is written and not acknowledged. */
struct flying {
	uint32_t n;
	size_t len;
};

struct outgoing {
	struct sm *sm;
	struct outgoing_ops ops;
	struct waiting *first, **last;
	struct waiting *unnumbered; /* the first that has no number yet, NULL: all have */
	size_t n_stanzas, n_items;
	struct flying flying[ON_WAY_ITEMS_MAX]; /* oldest first */
	size_t n_flying, in_flight; /* how many, bytes */
};

struct outgoing *outgoing_new(struct sm *sm, const struct outgoing_ops *ops)
{
	struct outgoing *o = xnew(struct outgoing);

	o->sm = sm;
	o->ops = *ops;
	o->last = &o->first;
	return o;
}

static void take_first(struct outgoing *o)
{
	struct waiting *w = o->first;

	o->first = w->next;
	if (!o->first)
		o->last = &o->first;
	if (w->held)
		o->n_items--;
	else
		o->n_stanzas--;
	free(w->xml);
	free(w);
}

struct outgoing *outgoing_free(struct outgoing *o)
{
	if (!o)
		return NULL;
	while (o->first)
		take_first(o);
	free(o);
	return NULL;
}

static void add(struct outgoing *o, const char *xml, bool held, uint64_t item)
{
	struct waiting *w = xnew(struct waiting);

	w->xml = xstrdup(xml);
	w->held = held;
	w->item = item;
	*o->last = w;
	o->last = &w->next;
	if (!o->unnumbered)
		o->unnumbered = w;
	outgoing_run(o);
}

int outgoing_stanza(struct outgoing *o, const char *xml)
{
	if (o->n_stanzas >= WAITING_MAX)
		return OUTGOING_E_FULL;
	o->n_stanzas++;
	add(o, xml, false, 0);
	return 0;
}

int outgoing_item(struct outgoing *o, uint64_t item, const char *xml)
{
	if (o->n_items >= LINK_SENDS_MAX)
		return OUTGOING_E_FULL;
	o->n_items++;
	add(o, xml, true, item);
	return 0;
}

bool outgoing_withdraw(struct outgoing *o, uint32_t n, const char *instead)
{
	struct waiting *w = o->first;

	while (w && !(w->held && w->numbered && w->n == n))
		w = w->next;
	if (!w)
		return false;
	free(w->xml);
	w->xml = o->sm->counts_out ? xstrdup(instead) : NULL;
	return true;
}

static void number(struct outgoing *o)
{
	while (o->unnumbered && sm_may_number(o->sm)) {
		struct waiting *w = o->unnumbered;

		o->unnumbered = w->next;
		w->n = sm_number(o->sm, w->held);
		w->numbered = true;
		if (w->held)
			o->ops.numbered(o->ops.userdata, w->item, w->n);
	}
}

/* What the server has is on its way no longer. */
static void land(struct outgoing *o)
{
	size_t gone = 0;

	while (gone < o->n_flying && (int32_t)(o->flying[gone].n - o->sm->acked) <= 0)
		o->in_flight -= o->flying[gone++].len;
	o->n_flying -= gone;
	memmove(o->flying, o->flying + gone, o->n_flying * sizeof(o->flying[0]));
}

/* ${w}, the first, may be written now. */
static bool may_leave(const struct outgoing *o, const struct waiting *w)
{
	if (!w->numbered)
		return false;
	if (!w->held)
		return true;
	if (!sm_may_write(o->sm, w->n))
		return false;
	return !w->xml || o->n_flying == 0 ||
	       (o->n_flying < ON_WAY_ITEMS_MAX && o->in_flight + strlen(w->xml) <= ON_WAY_MAX);
}

static void leave(struct outgoing *o, const struct waiting *w)
{
	sm_wrote(o->sm, w->n, w->held);
	if (!w->xml)
		return;
	o->ops.write(o->ops.userdata, w->xml);
	if (!w->held)
		return;
	o->flying[o->n_flying++] = (struct flying){ .n = w->n, .len = strlen(w->xml) };
	o->in_flight += strlen(w->xml);
	if (sm_request_due_between(o->sm))
		o->ops.ask(o->ops.userdata);
}

void outgoing_run(struct outgoing *o)
{
	number(o);
	land(o);
	while (o->first && may_leave(o, o->first)) {
		leave(o, o->first);
		take_first(o);
	}
}
