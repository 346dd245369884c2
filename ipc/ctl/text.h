/*
 * Text from the network on its way to a terminal. Nothing that a peer wrote reaches the screen but through
 * text_clean(): an escape sequence in a nick must not repaint the terminal, and a right-to-left override must not turn
 * "gpj.exe" around.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Decode one code point at ${s} (${len} bytes left, > 0). *ret_cp is U+FFFD for what is not UTF-8 (RFC 3629).
 * Returns the bytes used, at least 1.
 */
size_t text_decode(const char *s, size_t len, uint32_t *ret_cp);

/* Encode ${cp} into ${buf} (4 bytes are enough); returns the bytes written. */
size_t text_encode(uint32_t cp, char buf[static 4]);

/* Would ${cp} act on a terminal instead of being shown: C0, DEL, C1, line separators, bidirectional overrides. */
bool text_is_control(uint32_t cp);

/*
 * A copy of ${s} fit for the screen: controls become U+FFFD, tabs and line ends a space (line ends are kept when
 * ${keep_lines}). Where the locale cannot show it (wcwidth(3) says so, or it is not UTF-8) a character becomes '?'.
 * The caller frees.
 */
char *text_clean(const char *s, bool keep_lines);

/* Columns that the cleaned text ${s} takes. */
size_t text_width(const char *s);

/*
 * A copy of the cleaned text ${s} that takes at most ${columns}: cut before the character that would not fit, with an
 * ellipsis in the last column. Combining marks stay with their letter.
 */
char *text_ellipsis(const char *s, size_t columns);

/*
 * How many bytes of the cleaned text ${s} make a line of at most ${columns}: up to a space if there is one to break
 * at, up to '\n' in any case. *ret_skip: bytes to skip before the next line (the space or the line end).
 */
size_t text_wrap(const char *s, size_t columns, size_t *ret_skip);

/* Does the locale of LC_CTYPE use UTF-8? Decides between "─" and "-". */
bool text_is_utf8(void);
