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

# What a running daemon knows. The key that is looked for is the first of its line (varvectl(1)); a backslash is two in JSON.
def known(verb, key, extra=""):
    return ("varvectl %s%s -j --timeout=1 2>/dev/null | sed -n 's/^{\"%s\":\"\\([^\"]*\\)\".*/\\1/p' | tr -s '\\134'" % (
        extra, verb, key))


KNOWN = {"account": ("account list", "jid"), "conversation": ("ls", "conversation"), "contact": ("roster list", "jid")}
ACTIONS = ["approve", "deny", "revoke", "request", "unsubscribe"]
KEYS = ["passphrase", "recovery", "key-file", "credential"]
# What may be written behind "=": words, a file, or what nobody knows.
SETTINGS = {"server": [], "tls": ["direct", "starttls"], "ca-file": "file", "nick": [], "allow-plain": ["yes", "no"],
            "push-service": [], "enabled": ["yes", "no"]}
OBJECTS = ["root", "account"]


def groups(table):
    out = {}
    for v in table["verbs"]:
        first, _, second = v["name"].partition(" ")
        out.setdefault(first, [])
        if second:
            out[first].append(second)
    return out


def about(table, name):
    """What is said of the verb, or of the group with its verbs."""
    summary = next((v["summary"] for v in table["verbs"] if v["name"] == name), None)
    return summary or ", ".join(groups(table)[name])


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


def settings():
    """Those of a few words with each of them, the others as far as "="."""
    return [k + "=" + w for k, words in SETTINGS.items() for w in (words if isinstance(words, list) and words else [""])]


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
            "_varvectl_files()\n{\n",
            "\tcompopt -o filenames 2>/dev/null\n",
            "\tmapfile -t COMPREPLY < <(compgen -f -- \"$1\")\n",
            "}\n\n",
            "_varvectl()\n{\n",
            "\tlocal line=${COMP_LINE:0:COMP_POINT} cur prev verb= opt= i args=0 cut word\n",
            "\tlocal -a w list=() _varvectl_where=()\n",
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
            "\t-a|--account) mapfile -t list < <(_varvectl_known account) ;;\n",
            "\t--in|--from) mapfile -t list < <(_varvectl_known conversation) ;;\n"]
    for name, words in sorted(choices([o for o in every if o["name"] != "wait"]).items()):
        out.append("\t--%s) list=(%s) ;;\n" % (name, " ".join(words)))
    waits = choices([o for v in table["verbs"] if v["name"] == "send" for o in v["options"]])["wait"]
    out += ["\t--wait) [[ $verb == send ]] && list=(%s) ;;\n" % " ".join(waits),
            "\t%s) _varvectl_files \"$cur\"; return ;;\n" % "|".join(files),
            "\t%s) return ;;\n" % "|".join(x for x in with_value(every) if x not in files + ["-a", "--account", "--in", "--from", "--wait"]
                                           and x.lstrip("-") not in choices(every)),
            "\tesac\n",
            "\tif [[ ${#list[@]} == 0 && $cur == -* ]]; then\n",
            "\t\tcase $verb in\n"]
    for v in table["verbs"]:
        if v["options"]:
            out.append("\t\t'%s') list=(%s) ;;\n" % (v["name"], " ".join(flags(v["options"]))))
    out += ["\t\tesac\n",
            "\t\tlist+=(%s)\n" % " ".join(flags(table["options"])),
            "\telif [[ ${#list[@]} == 0 ]]; then\n",
            "\t\tcase $verb in\n",
            "\t\t'') list=(%s) ;;\n" % " ".join(split)]
    for g, seconds in split.items():
        if seconds:
            out.append("\t\t'%s') list=(%s) ;;\n" % (g, " ".join(seconds)))
    for v in table["verbs"]:
        kind = v["words"]
        if kind == "conversation":
            out.append("\t\t'%s') mapfile -t list < <(_varvectl_known %s) ;;\n" % (v["name"], kind))
        elif kind in ("account", "conversation1"):
            out.append("\t\t'%s') ((args == 0)) && mapfile -t list < <(_varvectl_known %s) ;;\n" % (v["name"], kind.rstrip("1")))
        elif kind == "contact":
            second = "list=(%s)" % " ".join(ACTIONS) if v["name"] == "roster authorize" else ":"
            out.append("\t\t'%s') if ((args == 0)); then mapfile -t list < <(_varvectl_known contact); else %s; fi ;;\n" % (
                v["name"], second))
        elif kind == "key":
            out.append("\t\t'%s') if [[ ${w[${#w[@]}-2]} == key-file ]]; then _varvectl_files \"$cur\"; return; fi\n" % v["name"])
            out.append("\t\t\t((args == 0)) && list=(%s) ;;\n" % " ".join(KEYS))
        elif kind == "file":
            out.append("\t\t'%s') _varvectl_files \"$cur\"; return ;;\n" % v["name"])
        elif kind == "setting":
            out.append("\t\t'%s')\n" % v["name"])
            for key in (k for k, x in SETTINGS.items() if x == "file"):
                out.append("\t\t\tif [[ $cur == %s=* ]]; then _varvectl_files \"${cur#*=}\"; return; fi\n" % key)
            out.append("\t\t\t((args == 0)) && mapfile -t list < <(_varvectl_known account)\n")
            out.append("\t\t\tif [[ $cur == *=* ]]; then list=(%s); else list+=(%s); fi\n" % (
                " ".join(settings()), " ".join(k + "=" for k in SETTINGS)))
            out.append("\t\t\t[[ $cur == *=* ]] || compopt -o nospace 2>/dev/null ;;\n")
        elif kind == "verb":
            out.append("\t\t'%s')\n\t\t\tcase $args:${w[${#w[@]}-2]} in\n\t\t\t0:*) list=(%s) ;;\n" % (v["name"], " ".join(split)))
            for g, seconds in split.items():
                if seconds:
                    out.append("\t\t\t1:%s) list=(%s) ;;\n" % (g, " ".join(seconds)))
            out.append("\t\t\tesac ;;\n")
        elif kind == "object":
            out.append("\t\t'%s') ((args == 0)) && list=(%s) ;;\n" % (v["name"], " ".join(OBJECTS)))
    out += ["\t\tesac\n",
            "\tfi\n",
            "\t# Quoted: what comes from outside lands on a command line, and an address may hold $(...). No compgen -W,\n",
            "\t# which expands its words.\n",
            "\tfor word in \"${list[@]}\"; do\n",
            "\t\tprintf -v word %q \"$word\"\n",
            "\t\t[[ $word != \"$cur\"* ]] || COMPREPLY+=(\"${word#\"$cut\"}\")\n",
            "\tdone\n",
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
        elif o["name"] in ("in", "from"):
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
           "_varvectl_settings()\n{\n",
           "\tcase $PREFIX in\n",
           *("\t%s=*) compset -P '*='; %s ;;\n" % (k, "_files" if x == "file" else "compadd -- " + " ".join(x))
             for k, x in SETTINGS.items() if x),
           "\t*) compadd -S '' -- %s; _varvectl_accounts ;;\n" % " ".join(k + "=" for k in SETTINGS),
           "\tesac\n}\n\n",
           "_varvectl_verb()\n{\n\tlocal -a verbs\n\tcase $1 in\n"]
    for g, seconds in [("", list(split))] + [(g, s) for g, s in split.items() if s]:
        out.append("\t'%s') verbs=(\n" % g)
        for s in seconds:
            name = (g + " " + s).strip()
            out.append("\t\t%s\n" % quote("%s:%s" % (s, about(table, name))))
        out.append("\t) ;;\n")
    out += ["\tesac\n\t_describe verb verbs\n}\n\n", "_varvectl()\n{\n\tlocal verb= word skip=0\n\tlocal -a options\n",
            "\tfor word in ${words[2,CURRENT-1]}; do\n",
            "\t\tif ((skip)); then skip=0; continue; fi\n",
            "\t\tcase $word in\n\t\t%s) skip=1; continue ;;\n\t\t-*) continue ;;\n\t\tesac\n" % "|".join(with_value(all_options(table))),
            "\t\tcase $verb in\n",
            "\t\t'') verb=$word ;;\n", "\t\t%s) verb=\"$verb $word\" ;;\n" % "|".join(g for g, s in split.items() if s),
            "\t\tesac\n\tdone\n", "\toptions=(\n"]
    for o in table["options"]:
        out += ["\t\t%s\n" % x for x in zsh_option(o)]
    out += ["\t)\n\tcase $verb in\n"]
    for g, seconds in [("", split)] + [(g, s) for g, s in split.items() if s]:
        out.append("\t'%s') _arguments $options '*::verb:{ _varvectl_verb %s }' ;;\n" % (g, quote(g).replace("'", '"')))
    kinds = {"account": "'@1:account:_varvectl_accounts' '*: :()'", "conversation": "'*:conversation:_varvectl_conversations'",
             # Words are counted from the verb's own.
             "conversation1": "'@1:conversation:_varvectl_conversations' '*: :()'",
             "contact": "'@1:contact:_varvectl_contacts' '*: :()'",
             "setting": "'*:setting:_varvectl_settings'", "file": "'*:file:_files'",
             "key": "'@1:kind:(%s)' '@2:file:_files'" % " ".join(KEYS), "object": "'@1:object:(%s)' '*: :()'" % " ".join(OBJECTS),
             "verb": "'@1:verb:{ _varvectl_verb \"\" }' '@2:verb:{ _varvectl_verb \"$words[CURRENT-1]\" }'"}
    for v in table["verbs"]:
        out.append("\t'%s')\n" % v["name"])
        for o in v["options"]:
            out += ["\t\toptions+=(%s)\n" % x for x in zsh_option(o)]
        own = len(v["name"].split())
        words = kinds.get(v["words"], "'*: :()'")
        if v["name"] == "roster authorize":
            words = words.replace("'*:", "'@2:action:(%s)' '*:" % " ".join(ACTIONS))
        words = words.replace("@1:", "%d:" % (own + 1)).replace("@2:", "%d:" % (own + 2))
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
    elif o["name"] in ("in", "from"):
        line += " -x -a '(__varvectl_conversations)'"
    elif o["arg"]:
        line += " -x"
    return line + " -d %s\n" % quote(o["help"])


def fish(table):
    split = groups(table)
    out = [HEAD, *("function __varvectl_%ss; %s; end\n" % (
               kind, known(*KNOWN[kind], "(string match -r -- '^--(?:account|address)=.*' (commandline -opc)) ")) for kind in KNOWN),
           # The words that are no options and no values of any; looked for once a line, as each condition asks.
           "function __varvectl_look\n    set -l line (commandline -opc)\n",
           "    test \"$line\" = \"$__varvectl_line\"; and return\n",
           "    set -g __varvectl_line \"$line\"\n    set -g __varvectl_words\n    set -l skip\n",
           "    for word in $line[2..]\n",
           "        if set -q skip[1]\n            set skip\n            continue\n        end\n",
           "        switch $word\n            case %s\n                set skip yes\n            case '-*'\n" % " ".join(
               with_value(all_options(table))),
           "            case '*'\n                set -a __varvectl_words $word\n        end\n    end\nend\n",
           "function __varvectl_is; __varvectl_look; test \"$argv\" = \"$__varvectl_words\"; end\n",
           "function __varvectl_in; __varvectl_look; test \"$argv\" = \"$__varvectl_words[1..$(count $argv)]\"; end\n",
           # One word after the verb is there already.
           "function __varvectl_second; __varvectl_in $argv; and test (count $__varvectl_words) = (math (count $argv) + 1); end\n",
           "complete -c varvectl -f\n"]

    def offer(condition, verb, what):
        out.append("complete -c varvectl -n %s %s\n" % (quote("__varvectl_%s %s" % (condition, verb)), what))

    for o in table["options"]:
        out.append(fish_option(o, "true"))
    for g, seconds in split.items():
        out.append("complete -c varvectl -n __varvectl_is -a %s -d %s\n" % (g, quote(about(table, g))))
    for v in table["verbs"]:
        first, _, second = v["name"].partition(" ")
        if second:
            offer("is", first, "-a %s -d %s" % (second, quote(v["summary"])))
        for o in v["options"]:
            out.append(fish_option(o, "__varvectl_in %s" % v["name"]))
        if v["words"] == "setting":
            offer("in", v["name"], "-a %s" % quote(" ".join(settings())))
            offer("is", v["name"], "-a '(__varvectl_accounts)'")
        elif v["words"] == "key":
            offer("is", v["name"], "-a %s" % quote(" ".join(KEYS)))
            offer("is", v["name"] + " key-file", "-F")
        elif v["words"] == "file":
            offer("in", v["name"], "-F")
        elif v["words"] == "object":
            offer("is", v["name"], "-a %s" % quote(" ".join(OBJECTS)))
        elif v["words"] == "verb":
            offer("is", v["name"], "-a %s" % quote(" ".join(split)))
            for g, seconds in split.items():
                if seconds:
                    offer("is", v["name"] + " " + g, "-a %s" % quote(" ".join(seconds)))
        elif v["words"]:
            one = v["words"] != "conversation"
            offer("is" if one else "in", v["name"], "-a '(__varvectl_%ss)'" % v["words"].rstrip("1"))
            if v["name"] == "roster authorize":
                offer("second", v["name"], "-a %s" % quote(" ".join(ACTIONS)))
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
