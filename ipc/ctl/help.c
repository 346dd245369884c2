#include "ipc/ctl/help.h"

#include <string.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/term.h"
#include "ipc/ctl/text.h"

#define LEFT 26 /* columns; longer option names get a line of their own */
#define WIDE 80 /* columns: what the texts are written for; narrower terminals have them wrapped */
#define NARROW_INDENT 6

static bool narrow(void)
{
	return term_columns() < WIDE;
}

/* A name, and what it is, beside or below it. */
static void put_pair(FILE *f, const char *left, const char *text)
{
	if (narrow()) {
		fprintf(f, "  %s\n%*s", left + strspn(left, " "), NARROW_INDENT, "");
		term_put(f, COLOR_OFF, text, NARROW_INDENT, NARROW_INDENT);
	} else if (strlen(left) > LEFT) {
		fprintf(f, "  %s\n  %*s  %s\n", left, LEFT, "", text);
	} else {
		fprintf(f, "  %-*s  %s\n", LEFT, left, text);
	}
}

/* How much of ${text} is said together: a line, and those that go on with it. */
static size_t together(const char *text)
{
	size_t indent = strspn(text, " "), len = strcspn(text, "\n");

	while (len > 0 && text[len] == '\n') {
		size_t next = strspn(text + len + 1, " ");

		if (!text[len + 1 + next] || text[len + 1 + next] == '\n' || (indent ? next < indent + 8 : next > 0))
			break;
		len += 1 + next + strcspn(text + len + 1 + next, "\n");
	}
	return len;
}

/* Paragraphs are wrapped anew; what is to be typed stays a line, and what explains it comes below. */
static void put_text(FILE *f, const char *text)
{
	if (!narrow()) {
		fputs(text, f);
		return;
	}
	while (*text) {
		size_t indent = strspn(text, " "), len = together(text);
		_cleanup_(freep) char *line = xstrndup(text, len);
		char *gap = indent ? strstr(line + indent, "  ") : NULL;

		for (char *p = strchr(line, '\n'); p; p = strchr(p, '\n'))
			*p = ' ';
		if (gap && text_width(line) > term_columns()) {
			*gap = '\0';
			fprintf(f, "%s\n%*s", line, NARROW_INDENT, "");
			term_put(f, COLOR_OFF, gap + 1 + strspn(gap + 1, " "), NARROW_INDENT, NARROW_INDENT);
		} else if (indent || strncmp(line, "Usage: ", strlen("Usage: ")) == 0) {
			fprintf(f, "%s\n", line);
		} else {
			term_put(f, COLOR_OFF, line, 0, 0);
		}
		text += len + (text[len] == '\n');
	}
}

static void put_option(FILE *f, const struct opt_spec *o)
{
	char left[80];
	const char *open = !o->arg ? "" : o->arg_optional ? "[=" : "=", *close = o->arg && o->arg_optional ? "]" : "";

	if (o->letter)
		snprintf(left, sizeof(left), "-%c, --%s%s%s%s", o->letter, o->name, open, o->arg ? o->arg : "",
			 close);
	else
		snprintf(left, sizeof(left), "    --%s%s%s%s", o->name, open, o->arg ? o->arg : "", close);
	put_pair(f, left, o->help);
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

	snprintf(left, sizeof(left), "%s%s%s", cmd->name, *cmd->synopsis ? " " : "", cmd->synopsis);
	put_pair(f, left, cmd->summary);
}

void help_all(FILE *f)
{
	put_text(f, "Usage: varvectl [OPTION...] VERB [ARGUMENT...]\n"
		    "\n"
		    "Ask and tell varved, the keeper of your XMPP archive.\n"
		    "\n"
		    "Verbs:\n");
	for (size_t i = 0; i < ctl_cmds_n; i++)
		put_verb(f, &ctl_cmds[i]);
	fputs("\nOptions (before or after the verb):\n", f);
	put_options(f, OPTS_GLOBAL);
	put_text(f, "\n"
		    "\"varvectl VERB --help\" tells more about a verb; varvectl(1) has the exit codes\n"
		    "and the keys of the JSON.\n");
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
	_cleanup_(freep) char *text = xasprintf("Usage: varvectl %s%s%s%s\n\n%s.\n\n%s", cmd->name,
						*cmd->synopsis ? " " : "", cmd->synopsis, cmd->opts ? " [OPTION...]" : "",
						cmd->summary, cmd->help);

	put_text(f, text);
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
