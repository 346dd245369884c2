#include "ipc/ctl/opts.h"

#include <errno.h>
#include <string.h>

#include "ipc/ctl/util.h"

static const struct opt_spec specs[OPT_COUNT] = {
#define X(id, long_name, letter_, arg_, optional, help_)                                                             \
	[OPT_##id] = { .name = long_name, .letter = letter_, .arg = arg_, .arg_optional = optional, .help = help_ },
	CTL_OPTIONS(X)
#undef X
};

const struct opt_spec *opt_spec(enum opt_id id)
{
	return &specs[id];
}

/* What is being read; the words are gathered first and matched to verbs afterwards. */
struct parse {
	int argc;
	char **argv;
	int at;
	struct opts *out;
	char **ret_why, **ret_hint;
};

static uint64_t allowed(const struct parse *p)
{
	return OPTS_GLOBAL | (p->out->cmd ? p->out->cmd->opts : 0);
}

static int complain(struct parse *p, char *why, char *hint)
{
	free(*p->ret_why);
	free(*p->ret_hint);
	*p->ret_why = why;
	*p->ret_hint = hint;
	return -EINVAL;
}

static char *help_hint(const struct parse *p)
{
	return p->out->cmd ? xasprintf("varvectl %s --help", p->out->cmd->name) : xstrdup("varvectl --help");
}

/* Why ${name} is unknown: it belongs elsewhere, or is mistyped. */
static int unknown_option(struct parse *p, const char *name)
{
	const char *names[OPT_COUNT], *near;
	size_t n = 0;

	for (size_t i = 0; i < OPT_COUNT; i++) {
		if (!p->out->cmd && strcmp(specs[i].name, name) == 0)
			return complain(p, xasprintf("option --%s must come after the verb it belongs to", name),
					xstrdup("varvectl --help"));
		if (allowed(p) >> i & 1)
			names[n++] = specs[i].name;
	}
	near = nearest(name, names, n);
	return complain(p,
			p->out->cmd ? xasprintf("%s has no option --%s", p->out->cmd->name, name)
				    : xasprintf("unknown option --%s", name),
			near ? xasprintf("did you mean --%s?", near) : help_hint(p));
}

static int set(struct parse *p, size_t id, const char *value)
{
	p->out->value[id] = value;
	return 0;
}

/* "--name", "--name=value", "--name value". */
static int long_option(struct parse *p, const char *word)
{
	const char *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : strlen(word);
	_cleanup_(freep) char *name = xstrndup(word, len);

	for (size_t i = 0; i < OPT_COUNT; i++) {
		if (!(allowed(p) >> i & 1) || strcmp(specs[i].name, name) != 0)
			continue;
		if (!specs[i].arg && equals)
			return complain(p, xasprintf("--%s takes no value", name), help_hint(p));
		if (!specs[i].arg || (specs[i].arg_optional && !equals))
			return set(p, i, "");
		if (equals)
			return set(p, i, equals + 1);
		if (p->at + 1 >= p->argc)
			return complain(p, xasprintf("--%s needs a value: %s", name, specs[i].arg), help_hint(p));
		return set(p, i, p->argv[++p->at]);
	}
	return unknown_option(p, name);
}

static int unknown_letter(struct parse *p, char letter)
{
	bool query = p->out->cmd && strcmp(p->out->cmd->name, "search") == 0;

	return complain(p,
			p->out->cmd ? xasprintf("%s has no option -%c", p->out->cmd->name, letter)
				    : xasprintf("unknown option -%c", letter),
			query ? xstrdup("to leave out a word, write -- before the query: varvectl search -- bread -milk")
			      : help_hint(p));
}

/* "-n5", "-n 5", "-jq", "-j=pretty". */
static int short_options(struct parse *p, const char *word)
{
	for (; *word; word++) {
		size_t i;

		for (i = 0; i < OPT_COUNT; i++)
			if (specs[i].letter == *word && allowed(p) >> i & 1)
				break;
		if (i == OPT_COUNT)
			return unknown_letter(p, *word);
		if (specs[i].arg_optional && word[1] == '=')
			return set(p, i, word + 2);
		if (!specs[i].arg || specs[i].arg_optional) {
			set(p, i, "");
			continue;
		}
		if (word[1])
			return set(p, i, word + 1);
		if (p->at + 1 >= p->argc)
			return complain(p, xasprintf("-%c needs a value: %s", *word, specs[i].arg), help_hint(p));
		return set(p, i, p->argv[++p->at]);
	}
	return 0;
}

static int no_such_verb(struct parse *p, const char *word, const char *next)
{
	_cleanup_(freep) char *near = verb_guess(word, next);
	char *hint = near   ? xasprintf("did you mean \"varvectl %s\"?", near)
		     : next ? xasprintf("varvectl %s --help", word)
			    : xstrdup("varvectl --help");

	return complain(
		p, next ? xasprintf("unknown verb \"%s %s\"", word, next) : xasprintf("unknown verb \"%s\"", word),
		hint);
}

/* A word that is no option: the verb, its second half, or an argument. */
static int word(struct parse *p, const char *w)
{
	struct opts *o = p->out;
	const struct ctl_cmd *cmd;
	size_t used;

	if (o->group) {
		cmd = verb_find(o->group, w, &used);
		if (!cmd || used != 2)
			return no_such_verb(p, o->group, w);
		o->cmd = cmd;
		o->group = NULL;
		return 0;
	}
	if (o->cmd) {
		if (o->n_args == OPTS_ARGS_MAX)
			return complain(p, xasprintf("more than %d words", OPTS_ARGS_MAX), NULL);
		o->args[o->n_args++] = w;
		return 0;
	}
	if (verb_is_group(w)) {
		o->group = w;
		return 0;
	}
	o->cmd = verb_find(w, NULL, &used);
	return o->cmd ? 0 : no_such_verb(p, w, NULL);
}

/* How many of the words are addresses at least. */
static size_t addresses(const struct opts *o)
{
	switch (o->cmd->words) {
	case WORDS_CONVERSATION:
		return o->n_args;
	case WORDS_ACCOUNT:
	case WORDS_CONVERSATION_ONE:
	case WORDS_CONTACT:
		return o->n_args > 0;
	case WORDS_NONE:
	case WORDS_SETTING:
	case WORDS_KEY:
	case WORDS_FILE:
	case WORDS_VERB:
	case WORDS_OBJECT:
		break;
	}
	return 0;
}

/* Nobody's address is empty, but a variable may be: the daemon would take it for all conversations. */
static int check_addresses(struct parse *p)
{
	const struct opts *o = p->out;

	for (size_t i = 0; o->cmd && i < addresses(o); i++)
		if (!*o->args[i])
			return complain(p, xasprintf("%s: an address is empty", o->cmd->name),
					xstrdup("is a variable of the script not set?"));
	return 0;
}

static int check_count(struct parse *p)
{
	const struct opts *o = p->out;

	if (!o->cmd || o->value[OPT_HELP])
		return 0;
	if (o->n_args < o->cmd->args_min)
		return complain(p, xasprintf("%s needs more: %s %s", o->cmd->name, o->cmd->name, o->cmd->synopsis),
				help_hint(p));
	if (o->n_args > o->cmd->args_max)
		return complain(p, xasprintf("%s does not take \"%s\"", o->cmd->name, o->args[o->cmd->args_max]),
				help_hint(p));
	return 0;
}

int opts_parse(int argc, char **argv, struct opts *ret, char **ret_why, char **ret_hint)
{
	struct parse p = { .argc = argc, .argv = argv, .out = ret, .ret_why = ret_why, .ret_hint = ret_hint };
	int r = 0, first = 0;

	*ret = (struct opts){ 0 };
	for (p.at = 1; p.at < argc; p.at++) {
		const char *w = argv[p.at];

		if (strcmp(w, "--") == 0) {
			while (++p.at < argc && r == 0)
				r = word(&p, argv[p.at]);
			break;
		}
		if (w[0] == '-' && w[1] == '-')
			r = long_option(&p, w + 2);
		else if (w[0] == '-' && w[1])
			r = short_options(&p, w + 1);
		else
			r = word(&p, w);
		if (r < 0) {
			/* Go on only to learn whether -j follows; what is wrong is known already. */
			first = r;
			for (int i = p.at + 1; i < argc; i++)
				if (strcmp(argv[i], "-j") == 0 || strncmp(argv[i], "--json", 6) == 0)
					ret->value[OPT_JSON] =
						argv[i][1] == '-' && argv[i][6] == '=' ? argv[i] + 7 : "";
			return first;
		}
	}
	if (r == 0)
		r = check_addresses(&p);
	return r < 0 ? r : check_count(&p);
}
