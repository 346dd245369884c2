/* Reading every page of the archive's own file, while it is in use. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "store/copy.h"
#include "store/db.h"
#include "vault/vfs.h"

#define LOCK_PAGE (0x40000000 / PAGE_SIZE + 1) /* never written by SQLite */
enum { SCAN_CLOCK_PAGES = 8 };		       /* pages between two looks at the clock: some 50 us here */

struct scan {
	struct store *s;
	sqlite3_file *file; /* the connection's own: a second descriptor would drop its locks when closed */
	uint32_t at, total; /* pages read, pages of the file */
	uint32_t bad, kept;
	uint32_t pages[SCAN_PAGES_MAX];
};

int scan_new(struct store *s, struct scan **ret)
{
	struct scan *x;
	sqlite3_file *file = NULL;
	sqlite3_int64 size = 0;
	int code;

	code = sqlite3_file_control(s->db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
	/* What is only in the log would be judged by an older page below it, perhaps one that a power cut tore. */
	if (code == SQLITE_OK)
		code = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	if (code == SQLITE_OK)
		code = file->pMethods->xFileSize(file, &size);
	if (code != SQLITE_OK)
		return err_origin(db_cause(code));
	x = xnew(struct scan);
	x->s = s;
	x->file = file;
	x->total = (uint32_t)(size / PAGE_SIZE);
	*ret = x;
	return 0;
}

/* 0 also for a page that is bad; -errno if the disk does not answer. */
static int scan_page(struct scan *x, uint32_t pgno)
{
	uint8_t page[PAGE_SIZE];
	int code = x->file->pMethods->xRead(x->file, page, PAGE_SIZE, (sqlite3_int64)(pgno - 1) * PAGE_SIZE);

	if (code == SQLITE_OK)
		return 0;
	if (db_errno(code) != -EBADMSG && code != SQLITE_IOERR_SHORT_READ)
		return err_origin(db_errno(code));
	(void)vfs_damaged_page();
	if (x->kept < SCAN_PAGES_MAX)
		x->pages[x->kept++] = pgno;
	x->bad++;
	return 0;
}

int scan_step(struct scan *x, int64_t budget_us)
{
	int64_t end = clock_boot_us() + budget_us;
	int r;

	while (x->at < x->total) {
		x->at++;
		r = x->at == LOCK_PAGE ? 0 : scan_page(x, x->at);
		if (r < 0)
			return err_trace(r);
		if (x->at % SCAN_CLOCK_PAGES == 0 && clock_boot_us() >= end)
			return x->at < x->total;
	}
	return 0;
}

uint32_t scan_bad(const struct scan *x, uint32_t pages[SCAN_PAGES_MAX], uint32_t *ret_total)
{
	memcpy(pages, x->pages, sizeof(x->pages));
	*ret_total = x->total;
	return x->bad;
}

struct scan *scan_free(struct scan *x)
{
	free(x);
	return NULL;
}
