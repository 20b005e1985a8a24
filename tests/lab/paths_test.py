"""tests/lab/paths_test.py: which paths work is remembered; refusals for the address family; black holes behind the greeting.

Each following mail needs a connection of its own (connection_messages = 1) where it is history that shall help.
"""
import time

from client import content
from scripted import CLOSE, RESET, SILENT, Script, Wait
from servers import wait_until

ALONE = "limits { connection_messages = 1 }\n"
PTR = "550-5.7.25 [2001:db8:2::64] The IP address sending this message does not\n550 5.7.25 have a PTR record setup"


def delivered(server, site, local, seconds=15):
    return server.wait_message(site.rcpt(local), seconds).at


# ---- memory ----

def test_a_thousand_messages_a_second_cost_a_dead_family_a_handful_of_syns(lab):
    """3,000 messages in a hurry over some 300 connections, then a minute's worth of schedule: nobody but probes touches IPv6."""
    site = lab.site(serve6=False)
    lab.block(site.v6, "drop")
    relay = lab.relay("limits { connection_messages = 10 }\n")
    began = time.monotonic()
    source = ["smtp-source", "-m", "3000", "-s", "20", "-l", "1000", "-f", "a@old.example", "-t", site.rcpt("load"), "198.51.100.64:25"]
    lab.client.run(*source)
    site.server4.wait(lambda: len(site.server4.messages) == 3000, 60, "3,000 messages")
    took = time.monotonic() - began
    syns = lab.mx_host.blocked(site.v6)
    lab.fact(f"3,000 messages in {took:.1f} s over {len(site.server4.sessions)} connections: {syns} SYNs to the dead family")
    assert len(site.server4.sessions) >= 200, "too few connections to prove anything"
    assert 1 <= syns <= 3, f"{syns} SYNs"
    assert len(relay.find(" path-probed ")) == 0


def test_a_family_that_heals_is_back_by_a_probe(lab):
    site = lab.site(serve6=False)
    lab.block(site.v6, "drop")
    relay = lab.relay(ALONE + "path { probe_first = 1s   probe_max = 2s }\n")
    lab.send(site.rcpt("first"))
    delivered(site.server4, site, "first")
    began = time.monotonic()
    n = 0
    while time.monotonic() - began < 5:  # mail flows, and never waits for IPv6
        n += 1
        sent = lab.send(site.rcpt(f"m{n}"))
        assert delivered(site.server4, site, f"m{n}") - sent < 1
    syns = lab.mx_host.blocked(site.v6)
    lab.fact(f"{n} mails in 5 s, probes after 1 s and then every 2 s: {syns} SYNs")
    assert 2 <= syns <= 5, f"{syns} SYNs for {n} mails"
    assert relay.find(" path-probed ", site.mx, "connect-timeout")
    lab.mx_host.nft_clear()
    site.server6 = lab.server(site.v6)
    healed = time.monotonic()
    while not site.server6.messages:
        n += 1
        lab.send(site.rcpt(f"m{n}"))
        site.server6.wait(lambda: site.server6.taken(site.rcpt(f"m{n}")) + site.server4.taken(site.rcpt(f"m{n}")), 10, "a mail")
        assert time.monotonic() - healed < 15, "IPv6 is not used although it works"
    relay.wait_log(" path-probed ", site.mx, "fault=ok")
    lab.fact(f"back in use {time.monotonic() - healed:.1f} s after it healed")
    # the connection that found out said QUIT and sent no mail
    assert "MAIL" not in str(site.server6.sessions[0].commands), site.server6.sessions[0].commands


def test_memory_survives_a_restart(lab):
    site = lab.site(serve6=False)
    refusing = lab.site(None, Script(rcpt=PTR))
    lab.block(site.v6, "drop")
    relay = lab.relay(ALONE)
    for s in (site, refusing):
        lab.send(s.rcpt("first"))
        delivered(s.server4, s, "first")
    wait_until(lambda: not relay.queued(), 10, "an empty queue")
    syns, sessions = lab.mx_host.blocked(site.v6), len(refusing.server6.sessions)
    relay.stop()
    relay.start([("198.51.100.64", 25)])
    for s in (site, refusing):
        sent = lab.send(s.rcpt("second"))
        assert delivered(s.server4, s, "second") - sent < 1
    assert lab.mx_host.blocked(site.v6) == syns, "the dead family was tried again after a restart"
    assert len(refusing.server6.sessions) == sessions, "the refusing family was tried again after a restart"


# ---- refused for the family ----

STAGES = {
    "greeting": {"greeting": "554-5.7.25 mx.example\n554 5.7.25 no PTR record for [2001:db8:2::64]"},
    "ehlo": {"ehlo": "550 5.7.25 no reverse DNS for your IPv6 address", "helo": "550 5.7.25 no reverse DNS for your IPv6 address"},
    "mail": {"mail": PTR},
    "rcpt": {"rcpt": PTR},
    "data": {"data": PTR},
    "dot": {"dot": "550-5.7.1 [2001:db8:2::64] Our system has detected that this message does\n550-5.7.1 not meet IPv6 sending "
                   "guidelines regarding PTR records and authentication.\n550 5.7.1 Please review"},
    "dot4yz": {"dot": "451 4.7.25 no PTR record"},
}


def test_refused_for_the_family_at_each_stage(lab):
    """First mail: over the other family within 2 s of its acceptance. Second mail: there from the start."""
    cases = {name: lab.site(None, Script(**answers), announce=False) for name, answers in STAGES.items()}
    for site in cases.values():
        site.server4.script = Script()
    lab.dns.add(*(r for s in cases.values() for r in s.records))
    relay = lab.relay(ALONE)
    for name, site in cases.items():
        sent = lab.send(site.rcpt("first"))
        took = delivered(site.server4, site, "first") - sent
        lab.fact(f"{name}: first mail over the other family after {took:.3f} s")
        assert took < 2, f"{name}: {took:.2f} s"
        relay.wait_log(" failover ", site.mx)
        relay.wait_log(" delivered ", site.rcpt("first"))
        before = len(site.server6.sessions)
        sent = lab.send(site.rcpt("second"))
        took = delivered(site.server4, site, "second") - sent
        assert took < 1, f"{name}: second mail {took:.2f} s"
        relay.wait_log(" delivered ", site.rcpt("second"))
        assert len(site.server6.sessions) == before, f"{name}: the second mail tried the family that refuses"
        assert not site.server6.taken(), name
        assert len(site.server4.messages) == 2, f"{name}: a mail came twice"
    wait_until(lambda: not relay.queued(), 5, "an empty queue")
    assert not relay.find(" bounce ")


def test_both_families_refuse_and_the_bounce_shows_both(lab):
    site = lab.site(Script(rcpt="550 5.7.25 no PTR for your IPv4 address either"), Script(rcpt="550 5.7.25 no PTR for 2001:db8:2::64"))
    sender = lab.site()
    relay = lab.relay()
    lab.send(site.rcpt(), sender=f"a@{sender.domain}")
    text = sender.server6.wait_message(f"a@{sender.domain}", 15).text()
    flat = " ".join(text.split())
    for words in ("no PTR for 2001:db8:2::64", "no PTR for your IPv4 address either", site.v4, site.v6):
        assert words in flat, f"{words} is not in:\n{text}"
    wait_until(lambda: not relay.queued(), 5, "an empty queue")


def test_block_list_wording_reaches_one_other_address(lab):
    listed = "554 5.7.1 Service unavailable; Client host [x] blocked using zen.spamhaus.org"
    site = lab.site(Script(rcpt=listed))
    other = lab.site(Script(rcpt=listed), announce=False)
    sender = lab.site()
    lab.dns.add(f"{site.mx}. A {other.v4}", f"{site.mx}. AAAA {other.v6}")
    lab.relay("race { sessions_per_attempt = 9 }\n")
    lab.send(site.rcpt(), sender=f"a@{sender.domain}")
    sender.server6.wait_message(f"a@{sender.domain}", 15)
    servers = (site.server4, site.server6, other.server4, other.server6)
    asked = sum(any("MAIL" in str(c) for c in s.commands) for server in servers for s in server.sessions)
    assert asked == 2, f"{asked} addresses were asked"


def test_fail_over_switched_off(lab):
    site = lab.site(None, Script(rcpt=PTR))
    sender = lab.site()
    relay = lab.relay(f"route {site.domain} {{ policy_failover = no }}\n")
    lab.send(site.rcpt(), sender=f"a@{sender.domain}")
    sender.server6.wait_message(f"a@{sender.domain}", 15)
    assert not site.server4.sessions and not relay.find(" failover ")


# ---- black holes ----

def hole(lab, site):
    """IPv6 packets above 1,300 bytes to the site vanish, and no ICMP says so. Segments are sent one by one, as on a real wire."""
    lab.relay_host.ip("link", "set", "eth0", "gso_max_segs", "1")
    lab.test.callback(lab.relay_host.ip, "link", "set", "eth0", "gso_max_segs", "65535")
    lab.mx_host.nft("table inet lab {\n chain hole { type filter hook input priority 0;\n"
                    f"  ip6 daddr {site.v6} meta length > 1300 drop\n }}\n}}\n")
    lab.test.callback(lab.mx_host.nft_clear)


def test_path_mtu_hole(lab):
    """The content stalls in it, and the mail goes over IPv4; the next one from the start."""
    site = lab.site()
    hole(lab, site)
    relay = lab.relay("race { stall = 2s }\n")
    sent = lab.send(site.rcpt("large"), content("large", 200000))
    took = delivered(site.server4, site, "large", 30) - sent
    lab.fact(f"200 kB into a path-MTU hole (stall = 2s): over IPv4 after {took:.1f} s")
    assert took < 8, took
    relay.wait_log(" failover ", site.mx, "stalled")
    before = len(site.server6.sessions)
    sent = lab.send(site.rcpt("next"), content("large", 200000))
    assert delivered(site.server4, site, "next") - sent < 1
    assert len(site.server6.sessions) == before and not site.server6.taken()


def test_path_mtu_hole_with_clamped_segments(lab):
    site = lab.site()
    hole(lab, site)
    lab.relay("race { stall = 2s }\npath { mss_ipv6 = 1220 }\n")
    sent = lab.send(site.rcpt("large"), content("large", 200000))
    assert delivered(site.server6, site, "large") - sent < 2
    assert not site.server4.sessions


def test_slow_on_every_path_is_not_broken(lab):
    """MAIL is answered after 3 s on both paths, patience ends after 1 s: IPv6 is given up, IPv4 is waited for as the last one and
    is as slow. So no family is held broken for it, and the next mail waits on one path."""
    site = lab.site(Script(mail=Wait(3, "250 2.1.0 Ok")), Script(mail=Wait(3, "250 2.1.0 Ok")))
    relay = lab.relay(ALONE + "race { patience_mail = 1s }\n")
    lab.send(site.rcpt("first"))
    delivered(site.server4, site, "first", 20)
    relay.wait_log(" site-slow ", site.mx)
    assert "doubtful" not in relay.relayq("trace", site.domain)
    before = len(site.server4.sessions)
    lab.send(site.rcpt("second"))
    delivered(site.server6, site, "second", 20)
    assert len(site.server4.sessions) == before, "the slow site was hurried again"


def test_silent_or_lost_at_each_later_step(lab):
    """The same over IPv6 alone, at each step behind the greeting: the other family at once, and remembered."""
    broken = {f"{step}-{name}": {step: answer} for step in ("ehlo", "mail", "rcpt", "data")
              for name, answer in (("silent", SILENT), ("reset", RESET), ("close", CLOSE))}
    cases = {name: lab.site(Script(), Script(**answers), announce=False) for name, answers in broken.items()}
    lab.dns.add(*(r for s in cases.values() for r in s.records))
    relay = lab.relay(ALONE + "race { patience = 1s   patience_mail = 1s }\n")
    for name, site in cases.items():
        lab.send(site.rcpt("first"))
    for name, site in cases.items():
        delivered(site.server4, site, "first")
        relay.wait_log(" delivered ", site.rcpt("first"))
    for name, site in cases.items():
        before = len(site.server6.sessions)
        sent = lab.send(site.rcpt("second"))
        took = delivered(site.server4, site, "second") - sent
        assert took < 1, f"{name}: {took:.2f} s"
        assert len(site.server6.sessions) == before, f"{name}: tried again"
