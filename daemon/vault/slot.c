#define _GNU_SOURCE
#include "vault/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "vault/secret.h"
#include "vault/vault-file.h"

static void associate(struct buf *ad, const struct sidecar_slot *slot, const uint8_t vault_id[VAULT_ID])
{
	const char *name = kdf_type_name(slot->type);
	uint8_t id[4] = { (uint8_t)slot->id, (uint8_t)(slot->id >> 8), (uint8_t)(slot->id >> 16),
			  (uint8_t)(slot->id >> 24) };

	buf_adds(ad, "varve slot 1 ");
	buf_add(ad, name, strlen(name) + 1);
	buf_add(ad, id, sizeof(id));
	buf_add(ad, vault_id, VAULT_ID);
}

void slot_seal(struct sidecar_slot *slot, const uint8_t vault_id[VAULT_ID], const uint8_t ikm[KDF_KEY],
	       const uint8_t master[PAGE_KEY])
{
	_cleanup_(buf_deinit) struct buf ad = { 0 };
	uint8_t kek[KDF_KEY];

	associate(&ad, slot, vault_id);
	randombytes_buf(slot->nonce, sizeof(slot->nonce));
	kdf_kek(slot->type, vault_id, slot->salt, ikm, kek);
	crypto_aead_xchacha20poly1305_ietf_encrypt(slot->wrapped, NULL, master, PAGE_KEY, (const uint8_t *)ad.data,
						   ad.len, NULL, slot->nonce, kek);
	secret_wipe(kek, sizeof(kek));
}

bool slot_open(const struct sidecar_slot *slot, const uint8_t vault_id[VAULT_ID], const uint8_t ikm[KDF_KEY],
	       uint8_t ret_master[PAGE_KEY])
{
	_cleanup_(buf_deinit) struct buf ad = { 0 };
	uint8_t kek[KDF_KEY], out[PAGE_KEY];
	bool ok;

	associate(&ad, slot, vault_id);
	kdf_kek(slot->type, vault_id, slot->salt, ikm, kek);
	ok = crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, slot->wrapped, sizeof(slot->wrapped),
							(const uint8_t *)ad.data, ad.len, slot->nonce, kek) == 0;
	if (ok)
		memcpy(ret_master, out, PAGE_KEY);
	secret_wipe(out, sizeof(out));
	secret_wipe(kek, sizeof(kek));
	return ok;
}

void slot_salt(struct sidecar_slot *slot)
{
	randombytes_buf(slot->salt, sizeof(slot->salt));
}

static int say(char **ret_why, int outcome, const char *what)
{
	*ret_why = xstrdup(what);
	return outcome;
}

static int cannot_open(int error, char **ret_why)
{
	if (error == ENOENT || error == ENOTDIR)
		return say(ret_why, SLOT_E_MISSING, "does not exist");
	if (error == ELOOP)
		return say(ret_why, SLOT_E_UNREADABLE, "is a symbolic link; varve wants the file itself");
	*ret_why = xasprintf("cannot be opened (%s)", strerror(error));
	return SLOT_E_UNREADABLE;
}

/* ${ours}: must belong to this user; systemd makes its credentials root's with an ACL, or the user's. */
static int read_secret(const char *path, bool ours, uint8_t ret_ikm[KDF_KEY], char **ret_why)
{
	/* NONBLOCK: opening a FIFO that somebody put there must not wait. */
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	uint8_t content[VAULT_SECRET_MAX + 1];
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return cannot_open(errno, ret_why);
	if (fstat(fd, &st) < 0)
		return cannot_open(errno, ret_why);
	if (!S_ISREG(st.st_mode))
		return say(ret_why, SLOT_E_UNREADABLE, "is not a regular file");
	if (ours && st.st_uid != geteuid())
		return say(ret_why, SLOT_E_EXPOSED, "belongs to another user (chown it)");
	if ((st.st_mode & (ours ? 077 : 022)) != 0)
		return say(ret_why, SLOT_E_EXPOSED, "is open to other users (chmod 600 it)");
	n = io_read(fd, content, sizeof(content));
	if (n < 0) {
		secret_wipe(content, sizeof(content));
		return cannot_open((int)-n, ret_why);
	}
	if (n < VAULT_CREDENTIAL_MIN || n > VAULT_SECRET_MAX) {
		secret_wipe(content, sizeof(content));
		*ret_why = xasprintf("is not between %d and %d bytes long", VAULT_CREDENTIAL_MIN, VAULT_SECRET_MAX);
		return SLOT_E_SIZE;
	}
	kdf_direct(content, (size_t)n, ret_ikm);
	secret_wipe(content, sizeof(content));
	return 0;
}

char *slot_path(const char *config_dir, const char *path)
{
	return *path == '/' ? xstrdup(path) : xasprintf("%s/%s", config_dir, path);
}

int slot_read_keyfile(const char *config_dir, const char *path, uint8_t ret_ikm[KDF_KEY], char **ret_why)
{
	_cleanup_(freep) char *full = slot_path(config_dir, path);

	return read_secret(full, true, ret_ikm, ret_why);
}

int slot_read_credential(const char *name, uint8_t ret_ikm[KDF_KEY], char **ret_why)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	_cleanup_(freep) char *path = NULL;

	if (!dir || *dir != '/')
		return say(ret_why, SLOT_E_MISSING, "was not given (no $CREDENTIALS_DIRECTORY)");
	path = xasprintf("%s/%s", dir, name);
	return read_secret(path, false, ret_ikm, ret_why);
}

int slot_read(const struct sidecar_slot *slot, const char *config_dir, uint8_t ret_ikm[KDF_KEY], char **ret_why)
{
	if (slot->type == SLOT_KEYFILE)
		return slot_read_keyfile(config_dir, slot->path, ret_ikm, ret_why);
	if (slot->type == SLOT_CREDENTIAL)
		return slot_read_credential(slot->path, ret_ikm, ret_why);
	return say(ret_why, SLOT_E_MISSING, "is no file");
}

int slot_make_keyfile(const char *path, const char *archive, char **ret_why)
{
	_cleanup_(secret_freep) struct {
		uint8_t key[KDF_KEY];
		char hex[2 * KDF_KEY + 1];
		char text[256];
	} *x = secret_alloc(sizeof(*x));
	int r;

	randombytes_buf(x->key, sizeof(x->key));
	sodium_bin2hex(x->hex, sizeof(x->hex), x->key, sizeof(x->key));
	snprintf(x->text, sizeof(x->text),
		 "# varve: key file of archive %s. Whoever has it and the archive can read all of it.\n"
		 "# The whole file is the key: do not edit it.\n%s\n",
		 archive, x->hex);
	r = file_create(path, x->text, "vault.key-file", ret_why);
	return r < 0 ? err_trace(r) : r;
}
