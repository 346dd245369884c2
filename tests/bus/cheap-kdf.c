/*
 * Argon2id for nothing: LD_PRELOAD, and a passphrase costs a millisecond instead of a second of computing, of which varved
 * makes a child do one for every slot that it makes or tries. For tests of what passphrases open; those of what the computing
 * does to others take libsodium's. The parameters go into the result, as they do there.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sodium.h>

int crypto_pwhash(unsigned char *const out, unsigned long long out_len, const char *const secret, unsigned long long len,
		  const unsigned char *const salt, unsigned long long ops, size_t mem, int alg)
{
	static int (*real)(unsigned char *, unsigned long long, const char *, unsigned long long, const unsigned char *,
			   unsigned long long, size_t, int);
	unsigned char other[crypto_pwhash_SALTBYTES];

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "crypto_pwhash");
	for (size_t i = 0; i < sizeof(other); i++)
		other[i] = (unsigned char)(salt[i] ^ (i < 8 ? ops >> 8 * i : (unsigned long long)mem >> 8 * (i - 8)));
	return real(out, out_len, secret, len, other, crypto_pwhash_OPSLIMIT_MIN, crypto_pwhash_MEMLIMIT_MIN, alg);
}
