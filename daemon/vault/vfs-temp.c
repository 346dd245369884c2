/*
 * Temporary files: sorters, statement journals, temporary databases and their journals. Any byte range is read and
 * written, so the file is a row of sealed blocks under a key that dies with the handle, with one block in clear in
 * memory, written back when another one is needed. There is no recovery: a block that does not open is an error.
 */
#include <string.h>

#include "base/log.h"
#include "vault/vfs-priv.h"

static int64_t sealed_at(uint64_t index)
{
	return (int64_t)index * BLOCK_SEALED;
}

static int write_block(struct vfs_file *f, uint64_t index, const uint8_t *plain)
{
	struct vfs_temp_state *t = &f->temp;
	int rc;

	block_seal(t->key, index, plain, t->sealed);
	rc = vfs_lower_write(f, t->sealed, BLOCK_SEALED, sealed_at(index));
	if (rc == SQLITE_OK && t->blocks <= index)
		t->blocks = index + 1;
	return rc;
}

static int flush(struct vfs_file *f)
{
	struct vfs_temp_state *t = &f->temp;
	int rc;

	if (!t->cached || !t->dirty)
		return SQLITE_OK;
	rc = write_block(f, t->index, t->plain);
	if (rc == SQLITE_OK)
		t->dirty = false;
	return rc;
}

/* Blocks between the end and ${index} that were skipped are zeros, sealed: so a block of the disk's zeros is none. */
static int fill_up_to(struct vfs_file *f, uint64_t index)
{
	static const uint8_t zero[BLOCK_SIZE];
	int rc = SQLITE_OK;

	while (rc == SQLITE_OK && f->temp.blocks < index)
		rc = write_block(f, f->temp.blocks, zero);
	return rc;
}

/* Block ${index} into the cache. ${whole}: it will be overwritten at once. */
static int load(struct vfs_file *f, uint64_t index, bool whole)
{
	struct vfs_temp_state *t = &f->temp;
	int rc;

	if (t->cached && t->index == index)
		return SQLITE_OK;
	rc = flush(f);
	if (rc == SQLITE_OK)
		rc = fill_up_to(f, index);
	if (rc != SQLITE_OK)
		return rc;
	t->cached = t->dirty = false;
	if (index >= t->blocks) {
		memset(t->plain, 0, BLOCK_SIZE);
	} else if (!whole) {
		rc = vfs_lower_read(f, t->sealed, BLOCK_SEALED, sealed_at(index));
		if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ)
			return rc;
		if (block_open(t->key, index, t->sealed, t->plain) != 0) {
			log_error("a temporary file was changed by someone else");
			return SQLITE_IOERR_DATA;
		}
	}
	t->cached = true;
	t->index = index;
	return SQLITE_OK;
}

static int temp_read(struct vfs_file *f, void *buf, int amt, int64_t off)
{
	struct vfs_temp_state *t = &f->temp;
	uint8_t *p = buf;
	int64_t end = off + amt;

	if (amt <= 0 || off < 0)
		return vfs_refuse(f, "read", amt, off);
	if (end > t->size)
		end = t->size;
	while (off < end) {
		size_t at = (size_t)(off % BLOCK_SIZE), n = BLOCK_SIZE - at;
		int rc = load(f, (uint64_t)(off / BLOCK_SIZE), false);

		if (rc != SQLITE_OK)
			return rc;
		if ((int64_t)n > end - off)
			n = (size_t)(end - off);
		memcpy(p, t->plain + at, n);
		p += n;
		off += (int64_t)n;
	}
	if (p == (uint8_t *)buf + amt)
		return SQLITE_OK;
	memset(p, 0, (size_t)((uint8_t *)buf + amt - p));
	return SQLITE_IOERR_SHORT_READ;
}

static int temp_write(struct vfs_file *f, const void *buf, int amt, int64_t off)
{
	struct vfs_temp_state *t = &f->temp;
	const uint8_t *p = buf;

	if (amt <= 0 || off < 0)
		return vfs_refuse(f, "write", amt, off);
	while (amt > 0) {
		size_t at = (size_t)(off % BLOCK_SIZE), n = BLOCK_SIZE - at;
		int rc;

		if (n > (size_t)amt)
			n = (size_t)amt;
		rc = load(f, (uint64_t)(off / BLOCK_SIZE), n == BLOCK_SIZE);
		if (rc != SQLITE_OK)
			return rc;
		memcpy(t->plain + at, p, n);
		t->dirty = true;
		p += n;
		amt -= (int)n;
		off += (int64_t)n;
		if (t->size < off)
			t->size = off;
	}
	return SQLITE_OK;
}

static int temp_truncate(struct vfs_file *f, int64_t size)
{
	struct vfs_temp_state *t = &f->temp;
	uint64_t keep = (uint64_t)(size + BLOCK_SIZE - 1) / BLOCK_SIZE;
	size_t tail = (size_t)(size % BLOCK_SIZE);
	int rc;

	if (size >= t->size) {
		/* Longer: the skipped bytes are zeros, as everything behind the end in a block always is. */
		t->size = size;
		return SQLITE_OK;
	}
	if (tail) {
		rc = load(f, keep - 1, false);
		if (rc != SQLITE_OK)
			return rc;
		memset(t->plain + tail, 0, BLOCK_SIZE - tail);
		t->dirty = true;
	}
	if (t->cached && t->index >= keep)
		t->cached = t->dirty = false;
	t->size = size;
	if (t->blocks <= keep)
		return SQLITE_OK;
	t->blocks = keep;
	return vfs_lower_truncate(f, sealed_at(keep));
}

static int temp_size(struct vfs_file *f, int64_t *ret)
{
	*ret = f->temp.size;
	return SQLITE_OK;
}

const struct vfs_kind vfs_temp = { "temporary file", temp_read, temp_write, temp_truncate, temp_size, flush };
