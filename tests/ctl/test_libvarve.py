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


def test_what_is_linked_statically_has_no_names_but_ours():
    """An app has a function "fail" of its own."""
    out = subprocess.run(["nm", "--defined-only", "--extern-only", os.path.join(os.path.dirname(LIBRARY), "libvarve.a")],
                         stdout=subprocess.PIPE, text=True, check=True).stdout
    others = [line.split()[2] for line in out.splitlines() if len(line.split()) == 3 and not line.split()[2].startswith("varve_")]
    assert out.count(" T varve_") > 70 and others == []


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


def names():
    return set(re.findall(r"^VARVE_PUBLIC [^;]*?\b(varve_\w+)\(", HEADER, re.M))


def page(name):
    with open(os.path.join(TOP, "docs/man", name), encoding="utf-8") as f:
        return f.read()


def test_the_man_page_names_every_function():
    assert set(re.findall(r"\*(varve_\w+)\*\(", page("libvarve.3.scd"))) == names()


def test_the_page_of_the_interface_has_every_member_and_fits_a_terminal(tmp_path):
    xml = open(os.path.join(TOP, "ipc/org.varve.Varve1.xml"), encoding="utf-8").read()
    scd = subprocess.run(["/usr/bin/python3", os.path.join(TOP, "docs/man/interface.py"),
                          os.path.join(TOP, "ipc/org.varve.Varve1.xml")], stdout=subprocess.PIPE, check=True).stdout
    roff = subprocess.run(["scdoc"], input=scd, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    text = scd.decode()

    assert roff.returncode == 0, roff.stderr
    for member in re.findall(r'<(?:method|signal|property) name="(\w+)"', xml):
        assert "*%s*" % member in text, member
    for interface in re.findall(r'<interface name="([\w.]+)"', xml):
        assert "# " + interface.upper() in text
    inside = [x for i, part in enumerate(text.split("```\n")) if i % 2 for x in part.splitlines()]
    assert len(inside) > 300 and max(map(len, inside)) <= 90


def test_the_example_of_the_man_page_works(tmp_path, fake):
    example = [x for x in page("libvarve.3.scd").split("```\n") if "int main(" in x][0]
    os.makedirs(tmp_path / "varve")
    for name in ("varve.h", "names.h"):
        os.symlink(os.path.abspath(os.path.join(TOP, "ipc", name)), tmp_path / "varve" / name)
    (tmp_path / "app.c").write_text(example)
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-I", str(tmp_path), str(tmp_path / "app.c"), LIBRARY, "-o",
                    str(tmp_path / "app")], check=True)
    fake.becomes = [11, 12]
    os.makedirs(tmp_path / "run" / "varve")
    os.symlink(fake.path, tmp_path / "run" / "varve" / "bus")
    env = {"XDG_RUNTIME_DIR": str(tmp_path / "run"), "LD_LIBRARY_PATH": os.path.dirname(os.path.abspath(LIBRARY))}
    p = subprocess.run([str(tmp_path / "app"), "bob@example.org", "hello"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       env=env, text=True, timeout=20)
    assert p.returncode == 0 and p.stdout.split()[-1] == "sent" and fake.messages[0]["body"] == "hello", p
    fake.stop()
    p = subprocess.run([str(tmp_path / "app"), "a", "b"], env=env)
    assert p.returncode == 1
    fake.start()
