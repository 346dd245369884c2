"""Fixtures: a fake daemon, a varvectl that talks to it, an archive with messages."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from ctlkit import HOUR, T0, Ctl  # noqa: E402
from fake import Fake, message  # noqa: E402


@pytest.fixture
def fake(tmp_path):
    f = Fake(tmp_path / "bus").start()
    os.chmod(f.path, 0o600)
    yield f
    f.stop()


@pytest.fixture
def ctl(fake):
    return Ctl(fake)


@pytest.fixture
def archive(fake):
    """1,200 messages of three conversations, one an hour; ids are even, so that odd ones do not exist."""
    who = ["bob@example.org", "carol@example.org", "dave@example.org"]
    for i in range(1200):
        out = i % 2
        fake.messages.append(message(2 + 2 * i, who[i % 3], T0 + i * HOUR, "message %d" % i, direction=out,
                                     state=14 if out else 0))
    return fake
