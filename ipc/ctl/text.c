#include "ipc/ctl/text.h"

#include <langinfo.h>
#include <string.h>
#include <wchar.h>

#include "ipc/ctl/util.h"

#define REPLACEMENT 0xFFFD

bool text_is_utf8(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

size_t text_decode(const char *s, size_t len, uint32_t *ret_cp)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const uint8_t *p = (const uint8_t *)s;
	uint32_t cp;
	size_t n;

	*ret_cp = REPLACEMENT;
	if (p[0] < 0x80) {
		*ret_cp = p[0];
		return 1;
	}
	n = p[0] >= 0xF0 && p[0] < 0xF8 ? 4 : p[0] >= 0xE0 && p[0] < 0xF0 ? 3 : p[0] >= 0xC2 && p[0] < 0xE0 ? 2 : 0;
	if (n == 0 || n > len)
		return 1;
	cp = p[0] & (0x7Fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return 1;
		cp = cp << 6 | (p[i] & 0x3F);
	}
	if (cp < least[n] || cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF))
		return 1;
	*ret_cp = cp;
	return n;
}

size_t text_encode(uint32_t cp, char buf[static 4])
{
	if (cp < 0x80) {
		buf[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		buf[0] = (char)(0xC0 | cp >> 6);
		buf[1] = (char)(0x80 | (cp & 0x3F));
		return 2;
	}
	if (cp < 0x10000) {
		buf[0] = (char)(0xE0 | cp >> 12);
		buf[1] = (char)(0x80 | (cp >> 6 & 0x3F));
		buf[2] = (char)(0x80 | (cp & 0x3F));
		return 3;
	}
	buf[0] = (char)(0xF0 | cp >> 18);
	buf[1] = (char)(0x80 | (cp >> 12 & 0x3F));
	buf[2] = (char)(0x80 | (cp >> 6 & 0x3F));
	buf[3] = (char)(0x80 | (cp & 0x3F));
	return 4;
}

bool text_is_control(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7F && cp <= 0x9F) || cp == 0x2028 || cp == 0x2029 ||
	       (cp >= 0x202A && cp <= 0x202E) || (cp >= 0x2066 && cp <= 0x2069);
}

static uint32_t shown(uint32_t cp, bool keep_lines, bool utf8)
{
	if (cp == '\n' && keep_lines)
		return cp;
	if (cp == '\n' || cp == '\r' || cp == '\t')
		return ' ';
	if (text_is_control(cp))
		cp = REPLACEMENT;
	if (cp < 0x80)
		return cp;
	/* wcwidth(3) of glibc takes code points only in a UTF-8 locale. */
	return !utf8 || wcwidth((wchar_t)cp) < 0 ? '?' : cp;
}

char *text_clean(const char *s, bool keep_lines)
{
	bool utf8 = text_is_utf8();
	size_t len = strlen(s), n = 0;
	/* The worst case: each byte is not UTF-8 and becomes the three bytes of U+FFFD. */
	char *out = xcalloc(len * 3 + 1, 1);

	while (len > 0) {
		uint32_t cp;
		size_t used = text_decode(s, len, &cp);

		/* "\r\n" is one line end, not a space and a line end. */
		if (!(cp == '\r' && len > 1 && s[1] == '\n'))
			n += text_encode(shown(cp, keep_lines, utf8), out + n);
		s += used;
		len -= used;
	}
	out[n] = '\0';
	return out;
}

static size_t width_of(uint32_t cp)
{
	int w = cp < 0x80 ? cp >= 0x20 : wcwidth((wchar_t)cp);

	return w < 0 ? 1 : (size_t)w;
}

size_t text_width(const char *s)
{
	size_t len = strlen(s), columns = 0;

	while (len > 0) {
		uint32_t cp;
		size_t used = text_decode(s, len, &cp);

		columns += width_of(cp);
		s += used;
		len -= used;
	}
	return columns;
}

/* Bytes of ${s} that fit in ${columns}, combining marks behind the last one included. */
static size_t fitting(const char *s, size_t columns)
{
	size_t len = strlen(s), taken = 0;
	const char *p = s;

	while (len > 0) {
		uint32_t cp;
		size_t used = text_decode(p, len, &cp);

		if (taken + width_of(cp) > columns)
			break;
		taken += width_of(cp);
		p += used;
		len -= used;
	}
	return (size_t)(p - s);
}

char *text_ellipsis(const char *s, size_t columns)
{
	const char *dots = text_is_utf8() ? "…" : "~";

	if (text_width(s) <= columns)
		return xstrdup(s);
	if (columns == 0)
		return xstrdup("");
	return xasprintf("%.*s%s", (int)fitting(s, columns - 1), s, dots);
}

size_t text_wrap(const char *s, size_t columns, size_t *ret_skip)
{
	size_t line = strcspn(s, "\n"), fits;
	_cleanup_(freep) char *first = xstrndup(s, line);

	fits = fitting(first, columns ? columns : 1);
	if (fits == line) {
		*ret_skip = s[line] == '\n' ? 1 : 0;
		return line;
	}
	*ret_skip = 0;
	for (size_t i = fits; i > 0; i--)
		if (s[i] == ' ') {
			*ret_skip = 1;
			return i;
		}
	if (fits == 0) { /* a wide character in a column of one: show it rather than loop */
		uint32_t cp;

		return text_decode(s, strlen(s), &cp);
	}
	return fits;
}
