"""
targets.py DIR SUITE...: what ninja has to build in DIR for those suites of tests, a line each: a build with sanitizers
takes minutes, and needs no more than what is run.
targets.py --linked LIBRARY DIR SUITE...: the tests of those suites whose program loads that shared library; to the others
another version of it can make no difference.
"""

import json
import os
import subprocess
import sys

linked = None
if sys.argv[1] == "--linked":
    linked = sys.argv[2]
    del sys.argv[1:3]
build, suites = os.path.abspath(sys.argv[1]), set(sys.argv[2:])


def intro(what):
    with open(f"{build}/meson-info/intro-{what}.json", encoding="utf-8") as f:
        return json.load(f)


def loads(program):
    """The dynamic linker's answer: all that would be loaded."""
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return done.returncode == 0 and linked in (line.split()[0] for line in done.stdout.splitlines())


tests = [t for t in intro("tests") if suites & {s.split(":")[-1] for s in t["suite"]}]
if linked:
    print("\n".join(t["name"] for t in tests if any(loads(word) for word in t["cmd"] if os.path.isfile(word))))
    sys.exit()
files = {t["id"]: [os.path.relpath(f, build) for f in t["filename"]] for t in intro("targets")}
wanted = {i for t in tests for i in t["depends"]}
print("\n".join(sorted(f for i in wanted for f in files[i])))
