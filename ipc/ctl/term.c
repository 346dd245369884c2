#include "ipc/ctl/term.h"

#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "ipc/ctl/text.h"
#include "ipc/ctl/util.h"

#define COLUMNS_DEFAULT 80
#define COLUMNS_MIN 40
#define COLUMNS_MAX 400

static bool colors;
static volatile sig_atomic_t progress_shown;

static bool is_set(const char *name)
{
	const char *v = getenv(name);

	return v && *v;
}

int term_init(const char *color_when)
{
	/*
	 * A bare container sets no locale at all, yet its terminal is the UTF-8 one of today: as PEP 538 does. Who
	 * sets LC_ALL=C means it.
	 */
	if (!setlocale(LC_CTYPE, "") || (!is_set("LC_ALL") && !is_set("LC_CTYPE") && !is_set("LANG")))
		setlocale(LC_CTYPE, "C.UTF-8");
	tzset();
	if (strcmp(color_when, "always") == 0)
		colors = true;
	else if (strcmp(color_when, "never") == 0)
		colors = false;
	else if (strcmp(color_when, "auto") == 0)
		colors = isatty(STDOUT_FILENO) && !is_set("NO_COLOR") &&
			 strcmp(getenv("TERM") ? getenv("TERM") : "dumb", "dumb") != 0;
	else
		return -EINVAL;
	return 0;
}

size_t term_columns(void)
{
	struct winsize ws = { 0 };
	uint64_t n = 0;

	if (!is_set("COLUMNS") || parse_u64(getenv("COLUMNS"), &n) < 0)
		if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 || ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0)
			n = ws.ws_col;
	if (n == 0)
		return COLUMNS_DEFAULT;
	return n < COLUMNS_MIN ? COLUMNS_MIN : n > COLUMNS_MAX ? COLUMNS_MAX : (size_t)n;
}

bool term_is_tty(FILE *f)
{
	return isatty(fileno(f));
}

const char *term_color(enum color color)
{
	static const char *const codes[] = {
		[COLOR_OFF] = "\033[0m",   [COLOR_BOLD] = "\033[1m",   [COLOR_DIM] = "\033[2m",
		[COLOR_RED] = "\033[31m",  [COLOR_GREEN] = "\033[32m", [COLOR_YELLOW] = "\033[33m",
		[COLOR_BLUE] = "\033[34m",
	};

	return colors ? codes[color] : "";
}

int term_read_secret(int fd, char **ret)
{
	char *buf = xcalloc(SECRET_MAX + 1, 1);
	size_t n = 0;

	for (;;) {
		/* One byte at a time: what follows the line end belongs to whoever reads the descriptor next. */
		ssize_t r = read(fd, buf + n, 1);

		if (r < 0) {
			r = -errno;
			secret_free(buf);
			return (int)r;
		}
		if (r == 0 || buf[n] == '\n')
			break;
		if (++n == SECRET_MAX) {
			secret_free(buf);
			return -E2BIG;
		}
	}
	buf[n] = '\0';
	if (n > 0 && buf[n - 1] == '\r')
		buf[--n] = '\0';
	if (n == 0) {
		secret_free(buf);
		return -ENODATA;
	}
	*ret = buf;
	return 0;
}

void secret_free(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

/* Ends the waiting, so that the echo is turned on again before the signal takes its course. */
static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

/*
 * A line of the terminal. The signals are blocked but while waiting: one that comes just before a plain read(2) would
 * go unnoticed. ${mask}: what they are let through with. A terminal gives a line at a time, so reading does not wait.
 */
static int wait_for_line(const sigset_t *mask, char **ret)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

	if (ppoll(&p, 1, NULL, mask) < 0)
		return -errno;
	return term_read_secret(STDIN_FILENO, ret);
}

int term_ask_secret(const char *prompt, char **ret)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
	struct sigaction old[ARRAY_SIZE(signals)], act = { .sa_handler = on_signal };
	struct termios before, quiet;
	sigset_t block, mask;
	int r;

	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return -ENOTTY;
	interrupted = 0;
	sigemptyset(&block);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&block, signals[i]);
	sigprocmask(SIG_BLOCK, &block, &mask);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &act, &old[i]);
	/* Quiet first: what is typed at the sight of the prompt must neither be shown nor be flushed away. */
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	fputs(prompt, stderr);
	fflush(stderr);
	r = wait_for_line(&mask, ret);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &old[i], NULL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	if (interrupted)
		raise(interrupted);
	return r;
}

void term_bar(uint64_t part, uint64_t whole, size_t columns, char *buf)
{
	bool utf8 = text_is_utf8();
	size_t full = whole ? (size_t)((double)(part < whole ? part : whole) / (double)whole * (double)columns) : 0;

	*buf = '\0';
	for (size_t i = 0; i < columns; i++)
		buf = stpcpy(buf, i < full ? (utf8 ? "█" : "#") : (utf8 ? "░" : "."));
}

/*
 * Bytes of ${s} that stay on one line: a word, something "in quotes", or a command up to the end of its clause, so that
 * it can be copied. At most ${columns}, if it is more than a word.
 */
static size_t unit(const char *s, size_t columns)
{
	static const char *const commands[] = { "varvectl ", "systemctl ", "varve-salvage ", "chmod " };
	size_t word = strcspn(s, " \n"), len = word, lead = strspn(s, "(");
	bool quoted = s[lead] == '"', command = false;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		command = command || strncmp(s + lead, commands[i], strlen(commands[i])) == 0;
	if (!quoted && !command)
		return word;
	for (size_t end = word;; end += 1 + strcspn(s + end + 1, " \n")) {
		char last = s[end - 1];

		if (end > columns) /* bytes are never fewer than columns */
			return word;
		len = end;
		if (quoted ? memchr(s + lead + 1, '"', end - lead - 1) != NULL : strchr(",;.:)", last) != NULL)
			break;
		if (s[end] != ' ' || s[end + 1] == ' ')
			return quoted ? word : len;
	}
	return len;
}

/* The text without its line end; returns the column behind it. */
static size_t put_words(FILE *f, const char *s, size_t used, size_t indent)
{
	size_t edge = term_columns(), column = used;
	bool begun = used > indent; /* something is on this line already */

	for (const char *sep = ""; *s; s += strspn(s, " ")) {
		size_t len = unit(s, edge > indent ? edge - indent : 0);
		_cleanup_(freep) char *word = xstrndup(s, len);
		size_t columns = text_width(word);

		if (begun && column + strlen(sep) + columns > edge) {
			fprintf(f, "\n%*s", (int)indent, "");
			column = indent;
			sep = "";
		}
		column += strlen(sep) + columns;
		fprintf(f, "%s%s", sep, word);
		begun = true;
		sep = " ";
		s += len;
		if (*s == '\n' && *++s) {
			fprintf(f, "\n%*s", (int)indent, "");
			column = indent;
			begun = false;
			sep = "";
		}
	}
	return column;
}

void term_put(FILE *f, enum color color, const char *s, size_t used, size_t indent)
{
	if (color != COLOR_OFF)
		fputs(term_color(color), f);
	put_words(f, s, used, indent);
	fprintf(f, "%s\n", color != COLOR_OFF ? term_color(COLOR_OFF) : "");
}

bool term_can_ask(void)
{
	return term_is_tty(stdin) && term_is_tty(stderr);
}

bool term_confirm(const char *question)
{
	static const char choice[] = "[y/N] ";
	char answer[8];

	/* One column more for what is typed. */
	if (put_words(stderr, question, 0, 0) + strlen(choice) + 2 > term_columns())
		fprintf(stderr, "\n%s", choice);
	else
		fprintf(stderr, " %s", choice);
	fflush(stderr);
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

/* A signal that ends the program: the line goes, and the shell's prompt does not stand in the middle of a bar. */
static void on_end(int sig)
{
	static const char clear[] = "\r\033[K";

	if (progress_shown)
		(void)!write(STDERR_FILENO, clear, sizeof(clear) - 1);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void clear_at_end(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction now;

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL) /* not what is ignored (nohup) */
			signal(signals[i], on_end);
}

void term_progress(const char *text)
{
	_cleanup_(freep) char *cut = NULL;

	if (!term_is_tty(stderr))
		return;
	if (!text) {
		if (progress_shown)
			fputs("\r\033[K", stderr);
		progress_shown = false;
		return;
	}
	if (!progress_shown)
		clear_at_end();
	cut = text_ellipsis(text, term_columns() - 3); /* a terminal says "^C" behind it, and that on the same line */
	progress_shown = true; /* first: the signal may come in between */
	fprintf(stderr, "\r%s\033[K", cut);
	fflush(stderr);
}
