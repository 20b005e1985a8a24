"""tests/lab/routes_test.py: what a route says of its domain's mail: next hops in order, families, limits, its retry schedule,
soft_bounce, discard and reject."""
import signal
import time

from client import Client
from lab import RELAY4
from scripted import Script, Scripted, Wait
from servers import wait_until


def hops(lab, first, second, more="", top=""):
    """A relay whose domain hop.example goes to the two hops."""
    return lab.relay(f"{top}\nroute hop.example {{ relay = {first}, {second} {more} }}\n")


# ---- next hops in order ----

def test_second_hop_when_the_first_is_dead(lab):
    one, two = lab.site(serve4=False, serve6=False), lab.site()
    hops(lab, f"[{one.mx}]", f"[{two.mx}]")
    began = lab.send("b@hop.example")
    took = two.server6.wait_message("b@hop.example", 10).at - began
    lab.fact(f"second hop {took:.3f} s after acceptance")
    assert took < 3


def test_first_hop_although_the_second_is_faster(lab):
    one, two = lab.site(Script(greeting=Wait(1, "220 slow"))), lab.site()
    hops(lab, f"[{one.mx}]", f"[{two.v6}]")
    lab.send("b@hop.example")
    one.server6.wait_message("b@hop.example", 10)
    assert not two.server6.sessions and not two.server4.sessions, "a later hop was asked because it is faster"


def test_hop_by_mx_and_hop_at_another_port(lab):
    one, two = lab.site(serve4=False, serve6=False), lab.site(serve4=False, serve6=False)
    server = lab.server(two.v4, port=2525)
    relay = hops(lab, one.domain, f"{two.domain}:2525")
    lab.send("b@hop.example")
    server.wait_message("b@hop.example", 10)
    line = relay.wait_log(" delivered ", "b@hop.example")
    assert f"site={one.domain},{two.domain}:2525 " in line and f"host={two.mx}" in line, line


def test_hop_that_cannot_be_looked_up_is_passed_over(lab):
    two = lab.site()
    hops(lab, "[nowhere.nowhere.example]", f"[{two.mx}]")
    lab.send("b@hop.example")
    two.server6.wait_message("b@hop.example", 10)


def test_hop_that_is_found_nowhere_defers(lab):
    relay = hops(lab, "[nowhere.nowhere.example]", "[elsewhere.nowhere.example]")
    lab.send("b@hop.example")
    relay.wait_log(" deferred ", "b@hop.example", "4.3.5")


def test_hop_that_is_this_relay_itself(lab):
    two = lab.site()
    relay = hops(lab, f"[{RELAY4}]", f"[{two.mx}]")
    lab.send("b@hop.example")
    relay.wait_log(" failed ", "b@hop.example", "5.4.6 next hop")
    assert not two.server6.sessions, "what stands behind this relay itself was used"


# ---- families ----

def test_only_one_family(lab):
    site = lab.site()
    relay = lab.relay(f"route {site.domain} {{ only = ipv4 }}\n")
    for n in range(5):
        lab.send(site.rcpt(f"b{n}"))
    site.server4.wait_message(site.rcpt("b4"), 10)
    assert not site.server6.sessions, f"{len(site.server6.sessions)} connections over IPv6"
    said = relay.relayq("trace", site.domain)
    assert "only ipv4" in said and site.v4 in said and site.v6 not in said, said


def test_only_a_family_that_is_not_there(lab):
    site = lab.site(serve6=False, announce=False)
    lab.dns.add(f"{site.domain}. MX 10 {site.mx}.", f"{site.mx}. A {site.v4}")
    relay = lab.relay(f"route {site.domain} {{ only = ipv6 }}\n")
    lab.send(site.rcpt())
    relay.wait_log(" deferred ", f"4.4.4 route {site.domain} uses only IPv6")
    assert not site.server4.sessions


def test_preferred_family(lab):
    site = lab.site()
    lab.relay(f"route {site.domain} {{ prefer = ipv4 }}\n")
    lab.send(site.rcpt())
    site.server4.wait_message(site.rcpt(), 10)
    assert not site.server6.sessions
    other = lab.site(serve4=False)
    lab.relays[-1].stop()
    lab.relay(f"route {other.domain} {{ prefer = ipv4 }}\n")
    began = lab.send(other.rcpt())
    took = other.server6.wait_message(other.rcpt(), 10).at - began
    assert took < 3, f"the preferred family is dead: {took:.3f} s until the other"


# ---- limits ----

def test_connections_and_messages_of_a_route(lab):
    script = Script(dot=Wait(0.2, "250 2.0.0 taken"))
    site = lab.site(script)
    relay = lab.relay(f"limits {{ site_connections = 10 }}\nroute {site.domain} {{ connections = 1   messages = 3 }}\n")
    for n in range(9):
        lab.send(site.rcpt(f"b{n}"))
    servers = (site.server4, site.server6)
    Scripted.wait(lambda: sum(len(s.messages) for s in servers) == 9, 20, "9 messages")
    counts = sorted(len([m for m in s.messages if m.session is session]) for s in servers for session in s.sessions)
    assert max(counts) <= 3, f"messages of the connections: {counts}"
    assert f"/{site.domain}" in relay.wait_log(" delivered ", site.rcpt("b0"))
    begun = sorted((session.began, session.ended) for s in servers for session in s.sessions)
    for (_, ended), (began, _) in zip(begun, begun[1:]):
        assert ended is not None and began >= ended - 0.05, f"two connections at once: {begun}"


# ---- when it is tried again ----

def test_retry_schedule_of_a_route(lab):
    quick, slow = lab.site(Script(rcpt=["450 4.2.0 later"] * 4 + ["250 2.1.5 Ok"])), lab.site(Script(rcpt="450 4.2.0 later"))
    relay = lab.relay(f"retry {{ first = 1h   max = 2h }}\nroute {quick.domain} {{ first = 1s   max = 1s }}\n")
    lab.send(slow.rcpt())
    began = lab.send(quick.rcpt())
    Scripted.wait(lambda: any(m.taken for s in (quick.server4, quick.server6) for m in s.messages), 20, "the message")
    lab.fact(f"delivered {time.monotonic() - began:.1f} s after acceptance, where all other mail waits for an hour")
    assert relay.states("deferred") == 1


# ---- soft_bounce ----

def test_soft_bounce_defers_and_delivers_later(lab):
    site = lab.site(Script(rcpt=["550 5.1.1 no such user", "250 2.1.5 Ok"]))
    relay = lab.relay("soft_bounce = yes\n")
    lab.send(site.rcpt())
    relay.wait_log(" deferred ", "soft_bounce: 550 5.1.1 no such user")
    assert not relay.find(" bounce "), "a bounce was made"
    lab.send("b@nowhere.nowhere.example")
    relay.wait_log(" deferred ", "soft_bounce: 550 5.1.2")
    wait_until(lambda: relay.states("deferred") == 2, 5, "the deferrals on disk")
    relay.relayq("retry", relay.ids()[0])
    site.server6.wait_message(site.rcpt(), 10)
    relay.wait_log(" delivered ", site.rcpt())


def test_soft_bounce_of_one_route(lab):
    one, two = lab.site(Script(rcpt="550 5.1.1 no")), lab.site(Script(rcpt="550 5.1.1 no"))
    relay = lab.relay(f"route {one.domain} {{ soft_bounce = yes }}\n")
    lab.send([one.rcpt(), two.rcpt()])
    relay.wait_log(" deferred ", one.rcpt(), "soft_bounce")
    relay.wait_log(" failed ", two.rcpt())


# ---- mail that ends here ----

def test_discard(lab):
    site = lab.site()
    relay = lab.relay(f"route {site.domain} {{ discard = yes }}\n")
    lab.send([site.rcpt("one"), site.rcpt("two")])
    for name in ("one", "two"):
        relay.wait_log(" discarded ", site.rcpt(name), f"route {site.domain}")
    relay.wait_log(" finished ")
    assert not relay.ids() and not relay.find(" bounce ")
    assert not site.server4.sessions and not site.server6.sessions


def test_reject_at_rcpt(lab):
    site = lab.site()
    relay = lab.relay('route gone.example { reject = "gone.example is closed" }\n')
    with Client(lab.client, RELAY4) as c:
        c.ehlo()
        c.mail("a@old.example")
        assert c.rcpt("b@gone.example") == (550, b"5.7.1 gone.example is closed")
        assert c.rcpt(site.rcpt())[0] == 250
        assert c.data(b"Subject: x\r\n\r\nx\r\n")[0] == 250
    site.server6.wait_message(site.rcpt(), 10)
    relay.wait_log(" refused ", "gone.example")
    assert "refused: 550 5.7.1 gone.example is closed" in relay.relayq("trace", "gone.example")


def test_reject_of_what_is_queued(lab):
    home = lab.site()
    site = lab.site(Script(rcpt="450 4.2.0 later"))
    relay = lab.relay()
    lab.send(site.rcpt(), sender=home.rcpt("sender"))
    wait_until(lambda: relay.states("deferred") == 1, 5, "the deferral on disk")
    with open(relay.file, "a") as f:
        f.write(f'route {site.domain} {{ reject = "we gave that up" }}\n')
    relay.signal(signal.SIGHUP)
    relay.wait_log(" reloaded")
    relay.relayq("retry", relay.ids()[0])
    relay.wait_log(" failed ", site.rcpt(), "550 5.7.1 we gave that up")
    assert "we gave that up" in home.server6.wait_message(home.rcpt("sender"), 10).text()


# ---- MT-PRIORITY ----

def test_high_priority_goes_first(lab):
    release = []
    site = lab.site(Script(dot=lambda session, argument: "250 2.0.0 taken" if release else Wait(3, "250 2.0.0 taken")))
    lab.relay("limits { site_connections = 1 }\nclient 192.0.2.2 { priority = yes }\n")
    lab.send(site.rcpt("first"))
    Scripted.wait(lambda: site.server6.messages or site.server4.messages, 10, "the first message under way")
    release.append(True)
    for name, priority in (("low", -4), ("normal", 0), ("high", 5), ("highest", 9)):
        lab.send(site.rcpt(name), options=[f"MT-PRIORITY={priority}"])
    server = site.server6 if site.server6.sessions else site.server4
    server.wait_message(site.rcpt("low"), 20)
    order = [m.rcpts[0].split("@")[0] for m in server.messages]
    assert order == ["first", "highest", "high", "normal", "low"], order
