/*
 * The slots of the archive's keys, as Keyring.ListSlots tells them: what can open it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

struct ctl;
struct json;

/* Words of the bus for `type`. */
#define SLOT_KEYFILE "keyfile"
#define SLOT_PASSPHRASE "passphrase"
#define SLOT_CREDENTIAL "credential"
#define SLOT_RECOVERY "recovery"

struct slot {
	uint32_t id;
	char *type, *label, *path; /* "" when there is none */
	int64_t created_us;
	char *problem; /* why it does not open the archive now, as a key file that is gone; "" when it does */
};

struct slots {
	struct slot *slot; /* in the order of the daemon */
	size_t n;
};

/* EXIT_OK, or the exit code after having said what is wrong. */
int slots_get(struct ctl *c, struct slots *ret);
void slots_deinit(struct slots *s);
/* How many are of this type. */
size_t slots_count(const struct slots *s, const char *type);
/* One of them opens the archive, now, without anybody typing anything. */
bool slots_automatic(const struct slots *s);

/* The word of `keys add` for a type, in the table and in JSON: "key-file" for "keyfile"; and back, NULL for none. */
const char *slot_word(const char *type);
const char *slot_type(const char *word);
/* An object: what `keys list` tells of it. */
void slot_json(struct json *j, const struct slot *s);
/* For a sentence: "the key file /a/b", "the passphrase \"phone\"". The caller frees; not clean. */
char *slot_describe(const struct slot *s);
/* Those that ${take} is true for (NULL: all), as "A, B${last}C" (${last}: " or ", " and "); NULL if there is none. */
typedef bool (*slot_take_fn)(const struct slot *s, const void *userdata);
char *slots_describe(const struct slots *s, const char *last, slot_take_fn take, const void *userdata);
