#include "bus/pem.h"

#include <stdint.h>
#include <string.h>

#include "base/buf.h"

#define BEGIN "-----BEGIN CERTIFICATE-----"
#define END "-----END CERTIFICATE-----"

static int digit(char c)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c ? strchr(alphabet, c) : NULL;

	return p ? (int)(p - alphabet) : -1;
}

static bool decode(const char *s, size_t len, struct buf *out)
{
	uint32_t acc = 0;
	int bits = 0, pads = 0;

	for (size_t i = 0; i < len; i++) {
		if (strchr(" \t\r\n", s[i]))
			continue;
		if (s[i] == '=') {
			pads++;
			continue;
		}
		if (digit(s[i]) < 0 || pads > 0)
			return false;
		acc = acc << 6 | (uint32_t)digit(s[i]);
		bits += 6;
		if (bits >= 8) {
			char byte = (char)(acc >> (bits - 8) & 0xff);

			bits -= 8;
			buf_add(out, &byte, 1);
		}
	}
	return pads <= 2;
}

/* X.690: 0x30, a definite length, and exactly that much. */
static bool is_sequence(const unsigned char *p, size_t len)
{
	size_t n, value = 0;

	if (len < 2 || p[0] != 0x30)
		return false;
	if (p[1] < 0x80)
		return p[1] + (size_t)2 == len;
	n = p[1] & 0x7f;
	if (n == 0 || n > 4 || len < 2 + n)
		return false;
	for (size_t i = 0; i < n; i++)
		value = value << 8 | p[2 + i];
	return value + 2 + n == len;
}

bool pem_check(const char *text, const char **ret_why)
{
	size_t found = 0;

	for (const char *p = text; (p = strstr(p, BEGIN)); found++) {
		const char *end = strstr(p, END);
		struct buf der = { 0 };
		bool ok;

		p += strlen(BEGIN);
		if (!end) {
			*ret_why = "a certificate in it has no end";
			return false;
		}
		ok = decode(p, (size_t)(end - p), &der) && is_sequence((const unsigned char *)der.data, der.len);
		buf_deinit(&der);
		if (!ok) {
			*ret_why = "a certificate in it is damaged";
			return false;
		}
		p = end;
	}
	if (found == 0)
		*ret_why = "there is no certificate in it";
	return found > 0;
}
