/* ipc/ctl/opts.h: command lines, and what is said of those that are none. */
#include "test.h"

#include <string.h>

#include "ipc/ctl/opts.h"
#include "ipc/ctl/util.h"

struct row {
	const char *argv[10];
	const char *verb; /* NULL: refused */
	const char *says; /* part of the complaint or its hint */
	const char *args[4]; /* words after the verb */
	struct {
		bool set;
		enum opt_id id;
		const char *value;
	} opt[3];
};

static const struct row rows[] = {
	{ .argv = { "status" }, .verb = "status" },
	{ .argv = { "-j", "status" }, .verb = "status", .opt = { { true, OPT_JSON, "" } } },
	{ .argv = { "status", "-j" }, .verb = "status", .opt = { { true, OPT_JSON, "" } } },
	{ .argv = { "status", "--json" }, .verb = "status", .opt = { { true, OPT_JSON, "" } } },
	{ .argv = { "status", "-j=pretty" }, .verb = "status", .opt = { { true, OPT_JSON, "pretty" } } },
	{ .argv = { "--json", "status" }, .verb = "status", .opt = { { true, OPT_JSON, "" } } },
	{ .argv = { "--json=off", "-q", "status" },
	  .verb = "status",
	  .opt = { { true, OPT_JSON, "off" }, { true, OPT_QUIET, "" } } },
	{ .argv = { "status", "-jqw" },
	  .verb = "status",
	  .opt = { { true, OPT_JSON, "" }, { true, OPT_QUIET, "" }, { true, OPT_WATCH, "" } } },
	{ .argv = { "account", "-a", "x@y", "show" },
	  .verb = "account show",
	  .opt = { { true, OPT_ACCOUNT, "x@y" } } },
	{ .argv = { "-ax@y", "account", "show" }, .verb = "account show", .opt = { { true, OPT_ACCOUNT, "x@y" } } },
	{ .argv = { "history", "bob", "-n", "5" },
	  .verb = "history",
	  .args = { "bob" },
	  .opt = { { true, OPT_LINES, "5" } } },
	{ .argv = { "history", "-n5", "bob" },
	  .verb = "history",
	  .args = { "bob" },
	  .opt = { { true, OPT_LINES, "5" } } },
	{ .argv = { "history", "--lines=5", "--", "-bob" },
	  .verb = "history",
	  .args = { "-bob" },
	  .opt = { { true, OPT_LINES, "5" } } },
	{ .argv = { "export", "--since", "2h ago" },
	  .verb = "export",
	  .opt = { { true, OPT_SINCE, "2h ago" }, { false, OPT_SINCE_SEQ, NULL } } },
	{ .argv = { "monitor", "--since=7" },
	  .verb = "monitor",
	  .opt = { { true, OPT_SINCE_SEQ, "7" }, { false, OPT_SINCE, NULL } } },
	{ .argv = { "export", "a", "b", "c" }, .verb = "export", .args = { "a", "b", "c" } },
	{ .argv = { "export", "-" }, .verb = "export", .args = { "-" } },
	{ .argv = { "conversations" }, .verb = "ls" },
	{ .argv = { "history", "--help" }, .verb = "history", .opt = { { true, OPT_HELP, "" } } },
	{ .argv = { "status", "-a", "x", "-a", "y" }, .verb = "status", .opt = { { true, OPT_ACCOUNT, "y" } } },
	{ .argv = { "nonsense" }, .says = "unknown verb" },
	{ .argv = { "account", "ad" }, .says = "account add" },
	{ .argv = { "status", "--chek" }, .says = "--check" },
	{ .argv = { "status", "--lines=1" }, .says = "no option --lines" },
	{ .argv = { "status", "-x" }, .says = "no option -x" },
	{ .argv = { "-x" }, .says = "unknown option -x" },
	{ .argv = { "--lines=2", "history", "x" }, .says = "after the verb" },
	{ .argv = { "history", "" }, .says = "an address is empty" },
	{ .argv = { "export", "bob@example.org", "" }, .says = "an address is empty" },
	{ .argv = { "sync", "fetch", "" }, .says = "an address is empty" },
	{ .argv = { "status", "--check=yes" }, .says = "takes no value" },
	{ .argv = { "status", "--account" }, .says = "needs a value" },
	{ .argv = { "history", "bob", "-n" }, .says = "needs a value" },
	{ .argv = { "history" }, .says = "needs more" },
	{ .argv = { "history", "a", "b" }, .says = "does not take \"b\"" },
};

TEST(the_command_line_is_understood)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		char *argv[12] = { xstrdup("varvectl") }, *why = NULL, *hint = NULL;
		struct opts o;
		int argc = 1, r;
		size_t n = 0;

		while (row->argv[argc - 1]) {
			argv[argc] = xstrdup(row->argv[argc - 1]);
			argc++;
		}
		r = opts_parse(argc, argv, &o, &why, &hint);
		if ((r == 0) != !!row->verb)
			fail_msg("row %zu (%s ...): %s", i, row->argv[0], why ? why : "not refused");
		if (row->verb) {
			assert_string_equal(o.cmd->name, row->verb);
			for (; n < o.n_args; n++)
				assert_string_equal(o.args[n], row->args[n]);
			assert_null(row->args[n]);
			for (size_t k = 0; k < ARRAY_SIZE(row->opt); k++)
				if (row->opt[k].set)
					assert_string_equal(o.value[row->opt[k].id], row->opt[k].value);
				else if (row->opt[k].id)
					assert_null(o.value[row->opt[k].id]);
		} else if (!strstr(why, row->says) && !(hint && strstr(hint, row->says))) {
			fail_msg("row %zu says \"%s\", \"%s\"", i, why, hint ? hint : "");
		}
		free(why);
		free(hint);
		while (argc > 0)
			free(argv[--argc]);
	}
}

TEST(a_complaint_knows_whether_it_is_wanted_in_json)
{
	const char *words[] = { "varvectl", "nonsense", "--json=pretty", NULL };
	char *argv[4] = { 0 }, *why = NULL, *hint = NULL;
	struct opts o;

	for (size_t i = 0; words[i]; i++)
		argv[i] = xstrdup(words[i]);
	assert_true(opts_parse(3, argv, &o, &why, &hint) < 0);
	assert_string_equal(o.value[OPT_JSON], "pretty");
	free(why);
	free(hint);
	for (size_t i = 0; i < 3; i++)
		free(argv[i]);
}

TEST(too_many_words_are_refused)
{
	char *argv[OPTS_ARGS_MAX + 10], *why = NULL, *hint = NULL;
	struct opts o;

	for (size_t i = 0; i < ARRAY_SIZE(argv); i++)
		argv[i] = xstrdup(i == 1 ? "export" : "x");
	assert_true(opts_parse((int)ARRAY_SIZE(argv), argv, &o, &why, &hint) < 0);
	assert_non_null(strstr(why, "more than"));
	free(why);
	free(hint);
	for (size_t i = 0; i < ARRAY_SIZE(argv); i++)
		free(argv[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_command_line_is_understood),
		cmocka_unit_test(a_complaint_knows_whether_it_is_wanted_in_json),
		cmocka_unit_test(too_many_words_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
