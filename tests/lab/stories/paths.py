"""tests/lab/stories/paths.py: a family that is broken and one that is refused: what mail does, and what relayq shows of it."""
import time

from relay import release_binary
from scripted import Script
from servers import wait_until
from story import log_lines, say, show

PTR = "550-5.7.25 [2001:db8:2::64] The IP address sending this message does not\n550 5.7.25 have a PTR record setup"


def story(lab):
    dead, refusing = lab.site(serve6=False), lab.site(None, Script(rcpt=PTR), announce=False)
    refusing.server4.script = Script()
    lab.dns.add(*refusing.records)
    lab.block(dead.v6, "drop")
    relay = lab.relay("limits { connection_messages = 1 }\npath { probe_first = 2s   probe_max = 2s }\n", program=release_binary())

    def mail(site, local):
        sent = lab.send(site.rcpt(local))
        taken = site.server4.wait_message(site.rcpt(local), 15).at - sent
        relay.wait_log(" delivered ", site.rcpt(local))
        return taken

    say(f"1. {dead.domain} has an IPv6 address at which every packet vanishes. Two mails:")
    show("                                (time from acceptance to delivery)",
         "\n".join(f"{mail(dead, f'm{n}') * 1000:.0f} ms over IPv4" for n in range(2)))
    say("The first one found out within the race; the second did not try IPv6: that is left to single connections without mail.")

    say(f"2. {refusing.domain} takes no mail over IPv6: this host has no PTR record there. Two mails:")
    since = len(relay.lines)
    took = [mail(refusing, f"m{n}") for n in range(2)]
    log_lines(relay, since)
    show("                                (time from acceptance to delivery)", "\n".join(f"{t * 1000:.0f} ms over IPv4" for t in took))

    say("3. The page for those who run the network:")
    show("relayq families", relay.relayq("families"), most=60)

    say(f"4. IPv6 of {dead.domain} is mended. A probe finds out while mail flows:")
    lab.mx_host.nft_clear()
    dead.server6 = lab.server(dead.v6)
    began, n = time.monotonic(), 0
    while not dead.server6.taken():
        n += 1
        lab.send(dead.rcpt(f"n{n}"))
        dead.server4.wait(lambda: dead.server6.taken(dead.rcpt(f"n{n}")) + dead.server4.taken(dead.rcpt(f"n{n}")), 10, "a mail")
        time.sleep(0.2)
    show("                                (in the log)", relay.find(" path-probed ")[-1][1])
    say(f"IPv6 was back in use after {time.monotonic() - began:.1f} s.")
    wait_until(lambda: not relay.ids(), 10, "the queue to be empty")
