"""tests/lab/stories/oracle.py: a Postfix that has only IPv4 delivers itself what it can, and hands relay64 the rest."""
import re

import net
from lab import RELAY4
from relay import ROOT, release_binary
from servers import wait_until
from story import log_lines, mail, say, show


def story(lab):
    with open(f"{ROOT}/contrib/recipes.md") as f:
        maps = re.search(r"^    transport_maps = (.*)$", f.read().partition("Postfix by socketmap")[2], re.M)[1]
    maps = maps.replace(r"example\.org", r"old\.example").replace("relay64.example", RELAY4)
    socketmap = maps.split(", ")[-1]
    lab.dns.add(f"relay.example. A {RELAY4}")
    relay = lab.relay("oracle [::]:2527, 0.0.0.0:2527 { }\n", program=release_binary())
    old = lab.postfix("old", v4="192.0.2.10", domains=["old.example"], default_transport="smtp", transport_maps=maps,
                      disable_dns_lookups="no")
    both, new = lab.site(), lab.site(announce=False)
    lab.dns.add(f"{new.domain}. MX 10 {new.mx}.", f"{new.mx}. AAAA {new.v6}")
    old.wait()
    say("old.example has only IPv4. It has no relayhost: it asks relay64 where each domain's mail goes.")
    show("postconf transport_maps            (at old.example)", net.run("postconf", "-c", f"{old.folder}/etc", "transport_maps"))
    say(f"{both.domain} has both families, {new.domain} has IPv6 alone. What the oracle answers:")
    for domain in (both.domain, new.domain):
        asked = old.host.run("postmap", "-c", f"{old.folder}/etc", "-q", domain, socketmap, check=False).strip()
        show(f"postmap -q {domain} {socketmap}", asked or "(nothing: deliver it yourself)")

    say("A mail to each:")
    since = len(relay.lines)
    for site in (both, new):
        old.submit("ann@old.example", site.rcpt(), mail("ann@old.example", site.rcpt(), "Hello", "Which way did I go?"))
    here, there = both.server4.wait_message(both.rcpt(), 20), new.server6.wait_message(new.rcpt(), 20)
    relay.wait_log(" delivered ", new.rcpt())
    show(f"                                (at {both.domain})", f"from {here.session.peer}: old.example itself")
    show(f"                                (at {new.domain})", f"from {there.session.peer}: relay64")
    say("relay64 has seen the second one alone:")
    log_lines(relay, since)
    wait_until(lambda: not relay.ids(), 10, "the queue to be empty")
