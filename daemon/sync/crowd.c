#include "sync/crowd.h"

#include <string.h>

#include "core/text.h"

static void person_deinit(struct person *p)
{
	free(p->jid);
	free(p->show);
	free(p->status);
}

static void drop_typist(struct crowd *c, size_t i)
{
	free(c->typing[i].conversation);
	free(c->typing[i].sender);
	c->typing[i] = c->typing[--c->n_typing];
}

void crowd_clear_typing(struct crowd *c)
{
	while (c->n_typing)
		drop_typist(c, 0);
}

void crowd_clear(struct crowd *c)
{
	for (size_t i = 0; i < c->n_people; i++)
		person_deinit(&c->people[i]);
	free(c->people);
	c->people = NULL;
	c->n_people = c->cap_people = 0;
	crowd_clear_typing(c);
}

/* The place of ${jid}, or where it would be. */
static size_t place(const struct crowd *c, const char *jid, bool *ret_there)
{
	size_t lo = 0, hi = c->n_people;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(c->people[mid].jid, jid) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_there = lo < c->n_people && strcmp(c->people[lo].jid, jid) == 0;
	return lo;
}

static size_t bare_length(const char *jid)
{
	return strcspn(jid, "/");
}

/* The first entry of the bare JID of these bytes; its entries follow each other: '/' sorts them together. */
static size_t first_of(const struct crowd *c, const char *bare, size_t len)
{
	_cleanup_(freep) char *prefix = xasprintf("%.*s/", (int)len, bare);
	bool there;

	return place(c, prefix, &there);
}

static bool belongs(const struct crowd *c, size_t i, const char *bare, size_t len)
{
	return i < c->n_people && strncmp(c->people[i].jid, bare, len) == 0 && c->people[i].jid[len] == '/';
}

static bool take_out(struct crowd *c, size_t i)
{
	person_deinit(&c->people[i]);
	memmove(&c->people[i], &c->people[i + 1], (c->n_people - i - 1) * sizeof(*c->people));
	c->n_people--;
	return true;
}

/* All resources of a bare JID are gone: servers say so without naming one. */
static bool take_all(struct crowd *c, const char *bare)
{
	size_t len = strlen(bare), i = first_of(c, bare, len);
	bool any = false;

	while (belongs(c, i, bare, len))
		any = take_out(c, i);
	return any;
}

static bool room_for(const struct crowd *c, const char *jid)
{
	size_t len = bare_length(jid), n = 0;

	if (c->n_people >= CROWD_PEOPLE_MAX)
		return false;
	for (size_t i = first_of(c, jid, len); belongs(c, i, jid, len); i++)
		n++;
	return n < CROWD_RESOURCES_MAX;
}

static bool insert(struct crowd *c, size_t i, const struct presence_row *row)
{
	if (!room_for(c, row->jid))
		return false;
	if (c->n_people == c->cap_people) {
		c->cap_people = c->cap_people ? c->cap_people * 2 : 64;
		c->people = xrealloc(c->people, c->cap_people, sizeof(*c->people));
	}
	memmove(&c->people[i + 1], &c->people[i], (c->n_people - i) * sizeof(*c->people));
	c->n_people++;
	c->people[i] = (struct person){ .jid = xstrdup(row->jid) };
	return true;
}

bool crowd_presence(struct crowd *c, const struct presence_row *row)
{
	bool there, same;
	size_t i = place(c, row->jid, &there);
	struct person *p;

	if (strcmp(row->show, "offline") == 0) {
		if (there)
			return take_out(c, i);
		return !strchr(row->jid, '/') && take_all(c, row->jid);
	}
	if (!there && !insert(c, i, row))
		return false;
	p = &c->people[i];
	same = there && p->priority == row->priority && strcmp(p->show, row->show) == 0 &&
	       strcmp(p->status, row->status) == 0;
	str_set(&p->show, row->show);
	free(p->status);
	p->status = xstrndup(row->status, text_prefix(row->status, CROWD_STATUS_MAX));
	p->priority = row->priority;
	return !same;
}

static struct presence_row row_of(const struct person *p)
{
	return (struct presence_row){ .jid = p->jid, .show = p->show, .status = p->status, .priority = p->priority };
}

int crowd_of(const struct crowd *c, const char *bare, presence_fn fn, void *userdata)
{
	size_t len = strlen(bare);
	bool there;
	size_t own = place(c, bare, &there);
	int r = 0;

	/* Gateways and the like have no resource. */
	if (there) {
		struct presence_row row = row_of(&c->people[own]);

		r = fn(userdata, &row);
	}
	for (size_t i = first_of(c, bare, len); r >= 0 && belongs(c, i, bare, len); i++) {
		struct presence_row row = row_of(&c->people[i]);

		r = fn(userdata, &row);
	}
	return r < 0 ? r : 0;
}

/* ---- typing ---- */

static size_t typist(const struct crowd *c, const char *conversation, const char *sender)
{
	size_t i = 0;

	while (i < c->n_typing && (strcmp(c->typing[i].sender, sender) != 0 ||
				   strcmp(c->typing[i].conversation, conversation) != 0))
		i++;
	return i;
}

bool crowd_typing(struct crowd *c, const char *conversation, const char *sender, bool composing, uint32_t state,
		  int64_t now_us)
{
	size_t i = typist(c, conversation, sender);

	if (!composing) {
		if (i == c->n_typing)
			return false;
		drop_typist(c, i);
		return true;
	}
	if (i < c->n_typing) {
		c->typing[i].until_us = now_us + CROWD_TYPING_US;
		return false;
	}
	if (c->n_typing == CROWD_TYPING_MAX)
		return false;
	c->typing[c->n_typing++] = (struct typist){
		.conversation = xstrdup(conversation),
		.sender = xstrdup(sender),
		.state = state,
		.until_us = now_us + CROWD_TYPING_US,
	};
	return true;
}

bool crowd_expired(struct crowd *c, int64_t now_us, char **ret_conversation, char **ret_sender)
{
	for (size_t i = 0; i < c->n_typing; i++) {
		if (c->typing[i].until_us > now_us)
			continue;
		*ret_conversation = TAKE_PTR(c->typing[i].conversation);
		*ret_sender = TAKE_PTR(c->typing[i].sender);
		drop_typist(c, i);
		return true;
	}
	return false;
}

int64_t crowd_next(const struct crowd *c)
{
	int64_t next = 0;

	for (size_t i = 0; i < c->n_typing; i++)
		if (next == 0 || c->typing[i].until_us < next)
			next = c->typing[i].until_us;
	return next;
}

int crowd_who_types(const struct crowd *c, typing_fn fn, void *userdata)
{
	int r = 0;

	for (size_t i = 0; i < c->n_typing && r >= 0; i++)
		r = fn(userdata, c->typing[i].conversation, c->typing[i].sender, c->typing[i].state);
	return r < 0 ? r : 0;
}
