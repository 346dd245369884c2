#define _GNU_SOURCE /* pipe2, posix_openpt */
/*
 * The program varve-salvage on archives of the real store: what it may open, what it exits with, and that it only reads.
 */
#include "damage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/buf.h"
#include "vault/secret.h"
#include "vault/vault.h"

enum { OK = 0, FAILED = 1, USAGE = 2, IN_USE = 3, SECRET = 5, LOST = 10 }; /* varve-salvage(8) */
enum { MESSAGES = 40 };

static const char *program;

struct place {
	char home[128]; /* configuration, runtime directory, output */
	char *out, *messages;
};

static struct place prepare(struct fx *fx)
{
	_cleanup_(freep) char *config = config_of(fx->dir), *run = NULL, *link = NULL;
	struct message answer = text_in("answer", "yes");
	struct place p;

	fill(fx, MESSAGES - 1);
	answer.reply_id = "id-0";
	put_live(fx, answer, false);
	snprintf(p.home, sizeof(p.home), "%s-home", fx->dir);
	run = xasprintf("%s/run", p.home);
	link = xasprintf("%s/varve", p.home);
	assert_int_equal(mkdir(p.home, 0700), 0);
	assert_int_equal(mkdir(run, 0700), 0);
	assert_int_equal(symlink(config, link), 0);
	p.out = xasprintf("%s/out.db", p.home);
	p.messages = xasprintf("%s/out.jsonl", p.home);
	fx_close(fx);
	return p;
}

static void finish(struct fx *fx, struct place *p)
{
	remove_tree(p->home);
	free(p->out);
	free(p->messages);
	(void)fx;
}

/* Run it with these arguments (up to NULL) and ${input} as its descriptor 0: the exit code. */
static int salvage_with(const struct place *p, const char *input, const char *const args[])
{
	_cleanup_(freep) char *config = xasprintf("XDG_CONFIG_HOME=%s", p->home);
	_cleanup_(freep) char *run = xasprintf("XDG_RUNTIME_DIR=%s/run", p->home);
	_cleanup_(freep) char *err = xasprintf("%s/err", p->home);
	char *env[] = { config, run, NULL };
	_cleanup_(closep) int from = -1, to = -1;
	const char *argv[12] = { program };
	posix_spawn_file_actions_t fa;
	int status, fds[2];
	pid_t pid;

	for (size_t i = 0; args[i]; i++)
		argv[i + 1] = args[i];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	from = fds[0];
	to = fds[1];
	assert_int_equal(write(to, input, strlen(input)), strlen(input));
	close(TAKE_FD(to));
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, from, 0);
	posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&fa, 2, err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(posix_spawn(&pid, program, &fa, NULL, (char *const *)(uintptr_t)argv, env), 0);
	posix_spawn_file_actions_destroy(&fa);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#define SALVAGE(p, input, ...) salvage_with(p, input, (const char *const[]){ __VA_ARGS__, NULL })

/* What the last run said on stderr, line ends as spaces. */
static char *said(const struct place *p)
{
	_cleanup_(freep) char *path = xasprintf("%s/err", p->home);
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = xcalloc(8192, 1);

	assert_true(fd >= 0 && read(fd, text, 8191) >= 0);
	for (char *c = text; *c; c++)
		*c = (char)(*c == '\n' ? ' ' : *c);
	return text;
}

/* Every file of a directory: name, size, times of change, content. */
static char *all_of(const char *dir)
{
	struct buf b = { 0 };
	struct dirent **names;
	int n = scandir(dir, &names, NULL, alphasort);

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		_cleanup_(freep) char *path = xasprintf("%s/%s", dir, names[i]->d_name);
		struct stat st;

		assert_int_equal(stat(path, &st), 0);
		if (S_ISREG(st.st_mode)) {
			_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
			char data[65536];
			ssize_t got;

			buf_addf(&b, "%s %o %lld %lld.%ld\n", path, st.st_mode, (long long)st.st_size,
				 (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
			while ((got = read(fd, data, sizeof(data))) > 0)
				for (ssize_t j = 0; j < got; j++)
					buf_addf(&b, "%02x", (unsigned char)data[j]);
		} else {
			buf_addf(&b, "%s\n", path);
		}
		free(names[i]);
	}
	free(names);
	return buf_steal(&b);
}

static size_t lines_of(const char *path)
{
	FILE *f = fopen(path, "re");
	size_t n = 0;
	int c;

	assert_non_null(f);
	while ((c = fgetc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

static bool nothing_in(const char *home)
{
	_cleanup_(freep) char *run = xasprintf("%s/run", home);

	return rmdir(run) == 0 && mkdir(run, 0700) == 0;
}

TEST(it_opens_the_archive_by_itself_and_only_reads)
{
	struct fx *fx = *state;
	struct place p = prepare(fx);
	_cleanup_(freep) char *before = all_of(fx->dir), *after = NULL, *messages = NULL;
	struct stat st;

	messages = xasprintf("--messages=%s", p.messages);
	assert_int_equal(SALVAGE(&p, "", messages, fx->dir, p.out), OK);
	after = all_of(fx->dir);
	assert_string_equal(before, after);
	assert_true(nothing_in(p.home));
	assert_int_equal(stat(p.out, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(p.messages, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(lines_of(p.messages), MESSAGES);
	assert_true(file_has(p.messages, "\"conversation\":\"" CAROL "\""));
	assert_true(file_has(p.messages, "\"direction\":\"out\",\"state\":\"sent\""));
	assert_true(file_has(p.messages, "\"direction\":\"in\",\"state\":\"received\""));
	assert_true(file_has(p.messages, "\"reply_to\":1,"));
	assert_true(file_has(p.messages, "\\\"quoted\\\" \\\\ \\u0009\\u007f end\""));
	finish(fx, &p);
}

TEST(nothing_is_replaced)
{
	struct fx *fx = *state;
	struct place p = prepare(fx);
	_cleanup_(freep) char *inside = xasprintf("%s/out.db", fx->dir), *before = all_of(fx->dir), *after = NULL;

	write_file(p.out, "mine", 4);
	assert_int_equal(SALVAGE(&p, "", fx->dir, p.out), FAILED);
	assert_true(file_has(p.out, "mine"));
	assert_int_equal(file_size(p.out), 4);
	/* Nor is anything put beside the archive. */
	assert_int_equal(SALVAGE(&p, "", fx->dir, inside), FAILED);
	after = all_of(fx->dir);
	assert_string_equal(before, after);
	finish(fx, &p);
}

TEST(damage_has_its_own_exit_code)
{
	struct fx *fx = *state;
	struct place p = prepare(fx);
	_cleanup_(freep) char *db = xasprintf("%s/archive.db", fx->dir);

	flip(db, 5 * PAGE_SIZE + 100);
	assert_int_equal(SALVAGE(&p, "", fx->dir, p.out), LOST);
	assert_true(file_size(p.out) > 0);
	finish(fx, &p);
}

TEST(the_sidecar_or_its_copy_is_enough)
{
	struct fx *fx = *state;
	struct place p = prepare(fx);
	_cleanup_(freep) char *keys = xasprintf("%s/archive.keys", fx->dir), *bak = xasprintf("%s.bak", keys), *before = NULL,
			      *after = NULL, *text = NULL;

	assert_int_equal(unlink(bak), 0);
	assert_int_equal(SALVAGE(&p, "", fx->dir, p.out), OK);
	assert_int_equal(unlink(p.out), 0);
	text = said(&p);
	assert_null(strstr(text, "brought up to date")); /* only a copy that nobody knows of was */
	assert_int_equal(rename(keys, bak), 0);

	before = all_of(fx->dir);
	assert_int_equal(SALVAGE(&p, "", fx->dir, p.out), OK);
	after = all_of(fx->dir);
	assert_string_equal(before, after); /* it is not repaired here */
	assert_int_equal(unlink(p.out), 0);

	write_file(keys, "garbage", 7);
	assert_int_equal(SALVAGE(&p, "", fx->dir, p.out), OK);
	assert_int_equal(unlink(p.out), 0);

	assert_int_equal(unlink(keys), 0);
	assert_int_equal(unlink(bak), 0);
	assert_int_equal(SALVAGE(&p, "", fx->dir, p.out), FAILED);
	assert_int_equal(access(p.out, F_OK), -1);
	finish(fx, &p);
}

TEST(a_running_varved_is_left_alone)
{
	struct fx *fx = *state;
	struct place p = prepare(fx);
	_cleanup_(freep) char *lock = xasprintf("%s/lock", fx->dir);
	_cleanup_(closep) int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(SALVAGE(&p, "", fx->dir, p.out), IN_USE);
	assert_int_equal(access(p.out, F_OK), -1);
	assert_int_equal(flock(fd, LOCK_UN), 0);
	assert_int_equal(SALVAGE(&p, "", fx->dir, p.out), OK);
	finish(fx, &p);
}

/* The key file is gone: a recovery code opens it, and nothing that is wrong does. */
TEST(secrets)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *config = config_of(fx->dir), *why = NULL, *key_file = NULL, *line = NULL, *option = NULL,
			      *bad_file = NULL, *text = NULL;
	struct place p;
	uint32_t id;
	char *code;

	key_file = xasprintf("%s/%s", config, vault_slot_at(fx->v, 0).path);
	assert_int_equal(vault_add_recovery(fx->v, "", &id, &code, &why), 0);
	line = xasprintf("%s\nmore", code);
	secret_free(code);
	p = prepare(fx);
	bad_file = xasprintf("%s/moved.key", p.home);
	assert_int_equal(rename(key_file, bad_file), 0);

	assert_int_equal(SALVAGE(&p, "", fx->dir, p.out), SECRET);
	text = said(&p);
	assert_non_null(strstr(text, "--password-fd=N"));
	assert_non_null(strstr(text, "--key-file=FILE"));
	assert_null(strstr(text, "varvectl unlock"));
	assert_int_equal(SALVAGE(&p, "wrong\n", "--password-fd=0", fx->dir, p.out), SECRET);
	assert_int_equal(SALVAGE(&p, "", "--password-fd=0", fx->dir, p.out), SECRET);
	assert_int_equal(access(p.out, F_OK), -1);
	assert_int_equal(SALVAGE(&p, line, "--password-fd=0", fx->dir, p.out), OK);
	assert_int_equal(unlink(p.out), 0);

	option = xasprintf("--key-file=%s", bad_file);
	assert_int_equal(SALVAGE(&p, "", option, fx->dir, p.out), OK);
	assert_int_equal(unlink(p.out), 0);
	write_file(bad_file, "0123456789abcdef0123456789abcdef", 32);
	assert_int_equal(SALVAGE(&p, "", option, fx->dir, p.out), SECRET);
	assert_int_equal(access(p.out, F_OK), -1);
	finish(fx, &p);
}

/* On a terminal of its own, which *ret_terminal is the other end of. */
static pid_t salvage_on_terminal(const struct place *p, const char *dir, const char *messages, int *ret_terminal)
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), theirs;
	_cleanup_(freep) char *run = xasprintf("%s/run", p->home);
	pid_t pid;

	assert_true(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
	theirs = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(theirs >= 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		setsid();
		(void)ioctl(theirs, TIOCSCTTY, 0);
		for (int fd = 0; fd < 3; fd++)
			dup2(theirs, fd);
		setenv("XDG_CONFIG_HOME", p->home, 1);
		setenv("XDG_RUNTIME_DIR", run, 1);
		execl(program, program, messages, dir, p->out, NULL);
		_exit(127);
	}
	close(theirs);
	*ret_terminal = terminal;
	return pid;
}

TEST(who_gives_up_at_the_prompt_leaves_nothing_behind)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *config = config_of(fx->dir), *key_file = NULL, *option = NULL, *run = NULL;
	_cleanup_(closep) int terminal = -1;
	struct termios now;
	char seen[4096] = "";
	struct place p;
	size_t n = 0;
	int status;
	pid_t pid;

	key_file = xasprintf("%s/%s", config, vault_slot_at(fx->v, 0).path);
	p = prepare(fx);
	option = xasprintf("--messages=%s", p.messages);
	assert_int_equal(unlink(key_file), 0);
	pid = salvage_on_terminal(&p, fx->dir, option, &terminal);
	while (!strstr(seen, "code of the archive: ")) {
		ssize_t got = read(terminal, seen + n, sizeof(seen) - 1 - n);

		assert_true(got > 0);
		n += (size_t)got;
	}
	assert_int_equal(tcgetattr(terminal, &now), 0);
	assert_false(now.c_lflag & ECHO);
	assert_int_equal(write(terminal, "\003", 1), 1); /* ^C */
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
	assert_int_equal(tcgetattr(terminal, &now), 0);
	assert_true(now.c_lflag & ECHO);
	assert_int_equal(access(p.out, F_OK), -1);
	assert_int_equal(access(p.messages, F_OK), -1);
	run = xasprintf("%s/run", p.home);
	assert_int_equal(rmdir(run), 0); /* no copy of the keys */
	finish(fx, &p);
}

TEST(a_passphrase_opens_it)
{
	struct fx *fx = *state;
	_cleanup_(child_freep) struct child *child = NULL;
	_cleanup_(freep) char *why = NULL;
	struct place p;
	uint32_t id;

	assert_int_equal(vault_passphrase_start(fx->v, "correct horse", 13, &child, &why), 0);
	assert_int_equal(vault_passphrase_finish(fx->v, child, "", 0, &id, &why), 0);
	p = prepare(fx);
	assert_int_equal(SALVAGE(&p, "wrong horse\n", "--password-fd=0", fx->dir, p.out), SECRET);
	assert_int_equal(SALVAGE(&p, "correct horse\n", "--password-fd=0", fx->dir, p.out), OK);
	assert_int_equal(unlink(p.out), 0);
	assert_int_equal(SALVAGE(&p, "correct horse\r\n", "--password-fd=0", fx->dir, p.out), OK);
	finish(fx, &p);
}

TEST(a_pair_of_files_elsewhere)
{
	struct fx *fx = *state;
	struct place p = prepare(fx);
	_cleanup_(freep) char *from = xasprintf("%s/archive.db", fx->dir), *keys = xasprintf("--keys=%s/archive.keys", fx->dir);
	_cleanup_(freep) char *db = xasprintf("%s/copy.db", p.home), *option = xasprintf("--db=%s", db), *text = NULL;

	assert_int_equal(SALVAGE(&p, "", option, keys, p.out), FAILED); /* not there */
	assert_int_equal(rename(from, db), 0);
	assert_int_equal(SALVAGE(&p, "", option, keys, p.out), OK);
	assert_int_equal(unlink(p.out), 0);
	/* A database that is not of these keys. */
	write_file(db, "SQLite format 3", 16);
	assert_int_equal(SALVAGE(&p, "", option, keys, p.out), FAILED);
	assert_int_equal(access(p.out, F_OK), -1);
	text = said(&p);
	assert_non_null(strstr(text, "not one page"));
	assert_non_null(strstr(text, "NOT ENCRYPTED"));
	assert_true(strstr(text, "NOT ENCRYPTED") < strstr(text, "not one page")); /* before anything is written */
	finish(fx, &p);
}

TEST(called_wrongly)
{
	static const struct {
		const char *args[5];
		const char *why;
	} wrong[] = {
		{ { NULL }, "what to read" },
		{ { "a" }, "DIR OUT" },
		{ { "a", "b", "c" }, "two arguments" },
		{ { "--db=x", "out" }, "--db and --keys belong together" },
		{ { "--db=x", "--keys=y" }, "where to write" },
		{ { "--db=x", "--keys=y", "a", "b" }, "one argument" },
		{ { "--password-fd=0", "--key-file=x", "a", "b" }, "not both" },
	};
	struct fx *fx = *state;
	struct place p = prepare(fx);

	assert_int_equal(SALVAGE(&p, "", fx->dir), USAGE);
	assert_int_equal(SALVAGE(&p, "", "--db=x", fx->dir, p.out), USAGE);
	assert_int_equal(SALVAGE(&p, "", "--password-fd=x", fx->dir, p.out), USAGE);
	assert_int_equal(SALVAGE(&p, "", "--password-fd=0", "--key-file=x", fx->dir, p.out), USAGE);
	assert_int_equal(SALVAGE(&p, "", "--no-such", fx->dir, p.out), USAGE);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		_cleanup_(freep) char *why = NULL;

		assert_int_equal(salvage_with(&p, "", wrong[i].args), USAGE);
		why = said(&p);
		assert_non_null(strstr(why, wrong[i].why));
		assert_true(strlen(why) < 120); /* not hidden above the whole usage */
	}
	assert_int_equal(SALVAGE(&p, "", "--help"), OK);
	assert_int_equal(SALVAGE(&p, "", "--version"), OK);
	finish(fx, &p);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		RUN(it_opens_the_archive_by_itself_and_only_reads),
		RUN(nothing_is_replaced),
		RUN(damage_has_its_own_exit_code),
		RUN(the_sidecar_or_its_copy_is_enough),
		RUN(a_running_varved_is_left_alone),
		RUN(secrets),
		RUN(who_gives_up_at_the_prompt_leaves_nothing_behind),
		RUN(a_passphrase_opens_it),
		RUN(a_pair_of_files_elsewhere),
		RUN(called_wrongly),
	};

	if (argc < 2)
		return 1;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
