#include "vault/recovery.h"

#include <stdbool.h>
#include <string.h>

#include "vault/secret.h"

enum { CRC_POLY = 0x80f, CRC_BITS = 12, CODE_BYTES = 18 /* 140 bits in 18 bytes */ };

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static unsigned int crc12(const uint8_t secret[RECOVERY_SECRET])
{
	unsigned int crc = 0xfff;

	for (int i = 0; i < RECOVERY_BITS; i++) {
		unsigned int bit = (secret[i / 8] >> (7 - i % 8)) & 1u;
		unsigned int top = (crc >> (CRC_BITS - 1)) & 1u;

		crc = (crc << 1) & 0xfffu;
		if (top != bit)
			crc ^= CRC_POLY;
	}
	return crc;
}

static void pack(const uint8_t secret[RECOVERY_SECRET], uint8_t code[CODE_BYTES])
{
	unsigned int crc = crc12(secret);

	memcpy(code, secret, RECOVERY_SECRET);
	code[16] = (uint8_t)(crc >> 4);
	code[17] = (uint8_t)((crc & 0xfu) << 4);
}

void recovery_print(const uint8_t secret[RECOVERY_SECRET], char ret_text[RECOVERY_TEXT])
{
	uint8_t code[CODE_BYTES];
	char *p = ret_text;

	pack(secret, code);
	for (int i = 0; i < RECOVERY_CHARS; i++) {
		unsigned int v = 0;

		for (int bit = i * 5; bit < i * 5 + 5; bit++)
			v = v << 1 | ((code[bit / 8] >> (7 - bit % 8)) & 1u);
		if (i && i % 4 == 0)
			*p++ = '-';
		*p++ = alphabet[v];
	}
	*p = '\0';
	secret_wipe(code, sizeof(code));
}

/* Length of what separates at ${p}: white space, a dash, a dot; U+00A0, U+2010 to U+2015, U+2212. 0: something else. */
static size_t separator(const uint8_t *p, size_t len)
{
	if (strchr(" \t\r\n-._", *p) && *p)
		return 1;
	if (len >= 2 && p[0] == 0xc2 && p[1] == 0xa0)
		return 2;
	if (len >= 3 && p[0] == 0xe2 && p[1] == 0x80 && p[2] >= 0x90 && p[2] <= 0x95)
		return 3;
	if (len >= 3 && p[0] == 0xe2 && p[1] == 0x88 && p[2] == 0x92)
		return 3;
	return 0;
}

/* 0 to 31, or -1. */
static int value_of(uint8_t c)
{
	const char *at;

	if (c >= 'a' && c <= 'z')
		c = (uint8_t)(c - 'a' + 'A');
	if (c == 'O')
		c = '0';
	if (c == 'I' || c == 'L')
		c = '1';
	if (c == 'U')
		c = 'V';
	at = c ? strchr(alphabet, c) : NULL;
	return at ? (int)(at - alphabet) : -1;
}

/* The 140 bits of what was typed. */
static bool unpack(const uint8_t *p, size_t len, uint8_t code[CODE_BYTES])
{
	size_t n = 0;

	memset(code, 0, CODE_BYTES);
	while (len) {
		size_t skip = separator(p, len);

		if (!skip) {
			int v = value_of(*p);

			if (v < 0 || n == RECOVERY_CHARS)
				return false;
			for (size_t i = 0; i < 5; i++)
				if (v >> (4 - i) & 1)
					code[(n * 5 + i) / 8] |= (uint8_t)(0x80u >> (n * 5 + i) % 8);
			n++;
			skip = 1;
		}
		p += skip;
		len -= skip;
	}
	return n == RECOVERY_CHARS;
}

int recovery_parse(const void *text, size_t len, uint8_t ret_secret[RECOVERY_SECRET])
{
	uint8_t code[CODE_BYTES], want[CODE_BYTES];
	int r = 0;

	if (!unpack(text, len, code)) {
		secret_wipe(code, sizeof(code));
		return RECOVERY_E_FORM;
	}
	pack(code, want);
	if (memcmp(code, want, sizeof(code)) != 0)
		r = RECOVERY_E_TYPO;
	else
		memcpy(ret_secret, code, RECOVERY_SECRET);
	secret_wipe(code, sizeof(code));
	secret_wipe(want, sizeof(want));
	return r;
}
