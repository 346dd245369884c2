#include "vault/kdf.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/mem.h"
#include "vault/secret.h"

#define CALIBRATE_MEM (UINT64_C(64) << 20) /* bytes */
#define CALIBRATE_US INT64_C(1000000)
enum { CALIBRATE_OPS = 2, CALIBRATE_OPS_MAX = 32 };

static uint64_t test_ops, test_mem;

const char *kdf_type_name(enum slot_type type)
{
	switch (type) {
	case SLOT_KEYFILE:
		return "keyfile";
	case SLOT_PASSPHRASE:
		return "passphrase";
	case SLOT_CREDENTIAL:
		return "credential";
	case SLOT_RECOVERY:
		return "recovery";
	}
	return "";
}

void kdf_direct(const void *secret, size_t len, uint8_t ret_ikm[KDF_KEY])
{
	crypto_generichash(ret_ikm, KDF_KEY, secret, len, NULL, 0);
	secret_wipe_stack();
}

int kdf_argon2id(const void *secret, size_t len, const uint8_t salt[KDF_SALT], uint64_t ops, uint64_t mem,
		 uint8_t ret_ikm[KDF_KEY])
{
	if (ops < KDF_OPS_MIN || ops > KDF_OPS_MAX || mem < KDF_MEM_MIN || mem > KDF_MEM_MAX)
		return err_origin(-EINVAL);
	if (crypto_pwhash(ret_ikm, KDF_KEY, secret, len, salt, ops, (size_t)mem, crypto_pwhash_ALG_ARGON2ID13) < 0)
		return err_origin(-ENOMEM);
	return 0;
}

/* What this process has computed: other programs' work must not make the parameters weaker. */
static int64_t cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int kdf_calibrate(uint64_t *ret_ops, uint64_t *ret_mem)
{
	static const uint8_t salt[KDF_SALT];
	uint8_t out[KDF_KEY];
	int64_t before = cpu_us(), took;
	uint64_t ops, mem = CALIBRATE_MEM;
	int r;

	if (test_ops) {
		*ret_ops = test_ops;
		*ret_mem = test_mem;
		return 0;
	}
	r = kdf_argon2id("calibrate", 9, salt, CALIBRATE_OPS, mem, out);
	if (r < 0)
		return err_trace(r);
	took = cpu_us() - before;
	ops = (uint64_t)(CALIBRATE_OPS * CALIBRATE_US / (took > 0 ? took : 1));
	if (ops > CALIBRATE_OPS_MAX) {
		mem *= 2;
		ops /= 2;
	}
	if (ops > CALIBRATE_OPS_MAX)
		ops = CALIBRATE_OPS_MAX;
	if (ops < CALIBRATE_OPS)
		ops = CALIBRATE_OPS;
	*ret_ops = ops;
	*ret_mem = mem;
	return 0;
}

void kdf_set_for_tests(uint64_t ops, uint64_t mem)
{
	test_ops = ops;
	test_mem = mem;
}

void kdf_kek(enum slot_type type, const uint8_t vault_id[VAULT_ID], const uint8_t salt[KDF_SALT],
	     const uint8_t ikm[KDF_KEY], uint8_t ret_kek[KDF_KEY])
{
	static const char prefix[] = "varve slot 1 ";
	const char *name = kdf_type_name(type);
	crypto_generichash_state h;

	crypto_generichash_init(&h, ikm, KDF_KEY, KDF_KEY);
	crypto_generichash_update(&h, (const uint8_t *)prefix, sizeof(prefix) - 1);
	crypto_generichash_update(&h, (const uint8_t *)name, strlen(name) + 1);
	crypto_generichash_update(&h, vault_id, VAULT_ID);
	crypto_generichash_update(&h, salt, KDF_SALT);
	crypto_generichash_final(&h, ret_kek, KDF_KEY);
	secret_wipe(&h, sizeof(h));
	secret_wipe_stack();
}

void kdf_mac_key(const uint8_t master[KDF_KEY], uint8_t ret_key[KDF_KEY])
{
	crypto_kdf_derive_from_key(ret_key, KDF_KEY, 1, "varvemac", master);
	secret_wipe_stack();
}
