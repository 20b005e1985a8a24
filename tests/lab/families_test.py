"""tests/lab/families_test.py: what operators say of address families is obeyed."""
import time

from scripted import Script
from servers import wait_until

ALONE = "limits { connection_messages = 1 }\n"


def test_a_pin_is_obeyed_and_ends_by_its_time(lab):
    """Both families work: IPv6 by itself, IPv4 while it is pinned, IPv6 again afterwards."""
    site = lab.site()
    relay = lab.relay(ALONE)
    lab.send(site.rcpt("before"))
    site.server6.wait_message(site.rcpt("before"))
    relay.relayq("pin", site.mx, "ipv4", "--for", "4s")
    pinned = time.monotonic()
    assert relay.relayq("pin").startswith(f"{site.mx}\tipv4\t20")
    lab.send(site.rcpt("pinned"))
    site.server4.wait_message(site.rcpt("pinned"))
    assert not site.server6.taken(site.rcpt("pinned"))
    relay.wait_log(" unpin ", site.mx, "its time is over", seconds=10)
    assert time.monotonic() - pinned >= 3.9
    lab.send(site.rcpt("after"))
    site.server6.wait_message(site.rcpt("after"))
    assert not site.server4.taken(site.rcpt("after"))
    assert relay.relayq("pin") == ""


def test_a_pin_is_kept_across_a_restart_until_it_is_taken_back(lab):
    site = lab.site()
    relay = lab.relay(ALONE)
    relay.relayq("pin", site.mx, "ipv4")
    relay.stop()
    relay.start([("198.51.100.64", 25)])
    lab.send(site.rcpt("pinned"))
    site.server4.wait_message(site.rcpt("pinned"))
    relay.relayq("unpin", site.mx)
    lab.send(site.rcpt("after"))
    site.server6.wait_message(site.rcpt("after"))
    assert not site.server4.taken(site.rcpt("after"))


def remembered(relay, name):
    """How the families stand, and the addresses: {"ipv6": {…}, "[2001:db8::1]:25": {…}}."""
    return {line["path"]: line for line in relay.relayq_json("path", name, kind="remembered")}


def test_path_shows_what_is_remembered(lab):
    """A dead IPv6 and one that refuses for its family, by the site's name and by the domain, before and after a restart."""
    dead = lab.site(serve6=False)
    refusing = lab.site(None, Script(rcpt="550 5.7.25 The IP address sending this message has no PTR record"))
    lab.block(dead.v6, "drop")
    relay = lab.relay(ALONE)
    for site in (dead, refusing):
        lab.send(site.rcpt("first"))
        site.server4.wait_message(site.rcpt("first"))
    wait_until(lambda: not relay.queued(), 10, "an empty queue")

    def check():
        for name in (dead.mx, dead.domain):
            known = remembered(relay, name)
            assert known["ipv6"]["state"] == "broken" and known["ipv6"]["last_fault"] == "connect-timeout", known
            assert known["ipv6"]["faults"] >= 1 and known["ipv6"]["successes"] == 0, known
            assert known["ipv6"]["probe_ms"] > known["ipv6"]["broken_since_ms"], known
            assert known["ipv4"]["state"] == "good" and known["ipv4"]["successes"] >= 1, known
            assert known[f"[{dead.v6}]:25"]["state"] == "broken" and known[f"{dead.v4}:25"]["state"] == "good", known
        known = remembered(relay, refusing.domain)
        assert known["ipv6"]["state"] == "refused" and known["ipv6"]["refusals"] >= 1, known
        assert known["ipv6"]["refused_until_ms"] > time.time() * 1000, known
        assert known["ipv4"]["state"] == "good", known

    check()
    relay.relayq("pin", dead.mx, "ipv4")
    relay.stop()
    relay.start([("198.51.100.64", 25)])
    check()
    assert [p["family"] for p in relay.relayq_json("path", dead.mx, kind="pin")] == ["ipv4"]
    relay.relayq("path", "nothing.invalid", code=1)
