#include "ipc/ctl/help.h"

#include <string.h>

#include "ipc/ctl/ctl.h"

#define LEFT 26 /* columns; longer option names get a line of their own */

static void put_option(FILE *f, const struct opt_spec *o)
{
	char left[80];
	const char *open = !o->arg ? "" : o->arg_optional ? "[=" : "=", *close = o->arg && o->arg_optional ? "]" : "";

	if (o->letter)
		snprintf(left, sizeof(left), "-%c, --%s%s%s%s", o->letter, o->name, open, o->arg ? o->arg : "",
			 close);
	else
		snprintf(left, sizeof(left), "    --%s%s%s%s", o->name, open, o->arg ? o->arg : "", close);
	if (strlen(left) > LEFT)
		fprintf(f, "  %s\n  %*s  %s\n", left, LEFT, "", o->help);
	else
		fprintf(f, "  %-*s  %s\n", LEFT, left, o->help);
}

static void put_options(FILE *f, uint64_t mask)
{
	for (size_t i = 0; i < OPT_COUNT; i++)
		if (mask >> i & 1)
			put_option(f, opt_spec((enum opt_id)i));
}

static void put_verb(FILE *f, const struct ctl_cmd *cmd)
{
	char left[80];

	snprintf(left, sizeof(left), "%s %s", cmd->name, cmd->synopsis);
	if (strlen(left) > LEFT)
		fprintf(f, "  %s\n  %*s  %s\n", left, LEFT, "", cmd->summary);
	else
		fprintf(f, "  %-*s  %s\n", LEFT, left, cmd->summary);
}

void help_all(FILE *f)
{
	fputs("Usage: varvectl [OPTION...] VERB [ARGUMENT...]\n"
	      "\n"
	      "Ask and tell varved, the keeper of your XMPP archive.\n"
	      "\n"
	      "Verbs:\n",
	      f);
	for (size_t i = 0; i < ctl_cmds_n; i++)
		put_verb(f, &ctl_cmds[i]);
	fputs("\nOptions (before or after the verb):\n", f);
	put_options(f, OPTS_GLOBAL);
	fputs("\n"
	      "\"varvectl VERB --help\" tells more about a verb; varvectl(1) has the exit codes\n"
	      "and the keys of the JSON.\n",
	      f);
}

void help_group(FILE *f, const char *group)
{
	size_t len = strlen(group);

	fprintf(f, "Usage: varvectl %s VERB [ARGUMENT...]\n\nVerbs:\n", group);
	for (size_t i = 0; i < ctl_cmds_n; i++)
		if (strncmp(ctl_cmds[i].name, group, len) == 0 && ctl_cmds[i].name[len] == ' ')
			put_verb(f, &ctl_cmds[i]);
}

void help_verb(FILE *f, const struct ctl_cmd *cmd)
{
	fprintf(f, "Usage: varvectl %s%s%s%s\n\n%s.\n\n%s", cmd->name, *cmd->synopsis ? " " : "", cmd->synopsis,
		cmd->opts ? " [OPTION...]" : "", cmd->summary, cmd->help);
	if (cmd->opts) {
		fputs("\nOptions:\n", f);
		put_options(f, cmd->opts);
	}
	fputs("\nOptions of every verb:\n", f);
	put_options(f, OPTS_GLOBAL);
}

int cmd_help(struct ctl *c)
{
	const struct ctl_cmd *cmd;
	size_t used;

	if (c->opts.n_args == 0) {
		help_all(stdout);
		return EXIT_OK;
	}
	cmd = verb_find(c->opts.args[0], c->opts.args[1], &used);
	if (cmd && used == c->opts.n_args)
		help_verb(stdout, cmd);
	else if (c->opts.n_args == 1 && verb_is_group(c->opts.args[0]))
		help_group(stdout, c->opts.args[0]);
	else
		return ctl_fail(c, EXIT_USAGE, "varvectl --help", "there is no verb \"%s%s%s\"", c->opts.args[0],
				c->opts.args[1] ? " " : "", c->opts.args[1] ? c->opts.args[1] : "");
	return EXIT_OK;
}

static void dump_options(struct json *j, uint64_t mask)
{
	json_array(j, "options");
	for (size_t i = 0; i < OPT_COUNT; i++) {
		const struct opt_spec *o = opt_spec((enum opt_id)i);
		char letter[2] = { o->letter, '\0' };

		if (!(mask >> i & 1))
			continue;
		json_object(j, NULL);
		json_string(j, "name", o->name);
		json_string_or_null(j, "letter", letter);
		json_string(j, "arg", o->arg);
		json_bool(j, "arg_optional", o->arg_optional);
		json_string(j, "help", o->help);
		json_object_end(j);
	}
	json_array_end(j);
}

int cmd_dump_verbs(struct ctl *c)
{
	static const char *const words[] = {
		[WORDS_NONE] = NULL,
		[WORDS_ACCOUNT] = "account",
		[WORDS_CONVERSATION] = "conversation",
		[WORDS_SETTING] = "setting",
		[WORDS_KEY] = "key",
		[WORDS_FILE] = "file",
		[WORDS_CONVERSATION_ONE] = "conversation1",
		[WORDS_CONTACT] = "contact",
		[WORDS_VERB] = "verb",
		[WORDS_OBJECT] = "object",
	};
	_cleanup_(json_freep) struct json *j = json_new(stdout, c->json == JSON_OFF ? JSON_SHORT : c->json);

	json_object(j, NULL);
	dump_options(j, OPTS_GLOBAL);
	json_array(j, "verbs");
	for (size_t i = 0; i < ctl_cmds_n; i++) {
		json_object(j, NULL);
		json_string(j, "name", ctl_cmds[i].name);
		json_string(j, "synopsis", ctl_cmds[i].synopsis);
		json_string(j, "summary", ctl_cmds[i].summary);
		json_string(j, "words", words[ctl_cmds[i].words]);
		dump_options(j, ctl_cmds[i].opts);
		json_object_end(j);
	}
	json_array_end(j);
	json_object_end(j);
	return EXIT_OK;
}
