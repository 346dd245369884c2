/* ipc/ctl/exits.h: every error of the contract ends varvectl with its code. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc/ctl/exits.h"
#include "ipc/varve.h"

TEST(every_error_of_the_contract_has_the_exit_code_of_cli_md)
{
	static const enum exit_code expected[VARVE_ERROR_COUNT] = {
		[VARVE_ERROR_LOCKED] = EXIT_SECRET,       [VARVE_ERROR_WRONG_SECRET] = EXIT_SECRET,
		[VARVE_ERROR_NOT_FOUND] = EXIT_NOT_FOUND, [VARVE_ERROR_NO_SUCH_CONVERSATION] = EXIT_NOT_FOUND,
		[VARVE_ERROR_OFFLINE] = EXIT_OFFLINE,     [VARVE_ERROR_AUTH_FAILED] = EXIT_SECRET,
		[VARVE_ERROR_CONFLICT] = EXIT_FAIL,       [VARVE_ERROR_CHANGES_TOO_OLD] = EXIT_FAIL,
		[VARVE_ERROR_EPOCH_CHANGED] = EXIT_FAIL,  [VARVE_ERROR_LIMIT_EXCEEDED] = EXIT_FAIL,
		[VARVE_ERROR_BUSY] = EXIT_FAIL,           [VARVE_ERROR_REMOTE] = EXIT_REMOTE,
		[VARVE_ERROR_UNSUPPORTED] = EXIT_FAIL,    [VARVE_ERROR_STORAGE] = EXIT_FAIL,
		[VARVE_ERROR_CANCELLED] = EXIT_FAIL,      [VARVE_ERROR_DENIED] = EXIT_DENIED,
	};

	for (enum varve_error e = 0; e < VARVE_ERROR_COUNT; e++) {
		/* A new error must be given its code here: 0 is none. */
		assert_int_not_equal(expected[e], 0);
		assert_int_equal(exit_code_of(varve_error_name(e), -EIO), expected[e]);
	}
}

TEST(a_lost_connection_and_a_timeout_have_their_codes_without_a_name)
{
	assert_int_equal(exit_code_of("", -ECONNRESET), EXIT_UNREACHABLE);
	assert_int_equal(exit_code_of("", -ENOTCONN), EXIT_UNREACHABLE);
	assert_int_equal(exit_code_of("", -ETIMEDOUT), EXIT_TIMEOUT);
	assert_int_equal(exit_code_of("", -EACCES), EXIT_DENIED);
	assert_int_equal(exit_code_of("", -EIO), EXIT_FAIL);
}

TEST(each_exit_code_has_a_name_that_leads_back_to_it)
{
	for (enum exit_code code = EXIT_USAGE; code <= EXIT_VERSION; code++)
		assert_int_equal(exit_code_of(exit_error_name(code), -EIO), code);
	assert_string_equal(exit_error_name(EXIT_FAIL), "org.freedesktop.DBus.Error.Failed");
}

static void path_is(const char *address, const char *expected)
{
	char *path = varve_socket_path(address);

	assert_string_equal(path, expected);
	free(path);
}

TEST(the_socket_is_below_the_runtime_directory)
{
	char fallback[64];

	setenv("XDG_RUNTIME_DIR", "/run/x", 1);
	path_is(NULL, "/run/x/varve/bus");
	path_is("/a/b", "/a/b");
	path_is("unix:path=/a/b", "/a/b");
	unsetenv("XDG_RUNTIME_DIR");
	snprintf(fallback, sizeof(fallback), "/run/user/%u/varve/bus", (unsigned)getuid());
	path_is(NULL, fallback);
}

TEST(connecting_tells_the_true_errno)
{
	struct varve *c = NULL;
	char long_path[200];

	assert_int_equal(varve_open("/nowhere/bus", 1000, &c), -ENOENT);
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(varve_open(long_path, 1000, &c), -ENAMETOOLONG);
	assert_null(c);
}

TEST(a_daemon_that_accepts_and_says_nothing_is_a_timeout)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/ctl-client-XXXXXX";
	struct varve *c = NULL;
	int fd;

	assert_non_null(mkdtemp(dir));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/bus", dir);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);

	assert_int_equal(varve_open(addr.sun_path, 50000, &c), -ETIMEDOUT);

	assert_null(c);
	close(fd);
	unlink(addr.sun_path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_of_the_contract_has_the_exit_code_of_cli_md),
		cmocka_unit_test(a_lost_connection_and_a_timeout_have_their_codes_without_a_name),
		cmocka_unit_test(each_exit_code_has_a_name_that_leads_back_to_it),
		cmocka_unit_test(the_socket_is_below_the_runtime_directory),
		cmocka_unit_test(connecting_tells_the_true_errno),
		cmocka_unit_test(a_daemon_that_accepts_and_says_nothing_is_a_timeout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
