#!/usr/bin/python3
"""Completions for varvectl, made from its own table of verbs.

    varvectl dump-verbs | generate.py bash|zsh|fish     to stdout
    generate.py --all PROGRAM                           rewrite the three files beside this script

The results are kept in the tree, so that a build needs no Python; tests/ctl/test_texts.py compares them."""

import json
import os
import subprocess
import sys

FILES = {"bash": "varvectl", "zsh": "_varvectl", "fish": "varvectl.fish"}
HEAD = "# Made by data/completions/generate.py from \"varvectl dump-verbs\"; do not edit.\n"

# What a running daemon knows. The key that is looked for is the first of its line (varvectl(1)).
ACCOUNTS = "varvectl account list -j --timeout=1 2>/dev/null | sed -n 's/^{\"jid\":\"\\([^\"]*\\)\".*/\\1/p'"
CONVERSATIONS = "varvectl ls -j --timeout=1 2>/dev/null | sed -n 's/^{\"conversation\":\"\\([^\"]*\\)\".*/\\1/p'"
KEYS = ["passphrase", "recovery", "key-file", "credential"]
SETTINGS = ["server=", "tls=", "ca-file=", "nick=", "allow-plain=", "enabled="]


def groups(table):
    out = {}
    for v in table["verbs"]:
        first, _, second = v["name"].partition(" ")
        out.setdefault(first, [])
        if second:
            out[first].append(second)
    return out


def flags(options):
    """All spellings; long ones with an argument end in '='."""
    words = []
    for o in options:
        if o["letter"]:
            words.append("-" + o["letter"])
        words.append("--" + o["name"])
    return words


def choices(options):
    """Options whose argument is one of a few words."""
    return {o["name"]: o["arg"].split("|") for o in options if o["arg"] and "|" in o["arg"] and o["arg"].islower()}


def with_value(options):
    out = []
    for o in options:
        if o["arg"] and not o["arg_optional"]:
            out.append("--" + o["name"])
            if o["letter"]:
                out.append("-" + o["letter"])
    return out


def all_options(table):
    seen = {}
    for o in table["options"] + [o for v in table["verbs"] for o in v["options"]]:
        seen.setdefault(o["name"], o)
    return list(seen.values())


def bash(table):
    every, split = all_options(table), groups(table)
    out = [HEAD, "_varvectl()\n{\n",
           "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb= word i words=\n",
           "\tCOMPREPLY=()\n",
           "\t# \"--name=value\" is three words to bash.\n",
           "\tif [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n",
           "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n",
           "\t\tword=${COMP_WORDS[i]}\n",
           "\t\tcase $word in\n",
           "\t\t%s) ((i++)); [[ ${COMP_WORDS[i]} == = ]] && ((i++)) ;;\n" % "|".join(with_value(every)),
           "\t\t-*|=) ;;\n",
           "\t\t*)\n",
           "\t\t\tcase $verb in\n",
           "\t\t\t'') verb=$word ;;\n",
           "\t\t\t%s) verb=\"$verb $word\" ;;\n" % "|".join(g for g, s in split.items() if s),
           "\t\t\tesac ;;\n",
           "\t\tesac\n",
           "\tdone\n",
           "\tcase $prev in\n",
           "\t-a|--account) COMPREPLY=($(compgen -W \"$(%s)\" -- \"$cur\")); return ;;\n" % ACCOUNTS]
    out.append("\t--in) COMPREPLY=($(compgen -W \"$(%s)\" -- \"$cur\")); return ;;\n" % CONVERSATIONS)
    for name, words in sorted(choices(every).items()):
        out.append("\t--%s) COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n" % (name, " ".join(words)))
    out += ["\t--ca-file|--cursor-file|--key-file|--address|--output|-O) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n",
            "\t%s) return ;;\n" % "|".join(w for w in with_value(every)),
            "\tesac\n",
            "\tcase $verb in\n",
            "\t'') words='%s' ;;\n" % " ".join(split)]
    for g, seconds in split.items():
        if seconds:
            out.append("\t'%s') words='%s' ;;\n" % (g, " ".join(seconds)))
    for v in table["verbs"]:
        out.append("\t'%s')\n" % v["name"])
        out.append("\t\tif [[ $cur == -* ]]; then words='%s'\n" % " ".join(flags(v["options"])))
        if v["words"] == "account":
            out.append("\t\telse words=$(%s)\n" % ACCOUNTS)
        elif v["words"] == "conversation":
            out.append("\t\telse words=$(%s)\n" % CONVERSATIONS)
        elif v["words"] == "key":
            out.append("\t\telif [[ $prev == key-file ]]; then COMPREPLY=($(compgen -f -- \"$cur\")); return\n")
            out.append("\t\telse words='%s'\n" % " ".join(KEYS))
        elif v["words"] == "file":
            out.append("\t\telse COMPREPLY=($(compgen -f -- \"$cur\")); return\n")
        elif v["words"] == "setting":
            out.append("\t\telse words='%s'; compopt -o nospace 2>/dev/null\n" % " ".join(SETTINGS))
        out.append("\t\tfi ;;\n")
    out += ["\tesac\n",
            "\t[[ $cur == -* ]] && words+=' %s'\n" % " ".join(flags(table["options"])),
            "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n",
            "}\n",
            "complete -F _varvectl varvectl\n"]
    return "".join(out)


def quote(s):
    return "'" + s.replace("'", "'\\''") + "'"


def zsh_option(o):
    text = o["help"].replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
    arg = ""
    if o["arg"]:
        if o["name"] in choices([o]):
            arg = ":%s:(%s)" % (o["name"], " ".join(choices([o])[o["name"]]))
        elif o["arg"] in ("FILE", "SOCKET"):
            arg = ":%s:_files" % o["arg"].lower()
        elif o["name"] == "account":
            arg = ":account:_varvectl_accounts"
        elif o["name"] == "in":
            arg = ":conversation:_varvectl_conversations"
        else:
            arg = ":%s:" % o["arg"].lower().replace("|", " or ").replace(":", "\\:")
    long = "--%s%s[%s]%s" % (o["name"], "=-" if o["arg_optional"] else "=" if o["arg"] else "", text, arg)
    out = [quote(long)]
    if o["letter"]:
        short = "" if o["arg_optional"] else arg
        out.append(quote("-%s%s[%s]%s" % (o["letter"], "+" if short else "", text, short)))
    return out


def zsh(table):
    split = groups(table)
    out = ["#compdef varvectl\n", HEAD,
           "_varvectl_accounts() { local -a a; a=(${(f)\"$(%s)\"}); compadd -a a }\n" % ACCOUNTS,
           "_varvectl_conversations() { local -a a; a=(${(f)\"$(%s)\"}); compadd -a a }\n" % CONVERSATIONS,
           "_varvectl_settings() { compadd -S '' %s }\n\n" % " ".join(SETTINGS),
           "_varvectl_verb()\n{\n\tlocal -a verbs\n\tcase $1 in\n"]
    summaries = {v["name"]: v["summary"] for v in table["verbs"]}
    for g, seconds in [("", list(split))] + [(g, s) for g, s in split.items() if s]:
        out.append("\t'%s') verbs=(\n" % g)
        for s in seconds:
            name = (g + " " + s).strip()
            out.append("\t\t%s\n" % quote("%s:%s" % (s, summaries.get(name, "Verbs of this kind"))))
        out.append("\t) ;;\n")
    out += ["\tesac\n\t_describe verb verbs\n}\n\n", "_varvectl()\n{\n\tlocal verb= word\n\tlocal -a options\n",
            "\tfor word in ${words[2,CURRENT-1]}; do\n\t\t[[ $word == -* ]] && continue\n\t\tcase $verb in\n",
            "\t\t'') verb=$word ;;\n", "\t\t%s) verb=\"$verb $word\" ;;\n" % "|".join(g for g, s in split.items() if s),
            "\t\tesac\n\tdone\n", "\toptions=(\n"]
    for o in table["options"]:
        out += ["\t\t%s\n" % x for x in zsh_option(o)]
    out += ["\t)\n\tcase $verb in\n"]
    for g, seconds in [("", split)] + [(g, s) for g, s in split.items() if s]:
        out.append("\t'%s') _arguments $options '*::verb:{ _varvectl_verb %s }' ;;\n" % (g, quote(g).replace("'", '"')))
    kinds = {"account": "'*:account:_varvectl_accounts'", "conversation": "'*:conversation:_varvectl_conversations'",
             "setting": "'*:setting:_varvectl_settings'", "file": "'*:file:_files'",
             "key": "'1:kind:(%s)' '2:file:_files'" % " ".join(KEYS)}
    for v in table["verbs"]:
        out.append("\t'%s')\n" % v["name"])
        for o in v["options"]:
            out += ["\t\toptions+=(%s)\n" % x for x in zsh_option(o)]
        out.append("\t\t_arguments $options %s ;;\n" % kinds.get(v["words"], "'*:'"))
    out += ["\tesac\n}\n\n", "_varvectl \"$@\"\n"]
    return "".join(out)


def fish_option(o, condition):
    line = "complete -c varvectl -n %s -l %s" % (quote(condition), o["name"])
    if o["letter"]:
        line += " -s " + o["letter"]
    if o["name"] in choices([o]):
        line += " -x" if not o["arg_optional"] else " -f"
        line += " -a %s" % quote(" ".join(choices([o])[o["name"]]))
    elif o["arg"] in ("FILE", "SOCKET"):
        line += " -r -F"
    elif o["name"] == "account":
        line += " -x -a '(__varvectl_accounts)'"
    elif o["name"] == "in":
        line += " -x -a '(__varvectl_conversations)'"
    elif o["arg"]:
        line += " -x"
    return line + " -d %s\n" % quote(o["help"])


def fish(table):
    split = groups(table)
    out = [HEAD, "function __varvectl_accounts; %s; end\n" % ACCOUNTS,
           "function __varvectl_conversations; %s; end\n" % CONVERSATIONS,
           "function __varvectl_verb\n    set -l words (commandline -opc)[2..]\n",
           "    string match -v -- '-*' $words | string join ' '\nend\n",
           "function __varvectl_in; string match -q -- \"$argv\" (__varvectl_verb); ",
           "or string match -q -- \"$argv *\" (__varvectl_verb); end\n",
           "complete -c varvectl -f\n"]
    for o in table["options"]:
        out.append(fish_option(o, "true"))
    for g, seconds in split.items():
        text = next((v["summary"] for v in table["verbs"] if v["name"] == g), "Verbs of this kind")
        out.append("complete -c varvectl -n 'test -z (__varvectl_verb)' -a %s -d %s\n" % (g, quote(text)))
    for v in table["verbs"]:
        first, _, second = v["name"].partition(" ")
        if second:
            out.append("complete -c varvectl -n 'test (__varvectl_verb) = %s' -a %s -d %s\n" % (first, second,
                                                                                          quote(v["summary"])))
        inside = "__varvectl_in %s" % v["name"]
        for o in v["options"]:
            out.append(fish_option(o, inside))
        if v["words"] == "setting":
            out.append("complete -c varvectl -n %s -a %s\n" % (quote(inside), quote(" ".join(SETTINGS))))
        elif v["words"] == "key":
            out.append("complete -c varvectl -n %s -F -a %s\n" % (quote(inside), quote(" ".join(KEYS))))
        elif v["words"] == "file":
            out.append("complete -c varvectl -n %s -F\n" % quote(inside))
        elif v["words"]:
            out.append("complete -c varvectl -n %s -a '(__varvectl_%ss)'\n" % (quote(inside), v["words"]))
    return "".join(out)


MAKERS = {"bash": bash, "zsh": zsh, "fish": fish}


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--all":
        table = json.loads(subprocess.run([sys.argv[2], "dump-verbs"], stdout=subprocess.PIPE, check=True).stdout)
        for shell, name in FILES.items():
            with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), name), "w", encoding="utf-8") as f:
                f.write(MAKERS[shell](table))
        return 0
    if len(sys.argv) == 2 and sys.argv[1] in MAKERS:
        sys.stdout.write(MAKERS[sys.argv[1]](json.load(sys.stdin)))
        return 0
    sys.stderr.write(__doc__ + "\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
