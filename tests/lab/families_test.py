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
