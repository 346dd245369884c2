#!/usr/bin/env python3
"""Break one rule of the cipher VFS, to see that the power-loss simulator notices (facts/db.md section 1.5).

    mutate.py NAME SOURCE OUT    write SOURCE with the mutation NAME to OUT
    mutate.py --list             names and files

Each mutation replaces one exact piece of the real source. If that is not there exactly once, the build fails: then the
source was changed, and the mutation has to follow it.
"""

import os
import sys

MUTANTS = {
    # A torn frame is the end of the log. As a hard error, an archive does not open after a power cut.
    "torn-frame": ("vfs-wal.c", "\tif (frame > f->wal.good) {\n", "\tif (frame == 0) {\n"),
    # A torn page 1 is no failure when SQLite looks at a file: the log may have it whole.
    "torn-header": ("vfs-db.c", "\t\tpage_header_synthesize(buf);\n\treturn SQLITE_OK;\n",
                    "\t\treturn SQLITE_NOTADB;\n\treturn SQLITE_OK;\n"),
    # Frames are bound to the salts of the log they are in, not of the one before.
    "stale-salts": ("vfs-wal.c", "\tmemcpy(f->wal.salts, buf + 16, WAL_SALTS);\n\tf->wal.salts_known = true;\n",
                    "\tf->wal.salts_known = true;\n"),
    # Pages of the log that are kept in memory, and the four ways in which they stop being what is on the disk. These
    # are for tests/unit/vault/test-vfs-cache.c: no crash shows them.
    "cache-reset": ("vfs-wal.c", "\tforget_from(&f->wal, 1);\n\tf->wal.unsynced = 0;\n",
                    "\tf->wal.good = 0;\n\tf->wal.unsynced = 0;\n"),
    "cache-overwrite": ("vfs-wal.c", "\twal_cache_put(&w->cache, frame, page);\n",
                        "\tif (!wal_cache_get(w->cache, frame))\n\t\twal_cache_put(&w->cache, frame, page);\n"),
    "cache-failed": ("vfs-wal.c", "\t\tforget_from(w, w->batch_first);\n", "\t\tw->good = w->batch_first - 1;\n"),
    # Frames that are collected: a transaction is written with its commit frame, a patched header at once.
    "batch-commit": ("vfs-wal.c", "\treturn !more || commits(header) ||",
                     "\treturn !more || (frame == 0 && commits(header)) ||"),
    "batch-patch": ("vfs-wal.c", "\treturn !more || commits(header) ||",
                    "\treturn (frame == 0 && !more) || commits(header) ||"),
    "cache-truncate": ("vfs-wal.c", "\tforget_from(&f->wal, size < WAL_HEADER ? 1 : frame_of(size));\n", ""),
    # Without powersafe overwrite SQLite pads the log and splits pages around the sync: shapes that are refused.
    "no-powersafe": ("vfs.c", ") | SQLITE_IOCAP_POWERSAFE_OVERWRITE;\n", ");\n"),
    # A sync that never reaches the disk.
    "no-sync": ("vfs.c", "\t\trc = vfs_lower_said(f, vfs_lower(f)->pMethods->xSync(vfs_lower(f), flags));\n", "\t\trc = flags ? SQLITE_OK : rc;\n"),
    # After a sync that failed, that of relaxed transactions is on no disk, and no later sync says so.
    "trusted-sync": ("vfs-wal.c", "\tw->doubtful = rc != SQLITE_OK;\n", "\tw->doubtful = false;\n"),
}


def mutate(name, text):
    _file, old, new = MUTANTS[name]
    if text.count(old) != 1:
        raise SystemExit(f"mutate.py: {name}: the piece to replace is there {text.count(old)} times and not once")
    return text.replace(old, new)


def main(argv):
    if argv[1:] == ["--list"]:
        for name, (file, _old, _new) in MUTANTS.items():
            print(name, file)
        return 0
    name, source, out = argv[1:]
    if os.path.basename(source) != MUTANTS[name][0]:
        raise SystemExit(f"mutate.py: {name} is a mutation of {MUTANTS[name][0]}")
    with open(source, encoding="utf-8") as f:
        text = mutate(name, f.read())
    with open(out, "w", encoding="utf-8") as f:
        f.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
