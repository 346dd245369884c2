"""An archive that does not open, and one with damage inside: each says what it is, over the bus, and nothing is touched."""

import hashlib
import os
import re
import shutil
import socket
import subprocess
import time
import unittest

from gi.repository import GLib

from busdaemon import ACCOUNT, ROOT, V, Varved, call, error_name, history_args, wait_for

ERROR = "org.varve.Varve1.Error."
PAGE = 4096


def digest(directory):
    out = {}
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        if os.path.isfile(path) and name != "lock":
            with open(path, "rb") as f:
                out[name] = hashlib.sha256(f.read()).hexdigest()
    return out


class Case(unittest.TestCase):
    messages = 700
    popen = {}

    def setUp(self):
        self.d = Varved(self.messages, **self.popen)
        self.keys = os.path.join(self.d.data, "archive.keys")

    def tearDown(self):
        status = self.d.stop()
        self.d.close()
        self.assertIn(status, (0, None))

    def refused(self, iface, member, args, path=ACCOUNT):
        with self.assertRaises(GLib.Error) as e:
            self.d.call(iface, member, args, path)
        self.text = e.exception.message
        return error_name(e.exception).removeprefix(ERROR)

    def failed(self, *words):
        """It starts, serves the bus, says why, refuses what needs the archive, and leaves every byte as it was."""
        before = digest(self.d.data)
        self.d.start()
        status = self.d.status()
        self.assertEqual(status["state"], "failed", status)
        for word in words:
            self.assertIn(word, status["state_reason"])
        for iface, member, args, path in (
                ("Archive", "GetHistory", history_args(), ACCOUNT),
                ("Manager", "FindAccount", V("(s)", "me@example.org"), ROOT),
                ("Manager", "AddAccount", V("(sa{sv})", "a@example.org", {"password": GLib.Variant("s", "p")}), ROOT),
                ("Manager", "Backup", V("(sa{sv})", self.d.dir + "/copy", {}), ROOT),
                ("Keyring", "Unlock", V("(aya{sv})", b"", {}), ROOT)):
            self.assertEqual(self.refused(iface, member, args, path), "Storage", member)
            self.assertIn(words[0], self.text, member)
        checks = {c[0]: c for c in self.d.call("Manager", "Diagnose", V("(a{sv})", {}))[0]}
        self.assertEqual(checks["archive"][1], "fail")
        self.assertIn(words[0], checks["archive"][2])
        self.assertEqual(self.d.proc.poll(), None)
        self.assertEqual(digest(self.d.data), before)
        return status["state_reason"]

    def opens_again(self):
        """Without a restart: the disk was repaired."""
        self.d.call("Keyring", "Unlock", V("(aya{sv})", b"", {}))
        self.assertEqual(self.d.status()["state"], "ready")
        self.assertEqual(len(self.d.bodies()), self.messages)


class Failed(Case):
    def test_no_key_store(self):
        for name in ("archive.keys", "archive.keys.bak"):
            os.rename(os.path.join(self.d.data, name), os.path.join(self.d.dir, name))
        self.reason = self.failed("archive.keys")
        os.rename(os.path.join(self.d.dir, "archive.keys"), self.keys)
        self.opens_again()

    def test_database_missing(self):
        path = self.d.database()
        os.rename(path, path + ".away")
        self.failed(path, "missing")
        os.rename(path + ".away", path)
        self.opens_again()

    def test_database_damaged(self):
        path = self.d.database()
        shutil.copy(path, path + ".good")
        with open(path, "r+b") as f:
            f.write(os.urandom(PAGE))
        self.failed(path, "damaged")
        os.rename(path + ".good", path)
        self.opens_again()

    def test_a_passphrase_is_asked_for_when_it_is_repaired(self):
        self.d.start()
        self.d.call("Keyring", "ChangeSecret", V("(ayaya{sv})", b"", b"word", {"drop-keyfile": GLib.Variant("b", True)}))
        self.d.stop()
        for name in ("archive.keys", "archive.keys.bak"):
            os.rename(os.path.join(self.d.data, name), os.path.join(self.d.dir, name))
        self.failed("archive.keys")
        os.rename(os.path.join(self.d.dir, "archive.keys"), self.keys)
        self.assertEqual(self.refused("Keyring", "Unlock", V("(aya{sv})", b"", {}), ROOT), "Locked")
        status = self.d.status()
        self.assertEqual((status["state"], status["locked"]), ("locked", True))
        self.d.call("Keyring", "Unlock", V("(aya{sv})", b"word", {}))
        self.assertEqual(len(self.d.bodies()), self.messages)
        self.d.stop()
        self.d.start()
        self.assertEqual(self.d.status()["state"], "locked")
        self.assertNotIn("locked", self.d.status()["state_reason"])     # whoever shows it says so
        self.assertNotIn("0 accounts", self.d.tail().splitlines()[-1])

    def test_key_store_damaged(self):
        for name in ("archive.keys", "archive.keys.bak"):
            path = os.path.join(self.d.data, name)
            shutil.copy(path, os.path.join(self.d.dir, name))
            with open(path, "r+b") as f:
                f.truncate(40)
        self.failed("archive.keys")
        shutil.copy(os.path.join(self.d.dir, "archive.keys"), self.keys)
        self.opens_again()

    def test_a_newer_key_store(self):
        with open(self.keys) as f:
            text = f.read()
        newer = text[:text.rindex("check ")].replace("format 1\n", "format 99\n")
        with open(self.keys, "w") as f:
            f.write(newer + "check " + hashlib.blake2b(newer.encode(), digest_size=16).hexdigest() + "\n")
        self.failed("archive.keys", "newer")
        with open(self.keys, "w") as f:
            f.write(text)
        self.opens_again()

    def test_each_reason_is_its_own(self):
        path = self.d.database()
        reasons = set()
        for harm in ("keys", "missing", "damaged"):
            os.rename(self.d.data, self.d.data + ".spare") if harm == "keys" else shutil.rmtree(self.d.data)
            shutil.copytree(self.d.data + ".spare", self.d.data)
            if harm == "keys":
                os.unlink(self.keys)
                os.unlink(self.keys + ".bak")
            elif harm == "missing":
                os.unlink(path)
            else:
                with open(path, "r+b") as f:
                    f.write(os.urandom(PAGE))
            self.d.start()
            reasons.add(self.d.status()["state_reason"])
            self.d.stop()
        self.assertEqual(len(reasons), 3, reasons)


class ReadOnly(Case):
    popen = {"user": "nobody"}

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("only root can become another user")
        super().setUp()
        subprocess.check_call(["chmod", "755", self.d.dir])

    def test_a_directory_that_cannot_be_written(self):
        # The peer is another user then: root sees states only.
        subprocess.check_call(["chmod", "-R", "a-w", self.d.data])
        subprocess.check_call(["chmod", "u+w", os.path.join(self.d.data)])
        os.chmod(self.d.database(), 0o444)
        os.chown(self.d.database(), 0, 0)
        self.d.start()
        status = self.d.status()
        self.assertEqual(status["state"], "failed", status)
        self.assertIn(self.d.database(), status["state_reason"])
        self.assertIn("written", status["state_reason"])


class Missing(Case):
    """An archive was here and is not: no new one takes its place, and starting anew on purpose is one step away."""

    def check_says(self, *words):
        self.d.start()
        status = self.d.status()
        self.assertEqual(status["state"], "failed", status)
        for word in words:
            self.assertIn(word, status["state_reason"])
        self.d.stop()
        return status["state_reason"]

    def test_an_empty_directory(self):
        self.d.start()
        self.d.stop()
        os.rename(self.d.data, self.d.data + ".away")
        os.mkdir(self.d.data, 0o700)
        (home,) = [os.path.join(self.d.config, n) for n in os.listdir(self.d.config) if n.endswith(".home")]
        self.check_says(self.d.data, "remove that directory", "mounted")
        self.assertEqual([n for n in os.listdir(self.d.data) if n.startswith("archive")], [])
        os.rmdir(self.d.data) if not os.listdir(self.d.data) else shutil.rmtree(self.d.data)
        os.rename(self.d.data + ".away", self.d.data)
        self.d.start()
        self.assertEqual(len(self.d.bodies()), self.messages)
        self.d.stop()
        # On purpose.
        os.rename(self.d.data, self.d.data + ".away")
        self.d.start()
        self.assertEqual((self.d.status()["state"], self.d.status()["accounts"]), ("ready", []))

    def test_a_mount_point_right_above_it_where_nothing_is_mounted(self):
        """As when $XDG_DATA_HOME is a card: its directory is there, the archive's is gone, and nobody removed it."""
        self.d.start()
        self.d.stop()
        (home,) = [os.path.join(self.d.config, n) for n in os.listdir(self.d.config) if n.endswith(".home")]
        with open(home) as f:
            text = f.read()
        with open(home, "w") as f:
            f.write(text.replace(self.d.data, "# A file system is mounted right above it.\n" + self.d.data))
        os.rename(self.d.data, self.d.data + ".away")
        self.check_says(self.d.data, "remove " + home, "mounted")
        self.check_says(self.d.data, "remove " + home, "mounted")  # now it has made the directory
        shutil.rmtree(self.d.data)
        os.rename(self.d.data + ".away", self.d.data)
        self.d.start()
        self.assertEqual(len(self.d.bodies()), self.messages)
        with open(home) as f:
            self.assertEqual(f.read(), text, "it is not on a card")

    def test_both_removed_while_it_ran(self):
        self.d.start()
        for name in (self.d.database(), self.keys, self.keys + ".bak"):
            os.unlink(name)
        self.d.stop()
        self.check_says(self.d.data, "To start anew")

    def test_another_directory_of_the_same_configuration(self):
        self.d.start()
        self.d.stop()
        self.d.data = os.path.join(self.d.dir, "other", "varve")
        self.d.start()
        self.assertEqual((self.d.status()["state"], self.d.status()["accounts"]), ("ready", []))

    def test_both_names_of_the_key_store_are_told(self):
        os.unlink(self.d.database())
        reason = self.check_says("archive.keys and archive.keys.bak away")
        os.unlink(self.keys)
        os.unlink(self.keys + ".bak")
        self.d.start()
        self.assertEqual(self.d.status()["state"], "ready", reason)


class Order(Case):
    messages = 0

    def test_no_archive_is_made_before_there_is_a_socket(self):
        env = dict(os.environ, XDG_DATA_HOME=os.path.dirname(self.d.data), XDG_CONFIG_HOME=os.path.dirname(self.d.config),
                   XDG_RUNTIME_DIR=os.path.join(self.d.dir, "there", "is", "none"), HOME=self.d.dir)
        run = subprocess.run([os.environ["VARVED"]], env=env, capture_output=True, text=True, timeout=20)
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertEqual([n for n in os.listdir(self.d.data) if n.startswith("archive")], [])
        self.d.start()
        self.assertEqual(self.d.status()["state"], "ready")
        (key,) = [n for n in os.listdir(self.d.config) if n.endswith(".key")]
        self.assertIn(os.path.join(self.d.config, key) + " was made", self.d.tail())


class Config(Case):
    """A mistake in varve.conf is told, and nothing else is done."""
    messages = 0

    def started(self):
        env = dict(os.environ, XDG_DATA_HOME=os.path.dirname(self.d.data), XDG_CONFIG_HOME=os.path.dirname(self.d.config),
                   XDG_RUNTIME_DIR=self.d.runtime, HOME=self.d.dir)
        run = subprocess.run([os.environ["VARVED"]], env=env, capture_output=True, text=True, timeout=60)
        self.assertFalse(os.path.exists(self.d.data), "an archive was made")
        return run.returncode, run.stderr

    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.d.config, "varve.conf")
        os.makedirs(self.d.config)

    def test_what_cannot_be_read_to_its_end(self):
        for why, content in (("no such key", b"[sync]\nhistroy = all\n"), ("64 kB", b"#\n" * 33000 + b"[sync]\nhistroy = all\n"),
                             ("zero byte", b"#\0\n[sync]\nhistroy = all\n")):
            with open(self.path, "wb") as f:
                f.write(content)
            code, text = self.started()
            self.assertEqual(code, 4, text)
            self.assertIn(why, text)
            self.assertIn(self.path, text)

    def test_what_is_no_file(self):
        os.mkfifo(self.path)
        code, text = self.started()
        self.assertEqual(code, 4, text)
        self.assertIn("not a regular file", text)


class Odd(Case):
    def test_a_socket_in_the_place_of_a_copy(self):
        os.unlink(self.keys + ".bak")
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(self.keys + ".bak")
        self.d.start()
        self.assertEqual(self.d.status()["state"], "ready", self.d.tail())
        self.assertEqual(len(self.d.bodies()), self.messages)


class Standard(Case):
    messages = 0

    def test_descriptors_that_were_closed_become_no_file_of_the_archive(self):
        env = dict(os.environ, XDG_DATA_HOME=os.path.dirname(self.d.data), XDG_CONFIG_HOME=os.path.dirname(self.d.config),
                   XDG_RUNTIME_DIR=self.d.runtime, HOME=self.d.dir)
        p = subprocess.Popen(["/bin/sh", "-c", f"exec {os.environ['VARVED']} <&- >&- 2>&-"], env=env)
        try:
            wait_for(lambda: os.path.exists(self.d.path) or p.poll() is not None, what="the socket")
            self.assertEqual(self.d.status()["state"], "ready")
            self.assertEqual([os.readlink(f"/proc/{p.pid}/fd/{i}") for i in range(3)], ["/dev/null"] * 3)
        finally:
            p.terminate()
            self.assertEqual(p.wait(20), 0)


class Lost(Case):
    """What is taken away from under a varved that has it open: said at once, and saved before it is too late."""

    def setUp(self):
        super().setUp()
        self.d.start()

    def problems(self):
        return self.d.status().get("problems", [])

    def checks(self):
        return {c[0]: c for c in self.d.call("Manager", "Diagnose", V("(a{sv})", {}))[0] if c[1] == "fail"}

    def check_saved(self, backup):
        """The backup opens elsewhere and has all."""
        other = os.path.join(self.d.dir, "elsewhere")
        os.makedirs(os.path.join(other, "data", "varve"), mode=0o700)
        shutil.copy(backup, os.path.join(other, "data", "varve"))
        shutil.copy(backup + ".keys", os.path.join(other, "data", "varve", "archive.keys"))
        shutil.copytree(self.d.config, os.path.join(other, "config", "varve"))
        e = Varved(directory=other).start()
        try:
            self.assertEqual(len(e.bodies()), self.messages)
        finally:
            e.stop()

    def test_nothing_is_wrong(self):
        self.assertNotIn("problems", self.d.status())
        self.assertEqual(self.checks(), {})
        self.d.call("Keyring", "Rotate", V("(aya{sv})", b"", {}))
        self.assertNotIn("problems", self.d.status())

    def test_the_only_key_file_is_gone(self):
        (slot,) = self.d.call("Keyring", "ListSlots", V("(a{sv})", {}))[0]
        self.assertNotIn("problem", slot[4])
        key = os.path.join(self.d.config, slot[4]["path"])
        os.unlink(key)
        (problem,) = self.problems()
        self.assertIn(key, problem)
        self.assertIn("varvectl keys add recovery", problem)
        self.assertIn(key, self.d.call("Keyring", "ListSlots", V("(a{sv})", {}))[0][0][4]["problem"])
        self.assertIn("keys add recovery", self.checks()["keys"][3])
        self.assertEqual(self.refused("Keyring", "Lock", V("(a{sv})", {}), ROOT), "Conflict")
        self.assertIn("varvectl keys add recovery", self.text)
        self.assertEqual(self.d.status()["state"], "ready")
        _, code = self.d.call("Keyring", "AddSlot", V("(saya{sv})", "recovery", b"", {}))
        self.assertEqual(self.problems(), [])
        self.assertEqual(self.checks(), {})
        check = {c[0]: c for c in self.d.call("Manager", "Diagnose", V("(a{sv})", {}))[0]}["keys"]
        self.assertIn("one way", check[2])
        self.d.call("Keyring", "Lock", V("(a{sv})", {}))
        self.d.call("Keyring", "Unlock", V("(aya{sv})", code.encode(), {}))
        self.assertEqual(len(self.d.bodies()), self.messages)

    def test_a_lock_without_a_key_can_be_forced(self):
        os.unlink(os.path.join(self.d.config, next(n for n in os.listdir(self.d.config) if n.endswith(".key"))))
        self.d.call("Keyring", "Lock", V("(a{sv})", {"force": GLib.Variant("b", True)}))
        self.assertEqual(self.d.status()["state"], "locked")

    def test_the_database_is_gone(self):
        path, backup = self.d.database(), os.path.join(self.d.dir, "saved.db")
        os.unlink(path)
        (problem,) = self.problems()
        self.assertIn(path, problem)
        self.assertIn("varvectl backup FILE", problem)
        self.assertIn(path, self.checks()["archive-file"][2])
        self.d.call("Manager", "Backup", V("(sa{sv})", backup, {}))
        self.check_saved(backup)

    def test_the_database_is_replaced(self):
        path = self.d.database()
        shutil.copy(path, path + ".other")
        os.rename(path + ".other", path)
        self.assertEqual(len(self.problems()), 1)
        self.assertEqual(self.refused("Keyring", "Rotate", V("(aya{sv})", b"", {}), ROOT), "Storage")
        self.assertTrue(os.path.exists(path))

    def test_the_key_store_is_replaced(self):
        other = Varved(0)
        other.start()
        other.stop()
        shutil.copy(os.path.join(other.data, "archive.keys"), self.keys)
        with open(self.keys) as f:
            text = f.read()
        self.assertEqual(len(self.problems()), 1)
        for member, args in (("AddSlot", V("(saya{sv})", "recovery", b"", {})), ("Rotate", V("(aya{sv})", b"", {})),
                             ("ChangeSecret", V("(ayaya{sv})", b"", b"word", {}))):
            self.assertEqual(self.refused("Keyring", member, args, ROOT), "Storage", member)
        with open(self.keys) as f:
            self.assertEqual(f.read(), text)
        other.close()

    def test_the_directory_is_gone(self):
        backup = os.path.join(self.d.dir, "saved.db")
        os.rename(self.d.data, self.d.data + ".away")
        self.assertEqual(len(self.problems()), 2)
        self.d.call("Manager", "Backup", V("(sa{sv})", backup, {}))
        self.check_saved(backup)
        os.rename(self.d.data + ".away", self.d.data)
        self.assertEqual(self.problems(), [])

    def test_the_key_store_is_gone(self):
        for name in (self.keys, self.keys + ".bak"):
            os.unlink(name)
        (problem,) = self.problems()
        self.assertIn("varvectl keys add recovery", problem)
        self.d.call("Keyring", "AddSlot", V("(saya{sv})", "recovery", b"", {}))
        self.assertEqual(self.problems(), [])
        self.d.stop()
        self.d.start()
        self.assertEqual(len(self.d.bodies()), self.messages)

    def test_the_log_is_gone(self):
        os.unlink(self.d.database() + "-wal")
        (problem,) = self.problems()
        self.assertIn("-wal", problem)


class Damaged(Case):
    messages = 5000

    def damage(self, *pages):
        with open(self.d.database(), "r+b") as f:
            for page in pages:
                f.seek((page - 1) * PAGE + 100)
                f.write(os.urandom(64))

    def diagnose(self, **options):
        return {c[0]: c for c in self.d.call("Manager", "Diagnose", V("(a{sv})", {k: GLib.Variant("b", v)
                                                                                  for k, v in options.items()}))[0]}

    def test_doctor_names_the_pages_and_the_rest_is_served(self):
        total = os.path.getsize(self.d.database()) // PAGE
        pages = (total // 2, total // 2 + 7, total - 3)
        self.damage(*pages)
        self.d.start()
        self.assertEqual(self.d.status()["state"], "ready")
        check = self.diagnose()["archive"]
        self.assertEqual(check[1], "fail")
        self.assertIn(f"3 of {total} pages", check[2])
        self.assertEqual(re.findall(r"page ([\d, ]+)", check[2])[-1], ", ".join(map(str, pages)))
        self.assertIn("varve-salvage", check[3])
        deep = self.diagnose(deep=True)
        self.assertNotIn("ok", (deep["archive"][1],))
        # Some of it can be read, what cannot says so, and the daemon goes on.
        good = bad = 0
        (problem,) = self.d.status()["problems"]
        self.assertIn("varvectl doctor", problem)
        conn = self.d.peer()
        for n in range(1, self.messages, 25):
            try:
                good += len(call(conn, ACCOUNT, "Archive", "GetMessages", V("(ata{sv})", list(range(n, n + 25)), {}))[0])
            except GLib.Error as e:
                self.assertEqual(error_name(e), ERROR + "Storage")
                self.assertIn("damaged", e.message)
                bad += 1
        self.assertGreater(good, self.messages // 2)
        self.assertEqual(self.refused("Manager", "Backup", V("(sa{sv})", self.d.dir + "/copy.db", {}), ROOT), "Storage")
        self.assertIn("damaged", self.text)
        self.assertEqual([n for n in os.listdir(self.d.dir) if n.startswith("copy")], [])
        self.assertEqual(self.d.status()["state"], "ready")
        self.d.stop()
        self.d.start()
        self.assertNotIn("problems", self.d.status())
        for n in range(1, self.messages, 25):
            try:
                call(self.d.peer(), ACCOUNT, "Archive", "GetMessages", V("(ata{sv})", list(range(n, n + 25)), {}))
            except GLib.Error:
                break
        self.assertEqual(len(self.d.status()["problems"]), 1)

    def test_a_sound_archive(self):
        self.d.start()
        checks = self.diagnose(deep=True)
        self.assertEqual((checks["archive"][1], checks["archive-deep"][1]), ("ok", "ok"), checks)
        self.assertEqual(checks["keys"][1], "warn")
        self.assertIn("recovery", checks["keys"][3])
        self.assertEqual([checks[n][1] for n in ("key-store", "key-file")], ["ok"] * 2)
        if not os.environ.get("BUS_SANITIZED"):     # which makes mlock(2) do nothing
            self.assertEqual(checks["memory-lock"][1], "ok")
        self.assertEqual([n for n in os.listdir(self.d.data) if "check" in n], [])
        self.d.call("Keyring", "AddSlot", V("(saya{sv})", "recovery", b"", {}))
        self.assertEqual(self.diagnose()["keys"][1], "ok")
        os.chmod(self.keys, 0o644)
        self.assertEqual(self.diagnose()["key-store"][1], "warn")
        self.d.call("Keyring", "Lock", V("(a{sv})", {}))
        self.assertEqual(self.diagnose()["archive"][1], "skip")

    def test_nobody_waits_for_a_diagnosis(self):
        self.d.start()
        conn = self.d.peer()
        ends = []
        for _ in range(2):
            self.d.peer().call(None, ROOT, "org.varve.Varve1.Manager", "Diagnose", V("(a{sv})", {"deep": GLib.Variant("b", True)}),
                               None, 0, 60000, None, lambda c, r: ends.append(self.finish(c, r)))
        waits = []
        context = GLib.MainContext.default()
        while len(ends) < 2:
            context.iteration(False)
            begin = time.monotonic()
            call(conn, ACCOUNT, "Archive", "GetHistory", history_args(1))
            waits.append((time.monotonic() - begin) * 1000)
        waits.sort()
        print(f"{len(waits)} GetHistory during a diagnosis: p50 {waits[len(waits) // 2]:.1f} ms, "
              f"p99 {waits[int(len(waits) * 0.99)]:.1f} ms")
        self.assertEqual(sorted(ends), ["", ERROR + "Busy"])
        # It works in slices: whoever had to wait for its end would have waited for most of all this time.
        self.assertGreater(len(waits), 3)
        self.assertLess(waits[-1], sum(waits) / 2)

    def finish(self, conn, result):
        try:
            conn.call_finish(result)
            return ""
        except GLib.Error as e:
            return error_name(e)


if __name__ == "__main__":
    unittest.main()
