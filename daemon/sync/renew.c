/*
 * An archive id that is stored as one message came with another (B8, docs/decisions/0019). Either the server gave it twice: then
 * the second message gets an id of our own. Or its archive is another one than we know: it was wiped and counts anew, or the
 * account moved. Then what is stored stays, with the coverage that it had, and the archive that is there now is read from its
 * newest message on like any other.
 */

#include "base/err.h"
#include "base/log.h"
#include "base/step.h"
#include "sync/engine-priv.h"

/*
 * So many messages of a page that are others than those we know under their ids, none that is the same, and none below them whose
 * id is unknown: so looks an archive that counts anew, up to where the old one had come. A server may give an id twice (an
 * import with whole seconds, a cluster), and that is no other archive.
 */
#define RENEWAL_PROOF 2
/* A server that contradicts itself for ever must not make us read its archive for ever. */
#define RENEWALS_US (INT64_C(24) * 3600 * 1000000)
#define RENEWALS_MAX 4 /* in that time: what came before it was noticed may have been taken for the wrong one's */

/*
 * How many spans begin no higher than the message that proves it: these are the old archive's. *ret_key: nothing of them
 * stands above.
 */
static int count_old(struct engine *e, size_t *ret_n, int64_t *ret_key)
{
	const struct cover *c = &e->cover;
	int64_t first, last;
	int r;

	*ret_n = 0;
	*ret_key = e->another_key;
	for (size_t i = 0; i < c->n; i++) {
		const struct span *s = &c->spans[i];

		r = archive_place(e->store, e->archive, s->first.id, &first);
		if (r < 0)
			return err_trace(r);
		if ((r > 0 ? first : s->first.us) > e->another_key)
			break;
		r = archive_place(e->store, e->archive, s->last.id, &last);
		if (r < 0)
			return err_trace(r);
		if (r > 0 && last > *ret_key)
			*ret_key = last;
		*ret_n = i + 1;
	}
	return 0;
}

static int store_renewed(struct engine *e)
{
	_cleanup_(cover_deinit) struct cover cover = { 0 };
	int64_t was = e->archive, now = 0, key;
	char mark[ARCHIVE_MARK_MAX];
	size_t n = 0;
	int r;

	archive_mark(was, mark, sizeof(mark));
	cover_copy(&cover, &e->cover);
	r = store_begin(e->store);
	if (r >= 0)
		r = count_old(e, &n, &key);
	if (r >= 0) {
		cover_set_old(&cover, n, mark);
		r = archive_renew(e->store, e->account.id, was, &cover, key, &now);
	}
	if (r >= 0) {
		e->archive = now;
		r = commit_finish(e, &e->line, &cover);
	}
	if (r < 0) {
		e->archive = was;
		return commit_failed(e, r);
	}
	step("archive.renew");
	commit_succeeded(e);
	return 0;
}

static bool too_often(struct engine *e)
{
	int64_t now = e->io->boot_us(e->userdata);

	if (e->renewals == 0 || now - e->renewed_us >= RENEWALS_US) {
		e->renewals = 0;
		e->renewed_us = now;
	}
	return e->renewals == RENEWALS_MAX;
}

bool renew_gave_up(const struct engine *e)
{
	return e->renewals == RENEWALS_MAX && e->io->boot_us(e->userdata) - e->renewed_us < RENEWALS_US;
}

/* A page is more evidence than the slice of it that is being stored. */
static bool is_another(struct engine *e, const struct query *q, const struct put_outcome *out)
{
	bool same = false, twins = false, unknown = false, scattered = false;
	size_t others = 0;

	e->another_key = INT64_MIN;
	for (size_t i = 0; i < q->n; i++) {
		same |= out[i].same;
		unknown |= out[i].aid_is_new;
		scattered |= out[i].another && unknown;
		others += out[i].another;
		twins |= out[i].another && cover_is_twin(q->items[i]->archive_id);
		if (out[i].another && out[i].another_key > e->another_key)
			e->another_key = out[i].another_key;
	}
	/* What has a name of our own and is another message all the same was made to look so. */
	return twins || (others >= RENEWAL_PROOF && !same && !scattered && !too_often(e));
}

static int judge(struct engine *e, const struct query *q, struct put_outcome *out)
{
	return archive_judge(e->store, e->account.id, e->archive, e->account.jid, (const struct message *const *)q->items, q->n,
			     e->io->real_us(e->userdata), out);
}

static void rename_twin(struct engine *e, struct query *q, size_t i)
{
	_cleanup_(freep) char *id = cover_twin_id(q->items[i]->archive_id, message_hash_whole(q->items[i]));

	e->page_bytes -= q->bytes;
	query_rename(q, i, id);
	e->page_bytes += q->bytes;
}

void renew_look(struct engine *e, struct query *q, size_t from, const struct put_outcome *out)
{
	_cleanup_(freep) struct put_outcome *all = xnewn(struct put_outcome, q->n + 1);

	e->another = judge(e, q, all) >= 0 && is_another(e, q, all);
	for (size_t i = from; i < q->n && !e->another; i++)
		if (out[i - from].another || out[i - from].twin)
			rename_twin(e, q, i);
}

bool renew_meets(struct engine *e, struct query *q, size_t k)
{
	_cleanup_(freep) struct put_outcome *all = xnewn(struct put_outcome, q->n + 1);
	int r = store_begin(e->store);

	if (r < 0)
		return true;
	r = judge(e, q, all);
	store_rollback(e->store);
	if (r < 0 || !all[k].another)
		return true;
	e->another = is_another(e, q, all);
	if (!e->another)
		rename_twin(e, q, k);
	return false;
}

void renew_archive(struct engine *e)
{
	e->another = false;
	if (too_often(e)) {
		catchup_give_up(e, "it uses the ids of its messages again and again");
		return;
	}
	/* What came live is of the one or the other: it is stored, and the archive brings it again. */
	if (commit_now(e) < 0)
		return;
	catchup_drop_all(e);
	if (store_renewed(e) < 0)
		return;
	log_warning("%s: the server has another archive than before; what was stored is kept, and this one is read from its end",
		    LOG_JID(e->account.jid));
	e->renewals++;
	catchup_forget(e);
	aside_renewed(e);
	e->end_unknown_us = e->io->boot_us(e->userdata);
	e->unproven = 0;
	e->io->event(e->userdata, HUB_FEED);
	e->io->event(e->userdata, HUB_SYNC);
}
