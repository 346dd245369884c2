/*
 * The printable recovery code: 128 random bits that a person writes down and types in again.
 *
 * 28 characters of Crockford's alphabet (no I, L, O, U) in seven groups of four: 128 bits and a CRC of 12 bits over
 * them (x^12+x^11+x^3+x^2+x+1, register all ones at first), most significant bit first. Every wrong character and
 * every two neighbours that changed places are found for sure, other slips in 4095 of 4096 cases, so that a typing
 * error is not taken for a wrong code. Pure. Private to vault/.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	RECOVERY_BITS = 128,
	RECOVERY_SECRET = RECOVERY_BITS / 8,
	RECOVERY_CHARS = 28,
	RECOVERY_TEXT = RECOVERY_CHARS + 6 + 1, /* six dashes, NUL */
};

/* "XXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX" */
void recovery_print(const uint8_t secret[RECOVERY_SECRET], char ret_text[RECOVERY_TEXT]);

enum {
	RECOVERY_E_FORM = 1, /* not 28 characters of the alphabet: something else */
	RECOVERY_E_TYPO,     /* the form is right, the check is not */
};
/*
 * Read what was typed: case, white space, dashes (also those that a phone's keyboard makes of them) and dots do not
 * matter; O is 0, I and L are 1, U is V. ${ret_secret} is written only when 0 is returned.
 */
int recovery_parse(const void *text, size_t len, uint8_t ret_secret[RECOVERY_SECRET]);
