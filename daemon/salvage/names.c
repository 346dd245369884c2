#include "salvage/names.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/text.h"

/* Columns of store/schema.c; later versions add columns at the end. */
enum {
	ACCOUNT_JID = 1,
	ACCOUNT_PASSWORD = 2,
	ACCOUNT_ENABLED = 3,
	ACCOUNT_HOST = 4,
	ACCOUNT_PORT = 5,
	ACCOUNT_REMOVED = 11,
	ACCOUNT_COLUMNS = 13,
	CONV_ACCOUNT = 1,
	CONV_JID = 2,
	CONV_KIND = 3,
	CONV_MOD = 4,
	CONV_COLUMNS = 11,
	SEQUENCE_COLUMNS = 2,
};

struct name {
	int64_t id;
	int64_t mod; /* of the same row twice the newer one counts */
	char *jid;
	bool removed;
};

struct list {
	struct name *names;
	size_t n, room;
};

struct names {
	struct list accounts, conversations;
	int64_t last_message;
};

struct names *names_new(void)
{
	return xnew(struct names);
}

static void list_deinit(struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->names[i].jid);
	free(l->names);
}

struct names *names_free(struct names *n)
{
	if (n) {
		list_deinit(&n->accounts);
		list_deinit(&n->conversations);
		free(n);
	}
	return NULL;
}

static void list_add(struct list *l, struct name name)
{
	if (l->n == l->room) {
		l->room = l->room * 2 + 16;
		l->names = xrealloc(l->names, l->room, sizeof(l->names[0]));
	}
	l->names[l->n++] = name;
}

static char *text(const struct leaf_value *v)
{
	_cleanup_(freep) char *raw = xstrndup((const char *)v->data, v->len);

	return text_clean(raw);
}

static bool is(const struct leaf_value *v, const char *word)
{
	return v->type == LEAF_TEXT && v->len == strlen(word) && memcmp(v->data, word, v->len) == 0;
}

static bool is_account(const struct leaf_value *v, size_t n)
{
	return n >= ACCOUNT_COLUMNS && v[0].type == LEAF_NULL && v[ACCOUNT_JID].type == LEAF_TEXT &&
	       v[ACCOUNT_PASSWORD].type == LEAF_TEXT && v[ACCOUNT_ENABLED].type == LEAF_INT &&
	       (v[ACCOUNT_HOST].type == LEAF_TEXT || v[ACCOUNT_HOST].type == LEAF_NULL) &&
	       v[ACCOUNT_PORT].type == LEAF_INT;
}

static bool is_conv(const struct leaf_value *v, size_t n)
{
	return n >= CONV_COLUMNS && v[0].type == LEAF_NULL && v[CONV_ACCOUNT].type == LEAF_INT &&
	       v[CONV_JID].type == LEAF_TEXT && (is(v + CONV_KIND, "direct") || is(v + CONV_KIND, "room")) &&
	       v[CONV_MOD].type == LEAF_INT;
}

void names_take(struct names *n, int64_t rowid, const struct leaf_value *v, size_t n_v)
{
	if (is_account(v, n_v))
		list_add(&n->accounts, (struct name){ .id = rowid,
						      .jid = text(v + ACCOUNT_JID),
						      .removed = v[ACCOUNT_REMOVED].i != 0 });
	else if (is_conv(v, n_v))
		list_add(&n->conversations,
			 (struct name){ .id = rowid, .mod = v[CONV_MOD].i, .jid = text(v + CONV_JID) });
	else if (n_v == SEQUENCE_COLUMNS && is(v, "msg") && v[1].type == LEAF_INT && v[1].i > n->last_message)
		n->last_message = v[1].i;
}

static int by_id(const void *x, const void *y)
{
	const struct name *a = x, *b = y;

	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return (a->mod < b->mod) - (a->mod > b->mod);
}

/* Sorted, and each id once. */
static void list_sort(struct list *l)
{
	size_t n = 0;

	if (l->n == 0)
		return;
	qsort(l->names, l->n, sizeof(l->names[0]), by_id);
	for (size_t i = 0; i < l->n; i++) {
		if (n > 0 && l->names[n - 1].id == l->names[i].id)
			free(l->names[i].jid);
		else
			l->names[n++] = l->names[i];
	}
	l->n = n;
}

void names_sort(struct names *n)
{
	list_sort(&n->accounts);
	list_sort(&n->conversations);
}

static const struct name *find(const struct list *l, int64_t id)
{
	size_t from = 0, to = l->n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (l->names[mid].id == id)
			return &l->names[mid];
		if (l->names[mid].id < id)
			from = mid + 1;
		else
			to = mid;
	}
	return NULL;
}

const char *names_account(const struct names *n, int64_t id)
{
	const struct name *x = find(&n->accounts, id);

	return x ? x->jid : "";
}

const char *names_conversation(const struct names *n, int64_t id)
{
	const struct name *x = find(&n->conversations, id);

	return x ? x->jid : "";
}

bool names_removed(const struct names *n, int64_t account)
{
	const struct name *x = find(&n->accounts, account);

	return x && x->removed;
}

int64_t names_last_message(const struct names *n)
{
	return n->last_message;
}
