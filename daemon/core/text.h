/*
 * Text from the network made fit for D-Bus, SQLite and terminals, in one place.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Well-formed UTF-8 (RFC 3629): no surrogates, nothing overlong, nothing above U+10FFFF. */
bool text_is_utf8(const char *s);

/*
 * A copy of ${s} in which everything that D-Bus refuses is U+FFFD: malformed UTF-8 and the noncharacters
 * U+FDD0..U+FDEF, U+nFFFE, U+nFFFF (sd-bus 252 answers -EINVAL for a whole page that has one). The caller frees.
 */
char *text_clean(const char *s);
/* ${s} needs no cleaning. */
bool text_is_clean(const char *s);

/*
 * The first character of ${s}, which is UTF-8, that cannot be sent and come back as it was: XML 1.0 has no way to say
 * it (section 2.2), or text_clean() replaces it. NULL if there is none.
 */
const char *text_unsayable(const char *s);

/* ${lines}, one thing a line, has ${line}. */
bool text_has_line(const char *lines, const char *line);

/* The longest prefix of ${s} of at most ${max} bytes that does not cut a character. */
size_t text_prefix(const char *s, size_t max);
