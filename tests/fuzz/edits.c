#include "edits.h"

#include <string.h>

enum { EDIT = 7, EDITS_MAX = 64 };
enum edit { XOR, ZERO, COPY_FRAME, COPY_SECTOR, CUT, EDIT_KINDS };

enum { FRAME = 4120, WAL_HEAD = 32, SECTOR = 512 };

static void copy(uint8_t *file, size_t size, size_t to, size_t from, size_t len)
{
	if (to + len <= size && from + len <= size)
		memmove(file + to, file + from, len);
}

size_t edits_apply(const uint8_t *input, size_t input_size, uint8_t *file, size_t size)
{
	for (size_t n = 0; n < EDITS_MAX && input_size >= EDIT && size > 0; n++, input += EDIT, input_size -= EDIT) {
		uint32_t wide = (uint32_t)input[1] | (uint32_t)input[2] << 8 | (uint32_t)input[3] << 16 |
				(uint32_t)input[4] << 24;
		size_t at = wide % size, arg = (size_t)(input[5] | input[6] << 8);

		switch ((enum edit)(input[0] % EDIT_KINDS)) {
		case XOR:
			file[at] ^= input[5];
			break;
		case ZERO:
			memset(file + at, 0, arg < size - at ? arg : size - at);
			break;
		case COPY_FRAME:
			copy(file, size, WAL_HEAD + wide % 64 * FRAME, WAL_HEAD + arg % 64 * FRAME, FRAME);
			break;
		case COPY_SECTOR:
			copy(file, size, at / SECTOR * SECTOR, arg * SECTOR % size, SECTOR);
			break;
		case CUT:
			size = at;
			break;
		case EDIT_KINDS:
			break;
		}
	}
	return size;
}
