/*
 * A keeper of a few lines, to watch a real varve-wire by hand or from a script: starts it, sends START from
 * key=value arguments, prints each record as one line, and reads commands from stdin:
 *
 *   query N back|forward MAX [CURSOR]   meta N   commit N   grant N   stop   final   kill
 *   any record to the wire: its name and field=value, separated by tabs; \\n in a value is a newline
 *
 *   drive-wire .../varve-wire jid=a@chat.test password=x host=127.0.0.1 port=21000 ca=ca.crt [commit=auto] [go=auto] [ahead=0] ...
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include "base/buf.h"
#include "base/log.h"
#include "link/link.h"

struct drive {
	sd_event *event;
	struct link *link;
	pid_t pid;
	bool auto_commit;
	bool auto_go;
	char *ca;
	uint32_t committed;
	uint32_t grant_ahead;
};

#define PRINT_STR(name) print_str(#name, v->name);
#define PRINT_U32(name) printf(" %s=%" PRIu32, #name, v->name);
#define PRINT_U64(name) printf(" %s=%" PRIu64, #name, v->name);
#define PRINT_I64(name) printf(" %s=%" PRId64, #name, v->name);
#define PRINT_BOOL(name) printf(" %s=%d", #name, v->name);
#define PRINT(type, name, max) PRINT_##type(name)
#define PRINT_CASE(NAME, name, tag, fields, dir)                                                                     \
	case LINK_##NAME: {                                                                                          \
		const struct tag *v _unused_ = &r->name;                                                             \
		fields(PRINT) break;                                                                                 \
	}

static void print_str(const char *name, const char *value)
{
	if (!*value)
		return;
	printf(" %s=\"", name);
	for (; *value; value++)
		if (*value == '\n')
			printf("\\n");
		else if (*value == '"' || *value == '\\')
			printf("\\%c", *value);
		else
			putchar(*value);
	putchar('"');
}

static uint32_t number_of(const struct link_record *r)
{
	switch (r->kind) {
	case LINK_MSG:
		return r->msg.n;
	case LINK_FIN:
		return r->fin.n;
	case LINK_META:
		return r->meta.n;
	case LINK_ROSTER:
		return r->roster.n;
	case LINK_IDLE:
		return r->idle.n;
	case LINK_RESULT:
		return r->result.n;
	case LINK_PRESENCE:
		return r->presence.n;
	case LINK_TYPING:
		return r->typing.n;
	case LINK_BLOCKED:
		return r->blocked.n;
	case LINK_READ:
		return r->read.n;
	default:
		return 0;
	}
}

static void on_record(void *userdata, const struct link_record *r)
{
	struct drive *d = userdata;
	struct link_record answer;

	printf("%s", link_kind_name(r->kind));
	switch (r->kind) {
		LINK_VOCABULARY(PRINT_CASE)
	case LINK_KINDS:
		break;
	}
	printf("\n");
	fflush(stdout);
	if (r->kind == LINK_SENT) {
		link_record_init(&answer, LINK_GRANT);
		answer.grant.n = r->sent.n + d->grant_ahead;
		link_send(d->link, &answer);
	}
	if (d->auto_go && r->kind == LINK_NUMBERED) {
		link_record_init(&answer, LINK_GO);
		answer.go.n = r->numbered.n;
		link_send(d->link, &answer);
	}
	if (d->auto_commit && number_of(r) && number_of(r) != d->committed) {
		link_record_init(&answer, LINK_COMMITTED);
		answer.committed.n = d->committed = number_of(r);
		link_send(d->link, &answer);
	}
}

static void on_gone(void *userdata, const char *why)
{
	struct drive *d = userdata;

	printf("GONE why=\"%s\"\n", why);
	sd_event_exit(d->event, 0);
}

#define PUT_STR(name) v->name = value;
#define PUT_U32(name) v->name = (uint32_t)strtoul(value, NULL, 10);
#define PUT_U64(name) v->name = strtoull(value, NULL, 10);
#define PUT_I64(name) v->name = strtoll(value, NULL, 10);
#define PUT_BOOL(name) v->name = *value == '1';
#define PUT(type, name, max)                                                                                         \
	if (strcmp(key, #name) == 0) {                                                                               \
		PUT_##type(name) return true;                                                                        \
	}
#define PUT_CASE(NAME, name, tag, fields, dir)                                                                       \
	case LINK_##NAME: {                                                                                          \
		struct tag *v _unused_ = &r->name;                                                                   \
		fields(PUT) break;                                                                                   \
	}

static bool put(struct link_record *r, const char *key, const char *value)
{
	switch (r->kind) {
		LINK_VOCABULARY(PUT_CASE)
	case LINK_KINDS:
		break;
	}
	return false;
}

static void unescape(char *value)
{
	char *out = value;

	for (; *value; value++)
		if (value[0] == '\\' && value[1] == 'n') {
			*out++ = '\n';
			value++;
		} else {
			*out++ = *value;
		}
	*out = '\0';
}

/* NAME<tab>field=value<tab>... */
static bool any_record(struct drive *d, char *line)
{
	char *rest = NULL, *word = strtok_r(line, "\t", &rest);
	struct link_record r;
	int kind = 0;

	while (kind < LINK_KINDS && strcmp(link_kind_name((enum link_kind)kind), str_or_empty(word)) != 0)
		kind++;
	if (kind == LINK_KINDS)
		return false;
	link_record_init(&r, (enum link_kind)kind);
	while ((word = strtok_r(NULL, "\t", &rest))) {
		char *eq = strchr(word, '=');

		if (!eq)
			return false;
		*eq = '\0';
		unescape(eq + 1);
		if (!put(&r, word, eq + 1))
			return false;
	}
	return link_send(d->link, &r) >= 0;
}

static void command(struct drive *d, char *line)
{
	struct link_record r;
	char way[16] = "", cursor[1024] = "";
	uint32_t n = 0, max = 0;

	if (sscanf(line, "query %" SCNu32 " %15s %" SCNu32 " %1023s", &n, way, &max, cursor) >= 3) {
		link_record_init(&r, LINK_QUERY);
		r.query.query = n;
		r.query.backward = strcmp(way, "back") == 0;
		r.query.cursor = cursor;
		r.query.max = max;
	} else if (sscanf(line, "meta %" SCNu32, &n) == 1) {
		link_record_init(&r, LINK_META_QUERY);
		r.meta_query.query = n;
	} else if (sscanf(line, "commit %" SCNu32, &n) == 1) {
		link_record_init(&r, LINK_COMMITTED);
		r.committed.n = n;
	} else if (sscanf(line, "grant %" SCNu32, &n) == 1) {
		link_record_init(&r, LINK_GRANT);
		r.grant.n = n;
	} else if (strncmp(line, "stop", 4) == 0 || strncmp(line, "final", 5) == 0) {
		link_record_init(&r, LINK_STOP);
		r.stop.final = *line == 'f';
	} else if (strncmp(line, "kill", 4) == 0) {
		kill(d->pid, SIGKILL);
		return;
	} else {
		if (!any_record(d, line))
			fprintf(stderr, "drive-wire: not a command: %s\n", line);
		return;
	}
	link_send(d->link, &r);
}

static int on_stdin(sd_event_source *s, int fd, _unused_ uint32_t revents, void *userdata)
{
	static struct buf in;
	struct drive *d = userdata;
	char data[1024];
	char *nl;
	ssize_t n = read(fd, data, sizeof(data));

	if (n <= 0) {
		sd_event_source_set_enabled(s, SD_EVENT_OFF);
		return 0;
	}
	buf_add(&in, data, (size_t)n);
	while ((nl = strchr(in.data, '\n'))) {
		_cleanup_(freep) char *line = xstrndup(in.data, (size_t)(nl - in.data));

		command(d, line);
		buf_eat(&in, (size_t)(nl - in.data) + 1);
	}
	return 0;
}

static char *read_file(const char *path)
{
	struct buf b = { 0 };
	char data[4096];
	size_t n;
	FILE *f = fopen(path, "re");

	while (f && (n = fread(data, 1, sizeof(data), f)) > 0)
		buf_add(&b, data, n);
	if (f)
		fclose(f);
	return buf_steal(&b);
}

static void start_field(struct link_start *start, struct drive *d, const char *key, char *value)
{
	static const char *const modes[] = { "auto", "direct", "starttls" };
	uint32_t number = (uint32_t)strtoul(value, NULL, 10);

#define SET_STR(name)                                                                                                \
	if (strcmp(key, #name) == 0) {                                                                               \
		start->name = value;                                                                                 \
		return;                                                                                              \
	}
#define SET_U32(name)                                                                                                \
	if (strcmp(key, #name) == 0 && strcmp(key, "tls") != 0) {                                                    \
		start->name = number;                                                                                \
		return;                                                                                              \
	}
#define SET_BOOL(name)                                                                                               \
	if (strcmp(key, #name) == 0) {                                                                               \
		start->name = number != 0;                                                                           \
		return;                                                                                              \
	}
#define SET(type, name, max) SET_##type(name)
	LINK_START_FIELDS(SET)
	if (strcmp(key, "ca") == 0)
		start->ca_pem = d->ca = read_file(value);
	else if (strcmp(key, "commit") == 0)
		d->auto_commit = true;
	else if (strcmp(key, "go") == 0)
		d->auto_go = true;
	else if (strcmp(key, "ahead") == 0)
		d->grant_ahead = number;
	for (uint32_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (strcmp(key, "tls") == 0 && strcmp(value, modes[i]) == 0)
			start->tls = i;
}

static pid_t spawn(const char *path, int fd)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (dup2(fd, 3) < 0)
			_exit(127);
		execl(path, path, (char *)NULL);
		_exit(127);
	}
	return pid;
}

/* The wire ends by itself after the link closed; a wire that does not is a bug, seen as signal 9. */
static void reap(pid_t pid, int *status)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	poll(&p, 1, 3000);
	kill(pid, SIGKILL);
	waitpid(pid, status, 0);
	close(fd);
}

int main(int argc, char **argv)
{
	struct drive d = { .grant_ahead = 100 };
	struct link_record start;
	int sv[2], status = 0;
	sd_event_source *in = NULL;

	if (argc < 3 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
		return 2;
	log_init("drive-wire");
	link_record_init(&start, LINK_START);
	start.start.grant = 100;
	for (int i = 2; i < argc; i++) {
		char *eq = strchr(argv[i], '=');

		if (!eq)
			return 2;
		*eq = '\0';
		start_field(&start.start, &d, argv[i], eq + 1);
	}
	d.pid = spawn(argv[1], sv[1]);
	close(sv[1]);
	if (d.pid < 0 || sd_event_default(&d.event) < 0 ||
	    link_new(d.event, sv[0], LINK_KEEPER, on_record, on_gone, &d, &d.link) < 0)
		return 1;
	/* Standard input may be a file, which epoll does not take. */
	if (sd_event_add_io(d.event, &in, 0, 1, on_stdin, &d) < 0)
		in = NULL;
	if (link_send(d.link, &start) < 0)
		return 1;
	sd_event_loop(d.event);
	reap(d.pid, &status);
	if (WIFEXITED(status))
		printf("EXIT code=%d\n", WEXITSTATUS(status));
	else
		printf("EXIT signal=%d\n", WTERMSIG(status));
	sd_event_source_unref(in);
	link_free(d.link);
	sd_event_unref(d.event);
	free(d.ca);
	return 0;
}
