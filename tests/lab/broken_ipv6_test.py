"""tests/lab/broken_ipv6_test.py: a destination whose IPv6 is broken in every way that there is, and whose IPv4 is healthy.

The first mail may lose what the design allows (the `allowed` below, in seconds after acceptance; asserted wider, measured exactly),
the ones behind it nothing: they open no connection over IPv6 and wait for none. Each following mail needs a connection of its own
(connection_messages = 1), so that it is the history of the path that helps and not a connection kept open.
"""
import time

from scripted import CLOSE, RESET, SILENT, Script, Wait

CONFIG = "limits { connection_messages = 1 }\n"
FOLLOWING = 5


def broken(lab, name, allowed, wide, breaks, script6=None, serve6=True):
    """`breaks(site)` makes IPv6 as broken as it shall be."""
    site = lab.site(None, script6, serve6=serve6)
    breaks(site)
    relay = lab.relay(CONFIG)
    began = lab.send(site.rcpt("first"))
    first = site.server4.wait_message(site.rcpt("first"), wide + 30).at - began
    lab.fact(f"{name}: first mail {first:.3f} s after its acceptance (allowed {allowed} s)")
    assert first < wide, f"the first mail came after {first:.2f} s"
    relay.wait_log(site.rcpt("first"), r"\b250\b")
    tried = attempts6(lab, site)
    times = []
    for n in range(FOLLOWING):
        began = lab.send(site.rcpt(f"next{n}"))
        times.append(site.server4.wait_message(site.rcpt(f"next{n}"), 30).at - began)
    probes = attempts6(lab, site) - tried
    lab.fact(f"{name}: following mails at most {max(times):.3f} s, {probes} connections over IPv6")
    assert max(times) < 1.0, f"a following mail came after {max(times):.2f} s: {times}"
    assert probes == 0, f"{probes} connections over IPv6 for {FOLLOWING} following mails"
    assert len(site.server4.messages) == FOLLOWING + 1, "a mail came twice"
    return site, relay


def attempts6(lab, site):
    """Connection attempts at the broken address: SYNs counted by nft where a rule stands, else connections at the server."""
    if site.server6:
        return len(site.server6.sessions)
    return lab.mx_host.blocked(site.v6) if getattr(site, "counted", False) else 0


def count(lab, site, how):
    site.counted = True
    lab.block(site.v6, how)


def test_ipv6_syns_dropped(lab):
    broken(lab, "SYNs dropped", 1, 3, lambda s: count(lab, s, "drop"), serve6=False)


def test_ipv6_refused(lab):
    broken(lab, "refused", 1, 3, lambda s: count(lab, s, "reject"), serve6=False)


def test_ipv6_no_route(lab):
    broken(lab, "no route", 1, 3, lambda s: lab.no_route(s.v6), serve6=False)


def test_ipv6_silent_after_connect(lab):
    broken(lab, "silent after connect", 6, 8, lambda s: None, Script(greeting=SILENT))


def test_ipv6_silent_at_ehlo(lab):
    broken(lab, "silent at EHLO", 9, 11, lambda s: None, Script(ehlo=SILENT))


def test_ipv6_greets_421(lab):
    broken(lab, "greets 421", 1, 3, lambda s: None, Script(greeting="421 4.3.2 not now"))


def test_ipv6_greets_554(lab):
    broken(lab, "greets 554", 1, 3, lambda s: None, Script(greeting="554 5.7.1 your IPv6 is not welcome"))


def test_ipv6_resets_at_connect(lab):
    broken(lab, "resets", 1, 3, lambda s: None, Script(greeting=RESET))


def test_ipv6_closes_at_connect(lab):
    broken(lab, "closes", 1, 3, lambda s: None, Script(greeting=CLOSE))


def test_ipv6_resets_at_ehlo(lab):
    broken(lab, "resets at EHLO", 1, 3, lambda s: None, Script(ehlo=RESET))


def test_ipv6_speaks_garbage(lab):
    broken(lab, "garbage", 1, 3, lambda s: None, Script(greeting=b"\xff\xfe\x00\x01HTTP/1.1 400 Bad Request\r\n\r\n"))


def test_slow_but_healthy_greeter_sees_one_connection(lab):
    """A server that pauses before its greeting on purpose must not be taken for broken: no second connection within greeting_delay."""
    site = lab.site(Script(greeting=Wait(2, "220 mx.example at last")))
    relay = lab.relay(CONFIG)
    lab.send(site.rcpt())
    site.server6.wait_message(site.rcpt(), 15)
    relay.wait_log(site.rcpt(), r"\b250\b")
    assert len(site.server6.sessions) + len(site.server4.sessions) == 1, "a healthy slow greeter saw two connections"


def test_healed_ipv6_is_found_again_by_a_probe_only(lab):
    """As long as IPv6 is doubtful, mail does not wait for it; the log and relayq trace say what is known of the path."""
    site = lab.site(None, Script(greeting="421 4.3.2 not now"))
    relay = lab.relay(CONFIG)
    lab.send(site.rcpt())
    site.server4.wait_message(site.rcpt(), 10)
    relay.wait_log(site.rcpt(), r"\b250\b")
    trace = relay.relayq("trace", site.domain)
    assert site.v6 in trace and site.v4 in trace, trace
    assert trace.rindex(site.v4) < trace.rindex(site.v6), f"the doubtful path should come last:\n{trace}"


def test_both_families_healthy_ipv6_is_used(lab):
    site = lab.site()
    lab.relay()
    began = lab.send(site.rcpt())
    took = site.server6.wait_message(site.rcpt(), 5).at - began
    lab.fact(f"healthy dual-stack destination: {took:.3f} s after acceptance")
    time.sleep(0.3)  # an attempt over IPv4 would begin after 250 ms
    assert not site.server4.sessions, "a second connection although the first was greeted at once"
