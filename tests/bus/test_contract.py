"""ipc/org.varve.Varve1.xml is what the daemon says of itself, and documents every member."""

import glob
import os
import re
import unittest
import xml.etree.ElementTree as ET

from busdaemon import ACCOUNT, ROOT, XML, Daemon, call, export

OLD = sorted(glob.glob(os.path.join(os.path.dirname(os.path.abspath(__file__)), "revision-*.xml")))
EMITS = "org.freedesktop.DBus.Property.EmitsChangedSignal"


def shape(root):
    """Interface -> set of comparable descriptions of its members."""
    result = {}
    for iface in root.iter("interface"):
        name = iface.get("name")
        if not name.startswith("org.varve."):
            continue
        members = set()
        for m in iface:
            if m.tag == "annotation":
                continue
            notes = {a.get("name"): a.get("value") for a in m.findall("annotation")}
            if m.tag == "property":
                members.add((m.tag, m.get("name"), m.get("type"), m.get("access"), notes.pop(EMITS, "true")))
            else:
                default = "in" if m.tag == "method" else "out"
                args = tuple((a.get("name"), a.get("type"), a.get("direction", default)) for a in m.findall("arg"))
                members.add((m.tag, m.get("name"), args))
            if notes:
                members.add(("note", m.get("name"), tuple(sorted(notes.items()))))
        result[name] = members
    return result


class Contract(unittest.TestCase):
    def test_the_xml_equals_introspect(self):
        d = Daemon(seed=3000)
        conn = d.peer()
        told = {}
        # A job that is there: nobody reads what it writes.
        nobody, somebody = os.pipe()
        for path in (ROOT, ACCOUNT, export(conn, somebody)):
            (xml,) = call(conn, path, "org.freedesktop.DBus.Introspectable", "Introspect")
            told.update(shape(ET.fromstring(xml)))
        written = shape(ET.parse(XML).getroot())
        self.assertEqual(sorted(told), sorted(written))
        for iface in written:
            self.assertEqual(sorted(told[iface] - written[iface], key=str), [], f"{iface}: not in the XML")
            self.assertEqual(sorted(written[iface] - told[iface], key=str), [], f"{iface}: not served")
        os.close(nobody)
        os.close(somebody)
        self.assertEqual(d.stop(), 0)

    def test_what_was_there_stays_as_it_was(self):
        """Each published revision is a subset of this one, down to the names of arguments."""
        new = shape(ET.parse(XML).getroot())
        self.assertGreaterEqual(len(OLD), 2)
        for name in OLD:
            old = shape(ET.parse(name).getroot())
            self.assertGreater(sum(map(len, old.values())), 40, name)
            for iface in old:
                self.assertEqual(sorted(old[iface] - new.get(iface, set()), key=str), [], f"{name}: {iface} lost these")

    def test_every_member_is_documented(self):
        with open(XML) as f:
            text = f.read()
        for m in re.finditer(r"\n( *)<(method|property|signal|interface) name=\"(\w|\.)+\"", text):
            before = text[:m.start()].rstrip()
            self.assertTrue(before.endswith("-->"), f"no comment before {m.group(0).strip()}")

    def test_managed_objects_are_the_accounts(self):
        d = Daemon()
        (objects,) = call(d.peer(), ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
        self.assertEqual(list(objects), [ACCOUNT])
        ours = sorted(i for i in objects[ACCOUNT] if i.startswith("org.varve."))
        self.assertEqual(ours, ["org.varve.Varve1." + i for i in ("Account", "Archive", "Conversations", "Roster", "Sync")])
        self.assertEqual(objects[ACCOUNT]["org.varve.Varve1.Account"]["Jid"], "me@example.org")
        d.stop()


if __name__ == "__main__":
    unittest.main()
