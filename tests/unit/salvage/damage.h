/*
 * What the suites of salvage/ share: an archive made by the real store with messages of all shapes, what SQL says about
 * it, a copy of its files to damage, and what salvage gets back.
 */
#pragma once

#include "../store/fixture.h"

#include "salvage/carve.h"
#include "salvage/image.h"

/* One message, as SQL or as salvage has it. */
struct row {
	int64_t id, mod, direction, time_us;
	char *account, *conversation, *sender, *body; /* body: NULL if there is none */
	bool complete;
	bool on_disk;	  /* SQL: its own page was not damaged */
	bool tail_damaged; /* SQL: one of its overflow pages was */
};

struct rows {
	struct row *list;
	size_t n;
};

/* ${n} messages between us and two others, with overflow pages, emoji, no body, corrections and retractions. */
void fill(struct fx *fx, size_t n);
/* By SQL, in the order of ids. */
struct rows rows_of(sqlite3 *db);
void rows_deinit(struct rows *r);

/* The pages of a table's tree by SQLite's own account: ${type} "leaf", "internal", "overflow". */
struct pages {
	uint32_t *list;
	size_t n;
};
struct pages pages_of(struct fx *fx, const char *table, const char *type);
void pages_deinit(struct pages *p);

/* Database and log of ${fx}, as they would be found after a power cut now. */
struct files {
	char db[96], log[96], image[96];
};
void copy_files(struct fx *fx, struct files *ret);
void remove_files(const struct files *f);
/* Turn over a bit of byte ${at}. */
void flip(const char *path, int64_t at);
void flip_page(const struct files *f, uint32_t pgno);

struct got {
	struct rows rows;
	struct image_counts counts;
	struct carve_result result;
};
/* Salvage ${f} with the keys of ${fx}; the image stays in f->image. */
struct got salvage(struct fx *fx, const struct files *f);
void got_deinit(struct got *g);

/*
 * Mark in ${sql} what the damage of ${bad} hits. Which row is on which page is taken from the number of cells that
 * SQLite's dbstat gives for each leaf, in the order of the tree, and not from the code under test.
 */
void mark_damage(struct fx *fx, struct rows *sql, const uint32_t *bad, size_t n_bad);
/* ${g} has exactly the rows of ${sql} that are on_disk, in the same state; those whose tail is damaged are incomplete
 * and begin as they should. */
void assert_salvaged(const struct got *g, const struct rows *sql);
/* The number of messages that plain SQLite counts in the image; -1 when it says that the image is damaged. */
int64_t count_in_image(const struct files *f);
