#include "bus/match.h"

#include <string.h>

#include "base/buf.h"

enum match_key { KEY_TYPE, KEY_INTERFACE, KEY_MEMBER, KEY_PATH, KEY_PATH_NAMESPACE, KEYS };

struct rule {
	char *text;
	char *values[KEYS]; /* NULL = any */
};

struct matches {
	struct rule rules[MATCHES_MAX];
	size_t n;
};

static void rule_deinit(struct rule *r)
{
	free(r->text);
	for (size_t i = 0; i < KEYS; i++)
		free(r->values[i]);
}

struct matches *matches_new(void)
{
	return xnew(struct matches);
}

struct matches *matches_free(struct matches *m)
{
	if (!m)
		return NULL;
	for (size_t i = 0; i < m->n; i++)
		rule_deinit(&m->rules[i]);
	free(m);
	return NULL;
}

/* The value after "key=": quoted or not, backslash-quote outside of quotes. Advances *s behind the comma. */
static char *take_value(const char **s)
{
	struct buf b = { 0 };
	bool quoted = false;
	const char *p = *s;

	for (; *p && (quoted || *p != ','); p++) {
		if (*p == '\'') {
			quoted = !quoted;
			continue;
		}
		if (!quoted && *p == '\\' && p[1] == '\'')
			p++;
		buf_add(&b, p, 1);
	}
	if (quoted) {
		buf_deinit(&b);
		return NULL;
	}
	*s = *p ? p + 1 : p;
	return buf_steal(&b);
}

static bool parse(struct rule *r, const char *s)
{
	static const char *const keys[] = { "type", "interface", "member", "path", "path_namespace" };

	while (*(s += strspn(s, " \t,"))) {
		size_t len = strcspn(s, "=");
		const char *key = s;
		char *value;

		if (!s[len])
			return false;
		s += len + 1;
		value = take_value(&s);
		if (!value)
			return false;
		for (size_t i = 0; i < KEYS; i++)
			if (strlen(keys[i]) == len && strncmp(keys[i], key, len) == 0) {
				free(r->values[i]);
				r->values[i] = TAKE_PTR(value);
				break;
			}
		free(value);
	}
	return true;
}

int matches_add(struct matches *m, const char *text)
{
	struct rule r = { 0 };

	if (m->n == MATCHES_MAX || strlen(text) > MATCH_RULE_MAX)
		return MATCHES_E_LIMIT;
	if (!parse(&r, text)) {
		rule_deinit(&r);
		return MATCHES_E_MALFORMED;
	}
	r.text = xstrdup(text);
	m->rules[m->n++] = r;
	return 0;
}

int matches_remove(struct matches *m, const char *text)
{
	for (size_t i = 0; i < m->n; i++) {
		if (strcmp(m->rules[i].text, text) != 0)
			continue;
		rule_deinit(&m->rules[i]);
		m->rules[i] = m->rules[--m->n];
		return 0;
	}
	return MATCHES_E_NONE;
}

static bool same(const char *want, const char *is)
{
	return !want || strcmp(want, is) == 0;
}

static bool below(const char *want, const char *path)
{
	size_t len = want ? strlen(want) : 0;

	if (!want || strcmp(want, "/") == 0)
		return true;
	return strncmp(want, path, len) == 0 && (path[len] == 0 || path[len] == '/');
}

bool matches_want(const struct matches *m, const char *path, const char *interface, const char *member)
{
	for (size_t i = 0; i < m->n; i++) {
		char *const *v = m->rules[i].values;

		if (same(v[KEY_TYPE], "signal") && same(v[KEY_INTERFACE], interface) && same(v[KEY_MEMBER], member) &&
		    same(v[KEY_PATH], path) && below(v[KEY_PATH_NAMESPACE], path))
			return true;
	}
	return false;
}
