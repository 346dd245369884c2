#include "bus/batch.h"

#include <string.h>

#include "base/err.h"

enum kind { KIND_MESSAGE, KIND_CONVERSATION, KIND_CONTACT, KIND_REMOVED };

struct kept {
	enum kind kind;
	struct kept *next;
	union {
		struct message_row message;
		struct conversation_row conversation;
		struct contact_row contact;
		struct {
			const char *kind, *key;
		} removed;
	};
	char strings[];
};

struct batch {
	struct batch_key key;
	struct kept *first, **last; /* in the order they came */
	size_t bytes;
	uint64_t next;
	bool more, whole; /* whole: read without an error */
};

struct batches {
	struct batch all[BATCHES_MAX];
	size_t newest;
};

/* Which fields of a row are strings: what is not named here would point into the store's memory. */
static const size_t message_strings[] = {
	offsetof(struct message_row, conversation), offsetof(struct message_row, sender), offsetof(struct message_row, kind),
	offsetof(struct message_row, body), offsetof(struct message_row, stanza_id), offsetof(struct message_row, origin_id),
	offsetof(struct message_row, xmpp_id), offsetof(struct message_row, client_id),
	offsetof(struct message_row, encryption), offsetof(struct message_row, error),
	offsetof(struct message_row, error_text), offsetof(struct message_row, reactions),
};
static const size_t conversation_strings[] = {
	offsetof(struct conversation_row, id), offsetof(struct conversation_row, kind), offsetof(struct conversation_row, title),
	offsetof(struct conversation_row, draft),
};
static const size_t contact_strings[] = {
	offsetof(struct contact_row, jid), offsetof(struct contact_row, name), offsetof(struct contact_row, subscription),
	offsetof(struct contact_row, groups),
};

/* Whoever makes a row larger is asked here whether it was by a string. */
_Static_assert(sizeof(void *) != 8 || (sizeof(struct message_row) == 160 && sizeof(struct conversation_row) == 248 &&
				       sizeof(struct contact_row) == 48), "name new strings above");

static const char **string_at(void *row, size_t offset)
{
	return (const char **)((char *)row + offset);
}

static size_t measure(void *row, const size_t *offsets, size_t n)
{
	size_t size = 0;

	for (size_t i = 0; i < n; i++)
		size += strlen(str_or_empty(*string_at(row, offsets[i]))) + 1;
	return size;
}

/* The strings of a row move to ${to}; returns what follows them. */
static char *move(void *row, const size_t *offsets, size_t n, char *to)
{
	for (size_t i = 0; i < n; i++) {
		const char **s = string_at(row, offsets[i]);
		size_t size = strlen(str_or_empty(*s)) + 1;

		memcpy(to, str_or_empty(*s), size);
		*s = to;
		to += size;
	}
	return to;
}

static struct kept *keep(struct batch *x, enum kind kind, size_t strings)
{
	struct kept *k = xcalloc(1, sizeof(*k) + strings);

	k->kind = kind;
	*x->last = k;
	x->last = &k->next;
	x->bytes += strings;
	return k;
}

static int on_message(void *userdata, const struct message_row *row)
{
	struct message_row copy = *row;
	struct kept *k = keep(userdata, KIND_MESSAGE, measure(&copy, message_strings, ARRAY_SIZE(message_strings)));

	move(&copy, message_strings, ARRAY_SIZE(message_strings), k->strings);
	k->message = copy;
	return 0;
}

static int on_conversation(void *userdata, const struct conversation_row *row)
{
	struct conversation_row copy = *row;
	size_t size = measure(&copy, conversation_strings, ARRAY_SIZE(conversation_strings));
	struct kept *k;
	char *rest;

	k = keep(userdata, KIND_CONVERSATION, size + measure(&copy.last, message_strings, ARRAY_SIZE(message_strings)));
	rest = move(&copy, conversation_strings, ARRAY_SIZE(conversation_strings), k->strings);
	move(&copy.last, message_strings, ARRAY_SIZE(message_strings), rest);
	k->conversation = copy;
	return 0;
}

static int on_contact(void *userdata, const struct contact_row *row)
{
	struct contact_row copy = *row;
	struct kept *k = keep(userdata, KIND_CONTACT, measure(&copy, contact_strings, ARRAY_SIZE(contact_strings)));

	move(&copy, contact_strings, ARRAY_SIZE(contact_strings), k->strings);
	k->contact = copy;
	return 0;
}

static int on_removed(void *userdata, const char *kind, const char *key)
{
	size_t n = strlen(kind) + 1, m = strlen(key) + 1;
	struct kept *k = keep(userdata, KIND_REMOVED, n + m);

	k->removed.kind = memcpy(k->strings, kind, n);
	k->removed.key = memcpy(k->strings + n, key, m);
	return 0;
}

static void empty(struct batch *x)
{
	struct kept *k = x->first, *next;

	for (; k; k = next) {
		next = k->next;
		free(k);
	}
	*x = (struct batch){ 0 };
	x->last = &x->first;
}

struct batches *batches_new(void)
{
	struct batches *b = xnew(struct batches);

	batches_drop(b);
	return b;
}

void batches_drop(struct batches *b)
{
	for (size_t i = 0; i < BATCHES_MAX; i++)
		empty(&b->all[i]);
}

struct batches *batches_free(struct batches *b)
{
	if (!b)
		return NULL;
	batches_drop(b);
	free(b);
	return NULL;
}

static bool same(const struct batch_key *a, const struct batch_key *b)
{
	return a->account == b->account && a->since == b->since && a->seq == b->seq && a->limit == b->limit;
}

int batches_get(struct batches *b, struct store *s, const struct batch_key *key, uint64_t begun, const struct batch **ret)
{
	static const struct changes_fns fns = { on_message, on_conversation, on_contact, on_removed };
	struct batch *x;
	int r;

	for (size_t i = 0; i < BATCHES_MAX; i++) {
		if (b->all[i].whole && b->all[i].bytes <= BATCH_BYTES_MAX && same(&b->all[i].key, key)) {
			*ret = &b->all[i];
			return 0;
		}
	}
	/* A large one gives its place up first; its memory goes with the next. */
	if (b->all[b->newest].bytes <= BATCH_BYTES_MAX)
		b->newest = (b->newest + 1) % BATCHES_MAX;
	x = &b->all[b->newest];
	empty(x);
	x->key = *key;
	r = read_changes(s, key->account, key->since, begun, key->limit, &fns, x, &x->next, &x->more);
	if (r != 0) {
		empty(x);
		return r < 0 ? err_trace(r) : r;
	}
	x->whole = true;
	*ret = x;
	return 0;
}

int batch_each(const struct batch *x, const struct changes_fns *fns, void *userdata)
{
	int r = 0;

	for (const struct kept *k = x->first; k && r >= 0; k = k->next) {
		switch (k->kind) {
		case KIND_MESSAGE:
			r = fns->message ? fns->message(userdata, &k->message) : 0;
			break;
		case KIND_CONVERSATION:
			r = fns->conversation ? fns->conversation(userdata, &k->conversation) : 0;
			break;
		case KIND_CONTACT:
			r = fns->contact ? fns->contact(userdata, &k->contact) : 0;
			break;
		case KIND_REMOVED:
			r = fns->removed ? fns->removed(userdata, k->removed.kind, k->removed.key) : 0;
			break;
		}
	}
	return r;
}

uint64_t batch_next(const struct batch *x)
{
	return x->next;
}

bool batch_more(const struct batch *x)
{
	return x->more;
}
