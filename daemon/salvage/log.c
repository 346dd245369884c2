#include "salvage/log.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "salvage/bytes.h"
#include "salvage/leaf.h"

enum {
	MAGIC = 0x377f0682, /* the lowest bit: checksums are of big-endian words */
	SALTS_AT = 16,	    /* in the header of the log */
	FRAME_SALTS_AT = 8,
	FRAME_CHECKSUM_AT = 16,
};

struct checksum {
	uint32_t a, b;
};

struct wal_log {
	int fd;
	const struct page_keys *keys;
	uint8_t salts[WAL_SALTS];
	bool big_endian, salts_known;
	struct checksum sum; /* up to the last frame looked at */
	bool sum_known;	     /* that frame authenticated */
	uint32_t *good;	     /* frame numbers, from 1 */
	uint32_t n_good, n_committed, pages;
	uint32_t bad, bad_committed, last_commit;
	struct wal_counts counts;
};

static uint32_t word(const uint8_t *p, bool big_endian)
{
	return big_endian ? leaf_u32(p) : (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* Section 4.2 of the format. */
static struct checksum checksum(struct checksum c, const uint8_t *p, size_t len, bool big_endian)
{
	for (size_t i = 0; i < len; i += 8) {
		c.a += word(p + i, big_endian) + c.b;
		c.b += word(p + i + 4, big_endian) + c.a;
	}
	return c;
}

static struct checksum stored(const uint8_t *p)
{
	return (struct checksum){ leaf_u32(p), leaf_u32(p + 4) };
}

static bool same(struct checksum x, struct checksum y)
{
	return x.a == y.a && x.b == y.b;
}

static void take_header(struct wal_log *l, const uint8_t head[WAL_HEADER])
{
	struct checksum c = { 0 };

	l->big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
	l->counts.header_lost = true;
	if ((leaf_u32(head) & ~1U) != MAGIC)
		return;
	c = checksum(c, head, SALTS_AT + WAL_SALTS, head[3] & 1);
	if (!same(c, stored(head + SALTS_AT + WAL_SALTS)))
		return;
	l->counts.header_lost = false;
	l->big_endian = head[3] & 1;
	memcpy(l->salts, head + SALTS_AT, WAL_SALTS);
	l->salts_known = true;
	l->sum = c;
	l->sum_known = true;
}

/* 0, an outcome of frame_open(), or -errno. Without a header the first frame that opens says what the salts were. */
static int open_frame(struct wal_log *l, uint32_t number, uint8_t frame[FRAME_SIZE])
{
	uint8_t sealed[FRAME_SIZE];
	int r = bytes_read(l->fd, sealed, FRAME_SIZE, WAL_HEADER + (int64_t)(number - 1) * FRAME_SIZE);

	if (r != 0)
		return r < 0 ? r : PAGE_E_FORGED;
	r = frame_open(l->keys, l->salts_known ? l->salts : sealed + FRAME_SALTS_AT, number, sealed, frame);
	if (r == 0 && !l->salts_known) {
		memcpy(l->salts, sealed + FRAME_SALTS_AT, WAL_SALTS);
		l->salts_known = true;
	}
	return r;
}

/* False where the log ends. */
static bool take_frame(struct wal_log *l, uint32_t number, const uint8_t frame[FRAME_SIZE])
{
	struct checksum c;

	if (l->sum_known) {
		c = checksum(l->sum, frame, 8, l->big_endian);
		c = checksum(c, frame + FRAME_HEADER, PAGE_SIZE, l->big_endian);
		if (!same(c, stored(frame + FRAME_CHECKSUM_AT)))
			return false;
	}
	l->sum = stored(frame + FRAME_CHECKSUM_AT);
	l->sum_known = true;
	l->good[l->n_good++] = number;
	if (leaf_u32(frame + 4) > 0) {
		l->pages = leaf_u32(frame + 4);
		l->n_committed = l->n_good;
		l->bad_committed = l->bad;
		l->last_commit = number;
	}
	return true;
}

static int read_all(struct wal_log *l)
{
	uint8_t frame[FRAME_SIZE];
	int r;

	for (uint32_t number = 1; number <= l->counts.frames; number++) {
		r = open_frame(l, number, frame);
		if (r < 0)
			return err_trace(r);
		if (r > 0) {
			l->bad++;
			l->sum_known = false;
			continue;
		}
		if (!take_frame(l, number, frame))
			break;
	}
	l->counts.good = l->n_committed;
	l->counts.bad = l->bad_committed;
	l->counts.unfinished = l->counts.frames - l->last_commit;
	return 0;
}

int wal_log_new(int fd, const struct page_keys *keys, struct wal_log **ret)
{
	_cleanup_(wal_log_freep) struct wal_log *l = xnew(struct wal_log);
	uint8_t head[WAL_HEADER];
	struct stat st;
	int r;

	l->fd = fd;
	l->keys = keys;
	if (fstat(fd, &st) < 0)
		return err_origin(-errno);
	if (st.st_size >= WAL_HEADER) {
		/* A frame that was cut off at the end counts, too. */
		l->counts.frames = (uint32_t)((st.st_size - WAL_HEADER + FRAME_SIZE - 1) / FRAME_SIZE);
		r = bytes_read(fd, head, WAL_HEADER, 0);
		if (r < 0)
			return err_trace(r);
		if (r == 0)
			take_header(l, head);
	}
	l->good = xnewn(uint32_t, l->counts.frames + 1);
	r = read_all(l);
	if (r < 0)
		return err_trace(r);
	*ret = TAKE_PTR(l);
	return 0;
}

struct wal_counts wal_log_counts(const struct wal_log *l)
{
	return l->counts;
}

uint32_t wal_log_pages(const struct wal_log *l)
{
	return l->pages;
}

int wal_log_read(const struct wal_log *l, uint32_t i, uint32_t *ret_pgno, uint8_t page[PAGE_SIZE])
{
	uint8_t sealed[FRAME_SIZE], frame[FRAME_SIZE];
	int r;

	r = bytes_read(l->fd, sealed, FRAME_SIZE, WAL_HEADER + (int64_t)(l->good[i] - 1) * FRAME_SIZE);
	if (r == 0)
		r = frame_open(l->keys, l->salts, l->good[i], sealed, frame);
	if (r != 0)
		return err_origin(r < 0 ? r : -EIO); /* it was good a moment ago */
	*ret_pgno = leaf_u32(frame);
	memcpy(page, frame + FRAME_HEADER, PAGE_SIZE);
	return 0;
}

struct wal_log *wal_log_free(struct wal_log *l)
{
	if (l) {
		free(l->good);
		free(l);
	}
	return NULL;
}
