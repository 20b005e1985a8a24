"""tests/lab/front_test.py: who a client is: behind balancers (PROXY protocol), in another's name (XCLIENT, XFORWARD), too early,
too many, too slow."""
import contextlib
import re
import socket
import struct
import subprocess
import time

from client import Client, content
from lab import RELAY4, RELAY6
from relay import ROOT, release_binary
from servers import wait_until

BALANCER4, BALANCER6 = "198.51.100.80", "2001:db8:2::80"
PROXIED = 2525
STRANGER4, STRANGERS6 = "198.51.100.81", ("2001:db8:9::1", "2001:db8:9::2", "2001:db8:a::1")
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


class World:
    balancer = stranger = None


def setup(lab):
    World.balancer = lab.net.host("balancer", [BALANCER4], [BALANCER6])
    World.stranger = lab.net.host("stranger", [STRANGER4], list(STRANGERS6))


def behind_balancers(lab, config=""):
    """A relay with listeners for balancers, who may relay themselves."""
    relay = lab.relay(f"listen {RELAY4}:{PROXIED}, [{RELAY6}]:{PROXIED} {{ proxy = {BALANCER4}, {BALANCER6} }}\n" + config, start=False)
    with open(relay.file) as f:
        text = f.read()
    relay.configure(text.split("\n", 3)[3].replace("clients = ", f"clients = {BALANCER4}, {BALANCER6}, "))
    return relay.start([(RELAY4, 25), (RELAY6, 25)])


def counters(relay):
    return relay.relayq_json("status", kind="status")[0]["counters"]


def line(family, client, server="192.0.2.200", port=40000):
    return f"PROXY TCP{family} {client} {server} {port} 25\r\n".encode()


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def binary_header(client, server="192.0.2.200", port=40000, command=0x21, values=b"", checksum=False):
    """Version 2; the checksum is made as the specification says: over all, with zeros in its own place."""
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    body = socket.inet_pton(family, client) + socket.inet_pton(family, server) + struct.pack(">HH", port, 25) + values
    body += b"\x03\0\4\0\0\0\0" if checksum else b""
    head = SIGNATURE + bytes([command, 0x21 if ":" in client else 0x11]) + struct.pack(">H", len(body)) + body
    return head[:-4] + struct.pack(">I", crc32c(head)) if checksum else head


class Talk:
    """A connection on which a test says every byte itself."""

    def __init__(self, host, address=RELAY4, port=25, source=None, timeout=10):
        self.socket = host.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.socket.settimeout(timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect((address, port))
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def say(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())
        return self

    def reply(self):
        """One whole reply; "" when the server has closed."""
        text = ""
        with contextlib.suppress(ConnectionResetError):
            while True:
                part = self.file.readline().decode()
                text += part
                if len(part) < 4 or part[3] != "-":
                    break
        return text

    def ask(self, command):
        return self.say(command + "\r\n").reply()

    def expect(self, command, code):
        answer = self.ask(command) if command else self.reply()
        assert answer.startswith(code), f"{command!r}: {answer!r}, not {code}"
        return answer

    def mail(self, rcpt, message=None):
        """A whole transaction after the greeting; the queue ID."""
        self.expect("EHLO client.example", "250")
        self.expect("MAIL FROM:<a@old.example>", "250")
        self.expect(f"RCPT TO:<{rcpt}>", "250")
        self.expect("DATA", "354")
        text = (message or content()).replace(b"\r\n.", b"\r\n..")
        return self.say(text + b".\r\n").expect(None, "250").split()[-1]


def received(relay, queue_id):
    return relay.wait_log("received", f"id={queue_id}")


def test_proxy_headers_name_the_client(lab):
    """Both versions, both families: rights, Received and log are those of the client that the header names."""
    relay, site = behind_balancers(lab), lab.site()
    headers = [(line(4, "192.0.2.77"), "192.0.2.77"), (line(6, "2001:db8:1::77", "2001:db8:2::1"), "2001:db8:1::77"),
               (line(6, "::ffff:192.0.2.78", "::ffff:192.0.2.1"), "192.0.2.78"), (binary_header("192.0.2.77"), "192.0.2.77"),
               (binary_header("2001:db8:1::77", "2001:db8:2::1", values=b"\x04\0\2ab", checksum=True), "2001:db8:1::77"),
               (binary_header("::ffff:192.0.2.79", "::1"), "192.0.2.79")]
    for n, (header, client) in enumerate(headers):
        address, via = ((RELAY4, BALANCER4), (RELAY6, BALANCER6))[n % 2]
        with Talk(World.balancer, address, PROXIED) as talk:
            talk.say(header).expect(None, "220")
            queue_id = talk.mail(site.rcpt(f"m{n}"))
        text = received(relay, queue_id)
        assert f"client={client} " in text and via in text, text
        got = site.server6.wait(lambda: site.server6.taken(site.rcpt(f"m{n}")) + site.server4.taken(site.rcpt(f"m{n}")), 15, "mail")
        literal = f"[IPv6:{client}]" if ":" in client else f"[{client}]"
        assert literal.encode() in got[0].header, got[0].header
    with Talk(World.balancer, RELAY4, PROXIED) as talk:  # byte by byte
        for byte in binary_header("192.0.2.77", checksum=True):
            talk.say(bytes([byte]))
        talk.expect(None, "220")


def test_proxy_gives_nobody_the_rights_of_the_balancer(lab):
    relay = behind_balancers(lab)
    for header in (line(4, "203.0.113.250"), b"PROXY UNKNOWN\r\n", binary_header("203.0.113.250"),
                   binary_header("192.0.2.1", command=0x20), SIGNATURE + b"\x21\0\0\0"):
        with Talk(World.balancer, RELAY4, PROXIED) as talk:
            talk.say(header).expect(None, "220")
            talk.expect("EHLO c.example", "250")
            talk.expect("MAIL FROM:<a@old.example>", "250")
            talk.expect("RCPT TO:<b@new.example>", "550 5.7.1")
    with Talk(World.balancer) as talk:  # without a balancer's role it is a client like others
        talk.expect(None, "220")
        talk.expect("EHLO c.example", "250")
        talk.expect("MAIL FROM:<a@old.example>", "250")
        talk.expect("RCPT TO:<b@new.example>", "250")
    assert not relay.find("proxy-refused")


def test_proxy_refuses_what_is_no_header(lab):
    """Closed without a word; a line in the log with the reason, and a counter each."""
    relay = behind_balancers(lab, "limits { proxy_time = 500ms }\n")
    with Talk(lab.client, RELAY4, PROXIED) as talk:
        assert talk.say(line(4, "192.0.2.77")).reply() == ""
    relay.wait_log("proxy-refused", "192.0.2.2", "not one of")
    wrong = (b"EHLO c.example\r\n", b"PROXY TCP4 1.2.3 192.0.2.1 1 2\r\n", binary_header("192.0.2.77", command=0x31),
             binary_header("192.0.2.77", checksum=True)[:-1] + b"x", b"PROXY UNKNOWN" + b"x" * 200)
    for n, data in enumerate(wrong):
        with Talk(World.balancer, RELAY4, PROXIED) as talk:
            assert talk.say(data).reply() == "", data
        relay.wait_log("proxy-refused", BALANCER4, "not a valid PROXY header", count=n + 1)
    began = time.monotonic()
    with Talk(World.balancer, RELAY4, PROXIED) as talk:
        assert talk.say("PROXY TCP4 192.0.2.77").reply() == ""
    assert 0.4 < time.monotonic() - began < 5
    relay.wait_log("proxy-refused", BALANCER4, "proxy_time")
    with Talk(World.balancer, RELAY4, PROXIED) as talk:
        talk.say("PROXY TCP4")
    relay.wait_log("proxy-refused", BALANCER4, "no end")
    got = counters(relay)
    assert (got["proxy_foreign"], got["proxy_wrong"], got["proxy_timeouts"]) == (1, len(wrong) + 1, 1), got


def test_health_checks_make_no_noise(lab):
    relay = behind_balancers(lab)
    relay.wait_log(" ready ")
    since = len(relay.lines)
    for n in range(3):
        Talk(World.balancer, RELAY4, PROXIED).__exit__()  # connect and close
        with Talk(World.balancer, RELAY4, PROXIED) as talk:  # HELO at once, as some checks do
            talk.say(SIGNATURE + b"\x20\0\0\0HELO check\r\n").expect(None, "220")
            talk.expect(None, "250")
            talk.expect("QUIT", "221")
        with Talk(World.balancer) as talk:
            talk.expect(None, "220")
    wait_until(lambda: counters(relay)["sessions_open"] == 0, 5, "the end of the checks")
    assert len(relay.lines) == since, relay.tail()


def test_early_talkers(lab):
    """Who speaks before the greeting is refused: at once, behind a balancer, and within greet_wait (1 s); `clients` do not wait."""
    relay = behind_balancers(lab, f"client {STRANGERS6[2]} {{ early_talkers = allow }}\n")
    with Talk(World.balancer, RELAY4, PROXIED) as talk:
        talk.say(line(4, "192.0.2.77") + b"EHLO c.example\r\n").expect(None, "554 5.5.1 ")
        assert talk.reply() == ""
    relay.wait_log("early-talker", "client=192.0.2.77")
    with Talk(World.stranger) as talk:
        talk.say("EHLO c.example\r\n").expect(None, "554 5.5.1 ")
        assert talk.reply() == ""
    relay.wait_log("early-talker", f"client={STRANGER4}")
    assert counters(relay)["early_talkers"] == 2
    for host, source, least, most in ((World.stranger, STRANGERS6[0], 0.9, 8), (World.stranger, STRANGERS6[2], 0, 0.9),
                                      (lab.client, "2001:db8:1::2", 0, 0.9)):
        began = time.monotonic()
        with Talk(host, RELAY6, source=source) as talk:
            talk.expect(None, "220")
            took = time.monotonic() - began
            assert least <= took < most, f"{source} was greeted after {took:.2f} s"
            talk.expect("EHLO c.example", "250")
    with Talk(World.stranger, RELAY6, source=STRANGERS6[2]) as talk:  # allowed to
        talk.say("EHLO c.example\r\n").expect(None, "220")
        talk.expect(None, "250")


def test_postmaster_from_strangers(lab):
    """Our postmaster is reached by everybody, if there is one; if not, that is said at the start and at each reload."""
    relay = behind_balancers(lab)
    relay.wait_log("no-postmaster")
    with Talk(World.stranger) as talk:
        talk.expect(None, "220")
        talk.expect("EHLO stranger.example", "250")
        talk.expect("MAIL FROM:<a@stranger.example>", "250")
        talk.expect("RCPT TO:<postmaster>", "550 5.1.1 ")
        talk.expect("RCPT TO:<someone@new.example>", "550 5.7.1 ")
    relay.stop()
    relay = behind_balancers(lab, "postmaster = pat@new.example\n")
    with Talk(World.stranger) as talk:
        talk.expect(None, "220")
        talk.expect("EHLO stranger.example", "250")
        talk.expect("MAIL FROM:<a@stranger.example>", "250")
        talk.expect("RCPT TO:<postmaster>", "250")
        talk.expect("RCPT TO:<someone@new.example>", "550 5.7.1 ")
        talk.expect("DATA", "354")
        talk.expect("Subject: reach us\r\n\r\nx\r\n.", "250")
    relay.wait_log("recipient", "to=<pat@new.example>")
    assert not [one for one in relay.lines if "no-postmaster" in one], relay.tail()


def fill(stack, count, how):
    for _ in range(count):
        stack.enter_context(how()).expect(None, "220")


def refused_for(relay, talk, client):
    with talk:
        talk.expect(None, "421 4.7.0")
    relay.wait_log("connection-refused", re.escape(client), "sessions_per_other")


def test_two_addresses_of_one_64_are_one_client(lab):
    relay = behind_balancers(lab, "limits { sessions_per_other = 2 }\n")
    direct = [lambda s=s: Talk(World.stranger, RELAY6, source=s) for s in STRANGERS6]
    with contextlib.ExitStack() as stack:
        fill(stack, 1, direct[0])
        fill(stack, 1, direct[1])
        refused_for(relay, direct[0](), STRANGERS6[0])
        refused_for(relay, direct[1](), STRANGERS6[1])
        fill(stack, 2, direct[2])  # another /64
        fill(stack, 2, lambda: Talk(World.stranger))  # IPv4: another client
        # the same clients through a balancer are the same clients
        proxied = Talk(World.balancer, RELAY4, PROXIED).say(line(6, "2001:db8:9::77", "::1"))
        refused_for(relay, proxied, "2001:db8:9::77")
        # one of `clients` has the limit for those
        fill(stack, 3, lambda: Talk(lab.client, RELAY6))
    wait_until(lambda: counters(relay)["sessions_open"] == 0, 5, "the end of the sessions")
    with contextlib.ExitStack() as stack:
        fill(stack, 2, direct[1])


def test_limits_behind_a_balancer(lab):
    """The balancer's own address counts nowhere: three clients have two sessions each."""
    relay = behind_balancers(lab, "limits { sessions_per_other = 2 sessions_per_client = 4 }\nclient 203.0.113.252 { sessions = 1 }\n")

    def through(client):
        return lambda: Talk(World.balancer, RELAY4, PROXIED).say(line(4, client))
    with contextlib.ExitStack() as stack:
        for client in ("203.0.113.250", "203.0.113.251"):
            fill(stack, 2, through(client))
            refused_for(relay, through(client)(), client)
        fill(stack, 4, through("192.0.2.77"))
        fill(stack, 1, through("203.0.113.252"))
        with through("203.0.113.252")() as talk:
            talk.expect(None, "421 4.7.0")
        relay.wait_log("connection-refused", "203.0.113.252", "client { sessions }")
        assert counters(relay)["sessions_open"] == 9


def test_xclient(lab):
    """A filter in front names the client: rights, limits, log and Received follow; nobody else may."""
    relay = lab.relay(f"limits {{ sessions_per_other = 2 }}\nclient {BALANCER4} {{ xclient = yes }}\n")
    site = lab.site()
    with Talk(lab.client) as talk:
        talk.expect(None, "220")
        assert "XCLIENT" not in talk.expect("EHLO c.example", "250")
        talk.expect("XCLIENT ADDR=192.0.2.1", "550 5.7.0")
    with Talk(World.balancer) as talk:
        talk.expect(None, "220")
        assert "XCLIENT NAME ADDR" in talk.expect("EHLO filter.example", "250")
        talk.expect("MAIL FROM:<a@old.example>", "250")
        talk.expect("RCPT TO:<b@new.example>", "550 5.7.1")
        talk.expect("RSET", "250")
        talk.expect("XCLIENT ADDR=192.0.2.99 PORT=77 NAME=m.old.example HELO=m.old.example", "220")
        queue_id = talk.mail(site.rcpt("x"))
        assert "client=192.0.2.99 " in received(relay, queue_id) and f"via={BALANCER4}" in received(relay, queue_id)
        relay.wait_log("xclient", "client=192.0.2.99:77", "name=m.old.example")
        talk.expect("XCLIENT ADDR=203.0.113.250", "220")
        talk.expect("EHLO c.example", "250")
        talk.expect("MAIL FROM:<a@old.example>", "250")
        talk.expect("RCPT TO:<b@new.example>", "550 5.7.1")
    got = site.server6.wait(lambda: site.server6.taken(site.rcpt("x")) + site.server4.taken(site.rcpt("x")), 15, "mail")
    assert b"[192.0.2.99]" in got[0].header, got[0].header
    with contextlib.ExitStack() as stack:
        for n in (1, 2):
            talk = stack.enter_context(Talk(World.balancer))
            talk.expect(None, "220")
            talk.expect(f"XCLIENT ADDR=IPV6:2001:db8:9::{n}", "220")
        talk = stack.enter_context(Talk(World.balancer))
        talk.expect(None, "220")
        talk.expect("XCLIENT ADDR=IPV6:2001:db8:9::3", "421 4.7.0")
        assert talk.reply() == ""
        relay.wait_log("connection-refused", "2001:db8:9::3", "sessions_per_other")
    wait_until(lambda: counters(relay)["sessions_open"] == 0, 5, "the end of the sessions")
    with contextlib.ExitStack() as stack:  # all places were given back
        fill(stack, 2, lambda: Talk(World.stranger, RELAY6, source=STRANGERS6[0]))


def test_swaks_speaks_xclient_and_proxy(lab):
    relay, site = behind_balancers(lab, f"client {BALANCER4} {{ xclient = yes }}\n"), lab.site()
    common = ["swaks", "--server", RELAY4, "--from", "a@old.example", "--helo", "swaks.example", "--to"]
    for n, words in enumerate((["--port", "25", "--xclient-addr", "192.0.2.66", "--xclient-name", "m.example"],
                               ["--port", str(PROXIED), "--proxy-version", "1", "--proxy-family", "TCP4", "--proxy-source",
                                "192.0.2.66", "--proxy-source-port", "4000", "--proxy-dest", RELAY4, "--proxy-dest-port", "25"])):
        done = subprocess.run(World.balancer.command(*common, site.rcpt(f"s{n}"), *words), capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stdout + done.stderr
        relay.wait_log("received", "client=192.0.2.66 ", count=n + 1)


HAPROXY = """\
global
    stats socket {folder}/haproxy.sock mode 600
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend one
    bind {host}:2501
    default_backend one
backend one
    server relay {relay}:{port} send-proxy check check-send-proxy inter 100ms fastinter 100ms
frontend two
    bind {host}:2502
    default_backend two
backend two
    option smtpchk EHLO check.example
    server relay {relay}:{port} send-proxy-v2 proxy-v2-options crc32c,unique-id check check-send-proxy inter 100ms fastinter 100ms
"""


def test_behind_haproxy(lab):
    """The real balancer, both versions, with its health checks on: mail has the client's address, and the checks are not heard."""
    relay, site = behind_balancers(lab), lab.site()
    since = len(relay.lines)
    path = f"{relay.folder}/haproxy.cfg"
    with open(path, "w") as f:
        f.write(HAPROXY.format(folder=relay.folder, host=BALANCER4, relay=RELAY4, port=PROXIED))
    haproxy = subprocess.Popen(World.balancer.command("haproxy", "-db", "-f", path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: counters(relay)["sessions_accepted"] > 2 + 6, 20, "health checks")
        assert len(relay.lines) == since, relay.tail()
        for n, port in enumerate((2501, 2502)):
            with Client(lab.client, BALANCER4, port) as c:
                c.sendmail("a@old.example", [site.rcpt(f"h{n}")], content())
            relay.wait_log("received", "client=192.0.2.2 ", BALANCER4, count=n + 1)
    finally:
        haproxy.terminate()
        haproxy.wait(10)


def test_xforward_from_postfix(lab):
    """What Postfix forwards of its client stands in the log under our queue ID, and gives no rights."""
    filter4 = "192.0.2.90"
    relay = lab.relay(f"client {filter4} {{ xforward = yes }}\n")
    site = lab.site()
    postfix = lab.postfix("filter", v4=[filter4], relayhost=f"[{RELAY4}]", smtp_send_xforward_command="yes",
                          networks="192.0.2.0/24")
    postfix.wait()
    with Client(lab.client, filter4) as c:
        c.sendmail("a@old.example", [site.rcpt()], content())
    text = relay.wait_log(" origin ", "client=192.0.2.2", "helo=client.example", "proto=ESMTP", seconds=20)
    queue_id = re.search(r"id=(\w+)", text)[1]
    assert re.search(r"ident=\w+", text), text
    assert f"client={filter4} " in received(relay, queue_id)


def test_commands_that_do_nothing_are_bounded(lab):
    relay = lab.relay("limits { junk = 30 errors = 5 }\n")
    with Talk(lab.client) as talk:
        talk.expect(None, "220")
        talk.expect("EHLO c.example", "250")
        for word in ("NOOP", "RSET", "VRFY x"):
            for _ in range(9):
                talk.expect(word, "25")
        answers = [talk.ask("NOOP")[:3] for _ in range(6)]
        assert answers == ["250", "250", "503", "503", "503", "503"], answers
        talk.expect("RSET", "503")
        talk.expect(None, "421 4.7.0")
        assert talk.reply() == ""
    got = counters(relay)
    assert got["refused_junk"] == 5 and got["sessions_errors"] == 1, got


def trickle(talk, pieces, pause, seconds):
    """Sends piece after piece until the server has something to say; how long that took and what it said."""
    began = time.monotonic()
    talk.socket.settimeout(pause)
    said = b""
    for piece in pieces:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            talk.socket.sendall(piece)
        try:
            said = talk.socket.recv(4096)
            break
        except TimeoutError:
            pass
        except ConnectionResetError:
            break
        assert time.monotonic() - began < seconds, "the server has patience without end"
    return time.monotonic() - began, said


def test_slow_clients_are_bounded(lab):
    """A byte now and then keeps neither a command nor a message open for longer than their times."""
    relay = lab.relay("limits { command_time = 1s   data_time = 2s }\n")
    with Talk(lab.client) as talk:
        talk.expect(None, "220")
        took, said = trickle(talk, [b"N"] * 100, 0.2, 8)
        assert said.startswith(b"421 4.4.2") and took < 5, (took, said)
    with Talk(lab.client) as talk:
        talk.expect(None, "220")
        for command, code in (("EHLO c.example", "250"), ("MAIL FROM:<a@old.example>", "250"), ("RCPT TO:<b@new.example>", "250"),
                              ("DATA", "354")):
            talk.expect(command, code)
        took, said = trickle(talk, [b"x\r\n"] * 100, 0.2, 12)
        assert said.startswith(b"421 4.4.2") and took < 8, (took, said)
    with Talk(lab.client) as talk:
        talk.expect(None, "220")
        took, said = trickle(talk, [b""], 8, 12)
        assert said.startswith(b"421 4.4.2"), said
    got = counters(relay)
    assert (got["timeouts_command"], got["timeouts_data"]) == (2, 1), got


def test_two_thousand_sessions_a_second(lab):
    """2,000 sessions a second, none of them refused, and what a session costs leaves room for that on one processor."""
    count = 20000
    relay = lab.relay(program=release_binary())
    before = relay.cpu()
    done = subprocess.run(lab.client.command(f"{ROOT}/build/bench/sessions", RELAY4, "25", str(count), "100"), capture_output=True,
                          text=True, timeout=80)
    cost = (relay.cpu() - before) / count
    said = re.fullmatch(rf"{count} sessions, 0 refused, (\d+)/s\n", done.stdout)
    assert done.returncode == 0 and said, done
    rate = int(said[1])
    lab.fact(f"{rate} sessions a second, {cost * 1e6:.0f} us of processor each")
    assert rate >= 2000, f"{rate} sessions a second"
    assert cost < 1 / 2000, f"{cost * 1e6:.0f} us of processor a session"
    got = counters(relay)
    assert got["sessions_accepted"] >= count
    assert (got["sessions_refused_all"], got["sessions_refused_client"], got["early_talkers"]) == (0, 0, 0), got
