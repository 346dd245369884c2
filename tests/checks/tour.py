#!/usr/bin/python3
"""docs/ARCHITECTURE.md names every source file of daemon/ and ipc/ in its directory's section, and none that is gone.

usage: tour.py TOP | tour.py --self-test
"""
import pathlib
import re
import sys

SECTION = re.compile(r"^### ((?:daemon|ipc)(?:/[\w-]+)?)$")
NAMED = re.compile(r"`([\w./-]+\.(?:c|h|xml|py))`")


def sections(doc):
    """{directory: names of files in its section}; what stands in no such section is under ""."""
    found, here = {"": set()}, ""
    for line in doc.splitlines():
        if line.startswith("#"):
            m = SECTION.match(line)
            here = m.group(1) if m else ""
            found.setdefault(here, set())
        found[here].update(NAMED.findall(line))
    return found


def faults(doc, files):
    """Every line of what is wrong, where ${files} are the paths of the tree."""
    found, named = [], sections(doc)
    for path in sorted(files):
        folder, _, name = path.rpartition("/")
        # A header is read with its .c
        if not path.startswith(("daemon/", "ipc/")) or not name.endswith((".c", ".h")) or path[:-1] + "c" in files and name[-1] == "h":
            continue
        if name not in named.get(folder, ()):
            found.append(f"{path} has no place in the section {folder}")
    for folder, names in sorted(named.items()):
        for name in sorted(names):
            inside = f"{folder}/{name}" in files
            if not inside and (folder and "/" not in name or not any(("/" + f).endswith("/" + name) for f in files)):
                found.append(f"{folder or 'the text'} names {name}, which is not there")
    return found


def self_test():
    files = {"daemon/core/plan.c", "daemon/core/plan.h", "daemon/core/only.h", "daemon/varved.c", "ipc/ctl/row.c", "tests/engine/sim.c"}
    doc = ("# Tour\n`core/plan.c` and `sim.c`\n### daemon/core\n`plan.c`, `only.h`, `plan.h`\n### ipc/ctl\n`row.c`\n"
           "### daemon\n`varved.c`\n## Tests\n`tests/engine/sim.c`\n")
    assert faults(doc, files) == [], faults(doc, files)
    for bad in (doc.replace("`only.h`, ", ""), doc.replace("`plan.c`, ", ""), doc.replace("`row.c`", ""), doc.replace("### ipc/ctl\n", ""),
                doc + "`core/gone.c`\n", doc.replace("`only.h`", "`only.h`, `row.c`"), doc + "`an.c`\n"):
        assert faults(bad, files), bad
    assert faults(doc, files | {"ipc/ctl/new.c"}) == ["ipc/ctl/new.c has no place in the section ipc/ctl"]


def main():
    if sys.argv[1] == "--self-test":
        self_test()
        return 0
    top = pathlib.Path(sys.argv[1])
    files = {str(p.relative_to(top)) for part in ("daemon", "ipc", "tests") for p in (top / part).rglob("*") if p.is_file()}
    found = faults((top / "docs/ARCHITECTURE.md").read_text(), files)
    for f in found:
        print(f"docs/ARCHITECTURE.md: {f}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
