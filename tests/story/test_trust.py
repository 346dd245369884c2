"""Who we talk with, and to whom not: passwords, certificates, STARTTLS, and servers that fall silent."""

import json
import ssl
import warnings

import pytest

from varvetest import scripted, seed
from varvetest.bus import Latency
from varvetest.daemon import EXIT_CHECK, EXIT_OK, assert_same
from varvetest.proxy import Proxy
from varvetest.wait import holds, wait_for

BAD_CERTS = {
    "expired": ("expired",),
    "selfsigned": ("self-signed", "self signed"),
    "wronghost": ("not for", "host", "match"),
}


def reason(account):
    return json.dumps(account["state_reason"] or "").lower()


def wait_reason(varved, *words, timeout=20):
    """Until the account says why it is not online, in one of these words; the account."""
    def told():
        account = varved.account()
        return account if any(word in reason(account) for word in words) else None
    return wait_for(told, timeout, lambda: f"a reason with one of {words}; is {varved.account()}; log: {varved.tail(1500)}")


def test_wrong_password(server, fresh, varved):
    alice = fresh("alice")
    server.add_user(alice)
    varved.add_account(server, alice, password="wrong")
    account = varved.wait_state("auth-failed")
    assert "password" in reason(account) or "auth" in reason(account), account
    check = varved.run("status", "--check")
    assert check.code == EXIT_CHECK
    holds(lambda: varved.account()["state"] == "auth-failed", 1, "it does not hammer the server")

    right = varved.run("account", "password", f"{alice}@{server.domain}", password="pw")
    assert right.code == EXIT_OK, right
    varved.wait_sync()
    assert_same(varved, server, alice)


@pytest.mark.parametrize("kind", sorted(BAD_CERTS))
def test_bad_certificate(own_server, fresh, varved, kind):
    server = own_server(cert=kind)
    alice = fresh("alice")
    server.add_user(alice)
    varved.add_account(server, alice)
    account = wait_reason(varved, *BAD_CERTS[kind])
    assert account["state"] != "online" and "certificate" in reason(account), account


@pytest.mark.parametrize("tls", ["direct", "starttls"])
@pytest.mark.parametrize("kind", sorted(BAD_CERTS))
def test_bad_certificate_sees_no_credentials(scripted_server, varved, kind, tls):
    """T2."""
    server = scripted_server(cert=kind)
    varved.add_account(server, server.user, tls=tls)
    wait_reason(varved, *BAD_CERTS[kind])
    assert "auth" not in server.names()


def test_unknown_ca(scripted_server, varved):
    """Without --ca-file the test CA is a stranger."""
    server = scripted_server()
    varved.add_account(server, server.user, ca=False)
    wait_reason(varved, "certificate")
    assert "auth" not in server.names()


@pytest.mark.parametrize("tls", ["direct", "starttls"])
def test_old_tls_is_refused(scripted_server, varved, tls):
    """T7: nothing below TLS 1.2, whatever the system's OpenSSL would allow; one that is set up as before 2018."""
    server = scripted_server()
    server.tls.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        server.tls.minimum_version, server.tls.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    varved.add_account(server, server.user, tls=tls)
    account = wait_reason(varved, "handshake", "protocol version", "alert")
    assert account["state"] != "online"
    assert "auth" not in server.names()
    # the same server, a little younger
    server.tls.maximum_version = ssl.TLSVersion.TLSv1_2
    assert varved.run("account", "connect").code == 0
    varved.wait_state("online")


def test_starttls_works(server, fresh, varved):
    alice = fresh("alice")
    server.add_user(alice)
    varved.add_account(server, alice, tls="starttls")
    varved.wait_sync()
    assert_same(varved, server, alice)


def test_starttls_stripped(server, fresh, varved):
    """T1: somebody between removes the offer: no plaintext login, and it says why."""
    alice = fresh("alice")
    server.add_user(alice)
    with Proxy(server.port) as thief:
        thief.strip_starttls = True
        varved.add_account(server, alice, tls="starttls", port=thief.port)
        account = wait_reason(varved, "tls", "encryption")
        assert account["state"] != "online"
        assert b"<auth" not in thief.heard and b"<iq" not in thief.heard


def test_bytes_before_the_handshake_are_dropped(scripted_server, varved):
    """CVE-2011-0411: what somebody appends to <proceed/> must not be read as if it came through TLS."""
    script = scripted.Script()
    script.proceed_tail = (b"<message from='bob@chat.test' type='chat' id='injected'><body>injected</body></message>"
                           b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
    server = scripted_server(script)
    varved.add_account(server, server.user, tls="starttls")

    def settled():
        return "auth" in server.names() or varved.account()["state_reason"]
    wait_for(settled, 20, "it goes on with TLS, or says why not")
    if "auth" in server.names():
        varved.wait_sync()
    assert varved.export() == []


@pytest.mark.parametrize("step", scripted.STARTTLS_STEPS + scripted.STEPS)
def test_silent_server(scripted_server, varved, step):
    """TCP accepted, then silence at this step: the bus answers meanwhile, and at once."""
    script = scripted.Script()
    script.silent_at = step
    script.archive = scripted.entries(10)
    server = scripted_server(script)
    varved.add_account(server, server.user, tls="starttls" if step in scripted.STARTTLS_STEPS else "direct")
    wait_for(lambda: step in server.silent, 20, lambda: f"stuck at {step}; seen {server.names()}; {varved.tail(1500)}")
    with Latency(varved) as latency:
        holds(lambda: varved.child.poll() is None, 0.8)
    assert latency.p50 < 50, f"{latency.p50:.1f} ms of {len(latency.samples)} calls"
    assert varved.account()["sync"]["messages"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("step", scripted.STARTTLS_STEPS + scripted.STEPS)
def test_silent_server_is_given_up(scripted_server, varved, step):
    """The deadline of the phase passes, and it tries again."""
    script = scripted.Script()
    script.silent_at = step
    script.archive = scripted.entries(10)
    server = scripted_server(script)
    varved.add_account(server, server.user, tls="starttls" if step in scripted.STARTTLS_STEPS else "direct")
    wait_for(lambda: server.silent.count(step) >= 1, 20)
    script.silent_at = None
    varved.wait_state("online", timeout=120)


def test_bus_answers_during_the_first_sync(server, fresh, varved):
    """A call waits for the slice that is being committed, and for nothing else. How long that is, benchmarks say."""
    alice = fresh("alice")
    server.add_user(alice)
    server.seed_archive(alice, seed.history(10000, domain=server.domain))
    with Latency(varved) as latency:
        varved.add_account(server, alice)
        varved.wait_sync()
    assert latency.p50 < 50, f"{latency.p50:.1f} ms of {len(latency.samples)} calls"
    assert latency.longest < latency.took / 2, f"{latency.longest:.0f} of {latency.took:.0f} ms"


def test_mechanism_that_we_do_not_accept(scripted_server, varved):
    """T3: only PLAIN is offered and the account does not allow it: the password stays here."""
    script = scripted.Script()
    script.mechanisms = ("PLAIN",)
    server = scripted_server(script)
    varved.add_account(server, server.user)
    wait_reason(varved, "mechanism", "plain")
    assert "auth" not in server.names()
