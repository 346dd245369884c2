#include "store/known.h"

#include <string.h>

#include "base/err.h"

static int64_t or_none(struct stmt *q, int column)
{
	return sqlite3_column_type(q->st, column) == SQLITE_NULL ? INT64_MIN : col_i(q, column);
}

static int learn(struct put *p, const char *jid, struct known *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_CONV_KNOW);
	int r;

	*ret = (struct known){ .read_key = INT64_MIN, .floor = INT64_MIN, .last_key = INT64_MIN };
	put_i(&q, p->account);
	put_t(&q, jid);
	r = db_row(&q);
	if (r <= 0)
		return r < 0 ? err_trace(r) : 0;
	*ret = (struct known){
		.id = col_i(&q, 0),
		.room = strcmp(col_t(&q, 1), "room") == 0,
		.read_key = or_none(&q, 2),
		.floor = or_none(&q, 3),
		.floor_us = col_i(&q, 4),
		.replies = col_i(&q, 5) != 0,
		.origins = col_i(&q, 6) != 0,
		.last_key = or_none(&q, 7),
	};
	return 0;
}

int known_get(struct put *p, const char *jid, struct known **ret)
{
	struct known k, *kept;
	int r;

	for (size_t i = 0; i < p->n_known; i++) {
		if (strcmp(p->known[i]->jid, jid) == 0) {
			*ret = p->known[i];
			return 0;
		}
	}
	r = learn(p, jid, &k);
	if (r < 0)
		return err_trace(r);
	kept = xnew(struct known);
	*kept = k;
	kept->jid = xstrdup(jid);
	p->known = xrealloc(p->known, p->n_known + 1, sizeof(*p->known));
	*ret = p->known[p->n_known++] = kept;
	return 0;
}

struct known *known_by_row(const struct put *p, int64_t conv)
{
	for (size_t i = 0; i < p->n_known; i++)
		if (p->known[i]->id == conv)
			return p->known[i];
	return NULL;
}

void known_row(struct known *k, const struct message *m, int64_t key)
{
	if (k->last_key < key)
		k->last_key = key;
	k->replies |= *m->reply_id != '\0';
	k->origins |= *m->origin_id && strcmp(m->origin_id, m->id) != 0;
}

void known_moved(const struct put *p, int64_t conv)
{
	struct known *k = known_by_row(p, conv);

	if (k)
		k->read_key = k->last_key = INT64_MIN;
}

static void move(int64_t *key, int64_t from, int64_t by)
{
	if (*key >= from)
		*key += by;
}

void known_shift(struct put *p, int64_t from, int64_t by)
{
	for (size_t i = 0; i < p->n_known; i++) {
		move(&p->known[i]->read_key, from, by);
		move(&p->known[i]->floor, from, by);
		move(&p->known[i]->last_key, from, by);
	}
}

static void free_list(struct known **list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(list[i]->jid);
		free(list[i]);
	}
	free(list);
}

void known_forget(struct put *p)
{
	free_list(p->known, p->n_known);
	p->known = NULL;
	p->n_known = 0;
}

void known_take(struct put *p)
{
	struct known_list *l = &p->s->known;

	if (l->account != p->account || l->changes != sqlite3_total_changes64(p->s->db)) {
		known_drop(p->s);
		return;
	}
	p->known = l->list;
	p->n_known = l->n;
	*l = (struct known_list){ 0 };
}

void known_leave(struct put *p)
{
	known_drop(p->s);
	p->s->known = (struct known_list){
		.list = p->known,
		.n = p->n_known,
		.account = p->account,
		.changes = sqlite3_total_changes64(p->s->db),
	};
	p->known = NULL;
	p->n_known = 0;
}

void known_drop(struct store *s)
{
	free_list(s->known.list, s->known.n);
	s->known = (struct known_list){ 0 };
}
