/*
 * secret.c: memory that the kernel locked, zero at first.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "vault/secret.h"

/* VmLck of this process in kB. */
static long locked_kb(void)
{
	char line[128];
	long kb = -1;
	FILE *f = fopen("/proc/self/status", "re");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "VmLck: %ld", &kb);
	fclose(f);
	return kb;
}

static void test_locked_and_zero(void **state)
{
	static const uint8_t zero[64];
	long before = locked_kb();
	uint8_t *p = secret_alloc(64);

	(void)state;
	assert_memory_equal(p, zero, 64);
	assert_true(locked_kb() > before);
	p = secret_free(p);
	assert_int_equal(locked_kb(), before);
	assert_null(secret_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_locked_and_zero) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
