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
def known(verb, key, extra=""):
    return ("varvectl %s%s -j --timeout=1 2>/dev/null | sed -n 's/^{\"%s\":\"\\([^\"]*\\)\".*/\\1/p'" % (extra, verb, key))


KNOWN = {"account": ("account list", "jid"), "conversation": ("ls", "conversation"), "contact": ("roster list", "jid")}
ACTIONS = ["approve", "deny", "revoke", "request", "unsubscribe"]
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
    files = [w for o in every if o["arg"] in ("FILE", "SOCKET") for w in flags([o])]
    out = [HEAD,
           "# Of the account and the daemon that the line names.\n",
           "_varvectl_known()\n{\n\tcase $1 in\n"]
    for kind, (verb, key) in KNOWN.items():
        out.append("\t%s) %s ;;\n" % (kind, known(verb, key, '"${_varvectl_where[@]}" ')))
    out += ["\tesac\n}\n\n",
            "_varvectl()\n{\n",
            "\tlocal line=${COMP_LINE:0:COMP_POINT} cur prev verb= opt= i args=0 words= cut; local -a w _varvectl_where=()\n",
            "\tCOMPREPLY=()\n",
            "\t# Not COMP_WORDS: bash breaks words at \"@\" and \"=\", of which addresses and options are made.\n",
            "\tread -ra w <<<\"$line\"\n",
            "\t[[ $line == *[[:space:]] ]] && w+=('')\n",
            "\tcur=${w[${#w[@]}-1]} prev=${w[${#w[@]}-2]}\n",
            "\tfor ((i = 1; i < ${#w[@]} - 1; i++)); do\n",
            "\t\tcase ${w[i]} in\n",
            "\t\t-a|--account|--address) _varvectl_where+=(\"${w[i]}\" \"${w[i+1]}\"); ((i++)) ;;\n",
            "\t\t--account=*|--address=*) _varvectl_where+=(\"${w[i]}\") ;;\n",
            "\t\t%s) ((i++)) ;;\n" % "|".join(x for x in with_value(every) if x not in ("-a", "--account", "--address")),
            "\t\t-*) ;;\n",
            "\t\t*)\n",
            "\t\t\tcase $verb in\n",
            "\t\t\t'') verb=${w[i]} ;;\n",
            "\t\t\t%s) verb=\"$verb ${w[i]}\" ;;\n" % "|".join(g for g, x in split.items() if x),
            "\t\t\t*) ((args++)) ;;\n",
            "\t\t\tesac ;;\n",
            "\t\tesac\n",
            "\tdone\n",
            "\t# What is completed may be the value of an option.\n",
            "\tif [[ $cur == --*=* ]]; then opt=${cur%%=*} cur=${cur#*=}; else opt=$prev; fi\n",
            "\t# Readline puts in what comes after the last break; \"@\" itself belongs to that.\n",
            "\tcut=${cur%\"${cur##*[:=]}\"} prev=${cur##*[:=]}\n",
            "\t[[ $prev == *@* ]] && cut+=${prev%@*}\n",
            "\tcase $opt in\n",
            "\t-a|--account) words=$(_varvectl_known account) ;;\n",
            "\t--in) words=$(_varvectl_known conversation) ;;\n"]
    for name, words in sorted(choices([o for o in every if o["name"] != "wait"]).items()):
        out.append("\t--%s) words='%s' ;;\n" % (name, " ".join(words)))
    waits = choices([o for v in table["verbs"] if v["name"] == "send" for o in v["options"]])["wait"]
    out += ["\t--wait) [[ $verb == send ]] && words='%s' ;;\n" % " ".join(waits),
            "\t%s) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n" % "|".join(files),
            "\t%s) return ;;\n" % "|".join(x for x in with_value(every) if x not in files + ["-a", "--account", "--in", "--wait"]
                                           and x.lstrip("-") not in choices(every)),
            "\tesac\n",
            "\tif [[ -z $words && $cur == -* ]]; then\n",
            "\t\tcase $verb in\n"]
    for v in table["verbs"]:
        if v["options"]:
            out.append("\t\t'%s') words='%s' ;;\n" % (v["name"], " ".join(flags(v["options"]))))
    out += ["\t\tesac\n",
            "\t\twords+=' %s'\n" % " ".join(flags(table["options"])),
            "\telif [[ -z $words ]]; then\n",
            "\t\tcase $verb in\n",
            "\t\t'') words='%s' ;;\n" % " ".join(split)]
    for g, seconds in split.items():
        if seconds:
            out.append("\t\t'%s') words='%s' ;;\n" % (g, " ".join(seconds)))
    for v in table["verbs"]:
        kind = v["words"]
        if kind in ("account", "conversation"):
            out.append("\t\t'%s') words=$(_varvectl_known %s) ;;\n" % (v["name"], kind))
        elif kind == "conversation1":
            out.append("\t\t'%s') ((args == 0)) && words=$(_varvectl_known conversation) ;;\n" % v["name"])
        elif kind == "contact":
            second = "words='%s'" % " ".join(ACTIONS) if v["name"] == "roster authorize" else ":"
            out.append("\t\t'%s') if ((args == 0)); then words=$(_varvectl_known contact); else %s; fi ;;\n" % (v["name"], second))
        elif kind == "key":
            out.append("\t\t'%s') if [[ ${w[${#w[@]}-2]} == key-file ]]; then COMPREPLY=($(compgen -f -- \"$cur\")); return; fi\n" % v["name"])
            out.append("\t\t\t((args == 0)) && words='%s' ;;\n" % " ".join(KEYS))
        elif kind == "file":
            out.append("\t\t'%s') COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n" % v["name"])
        elif kind == "setting":
            out.append("\t\t'%s') words='%s'; compopt -o nospace 2>/dev/null ;;\n" % (v["name"], " ".join(SETTINGS)))
        elif v["name"].startswith("api"):
            out.append("\t\t'%s') ((args == 0)) && words='root account' ;;\n" % v["name"])
    out += ["\t\tesac\n",
            "\tfi\n",
            "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n",
            "\tCOMPREPLY=(\"${COMPREPLY[@]#\"$cut\"}\")\n",
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
           *("_varvectl_%ss() { local -a a; a=(${(f)\"$(%s)\"}); compadd -a a }\n" % (
               kind, known(*KNOWN[kind], '${(M)words:#--(account|address)=*} ')) for kind in KNOWN),
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
             # Words are counted from the verb's own.
             "conversation1": "'@1:conversation:_varvectl_conversations' '*: :()'",
             "contact": "'@1:contact:_varvectl_contacts' '@2:action:(%s)'" % " ".join(ACTIONS),
             "setting": "'*:setting:_varvectl_settings'", "file": "'*:file:_files'",
             "key": "'@1:kind:(%s)' '@2:file:_files'" % " ".join(KEYS)}
    for v in table["verbs"]:
        out.append("\t'%s')\n" % v["name"])
        for o in v["options"]:
            out += ["\t\toptions+=(%s)\n" % x for x in zsh_option(o)]
        own = len(v["name"].split())
        words = kinds.get(v["words"], "'*: :()'").replace("@1:", "%d:" % (own + 1)).replace("@2:", "%d:" % (own + 2))
        out.append("\t\t_arguments $options %s ;;\n" % words)
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
    out = [HEAD, *("function __varvectl_%ss; %s; end\n" % (
               kind, known(*KNOWN[kind], "(string match -r -- '^--(?:account|address)=.*' (commandline -opc)) ")) for kind in KNOWN),
           "function __varvectl_verb\n    set -l words (commandline -opc)[2..]\n",
           "    string match -v -- '-*' $words | string join ' '\nend\n",
           "function __varvectl_in; string match -q -- \"$argv\" \"$(__varvectl_verb)\"; ",
           "or string match -q -- \"$argv *\" \"$(__varvectl_verb)\"; end\n",
           "complete -c varvectl -f\n"]
    for o in table["options"]:
        out.append(fish_option(o, "true"))
    for g, seconds in split.items():
        text = next((v["summary"] for v in table["verbs"] if v["name"] == g), "Verbs of this kind")
        out.append("complete -c varvectl -n 'test -z \"$(__varvectl_verb)\"' -a %s -d %s\n" % (g, quote(text)))
    for v in table["verbs"]:
        first, _, second = v["name"].partition(" ")
        if second:
            out.append("complete -c varvectl -n 'test \"$(__varvectl_verb)\" = %s' -a %s -d %s\n" % (first, second,
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
            out.append("complete -c varvectl -n %s -a '(__varvectl_%ss)'\n" % (quote(inside), v["words"].rstrip("1")))
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
