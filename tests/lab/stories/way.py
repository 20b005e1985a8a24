"""tests/lab/stories/way.py: the main path: mail leaves a Postfix that has only IPv4 and is read at one that has only IPv6."""
import net
from lab import RELAY4, RELAY6
from relay import release_binary
from servers import wait_until
from story import log_lines, mail, say, show


def postconf(postfix):
    return net.run("postconf", "-c", f"{postfix.folder}/etc", "myhostname", "inet_protocols", "relayhost")


def story(lab):
    say("Three machines in network namespaces (and a DNS server): old.example has only IPv4, new.example only IPv6, relay64 has both.")
    old = lab.postfix("old", v4="192.0.2.10", domains=["old.example"], relayhost=f"[{RELAY4}]")
    new = lab.postfix("new", v6="2001:db8:1::10", domains=["new.example"], relayhost=f"[{RELAY6}]")
    lab.dns.add("old.example. MX 10 mx.old.example.", "mx.old.example. A 192.0.2.10",
                "new.example. MX 10 mx.new.example.", "mx.new.example. AAAA 2001:db8:1::10")
    relay = lab.relay("retry { first = 1h }\n", program=release_binary())
    old.wait(), new.wait()
    show("postconf …                      (at old.example)", postconf(old))
    show("postconf …                      (at new.example)", postconf(new))
    for words in (["new.example", "MX"], ["mx.new.example", "A"], ["mx.new.example", "AAAA"]):
        show(f"dig +short {' '.join(words)}", lab.relay_host.run("dig", "+short", "@198.51.100.53", *words))
    try:
        old.host.connect("2001:db8:1::10", timeout=2).close()
    except OSError as e:
        show("telnet 2001:db8:1::10 25         (at old.example)", e.strerror)

    say("1. At old.example somebody writes to new.example. Its Postfix hands the mail to relay64 over IPv4; relay64 asks the DNS and goes "
        "on over IPv6. The log of relay64:")
    since = len(relay.lines)
    old.submit("ann@old.example", "bob@new.example", mail("ann@old.example", "bob@new.example", "Hello, new world",
                                                          "This mail began its way over IPv4."))
    arrived = new.wait_mail("Hello, new world")
    relay.wait_log("bob@new.example", "250")
    log_lines(relay, since)
    say("   Read at new.example:")
    show("cat Maildir/new/*                (at new.example)", arrived.raw.decode())

    say("2. The answer goes the other way, from IPv6 to IPv4:")
    since = len(relay.lines)
    new.submit("bob@new.example", "ann@old.example", mail("bob@new.example", "ann@old.example", "Re: Hello, new world",
                                                          "And this answer over IPv6."))
    arrived = old.wait_mail("Re: Hello, new world")
    relay.wait_log("ann@old.example", "250")
    log_lines(relay, since)
    show("cat Maildir/new/*                (at old.example)", arrived.raw.decode())

    say("3. Now new.example refuses connections. The mail waits at relay64, durably, and relay64 can say why:")
    wait_until(lambda: relay.relayq_json("status", kind="status")[0]["connections"] == 0, 10, "idle connections to close", 0.2)
    lab.block("2001:db8:1::10", "reject", new.host)
    old.submit("ann@old.example", "bob@new.example", mail("ann@old.example", "bob@new.example", "Are you there?", "Knock, knock."))
    wait_until(lambda: relay.states("resting") + relay.states("deferred"), 10, "the mail to wait")
    identity = relay.ids()[0]
    show("relayq list", relay.relayq("list"))
    show(f"relayq show {identity}", relay.relayq("show", identity))
    show("relayq summary", relay.relayq("summary"))

    say("4. new.example is back. relay64 would find out by itself; the operator does not wait:")
    new.host.nft_clear()
    show("relayq trace --connect new.example", relay.relayq("trace", "--connect", "new.example"))
    show(f"relayq retry {identity}", relay.relayq("retry", identity))
    arrived = new.wait_mail("Are you there?")
    show("cat Maildir/new/*                (at new.example)", arrived.raw.decode())
    wait_until(lambda: not relay.ids(), 10, "the queue to be empty")
    show("relayq list", relay.relayq("list"))
    say("That is all: set `relayhost = [relay64]` on the machine that has one family only.")
