"""Help, completions and the man page say what the program does: all three are held against its table of verbs."""

import glob
import json
import os
import re
import subprocess

import pytest
from ctlkit import HOUR, PROGRAM, T0

TOP = os.path.join(os.path.dirname(__file__), "../..")
TABLE = json.loads(subprocess.run([PROGRAM, "dump-verbs"], stdout=subprocess.PIPE, check=True).stdout)
VERBS = TABLE["verbs"]


def read(name):
    with open(os.path.join(TOP, name), encoding="utf-8") as f:
        return f.read()


def helped(*words):
    p = subprocess.run([PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert p.returncode == 0 and p.stderr == "", (words, p)
    return p.stdout


def test_who_installs_by_the_readme_has_all_packages():
    named = re.search(r"sudo apt install ((?:.*\\\n)*.*)\n", read("README.md")).group(1).replace("\\\n", " ").split()
    needed = re.search(r'^PACKAGES_BUILD="(.*?)"', read("tests/lib/packages.sh"), re.S | re.M).group(1).split()
    assert sorted(named) == sorted(needed + ["scdoc"]), "and scdoc for the manual"


def test_every_verb_of_this_issue_is_there():
    assert {v["name"] for v in VERBS} >= {
        "status", "account add", "account list", "account show", "account remove", "account enable", "account disable",
        "account connect", "account disconnect", "account password", "account set", "sync wait", "sync gaps", "sync now",
        "wait-idle", "sync pause", "sync resume", "sync coverage", "ls", "history", "export", "monitor", "doctor", "search",
        "lock", "unlock", "passwd",
        "keys list", "keys add", "keys remove", "keys rotate", "backup"}


@pytest.mark.parametrize("verb", [v["name"] for v in VERBS] + [""])
def test_help_is_well_formed(verb):
    text = helped(*verb.split(), "--help")

    assert text.startswith("Usage: varvectl ") and text.endswith("\n")
    for line in text.splitlines():
        assert len(line) <= 80 and line == line.rstrip() and "\t" not in line, line
    if verb:
        entry = [v for v in VERBS if v["name"] == verb][0]
        assert entry["summary"][0].isupper() and not entry["summary"].endswith(".")
        assert text == helped("help", *verb.split())
        for o in entry["options"] + TABLE["options"]:
            assert "--" + o["name"] in text
            assert (o["letter"] is None) or "-%s, --%s" % (o["letter"], o["name"]) in text
    else:
        for v in VERBS:
            assert "  " + v["name"] in text


def keys_of(value):
    if isinstance(value, dict):
        for key, inside in value.items():
            if "@" not in key:          # reactions have senders for keys
                yield key
            yield from keys_of(inside)
    for inside in value if isinstance(value, list) else ():
        yield from keys_of(inside)


def test_the_manual_names_every_key_of_the_json(archive, ctl):
    section = re.search(r"^# JSON\n(.*?)^# EXIT STATUS", read("docs/man/varvectl.1.scd"), re.S | re.M).group(1).replace("\\_", "_")
    named = set(re.findall(r"[a-z_]+", section))
    archive.spans = [(T0, T0 + HOUR, "a", "b", 3, {})]
    for verb in ("status", "status --check", "account list", "account show", "account connect", "sync now", "sync coverage", "sync gaps",
                 "ls", "history bob@example.org", "search message", "roster", "keys", "doctor", "read bob@example.org",
                 "send bob@example.org x", "roster set bob@example.org --name=Bob", "keys add recovery", "lock", "unlock"):
        rows = [json.loads(x) for x in ctl(*verb.split(), "-j").splitlines()]
        keys = set(keys_of(rows))
        # A time is there twice, and told of once.
        assert {k for k in keys if not {k, k + "_usec", k.replace("_usec", "")} & named} == set(), verb


def test_options_are_unique_within_a_verb():
    for v in VERBS:
        for key in ("name", "letter"):
            all_of = [o[key] for o in v["options"] + TABLE["options"] if o[key]]
            assert len(all_of) == len(set(all_of)), (v["name"], all_of)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_are_what_the_table_makes(shell):
    out = subprocess.run(["/usr/bin/python3", os.path.join(TOP, "data/completions/generate.py"), shell],
                         input=json.dumps(TABLE), stdout=subprocess.PIPE, text=True, check=True).stdout
    name = {"bash": "varvectl", "zsh": "_varvectl", "fish": "varvectl.fish"}[shell]

    assert read("data/completions/" + name) == out, "run data/completions/generate.py --all build/ipc/varvectl"


def complete(line):
    """What bash would offer for ${line}."""
    script = """
        source %s
        COMP_LINE=$1; COMP_POINT=${#1}
        _varvectl; printf '%%s\\n' "${COMPREPLY[@]}"
    """ % os.path.join(TOP, "data/completions/varvectl")
    p = subprocess.run(["bash", "-c", script, "bash", line], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                       env={"PATH": os.path.dirname(PROGRAM) + ":/usr/bin:/bin"})
    assert p.returncode == 0 and p.stderr == "", p
    return set(p.stdout.split())


def test_bash_completes():
    assert {"status", "account", "sync", "history"} <= complete("varvectl ")
    assert complete("varvectl his") == {"history"}
    assert {"add", "list", "set"} <= complete("varvectl account ")
    assert "--check" in complete("varvectl status --") and "--lines" not in complete("varvectl status --")
    assert {"--lines", "--json"} <= complete("varvectl -j history --")
    assert complete("varvectl keys ") == {"list", "add", "remove", "rotate"}
    assert complete("varvectl keys add ") == {"passphrase", "recovery", "key-file", "credential"}
    assert complete("varvectl backup /etc/pass") >= {"/etc/passwd"} <= complete("varvectl keys add key-file /etc/pass")


def offered_in_bash(lines):
    script = """
        source %s
        while IFS= read -r line; do
            COMP_LINE=$line; COMP_POINT=${#line}
            _varvectl; printf '%%s ' "${COMPREPLY[@]}"; echo
        done
    """ % os.path.join(TOP, "data/completions/varvectl")
    return subprocess.run(["bash", "-c", script], input="".join(x + "\n" for x in lines), stdout=subprocess.PIPE, text=True,
                          check=True, env={"PATH": "/usr/bin:/bin"}).stdout.splitlines()


def offered_in_fish(lines):
    script = """
        source %s
        while read -l line
            complete -C $line | string replace -r '\\t.*' '' | string join ' '; or echo
        end
    """ % os.path.join(TOP, "data/completions/varvectl.fish")
    return subprocess.run(["fish", "-N", "-c", script], input="".join(x + "\n" for x in lines), stdout=subprocess.PIPE, text=True,
                          check=True, env={"PATH": "/usr/bin:/bin", "HOME": "/dev/null"}).stdout.splitlines()


def offered_in_zsh(lines):
    """What the file gives to zsh's own functions, which do the rest."""
    script = """
        _arguments() {
            local spec
            for spec in "$@"; do
                [[ $spec == -* ]] && print -rn -- "${${spec%%%%\\[*}%%[=+]*} "
                [[ $PREFIX == *=* && $spec == ${PREFIX%%%%=*}\\=* ]] && print -rn -- "${(M)spec%%\\(*\\)} "
                [[ $spec == *verb:\\{* ]] && eval "${${spec#*\\{}%%\\}}"
            done
        }
        _describe() { print -rn -- ${verbs%%%%:*} "" }
        functions[complete_it]=$(<%s)
        while IFS= read -r line; do
            words=(${(s: :)line}); [[ $line == *' ' ]] && words+=('')
            CURRENT=$#words PREFIX=$words[-1]
            complete_it; print
        done
    """ % os.path.join(TOP, "data/completions/_varvectl")
    return subprocess.run(["zsh", "-f", "-c", script], input="".join(x + "\n" for x in lines), stdout=subprocess.PIPE, text=True,
                          check=True, env={"PATH": "/usr/bin:/bin"}).stdout.splitlines()


@pytest.mark.parametrize("offered", [offered_in_bash, offered_in_zsh, offered_in_fish])
def test_a_shell_offers_every_verb_and_option_that_help_tells_of(offered):
    """Against the text of --help, with options before the verb, and each word that an option may have."""
    verbs = [v["name"].split() for v in VERBS]
    cases = []
    for before in ("", "--timeout 5 ", "-a me@example.org -j "):
        cases.append(("varvectl " + before, {v[0] for v in verbs}))
        for group in {v[0] for v in verbs if len(v) == 2}:
            cases.append(("varvectl %s%s " % (before, group), {v[1] for v in verbs if v[0] == group}))
    for v in VERBS:
        text = helped(*v["name"].split(), "--help")
        cases.append(("varvectl --timeout 5 %s --" % v["name"], set(re.findall(r"^  (?:-\w, |    )(--[a-z-]+)", text, re.M))))
        for name, words in re.findall(r"^  (?:-\w, |    )(--[a-z-]+)\[?=([a-z|]+\|[a-z|]+)", text if v is VERBS[0] else text[:text.index("Options of every verb")], re.M):
            cases.append(("varvectl %s %s=" % (v["name"], name), set(words.split("|"))))
    assert len(cases) > 70

    answers = offered([line for line, _ in cases])
    assert len(answers) == len(cases)
    for (line, want), got in zip(cases, answers):
        # fish gives "--name=word" for "--name=", zsh "(word word)"
        words = {re.sub("^--[a-z-]+=(.)", r"\1", w.strip("()")).rstrip("=") for w in got.split()}
        assert want <= words, (line, got)


def test_the_man_page_has_every_verb_option_exit_code_and_key():
    page = read("docs/man/varvectl.1.scd").replace("\\", "")

    for v in VERBS:
        assert re.search(r"^\*%s\*" % re.escape(v["name"]), page, re.M), v["name"]
        for o in v["options"]:
            assert "--" + o["name"] in page, o["name"]
    for o in TABLE["options"]:
        assert "--" + o["name"] in page, o["name"]
    for code in range(12):
        assert re.search(r"^\*%d\*" % code, page, re.M), code


def test_the_configuration_file_and_its_page_know_the_same_keys():
    page, conf = read("docs/man/varve.conf.5.scd"), read("data/varve.conf")
    keys = set(re.findall(r"^#?([a-z]+) *=", conf, re.M))

    assert keys == set(re.findall(r"^\*([a-z]+)\* *=", page, re.M)) > {"history", "page", "lanes", "deadline", "level"}


def test_man_pages_are_valid_scdoc():
    pages = glob.glob(os.path.join(TOP, "docs/man/*.scd"))
    assert len(pages) >= 3
    for p in pages:
        with open(p, encoding="utf-8") as f:
            r = subprocess.run(["scdoc"], stdin=f, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert r.returncode == 0, (p, r.stderr)


def test_the_examples_of_the_man_pages_fit_a_terminal():
    """Rendered they begin in column 12, and a tab is 5 columns."""
    for p in glob.glob(os.path.join(TOP, "docs/man/*.scd")):
        with open(p, encoding="utf-8") as f:
            for part in f.read().split("```\n")[1::2]:
                for line in part.splitlines():
                    assert len(line.expandtabs(5)) <= 69, (p, line)


def test_the_units_are_valid(tmp_path):
    import shutil
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    text = read("data/varved.service.in").replace("@bindir@/varved", "/bin/true")
    (tmp_path / "varved.service").write_text(text)
    for name in ("varved.socket", "varved-ro.socket"):
        shutil.copy(os.path.join(TOP, "data", name), tmp_path)
    os.mkdir(tmp_path / "run", 0o700)
    p = subprocess.run(["systemd-analyze", "--user", "verify", *map(str, tmp_path.glob("varved*"))], text=True,
                       env=dict(os.environ, XDG_RUNTIME_DIR=str(tmp_path / "run")), stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
    # The man pages that the units name are not installed where this runs.
    assert [x for x in p.stdout.splitlines() if "Command 'man " not in x] == []
