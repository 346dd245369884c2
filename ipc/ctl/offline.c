#include "ipc/ctl/offline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "ipc/ctl/util.h"

#define DISK_WARN_BYTES (UINT64_C(200) * 1024 * 1024) /* as the daemon's own check */

#define KEY_STORE_LINES_MAX 1000 /* of archive.keys; sixteen keys have 160 */

struct offline {
	offline_fn fn;
	void *userdata;
	char *data, *config, *runtime; /* .../varve; not necessarily there */
};

static void say(const struct offline *o, const char *check, const char *result, const char *hint, const char *fmt, ...)
	_printf_(5, 6);

static void say(const struct offline *o, const char *check, const char *result, const char *hint, const char *fmt, ...)
{
	_cleanup_(freep) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	o->fn(o->userdata, check, result, text, hint);
}

static char *runtime_dir(void)
{
	const char *value = getenv("XDG_RUNTIME_DIR");

	return value && *value == '/' ? xstrdup(value) : xasprintf("/run/user/%u", (unsigned)getuid());
}

/* Beside varvectl, or anywhere in $PATH. */
static char *find_program(const char *name)
{
	const char *path = getenv("PATH");
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	_cleanup_(freep) char *rest = NULL;

	if (n > 0) {
		char *slash;

		self[n] = '\0';
		slash = strrchr(self, '/');
		*slash = '\0';
		rest = xasprintf("%s:%s", self, path ? path : "/usr/local/bin:/usr/bin");
	} else {
		rest = xstrdup(path ? path : "/usr/local/bin:/usr/bin");
	}
	for (char *save = NULL, *dir = strtok_r(rest, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
		char *file = xasprintf("%s/%s", dir, name);

		if (access(file, X_OK) == 0)
			return file;
		free(file);
	}
	return NULL;
}

static void check_program(const struct offline *o)
{
	_cleanup_(freep) char *found = find_program("varved");

	if (found)
		say(o, "varved", "ok", NULL, "installed: %s", found);
	else
		say(o, "varved", "fail", "install it: meson install -C build, or the package varve",
		    "the program varved is not in $PATH");
}

/* One directory: there, ours, closed to others, writable. True if it can be looked into. */
static bool check_dir(const struct offline *o, const char *check, const char *dir, const char *if_missing)
{
	struct stat st;

	if (stat(dir, &st) < 0) {
		if (errno == ENOENT)
			say(o, check, if_missing ? "skip" : "fail",
			    if_missing ? NULL : "log in as this user with a session of its own: \"su\" makes none",
			    "%s is not there%s%s", dir, if_missing ? ": " : "", if_missing ? if_missing : "");
		else
			say(o, check, "fail", NULL, "%s: %s", dir, strerror(errno));
		return false;
	}
	if (!S_ISDIR(st.st_mode))
		say(o, check, "fail", "move it away", "%s is not a directory", dir);
	else if (st.st_uid != getuid())
		say(o, check, "fail", "run varvectl and varved as that user, or give it back with chown",
		    "%s belongs to the user with the number %u, not to you", dir, (unsigned)st.st_uid);
	else if (access(dir, R_OK | W_OK | X_OK) < 0)
		say(o, check, "fail", "chmod 700 that directory; is its file system read-only?", "%s: %s", dir,
		    strerror(errno));
	else if (st.st_mode & 077)
		say(o, check, "warn", "chmod 700 that directory", "%s can be opened by others (mode %04o)", dir,
		    (unsigned)(st.st_mode & 07777));
	else
		say(o, check, "ok", NULL, "%s, for this user only", dir);
	return S_ISDIR(st.st_mode) && access(dir, R_OK | X_OK) == 0;
}

static void check_socket(const struct offline *o)
{
	_cleanup_(freep) char *path = xasprintf("%s/varve/bus", o->runtime);
	struct stat st;

	if (stat(path, &st) == 0)
		say(o, "socket", "warn", "start varved; what is left of the old socket does not matter",
		    "%s is there, and nobody listens: varved was killed", path);
	else
		say(o, "socket", "skip", NULL, "varved is not running: there is no %s", path);
}

/* Somebody holds the lock though nobody answers: another varved with these directories, or one that hangs. */
static void check_lock(const struct offline *o)
{
	_cleanup_(freep) char *path = xasprintf("%s/lock", o->data);
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char pid[16] = "";

	if (fd < 0)
		return;
	if (flock(fd, LOCK_SH | LOCK_NB) == 0) {
		flock(fd, LOCK_UN);
		return;
	}
	if (read(fd, pid, sizeof(pid) - 1) > 0)
		pid[strspn(pid, "0123456789")] = '\0';
	say(o, "lock", "fail", "is XDG_RUNTIME_DIR another one there? Else end that process and start varved again",
	    "the archive is in use by the process %s, which does not answer here", *pid ? pid : "(unknown)");
}

static bool is_file(const char *dir, const char *name, struct stat *st)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, name);

	return stat(path, st) == 0 && S_ISREG(st->st_mode);
}

/* The value of a line 'WORD "VALUE"' of archive.keys (docs/store.md, "Keys"), with its backslashes taken; or NULL. */
static char *quoted(const char *line, const char *word)
{
	size_t len = strlen(word), n = 0;
	char *value;

	if (strncmp(line, word, len) != 0 || strncmp(line + len, " \"", 2) != 0)
		return NULL;
	line += len + 2;
	value = xcalloc(strlen(line) + 1, 1);
	for (; *line && *line != '"'; line++) {
		if (*line == '\\' && line[1])
			line++;
		value[n++] = *line;
	}
	return value;
}

/* A key file that a slot names: there, and ours alone. */
static void check_key_file(const struct offline *o, const char *name)
{
	_cleanup_(freep) char *path = *name == '/' ? xstrdup(name) : xasprintf("%s/%s", o->config, name);
	struct stat st;

	if (stat(path, &st) < 0)
		say(o, "key-file", "warn", "put it back from a copy, or unlock with a passphrase or recovery code",
		    "%s: %s", path, strerror(errno));
	else if (access(path, R_OK) < 0 || (st.st_mode & 077))
		say(o, "key-file", "warn", "chmod 600 it", "%s has the mode %04o", path,
		    (unsigned)(st.st_mode & 07777));
	else
		say(o, "key-file", "ok", NULL, "%s", path);
}

/* What the key store says must be there. It tells no secret, and is read as text: varved itself checks all of it. */
static void check_key_store(const struct offline *o, const char *name)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", o->data, name), *line = NULL, *database = NULL;
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	bool ready = false, key_file = false;
	size_t size = 0, lines = 0;
	struct stat st;

	if (!f) {
		say(o, "archive", "fail", "chmod 600 it", "%s: %s", path, strerror(errno));
		return;
	}
	while (getline(&line, &size, f) > 0 && lines++ < KEY_STORE_LINES_MAX) {
		_cleanup_(freep) char *value = quoted(line, "path");

		ready = ready || strcmp(line, "state ready\n") == 0;
		if (!database)
			database = quoted(line, "database");
		if (strncmp(line, "type ", 5) == 0)
			key_file = strcmp(line, "type keyfile\n") == 0;
		if (value && key_file)
			check_key_file(o, value);
	}
	if (!database)
		say(o, "archive", "fail", "keep all files, and put archive.keys back from a backup",
		    "%s is not a key store", path);
	else if (ready && !is_file(o->data, database, &st))
		say(o, "archive", "fail", "put it back; varved makes no new archive in its place",
		    "%s/%s is missing, though archive.keys says that it exists", o->data, database);
	else if (ready && (st.st_mode & 077))
		say(o, "archive", "warn", "chmod 600 it", "%s/%s can be read by others", o->data, database);
	else
		say(o, "archive", "ok", NULL, "%s/%s and its key store are there", o->data, database);
}

static void check_archive(const struct offline *o)
{
	struct stat keys, bak, db;
	bool has_keys = is_file(o->data, "archive.keys", &keys), has_bak = is_file(o->data, "archive.keys.bak", &bak);
	bool has_db = is_file(o->data, "archive.db", &db);

	if (has_keys) {
		check_key_store(o, "archive.keys");
	} else if (has_bak) {
		say(o, "archive", "warn", "start varved: it takes the copy",
		    "%s/archive.keys is missing, but its copy archive.keys.bak is there", o->data);
		check_key_store(o, "archive.keys.bak");
	} else if (has_db) {
		say(o, "archive", "fail", "put archive.keys back from a backup; without it nothing opens the archive",
		    "%s/archive.db is there, and its key store archive.keys is not", o->data);
	} else {
		say(o, "archive", "skip", NULL, "there is none yet: varved makes it at its first start");
	}
}

static void check_config(const struct offline *o)
{
	_cleanup_(freep) char *path = xasprintf("%s/varve.conf", o->config);
	struct stat st;

	if (stat(path, &st) < 0 && errno == ENOENT)
		say(o, "configuration", "ok", NULL, "none is needed, and there is none");
	else if (access(path, R_OK) < 0)
		say(o, "configuration", "fail", "chmod 600 it, or remove it", "%s: %s", path, strerror(errno));
	else
		say(o, "configuration", "skip",
		    "if varved does not start, run varved by hand in a terminal: its last line says why", "%s is there; only "
		    "varved checks what is in it", path);
}

static void check_disk(const struct offline *o)
{
	struct statvfs fs;
	uint64_t left;

	if (statvfs(o->data, &fs) < 0)
		return;
	left = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (fs.f_flag & ST_RDONLY)
		say(o, "disk", "fail", "mount it for writing", "%s is on a read-only file system", o->data);
	else if (left < DISK_WARN_BYTES)
		say(o, "disk", "warn", "free some space", "only %llu MB left", (unsigned long long)(left / 1000000));
	else
		say(o, "disk", "ok", NULL, "%llu MB left", (unsigned long long)(left / 1000000));
}

void offline_checks(offline_fn fn, void *userdata)
{
	struct offline o = {
		.fn = fn,
		.userdata = userdata,
		.data = xdg_dir("XDG_DATA_HOME", ".local/share"),
		.config = xdg_dir("XDG_CONFIG_HOME", ".config"),
		.runtime = runtime_dir(),
	};

	check_program(&o);
	if (check_dir(&o, "runtime", o.runtime, NULL))
		check_socket(&o);
	if (check_dir(&o, "data-directory", o.data, "varved makes it at its first start")) {
		check_lock(&o);
		check_archive(&o);
		check_disk(&o);
	}
	if (access(o.config, F_OK) == 0)
		check_dir(&o, "config-directory", o.config, NULL);
	check_config(&o);
	free(o.data);
	free(o.config);
	free(o.runtime);
}
