"""tests/lab/interop_test.py: Postfix, Exim and OpenSMTPD, each with IPv4 alone and with IPv6 alone, before relay64 and behind it.

The three are set up by the very words of contrib/recipes.md. Content is compared byte for byte, but for the trace fields
that each server puts on top.
"""
import hashlib
import random
import re

from client import Client
from lab import RELAY4, RELAY6
from relay import ROOT
from scripted import Script
from servers import wait_until

TRACE = re.compile(rb"(?:(?:Received|Return-Path|Delivered-To|X-Original-To):[^\n]*\n(?:[ \t][^\n]*\n)*)+", re.I)
HEAD = ("From: <a@old.example>\r\nTo: <b@new.example>\r\nSubject: {0}\r\nMessage-ID: <{0}@lab.example>\r\n"
        "Date: Mon, 02 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\nContent-Disposition: inline\r\n\r\n")


def recipe(title):
    """The first block of the recipe of that name, as it is printed."""
    with open(f"{ROOT}/contrib/recipes.md") as f:
        chapter = f.read().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    block = re.search(r"(?:^    .*\n|^\n(?=    ))+", chapter, re.M)[0]
    return re.sub(r"^    ", "", block, flags=re.M)


def postfix_server(lab, name, domain, family, **at):
    settings = dict(re.findall(r"^(\w+) = (.*)$", recipe("Postfix"), re.M))
    assert settings.pop("inet_protocols") in ("ipv4", "ipv6")
    quick = {"minimal_backoff_time": "300s", "queue_run_delay": "300s", "disable_dns_lookups": "no"}
    refuse = {"smtpd_recipient_restrictions": "check_recipient_access regexp:{{/^no@/ REJECT no such person}}, permit"}
    return lab.postfix(name, domains=[domain], scope=lab.everything, inet_protocols=family, **settings, **quick, **refuse, **at)


def exim_server(lab, name, domain, family, **at):
    return lab.exim(name, domains=[domain], scope=lab.everything, routers=recipe("Exim"), **at)


def opensmtpd_server(lab, name, domain, family, **at):
    return lab.opensmtpd(name, domains=[domain], scope=lab.everything, more=recipe("OpenSMTPD"),
                         refuse=f'match from any for rcpt-to "no@{domain}" reject', **at)


KINDS = {"postfix": postfix_server, "exim": exim_server, "opensmtpd": opensmtpd_server}
SERVERS = {}  # name -> server; the name with ".example" is its domain


def setup(lab):
    """All six, started side by side."""
    for number, (kind, make) in enumerate(KINDS.items(), 30):
        for family, address in (("ipv4", {"v4": f"192.0.2.{number}"}), ("ipv6", {"v6": f"2001:db8:1::{number}"})):
            name = f"{kind}{family[-1]}"
            SERVERS[name] = make(lab, name, f"{name}.example", family, **address)
            lab.dns.add(f"{name}.example. MX 10 mx.{name}.example.",
                        f"mx.{name}.example. {'A' if 'v4' in address else 'AAAA'} {next(iter(address.values()))}")
    lab.dns.add(f"relay64.example. A {RELAY4}", f"relay64.example. AAAA {RELAY6}")
    for server in SERVERS.values():
        server.wait()


def bare(raw):
    """A message without the trace fields on top."""
    found = TRACE.match(raw)
    return raw[found.end():] if found else raw


def arrived(server, subject, seconds=20):
    """What came to a real server, once and no more, with CRLF."""
    mark = f"Subject: {subject}\n".encode()
    wait_until(lambda: any(mark in m for m in server.mails()), seconds, f"{subject} at {server.host.name}", 0.1)
    found = [m for m in server.mails() if mark in m]
    assert len(found) == 1, f"{subject} came {len(found)} times"
    return bare(found[0].replace(b"\n", b"\r\n"))


def same(got, sent, what):
    if got != sent:
        at = next((n for n, (a, b) in enumerate(zip(got, sent)) if a != b), min(len(got), len(sent)))
        around = slice(max(0, at - 40), at + 80)
        raise AssertionError(f"{what}: changed at byte {at} of {len(sent)} (now {len(got)}):\n{sent[around]!r}\n{got[around]!r}")


def eight_bit(subject):
    return HEAD.format(subject).encode() + "Grüße aus Köln: ä ö ü ß € ☃\r\n".encode() * 40


def long_lines(subject):
    return HEAD.format(subject).encode() + b"".join(bytes([33 + n]) * 998 + b"\r\n" for n in range(20))


def dots(subject):
    return HEAD.format(subject).encode() + b".\r\n..\r\n...\r\n.x\r\n\r\n.\r\nFrom the start\r\n\r\n"


CONTENTS = {"8-bit": eight_bit, "998": long_lines, "dots": dots}


def by_sendmail(server, rcpts, message):
    server.submit(f"a@{server.host.name}.example", rcpts, message)


def by_smtp(server, rcpts, message, mail=("BODY=8BITMIME",), rcpt=()):
    """From that machine itself, as a program there would, with these parameters."""
    with Client(server.host, "127.0.0.1" if server.host.v4 else "::1") as c:
        c.ehlo()
        for words in [c.mail(f"a@{server.host.name}.example", mail)] + [c.rcpt(r, rcpt) for r in rcpts] + [c.data(message)]:
            assert words[0] == 250, words


def test_each_before_relay64(lab):
    """Every kind of content, by the server's own sendmail and by SMTP, arrives unchanged and once; so do 100 recipients."""
    site = lab.site(Script())
    relay = lab.relay()
    sent = {}
    for name, server in SERVERS.items():
        for way in (by_sendmail, by_smtp):
            for kind, make in CONTENTS.items():
                rcpt = site.rcpt(f"{name}.{way.__name__}.{kind}")
                sent[rcpt] = make(f"{name}.{way.__name__}.{kind}")
                way(server, [rcpt], sent[rcpt])
        by_sendmail(server, [site.rcpt(f"{name}.r{n}") for n in range(100)], eight_bit(f"{name}.hundred"))
    for rcpt, message in sent.items():
        same(bare(site.server6.wait_message(rcpt, 20).raw), message, rcpt)
        assert len(site.server6.taken(rcpt)) == 1
    for name in SERVERS:
        for n in range(100):
            site.server6.wait_message(site.rcpt(f"{name}.r{n}"), 20)
            assert len(site.server6.taken(site.rcpt(f"{name}.r{n}"))) == 1
    wait_until(lambda: not relay.queued(), 5, "an empty queue")
    assert not site.server4.messages
    for name in ("exim4", "exim6"):
        assert re.search(r" => .* K ", SERVERS[name].log()), f"{name} did not use BDAT"


def test_dsn_passes_through_each(lab):
    """RET, ENVID, NOTIFY and ORCPT as a client gave them to the server before relay64 arrive at a next hop that has DSN."""
    site = lab.site(Script(keywords=("PIPELINING", "8BITMIME", "DSN")))
    lab.relay()
    for name, server in SERVERS.items():
        by_smtp(server, [site.rcpt(name)], dots(f"{name}.dsn"), ["RET=HDRS", "ENVID=id+2Bof+3D" + name],
                ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;first+2Bone@old.example"])
        if name.startswith("postfix"):
            server.sendmail("-i", "-f", f"a@{name}.example", "-N", "success,failure", "-R", "hdrs", "-V", f"by-sendmail-{name}",
                            site.rcpt(f"{name}.sendmail"), text=dots(f"{name}.dsn").replace(b"\r\n", b"\n"))
    for name in SERVERS:
        session = site.server6.wait_message(site.rcpt(name), 20).session
        mail, = (line for line in session.said("MAIL") if f"+3D{name}" in line)
        rcpt, = (line for line in session.said("RCPT") if f"<{site.rcpt(name)}>" in line)
        words = set(mail.upper().split()[2:]) | set(rcpt.upper().split()[2:])
        assert {"RET=HDRS", f"ENVID=ID+2BOF+3D{name.upper()}", "NOTIFY=SUCCESS,FAILURE"} <= words, (mail, rcpt)
        assert "orcpt=rfc822;first+2bone@old.example" in rcpt.lower(), rcpt
    for name in ("postfix4", "postfix6"):
        session = site.server6.wait_message(site.rcpt(f"{name}.sendmail"), 20).session
        mail, = (line for line in session.said("MAIL") if f"by-sendmail-{name}" in line)
        assert "RET=HDRS" in mail and "NOTIFY=SUCCESS,FAILURE" in " ".join(session.said("RCPT")).upper(), session.commands


def test_exim_as_debian_sets_it_up(lab):
    """The recipe's last line: the installer's "mail sent by smarthost" with the name of relay64's host."""
    with open(f"{ROOT}/contrib/recipes.md") as f:
        smarthost, = re.findall(r'"mail sent by smarthost[^"]*", `([\w.]+)`', f.read())
    site = lab.site(Script())
    lab.relay()
    server = lab.debian_exim("debian6", v6="2001:db8:1::40", smarthost=smarthost).wait()
    by_sendmail(server, [site.rcpt("x")], eight_bit("debian"))
    same(bare(site.server6.wait_message(site.rcpt("x"), 20).raw), eight_bit("debian"), "debian")
    wait_until(server.queue_empty, 10, "an empty queue")


def test_every_server_to_every_other(lab):
    """30 pairs: each of the six before relay64, each of the others behind it, whatever family they have."""
    relay = lab.relay()
    pairs = [(a, b) for a in SERVERS for b in SERVERS if a != b]
    for a, b in pairs:
        by_sendmail(SERVERS[a], [f"x@{b}.example"], eight_bit(f"{a}.to.{b}"))
    for a, b in pairs:
        same(arrived(SERVERS[b], f"{a}.to.{b}", 30), eight_bit(f"{a}.to.{b}"), f"{a} to {b}")
    wait_until(lambda: not relay.queued(), 5, "an empty queue")


def test_each_behind_relay64(lab):
    """Every kind of content arrives unchanged and once at each, by DATA and, where the server has CHUNKING, by BDAT."""
    for chunking in ("never", "always"):
        relay = lab.relay(f"chunking = {chunking}\n")
        for name in SERVERS:
            for kind, make in CONTENTS.items():
                lab.send([f"x@{name}.example"], make(f"{name}.{chunking}.{kind}"), options=["BODY=8BITMIME"])
        for name, server in SERVERS.items():
            for kind, make in CONTENTS.items():
                subject = f"{name}.{chunking}.{kind}"
                same(arrived(server, subject), make(subject), subject)
        relay.stop()
    for name, used in (("exim4", r" <= .* K "), ("exim6", r" <= .* K "), ("postfix4", r" bdat=[1-9]"), ("postfix6", r" bdat=[1-9]")):
        wait_until(lambda: re.search(used, SERVERS[name].log()), 10, f"{name} to have been sent chunks")


def test_each_refuses_one_of_three_recipients(lab):
    """The two others get the message, and the bounce names that one alone."""
    home = lab.site()
    relay = lab.relay()
    for name in SERVERS:
        lab.send([f"{r}@{name}.example" for r in ("one", "no", "two")], dots(f"{name}.partly"), sender=home.rcpt(name))
    for name, server in SERVERS.items():
        text = home.server6.wait_message(home.rcpt(name), 20).text()
        assert re.findall(r"^Final-Recipient: \S+ *(\S+)\r?$", text, re.M) == [f"no@{name}.example"], text
        mark = f"Subject: {name}.partly\n".encode()
        wait_until(lambda: sum(mark in m for m in server.mails()) >= 2, 10, f"both at {name}", 0.1)
        assert sum(mark in m for m in server.mails()) == 2, name
    wait_until(lambda: not relay.queued(), 5, "an empty queue")


def test_20_mib_to_each(lab):
    """Large messages to all six at once."""
    lab.relay()
    source = random.Random(20)
    block = b"".join(source.randbytes(30).hex().encode() + b"\r\n" for _ in range(20000))
    for name in SERVERS:
        lab.send([f"x@{name}.example"], HEAD.format(f"{name}.large").encode() + block * (20 * 2**20 // len(block) + 1))
    for name, server in SERVERS.items():
        got = arrived(server, f"{name}.large", 60)
        message = HEAD.format(f"{name}.large").encode() + block * (20 * 2**20 // len(block) + 1)
        assert hashlib.sha256(got).digest() == hashlib.sha256(message).digest(), f"changed at {name}"


test_20_mib_to_each.seconds = 180


def test_many_in_a_session(lab):
    """100 messages to each over few connections (pipelined where the server offers it): all arrive once, none elsewhere."""
    relay = lab.relay()
    for n in range(100):
        lab.send([f"x@{name}.example" for name in SERVERS], dots(f"many.{n}."))
    for name, server in SERVERS.items():
        wait_until(lambda: sum(b"Subject: many." in m for m in server.mails()) >= 100, 60, f"100 messages at {name}", 0.2)
        subjects = [re.search(rb"^Subject: (many\..*)$", m, re.M)[1] for m in server.mails() if b"Subject: many." in m]
        assert len(subjects) == len(set(subjects)) == 100, f"{name}: {len(subjects)}"
    wait_until(lambda: not relay.queued(), 10, "an empty queue")


test_many_in_a_session.seconds = 150


def test_each_queues_while_relay64_is_away_and_flushes(lab):
    """relay64 is down: mail waits at the servers before it, and comes once when they are told to try again.
    The last of this file: OpenSMTPD avoids for a while what has refused it."""
    site = lab.site(Script())
    relay = lab.relay(start=False)
    for name, server in SERVERS.items():
        by_sendmail(server, [site.rcpt(f"{name}.queued")], dots(f"{name}.queued"))
    for name, server in SERVERS.items():
        # OpenSMTPD may have kept a session open and hear from relay64 itself that it is closing
        wait_until(lambda: re.search("Connection refused|TempFail", server.log()), 10, f"{name} to meet no relay64")
        assert not server.queue_empty()
    relay.start([(RELAY4, 25), (RELAY6, 25)])
    for name, server in SERVERS.items():
        server.flush()
    for name, server in SERVERS.items():
        same(bare(site.server6.wait_message(site.rcpt(f"{name}.queued"), 30).raw), dots(f"{name}.queued"), name)
        wait_until(server.queue_empty, 10, f"{name}'s queue to be empty")
        assert len(site.server6.taken(site.rcpt(f"{name}.queued"))) == 1
