#include "residue.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include <cmocka.h>

static struct {
	ucontext_t back, step;
	void (*run)(void *userdata);
	void *userdata;
	uint8_t stack[256 * 1024];
} other;

static void on_other(void)
{
	other.run(other.userdata);
}

void residue_run(void (*run)(void *userdata), void *userdata)
{
	other.run = run;
	other.userdata = userdata;
	memset(other.stack, 0, sizeof(other.stack));
	getcontext(&other.step);
	other.step.uc_stack.ss_sp = other.stack;
	other.step.uc_stack.ss_size = sizeof(other.stack);
	other.step.uc_link = &other.back;
	makecontext(&other.step, on_other, 0);
	assert_int_equal(swapcontext(&other.back, &other.step), 0);
}

void residue_mask(uint8_t *ret, const void *from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		ret[i] = ((const uint8_t *)from)[i] ^ 0x5a;
}

int residue_count(const uint8_t *masked, size_t len)
{
	FILE *f = fopen("/proc/self/maps", "re");
	uintptr_t from, to;
	char line[512], mode[5];
	int found = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		/* Not the kernel's pages, nor those that nobody can read. */
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &from, &to, mode) != 3 || mode[0] != 'r' ||
		    mode[1] != 'w')
			continue;
		for (const volatile uint8_t *p = (const volatile uint8_t *)from; p + len <= (const volatile uint8_t *)to;
		     p++) {
			size_t n = 0;

			while (n < len && (p[n] ^ 0x5a) == masked[n])
				n++;
			found += n == len;
		}
	}
	fclose(f);
	return found;
}
