"""The client library: what it exports, how others find it, and an application on it (libapp.c) against the fake daemon."""

import os
import re
import subprocess

TOP = os.path.join(os.path.dirname(__file__), "../..")
LIBRARY = os.environ["LIBVARVE"]
HEADER = open(os.path.join(TOP, "ipc/varve.h"), encoding="utf-8").read()


def test_what_the_library_exports_is_what_the_header_declares():
    declared = set(re.findall(r"^VARVE_PUBLIC [^;]*?\b(varve_\w+)\(", HEADER, re.M))
    out = subprocess.run(["nm", "-D", "--defined-only", LIBRARY], stdout=subprocess.PIPE, text=True, check=True).stdout
    exported = {line.split()[-1] for line in out.splitlines()}

    assert exported == declared and len(declared) > 70
    dynamic = subprocess.run(["readelf", "-d", LIBRARY], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert "[libvarve.so.0]" in dynamic


def test_the_header_stands_alone_in_c_and_cpp(tmp_path):
    os.makedirs(tmp_path / "varve")
    for name in ("varve.h", "names.h"):
        os.symlink(os.path.abspath(os.path.join(TOP, "ipc", name)), tmp_path / "varve" / name)
    for compiler, suffix, flags in (("cc", "c", ["-std=c99"]), ("c++", "cpp", ["-std=c++11"])):
        source = tmp_path / ("x." + suffix)
        source.write_text("#include <varve/varve.h>\nint main(void) { return varve_errno_of(\"\") == 0; }\n")
        p = subprocess.run([compiler, *flags, "-Wall", "-Wextra", "-Werror", "-pedantic", "-I", str(tmp_path), "-c",
                            str(source), "-o", str(tmp_path / "x.o")], stderr=subprocess.PIPE, text=True)
        assert p.returncode == 0, p.stderr
