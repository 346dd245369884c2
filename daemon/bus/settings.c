#define _GNU_SOURCE
#include "bus/settings.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "bus/errors.h"
#include "bus/options.h"
#include "bus/pem.h"
#include "bus/rows.h"
#include "core/jid.h"
#include "link/vocab.h"

#define HOST_MAX 255 /* bytes; RFC 1035 section 2.3.4, and what link START carries */

void settings_copy(struct account *dst, const struct account *src)
{
	*dst = *src;
	dst->jid = xstrdup(str_or_empty(src->jid));
	dst->password = xstrdup(str_or_empty(src->password));
	dst->host = xstrdup(str_or_empty(src->host));
	dst->ca_pem = xstrdup(str_or_empty(src->ca_pem));
	dst->nick = xstrdup(str_or_empty(src->nick));
	dst->resource = xstrdup(str_or_empty(src->resource));
	dst->push_service = xstrdup(str_or_empty(src->push_service));
}

void settings_deinit(struct account *a)
{
	if (a->password)
		explicit_bzero(a->password, strlen(a->password));
	account_deinit(a);
}

static bool has_controls(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

int settings_check_password(const char *password, sd_bus_error *error)
{
	if (!*password)
		return error_invalid(error, "the password is empty");
	if (strlen(password) > SECRET_MAX)
		return error_invalid(error, "the password is longer than %d bytes", SECRET_MAX);
	if (has_controls(password))
		return error_invalid(error, "the password has control characters (a line end?): give it without them");
	return 0;
}

static bool host_ok(const char *host)
{
	size_t len = strlen(host);
	unsigned char v6[sizeof(struct in6_addr)];

	if (strchr(host, ':'))
		return inet_pton(AF_INET6, host, v6) == 1;
	if (len == 0 || len > HOST_MAX || host[0] == '.' || host[0] == '-' || strstr(host, ".."))
		return false;
	for (const char *p = host; *p; p++)
		if ((unsigned char)*p <= 0x20 || *p == 0x7f || strchr("/@[]\"'<>&\\;,()", *p))
			return false;
	return true;
}

static bool parse_port(const char *s, uint32_t *ret)
{
	unsigned long n = 0;

	if (!*s || strlen(s) > 5)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		n = n * 10 + (unsigned long)(*s - '0');
	}
	*ret = (uint32_t)n;
	return n >= 1 && n <= 65535;
}

/* "HOST", "HOST:PORT", "[V6]:PORT", "[V6]", "V6". */
static int read_server(const char *s, struct account *a, sd_bus_error *error)
{
	static const char shape[] = "write HOST, HOST:PORT or [IPV6]:PORT";
	_cleanup_(freep) char *host = NULL;
	const char *colon = strrchr(s, ':'), *end = strchr(s, ']');
	uint32_t port = 0;

	if (!*s) {
		str_set(&a->host, "");
		a->port = 0;
		return 0;
	}
	if (*s == '[' && end) {
		host = xstrndup(s + 1, (size_t)(end - s - 1));
		colon = end[1] == ':' ? end + 1 : NULL;
		if ((end[1] && !colon) || !strchr(host, ':'))
			return error_invalid(error, "'%s' is not a server: %s", s, shape);
	} else if (colon && strchr(s, ':') == colon) {
		host = xstrndup(s, (size_t)(colon - s));
	} else {
		host = xstrdup(s);
		colon = NULL;
	}
	if (!host_ok(host))
		return error_invalid(error, "'%s' is not a server: %s", s, shape);
	if (colon && !parse_port(colon + 1, &port))
		return error_invalid(error, "'%s' in '%s' is not a port: it must be a number from 1 to 65535", colon + 1, s);
	str_set(&a->host, host);
	a->port = port;
	return 0;
}

static int read_tls(const char *s, struct account *a, sd_bus_error *error)
{
	if (strcmp(s, "") == 0)
		a->tls = TLS_AUTO;
	else if (strcmp(s, "direct") == 0)
		a->tls = TLS_DIRECT;
	else if (strcmp(s, "starttls") == 0)
		a->tls = TLS_STARTTLS;
	else
		return error_invalid(error, "tls is '%s': it must be 'direct' or 'starttls'", s);
	return 0;
}

static int read_ca(const char *s, struct account *a, sd_bus_error *error)
{
	const char *why;

	if (strlen(s) > CA_PEM_MAX)
		return error_invalid(error, "the CA file has more than %d bytes: give only the certificates that this "
				     "account needs", CA_PEM_MAX);
	if (*s && !pem_check(s, &why))
		return error_invalid(error, "the CA file is unusable: %s; it must be a PEM file with at least one "
				     "certificate", why);
	str_set(&a->ca_pem, s);
	return 0;
}

static int read_nick(const char *s, struct account *a, sd_bus_error *error)
{
	if (strlen(s) > SHORT_TEXT_MAX || has_controls(s))
		return error_invalid(error, "the nick must be at most %d bytes without control characters", SHORT_TEXT_MAX);
	str_set(&a->nick, s);
	return 0;
}

static int read_push(const char *s, struct account *a, sd_bus_error *error)
{
	if (*s && (strchr(s, '/') || strlen(s) > JID_MAX || !jid_is_valid(s)))
		return error_invalid(error, "'%.200s' is not the address of a push service: write push.example.org or "
				     "name@example.org", s);
	str_set(&a->push_service, s);
	return 0;
}

int settings_read(sd_bus_message *m, struct account *a, bool with_password, sd_bus_error *error)
{
	const char *server = NULL, *tls = NULL, *ca = NULL, *nick = NULL, *password = NULL, *push = NULL;
	const struct option known[] = {
		{ "server", OPTION_TEXT, &server },
		{ "tls", OPTION_TEXT, &tls },
		{ "ca-pem", OPTION_TEXT, &ca },
		{ "nick", OPTION_TEXT, &nick },
		{ "allow-plain", OPTION_BOOL, &a->allow_plain },
		{ "push-service", OPTION_TEXT, &push },
		{ "enabled", OPTION_BOOL, &a->enabled },
		{ "password", OPTION_TEXT, &password },
	};
	int r;

	r = options_read(m, known, ARRAY_SIZE(known) - (with_password ? 0 : 1), error);
	if (r < 0)
		return r;
	if ((server && (r = read_server(server, a, error)) < 0) ||
	    (tls && (r = read_tls(tls, a, error)) < 0) ||
	    (ca && (r = read_ca(ca, a, error)) < 0) ||
	    (nick && (r = read_nick(nick, a, error)) < 0) ||
	    (push && (r = read_push(push, a, error)) < 0) ||
	    (password && (r = settings_check_password(password, error)) < 0))
		return r;
	if (password)
		str_set(&a->password, password);
	return 0;
}

static char *server_text(const struct account *a)
{
	const char *host = str_or_empty(a->host);
	bool v6 = strchr(host, ':') != NULL;

	if (!*host || (a->port == 0 && !v6))
		return xstrdup(host);
	if (a->port == 0)
		return xasprintf("[%s]", host);
	return xasprintf(v6 ? "[%s]:%u" : "%s:%u", host, a->port);
}

int settings_append(sd_bus_message *m, const struct account *a)
{
	static const char *const tls[] = { [TLS_AUTO] = "", [TLS_DIRECT] = "direct", [TLS_STARTTLS] = "starttls" };
	_cleanup_(freep) char *server = server_text(a);
	int r;

	if ((r = sd_bus_message_open_container(m, 'a', "{sv}")) < 0 ||
	    (r = rows_entry_text_or_empty(m, "server", server)) < 0 ||
	    (r = rows_entry(m, "tls", "s", a->tls < ARRAY_SIZE(tls) ? tls[a->tls] : "")) < 0 ||
	    (r = rows_entry_text_or_empty(m, "ca-pem", a->ca_pem)) < 0 ||
	    (r = rows_entry_text_or_empty(m, "nick", a->nick)) < 0 ||
	    (r = rows_entry(m, "allow-plain", "b", a->allow_plain)) < 0 ||
	    (r = rows_entry_text_or_empty(m, "push-service", a->push_service)) < 0 ||
	    (r = rows_entry(m, "enabled", "b", a->enabled)) < 0 ||
	    (r = sd_bus_message_close_container(m)) < 0)
		return err_trace(r);
	return 0;
}
