/*
 * Sets of rows: an answer, and the rows that point into it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/libvarve/client.h"

struct marks {
	struct varve_mark *mark;
	size_t n;
};

struct varve_messages {
	unsigned refs;
	sd_bus_message *m;
	struct varve_message *row;
	struct marks *marks; /* of a search: one a row */
	size_t n;
	uint32_t edges;
	uint64_t seq;
	const char *next;
};

struct varve_conversations {
	sd_bus_message *m;
	struct conversation_box *box;
	size_t n;
	const char *next;
};

struct varve_contacts {
	sd_bus_message *m;
	struct varve_contact *row;
	size_t n;
	const char *next;
};

/* Room for one more in an array that doubles: ${n} is how many there are. */
static int grow(void **rows, size_t n, size_t size)
{
	void *more;

	if (n & (n - 1)) /* between powers of two there is room */
		return 0;
	more = reallocarray(*rows, n ? n * 2 : 1, size);
	if (!more)
		return -ENOMEM;
	*rows = more;
	return 0;
}

struct varve_messages *varve_messages_ref(struct varve_messages *s)
{
	s->refs++;
	return s;
}

struct varve_messages *varve_messages_unref(struct varve_messages *s)
{
	if (!s || --s->refs > 0)
		return NULL;
	for (size_t i = 0; i < s->n; i++) {
		varve__message_clear(&s->row[i]);
		if (s->marks)
			free(s->marks[i].mark);
	}
	free(s->row);
	free(s->marks);
	sd_bus_message_unref(s->m);
	free(s);
	return NULL;
}

size_t varve_messages_count(const struct varve_messages *s)
{
	return s->n;
}

const struct varve_message *varve_messages_get(const struct varve_messages *s, size_t i)
{
	return i < s->n ? &s->row[i] : NULL;
}

uint32_t varve_messages_edges(const struct varve_messages *s)
{
	return s->edges;
}

uint64_t varve_messages_seq(const struct varve_messages *s)
{
	return s->seq;
}

const char *varve_messages_next(const struct varve_messages *s)
{
	return s->next ? s->next : "";
}

const struct varve_mark *varve_messages_marks(const struct varve_messages *s, size_t i, size_t *ret_n)
{
	bool there = s->marks && i < s->n;

	*ret_n = there ? s->marks[i].n : 0;
	return there ? s->marks[i].mark : NULL;
}

static struct varve_messages *messages_new(sd_bus_message *m)
{
	struct varve_messages *s = calloc(1, sizeof(*s));

	if (s) {
		s->refs = 1;
		s->m = sd_bus_message_ref(m);
	}
	return s;
}

int varve_read_messages(struct sd_bus_message *m, struct varve_messages **ret)
{
	struct varve_messages *s = messages_new(m);
	int r = s ? sd_bus_message_enter_container(m, 'a', VARVE_SIG_MESSAGE) : -ENOMEM;

	while (r >= 0) {
		r = grow((void **)&s->row, s->n, sizeof(*s->row));
		if (r < 0)
			break;
		r = varve__message_take(m, &s->row[s->n]);
		if (r <= 0)
			break;
		s->n++;
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r < 0) {
		varve_messages_unref(s);
		return r;
	}
	*ret = s;
	return 0;
}

int varve__read_history(sd_bus_message *m, struct varve_messages **ret)
{
	struct varve_messages *s;
	int r = varve_read_messages(m, &s);

	if (r < 0)
		return r;
	r = sd_bus_message_read(m, "ut", &s->edges, &s->seq);
	if (r < 0) {
		varve_messages_unref(s);
		return r;
	}
	*ret = s;
	return 0;
}

static int take_marks(sd_bus_message *m, struct marks *ret)
{
	int r = sd_bus_message_enter_container(m, 'a', "(uu)");

	while (r >= 0) {
		r = grow((void **)&ret->mark, ret->n, sizeof(*ret->mark));
		if (r >= 0)
			r = sd_bus_message_read(m, "(uu)", &ret->mark[ret->n].start, &ret->mark[ret->n].length);
		if (r <= 0)
			break;
		ret->n++;
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* The next "(M a(uu))": 1, 0 at the end, -errno. What is half there goes with the set. */
static int take_hit(sd_bus_message *m, struct varve_messages *s)
{
	int r = grow((void **)&s->row, s->n, sizeof(*s->row));

	if (r >= 0)
		r = grow((void **)&s->marks, s->n, sizeof(*s->marks));
	if (r >= 0)
		r = sd_bus_message_enter_container(m, 'r', VARVE_SIG_HIT_FIELDS);
	if (r <= 0)
		return r;
	r = varve__message_take(m, &s->row[s->n]);
	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	s->marks[s->n] = (struct marks){ 0 };
	r = take_marks(m, &s->marks[s->n++]);
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	return r < 0 ? r : 1;
}

int varve__read_search(sd_bus_message *m, struct varve_messages **ret)
{
	struct varve_messages *s = messages_new(m);
	int r = s ? sd_bus_message_enter_container(m, 'a', VARVE_SIG_HIT) : -ENOMEM;

	while (r >= 0 && (r = take_hit(m, s)) > 0)
		;
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r >= 0)
		r = sd_bus_message_read(m, "s", &s->next);
	if (r < 0) {
		varve_messages_unref(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct varve_conversations *varve_conversations_unref(struct varve_conversations *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; i < s->n; i++)
		varve__conversation_clear(&s->box[i]);
	free(s->box);
	sd_bus_message_unref(s->m);
	free(s);
	return NULL;
}

size_t varve_conversations_count(const struct varve_conversations *s)
{
	return s->n;
}

const struct varve_conversation *varve_conversations_get(const struct varve_conversations *s, size_t i)
{
	return i < s->n ? &s->box[i].row : NULL;
}

const char *varve_conversations_next(const struct varve_conversations *s)
{
	return s->next ? s->next : "";
}

int varve_read_conversations(struct sd_bus_message *m, struct varve_conversations **ret)
{
	struct varve_conversations *s = calloc(1, sizeof(*s));
	int r = s ? sd_bus_message_enter_container(m, 'a', VARVE_SIG_CONVERSATION) : -ENOMEM;

	if (s)
		s->m = sd_bus_message_ref(m);
	while (r >= 0) {
		r = grow((void **)&s->box, s->n, sizeof(*s->box));
		if (r >= 0)
			r = varve__conversation_take(m, &s->box[s->n]);
		if (r <= 0)
			break;
		s->n++;
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	/* Only now the boxes move no more. */
	for (size_t i = 0; r >= 0 && i < s->n; i++)
		s->box[i].row.last = s->box[i].last.id ? &s->box[i].last : NULL;
	if (r < 0) {
		varve_conversations_unref(s);
		return r;
	}
	*ret = s;
	return 0;
}

int varve__read_conversation_list(sd_bus_message *m, struct varve_conversations **ret)
{
	struct varve_conversations *s;
	int r = varve_read_conversations(m, &s);

	if (r < 0)
		return r;
	r = sd_bus_message_read(m, "s", &s->next);
	if (r < 0) {
		varve_conversations_unref(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct varve_contacts *varve_contacts_unref(struct varve_contacts *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; i < s->n; i++)
		varve__contact_clear(&s->row[i]);
	free(s->row);
	sd_bus_message_unref(s->m);
	free(s);
	return NULL;
}

size_t varve_contacts_count(const struct varve_contacts *s)
{
	return s->n;
}

const struct varve_contact *varve_contacts_get(const struct varve_contacts *s, size_t i)
{
	return i < s->n ? &s->row[i] : NULL;
}

const char *varve_contacts_next(const struct varve_contacts *s)
{
	return s->next ? s->next : "";
}

int varve_read_contacts(struct sd_bus_message *m, struct varve_contacts **ret)
{
	struct varve_contacts *s = calloc(1, sizeof(*s));
	int r = s ? sd_bus_message_enter_container(m, 'a', VARVE_SIG_CONTACT) : -ENOMEM;

	if (s)
		s->m = sd_bus_message_ref(m);
	while (r >= 0) {
		r = grow((void **)&s->row, s->n, sizeof(*s->row));
		if (r >= 0)
			r = varve__contact_take(m, &s->row[s->n]);
		if (r <= 0)
			break;
		s->n++;
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r < 0) {
		varve_contacts_unref(s);
		return r;
	}
	*ret = s;
	return 0;
}

int varve__read_contact_list(sd_bus_message *m, struct varve_contacts **ret)
{
	struct varve_contacts *s;
	int r = varve_read_contacts(m, &s);

	if (r < 0)
		return r;
	r = sd_bus_message_read(m, "s", &s->next);
	if (r < 0) {
		varve_contacts_unref(s);
		return r;
	}
	*ret = s;
	return 0;
}
