"""The examples of docs/ipc.md run as they are printed."""

import os
import re
import shutil
import subprocess
import unittest

from busdaemon import Daemon

DOC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "ipc.md")


class Docs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(DOC) as f:
            cls.text = f.read()
        cls.d = Daemon(seed=30)
        cls.env = dict(os.environ, XDG_RUNTIME_DIR=cls.d.dir)

    @classmethod
    def tearDownClass(cls):
        cls.d.stop()

    def block(self, language):
        return re.search(rf"```{language}\n(.*?)```", self.text, re.S).group(1)

    def test_python(self):
        p = subprocess.Popen(["/usr/bin/python3", "-u", "-c", self.block("python")], env=self.env, stdout=subprocess.PIPE,
                             text=True)
        try:
            lines = [p.stdout.readline() for _ in range(30)]
            self.assertIn("message 0\n", lines[0])
            self.d.cmd("live bob@example.com/x hello there")
            self.assertIn("hello there", p.stdout.readline())
        finally:
            p.kill()
            p.wait()
            p.stdout.close()

    @unittest.skipUnless(shutil.which("cc"), "no C compiler")
    def test_c(self):
        source, program = (os.path.join(self.d.dir, n) for n in ("example.c", "example"))
        with open(source, "w") as f:
            f.write(self.block("c"))
        subprocess.check_call(["cc", "-Wall", "-Wextra", "-Werror", source, "-lsystemd", "-o", program])
        out = subprocess.run([program], env=self.env, capture_output=True, text=True, timeout=10)
        self.assertEqual(out.returncode, 0, out.stderr)
        self.assertEqual(len(out.stdout.splitlines()), 20)

    def test_shell(self):
        lines = [line.strip() for line in self.text.split("    S=unix")[1].split("\n\n")[0].splitlines()]
        self.assertGreater(len(lines), 3)
        for line in lines[1:]:
            p = subprocess.run(["sh", "-c", "S=unix" + lines[0] + "; " + line], env=self.env, capture_output=True, text=True,
                               timeout=10)
            self.assertEqual(p.returncode, 0, line + p.stderr)


if __name__ == "__main__":
    unittest.main()
