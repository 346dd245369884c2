/* The last step of a rotation: the store goes on in another file. */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/step.h"
#include "store/copy.h"
#include "store/db.h"
#include "store/feed.h"
#include "store/ids.h"
#include "store/leftover.h"
#include "store/search.h"

static void swap_files(struct store *a, struct store *b)
{
	struct store was = *a;

	a->db = b->db;
	a->path = b->path;
	a->keys = b->keys;
	b->db = was.db;
	b->path = was.path;
	b->keys = was.keys;
	a->tokenizer = b->tokenizer;
	b->tokenizer = was.tokenizer;
	memcpy(b->stmts, was.stmts, sizeof(b->stmts));
	memset(a->stmts, 0, sizeof(a->stmts));
}

int store_adopt(struct store *s, const char *path, const struct page_keys *keys)
{
	struct store next = { .path = xstrdup(path), .keys = keys, .plain = s->plain };
	const char *what = "";
	int r;

	search_let_go(s);
	r = s->in_tx ? -EBUSY : db_open(&next, false, &what);
	if (r == 0 && sqlite3_db_config(next.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL) != SQLITE_OK)
		r = -EIO;
	if (r == 0)
		swap_files(s, &next);
	feed_forget(s);
	ids_forget(s);
	store_forget(s);
	/* The one that is not used any more: after success the old file, whose log nobody needs in it. */
	if (next.db || r != 0)
		db_close(&next, true);
	free(next.path);
	if (r > 0) {
		log_error("the SQLite library did not accept %s a second time", what);
		r = -EIO;
	}
	if (r < 0)
		return err_origin(r);
	db_note_files(s);
	s->frozen = false;
	s->log_seen = 0;
	step("store.adopt");
	/* It knows its predecessor by name: store/leftover.h. */
	r = leftover_clean(s);
	return r < 0 ? err_trace(r) : 0;
}
