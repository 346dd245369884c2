#include "core/message.h"

#include <stddef.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

#define STR_OFFSET_STR(name) offsetof(struct message, name),
#define STR_OFFSET_U32(name)
#define STR_OFFSET_U64(name)
#define STR_OFFSET_I64(name)
#define STR_OFFSET_BOOL(name)
#define STR_OFFSET(type, name, max) STR_OFFSET_##type(name)

static const size_t str_offsets[] = { MESSAGE_FIELDS(STR_OFFSET) };

static const char **str_at(struct message *m, size_t i)
{
	return (const char **)(void *)((char *)m + str_offsets[i]);
}

void message_init(struct message *m)
{
	*m = (struct message){ 0 };
	for (size_t i = 0; i < ARRAY_SIZE(str_offsets); i++)
		*str_at(m, i) = "";
}

size_t message_size(const struct message *m)
{
	struct message local = *m;
	size_t total = sizeof(*m);

	for (size_t i = 0; i < ARRAY_SIZE(str_offsets); i++)
		total += strlen(*str_at(&local, i)) + 1;
	return total;
}

struct message *message_copy(const struct message *m)
{
	struct message local = *m;
	struct message *c = xcalloc(1, message_size(m));
	char *at;

	*c = local;
	at = (char *)(c + 1);
	for (size_t i = 0; i < ARRAY_SIZE(str_offsets); i++) {
		size_t len = strlen(*str_at(&local, i)) + 1;

		memcpy(at, *str_at(&local, i), len);
		*str_at(c, i) = at;
		at += len;
	}
	return c;
}

static uint64_t hash_str(uint64_t h, const char *s)
{
	/* The terminating NUL is hashed too, so that ("ab","c") and ("a","bc") differ. */
	return hash_bytes(h, s, strlen(s) + 1);
}

uint64_t message_hash(const struct message *m)
{
	uint64_t h = (HASH_BEGIN ^ m->payload) * HASH_PRIME;

	h = hash_str(h, m->body);
	h = hash_str(h, m->replace_id);
	h = hash_str(h, m->reply_id);
	h = hash_str(h, m->target_id);
	h = hash_str(h, m->text);
	h = hash_str(h, m->encryption);
	h = hash_str(h, m->error);
	return h;
}

uint64_t message_hash_whole(const struct message *m)
{
	return hash_str(hash_str(hash_str(message_hash(m), m->from), m->id), m->origin_id);
}
