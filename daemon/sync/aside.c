/*
 * Questions to the archive beside the plan, whose answers move no coverage (decisions/0015): errands (errand.c), and
 * verifying what coverage claims (core/verify.h), which comes after everything else, one page at a time.
 */
#include <string.h>

#include "base/log.h"
#include "sync/engine-priv.h"

static bool is_asked(const struct engine *e, enum query_use use)
{
	for (const struct query *q = e->aside; q; q = q->next)
		if (q->use == use)
			return true;
	return false;
}

/* ---- verifying ---- */

bool engine_is_verifying(const struct engine *e)
{
	return e->verify && (e->verify->state == VERIFY_WAITING || e->verify->state == VERIFY_WALKING);
}

/* The walk that is at work: a user's, or for what was not settled. */
static struct verify *walk_of(const struct engine *e)
{
	return engine_is_verifying(e) ? e->verify : e->settling;
}

static void note_verified(struct engine *e, const struct verify *v)
{
	const struct verify_tally *t = &v->tally;

	if (v == e->settling) {
		if (v->state == VERIFY_DONE || v->state == VERIFY_FAILED)
			recheck_ended(e, v->state == VERIFY_DONE);
		return;
	}

	/* Why is for who asked: the server's words may name somebody. */
	if (e->verify->state == VERIFY_FAILED) {
		log_warning("%s: verifying stopped", LOG_JID(e->account.jid));
		log_debug("%s: it says: %s", e->account.jid, e->verify->why);
	} else if (e->verify->state == VERIFY_DONE) {
		log_info("%s: verified %llu archived messages: %llu were missing, %llu in a wrong place", LOG_JID(e->account.jid),
			 (unsigned long long)t->messages, (unsigned long long)t->missing, (unsigned long long)t->moved);
	}
	e->io->event(e->userdata, HUB_SYNC);
}

static void verify_go(struct engine *e)
{
	struct verify *v = walk_of(e);
	struct verify_ask ask;
	struct query *q;

	if (!v || is_asked(e, FOR_VERIFY) || e->paused || !catchup_idle(e) || !flight_idle(&e->flight))
		return;
	if (e->session.archive == ARCHIVE_NONE) {
		v->state = VERIFY_FAILED;
		str_set(&v->why, "the server keeps no archive");
	}
	verify_start(v, &e->cover);
	if (v->state != VERIFY_WALKING) {
		note_verified(e, v);
		return;
	}
	ask = verify_next(v);
	q = query_new_aside(++e->next_query, FOR_VERIFY, ask.with, ask.cursor, ask.start_us, ask.end_us);
	query_push(&e->aside, q);
	asking_send(e, q, e->page_max < ASIDE_PAGE ? e->page_max : ASIDE_PAGE);
}

static void count(struct verify_tally *t, const struct put_outcome *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		t->missing += out[i].aid_is_new && out[i].result != PUT_KNOWN;
		t->different += out[i].different;
		t->moved += out[i].moved;
	}
}

/* What lies here between the page's first message and what came before it in the walk, and not at the server. */
static void count_gone(struct engine *e, struct verify *v, const struct cover_page *page, size_t from, const char *upper)
{
	_cleanup_(freep) const char **ids = xnewn(const char *, page->n + 1);
	uint64_t gone = 0;

	for (size_t i = from; i < page->n; i++)
		ids[i - from] = page->items[i].id;
	if (archive_count_gone(e->store, e->account.id, e->archive, v->with, ids, page->n - from, upper, &gone) >= 0)
		v->tally.gone += gone;
}

/*
 * Compare and store: 0. ARCHIVE_E_ANOTHER: the page is to be looked at again. Below 0: it could not be stored; the walk stands
 * where it stood.
 */
static int verify_store(struct engine *e, struct query *q, struct verify *v, const struct cover_page *page,
			 size_t from, const char *upper)
{
	size_t skip = page->n && q->n && strcmp(page->items[0].id, q->items[0]->archive_id) != 0, low = from > skip ? from - skip : 0;
	_cleanup_(freep) struct put_outcome *out = xnewn(struct put_outcome, q->n + 1);
	const struct archive_page stored = {
		.items = (const struct message *const *)q->items + low, .n = q->n - low, .below_id = "", .above_id = upper,
		.part = *v->with, .compare = true,
	};
	int r;

	r = commit_aside(e, q, low, &stored, out);
	if (r != 0)
		return r;
	count(&v->tally, out, stored.n);
	count_gone(e, v, page, from, upper);
	return 0;
}

static void verify_answer(struct engine *e, struct query *q, struct verify *walk)
{
	_cleanup_(verify_deinit) struct verify v = { 0 };
	_cleanup_(freep) struct cover_item *items = NULL;
	struct cover_page page = query_page(q, 0, &items);
	size_t from = 0;
	int r;

	if (walk == e->settling && q->unsettled_us) {
		catchup_discard(e, q);
		recheck_ended(e, false);
		return;
	}
	verify_copy(&v, walk);
	if (!verify_page(&v, page.items, page.n, q->complete, &from)) {
		catchup_discard(e, q);
	} else if ((r = verify_store(e, q, &v, &page, from, walk->upper)) == 0) {
		e->page_bytes -= q->bytes;
		query_free(q);
	} else if (r > 0) {
		verify_answer(e, q, walk);
		return;
	} else {
		catchup_discard(e, q);
		catchup_drop_all(e);
		return;
	}
	verify_copy(walk, &v);
	note_verified(e, walk);
}

/* What is asked for it is asked in vain. */
static void drop_questions(struct engine *e)
{
	for (struct query *q = e->aside, *next; q; q = next) {
		next = q->next;
		if (q->use == FOR_VERIFY)
			catchup_discard(e, query_take(&e->aside, q->id));
	}
}

static void drop_walk(struct engine *e)
{
	drop_questions(e);
	recheck_forget(e);
}

int engine_verify(struct engine *e, const char *with, int64_t since_us)
{
	if (engine_is_verifying(e))
		return HUB_E_BUSY;
	if (e->paused)
		return HUB_E_PAUSED;
	drop_walk(e);
	engine_verify_forget(e);
	e->verify = xnew(struct verify);
	verify_init(e->verify, with, since_us);
	/* What came live is to be proven first. */
	if (e->state == ENGINE_ONLINE && e->ready)
		engine_sync_now(e);
	return 0;
}

void engine_verify_forget(struct engine *e)
{
	if (!e->verify)
		return;
	drop_questions(e);
	verify_deinit(e->verify);
	free(e->verify);
	e->verify = NULL;
}

const struct verify *engine_verifying(const struct engine *e)
{
	return e->verify;
}

/* ---- all of them ---- */

void aside_go(struct engine *e)
{
	errand_go(e);
	verify_go(e);
}

void aside_page(struct engine *e, uint32_t id)
{
	struct query *q;

	/* What came live before is stored before. That may ask, and drop, so the question stays on its list meanwhile. */
	if (commit_now(e) < 0) {
		catchup_drop_all(e);
		return;
	}
	q = query_take(&e->aside, id);
	if (q && q->use == FOR_ERRAND)
		errand_answer(e, q);
	else if (q && walk_of(e))
		verify_answer(e, q, walk_of(e));
	else if (q)
		catchup_discard(e, q);
	catchup_go(e);
}

void aside_failed(struct engine *e, struct query *q, bool unknown_id, const char *why)
{
	struct verify *v = walk_of(e);

	if (q->use == FOR_ERRAND) {
		errand_failed(e, q, unknown_id, why);
		return;
	}
	catchup_discard(e, q);
	if (!v)
		return;
	if (unknown_id)
		verify_unknown(v);
	else
		verify_trouble(v, why);
	note_verified(e, v);
}

void aside_stream_ends(struct engine *e)
{
	if (e->verify)
		verify_stop(e->verify);
	if (e->settling)
		verify_stop(e->settling);
}

void aside_renewed(struct engine *e)
{
	struct verify v;

	errand_renewed(e);
	recheck_renewed(e);
	if (!engine_is_verifying(e))
		return;
	verify_init(&v, e->verify->with, e->verify->since_us);
	verify_deinit(e->verify);
	*e->verify = v;
}

void aside_deinit(struct engine *e)
{
	engine_verify_forget(e);
	drop_walk(e);
	errand_deinit(e);
}
