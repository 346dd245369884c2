#include "store/pending.h"

#include <string.h>

#include "base/err.h"

int pending_begin(struct put *p)
{
	return put_any(p, NONE_PENDING, SQL_PENDING_ANY, &p->pending);
}

static int delete_row(struct put *p, int64_t id)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_PENDING_DELETE);

	put_i(&q, id);
	return db_run(&q);
}

/* *ret_newer: it stands above this one. */
static int find_same(struct put *p, const struct ref *ref, int64_t *ret, bool *ret_newer)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_PENDING_SAME);
	int r;

	put_i(&q, ref->conv);
	put_t(&q, ref->target);
	put_i(&q, ref->kind);
	put_t(&q, ref->author);
	put_n(&q, ref->id);
	put_n(&q, ref->value);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	*ret = r > 0 ? col_i(&q, 0) : 0;
	*ret_newer = r > 0 && col_i(&q, 1) > ref->key;
	return 0;
}

static int insert(struct put *p, const struct ref *ref)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_PENDING_ADD);

	put_has(p, NONE_PENDING);
	put_i(&q, p->account);
	put_i(&q, ref->conv);
	put_t(&q, ref->target);
	put_i(&q, ref->kind);
	put_t(&q, ref->author);
	put_n(&q, ref->id);
	put_i(&q, ref->key);
	put_i(&q, ref->time_us);
	put_n(&q, ref->value);
	put_n(&q, ref->encryption);
	put_i(&q, ref->room);
	return db_run(&q);
}

/*
 * Too many of the account: of the conversation that has most the oldest go, so that whoever refers to nothing pushes out
 * his own. Some at a time, because finding it reads all. Counted only when the ids make it possible that there are too many.
 */
static int trim(struct put *p)
{
	_cleanup_(stmt_done) struct stmt ends = db_use(p->s, SQL_PENDING_ENDS);
	_cleanup_(stmt_done) struct stmt count = db_use(p->s, SQL_PENDING_COUNT);
	_cleanup_(stmt_done) struct stmt del = { 0 };
	int64_t limit = p->s->limits.pending_refs, n;
	int r;

	put_i(&ends, p->account);
	put_i(&count, p->account);
	r = db_int(&ends, 0, &n);
	if (r < 0 || n < limit)
		return r < 0 ? err_trace(r) : 0;
	r = db_int(&count, 0, &n);
	if (r < 0 || n <= limit)
		return r < 0 ? err_trace(r) : 0;
	del = db_use(p->s, SQL_PENDING_TRIM);
	put_i(&del, p->account);
	put_t(&del, p->own_bare);
	put_i(&del, limit / 100 + 1);
	return db_run(&del);
}

int pending_drop_read(struct put *p, int64_t conv)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_PENDING_READ);

	if (!p->pending)
		return 0;
	put_i(&q, conv);
	return db_run(&q);
}

int pending_add(struct put *p, const struct ref *ref)
{
	bool newer = false;
	int64_t id = 0;
	int r;

	/* Once live and once from the archive. Of reactions without an id the newest counts: it replaces those before. */
	r = find_same(p, ref, &id, &newer);
	if (r == 0 && newer && ref->kind == REF_REACTION && !*ref->id)
		return 0;
	if (r == 0 && id)
		r = delete_row(p, id);
	if (r == 0)
		r = insert(p, ref);
	if (r == 0)
		r = trim(p);
	if (r < 0)
		return err_trace(r);
	p->pending = true;
	return 0;
}

/* One waiting reference with strings of its own. */
struct waiting {
	int64_t row;
	struct ref ref;
	char *target, *author, *id, *value, *encryption;
};

static void waiting_deinit(struct waiting *w)
{
	free(w->target);
	free(w->author);
	free(w->id);
	free(w->value);
	free(w->encryption);
}

/* The first one for ${target} above row ${after}: 1, 0 if there is none. */
static int next_waiting(struct put *p, int64_t conv, const char *target, int64_t after, struct waiting *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_PENDING_GET);
	int r;

	put_i(&q, conv);
	put_t(&q, target);
	put_i(&q, after);
	r = db_row(&q);
	if (r <= 0)
		return r < 0 ? err_trace(r) : 0;
	*ret = (struct waiting){
		.row = col_i(&q, 0),
		.target = xstrdup(col_t(&q, 2)),
		.author = xstrdup(col_t(&q, 3)),
		.id = xstrdup(col_t(&q, 4)),
		.value = xstrdup(col_t(&q, 7)),
		.encryption = xstrdup(col_t(&q, 8)),
	};
	ret->ref = (struct ref){
		.kind = (enum ref_kind)col_i(&q, 1),
		.conv = conv,
		.target = ret->target,
		.author = ret->author,
		.id = ret->id,
		.value = ret->value,
		.encryption = ret->encryption,
		.key = col_i(&q, 5),
		.time_us = col_i(&q, 6),
		.room = col_i(&q, 9) != 0,
	};
	return 1;
}

/* Ids whose waiting references are still to be applied; a list, because a peer can make a chain of any length. */
struct names {
	char **ids;
	size_t n;
};

static void names_push(struct names *names, const char *id)
{
	names->ids = xrealloc(names->ids, names->n + 1, sizeof(*names->ids));
	names->ids[names->n++] = xstrdup(id);
}

static void names_deinit(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->ids[i]);
	free(names->ids);
}

/*
 * Another's message of that name is not what it waits for, nor is a later one: then it waits on, as one of PENDING_KEPT_MAX,
 * which ours are not. What is applied is not there any more, so a cycle ends.
 */
static int apply_one(struct put *p, const struct waiting *w, struct names *names, size_t *kept)
{
	int r = refs_apply(p, &w->ref);

	if (r > 0 && w->ref.kind == REF_CORRECTION && *w->ref.id)
		names_push(names, w->ref.id);
	if (r > 0 || (r == 0 && strcmp(w->ref.author, p->own_bare) != 0 && ++*kept > PENDING_KEPT_MAX))
		r = delete_row(p, w->row);
	return r < 0 ? err_trace(r) : 0;
}

int pending_apply(struct put *p, int64_t conv, const char *id)
{
	_cleanup_(names_deinit) struct names names = { 0 };
	size_t kept = 0;
	int r = 0;

	if (!p->pending || !*id)
		return 0;
	names_push(&names, id);
	while (names.n && r == 0) {
		_cleanup_(freep) char *name = names.ids[--names.n];
		int64_t after = 0;

		for (;;) {
			_cleanup_(waiting_deinit) struct waiting w = { 0 };

			r = next_waiting(p, conv, name, after, &w);
			if (r <= 0)
				break;
			after = w.row;
			r = apply_one(p, &w, &names, &kept);
			if (r < 0)
				break;
		}
	}
	return r < 0 ? err_trace(r) : 0;
}
