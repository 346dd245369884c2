/* sync/engine-priv.h, the roster: kept as it comes, stored in the next transaction once a full one is here to its end. */
#include "sync/engine-priv.h"

#include <string.h>

#include "base/err.h"
#include "base/log.h"

static void roster_entry_deinit(struct roster_entry *r)
{
	free(r->jid);
	free(r->name);
	free(r->subscription);
	free(r->groups);
}

void commit_roster_drop(struct engine *e)
{
	for (size_t i = 0; i < e->n_roster; i++)
		roster_entry_deinit(&e->roster[i]);
	e->n_roster = e->roster_bytes = 0;
	e->roster_open = false;
}

void commit_roster(struct engine *e, const struct link_roster *r)
{
	struct roster_entry *entry;

	e->roster_bytes += sizeof(*entry) + strlen(r->jid) + strlen(r->name) + strlen(r->groups);
	if (e->n_roster >= ROSTER_MAX || e->roster_bytes > ROSTER_BYTES_MAX) {
		log_warning("%s: the roster has more than %d items or %u bytes; the stream is dropped", LOG_JID(e->account.jid),
			    ROSTER_MAX, ROSTER_BYTES_MAX);
		engine_drop_wire(e);
		return;
	}
	if (e->n_roster == e->cap_roster) {
		e->cap_roster = e->cap_roster ? e->cap_roster * 2 : 64;
		e->roster = xrealloc(e->roster, e->cap_roster, sizeof(*e->roster));
	}
	entry = &e->roster[e->n_roster++];
	*entry = (struct roster_entry){
		.n = r->n,
		.jid = xstrdup(r->jid),
		.name = xstrdup(r->name),
		.subscription = xstrdup(r->subscription),
		.groups = xstrdup(r->groups),
		.ask = r->ask,
		.reset = r->reset,
		.last = r->last,
	};
	e->roster_open = (e->roster_open || r->reset) && !r->last;
	if (!e->roster_open)
		commit_arm(e, 2);
}

/* Entries [from, to) are a full roster: whatever is not named in them is gone. */
static int keep_only(struct engine *e, size_t from, size_t to)
{
	_cleanup_(freep) char **jids = xnewn(char *, to - from + 1);
	size_t n = 0;

	for (size_t i = from; i < to; i++)
		if (*e->roster[i].jid)
			jids[n++] = e->roster[i].jid;
	return roster_keep_only(e->store, e->account.id, jids, n);
}

bool commit_roster_due(const struct engine *e)
{
	return e->n_roster && !e->roster_open;
}

int commit_roster_put(struct engine *e, struct ackline *line)
{
	size_t reset = 0;
	bool full = false;
	int r;

	for (size_t i = 0; i < e->n_roster; i++) {
		const struct roster_entry *x = &e->roster[i];
		struct roster_item item = {
			.jid = x->jid, .name = x->name, .subscription = x->subscription, .groups = x->groups, .ask = x->ask,
		};

		if (x->reset) {
			full = true;
			reset = i;
		}
		r = *x->jid ? roster_put(e->store, e->account.id, &item) : 0;
		if (r >= 0 && full && x->last) {
			full = false;
			r = keep_only(e, reset, i + 1);
		}
		if (r < 0)
			return err_trace(r);
		if (e->counted && x->n)
			ackline_done(line, x->n);
	}
	return 0;
}
