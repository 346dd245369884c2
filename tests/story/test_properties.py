"""What a client knows by PropertiesChanged is what the properties are: after everything that changes them, with a real server."""

import os
import xml.etree.ElementTree as ET

import pytest
from gi.repository import Gio, GLib

from varvetest import seed
from varvetest.peer import Peer
from varvetest.wait import wait_for

ROOT = "/org/varve/Varve1"
PROPERTIES = "org.freedesktop.DBus.Properties"
XML = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "ipc", "org.varve.Varve1.xml")
EMITS = "org.freedesktop.DBus.Property.EmitsChangedSignal"
SILENT = {(i.get("name"), p.get("name")) for i in ET.parse(XML).getroot().iter("interface") for p in i.iter("property")
          for a in p.iter("annotation") if a.get("name") == EMITS and a.get("value") == "false"}


class Cache:
    """A client that reads everything once, as an object comes, and then believes the signals."""

    def __init__(self, varved):
        self.context = GLib.MainContext.default()
        self.conn = Gio.DBusConnection.new_for_address_sync(f"unix:path={varved.socket}",
                                                            Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT, None, None)
        self.objects = {}
        self.conn.signal_subscribe(None, PROPERTIES, "PropertiesChanged", None, None, 0, self.changed)
        self.conn.signal_subscribe(None, "org.freedesktop.DBus.ObjectManager", None, ROOT, None, 0, self.moved)
        self.objects = self.real()

    def call(self, path, interface, member, signature="()", *args):
        return self.conn.call_sync(None, path, interface, member, GLib.Variant(signature, args), None, 0, -1).unpack()

    def varve(self, path, interface, member, signature, *args):
        return self.call(path, "org.varve.Varve1." + interface, member, signature, *args)

    def real(self):
        (objects,) = self.call(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
        objects[ROOT] = {i: self.call(ROOT, PROPERTIES, "GetAll", "(s)", i)[0]
                         for i in ("org.varve.Varve1.Manager", "org.varve.Varve1.Keyring")}
        return {(path, i, name): value for path, interfaces in objects.items() for i, values in interfaces.items()
                for name, value in values.items() if (i, name) not in SILENT}

    def changed(self, conn, sender, path, iface, member, args):
        interface, values, gone = args.unpack()
        assert not gone
        for name, value in values.items():
            self.objects[path, interface, name] = value

    def moved(self, conn, sender, root, iface, member, args):
        path, what = args.unpack()
        self.objects = {k: v for k, v in self.objects.items() if k[0] != path}
        if member == "InterfacesAdded":
            self.objects.update({(path, i, name): v for i, values in what.items() for name, v in values.items()
                                 if (i, name) not in SILENT})

    def differences(self):
        while self.context.iteration(False):
            pass
        real = self.real()
        while self.context.iteration(False):
            pass
        return {k: (self.objects.get(k), real.get(k)) for k in set(real) | set(self.objects) if self.objects.get(k) != real.get(k)}

    def close(self):
        self.conn.close_sync()


@pytest.fixture
def cache(new_varved):
    varved = new_varved()
    varved.start()
    made = Cache(varved)
    yield varved, made
    made.close()


def test_a_client_that_believes_the_signals_knows_everything(cache, server, fresh):
    varved, c = cache

    def settled(after):
        wait_for(lambda: not c.differences(), 10, lambda: f"after {after}: {c.differences()}")

    alice, bob = fresh("alice"), fresh("bob")
    for name in (alice, bob):
        server.add_user(name)
    server.seed_archive(alice, seed.history(600, contacts=3, years=0.2, domain=server.domain))
    varved.add_account(server, alice)
    settled("adding")
    varved.wait_sync()
    settled("syncing")
    account, to = ROOT + "/account/1", f"{bob}@{server.domain}"

    def configure(**changes):
        c.varve(account, "Account", "Configure", "(a{sv})", {k.replace("_", "-"): v for k, v in changes.items()})

    with Peer(server, bob) as peer:
        varved.ctl("send", to, "one", "--wait=sent")
        settled("sending")
        peer.send(f"{alice}@{server.domain}", "two")
        wait_for(lambda: "two" in [r["body"] for r in varved.export()], 20)
        settled("receiving")
        varved.ctl("delete", to, "--yes")
        settled("deleting a conversation")
    c.varve(account, "Sync", "Pause", "(a{sv})", {})
    settled("pausing")
    varved.ctl("account", "disconnect")
    settled("disconnecting")
    varved.ctl("send", to, "while offline")
    settled("sending offline")
    varved.ctl("account", "connect")
    varved.wait_state("online")
    c.varve(account, "Sync", "Resume", "(a{sv})", {})
    settled("resuming")
    configure(nick=GLib.Variant("s", "Alice in here"))
    settled("a nick")
    assert c.objects[account, "org.varve.Varve1.Account", "DisplayName"] == "Alice in here"
    job = c.varve(account, "Sync", "Verify", "(sa{sv})", "", {})[0]
    wait_for(lambda: (c.differences(), c.objects.get((job, "org.varve.Varve1.Job", "State")))[1] == "done", 20)
    settled("a job")
    for word in ("disconnect", "connect", "disable", "enable"):
        varved.ctl("account", word)
        settled(word)
    varved.wait_state("online")
    settled("online again")
    c.varve(account, "Account", "SetPassword", "(sa{sv})", "wrong", {})
    varved.ctl("account", "disconnect")
    varved.ctl("account", "connect")
    varved.wait_state("auth-failed")
    settled("a wrong password")
    varved.ctl("account", "password", password="pw")
    varved.wait_state("online")
    settled("the right one")
    varved.ctl("lock", "--after=1h")
    settled("lock --after")
    varved.ctl("lock")
    settled("locking")
    varved.ctl("unlock")
    settled("unlocking")
    varved.wait_sync()
    varved.ctl("keys", "rotate", "--yes")
    varved.wait_sync()
    settled("rotating the keys")
    server.stop()
    wait_for(lambda: varved.account()["state"] != "online", 30)
    settled("the server has gone")
    server.start()
    varved.ctl("account", "connect")
    varved.wait_state("online")
    settled("it is back")
    varved.ctl("account", "remove", "--quiet")
    settled("removing")
