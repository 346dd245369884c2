"""A name server for a network of its own (netns): SRV and A records as the test says."""

import os
import socket
import struct
import threading

A, SRV = 1, 33


def name(text):
    return b"".join(bytes([len(part)]) + part.encode() for part in text.split(".") if part) + b"\0"


class Dns:
    """srv: {"_xmpp-client._tcp": [(priority, weight, port, target)]}; every other name has the address network.near."""

    def __init__(self, network, domain):
        self.address, self.domain, self.srv = network.near, domain, {}
        self.asked = []
        self.sock = network.socket(socket.SOCK_DGRAM, 53)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                data, peer = self.sock.recvfrom(4096)
                self.sock.sendto(self.answer(data), peer)
            except OSError:
                return

    def answer(self, data):
        at, labels = 12, []
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].decode())
            at += 1 + data[at]
        kind = struct.unpack(">H", data[at + 1:at + 3])[0]
        asked = ".".join(labels)
        self.asked.append((asked, kind))
        if kind == SRV:
            service = asked[:-len(self.domain) - 1]
            records = [struct.pack(">HHH", *fields) + name(target) for *fields, target in self.srv.get(service, ())]
        else:
            records = [socket.inet_aton(self.address)] if kind == A else []
        flags = 0x8580 if records or kind != SRV else 0x8583      # NXDOMAIN
        head = data[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0)
        body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(r)) + r for r in records)
        return head + data[12:at + 5] + body

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR) if self.sock.fileno() < 0 else None
        self.sock.close()


def use(network, dns_address):
    """Programs of this network namespace ask there (ip-netns(8)); returns the file to be removed."""
    folder = f"/etc/netns/{network.name}"
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "resolv.conf"), "w") as f:
        f.write(f"nameserver {dns_address}\noptions timeout:1 attempts:2\n")
    # and no local services of name resolution in between
    with open(os.path.join(folder, "nsswitch.conf"), "w") as f:
        f.write("hosts: files dns\n")
    return folder
