#include "salvage/leaf.h"

enum {
	TABLE_LEAF = 0x0d,
	HEADER_BYTES = 8,	/* of a leaf page */
	FILE_HEADER = 100,	/* on page 1 before that */
	LOCAL_MAX = PAGE_BODY - 35, /* section 1.6: a record up to this long has no overflow page */
	LOCAL_MIN = (PAGE_BODY - 12) * 32 / 255 - 23,
};

static uint32_t leaf_u16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

uint32_t leaf_u32(const uint8_t *p)
{
	return leaf_u16(p) << 16 | leaf_u16(p + 2);
}

/* Bytes of the varint at ${p}, 0 if it runs over ${end}. */
static size_t varint(const uint8_t *p, const uint8_t *end, uint64_t *ret)
{
	uint64_t v = 0;

	for (size_t n = 0; n < 9 && p + n < end; n++) {
		if (n == 8) {
			*ret = v << 8 | p[n];
			return 9;
		}
		v = v << 7 | (p[n] & 0x7f);
		if (!(p[n] & 0x80)) {
			*ret = v;
			return n + 1;
		}
	}
	return 0;
}

static size_t header_at(uint32_t pgno)
{
	return pgno == 1 ? FILE_HEADER : 0;
}

size_t leaf_count(const uint8_t page[PAGE_SIZE], uint32_t pgno)
{
	size_t at = header_at(pgno), n;

	if (page[at] != TABLE_LEAF)
		return 0;
	n = leaf_u16(page + at + 3);
	return at + HEADER_BYTES + 2 * n <= PAGE_BODY ? n : 0;
}

bool leaf_cell(const uint8_t page[PAGE_SIZE], uint32_t pgno, size_t i, struct leaf_cell *ret)
{
	const uint8_t *end = page + PAGE_BODY, *p;
	size_t at = header_at(pgno), n = leaf_count(page, pgno), start, used, surplus;
	uint64_t total, rowid;

	if (i >= n)
		return false;
	start = leaf_u16(page + at + HEADER_BYTES + 2 * i);
	if (start < at + HEADER_BYTES + 2 * n || start >= PAGE_BODY)
		return false;
	p = page + start;
	used = varint(p, end, &total);
	if (used == 0 || total == 0 || total > LEAF_RECORD_MAX)
		return false;
	p += used;
	used = varint(p, end, &rowid);
	if (used == 0)
		return false;
	p += used;
	*ret = (struct leaf_cell){ .rowid = (int64_t)rowid, .data = p, .here = total, .total = total };
	if (total > LOCAL_MAX) {
		surplus = LOCAL_MIN + (total - LOCAL_MIN) % LEAF_OVERFLOW_BYTES;
		ret->here = surplus <= LOCAL_MAX ? surplus : LOCAL_MIN;
	}
	if ((size_t)(end - p) < ret->here + (total > LOCAL_MAX ? 4 : 0))
		return false;
	if (total > LOCAL_MAX)
		ret->overflow = leaf_u32(p + ret->here);
	return true;
}

/* Bytes of a value by its serial type (section 2.1); false for the two that are reserved. */
static bool serial_size(uint64_t serial, uint64_t *ret)
{
	static const uint8_t fixed[] = { 0, 1, 2, 3, 4, 6, 8, 8, 0, 0 };

	if (serial == 10 || serial == 11)
		return false;
	*ret = serial < 10 ? fixed[serial] : (serial - 12) / 2;
	return true;
}

static int64_t integer(const uint8_t *p, size_t n)
{
	uint64_t v = p[0] & 0x80 ? UINT64_MAX : 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return (int64_t)v;
}

static struct leaf_value value(uint64_t serial, const uint8_t *p, size_t size, size_t have)
{
	struct leaf_value v = { .data = p, .len = size < have ? size : have, .cut = have < size };

	if (serial >= 12)
		v.type = serial & 1 ? LEAF_TEXT : LEAF_BLOB;
	else if (serial == 0 || v.cut) /* half a number is none */
		v.type = LEAF_NULL;
	else if (serial == 7)
		v.type = LEAF_FLOAT;
	else
		v.type = LEAF_INT;
	if (v.type == LEAF_INT)
		v.i = serial >= 8 ? (int64_t)serial - 8 : integer(p, size);
	return v;
}

size_t leaf_record(const uint8_t *data, size_t have, size_t total, struct leaf_value ret[LEAF_COLUMNS_MAX])
{
	uint64_t head, serial, size, body;
	const uint8_t *p, *end;
	size_t used, n = 0;

	if (have > total)
		return 0;
	used = varint(data, data + have, &head);
	if (used == 0 || head < used || head > have)
		return 0;
	p = data + used;
	end = data + head;
	body = head;
	while (p < end) {
		used = varint(p, end, &serial);
		if (used == 0 || n == LEAF_COLUMNS_MAX || !serial_size(serial, &size) || size > total - body)
			return 0;
		p += used;
		ret[n++] = value(serial, data + (body < have ? body : have), size, body < have ? have - body : 0);
		body += size;
	}
	return body == total ? n : 0;
}
