#!/usr/bin/python3
"""docs/cases.md names tests that exist, and no case that must have one is without.

usage: cases.py TOP | cases.py --self-test
"""
import pathlib
import re
import sys

MUST = ("A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A14 A15 A16 A17 B1 B2 B5 B6 B7 B8 C1 C3 C4 C7 C8 C9 C10 C11 C12 C13 "
        "C14 C15 F1 F2 F3 F5 F6 F8 H1 H2 H4 H5 H6 H7 J1 J2 D1 D2 D3 D4 D6 D7 D8 D9 D10 D11 D13 D14 D15 D16 D18 D19 "
        "D20 D21 D22 D23 D24 J3 J4 J5 P5 P6 P7 P8 P9 T1 T2 T3 T4 T5 T6 T7").split()
NAMED = re.compile(r"`([\w/.-]+\.(?:c|py)) (\w+)`")


def defined(text, path, name):
    """The file has a test of that name, and (in C) a table that runs it."""
    if path.endswith(".py"):
        return re.search(rf"^\s*(async )?def {name}\(", text, re.M) is not None
    begins = re.search(rf"^(static void |TEST\(){name}\b", text, re.M)
    return begins is not None and len(re.findall(rf"\b{name}\b", text)) > 1


def faults(doc, read):
    """Every line of ${doc} that promises what ${read}(path) does not hold."""
    seen, found = set(), []
    for line in doc.splitlines():
        if not line.startswith("| ") or line.startswith("| case") or line.startswith("| what"):
            continue
        case = line.split("|")[1].strip()
        tests = NAMED.findall(line)
        if not tests:
            found.append(f"{case}: names no test")
        if case in seen:
            found.append(f"{case}: stands here twice")
        seen.add(case)
        for path, name in tests:
            text = read(path)
            if text is None:
                found.append(f"{case}: there is no tests/{path}")
            elif not defined(text, path, name):
                found.append(f"{case}: tests/{path} has no test {name}")
    return found + [f"{case}: has no line" for case in MUST if case not in seen]


def self_test():
    text = {"unit/t.c": "static void good(void **state)\n{\n}\nT(good)\nstatic void idle(void **state)\n{\n}\n",
            "story/t.py": "def test_x(varved):\n    pass\n"}
    rows = "".join(f"| {case} | x | `unit/t.c good` |\n" for case in MUST)
    assert faults(rows, text.get) == []
    assert faults(rows + "| more | `story/t.py test_x` |\n", text.get) == []
    for bad in ("| Z1 | x | `unit/t.c gone` |", "| Z1 | x | `unit/t.c idle` |", "| Z1 | x | `unit/none.c good` |", "| Z1 | x | |",
                "| A1 | x | `unit/t.c good` |", "| Z1 | x | `story/t.py test_y` |"):
        assert len(faults(rows + bad + "\n", text.get)) == 1, bad
    assert faults(rows.replace("| J2 ", "| J9 "), text.get) == ["J2: has no line"]


def main():
    if sys.argv[1] == "--self-test":
        self_test()
        return 0
    top = pathlib.Path(sys.argv[1])

    def read(path):
        p = top / "tests" / path
        return p.read_text() if p.is_file() else None
    found = faults((top / "docs/cases.md").read_text(), read)
    for f in found:
        print(f"docs/cases.md: {f}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
