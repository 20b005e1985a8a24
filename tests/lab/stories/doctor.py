"""tests/lab/stories/doctor.py: relayq doctor on a host with faults that only a sender over both families can have."""
from lab import RELAY4, RELAY6
from relay import release_binary
from story import say, show

ARPA4, ARPA6 = "64.100.51.198.in-addr.arpa.", "4.6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."


def story(lab):
    probe = lab.site()
    lab.dns.add(f"relay.example. A {RELAY4}", f"{ARPA4} PTR relay.example.", f'sender.example. TXT "v=spf1 ip4:{RELAY4} -all"')
    relay = lab.relay(program=release_binary())
    lab.relay_host.ip("route", "add", "default", "dev", "eth0")
    lab.relay_host.ip("-6", "route", "add", "default", "dev", "eth0")
    words = ["doctor", "--config", relay.file, "--sender", "sender.example", "--probe", probe.mx, "--timeout", "4s"]

    def ask():
        return lab.relay_host.run(relay.tool, "-c", relay.control, *words, check=False)

    say("A host with both families, mail over both. What would receivers object to? relayq doctor looks at it as they do:")
    show(f"relayq doctor --sender sender.example --probe {probe.mx}", ask(), most=80)
    say("IPv6 is to blame for the errors: it has no PTR record, the name in EHLO has no AAAA record, and SPF knows IPv4 alone. Each line "
        "says how to mend it; done so:")
    lab.dns.add(f"relay.example. AAAA {RELAY6}", f"{ARPA6} PTR relay.example.")
    lab.dns.remove("sender.example.")
    lab.dns.add(f'sender.example. TXT "v=spf1 ip4:{RELAY4} ip6:{RELAY6} -all"')
    show(f"relayq doctor --sender sender.example --probe {probe.mx}", ask(), most=60)
    say("What is left is this demonstration's: its DNS server does not validate, and nobody keeps its clock.")
