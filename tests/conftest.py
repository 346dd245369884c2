"""Fixtures of the stories. `server` is each real server in turn, shared by the tests that do not harm it."""

import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))

import pytest

from varvetest import daemon, sasl2, scripted, servers
from varvetest.certs import Certs
from varvetest.mail import Mail, MailServer

_count = 0


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also what takes long (marked slow)")
    parser.addoption("--server", default="all", choices=("all", "prosody", "ejabberd", "none"),
                     help="only the tests with this server; none: only those without a real one")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long; run with --slow")


def pytest_collection_modifyitems(config, items):
    wanted = config.getoption("--server")
    skip = pytest.mark.skip(reason="slow; tests/run.sh --all runs it")
    keep, drop = [], []
    for item in items:
        if item.get_closest_marker("slow") and not config.getoption("--slow"):
            item.add_marker(skip)
        call = getattr(item, "callspec", None)
        name = (call.params.get("server_class") if call else None) or "none"
        (keep if wanted in ("all", name) else drop).append(item)
    if drop:
        config.hook.pytest_deselected(items=drop)
        items[:] = keep


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    setattr(item, "failed_" + report.when, report.failed)


@pytest.fixture(scope="session")
def built():
    missing = daemon.usable()
    if missing:
        pytest.exit(f"nothing to test: {missing} (VARVE_BUILD={daemon.build_dir()})", 3)


@pytest.fixture(scope="session")
def certs(tmp_path_factory):
    return Certs(tmp_path_factory.mktemp("certs"), servers.DOMAIN)


@pytest.fixture(scope="session", params=sorted(servers.BY_NAME))
def server_class(request):
    cls = servers.BY_NAME[request.param]
    if cls.missing():
        pytest.fail(f"{cls.missing()} is not installed; tests/run.sh installs it")
    return cls


@pytest.fixture(scope="session")
def server(server_class, certs):
    """A running server whose sessions can be resumed for ten minutes."""
    with server_class(certs=certs) as running:
        yield running


@pytest.fixture
def own_server(server_class, certs):
    """own_server(setting=...): a server of this test alone."""
    made = []

    def make(**settings):
        made.append(server_class(certs=certs, **settings).start())
        return made[-1]
    yield make
    for one in made:
        one.close()


def scripts(certs, kind):
    """make(script=None, ...): started servers of that kind; a script that fails fails the test."""
    made = []

    def make(script=None, **kwargs):
        made.append(kind(certs, script, **kwargs).start())
        return made[-1]
    yield make
    for one in made:
        one.close()
    assert not [e for one in made for e in one.errors], "the script itself failed"


@pytest.fixture
def scripted_server(certs):
    """scripted_server(script): see varvetest.scripted."""
    yield from scripts(certs, scripted.Scripted)


@pytest.fixture
def fast_server(certs):
    """fast_server(script): see varvetest.sasl2."""
    yield from scripts(certs, sasl2.Server)


@pytest.fixture
def mail(certs):
    """A server that takes messages: see varvetest.mail."""
    with MailServer(certs, Mail()) as server:
        yield server


@pytest.fixture
def fresh():
    """fresh("alice"): a user name that no other test of this run has."""
    def name(stem):
        global _count
        _count += 1
        return f"{stem}{os.getpid() % 10000}x{_count}"
    return name


SANITIZER = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:")      # in a log: a finding


@pytest.fixture
def new_varved(request, built):
    """new_varved(directory=None): a daemon that is not started; whatever happens, it does not outlive the test."""
    made = []

    def make(directory=None):
        made.append(daemon.Varved(directory))
        return made[-1]
    yield make
    for one in made:
        if getattr(request.node, "failed_call", False):
            print(f"--- log of varved in {one.dir}\n{one.tail(6000)}")
    logs = [one.tail(1 << 24) for one in made]
    for one in made:
        one.close()
    found = [line for log in logs for line in log.splitlines() if any(mark in line for mark in SANITIZER)]
    assert not found, "\n".join(found[:20])


@pytest.fixture
def varved(new_varved):
    return new_varved().start()


@pytest.fixture
def rng():
    """Chance with its seed in the test's output; VARVE_TEST_SEED repeats a run."""
    seed = int(os.environ.get("VARVE_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"VARVE_TEST_SEED={seed}")
    return random.Random(seed)
