/*
 * What all suites of store/ share: a store in a directory of its own with one account, messages in one line, and the
 * archive's content as one string.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/message.h"
#include "store/account.h"
#include "store/archive.h"
#include "store/db.h"
#include "store/read.h"
#include "store/store.h"
#include "vault/vault.h"

#define OWN "alice@a.example"
#define BOB "bob@b.example"
#define CAROL "carol@c.example"
#define T0 INT64_C(1700000000000000) /* a stamp, us */
#define SEC INT64_C(1000000)
#define DAY (INT64_C(86400) * SEC)

#define TEST(name) static void name(void **state)
#define RUN(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)

#define BEGIN(fx) assert_int_equal(store_begin((fx)->s), 0)
#define COMMIT(fx) assert_int_equal(store_commit((fx)->s), 0)
/* An outcome of one call in a transaction of its own. */
#define IN_TX(fx, call)                             \
	({                                          \
		int in_tx_r;                        \
		BEGIN(fx);                          \
		in_tx_r = (call);                   \
		COMMIT(fx);                         \
		in_tx_r;                            \
	})

struct fx {
	char dir[64]; /* key files are in "${dir}-config" */
	struct vault *v;
	struct store *s;
	int64_t account, archive;
	int64_t now; /* the local clock */
};

int fx_setup(void **state);
int fx_teardown(void **state);
void fx_close(struct fx *fx);
/* Close and open again, as after a restart. */
void fx_reopen(struct fx *fx);
/* Instead of it, an archive of varve 0.1 in the same directory: plain, with its marker; made if it is not there. */
void fx_open_plain(struct fx *fx);
/* The open file becomes one of schema version 2, by hand. */
void fx_undo_v3(struct fx *fx);
/* A file of its directory; the caller frees. */
char *path_of(const struct fx *fx, const char *name);
void write_file(const char *path, const void *data, size_t len);
/* -1 if there is none. */
int64_t file_size(const char *path);
/* A file, any file of a directory, contains these bytes. */
bool file_has(const char *path, const char *text);
bool tree_has(const char *dir, const char *text);
/* One bit of page ${page} of a file that nobody has open. */
void spoil(const char *path, uint32_t page);
/* This program again as "test ${command} ${dir}", dying at step ${kill_at} (0: never): its exit code or RUN_KILLED. */
enum { RUN_KILLED = 1000 };
int run_self(const char *command, const char *dir, int kill_at);
/* SQLite finds the trees sound. */
bool fx_sound(struct fx *fx);
/* The one number that ${text} asks for. */
int64_t sql(struct fx *fx, const char *text);
/* A second account and its own archive. */
int64_t fx_account(struct fx *fx, const char *jid, int64_t *ret_archive);
/* Remove a directory with what is in it, and its configuration. */
void remove_tree(const char *dir);
char *config_of(const char *dir);
/* store_find() and store_open(): their outcomes. */
int try_open(const char *dir, struct vault **ret_vault, struct store **ret, char **ret_why);
/* The same, and closed again: what run_self() has to do for "open". */
int open_once(const char *dir);
/* Opening fails with ${want}, and the sentence names the path and contains ${word}. */
void assert_outcome(const char *dir, int want, const char *word);

/* A text from Bob, from us to Bob, from ${from}. ${stamp}: seconds after T0 of the archive, with ${aid}. */
struct message text_in(const char *id, const char *body);
struct message text_out(const char *id, const char *body);
struct message text_from(const char *from, const char *id, const char *body);
struct message archived(struct message m, const char *aid, int64_t stamp_s);
/* A reference from Bob (or from us) to ${target}. */
struct message ref_in(enum message_payload payload, const char *target);
struct message ref_out(enum message_payload payload, const char *target);
struct message with_aid(struct message m, const char *aid);

struct put_outcome put_live(struct fx *fx, struct message m, bool extends);
/* A page between two archive ids; the outcome of item i goes to out[i] if not NULL. */
void put_page(struct fx *fx, const struct message *items, size_t n, const char *below, const char *above,
	      struct put_outcome *out);
#define PAGE(fx, below, above, ...)                                                                      \
	do {                                                                                             \
		const struct message page_items[] = { __VA_ARGS__ };                                     \
		put_page(fx, page_items, ARRAY_SIZE(page_items), below, above, NULL);                    \
	} while (0)
/* Coverage: ${spec} is a list like "a-c d-f*": spans by first and last id; '^' start, '*' live, '!' lost. */
void put_cover(struct fx *fx, const char *spec);

/* Bodies of a conversation ("" = all) oldest first, separated by spaces; stays valid until the next call. */
const char *bodies(struct fx *fx, const char *conversation);
uint64_t count_messages(struct fx *fx);
/* One row by its body (the oldest that has it). */
struct message_row row_of(struct fx *fx, const char *body);
struct conversation_row conv_of(struct fx *fx, const char *jid);
uint64_t seq_of(struct fx *fx);
