"""tests/lab/families_test.py: what operators say of address families is obeyed."""
import time

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
