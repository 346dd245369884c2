"""read_keys1.py DIR: opens DIR/archive.keys with each of its four slots, from docs/store.md, section "Keys", alone.

Prints nothing and exits 0 if all four give the master key below, and "check" and "mac" are right. XChaCha20-Poly1305 and
Argon2id are libsodium's by ctypes; everything else is Python's own. test-vault.c opens the same file.
"""

import ctypes
import ctypes.util
import hashlib
import os
import re
import struct
import sys

PASSPHRASE = b"low tide"
CREDENTIAL = b"0123456789abcdef0123456789abcdef"
CODE = "7J29-5TJV-GY4D-NB3A-B8DX-61R5-F2Y7"
MASTER = "9811af51ffe6e4710bc4d234b7e25002c0e7db6646682590409c84eda3802d9c"

sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")
sodium.sodium_init()


def blake2b(data, size=32, **more):
    return hashlib.blake2b(data, digest_size=size, **more).digest()


def argon2id(secret, salt, passes, memory):
    out = ctypes.create_string_buffer(32)
    assert sodium.crypto_pwhash(out, ctypes.c_ulonglong(32), secret, ctypes.c_ulonglong(len(secret)), salt,
                                ctypes.c_ulonglong(passes), ctypes.c_size_t(memory), 2) == 0
    return out.raw


def code_bytes(code):
    """16 bytes of a recovery code, after its CRC of 12 bits."""
    number = 0
    for c in code.replace("-", ""):
        number = number << 5 | "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(c)
    rest = number ^ 0xfff << 128
    for bit in range(139, 11, -1):
        if rest >> bit & 1:
            rest ^= 0x180f << (bit - 12)
    assert rest == 0, "the check of the code"
    return (number >> 12).to_bytes(16, "big")


def unwrap(slot, vault, ikm):
    kek = blake2b(b"varve slot 1 " + slot["type"].encode() + b"\0" + vault + bytes.fromhex(slot["salt"]), key=ikm)
    ad = b"varve slot 1 " + slot["type"].encode() + b"\0" + struct.pack("<I", int(slot["slot"])) + vault
    key, out = bytes.fromhex(slot["key"]), ctypes.create_string_buffer(32)
    assert sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
        out, None, None, key, ctypes.c_ulonglong(48), ad, ctypes.c_ulonglong(len(ad)),
        bytes.fromhex(slot["nonce"]), kek) == 0, slot["type"]
    return out.raw


def main(folder):
    with open(os.path.join(folder, "archive.keys"), "rb") as f:
        text = f.read()
    before_check, check = re.fullmatch(rb"(.*\n)check ([0-9a-f]{32})\n", text, re.S).groups()
    assert blake2b(before_check, 16).hex() == check.decode()
    before_mac, mac = re.fullmatch(rb"(.*\n)mac ([0-9a-f]{64})\n", before_check, re.S).groups()

    head, slots = {}, []
    for line in before_mac.decode().splitlines()[2:]:
        word, value = line.split(" ", 1)
        if word == "slot":
            slots.append({})
        (slots[-1] if slots else head)[word] = value
    assert len(slots) == int(head["slots"]) == 4

    vault = bytes.fromhex(head["vault"])
    for slot in slots:
        if slot["type"] == "keyfile":
            with open(os.path.join(folder, slot["path"].strip('"')), "rb") as f:
                ikm = blake2b(f.read())
        elif slot["type"] == "passphrase":
            _name, passes, memory = slot["kdf"].split()
            ikm = argon2id(PASSPHRASE, bytes.fromhex(slot["salt"]), int(passes), int(memory))
        elif slot["type"] == "credential":
            ikm = blake2b(CREDENTIAL)
        else:
            ikm = blake2b(code_bytes(CODE))
        master = unwrap(slot, vault, ikm)
        assert master.hex() == MASTER, slot["type"]

    key = blake2b(b"", key=master, salt=struct.pack("<QQ", 1, 0), person=b"varvemac" + bytes(8))
    assert blake2b(before_mac, key=key).hex() == mac.decode()


main(sys.argv[1])
