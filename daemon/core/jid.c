#include "core/jid.h"

#include <string.h>

#include "base/mem.h"
#include "core/text.h"

#define JID_PART_MAX 1023 /* bytes; RFC 7622 section 3.1 */

static bool part_ok(const char *s, size_t len, const char *forbidden)
{
	if (len == 0 || len > JID_PART_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c <= 0x20 || c == 0x7f || strchr(forbidden, c))
			return false;
	}
	return true;
}

bool jid_is_valid(const char *s)
{
	const char *slash = strchr(s, '/');
	size_t bare_len = slash ? (size_t)(slash - s) : strlen(s);
	const char *at = memchr(s, '@', bare_len);
	const char *domain = at ? at + 1 : s;

	if (!text_is_utf8(s))
		return false;
	/* A resource may contain spaces, but no control characters and not nothing. */
	if (slash) {
		size_t len = strlen(slash + 1);

		if (len == 0 || len > JID_PART_MAX)
			return false;
		for (const char *p = slash + 1; *p; p++)
			if ((unsigned char)*p < 0x20 || *p == 0x7f)
				return false;
	}
	if (at && !part_ok(s, (size_t)(at - s), "\"&'/:<>@"))
		return false;
	/* A host name has no empty labels (RFC 1123); a final dot is legal there and not here (RFC 7622 section 3.2). */
	for (const char *p = domain; p < s + bare_len; p++)
		if (*p == '.' && (p == domain || p + 1 == s + bare_len || p[1] == '.'))
			return false;
	return part_ok(domain, bare_len - (size_t)(domain - s), "\"&'<>@\\ ,;()");
}

bool jid_is_bare_user(const char *s)
{
	return !strchr(s, '/') && strchr(s, '@') && jid_is_valid(s);
}

static char *fold(const char *s, size_t len)
{
	char *c = xstrndup(s, len);

	for (char *p = c; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + ('a' - 'A'));
	return c;
}

char *jid_bare(const char *s)
{
	return fold(s, strcspn(s, "/"));
}

char *jid_domain(const char *s)
{
	size_t len = strcspn(s, "/");
	const char *at = memchr(s, '@', len);

	return at ? fold(at + 1, len - (size_t)(at + 1 - s)) : fold(s, len);
}

const char *jid_resource(const char *s)
{
	const char *slash = strchr(s, '/');

	return slash ? slash + 1 : "";
}

bool jid_bare_equal(const char *full, const char *bare)
{
	_cleanup_(freep) char *b = jid_bare(full);

	return strcmp(b, bare) == 0;
}
