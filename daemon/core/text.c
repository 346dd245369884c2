#include "core/text.h"

#include <stdint.h>
#include <string.h>

#include "base/buf.h"

/* Decode one character; its length, or 0 if malformed. */
static size_t decode(const unsigned char *s, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len;
	uint32_t c;

	if (s[0] < 0x80) {
		*ret = s[0];
		return 1;
	}
	len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	c = s[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3fu);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return len;
}

static bool is_noncharacter(uint32_t c)
{
	return (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe;
}

static bool check(const char *s, bool allow_noncharacters)
{
	const unsigned char *p = (const unsigned char *)s;
	uint32_t c;
	size_t len;

	for (;;) {
		/* Nearly all of it, and the link asks of each string. */
		while (*p && *p < 0x80)
			p++;
		if (!*p)
			break;
		len = decode(p, &c);
		if (len == 0 || (!allow_noncharacters && is_noncharacter(c)))
			return false;
		p += len;
	}
	return true;
}

bool text_is_utf8(const char *s)
{
	return check(s, true);
}

bool text_is_clean(const char *s)
{
	return check(s, false);
}

char *text_clean(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	struct buf b = { 0 };
	uint32_t c;
	size_t len;

	if (text_is_clean(s))
		return xstrdup(s);
	while (*p) {
		len = decode(p, &c);
		if (len == 0 || is_noncharacter(c))
			buf_adds(&b, "\xef\xbf\xbd");
		else
			buf_add(&b, p, len);
		p += len ? len : 1;
	}
	return buf_steal(&b);
}

size_t text_prefix(const char *s, size_t max)
{
	size_t len = strlen(s);

	if (len <= max)
		return len;
	while (max > 0 && ((unsigned char)s[max] & 0xc0) == 0x80)
		max--;
	return max;
}

bool text_has_line(const char *lines, const char *line)
{
	size_t len = strlen(line);

	for (const char *p = lines; *line && (p = strstr(p, line)); p += len)
		if ((p == lines || p[-1] == '\n') && (p[len] == '\n' || !p[len]))
			return true;
	return false;
}

const char *text_unsayable(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	uint32_t c;
	size_t len;

	for (; *p && (len = decode(p, &c)); p += len)
		if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || is_noncharacter(c))
			return (const char *)p;
	return NULL;
}
