#!/usr/bin/env python3
"""What each program may not link, directly or through another library (docs/decisions/0001: two processes).

    links.py BUILD      exit 1 if a program links what it must not, or is not there
"""

import os
import re
import subprocess
import sys

PARSERS = ("libstrophe", "libssl", "libgsasl", "libexpat")     # what touches hostile bytes: only varve-wire
FORBIDDEN = {
    "daemon/varved": PARSERS,
    "daemon/varve-wire": ("libsqlite3",),
    "ipc/varvectl": PARSERS + ("libsqlite3",),
    "daemon/varve-salvage": PARSERS + ("libsqlite3", "libsystemd"),     # reads pages by hand
}
# The other direction, so that the check is known to see: each of these must be there
EXPECTED = {
    "daemon/varved": ("libsqlite3", "libsystemd"),
    "daemon/varve-wire": ("libstrophe", "libssl", "libgsasl", "libexpat", "libsystemd"),
    "ipc/varvectl": ("libsystemd",),
    "daemon/varve-salvage": ("libsodium",),
}


def linked(program):
    """Names of all libraries that the loader maps for it, without the version."""
    text = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return {re.split(r"\.so", os.path.basename(line.split()[0]))[0] for line in text.splitlines() if ".so" in line}


def main(argv):
    bad = []
    for name, forbidden in FORBIDDEN.items():
        program = os.path.join(argv[1], name)
        if not os.path.exists(program):
            bad.append(f"{name} is not built")
            continue
        libraries = linked(program)
        bad += [f"{name} links {lib}" for lib in forbidden if lib in libraries]
        bad += [f"{name} does not link {lib}, which it needs" for lib in EXPECTED[name] if lib not in libraries]
    print("\n".join(bad) or "every program links what it may")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
