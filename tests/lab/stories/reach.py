"""tests/lab/stories/reach.py: what this host can reach: IPv6 goes, mail waits with that reason, IPv6 comes, the mail moves."""
from lab import RELAY6
from relay import release_binary
from story import log_lines, say, show


def story(lab):
    site = lab.site(serve4=False, announce=False)
    lab.dns.add(f"{site.domain}. MX 10 {site.mx}.", f"{site.mx}. AAAA {site.v6}")
    relay = lab.relay("families_delay = 100ms\n", program=release_binary())
    host = lab.relay_host

    say(f"1. {site.domain} has IPv6 addresses only. This host loses its IPv6 address, and mail comes:")
    since = len(relay.lines)
    host.ip("addr", "del", f"{RELAY6}/128", "dev", "eth0")
    relay.wait_log(" families ", "no address")
    lab.send(site.rcpt())
    relay.wait_log(" deferred ", site.rcpt())
    log_lines(relay, since)
    show("relayq status", relay.relayq("status"), 6)

    say("2. IPv6 comes back. Nobody restarts anything, and the mail does not wait for its next try:")
    since = len(relay.lines)
    host.ip("addr", "add", f"{RELAY6}/128", "dev", "eth0", "nodad")
    host.ip("-6", "route", "replace", "2001:db8::/32", "dev", "eth0", "src", RELAY6)
    site.server6.wait_message(site.rcpt(), 10)
    relay.wait_log(" delivered ", site.rcpt())
    log_lines(relay, since)
