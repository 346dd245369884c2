#include "ipc/ctl/secret.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/term.h"
#include "ipc/ctl/text.h"

#define WEAK_CHARS 8 /* shorter ones fall to a day of guessing, whatever they are made of */
#define WEAK_DIGITS 12 /* digits alone: ten to the power of this is as far */
#define NEW_ROUNDS 3 /* times that two different passphrases are typed before it is not a slip */

int secret_possible(struct ctl *c, const char *noun)
{
	const char *fd_text = ctl_opt(c, PASSWORD_FD);
	uint64_t fd;

	if (fd_text && (parse_u64(fd_text, &fd) < 0 || fd > INT32_MAX))
		return ctl_fail(c, EXIT_USAGE, NULL, "--password-fd=%s is not a number", fd_text);
	if (!fd_text && !term_is_tty(stdin))
		return ctl_fail(c, EXIT_USAGE, "give it with --password-fd=N, for example: --password-fd=0 <file",
				"%s is needed, and there is no terminal to ask for it", noun);
	return EXIT_OK;
}

int secret_get(struct ctl *c, const char *noun, const char *prompt, char **ret)
{
	const char *fd_text = ctl_opt(c, PASSWORD_FD);
	_cleanup_(freep) char *clean = NULL;
	uint64_t fd;
	int r = secret_possible(c, noun);

	if (r != EXIT_OK)
		return r;
	prctl(PR_SET_DUMPABLE, 0); /* from here on a crash must leave no core: the secret would be in it */
	if (fd_text) {
		parse_u64(fd_text, &fd);
		r = term_read_secret((int)fd, ret);
	} else {
		clean = text_clean(prompt, false);
		r = term_ask_secret(clean, ret);
	}
	switch (-r) {
	case 0:
		return EXIT_OK;
	case ENODATA:
		return ctl_fail(c, EXIT_USAGE, NULL, "%s is empty", noun);
	case E2BIG:
		return ctl_fail(c, EXIT_USAGE, NULL, "%s is longer than %d bytes", noun, SECRET_MAX);
	}
	return ctl_fail(c, EXIT_USAGE, NULL, "cannot read %s%s%s: %s", noun, fd_text ? " from --password-fd=" : "",
			fd_text ? fd_text : "", strerror(-r));
}

const char *secret_weakness(const char *passphrase)
{
	size_t digits = strspn(passphrase, "0123456789"), chars = 0;

	if (passphrase[digits] == '\0' && digits < WEAK_DIGITS)
		return "A number this short is no protection: whoever has the files tries all of them in a short time.";
	for (const char *p = passphrase; *p; p++)
		chars += (*p & 0xC0) != 0x80; /* characters, not bytes of UTF-8 */
	if (chars < WEAK_CHARS)
		return "A passphrase this short can be guessed by whoever has the files; four or more random words "
		       "cannot.";
	return NULL;
}

/* Said before the second prompt, where one can still think again. */
static void tell_weakness(struct ctl *c, const char *passphrase)
{
	const char *weak = secret_weakness(passphrase);

	if (!weak || c->quiet || c->json != JSON_OFF)
		return;
	if (term_is_tty(stderr))
		term_put(stderr, COLOR_OFF, weak, 0, 0);
	else
		fprintf(stderr, "%s\n", weak);
}

/* From --password-fd: a script has nobody who could mistype. */
static int new_from_fd(struct ctl *c, bool skip_empty, char **ret)
{
	uint64_t fd;
	int r;

	if (!skip_empty || parse_u64(ctl_opt(c, PASSWORD_FD), &fd) < 0 || fd > INT32_MAX ||
	    term_read_secret((int)fd, ret) < 0) {
		r = secret_get(c, "the new passphrase", "", ret);
		if (r != EXIT_OK)
			return r;
	}
	tell_weakness(c, *ret);
	return EXIT_OK;
}

int secret_new(struct ctl *c, bool skip_empty, char **ret)
{
	char *first = NULL, *second = NULL;
	int r;

	if (ctl_opt(c, PASSWORD_FD))
		return new_from_fd(c, skip_empty, ret);

	for (int round = 0; round < NEW_ROUNDS; round++) {
		r = secret_get(c, "the new passphrase", "New passphrase: ", &first);
		if (r != EXIT_OK)
			return r;
		if (round == 0)
			tell_weakness(c, first);
		r = secret_get(c, "the new passphrase", "The same again: ", &second);
		if (r == EXIT_OK && strcmp(first, second) == 0) {
			secret_free(second);
			*ret = first;
			return EXIT_OK;
		}
		secret_free(first);
		secret_free(second);
		first = second = NULL;
		if (r != EXIT_OK)
			return r;
		if (round + 1 < NEW_ROUNDS)
			fputs("They are not the same.\n", stderr);
	}
	return ctl_fail(c, EXIT_FAIL, NULL, "the two were not the same; nothing was changed");
}
