/*
 * libstrophe's own connection, as a reference for the login (varvetest.figures --login): logs in with stream management,
 * loses the link, and resumes through another port. Prints "up" when TCP is about to be connected for the second time, and
 * "resumed" or "bound" when its session stands, each with CLOCK_MONOTONIC in seconds.
 *
 *     login-strophe JID PASSWORD CA-FILE direct|starttls PORT SECOND-PORT
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strophe.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#include "base/mem.h"

struct run {
	xmpp_ctx_t *ctx;
	int fd;
	bool up, done, resumed;
};

static struct run run;

static void say(const char *what)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	printf("%s %lld.%06ld\n", what, (long long)t.tv_sec, t.tv_nsec / 1000);
	fflush(stdout);
}

/* The socket, before it is connected; through a local proxy that takes no time. */
static int on_socket(_unused_ xmpp_conn_t *conn, void *sock)
{
	run.fd = *(int *)sock;
	if (run.up)
		say("up");
	return 0;
}

static void on_conn(_unused_ xmpp_conn_t *conn, xmpp_conn_event_t event, _unused_ int error, _unused_ xmpp_stream_error_t *stream,
		    _unused_ void *userdata)
{
	if (event == XMPP_CONN_CONNECT && run.up)
		say(run.resumed ? "resumed" : "bound");
	if (event == XMPP_CONN_CONNECT)
		run.done = true;
	else
		xmpp_stop(run.ctx);
}

/* The library tells nobody whether it resumed, but its log. */
static void on_log(_unused_ void *userdata, _unused_ xmpp_log_level_t level, _unused_ const char *area, const char *msg)
{
	if (strstr(msg, "RECV: <resumed"))
		run.resumed = true;
}

static xmpp_conn_t *connect_to(char **argv, const char *port, xmpp_sm_state_t *sm)
{
	xmpp_conn_t *conn = xmpp_conn_new(run.ctx);

	xmpp_conn_set_jid(conn, argv[1]);
	xmpp_conn_set_pass(conn, argv[2]);
	xmpp_conn_set_cafile(conn, argv[3]);
	xmpp_conn_set_sockopt_callback(conn, on_socket);
	xmpp_conn_set_flags(conn, strcmp(argv[4], "direct") == 0 ? XMPP_CONN_FLAG_LEGACY_SSL : XMPP_CONN_FLAG_MANDATORY_TLS);
	if (sm)
		xmpp_conn_set_sm_state(conn, sm);
	run.done = false;
	if (xmpp_connect_client(conn, "127.0.0.1", (unsigned short)atoi(port), on_conn, NULL) != XMPP_EOK)
		exit(EXIT_FAILURE);
	return conn;
}

int main(int argc, char **argv)
{
	const xmpp_log_t log = { on_log, NULL };
	xmpp_sm_state_t *sm;
	xmpp_conn_t *conn;

	if (argc != 7)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	xmpp_initialize();
	run.ctx = xmpp_ctx_new(NULL, &log);
	conn = connect_to(argv, argv[5], NULL);
	while (!run.done)
		xmpp_run_once(run.ctx, 10);
	/* <enabled/> comes behind what made it say that it is connected. */
	for (int i = 0; i < 30; i++)
		xmpp_run_once(run.ctx, 10);
	shutdown(run.fd, SHUT_RDWR);
	xmpp_run(run.ctx);
	sm = xmpp_conn_get_sm_state(conn);
	xmpp_conn_release(conn);
	run.up = true;
	conn = connect_to(argv, argv[6], sm);
	while (!run.done)
		xmpp_run_once(run.ctx, 10);
	xmpp_conn_release(conn);
	xmpp_ctx_free(run.ctx);
	xmpp_shutdown();
	return 0;
}
