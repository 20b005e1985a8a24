"""tests/lab/reach_test.py: what a host with one family cannot reach: NAT64 by a real translator (tayga), the next hop for that family,
or a wait with exactly that reason; addresses and routes that come and go while the daemon runs."""
import ipaddress
import itertools
import os
import signal
import subprocess
import time

from lab import CONFIG
from relay import Relay
from servers import wait_until

DNS = {4: "198.51.100.53:53", 6: "[2001:db8:2::53]:53"}
PREFIX = "2001:db8:64::/96"
numbers = itertools.count(70)
made = itertools.count(1)


def one_family(lab, family, config="", start=True):
    """A host with one family alone, and relay64 on it."""
    n = next(numbers)
    v4, v6 = ([f"198.51.100.{n}"], []) if family == 4 else ([], [f"2001:db8:2::{n}"])
    host = lab.net.host(f"half{n}", v4, v6)
    relay = Relay(host, f"{lab.folder}/half{n}", CONFIG, None)
    lab.relays.append(relay)
    lab.test.callback(relay.stop)
    relay.address = (v4 + v6)[0]
    relay.rest = f"clients = 192.0.2.0/24, 198.51.100.0/24, 2001:db8:1::/48, 2001:db8:2::/48\nlisten {'0.0.0.0' if family == 4 else '[::]'}:25 {{ }}\n" \
                 f"dns {{ servers = {DNS[family]} }}\nretry {{ first = 1h }}\n"
    relay.configure(relay.rest + config)
    if start:
        relay.start([(relay.address, 25)])
    return relay


def only(lab, family):
    """A destination with one family alone."""
    site = lab.site(serve4=family == 4, serve6=family == 6, announce=False)
    lab.dns.add(*[r for r in site.records if f" {'AAAA' if family == 4 else 'A'} " not in r])
    site.server = site.server4 if family == 4 else site.server6
    return site


def deferred(relay, rcpt, seconds=10):
    return relay.wait_log(" deferred ", rcpt, seconds=seconds)


def test_a_missing_family_waits_with_its_reason_and_is_taken_up(lab):
    """IPv6 comes: mail that waited goes within seconds, without a restart. It goes: mail waits again. A dual-stack destination never
    waits, and IPv6 is not even tried."""
    relay = one_family(lab, 4)
    six, both = only(lab, 6), lab.site()
    sent = lab.send(both.rcpt(), address=relay.address)
    assert both.server4.wait_message(both.rcpt()).at - sent < 1
    assert not both.server6.sessions
    lab.send(six.rcpt("first"), address=relay.address)
    line = deferred(relay, six.rcpt("first"))
    assert "451 4.4.4" in line and f"{six.domain} has IPv6 addresses alone, and this host has no IPv6 address" in line, line

    host = relay.host
    host.sysctl("net.ipv6.conf.all.disable_ipv6", 0)
    host.sysctl("net.ipv6.conf.eth0.disable_ipv6", 0)
    host.ip("-6", "addr", "add", "2001:db8:2::ff70/128", "dev", "eth0", "nodad")
    relay.wait_log(" families ", "no route")
    assert not six.server.taken()
    host.ip("-6", "route", "add", "2001:db8::/32", "dev", "eth0", "src", "2001:db8:2::ff70")
    message = six.server.wait_message(six.rcpt("first"), 5)
    told = [at for at, line in relay.lines if " families " in line][-1]
    lab.fact(f"mail that waited went {message.at - told:.2f} s after the change was taken up")
    sent = lab.send(six.rcpt("second"), address=relay.address)
    assert six.server.wait_message(six.rcpt("second")).at - sent < 1

    wait_until(lambda: not relay.queued(), 5, "an empty queue")
    host.ip("-6", "route", "del", "2001:db8::/32", "dev", "eth0")
    relay.wait_log(" families ", "no route", count=2)
    lab.send(six.rcpt("third"), address=relay.address)
    assert "this host has no IPv6 route" in deferred(relay, six.rcpt("third"))
    # what it says to whoever looks
    assert "no IPv6 route" in relay.relayq("trace", six.domain)
    assert "no IPv6 route" in relay.relayq("show", relay.id_of(six.rcpt("third")))


def test_families_by_word(lab):
    """families = ipv4 on a host that has both: IPv6 is not used; both: it is tried though there is none."""
    relay = lab.relay("families = ipv4\nretry { first = 1h }\n")
    six, both = only(lab, 6), lab.site()
    lab.send([six.rcpt(), both.rcpt()])
    both.server4.wait_message(both.rcpt())
    assert "IPv6 is not used here (families = ipv4)" in deferred(relay, six.rcpt())
    assert not six.server.sessions and not both.server6.sessions
    relay.stop()
    relay = one_family(lab, 4, "families = both\n")
    lab.send(six.rcpt("tried"), address=relay.address)
    assert "has IPv6 addresses alone" not in deferred(relay, six.rcpt("tried"))


def test_the_next_hop_for_a_missing_family(lab):
    """Two relays, each with one family, each the other's next hop for the other one."""
    relay4, relay6 = one_family(lab, 4, start=False), one_family(lab, 6, start=False)
    # each has an address of both families towards the other one: as at a border; their own families are as configured
    relay4.host.sysctl("net.ipv6.conf.all.disable_ipv6", 0)
    relay4.configure(relay4.rest + f"families = ipv4\nipv6_relay = {relay4.address.replace('198.51.100.', '198.51.100.1')}\n")
    beside = f"198.51.100.1{relay6.address.rpartition(':')[2]}"
    relay6.host.ip("addr", "add", f"{beside}/24", "dev", "eth0")
    relay4.configure(relay4.rest + f"ipv6_relay = [{beside}]\n")
    relay6.configure(relay6.rest + f"listen {beside}:25 {{ }}\nfamilies = ipv6\n")
    relay4.start([(relay4.address, 25)])
    relay6.start([(relay6.address, 25)])
    six, four, both = only(lab, 6), only(lab, 4), lab.site()
    for site in (six, four, both):
        lab.send(site.rcpt(), address=relay4.address)
    assert six.server.wait_message(six.rcpt()).session.peer == relay6.address
    assert four.server.wait_message(four.rcpt()).session.peer == relay4.address
    assert both.server4.wait_message(both.rcpt()).session.peer == relay4.address
    assert len(relay6.find(" received ")) == 1, "more than the one went to the next hop for IPv6"
    assert relay4.find(" family-relay ", six.domain)
    assert not relay4.find(" deferred ")


def test_two_relays_that_name_each_other_do_not_loop(lab):
    """Neither has IPv6, and each has the other one as its ipv6_relay: the mail goes over once and waits there."""
    a, b = one_family(lab, 4, start=False), one_family(lab, 4, start=False)
    for relay, other in ((a, b), (b, a)):
        relay.configure(relay.rest + f"ipv6_relay = [{other.address}]\n")
        relay.start([(relay.address, 25)])
    six = only(lab, 6)
    lab.send(six.rcpt(), address=a.address)
    line = deferred(b, six.rcpt())
    assert "451 4.4.6" in line and a.address in line, line
    assert len(a.find(" received ")) == 1 and len(b.find(" received ")) == 1
    wait_until(lambda: not a.queued(), 5, "an empty queue")
    assert b.queued()
    assert b.relayq_json("status", kind="status")[0]["counters"]["family_loops"] == 1
    give_ipv6(b.host, "2001:db8:2::ff71")  # what was turned back moves too
    six.server.wait_message(six.rcpt(), 5)


def give_ipv6(host, address):
    for name in ("all", "eth0"):
        host.sysctl(f"net.ipv6.conf.{name}.disable_ipv6", 0)
    host.ip("-6", "addr", "add", f"{address}/128", "dev", "eth0", "nodad")
    host.ip("-6", "route", "add", "2001:db8::/32", "dev", "eth0", "src", address)


def test_a_backlog_is_woken_whole(lab):
    """More mail than one slice goes over waits for IPv6: none of it is left behind until its retry, which is an hour away."""
    relay, six = one_family(lab, 4), only(lab, 6)
    lab.client.run("smtp-source", "-m", "2500", "-s", "8", "-f", "a@old.example", "-t", six.rcpt(), f"{relay.address}:25")
    relay.wait_log(" deferred ", six.rcpt(), seconds=60, count=2500)
    assert "IPv6: no address" in relay.relayq("status")
    give_ipv6(relay.host, "2001:db8:2::ff72")
    began = time.monotonic()
    wait_until(lambda: len(six.server.messages) == 2500, 60, "2500 mails")
    lab.fact(f"2500 mails moved within {time.monotonic() - began:.1f} s after IPv6 came")


def test_what_is_just_being_deferred_is_woken(lab):
    """The reload comes while the wait is still being written down."""
    relay, six = one_family(lab, 4), only(lab, 6)
    relay.stop()
    give_ipv6(relay.host, "2001:db8:2::ff73")
    relay.configure(relay.rest + "families = ipv4\n")
    relay.start([(relay.address, 25)])
    for n in range(10):
        since = len(relay.lines)
        relay.configure(relay.rest + "families = ipv4\n")
        relay.signal(signal.SIGHUP)
        relay.wait_log(" reloaded ", since=since)
        relay.wait_log(" families ", since=since) if n else None
        lab.send(six.rcpt(f"m{n}"), address=relay.address)
        deferred(relay, six.rcpt(f"m{n}"))
        relay.configure(relay.rest)
        relay.signal(signal.SIGHUP)
        six.server.wait_message(six.rcpt(f"m{n}"), 5)


class Tayga:
    """A translator on a host of its own, and the routes to it."""

    def __init__(self, lab, relay):
        n = next(made)
        own4, self.own6, inner, pool = f"198.51.100.{200 + n}", f"2001:db8:2::{200 + n}", f"198.51.100.{204 + n}", f"198.51.100.{192 + 16 * n}/28"
        self.host, self.relay_host, folder = lab.net.host(f"tayga{n}", [own4], [self.own6]), relay.host, f"{lab.folder}/tayga{n}"
        os.makedirs(folder)
        with open(f"{folder}/tayga.conf", "w") as f:
            f.write(f"tun-device nat64\nipv4-addr {inner}\nprefix {PREFIX}\ndynamic-pool {pool}\ndata-dir {folder}\n")
        h = self.host
        h.run("tayga", "--config", f"{folder}/tayga.conf", "--mktun")
        for words in (("link", "set", "nat64", "up"), ("route", "add", pool, "dev", "nat64"), ("-6", "route", "add", PREFIX, "dev", "nat64")):
            h.ip(*words)
        for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            h.sysctl(key, 1)
        self.process = subprocess.Popen(h.command("tayga", "--config", f"{folder}/tayga.conf", "--nodetach"),
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        lab.test.callback(self.close)
        lab.mx_host.ip("route", "add", pool, "via", own4)
        lab.test.callback(lambda: lab.mx_host.ip("route", "del", pool, check=False))

    def lead(self):
        """The relay's host has a route to the prefix from now on."""
        self.relay_host.ip("-6", "route", "replace", PREFIX, "via", self.own6)

    def close(self):
        self.process.kill()
        self.process.wait()


def test_nat64_through_a_translator(lab):
    """IPv4-only destinations from a host that has IPv6 alone; shown as what they are; an AAAA inside the prefix is IPv4 too. A dual-stack
    destination goes over its real IPv6."""
    relay = one_family(lab, 6, f"nat64 = {PREFIX}\n", start=False)
    tayga = Tayga(lab, relay)
    tayga.lead()
    relay.start([(relay.address, 25)])
    four, both, dns64 = only(lab, 4), lab.site(), only(lab, 4)
    made_up = ipaddress.ip_address("2001:db8:64::") + int(ipaddress.ip_address(dns64.v4))
    lab.dns.remove(f"{dns64.mx}. A")
    lab.dns.add(f"{dns64.mx}. AAAA {made_up}")
    for site, server in ((four, four.server), (both, both.server6), (dns64, dns64.server)):
        lab.send(site.rcpt(), address=relay.address)
        server.wait_message(site.rcpt(), 15)
    for site in (four, dns64):
        assert site.server.sessions[0].peer.startswith("198.51.100.2"), "not from the translator's pool"
        line = relay.wait_log(" delivered ", site.rcpt())
        assert "family=ipv4" in line and "via=nat64" in line and "2001:db8:64::" in line, line
    assert "family=ipv6" in relay.wait_log(" delivered ", both.rcpt()) and "via=" not in relay.wait_log(" delivered ", both.rcpt())
    counters = relay.relayq_json("status", kind="status")[0]["counters"]
    assert counters["delivered_nat64"] == 2 and counters["delivered_ipv6"] == 1 and counters["delivered_ipv4"] == 0, counters
    trace = relay.relayq("trace", four.domain)
    assert f"ipv4 {four.v4} through nat64" in trace, trace
    assert f"through nat64 [{made_up}]" in relay.relayq("trace", dns64.domain)


def test_nat64_goes_before_the_next_hop_for_ipv4(lab):
    """In this order: NAT64, ipv4_relay, a wait. The translator's route comes while mail waits for it."""
    relay = one_family(lab, 6, f"nat64 = {PREFIX}\n")
    tayga = Tayga(lab, relay)
    relay.host.ip("-6", "route", "add", "unreachable", PREFIX)
    relay.wait_log(" families ", count=2)
    four = only(lab, 4)
    lab.send(four.rcpt("waits"), address=relay.address)
    line = deferred(relay, four.rcpt("waits"))
    assert "has IPv4 addresses alone, and this host has no IPv4 address, and NAT64 does not lead there" in line, line
    tayga.lead()
    four.server.wait_message(four.rcpt("waits"), 8)
    # the other way round: no NAT64, so the next hop for IPv4, which has both families
    relay.host.ip("-6", "route", "replace", "unreachable", PREFIX)
    relay.wait_log(" families ", count=4)
    border = lab.relay(start=False)
    border.configure(CONFIG.replace("clients = ", "clients = 2001:db8:2::/48, "))
    border.start([("2001:db8:2::64", 25)])
    relay.configure(relay.rest + f"nat64 = {PREFIX}\nipv4_relay = [2001:db8:2::64]\n")
    relay.signal(1)
    relay.wait_log(" reloaded ")
    lab.send(four.rcpt("relayed"), address=relay.address)
    assert four.server.wait_message(four.rcpt("relayed"), 10).session.peer == "198.51.100.64"
    assert border.find(" received ", relay.address)
