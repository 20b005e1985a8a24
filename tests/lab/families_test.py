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


def row(relay, family, over="hour"):
    return next(r for r in relay.relayq_json("families", kind="families") if (r["family"], r["over"]) == (family, over))


def test_the_page_counts_what_went_over_which_family(lab):
    """Ten mails over IPv6; a site whose IPv6 swallows SYNs; one that refuses mail over IPv6. The page has all of it, also after a
    restart."""
    well, dead, refusing = lab.site(), lab.site(serve6=False), lab.site(None, Script(rcpt="550 5.7.25 no PTR record"), announce=False)
    refusing.server4.script = Script()
    lab.dns.add(*refusing.records)
    lab.block(dead.v6, "drop")
    relay = lab.relay(ALONE)
    for n in range(10):
        lab.send(well.rcpt(f"m{n}"))
        well.server6.wait_message(well.rcpt(f"m{n}"))
    for site in (dead, refusing):
        lab.send(site.rcpt())
        site.server4.wait_message(site.rcpt())
    wait_until(lambda: not relay.queued(), 10, "an empty queue")
    for _ in range(2):
        for over in ("hour", "day"):
            v6, v4 = row(relay, "ipv6", over), row(relay, "ipv4", over)
            assert (v6["delivered"], v4["delivered"], v6["failed"]) == (10, 2, 0), (v6, v4)
            assert v6["delay"]["count"] == 10 and v6["delay"]["max"] < 5000
            assert v6["bytes"] > 10 * 200 and v4["bytes"] > 2 * 200
            assert v6["failovers"]["policy"]["envelope"] == 1, v6["failovers"]
            assert v4["won"] == 2 and v4["won_slower"] + v4["won_failed"] == 1, v4
        broken = {b["site"]: b for b in relay.relayq_json("families", kind="broken")}
        assert broken[refusing.mx]["state"] == "refused" and broken[refusing.mx]["family"] == "ipv6", broken
        page = relay.relayq("families")
        assert "LAST HOUR" in page and refusing.mx in page
        assert max(len(line) for line in page.splitlines()[:25]) <= 80
        if _ == 0:
            relay.stop()
            relay.start([("198.51.100.64", 25)])
