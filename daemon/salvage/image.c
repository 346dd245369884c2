#include "salvage/image.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "salvage/bytes.h"
#include "salvage/leaf.h"
#include "salvage/root.h"

enum {
	LOCK_PAGE = 0x40000000 / PAGE_SIZE + 1, /* fileformat2.html section 1.4 */
	/* Fields of page 1 (section 1.3). */
	AT_WRITE_VERSION = 18,
	AT_READ_VERSION = 19,
	AT_CHANGES = 24,
	AT_PAGES = 28,
	AT_VALID_FOR = 92,
};

struct image {
	int out_fd;
	const struct page_keys *keys;
	uint8_t *has; /* a bit a page */
	size_t has_bytes;
	uint32_t file_pages;
	struct image_counts counts;
};

bool image_is_lock_page(uint32_t pgno)
{
	return pgno == LOCK_PAGE;
}

static void set_has(struct image *im, uint32_t pgno)
{
	size_t need = pgno / 8 + 1, bytes;

	if (need > im->has_bytes) {
		bytes = need + need / 2 + 64;
		im->has = xrealloc(im->has, bytes, 1);
		memset(im->has + im->has_bytes, 0, bytes - im->has_bytes);
		im->has_bytes = bytes;
	}
	im->has[pgno / 8] |= (uint8_t)(1 << pgno % 8);
}

bool image_has(const struct image *im, uint32_t pgno)
{
	return pgno > 0 && pgno / 8 < im->has_bytes && im->has[pgno / 8] >> pgno % 8 & 1;
}

int image_read(const struct image *im, uint32_t pgno, uint8_t page[PAGE_SIZE])
{
	int r;

	if (!image_has(im, pgno))
		return -ENODATA;
	r = bytes_read(im->out_fd, page, PAGE_SIZE, (int64_t)(pgno - 1) * PAGE_SIZE);
	return r > 0 ? err_origin(-EIO) : r;
}

static int put(struct image *im, uint32_t pgno, const uint8_t page[PAGE_SIZE])
{
	int r = bytes_write(im->out_fd, page, PAGE_SIZE, (int64_t)(pgno - 1) * PAGE_SIZE);

	if (r < 0)
		return err_trace(r);
	set_has(im, pgno);
	return 0;
}

static int from_file(struct image *im, int fd)
{
	uint8_t sealed[PAGE_SIZE], page[PAGE_SIZE];
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return err_origin(-errno);
	if (st.st_size / PAGE_SIZE >= UINT32_MAX - 1)
		return err_origin(-EFBIG);
	im->file_pages = (uint32_t)((st.st_size + PAGE_SIZE - 1) / PAGE_SIZE);
	for (uint32_t pgno = 1; pgno <= im->file_pages; pgno++) {
		r = bytes_read(fd, sealed, PAGE_SIZE, (int64_t)(pgno - 1) * PAGE_SIZE);
		if (r < 0)
			return err_trace(r);
		r = page_open(im->keys, pgno, sealed, page);
		im->counts.format += r == PAGE_E_FORMAT;
		if (r == 0)
			r = put(im, pgno, page);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

static int from_log(struct image *im, const struct wal_log *l)
{
	uint8_t page[PAGE_SIZE];
	uint32_t pgno;
	int r;

	for (uint32_t i = 0; i < im->counts.log.good; i++) {
		r = wal_log_read(l, i, &pgno, page);
		if (r < 0)
			return err_trace(r);
		/* Beyond the end: a later transaction made the database smaller. */
		if (pgno == 0 || pgno > wal_log_pages(l))
			continue;
		r = put(im, pgno, page);
		if (r < 0)
			return err_trace(r);
		im->counts.from_log++;
	}
	return 0;
}

/* How many pages there ought to be: the last commit says so, else page 1, else the size of the file. */
static int find_size(struct image *im, uint32_t log_pages)
{
	uint8_t page[PAGE_SIZE];
	int r = image_read(im, 1, page);

	im->counts.pages = im->file_pages;
	if (log_pages > 0)
		im->counts.pages = log_pages;
	else if (r == 0 && leaf_u32(page + AT_PAGES) > 0 && leaf_u32(page + AT_CHANGES) == leaf_u32(page + AT_VALID_FOR))
		im->counts.pages = leaf_u32(page + AT_PAGES);
	return r == -ENODATA ? 0 : r;
}

static void count(struct image *im)
{
	struct image_counts *c = &im->counts;

	for (uint32_t pgno = 1; pgno <= c->pages; pgno++) {
		if (image_has(im, pgno) || image_is_lock_page(pgno))
			c->good++;
		else if (pgno > im->file_pages)
			c->missing++;
		else
			c->bad++;
	}
}

static void put_u32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* Page 1 as any SQLite takes it: a rollback journal instead of a log that is not there, and the size as it is. */
static int mend_first(struct image *im)
{
	uint8_t page[PAGE_SIZE];
	int r = image_read(im, 1, page);

	if (r == -ENODATA) {
		im->counts.header_made = true;
		r = root_make(im, page);
	}
	if (r < 0)
		return err_trace(r);
	page[AT_WRITE_VERSION] = page[AT_READ_VERSION] = 1;
	put_u32(page + AT_PAGES, im->counts.pages);
	memcpy(page + AT_VALID_FOR, page + AT_CHANGES, 4);
	r = bytes_write(im->out_fd, page, PAGE_SIZE, 0);
	if (r == 0 && ftruncate(im->out_fd, (int64_t)im->counts.pages * PAGE_SIZE) < 0)
		r = err_origin(-errno);
	return r < 0 ? err_trace(r) : 0;
}

int image_new(int db_fd, int log_fd, const struct page_keys *keys, int out_fd, struct image **ret)
{
	_cleanup_(image_freep) struct image *im = xnew(struct image);
	_cleanup_(wal_log_freep) struct wal_log *l = NULL;
	int r;

	im->out_fd = out_fd;
	im->keys = keys;
	r = from_file(im, db_fd);
	if (r == 0 && log_fd >= 0)
		r = wal_log_new(log_fd, keys, &l);
	if (r == 0 && l) {
		im->counts.log = wal_log_counts(l);
		r = from_log(im, l);
	}
	if (r == 0)
		r = find_size(im, l ? wal_log_pages(l) : 0);
	if (r < 0)
		return err_trace(r);
	count(im);
	if (im->counts.pages > 0) {
		r = mend_first(im);
		if (r < 0)
			return err_trace(r);
	}
	*ret = TAKE_PTR(im);
	return 0;
}

struct image_counts image_counts(const struct image *im)
{
	return im->counts;
}

struct image *image_free(struct image *im)
{
	if (im) {
		free(im->has);
		free(im);
	}
	return NULL;
}
