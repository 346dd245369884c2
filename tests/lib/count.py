"""count.py FAILED-STAGES SKIPPED-STAGES FILE...: the last line of tests/run.sh, `N passed, N failed`, and the exit
status. A line before it says when whole stages could not be had (tests/newer-sqlite.sh without a registry).

FILE: a testlog.json of meson or a JUnit file of pytest. A cmocka program counts as many as it ran. A stage that
could not even run counts as one failure.
"""

import json
import re
import sys
import xml.etree.ElementTree as ET


def meson(path):
    passed = failed = 0
    with open(path) as f:
        for line in f:
            test = json.loads(line)
            if test["result"] in ("SKIP", "EXPECTEDFAIL"):
                continue
            text = test.get("stdout", "") + test.get("stderr", "")
            ran = [int(n) for n in re.findall(r"\[  PASSED  \] (\d+) test", text)]
            broken = [int(n) for n in re.findall(r"\[  FAILED  \] (\d+) test", text)]
            good = test["result"] == "OK"
            passed += sum(ran) if ran else int(good)
            failed += max(sum(broken), int(not good)) if not good else 0
    return passed, failed


def junit(path):
    passed = failed = 0
    for suite in ET.parse(path).getroot().iter("testsuite"):
        bad = int(suite.get("failures")) + int(suite.get("errors"))
        failed += bad
        passed += int(suite.get("tests")) - bad - int(suite.get("skipped"))
    return passed, failed


def main(argv):
    passed, failed, skipped = 0, int(argv[1]), int(argv[2])
    for path in argv[3:]:
        try:
            p, f = (junit if path.endswith(".xml") else meson)(path)
        except (OSError, ValueError, ET.ParseError) as e:
            print(f"{path}: {e}", file=sys.stderr)
            p, f = 0, 1
        passed, failed = passed + p, failed + f
    if skipped:
        print(f"{skipped} stages could not be had here, see above: they count as neither")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
