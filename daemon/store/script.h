/*
 * What kind of text a character belongs to, for the tokenizer. Ranges from the Unicode 15.0 block and emoji charts.
 * Private to store/.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum script {
	SCRIPT_WORD,  /* unicode61 decides: letter, digit or space between words */
	SCRIPT_RUN,   /* written without spaces between words */
	SCRIPT_EMOJI, /* a picture or a symbol: a token of its own */
	SCRIPT_BLANK, /* joins, selects or breaks lines, and is not seen: never separates a run */
	SCRIPT_BAD,   /* not UTF-8 */
};

enum {
	CHAR_ZWJ = 0x200d,
	CHAR_REGIONAL_A = 0x1f1e6, /* flags are two of these */
	CHAR_REGIONAL_Z = 0x1f1ff,
	CHAR_TONE_FIRST = 0x1f3fb, /* skin tones */
	CHAR_TONE_LAST = 0x1f3ff,
	CHAR_TAG_FIRST = 0xe0020, /* flags of regions: a black flag and tags */
	CHAR_TAG_LAST = 0xe007f,
};

/* Decode one character of ${s}, ${len} > 0 bytes: its length 1 ... 4; *ret is its code, or UINT32_MAX if these are no
 * UTF-8 (RFC 3629), then the length is 1. */
size_t script_decode(const char *s, size_t len, uint32_t *ret);
enum script script_of(uint32_t c);
/* A mark that writers add or leave out as they like (points, tatweel, selectors): no part of a word. */
bool script_is_optional(uint32_t c);
