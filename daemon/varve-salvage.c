#define _GNU_SOURCE /* ppoll */
/*
 * varve-salvage: every page of a damaged archive that still authenticates, as a plain SQLite file, and every message
 * on them. See varve-salvage(8).
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>

#include "base/harden.h"
#include "base/log.h"
#include "salvage/carve.h"
#include "salvage/image.h"
#include "salvage/jsonl.h"
#include "salvage/report.h"
#include "salvage/source.h"
#include "vault/secret.h"
#include "vault/vault.h"
#include "varve-build.h"

/* Exit codes, as varve-salvage(8) lists them; where varvectl(1) has the same case, its number. */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_IN_USE = 3, EXIT_SECRET = 5, EXIT_LOST = 10 };

enum { COLUMNS = 80 }; /* of a terminal; one that is wider shows the same */
struct args {
	const char *dir, *out, *db, *keys, *messages, *key_file;
	int password_fd; /* -1: not given */
};

static int usage(void)
{
	fputs("Usage: varve-salvage [OPTION...] DIR OUT\n"
	      "       varve-salvage [OPTION...] --db=FILE --keys=FILE OUT\n"
	      "\n"
	      "Writes what can still be read of a damaged archive to OUT, a plain SQLite\n"
	      "database, which is NOT ENCRYPTED. DIR is the data directory of a varved that\n"
	      "does not run, mostly ~/.local/share/varve; it is only read.\n"
	      "\n"
	      "  --messages=FILE    also every message, as one JSON object a line\n"
	      "  --db=FILE --keys=FILE\n"
	      "                     another pair, such as a backup and its .keys\n"
	      "  --password-fd=N    read the passphrase or recovery code from descriptor N\n"
	      "  --key-file=FILE    unlock with this key file\n"
	      "  --version, --help\n",
	      stdout);
	return EXIT_OK;
}

/* ${why}: NULL where getopt_long(3) has said it. The whole usage below would hide it. */
static int wrong_usage(const char *why)
{
	if (why)
		fprintf(stderr, "varve-salvage: %s\n", why);
	fputs("    varve-salvage --help\n", stderr);
	return EXIT_USAGE;
}

/* -1, or the code to exit with. */
static int parse_args(int argc, char **argv, struct args *a)
{
	enum { MESSAGES = 256, DB, KEYS, PASSWORD_FD, KEY_FILE };
	static const struct option options[] = {
		{ "messages", required_argument, NULL, MESSAGES },
		{ "db", required_argument, NULL, DB },
		{ "keys", required_argument, NULL, KEYS },
		{ "password-fd", required_argument, NULL, PASSWORD_FD },
		{ "key-file", required_argument, NULL, KEY_FILE },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	char *end = NULL;
	int c;

	a->password_fd = -1;
	while ((c = getopt_long(argc, argv, "hV", options, NULL)) >= 0) {
		switch (c) {
		case MESSAGES:
			a->messages = optarg;
			break;
		case DB:
			a->db = optarg;
			break;
		case KEYS:
			a->keys = optarg;
			break;
		case PASSWORD_FD:
			errno = 0;
			a->password_fd = (int)strtol(optarg, &end, 10);
			if (errno || end == optarg || *end || a->password_fd < 0) {
				fprintf(stderr, "varve-salvage: --password-fd=%s is not a number\n", optarg);
				return EXIT_USAGE;
			}
			break;
		case KEY_FILE:
			a->key_file = optarg;
			break;
		case 'h':
			return usage();
		case 'V':
			return printf("varve-salvage %s\n", VARVE_VERSION) < 0 ? EXIT_FAILED : EXIT_OK;
		default:
			return wrong_usage(NULL);
		}
	}
	if (!a->db != !a->keys)
		return wrong_usage("--db and --keys belong together");
	if (a->password_fd >= 0 && a->key_file)
		return wrong_usage("--password-fd or --key-file, not both");
	if (argc - optind < (a->db ? 1 : 2))
		return wrong_usage(a->db ? "say where to write: OUT" : "say what to read, and where to write: DIR OUT");
	if (argc - optind > (a->db ? 1 : 2))
		return wrong_usage(a->db ? "with --db there is one argument: OUT" : "there are two arguments: DIR OUT");
	if (!a->db)
		a->dir = argv[optind++];
	a->out = argv[optind];
	return -1;
}

/* ${ret}: VAULT_SECRET_MAX bytes. Up to the end, or the first line end if ${line}. 0 or -errno. */
static int read_secret(int fd, bool line, char *ret, size_t *ret_len)
{
	size_t len = 0;
	ssize_t n;

	for (;;) {
		char c;

		n = read(fd, &c, 1); /* what follows a line belongs to somebody else */
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0 || (line && c == '\n'))
			break;
		if (len == VAULT_SECRET_MAX)
			return -E2BIG;
		ret[len++] = c;
	}
	if (line && len > 0 && ret[len - 1] == '\r') /* as varvectl: a file from elsewhere */
		len--;
	*ret_len = len;
	return len > 0 ? 0 : -ENODATA;
}

/* The signal by which somebody gave up at the prompt, until everything is cleared away. */
static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

/* As term_ask_secret() of varvectl: the signals come while it waits, and only then. -EINTR: one did. */
static int ask_secret(char *ret, size_t *ret_len)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction old[ARRAY_SIZE(signals)], act = { .sa_handler = on_signal };
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	struct termios before, silent;
	sigset_t block, mask;
	int r;

	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return -errno;
	sigemptyset(&block);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&block, signals[i]);
	sigprocmask(SIG_BLOCK, &block, &mask);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &act, &old[i]);
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent); /* first: what is typed at the sight of the prompt is not shown */
	fputs("Passphrase or recovery code of the archive: ", stderr);
	r = ppoll(&p, 1, NULL, &mask) < 0 ? -errno : read_secret(STDIN_FILENO, true, ret, ret_len);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &old[i], NULL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return r;
}

static int unlock_with(struct source *s, const struct args *a, char *secret, char **ret_why)
{
	_cleanup_(closep) int fd = -1;
	size_t len = 0;
	int r;

	if (a->key_file) {
		fd = open(a->key_file, O_RDONLY | O_CLOEXEC);
		r = fd < 0 ? -errno : read_secret(fd, false, secret, &len);
	} else {
		r = a->password_fd >= 0 ? read_secret(a->password_fd, true, secret, &len) : ask_secret(secret, &len);
	}
	if (r < 0) {
		*ret_why = xasprintf("cannot read the %s: %s", a->key_file ? "key file" : "passphrase", strerror(-r));
		return SOURCE_E_LOCKED;
	}
	return a->key_file ? source_unlock_key(s, secret, len, ret_why) : source_unlock(s, secret, len, ret_why);
}

/* The sentence of the vault ends with what one does to a varved that runs; here it is an option. */
static void tell_how(char **why)
{
	char *what = TAKE_PTR(*why), *tail = strrchr(what, ';');

	if (tail)
		*tail = '\0';
	*why = xasprintf("%s; give the passphrase or a recovery code with --password-fd=N (for example "
			 "--password-fd=0 <file), or a key file with --key-file=FILE", what);
	free(what);
}

static int unlock(struct source *s, const struct args *a, char **ret_why)
{
	char *secret;
	int r;

	if (!a->key_file && a->password_fd < 0) {
		r = source_unlock_auto(s, ret_why);
		if (r == SOURCE_E_LOCKED && !isatty(STDIN_FILENO))
			tell_how(ret_why);
		if (r != SOURCE_E_LOCKED || !isatty(STDIN_FILENO))
			return r;
		free(TAKE_PTR(*ret_why));
	}
	secret = secret_alloc(VAULT_SECRET_MAX);
	r = unlock_with(s, a, secret, ret_why);
	secret_free(secret);
	return r;
}

/* A new file, only for us; nothing is ever replaced, and nothing put into ${dir}. -1 after having said why. */
static int make_file(const char *path, const char *dir)
{
	_cleanup_(freep) char *copy = xstrdup(path);
	char *slash = strrchr(copy, '/');
	struct stat a, b;
	int fd;

	if (slash)
		slash[slash == copy ? 1 : 0] = '\0';
	if (dir && stat(dir, &a) == 0 && stat(slash ? copy : ".", &b) == 0 && a.st_dev == b.st_dev &&
	    a.st_ino == b.st_ino) {
		log_error("%s is in the archive's own directory: nothing is written there", path);
		return -1;
	}
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 && errno == EEXIST)
		log_error("%s exists already: nothing is replaced, give another name", path);
	else if (fd < 0)
		log_error("cannot make %s: %s", path, strerror(errno));
	return fd;
}

static int put_message(void *userdata, const struct carved *m)
{
	FILE *f = userdata;

	jsonl_put(f, m);
	return ferror(f) ? -EIO : 0;
}

static int write_messages(const struct image *im, const char *path, int fd)
{
	struct carve_result result = { 0 };
	FILE *f = fdopen(dup(fd), "w");
	int r;

	if (!f)
		return -errno;
	r = carve_messages(im, put_message, f, &result);
	if (fflush(f) != 0 || fsync(fd) < 0)
		r = r < 0 ? r : -errno;
	fclose(f);
	if (r == 0)
		report_messages(&result, path, report_lost(im));
	carve_result_deinit(&result);
	return r;
}

/* Files are made before anything is asked: who typed a passphrase shall not hear then that OUT exists. */
static int work(struct source *s, const struct args *a, int out, int messages)
{
	_cleanup_(image_freep) struct image *im = NULL;
	int r;

	fputs("What is written now is NOT ENCRYPTED: whoever can read it has all messages, and\n"
	      "the passwords of the accounts. Keep it safe, and remove it when you are done.\n",
	      stderr);
	r = image_new(source_db(s), source_log(s), source_keys(s), out, &im);
	if (r == 0 && fsync(out) < 0)
		r = -errno;
	if (r < 0) {
		log_error("cannot write %s: %s", a->out, strerror(-r));
		return EXIT_FAILED;
	}
	if (image_counts(im).good == 0) {
		log_error("not one page of %s can be read with these keys: is it the database that belongs to them?",
			  source_path(s));
		return EXIT_FAILED;
	}
	report_image(im);
	r = messages >= 0 ? write_messages(im, a->messages, messages) : 0;
	if (r < 0) {
		log_error("cannot write %s: %s", a->messages, strerror(-r));
		return EXIT_FAILED;
	}
	return report_lost(im) ? EXIT_LOST : EXIT_OK;
}

static int exit_code(int r)
{
	switch (r) {
	case SOURCE_E_IN_USE:
		return EXIT_IN_USE;
	case SOURCE_E_LOCKED:
	case SOURCE_E_WRONG:
		return EXIT_SECRET;
	default:
		return EXIT_FAILED;
	}
}

/* The reason is a sentence or two: on a terminal it is broken between words, elsewhere it stays a line. */
static void fail(const char *why)
{
	size_t column = (size_t)fprintf(stderr, "varve-salvage:");

	for (const char *p = why; *p; p += strspn(p, " ")) {
		size_t len = strcspn(p, " ");

		if (isatty(STDERR_FILENO) && column + 1 + len > COLUMNS) {
			fputs("\n   ", stderr);
			column = 3;
		}
		column += (size_t)fprintf(stderr, " %.*s", (int)len, p);
		p += len;
	}
	fputc('\n', stderr);
}

static int run(const struct args *a, const char *config, int out, int messages)
{
	_cleanup_(source_freep) struct source *s = NULL;
	_cleanup_(freep) char *why = NULL;
	int r;

	r = source_new(a->dir, a->db, a->keys, config, &s, &why);
	if (r == 0)
		r = unlock(s, a, &why);
	if (r == 0)
		r = source_open(s, &why);
	if (r != 0) {
		fail(why ? why : strerror(r < 0 ? -r : EIO));
		return exit_code(r);
	}
	return work(s, a, out, messages);
}

static char *config_dir(void)
{
	const char *dir = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (dir && *dir == '/')
		return xasprintf("%s/varve", dir);
	return home && *home == '/' ? xasprintf("%s/.config/varve", home) : xstrdup("/nonexistent");
}

int main(int argc, char **argv)
{
	_cleanup_(freep) char *config = NULL;
	_cleanup_(closep) int out = -1, messages = -1;
	struct args a = { 0 };
	int r;

	log_init("varve-salvage");
	if (!getenv("VARVE_LOG"))
		log_set_level(LOG_LEVEL_WARNING); /* what the vault tells below that is of our private copy of the keys */
	r = parse_args(argc, argv, &a);
	if (r >= 0)
		return r;
	harden();
	out = make_file(a.out, a.dir);
	if (out < 0)
		return EXIT_FAILED;
	if (a.messages)
		messages = make_file(a.messages, a.dir);
	config = config_dir();
	r = a.messages && messages < 0 ? EXIT_FAILED : run(&a, config, out, messages);
	if (r != EXIT_OK && r != EXIT_LOST) {
		(void)unlink(a.out);
		if (messages >= 0)
			(void)unlink(a.messages);
	}
	if (interrupted)
		raise(interrupted);
	return r;
}
