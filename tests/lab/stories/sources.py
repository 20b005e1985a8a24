"""tests/lab/stories/sources.py: pools of source addresses: turns, names, one that a site refuses, a share of IPv6."""
from collections import Counter

from relay import release_binary
from scripted import Script
from servers import wait_until
from story import log_lines, say, show

A, B = "198.51.100.65", "198.51.100.66"
POOL = f"""pool news {{ addresses = {A}, {B} }}
identity {A} {{ helo = a.news.example }}
identity {B} {{ helo = b.news.example }}
sender news.example {{ pool = news }}
source {{ ipv6_share = 20% }}
limits {{ connection_messages = 1 }}
"""
PTR = "550 5.7.25 no PTR record for your address"


def names(server):
    return "\n".join(f"{s.peer}  {s.said('EHLO')[0]}" for s in server.sessions if s.said("MAIL"))


def story(lab):
    for address in (A, B):
        lab.relay_host.add_address(address)
    plain = lab.site(serve6=False, announce=False)
    picky = lab.site(Script(mail=lambda session, _: PTR if session.peer == A else "250 2.1.0 Ok"), serve6=False, announce=False)
    both = lab.site()
    for site in (plain, picky):
        lab.dns.add(f"{site.domain}. MX 10 {site.mx}.", f"{site.mx}. A {site.v4}")
    relay = lab.relay(POOL, program=release_binary())
    say("Mail of news.example leaves from a pool of two addresses, each with its name. The configuration:")
    show("cat relay64.conf", POOL)

    say("1. Four mails. What their server sees:")
    for n in range(4):
        lab.send(plain.rcpt(f"m{n}"), sender="x@news.example")
        plain.server4.wait_message(plain.rcpt(f"m{n}"))
    show("                                (at the server)", names(plain.server4))

    say(f"2. Another server refuses {A}: it has no PTR record. The mail goes from {B} in the same attempt, and {A} rests there:")
    since = len(relay.lines)
    for n in range(2):
        lab.send(picky.rcpt(f"m{n}"), sender="x@news.example")
        picky.server4.wait_message(picky.rcpt(f"m{n}"))
        relay.wait_log(" delivered ", picky.rcpt(f"m{n}"))
    log_lines(relay, since)
    show("                                (at the server)", names(picky.server4))

    say("3. IPv6 is new here: ipv6_share = 20%. Of 200 mails to a server with both families:")
    lab.client.run("smtp-source", "-m", "200", "-s", "4", "-f", "a@old.example", "-t", both.rcpt(), "198.51.100.64:25")
    servers = {"IPv4": both.server4, "IPv6": both.server6}
    wait_until(lambda: sum(len(s.messages) for s in servers.values()) == 200, 30, "200 mails")
    counts = Counter({name: len(s.messages) for name, s in servers.items()})
    show("                                (at the server)", "\n".join(f"{name}  {count}" for name, count in counts.items()))
    say("With ipv6_warmup = 4w the share grows by the same factor each day until it is 100%.")
