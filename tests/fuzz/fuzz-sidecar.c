/*
 * archive.keys. The parser accepts nothing but what the printer would have written, so what it accepts is printed back
 * byte by byte, but for the two seals.
 *
 * Input: the text; or, when it begins with '#', what is between that byte and the last line, and a check that is right
 * for it, so that the fuzzer gets past that.
 */
#include <sodium.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "fuzz.h"
#include "vault/sidecar.h"

static void try(const char *text, size_t len)
{
	static const uint8_t mac_key[KDF_KEY] = { 1 };
	_cleanup_(freep) char *why = NULL, *again = NULL;
	struct sidecar s = { 0 };
	const char *mac;
	int r = sidecar_parse(text, len, &s, &why);

	must(r == 0 || r == SIDECAR_E_DAMAGED || r == SIDECAR_E_NEWER, "an outcome that is none");
	must((r == 0) == (why == NULL), "a failure says why, and only a failure");
	if (r != 0)
		return;
	must(!sidecar_authentic(&s, mac_key), "a mac that nobody made is right");
	again = sidecar_print(&s, mac_key);
	must(strlen(again) == len, "printed, it has another length");
	mac = strstr(again, "\nmac");
	must(mac != NULL, "no mac");
	must(memcmp(again, text, (size_t)(mac - again)) == 0, "it does not print as it was");
	must(sidecar_authentic(&s, mac_key), "its own mac is wrong");
	sidecar_deinit(&s);
}

/* ${body} and the line "check" of it. */
static void try_checked(const char *body, size_t len)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };
	uint8_t sum[16];
	char hex[2 * sizeof(sum) + 1];

	crypto_generichash(sum, sizeof(sum), (const uint8_t *)body, len, NULL, 0);
	sodium_bin2hex(hex, sizeof(hex), sum, sizeof(sum));
	buf_add(&b, body, len);
	buf_addf(&b, "check %s\n", hex);
	try(b.data, b.len);
}

/* Up to and with the line end before the last line. */
static size_t without_last_line(const uint8_t *data, size_t size)
{
	size_t n = size > 0 ? size - 1 : 0;

	while (n > 0 && data[n - 1] != '\n')
		n--;
	return n;
}

void fuzz_one(const uint8_t *data, size_t size)
{
	if (size > 0 && data[0] == '#')
		try_checked((const char *)data + 1, without_last_line(data + 1, size - 1));
	else
		try((const char *)data, size);
}
