"""
targets.py DIR SUITE...: what ninja has to build in DIR for those suites of tests, a line each: a build with sanitizers
takes minutes, and needs no more than what is run.
"""

import json
import os
import sys

build, suites = os.path.abspath(sys.argv[1]), set(sys.argv[2:])


def intro(what):
    with open(f"{build}/meson-info/intro-{what}.json", encoding="utf-8") as f:
        return json.load(f)


files = {t["id"]: [os.path.relpath(f, build) for f in t["filename"]] for t in intro("targets")}
wanted = {i for t in intro("tests") if suites & {s.split(":")[-1] for s in t["suite"]} for i in t["depends"]}
print("\n".join(sorted(f for i in wanted for f in files[i])))
