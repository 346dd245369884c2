/*
 * varved: the keeper. Opens the store, serves the bus, runs one engine an account. See varved(8).
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "base/err.h"
#include "base/harden.h"
#include "base/log.h"
#include "bus/server.h"
#include "sync/hub.h"
#include "varve-build.h"

/* Exit codes, as varved(8) lists them. */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_IN_USE = 3, EXIT_CONFIG = 4 };

/* ${env}/varve, or ${home}/${fallback}/varve; the caller frees. NULL if neither is known. */
static char *xdg_dir(const char *env, const char *fallback)
{
	const char *dir = getenv(env), *home = getenv("HOME");

	if (dir && *dir == '/')
		return xasprintf("%s/varve", dir);
	if (home && *home == '/' && fallback)
		return xasprintf("%s/%s/varve", home, fallback);
	return NULL;
}

static int usage(void)
{
	fputs("Usage: varved [--version] [--help]\n"
	      "\n"
	      "Keeps the XMPP sessions and the message archive of this user, in the\n"
	      "foreground, until SIGTERM. Talk to it with varvectl(1).\n"
	      "\n"
	      "  XDG_DATA_HOME    the archive is in varve/ below it  (~/.local/share)\n"
	      "  XDG_CONFIG_HOME  varve/varve.conf below it          (~/.config)\n"
	      "  XDG_RUNTIME_DIR  the socket is varve/bus below it   (/run/user/UID)\n"
	      "  VARVE_LOG        error, warning, info or debug\n",
	      stdout);
	return EXIT_OK;
}

/* Why is said already; the whole usage below it would hide it. */
static int wrong_usage(void)
{
	fputs("    varved --help\n", stderr);
	return EXIT_USAGE;
}

static int parse_args(int argc, char **argv)
{
	static const struct option options[] = {
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "hV", options, NULL)) >= 0) {
		if (c == 'h')
			return usage();
		if (c == 'V')
			return printf("varved %s\n", VARVE_VERSION) < 0 ? EXIT_FAILED : EXIT_OK;
		return wrong_usage();
	}
	if (optind < argc) {
		fprintf(stderr, "varved: unexpected argument %s\n", argv[optind]);
		return wrong_usage();
	}
	return -1;
}

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, _unused_ void *userdata)
{
	log_info("signal %u: leaving; sessions stay resumable", si->ssi_signo);
	sd_notify(0, "STOPPING=1");
	return sd_event_exit(sd_event_source_get_event(s), 0);
}

static int make_event(sd_event **ret)
{
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	sigset_t mask;
	int r;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&mask, signals[i]);
	if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
		return err_origin(-errno);
	r = sd_event_new(&event);
	if (r < 0)
		return err_origin(r);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		r = sd_event_add_signal(event, NULL, signals[i], on_signal, NULL);
		if (r < 0)
			return err_origin(r);
	}
	*ret = TAKE_PTR(event);
	return 0;
}

static int run(const char *data, const char *config, const char *runtime)
{
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(hub_freep) struct hub *hub = NULL;
	_cleanup_(server_freep) struct server *server = NULL;
	_cleanup_(freep) char *why = NULL;
	int r;

	r = make_event(&event);
	if (r >= 0)
		r = hub_new(event, data, config, &hub, &why);
	if (r == 0)
		r = server_new(event, hub, runtime, &server, &why);
	if (r == 0)
		r = hub_start(hub);
	if (r != 0) {
		log_error("%s", why ? why : strerror(-r));
		return r == HUB_E_IN_USE ? EXIT_IN_USE : r == HUB_E_INVALID ? EXIT_CONFIG : EXIT_FAILED;
	}
	if (hub_state(hub) == HUB_READY)
		log_info("version %s, %zu account%s, archive %s, socket %s/bus", VARVE_VERSION, hub_account_count(hub),
			 hub_account_count(hub) == 1 ? "" : "s", data, runtime);
	else
		log_info("version %s, the archive %s is not open, socket %s/bus", VARVE_VERSION, data, runtime);
	sd_notify(0, "READY=1");
	r = sd_event_loop(event);
	if (r < 0)
		log_error("event loop: %s", strerror(-r));
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}

int main(int argc, char **argv)
{
	_cleanup_(freep) char *data = NULL, *config = NULL, *runtime = NULL;
	int r;

	log_init("varved");
	r = parse_args(argc, argv);
	if (r >= 0)
		return r;
	harden();
	data = xdg_dir("XDG_DATA_HOME", ".local/share");
	config = xdg_dir("XDG_CONFIG_HOME", ".config");
	runtime = xdg_dir("XDG_RUNTIME_DIR", NULL);
	if (!runtime)
		runtime = xasprintf("/run/user/%u/varve", (unsigned int)getuid());
	if (!data || !config) {
		log_error("neither XDG_DATA_HOME nor HOME is set to an absolute path: nowhere to keep the archive");
		return EXIT_FAILED;
	}
	return run(data, config, runtime);
}
