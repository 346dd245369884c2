#include "store/target.h"

#include "base/err.h"
#include "core/jid.h"
#include "store/aid.h"

static bool may(const struct ref *ref, const struct candidate *c)
{
	switch (ref->kind) {
	case REF_CORRECTION:
	case REF_RETRACTION:
		return author_is(c->sender, ref->author, ref->room && *ref->target != REFS_BY_ROOM);
	case REF_RECEIPT:
	case REF_MARKER:
		return c->out;
	case REF_OWN_MARKER:
		return !c->out;
	case REF_REACTION:
	case REF_OWN_READ:
		return true;
	}
	return false;
}

/* Whose messages it can be about. */
static enum row_side side_of(const struct put *p, const struct ref *ref)
{
	switch (ref->kind) {
	case REF_CORRECTION:
	case REF_RETRACTION:
		return row_side(jid_bare_equal(ref->author, p->own_bare));
	case REF_RECEIPT:
	case REF_MARKER:
		return ROW_OUT;
	case REF_OWN_MARKER:
		return ROW_IN;
	case REF_REACTION:
	case REF_OWN_READ:
		break;
	}
	return ROW_BOTH;
}

/* A better place than what was found so far: before the reference, and as near to it as can be. */
static bool is_better(const struct target *t, const struct candidate *c, bool before)
{
	if (!t->msg || before != t->before)
		return !t->msg || before;
	return before ? c->key > t->key : c->key < t->key;
}

static void consider(void *userdata, const struct candidate *c)
{
	struct target *t = userdata;
	bool before = t->exact || c->key < t->ref->key;

	if (!may(t->ref, c) || !is_better(t, c, before))
		return;
	if (!before && !c->ours && !row_may_precede(c, t->ref->time_us))
		return;
	t->msg = c->id;
	t->key = c->key;
	t->before = before;
	t->state = c->state;
	t->kind = c->kind;
}

int target_corrected(struct put *p, int64_t conv, const char *id, int64_t *ret_msg)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_REF_CORRECTED);

	put_t(&q, id);
	put_i(&q, conv);
	return db_int(&q, 0, ret_msg);
}

int target_by_name(struct put *p, struct target *t, const char *id, enum row_side side)
{
	int r = row_candidates(p, t->ref->conv, id, side, consider, t);

	return r < 0 ? err_trace(r) : 0;
}

int target_by_row(struct put *p, struct target *t, int64_t msg)
{
	int r = row_candidate(p, t->ref->conv, msg, consider, t);

	return r < 0 ? err_trace(r) : 0;
}

/* A room names its own stanza-id, never what a sender called his message (XEP-0425 section 3.1). */
static int find_moderated(struct put *p, struct target *t)
{
	struct aid aid;
	int r;

	t->exact = true;
	r = aid_get(p, t->ref->target + 1, &aid);
	if (r == 0 && aid.msg)
		r = target_by_row(p, t, aid.msg);
	return r < 0 ? err_trace(r) : 0;
}

int target_find(struct put *p, struct target *t)
{
	const struct ref *ref = t->ref;
	struct aid aid = { 0 };
	int64_t msg = 0;
	int r;

	if (*ref->target == REFS_BY_ROOM)
		return find_moderated(p, t);
	r = target_by_name(p, t, ref->target, side_of(p, ref));
	if (r == 0 && !t->msg && ref->room)
		r = aid_get(p, ref->target, &aid);
	if (r == 0 && aid.msg)
		r = target_by_row(p, t, aid.msg);
	/* A correction's id stands for what it corrected: some clients name the last id, not the first (H2). */
	if (r == 0 && !t->msg)
		r = target_corrected(p, ref->conv, ref->target, &msg);
	if (r == 0 && msg)
		r = target_by_row(p, t, msg);
	return r < 0 ? err_trace(r) : 0;
}
