#!/usr/bin/env python3
"""Reject includes that point upward or sideways: the directory is the layer (docs/ARCHITECTURE.md).

    layers.py TOP          check the tree; one line a violation, exit 1 if there is one
    layers.py --self-test  show that violations are found
"""

import os
import re
import sys
import tempfile

RANK = {"base": 0, "core": 1, "vault": 1, "store": 2, "salvage": 2, "link": 2, "sync": 3, "wire": 3, "bus": 4}
TOP_RANK = 5        # daemon/varved.c, daemon/varve-wire.c

# Libraries that only one layer may know. The keeper parses no XML and speaks no TLS; only the store knows SQLite.
ONLY_IN = {
    "sqlite3.h": {"store", "vault"}, "strophe.h": {"wire"}, "expat.h": {"wire"}, "gsasl.h": {"wire"}, "openssl/": {"wire", "vault"},
    "sodium.h": {"store", "vault"}, "resolv.h": {"wire"}, "arpa/nameser.h": {"wire"}, "systemd/sd-bus.h": {"bus", "link", "ctl", "sync"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.M)


def sources(top):
    for part in ("daemon", "ipc"):
        for folder, _dirs, names in os.walk(os.path.join(top, part)):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(folder, name), top)


def layer(path):
    """'base' ... 'bus', 'top', or 'ipc'."""
    parts = path.split(os.sep)
    if parts[0] == "ipc":
        return "ipc"
    return parts[1] if len(parts) > 2 else "top"


def target(top, path, name):
    """The layer that an include of our own names; None if it is generated."""
    beside = os.path.join(os.path.dirname(path), name)
    for candidate in (beside, os.path.join("daemon", name), name, os.path.join("ipc", name)):
        if os.path.exists(os.path.join(top, candidate)):
            return layer(os.path.normpath(candidate))
    return None


def verdict(top, path, bracket, name):
    """None, or what is wrong with this include."""
    mine = layer(path)
    if bracket == "<":
        for header, layers in ONLY_IN.items():
            known = "ctl" if path.startswith(os.path.join("ipc", "")) else mine
            if name.startswith(header) and known not in layers and not (header == "systemd/sd-bus.h" and mine == "top"):
                return f"<{name}> belongs to {' and '.join(sorted(layers))}"
        return None
    theirs = target(top, path, name)
    if theirs is None or theirs == mine:
        return None
    if mine == "ipc":
        return f'"{name}": ipc/ includes nothing of daemon/'
    if theirs == "ipc":
        return None if mine in ("bus", "top") else f'"{name}": only bus/ knows the contract'
    if mine == "top":
        return None
    if mine not in RANK or theirs not in RANK:
        return f'"{name}": {mine if mine not in RANK else theirs} is no layer'
    if RANK[theirs] >= RANK[mine]:
        how = "upward" if RANK[theirs] > RANK[mine] else "sideways"
        return f'"{name}": {how}, {mine} (rank {RANK[mine]}) may not know {theirs} (rank {RANK[theirs]})'
    return None


def check(top):
    bad, count = [], 0
    for path in sources(top):
        with open(os.path.join(top, path), encoding="utf-8") as f:
            text = f.read()
        for match in INCLUDE.finditer(text):
            count += 1
            wrong = verdict(top, path, match.group(1), match.group(2))
            if wrong:
                bad.append(f"{path}:{text.count(chr(10), 0, match.start(1)) + 1}: {wrong}")
    return count, bad


def self_test():
    tree = {
        "daemon/base/mem.h": "", "daemon/core/jid.h": '#include "base/mem.h"\n', "daemon/store/store.h": '#include "core/jid.h"\n',
        "daemon/link/link.h": '#include "../store/store.h"\n', "daemon/base/up.c": '\n#include "core/jid.h"\n',
        "daemon/sync/hub.c": '#include "wire/xml.h"\n', "daemon/wire/xml.h": "#include <expat.h>\n",
        "daemon/core/lib.c": "#include <sqlite3.h>\n", "ipc/ctl/main.c": '#include "base/mem.h"\n',
        "ipc/names.h": "", "daemon/store/names.c": '#include "ipc/names.h"\n', "daemon/bus/server.c": '#include "ipc/names.h"\n',
        "daemon/varved.c": '#include "bus/server.h"\n#include "sync/hub.h"\n',
    }
    with tempfile.TemporaryDirectory() as top:
        for path, text in tree.items():
            os.makedirs(os.path.dirname(os.path.join(top, path)), exist_ok=True)
            with open(os.path.join(top, path), "w") as f:
                f.write(text)
        _count, bad = check(top)
    found = sorted(line.split(": ")[0] for line in bad)
    want = ["daemon/base/up.c:2", "daemon/core/lib.c:1", "daemon/link/link.h:1", "daemon/store/names.c:1",
            "daemon/sync/hub.c:1", "ipc/ctl/main.c:1"]
    assert found == want, f"found {found}, want {want}"


def main(argv):
    if argv[1:] == ["--self-test"]:
        self_test()
        return 0
    count, bad = check(argv[1])
    print("\n".join(bad) if bad else f"{count} includes, none upward or sideways")
    return 1 if bad or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
