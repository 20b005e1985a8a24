"""tests/lab/oracle_test.py: servers with one family deliver themselves what they can and ask relay64 about the rest.

They are set up by the very words of contrib/recipes.md: Postfix by socketmap and by tcp, Exim by readsocket. Who brought a
message is seen by the address from which it came to its destination.
"""
import contextlib
import re
import select
import signal
import socket
import time

from client import content
from lab import RELAY4, RELAY6
from relay import ROOT, release_binary
from scripted import Script
from servers import wait_until

PORT = 2527
SILENT = "198.51.100.56"  # an address of the DNS host at which packets vanish
SERVERS = {}  # name -> server; its domain is name.example


def recipe(title):
    """The first block of that recipe, with this test's domain for the server's own."""
    with open(f"{ROOT}/contrib/recipes.md") as f:
        chapter = re.search(rf"^##+ {title}\n(.*?)(?=^##|\Z)", f.read(), re.M | re.S)[1]
    return re.sub(r"^    ", "", re.search(r"(?:^    .*\n|^\n(?=    ))+", chapter, re.M)[0], flags=re.M)


def postfix(lab, name, title, **at):
    settings = dict(re.findall(r"^(\w+) = (.*)$", recipe(title).replace(r"example\.org", rf"{name}\.example"), re.M))
    assert set(settings) == {"transport_maps"}
    quick = {"minimal_backoff_time": "300s", "queue_run_delay": "300s", "disable_dns_lookups": "no"}
    return lab.postfix(name, domains=[f"{name}.example"], scope=lab.everything, default_transport="smtp", **settings, **quick, **at)


def exim(lab, name, **at):
    dnslookup = "dnslookup:\n  driver = dnslookup\n  domains = ! +local_domains\n  transport = remote_smtp\n  ignore_target_hosts = <; 127.0.0.0/8 ; ::1\n  no_more\n"
    return lab.exim(name, domains=[f"{name}.example"], scope=lab.everything, routers=recipe("Exim by readsocket") + dnslookup, **at)


def setup(lab):
    """Three kinds, each with IPv4 alone; a Postfix with IPv6 alone."""
    lab.dns.add(f"relay64.example. A {RELAY4}", f"relay64.example. AAAA {RELAY6}")
    SERVERS["sockmap4"] = postfix(lab, "sockmap4", "Postfix by socketmap", v4="192.0.2.60")
    SERVERS["tcp4"] = postfix(lab, "tcp4", "Postfix by tcp", v4="192.0.2.61")
    SERVERS["exim4o"] = exim(lab, "exim4o", v4="192.0.2.62")
    SERVERS["sockmap6"] = postfix(lab, "sockmap6", "Postfix by socketmap", v6="2001:db8:1::60")
    for server in SERVERS.values():
        lab.dns.add(f"{server.host.name}.example. MX 10 mx.{server.host.name}.example.",
                    f"mx.{server.host.name}.example. {'A' if server.host.v4 else 'AAAA'} {(server.host.v4 + server.host.v6)[0]}")
    for server in SERVERS.values():
        server.wait()


def start(lab, more="", program=None, dns=""):
    """relay64 with the recipe's own oracle."""
    block, = re.findall(r"^oracle .*\n", recipe("Only what the server cannot deliver itself"), re.M)
    relay = lab.relay(block + more, program=program, start=not dns)
    if dns:
        relay.configure(re.sub(r"(?m)^dns .*$", dns, open(relay.file).read().partition("\n")[2].partition("\n")[2].partition("\n")[2]))
        relay.start([(RELAY4, 25), (RELAY6, 25)])
    return relay


def counters(relay):
    return relay.relayq_json("status", kind="status")[0]["counters"]


def site(lab, family=None):
    """A destination with both families, or with one."""
    s = lab.site(Script(), announce=False)
    lab.dns.add(*[r for r in s.records if family is None or f" {'AAAA' if family == 4 else 'A'} " not in r])
    return s


def submit(server, rcpt, subject):
    server.submit(f"a@{server.host.name}.example", rcpt, content(subject))


def peer(scripted, rcpt, seconds=20):
    """Who brought the one message to this recipient."""
    message = scripted.wait_message(rcpt, seconds)
    assert len(scripted.taken(rcpt)) == 1
    return message.session.peer


def goes_both_ways(lab, name, own, relayed):
    """A dual-stack domain and one of the server's own family directly, one of the other family through relay64; what is nowhere is
    returned by the server itself; its own domain is no question."""
    server = SERVERS[name]
    address, other = (server.host.v4 + server.host.v6)[0], 10 - own
    relay = start(lab)
    both, same, across = site(lab), site(lab, own), site(lab, other)
    for destination, mark in ((both, "both"), (same, "same"), (across, "across")):
        submit(server, destination.rcpt(), f"{name} {mark}")
    assert peer(getattr(both, f"server{own}"), both.rcpt()) == address
    assert peer(getattr(same, f"server{own}"), same.rcpt()) == address
    assert peer(getattr(across, f"server{other}"), across.rcpt()) == relayed
    wait_until(lambda: not relay.queued(), 5, "an empty queue")
    assert len(relay.find(" delivered ")) == 1, "relay64 delivered more than the one mail"
    for domain in (f"nowhere-{name}.example", f"null-{name}.example"):
        submit(server, f"b@{domain}", f"to {domain}")
        # Exim runs without the right to deliver its own bounce here: its log tells
        wait_until(lambda: re.search(rf"to=<b@{domain}>.*status=bounced|\*\* b@{domain}", server.log()), 15, f"{name} to return it")
    assert len(relay.find(" received ")) == 1, "relay64 was handed more than the one mail"
    return relay, server


def test_oracle_postfix_socketmap(lab):
    lab.dns.add("null-sockmap4.example. MX 0 .")
    relay, server = goes_both_ways(lab, "sockmap4", 4, RELAY6)
    asked = counters(relay)
    assert asked["oracle_relayed"] >= 1 and asked["oracle_deferred"] == 0, asked
    submit(server, "c@sockmap4.example", "to myself")
    server.wait_mail("Subject: to myself")
    submit(server, "d@below.sockmap4.example", "below")
    wait_until(lambda: re.search("to=<d@below.sockmap4.example>.*status=bounced", server.log()), 15, "it to be returned")
    since = counters(relay)["oracle_questions"] - asked["oracle_questions"]
    assert since <= 1, f"{since} questions for the server's own domains: more than that for '*'"


def test_oracle_postfix_socketmap_ipv6(lab):
    lab.dns.add("null-sockmap6.example. MX 0 .")
    goes_both_ways(lab, "sockmap6", 6, RELAY4)


def test_oracle_postfix_tcp(lab):
    lab.dns.add("null-tcp4.example. MX 0 .")
    goes_both_ways(lab, "tcp4", 4, RELAY6)


def test_oracle_exim(lab):
    lab.dns.add("null-exim4o.example. MX 0 .")
    goes_both_ways(lab, "exim4o", 4, RELAY6)


def test_oracle_subdomains_and_unicode(lab):
    """Each domain is judged by itself; a mail to a domain in UTF-8 goes by its A-labels."""
    relay, server = start(lab), SERVERS["sockmap4"]
    across, both = site(lab, 6), site(lab)
    lab.dns.add(f"sub.{across.domain}. MX 10 {both.mx}.", f"xn--grn-ioa.{across.domain}. MX 10 {across.mx}.")
    submit(server, f"x@sub.{across.domain}", "sub")
    assert peer(both.server4, f"x@sub.{across.domain}") == "192.0.2.60"

    def postmap(key, table=f"socketmap:inet:{RELAY4}:{PORT}:transport"):
        return server.host.run("postmap", "-q", key, table).strip()
    relayed = "relay:[relay64.example]:25"
    assert postmap(f"x@grün.{across.domain}") == postmap(f"x@grün.{across.domain}", f"tcp:{RELAY4}:{PORT}") == relayed
    for key in (across.domain, f"x+y@{across.domain}", f"X@{across.domain.upper()}", "x@[IPv6:2001:db8:3::9]"):
        assert postmap(key) == relayed, key
    for key in (both.domain, f"x@{both.domain}", f"x@sub.{across.domain}", f".{across.domain}", "*"):
        assert server.host.run("postmap", "-q", key, f"socketmap:inet:{RELAY4}:{PORT}:transport", check=False) == "", key
    assert not relay.find(" received ")


def ask(host, *keys, address=RELAY4):
    """One connection, one question after the other; (reply, seconds) of each."""
    answers = []
    with host.connect(address, PORT) as s, s.makefile("rb") as lines:
        for key in keys:
            began = time.monotonic()
            s.sendall(f"get {key}\n".encode())
            answers.append((lines.readline().decode().rstrip("\n"), time.monotonic() - began))
    return answers


def silence(lab):
    """A DNS server that is there and never answers."""
    if SILENT not in lab.dns_host.v4:
        lab.dns_host.add_address(SILENT)
    lab.dns_host.nft(f"table inet silent {{\n chain in {{ type filter hook input priority 0; ip daddr {SILENT} drop\n }}\n}}\n")
    lab.test.callback(lab.dns_host.nft_clear)


def test_oracle_dead_dns(lab):
    """Nobody answers: "later" within 2 s, however many ask; the servers keep their mail, and send it when the DNS is back."""
    silence(lab)
    relay = start(lab, dns=f"dns {{ servers = {SILENT}   failure = 0 }}")
    both, across = site(lab), site(lab, 6)
    (reply, seconds), (again, soon) = ask(SERVERS["sockmap4"].host, both.domain, both.domain)
    assert reply.startswith("400 ") and again.startswith("400 "), (reply, again)
    assert 1.5 < seconds < 2.5 and soon < 2.5, (seconds, soon)
    lab.fact(f"no answer of the DNS: told after {seconds:.2f} s")
    began = time.monotonic()
    connections = [SERVERS["sockmap4"].host.connect(RELAY4, PORT) for _ in range(90)]
    for n, s in enumerate(connections):
        s.sendall(f"get a@d{n}.dead.example\n".encode())
    for s in connections:
        assert s.recv(4096).startswith(b"400 ")
        s.close()
    took = time.monotonic() - began
    assert took < 3, took
    lab.fact(f"90 at once: the last after {took:.2f} s")
    for name in ("sockmap4", "tcp4", "exim4o"):
        for destination in (both, across):
            submit(SERVERS[name], destination.rcpt(name), f"{name} waits")
    for name in ("sockmap4", "tcp4", "exim4o"):
        for destination in (both, across):
            what = rf"to=<{destination.rcpt(name)}>.*status=deferred \(address resolver failure|== {destination.rcpt(name)} R=relay64_asked defer .*relay64 does not know the way yet"
            wait_until(lambda: re.search(what, SERVERS[name].log()), 15, f"{name} to defer")
        assert not SERVERS[name].queue_empty()
    assert not both.server4.messages and not across.server6.messages
    counted = counters(relay)
    assert counted["oracle_timeouts"] >= 92 and counted["oracle_relayed"] == 0, counted
    lab.dns_host.nft_clear()
    text = open(relay.file).read().replace(f"servers = {SILENT}", "servers = 198.51.100.53")
    with open(relay.file, "w") as f:
        f.write(text)
    relay.signal(signal.SIGHUP)
    relay.wait_log(" reloaded ")
    for name in ("sockmap4", "tcp4", "exim4o"):
        SERVERS[name].flush()
        # Postfix' queue manager itself remembers for 30 s what it was told last
        for destination, taken in ((both, both.server4), (across, across.server6)):
            wait_until(lambda: (SERVERS[name].flush(), taken.taken(destination.rcpt(name)))[1], 40, f"{name}'s mail", 1)
        assert peer(both.server4, both.rcpt(name)) == SERVERS[name].host.v4[0]
        assert peer(across.server6, across.rcpt(name)) == RELAY6


test_oracle_dead_dns.seconds = 120


def test_oracle_reload(lab):
    """An unchanged block keeps socket and connection and answers by its new keys; one that is gone is closed; a new one opens."""
    relay = start(lab, f"oracle {RELAY4}:2528 {{ }}\n")
    across = site(lab, 6)
    host = SERVERS["sockmap4"].host
    with host.connect(RELAY4, PORT) as s, s.makefile("rb") as lines, host.connect(RELAY4, 2528) as gone:
        s.sendall(f"get {across.domain}\n".encode())
        assert lines.readline() == b"200 relay:[relay64.example]:25\n"
        text = open(relay.file).read().replace("relay:[relay64.example]:25", "smtp:[other.example]").replace(":2528", ":2529")
        with open(relay.file, "w") as f:
            f.write(text)
        relay.signal(signal.SIGHUP)
        relay.wait_log(" reloaded ")
        assert gone.recv(10) == b""
        s.sendall(f"get {across.domain}\n".encode())
        assert lines.readline() == b"200 smtp:[other.example]\n"
        host.connect(RELAY4, 2529).close()
    with contextlib.suppress(ConnectionRefusedError):
        host.connect(RELAY4, 2528).close()
        raise AssertionError("port 2528 is still open")
    # whoever may not relay may not ask
    with lab.mx_host.connect(RELAY4, PORT) as s:
        with contextlib.suppress(OSError):
            s.sendall(b"get *\n")
            assert s.recv(10) == b""
    relay.wait_log("oracle-refused", "client=203.0.113.2")


def rate(host, keys, connections):
    """Questions a second over so many connections, one at a time on each, as Postfix asks."""
    socks = [host.connect(RELAY4, PORT) for _ in range(connections)]
    keys, pending, heard, began = iter(keys), {}, [], time.monotonic()
    poll = select.epoll()

    def next_question(s):
        key = next(keys, None)
        if key is not None:
            body = f"transport a@{key}"
            s.sendall(f"{len(body)}:{body},".encode())
            pending[s.fileno()] = s
    for s in socks:
        poll.register(s.fileno(), select.EPOLLIN)
        next_question(s)
    while pending:
        events = poll.poll(10)
        assert events, "no answer for 10 s"
        for fd, _ in events:
            s = pending.pop(fd)
            heard.append(s.recv(4096))
            next_question(s)
    took = time.monotonic() - began
    for s in socks:
        s.close()
    return len(heard) / took, heard


def test_oracle_a_thousand_a_second(lab):
    """The release build, questions as Postfix asks them: over ten connections, one at a time on each."""
    relay = start(lab, program=release_binary())
    domains = [f"r{n}.rate.example" for n in range(2000)]
    lab.dns.add(*(f"{d}. MX 10 mx.{d}." for d in domains), *(f"mx.{d}. AAAA 2001:db8:3::7" for d in domains))
    host = SERVERS["sockmap4"].host
    for what, keys in (("2,000 new domains", domains), ("20,000 of known domains", domains * 10)):
        cpu = relay.cpu()
        a_second, heard = rate(host, keys, 10)
        assert set(heard) == {b"29:OK relay:[relay64.example]:25,"}, set(heard)
        lab.fact(f"{what}: {a_second:,.0f} look-ups a second, {(relay.cpu() - cpu) / len(keys) * 1e6:.0f} µs of processor each")
        assert a_second >= 1000, a_second
