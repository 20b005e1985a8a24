"""tests/lab/sources_test.py: mail leaves from pools of source addresses, each with its name; a new family is warmed up."""
from scripted import Script
from servers import wait_until

A4, B4 = "198.51.100.65", "198.51.100.66"
A6, B6 = "2001:db8:2::65", "2001:db8:2::66"
POOLS = f"""
pool news {{ addresses = {A4}, {B4}, {A6}, {B6} }}
identity {A4} {{ helo = a4.news.example }}
identity {B4} {{ helo = b4.news.example }}
identity {A6} {{ helo = a6.news.example }}
identity {B6} {{ helo = b6.news.example }}
sender news.example {{ pool = news }}
limits {{ connection_messages = 1 }}
"""
PTR = "550 5.7.25 no PTR record for your address"
NAMES = {A4: "a4.news.example", B4: "b4.news.example", A6: "a6.news.example", B6: "b6.news.example"}


def prefix(address):
    return address + ("/64" if ":" in address else "/24")


def give(lab, *addresses):
    """The relay's host has these too, until the test's end."""
    for a in addresses:
        lab.relay_host.ip("addr", "add", prefix(a), "dev", "eth0", *["nodad"] * (":" in a))
        lab.test.callback(lambda a=a: lab.relay_host.ip("addr", "del", prefix(a), "dev", "eth0", check=False))


def ipv4_site(lab, script=None):
    site = lab.site(script, serve6=False, announce=False)
    lab.dns.add(f"{site.domain}. MX 10 {site.mx}.", f"{site.mx}. A {site.v4}")
    return site


def peers(server):
    """Source address and name of each session that sent mail."""
    return [(s.peer, s.helo) for s in server.sessions if s.said("MAIL")]


def test_each_address_has_its_name_and_its_turn(lab):
    """By the sender's domain; other mail leaves from where it did."""
    give(lab, A4, B4, A6, B6)
    only4, only6 = ipv4_site(lab), lab.site(serve4=False, announce=False)
    lab.dns.add(f"{only6.domain}. MX 10 {only6.mx}.", f"{only6.mx}. AAAA {only6.v6}")
    lab.relay(POOLS)
    for n in range(6):
        for site, server in ((only4, only4.server4), (only6, only6.server6)):
            lab.send(site.rcpt(f"m{n}"), sender="x@news.example")
            server.wait_message(site.rcpt(f"m{n}"), 10)
    for server, pool in ((only4.server4, {A4, B4}), (only6.server6, {A6, B6})):
        seen = peers(server)
        assert {address for address, _ in seen} == pool, seen
        assert all(NAMES[address] == name for address, name in seen), seen
    lab.send(only4.rcpt("other"), sender="x@old.example")
    only4.server4.wait_message(only4.rcpt("other"), 10)
    assert peers(only4.server4)[-1] == ("198.51.100.64", "relay.example"), peers(only4.server4)


def test_an_address_that_is_gone_is_passed_over_and_told(lab):
    """One of two, then both: mail goes all the same; an address that comes is taken up without a restart."""
    give(lab, A4, B4)
    site = ipv4_site(lab)
    relay = lab.relay(POOLS)

    def leaves_from(local):
        lab.send(site.rcpt(local), sender="x@news.example")
        site.server4.wait_message(site.rcpt(local), 10)
        address, name = peers(site.server4)[-1]
        assert name == NAMES.get(address, "relay.example"), f"{address} calls itself {name}"
        return address

    assert {leaves_from("a"), leaves_from("b")} == {A4, B4}
    lab.relay_host.ip("addr", "del", A4 + "/24", "dev", "eth0")
    relay.wait_log(" delivered ", site.rcpt("b"))

    # the loss is known after five seconds at the latest; until then a connection falls back by itself
    n = 0
    while not relay.find(" error source-address-unusable ", A4):
        n += 1
        assert leaves_from(f"c{n}") in (B4, "198.51.100.64")
        wait_until(lambda: not relay.queued(), 5, "an empty queue")
    assert leaves_from("d") == B4 and leaves_from("e") == B4
    lab.relay_host.ip("addr", "del", B4 + "/24", "dev", "eth0")
    n = 0
    while not relay.find(" error source-address-unusable ", B4):
        n += 1
        leaves_from(f"f{n}")
    assert leaves_from("g") == "198.51.100.64"
    give(lab, A4)
    n, seen = 0, None
    while seen != A4:
        n += 1
        seen = leaves_from(f"h{n}")
        assert n < 2000, "the address that came back is not used"


def test_a_source_that_a_site_refuses_rests_there(lab):
    """The site knows one address of the pool only: mail arrives at once, later mail leaves from there; elsewhere all take turns."""
    give(lab, A4, B4)
    picky = ipv4_site(lab, Script(mail=lambda session, _: PTR if session.peer == A4 else "250 2.1.0 Ok"))
    other = ipv4_site(lab)
    relay = lab.relay(POOLS)
    for n in range(6):
        for site in (picky, other):
            sent = lab.send(site.rcpt(f"m{n}"), sender="x@news.example")
            assert site.server4.wait_message(site.rcpt(f"m{n}"), 10).at - sent < 2
    tried = [a for a, _ in peers(picky.server4)]
    assert tried.count(A4) == 1 and tried.count(B4) == 6, tried
    assert {a for a, _ in peers(other.server4)} == {A4, B4}
    assert len(relay.find(" source-rests ", picky.mx, A4)) == 1
    assert not relay.find(" bounce ")


def test_a_share_goes_over_ipv6(lab):
    """ipv6_share = 25%: a quarter of 2,000 messages, within what chance may do, though IPv6 would go first by itself."""
    site = lab.site()
    lab.relay("source { ipv6_share = 25% }\nlimits { connection_messages = 10 }\n")
    lab.client.run("smtp-source", "-m", "2000", "-s", "8", "-l", "500", "-f", "a@old.example", "-t", site.rcpt("load"), "198.51.100.64:25")
    both = (site.server4, site.server6)
    wait_until(lambda: sum(len(s.messages) for s in both) == 2000, 60, "2,000 messages")
    share = len(site.server6.messages) / 2000
    lab.fact(f"{share:.1%} of 2,000 messages over IPv6")
    assert 0.21 < share < 0.29, share  # four standard deviations
