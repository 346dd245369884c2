"""read_format1.py: reads an archive of format 1, from docs/store.md, section "Format 1", alone.

    read_format1.py --test-vectors docs/store.md           the vectors in that text
    read_format1.py --golden tests/golden/format1.db       decrypt with the golden keys; it must hold what was put in
    read_format1.py MASTER_HEX FILE_ID_HEX EPOCH DB OUT    decrypt into a plain SQLite database

The AEAD is libsodium's by ctypes; everything else is Python's own.
"""

import ctypes
import ctypes.util
import hashlib
import os
import re
import sqlite3
import struct
import sys
import tempfile

PAGE, BODY, FRAME = 4096, 4048, 4120
sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")
sodium.sodium_init()


class Forged(Exception):
    pass


def _long(n):
    return ctypes.c_ulonglong(n)


def seal(key, nonce, ad, plain):
    out, tag = ctypes.create_string_buffer(len(plain)), ctypes.create_string_buffer(16)
    sodium.crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
        out, tag, None, plain, _long(len(plain)), ad, _long(len(ad)), None, nonce, key)
    return out.raw, tag.raw


def unseal(key, nonce, tag, ad, cipher):
    out = ctypes.create_string_buffer(len(cipher))
    if sodium.crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
            out, None, cipher, _long(len(cipher)), tag, ad, _long(len(ad)), nonce, key):
        raise Forged()
    return out.raw


class Keys:
    def __init__(self, master, file_id, epoch):
        message = b"varve page keys\0" + file_id + struct.pack("<I", epoch)
        file_key = hashlib.blake2b(message, key=master, digest_size=32).digest()
        self.db, self.wal, self.journal = (
            hashlib.blake2b(b"", key=file_key, digest_size=32, salt=struct.pack("<QQ", n, 0),
                            person=b"varvepag" + bytes(8)).digest() for n in (1, 2, 3))
        self.file_id, self.trailer = file_id, bytes([1, 1, 0, 0]) + struct.pack("<I", epoch)

    def ad(self, kind, *parts):
        return b"varve/" + kind + self.trailer + self.file_id + b"".join(parts)

    def split(self, sealed):
        """nonce, tag of what ends with nonce, tag, trailer"""
        if sealed[-8:] != self.trailer:
            raise Forged()
        return sealed[-48:-24], sealed[-24:-8]

    def page(self, number, sealed):
        clear = 24 if number == 1 else 0
        nonce, tag = self.split(sealed)
        ad = self.ad(b"db", struct.pack("<I", number), sealed[:clear])
        plain = unseal(self.db, nonce, tag, ad, sealed[clear:BODY]) + bytes(48)
        return b"SQLite format 3\0" + sealed[16:24] + plain if clear else plain

    def frame(self, salts, number, sealed):
        """checksum, page"""
        nonce, tag = self.split(sealed)
        plain = unseal(self.wal, nonce, tag, self.ad(b"wl", salts, struct.pack("<I", number), sealed[:16]), sealed[16:-48])
        return plain[:8], plain[8:] + bytes(48)


def checksum(data, s):
    """SQLite's, of a log with magic 377f0682: little-endian words"""
    a, b = s
    words = struct.unpack("<%dI" % (len(data) // 4), data)
    for x, y in zip(words[::2], words[1::2]):
        a = (a + x + b) & 0xffffffff
        b = (b + y + a) & 0xffffffff
    return a, b


def log_pages(keys, wal):
    """({page number: page}, size in pages) of the transactions that were committed in the log"""
    done, size, open_ = {}, None, {}
    header, salts = wal[:32], wal[16:24]
    s = checksum(header[:24], (0, 0))
    if len(wal) < 32 or header[:4] != b"\x37\x7f\x06\x82" or header[24:] != struct.pack(">II", *s):
        return done, size
    for number in range(1, (len(wal) - 32) // FRAME + 1):
        sealed = wal[32 + (number - 1) * FRAME:][:FRAME]
        try:
            want, page = keys.frame(salts, number, sealed)
        except Forged:
            break
        s = checksum(sealed[:8] + page, s)
        if sealed[8:16] != salts or want != struct.pack(">II", *s):
            break
        pgno, commit = struct.unpack(">II", sealed[:8])
        open_[pgno] = page
        if commit:
            done.update(open_)
            size, open_ = commit, {}
    return done, size


def read_database(keys, path):
    with open(path, "rb") as f:
        db = f.read()
    wal = b""
    if os.path.exists(path + "-wal"):
        with open(path + "-wal", "rb") as f:
            wal = f.read()
    newer, size = log_pages(keys, wal)
    count = size or len(db) // PAGE
    return b"".join(newer[n] if n in newer else keys.page(n, db[(n - 1) * PAGE:n * PAGE]) for n in range(1, count + 1))


def test_vectors(text):
    keys = Keys(bytes(range(32)), bytes(range(0xf0, 0x100)), 7)
    nonce, salts = bytes(range(0x40, 0x58)), bytes(range(0xa0, 0xa8))
    pattern = bytes((31 * i + 17) & 255 for i in range(FRAME))
    head = b"SQLite format 3\0" + bytes.fromhex("1000020230402020")
    mark = b"varve\0\0\1" + keys.file_id[:8] + head[16:]
    le = struct.Struct("<I").pack
    made = {
        "page 1": (mark, keys.db, keys.ad(b"db", le(1), mark), pattern[24:BODY], keys.trailer),
        "page 2": (b"", keys.db, keys.ad(b"db", le(2)), pattern[:BODY], keys.trailer),
        "frame 3": (pattern[:16], keys.wal, keys.ad(b"wl", salts, le(3), pattern[:16]), pattern[16:24 + BODY], keys.trailer),
        "record at 512": (pattern[:4], keys.journal, keys.ad(b"jr", struct.pack("<Q", 512), pattern[:4]),
                          pattern[4:4 + BODY] + pattern[4100:4104], keys.trailer),
        "block 0": (b"", keys.db, b"varve/tm" + bytes(8), pattern[:4096], b""),
    }
    rows = [("db key", keys.db.hex(), ""), ("wal key", keys.wal.hex(), ""), ("journal key", keys.journal.hex(), "")]
    for name, (clear, key, ad, plain, trailer) in made.items():
        cipher, tag = seal(key, nonce, ad, plain)
        rows.append((name, tag.hex(), hashlib.blake2b(clear + cipher + nonce + tag + trailer, digest_size=32).hexdigest()))
    missing = [row for row in rows if not re.search(r"\| *%s *\| *%s *\| *%s *\|" % tuple(map(re.escape, row)), text)]
    for row in missing:
        print("not in the text: | %s | %s | %s |" % row)
    return not missing


def golden(path):
    with tempfile.TemporaryDirectory() as scratch:
        out = os.path.join(scratch, "plain.db")
        with open(out, "wb") as f:
            f.write(read_database(Keys(bytes([1]) * 32, bytes([1]) * 16, 1), path))
        db = sqlite3.connect(out)
        rows = db.execute("SELECT id, body FROM golden ORDER BY id").fetchall()
        sound = db.execute("PRAGMA integrity_check").fetchall()
        db.close()
    want = [(n, "%d: Grüße aus 東京 🎉 " % n + "varve " * 40) for n in range(1, 41)]
    print("%d rows, %s" % (len(rows), "as they should be" if rows == want else "NOT as they should be"), sound)
    return rows == want and sound == [("ok",)]


def main(argv):
    if argv[1] == "--test-vectors":
        with open(argv[2], encoding="utf-8") as f:
            return 0 if test_vectors(f.read()) else 1
    if argv[1] == "--golden":
        return 0 if golden(argv[2]) else 1
    with open(argv[5], "xb") as f:
        f.write(read_database(Keys(bytes.fromhex(argv[1]), bytes.fromhex(argv[2]), int(argv[3])), argv[4]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
