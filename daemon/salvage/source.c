#include "salvage/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "salvage/bytes.h"
#include "vault/vault.h"

enum { SIDECAR_MAX = 64 * 1024 }; /* bytes; one with every slot has a few kB */

struct source {
	char *dir; /* of the database, for messages */
	char *path;
	char *copies; /* private directory with the sidecar */
	int lock_fd, db_fd, log_fd;
	struct vault *vault;
};

static char *parent(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return xstrdup(".");
	return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

/* Lock ${dir}/lock, which is varved's (sync/lock.h), without writing to it. There is none where varved never ran. */
static int take_lock(struct source *s, char **ret_why)
{
	_cleanup_(freep) char *path = xasprintf("%s/lock", s->dir);
	char pid[32] = "";

	s->lock_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (s->lock_fd < 0 || flock(s->lock_fd, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return 0;
	(void)bytes_read(s->lock_fd, pid, sizeof(pid) - 1, 0);
	*ret_why = xasprintf("varved (process %ld) has the archive in %s open: stop it first "
			     "(systemctl --user stop varved), or salvage a backup",
			     strtol(pid, NULL, 10), s->dir);
	return SOURCE_E_IN_USE;
}

/* 0; 1 when ${from} is not there. */
static int copy_file(const char *from, const char *to)
{
	_cleanup_(freep) char *buf = xcalloc(SIDECAR_MAX, 1);
	_cleanup_(closep) int in = -1, out = -1;
	struct stat st;
	int r;

	in = open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (in < 0)
		return errno == ENOENT ? 1 : err_origin(-errno);
	if (fstat(in, &st) < 0)
		return err_origin(-errno);
	if (!S_ISREG(st.st_mode) || st.st_size > SIDECAR_MAX)
		return err_origin(-EINVAL);
	r = bytes_read(in, buf, (size_t)st.st_size, 0);
	if (r < 0)
		return err_trace(r);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0)
		return err_origin(-errno);
	r = bytes_write(out, buf, (size_t)st.st_size, 0);
	return r < 0 ? err_trace(r) : 0;
}

static int make_copies(struct source *s, const char *keys, char **ret_why)
{
	const char *tmp = getenv("XDG_RUNTIME_DIR");
	_cleanup_(freep) char *bak = xasprintf("%s.bak", keys), *to = NULL, *to_bak = NULL;
	int r, q;

	s->copies = xasprintf("%s/varve-salvage.XXXXXX", tmp && *tmp == '/' ? tmp : "/tmp");
	if (!mkdtemp(s->copies)) {
		r = -errno;
		free(TAKE_PTR(s->copies));
		return err_origin(r);
	}
	to = xasprintf("%s/" VAULT_SIDECAR, s->copies);
	to_bak = xasprintf("%s.bak", to);
	r = copy_file(keys, to);
	q = copy_file(bak, to_bak);
	/* One of the two is enough. */
	if (r == 0 || q == 0)
		return 0;
	*ret_why = r < 0 ? xasprintf("cannot read the keys in %s: %s", keys, strerror(-r)) :
			   xasprintf("there is no %s (nor %s): without it nothing can be read", keys, bak);
	return SOURCE_E_NO_KEYS;
}

/* The vault speaks of the copy; the user knows of the original only. */
static void name_original(const struct source *s, char **why)
{
	char *at = *why ? strstr(*why, s->copies) : NULL;
	char *better;

	if (!at)
		return;
	better = xasprintf("%.*s%s%s", (int)(at - *why), *why, s->dir, at + strlen(s->copies));
	free(*why);
	*why = better;
}

int source_new(const char *dir, const char *db, const char *keys, const char *config_dir, struct source **ret,
	       char **ret_why)
{
	_cleanup_(source_freep) struct source *s = xnew(struct source);
	_cleanup_(freep) char *sidecar = keys ? xstrdup(keys) : xasprintf("%s/" VAULT_SIDECAR, dir);
	int r;

	s->lock_fd = s->db_fd = s->log_fd = -1;
	s->dir = db ? parent(db) : xstrdup(dir);
	s->path = xstrdup(db);
	r = take_lock(s, ret_why);
	if (r != 0)
		return r;
	r = make_copies(s, sidecar, ret_why);
	if (r != 0)
		return r;
	r = vault_load(s->copies, config_dir, &s->vault, ret_why);
	if (r < 0)
		return err_trace(r);
	if (r > 0) {
		name_original(s, ret_why);
		return SOURCE_E_NO_KEYS;
	}
	*ret = TAKE_PTR(s);
	return 0;
}

/* An outcome of unlocking as one of ours. */
static int outcome(const struct source *s, int r, char **ret_why)
{
	if (r < 0)
		return err_trace(r);
	if (r > 0)
		name_original(s, ret_why);
	switch (r) {
	case 0:
		return 0;
	case VAULT_E_LOCKED:
		return SOURCE_E_LOCKED;
	case VAULT_E_WRONG:
		return SOURCE_E_WRONG;
	default:
		return SOURCE_E_NO_KEYS;
	}
}

int source_unlock_auto(struct source *s, char **ret_why)
{
	return outcome(s, vault_unlock_auto(s->vault, ret_why), ret_why);
}

int source_unlock_key(struct source *s, const void *key, size_t len, char **ret_why)
{
	return outcome(s, vault_unlock_direct(s->vault, key, len, ret_why), ret_why);
}

int source_unlock(struct source *s, const void *secret, size_t len, char **ret_why)
{
	_cleanup_(child_freep) struct child *child = NULL;
	int r;

	if (vault_is_recovery_code(secret, len)) {
		r = vault_unlock_direct(s->vault, secret, len, ret_why);
		if (r != VAULT_E_WRONG)
			return outcome(s, r, ret_why);
		free(*ret_why);
		*ret_why = NULL;
	}
	r = vault_derive_start(s->vault, secret, len, &child);
	if (r == 0)
		r = vault_unlock_derived(s->vault, child, ret_why);
	else if (r > 0)
		*ret_why = xstrdup("no passphrase is set for this archive, and that is no recovery code of it");
	return outcome(s, r, ret_why);
}

int source_open(struct source *s, char **ret_why)
{
	_cleanup_(freep) char *log = NULL;
	const char *name;

	if (!s->path) {
		name = strrchr(vault_path(s->vault), '/');
		s->path = xasprintf("%s/%s", s->dir, name ? name + 1 : vault_path(s->vault));
	}
	log = xasprintf("%s-wal", s->path);
	s->db_fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (s->db_fd < 0) {
		*ret_why = xasprintf("cannot open the database %s: %s", s->path, strerror(errno));
		return SOURCE_E_NO_DATABASE;
	}
	s->log_fd = open(log, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (s->log_fd < 0 && errno != ENOENT)
		log_warning("cannot open %s, which may hold the newest messages: %s", log, strerror(errno));
	return 0;
}

const struct page_keys *source_keys(const struct source *s)
{
	return vault_keys(s->vault);
}

const char *source_path(const struct source *s)
{
	return s->path;
}

int source_db(const struct source *s)
{
	return s->db_fd;
}

int source_log(const struct source *s)
{
	return s->log_fd;
}

/* The private directory with whatever the vault made there. */
static void remove_copies(const char *dir)
{
	struct dirent *e;
	DIR *d = opendir(dir);

	while (d && (e = readdir(d)))
		(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	if (rmdir(dir) < 0)
		log_warning("cannot remove %s: %s", dir, strerror(errno));
}

struct source *source_free(struct source *s)
{
	if (!s)
		return NULL;
	vault_free(s->vault);
	if (s->copies)
		remove_copies(s->copies);
	closep(&s->lock_fd);
	closep(&s->db_fd);
	closep(&s->log_fd);
	free(s->copies);
	free(s->path);
	free(s->dir);
	free(s);
	return NULL;
}
