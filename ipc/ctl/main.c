/*
 * varvectl: everything that a person or a script asks varved.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/help.h"
#include "ipc/ctl/term.h"
#include "varve-build.h"

#define FORMAT_VERSION 1 /* of what cli.md describes */

static int json_mode(const char *text, enum json_mode *ret)
{
	if (!text || strcmp(text, "off") == 0)
		*ret = JSON_OFF;
	else if (!*text || strcmp(text, "short") == 0)
		*ret = JSON_SHORT;
	else if (strcmp(text, "pretty") == 0)
		*ret = JSON_PRETTY;
	else
		return -EINVAL;
	return 0;
}

/* The options that every verb has. */
static int globals(struct ctl *c)
{
	const char *text;
	uint64_t n;

	if (json_mode(ctl_opt(c, JSON), &c->json) < 0)
		return ctl_fail(c, EXIT_USAGE, NULL, "--json=%s: short, pretty or off", ctl_opt(c, JSON));
	c->quiet = ctl_opt(c, QUIET);
	text = ctl_opt(c, COLOR);
	if (term_init(text ? text : "auto") < 0)
		return ctl_fail(c, EXIT_USAGE, NULL, "--color=%s: auto, always or never", text);
	text = ctl_opt(c, TIMEOUT);
	if (text && (parse_seconds(text, &c->timeout_us) < 0 || c->timeout_us == 0))
		return ctl_fail(c, EXIT_USAGE, NULL, "--timeout=%s is not a number of seconds", text);
	text = ctl_opt(c, FORMAT_VERSION);
	if (text && parse_u64(text, &n) < 0)
		return ctl_fail(c, EXIT_USAGE, NULL, "--format-version=%s is not a number", text);
	if (text && n != FORMAT_VERSION)
		return ctl_fail(c, EXIT_VERSION, "use another varvectl, or adapt the script",
				"this varvectl writes format version %d, not %s", FORMAT_VERSION, text);
	return EXIT_OK;
}

static int dispatch(struct ctl *c)
{
	if (ctl_opt(c, VERSION)) {
		printf("varvectl %s\n", VARVE_VERSION);
		return EXIT_OK;
	}
	if (ctl_opt(c, HELP)) {
		if (c->opts.cmd)
			help_verb(stdout, c->opts.cmd);
		else if (c->opts.group)
			help_group(stdout, c->opts.group);
		else
			help_all(stdout);
		return EXIT_OK;
	}
	if (c->opts.group && strcmp(c->opts.group, "account") == 0)
		return cmd_account_list(c);
	if (c->opts.group && strcmp(c->opts.group, "keys") == 0)
		return cmd_keys_list(c);
	if (c->opts.group && strcmp(c->opts.group, "roster") == 0)
		return cmd_roster_list(c);
	if (c->opts.group) {
		if (c->json == JSON_OFF)
			help_group(stderr, c->opts.group);
		return ctl_fail(c, EXIT_USAGE, NULL, "%s needs a second word", c->opts.group);
	}
	if (!c->opts.cmd) {
		if (c->json == JSON_OFF)
			help_all(stderr);
		return ctl_fail(c, EXIT_USAGE, NULL, "say what to do, for example: varvectl status");
	}
	return c->opts.cmd->run(c);
}

/* What was closed by who started us ("2>&-") must not become a file or the socket, into which a message is then written. */
static void fill_standard(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		/* For reading alone: that nothing can be written is still said. */
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != fd)
			_exit(EXIT_FAIL);
}

int main(int argc, char **argv)
{
	struct ctl c = { 0 };
	char *why = NULL, *hint = NULL;
	int r;

	/* A reader that went away ("varvectl export | head") is no error of ours: end quietly, as others do. */
	signal(SIGPIPE, SIG_DFL);
	fill_standard();
	term_init("auto");
	r = opts_parse(argc, argv, &c.opts, &why, &hint);
	if (r < 0) {
		json_mode(ctl_opt(&c, JSON), &c.json);
		r = ctl_fail(&c, EXIT_USAGE, hint, "%s", why);
	} else {
		r = globals(&c);
		if (r == EXIT_OK)
			r = dispatch(&c);
	}
	/* A full disk shows only now: a script must not take half a file for the whole. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && r == EXIT_OK)
		r = ctl_fail(&c, EXIT_FAIL, NULL, "cannot write: %s", strerror(errno));
	ctl_disconnect(&c);
	free(why);
	free(hint);
	return r;
}
