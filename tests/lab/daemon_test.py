"""tests/lab/daemon_test.py: start, restart, reload and end of the daemon; who may relay; clients that go wrong."""
import os
import signal
import smtplib
import subprocess

from client import Client, body_sha256, content
from lab import RELAY4, RELAY6
from relay import binary, environment
from scripted import Script, Wait
from servers import wait_until


def test_restart_with_mail_in_the_queue(lab):
    script = Script(rcpt="450 4.2.1 not yet")
    site = lab.site(script)
    relay = lab.relay("retry { first = 2s   max = 2s   greylist = 2s }\n")
    small, large = content("small"), content("large", 1 << 20)
    lab.send(site.rcpt("small"), small)
    lab.send(site.rcpt("large"), large)
    wait_until(lambda: relay.states("deferred") == 2, 15, "two deferred messages")
    before = relay.ids()
    relay.stop()
    script.answers["rcpt"] = "250 2.1.5 Ok"
    relay.start([(RELAY4, 25)])
    assert set(relay.ids()) <= set(before)
    for name, message in (("small", small), ("large", large)):
        rcpt = site.rcpt(name)
        got = site.server6.wait(lambda: site.server6.taken(rcpt) + site.server4.taken(rcpt), 15, rcpt)
        assert len(got) == 1 and got[0].sha256 == body_sha256(message)
    wait_until(lambda: not relay.queued(), 5, "an empty queue")


def test_kill_and_restart_keeps_what_was_acknowledged(lab):
    site = lab.site(Script(rcpt="450 4.2.1 not yet"))
    relay = lab.relay("retry { first = 1h   greylist = 1h }\n")
    for n in range(10):
        lab.send(site.rcpt(f"m{n}"), content(f"m{n}", 400000 if n % 3 == 0 else 0))
    relay.kill()
    relay.start([(RELAY4, 25)])
    assert len(relay.queued()) == 10


def run(relay, *words):
    return subprocess.run([binary(), *words], capture_output=True, text=True, timeout=20, env=environment())


def test_configuration_errors_are_all_named(lab):
    relay = lab.relay(start=False)
    for words in (["-t", "-f"], ["-f"]):
        good = run(relay, "-t", "-f", relay.file)
        assert good.returncode == 0, good
        relay.configure("listen 0.0.0.0:25 { }\nretry { frist = 5m }\nlimits { size = much }\nrotue * { }\n")
        bad = run(relay, *words, relay.file)
        assert bad.returncode == 78, bad
        for word in (f"{relay.file}:5:9:", f"{relay.file}:6:17:", f"{relay.file}:7:1:", "first", "route"):
            assert word in bad.stderr, f"{word!r} is not in:\n{bad.stderr}"
        relay.configure("listen 0.0.0.0:25 { }\n")
    missing = run(relay, "-f", f"{relay.folder}/none.conf")
    assert missing.returncode == 78 and "none.conf" in missing.stderr, missing


def test_open_relay_is_refused(lab):
    relay = lab.relay(start=False)
    for clients in ("0.0.0.0/0", "::/0", "10.0.0.0/8, 0.0.0.0/1, 128.0.0.0/1", "::ffff:0.0.0.0/96", "2000::/3"):
        relay.configure(f"clients = {clients}\n")
        done = run(relay, "-t", "-f", relay.file)
        assert done.returncode == 78, (clients, done)
    relay.configure("clients = 0.0.0.0/0\nopen_relay = i-know-that-everybody-may-relay\n")
    assert run(relay, "-t", "-f", relay.file).returncode == 0


def test_second_daemon_on_the_same_spool(lab):
    relay = lab.relay()
    with open(relay.file) as f:
        text = f.read().replace("control.sock", "other.sock").replace(":25 {", ":2525 {")
    with open(f"{relay.folder}/second.conf", "w") as f:
        f.write(text)
    done = subprocess.run(lab.relay_host.command(binary(), "-f", f"{relay.folder}/second.conf"), capture_output=True, text=True,
                          timeout=20, env=environment())
    assert done.returncode == 75 and str(relay.pid) in done.stderr, done


def test_port_that_is_taken_is_named(lab):
    relay = lab.relay(start=False)
    taken = lab.relay_host.listener("198.51.100.64", 25)
    with taken:
        done = subprocess.run(lab.relay_host.command(binary(), "-f", relay.file), capture_output=True, text=True, timeout=20,
                              env=environment())
    assert done.returncode == 69 and "0.0.0.0:25" in done.stderr and "Sanitizer" not in done.stderr, done


def test_version(lab):
    done = run(None, "-V")
    assert done.returncode == 0 and "relay64" in done.stdout, done


def test_reload_applies_clients_and_keeps_what_is_bad_out(lab):
    relay = lab.relay()
    site = lab.site()
    lab.send(site.rcpt("one"))
    with open(relay.file) as f:
        text = f.read()
    with open(relay.file, "w") as f:
        f.write(text.replace("192.0.2.0/24", "192.0.2.128/25"))
    since = len(relay.lines)
    relay.signal(signal.SIGHUP)

    def refused():
        try:
            lab.send(site.rcpt("two"))
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused):
            return True
    wait_until(refused, 10, "the new `clients`")
    lab.send(site.rcpt("three"), address=RELAY6)
    with open(relay.file, "w") as f:
        f.write(text + "nonsense = 1\n")
    relay.signal(signal.SIGHUP)
    relay.wait_log("nonsense", seconds=10, since=since)
    lab.send(site.rcpt("four"), address=RELAY6)
    with open(relay.file, "w") as f:
        f.write(text.replace("/spool", "/spool2"))
    since = len(relay.lines)
    relay.signal(signal.SIGHUP)
    relay.wait_log("spool", "restart", seconds=10, since=since)


def test_many_reloads_at_once(lab):
    """HUP after HUP while mail flows; then TERM after TERM."""
    site = lab.site()
    relay = lab.relay("limits { connection_messages = 1 }\n")
    for n in range(40):
        relay.signal(signal.SIGHUP)
        if n % 4 == 0:
            lab.send(site.rcpt(f"m{n}"))
    for n in range(0, 40, 4):
        site.server6.wait_message(site.rcpt(f"m{n}"))
    for _ in range(4):
        relay.signal(signal.SIGTERM)
    relay.stop()


def test_term_during_data_lets_it_end(lab):
    site = lab.site(Script(rcpt="450 4.2.1 later"))
    relay = lab.relay("retry { first = 1h   greylist = 1h }\n")
    with Client(lab.client, RELAY4) as c, Client(lab.client, RELAY4) as idle:
        c.ehlo()
        c.mail("a@old.example")
        c.rcpt(site.rcpt())
        assert c.docmd("DATA")[0] == 354
        c.send(b"Subject: slow\r\n\r\nfirst half\r\n")
        idle.ehlo()
        relay.signal(signal.SIGTERM)
        code, words = idle.getreply()
        assert code == 421, (code, words)
        c.send(b"second half\r\n.\r\n")
        code, words = c.getreply()
        assert code == 250, (code, words)
        idle.close()
        c.close()
    assert relay.process.wait(15) == 0
    relay.start([(RELAY4, 25)])
    assert len(relay.queued()) == 1


def test_term_with_a_delivery_under_way(lab):
    """The delivery may end within `drain`."""
    site = lab.site(Script(dot=Wait(2, "250 2.0.0 taken")))
    relay = lab.relay()
    lab.send(site.rcpt())
    site.server6.wait(lambda: site.server6.messages, 10, "the message")
    took = relay.stop()
    assert 1 < took < 10, f"{took:.1f} s"
    relay.start([(RELAY4, 25)])
    assert not relay.queued(), "delivered, and queued still"
    assert len(site.server6.messages) == 1


def test_term_when_idle_is_quick(lab):
    site = lab.site()
    relay = lab.relay()
    lab.send(site.rcpt())
    site.server6.wait_message()
    with lab.client.connect(RELAY4):
        took = relay.stop()
    lab.fact(f"TERM with an idle client: {took:.2f} s")
    assert took < 5


def test_stranger_may_not_relay(lab):
    stranger = lab.net.host(f"stranger{lab.number()}", "203.0.113.254", "2001:db8:3::99:1")
    site = lab.site()
    relay = lab.relay()
    for address in (RELAY4, RELAY6):
        with Client(stranger, address) as c:
            c.ehlo()
            c.mail("x@stranger.example")
            code, words = c.rcpt(site.rcpt())
            assert code == 550 and words.startswith(b"5.7.1"), (code, words)
            assert c.docmd("DATA")[0] in (503, 554)
    assert not relay.queued()


def test_client_that_vanishes_inside_data_leaves_nothing(lab):
    site = lab.site()
    relay = lab.relay()
    for size in (100, 200000, 2 << 20):
        with lab.client.connect(RELAY4) as s, s.makefile("rwb") as f:
            f.readline()
            f.write(b"EHLO c\r\n")
            f.flush()
            while f.readline()[3:4] == b"-":
                pass
            f.write(b"MAIL FROM:<a@old.example>\r\nRCPT TO:<%s>\r\nDATA\r\n" % site.rcpt().encode())
            f.flush()
            assert [f.readline()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
            f.write(b"Subject: half\r\n\r\n" + b"x" * 70 + b"\r\n")
            f.write((b"y" * 76 + b"\r\n") * (size // 78))
            f.flush()

    def bodies():
        return [n for _, _, names in os.walk(f"{relay.folder}/spool/body") for n in names]
    wait_until(lambda: not bodies(), 10, "the body file's removal")
    assert not relay.queued() and not site.server6.messages
    lab.send(site.rcpt("after"))
    site.server6.wait_message(site.rcpt("after"))


def test_bare_line_feeds_do_not_end_a_message(lab):
    """SMTP smuggling: LF.LF, LF.CRLF, CRLF.LF and CR.CR are content or refused, never the end."""
    site = lab.site()
    relay = lab.relay()
    for smuggle in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r"):
        with Client(lab.client, RELAY4) as c:
            c.ehlo()
            c.mail("a@old.example")
            c.rcpt(site.rcpt())
            c.docmd("DATA")
            c.send(b"Subject: outer\r\n\r\nhello" + smuggle
                   + b"MAIL FROM:<evil@old.example>\r\nRCPT TO:<b@evil.example>\r\nDATA\r\nSubject: inner\r\n\r\nx\r\n.\r\n")
            code, _ = c.getreply()
            c.close()
        assert code in (250, 550, 554, 500, 521, 451), code
    wait_until(lambda: not relay.queued(), 10, "an empty queue")
    assert all(m.sender == "a@old.example" for m in site.server6.messages), "a message was smuggled in"


def test_limits_are_answered(lab):
    site = lab.site()
    lab.relay("limits { size = 64K   recipients = 3   errors = 5   line = 1K }\n")
    with Client(lab.client, RELAY4) as c:
        c.ehlo()
        assert c.esmtp_features["size"] == "65536", c.esmtp_features
        assert c.mail("a@old.example", ["SIZE=70000"])[0] == 552
        assert c.mail("a@old.example")[0] == 250
        for n in range(3):
            assert c.rcpt(site.rcpt(f"r{n}"))[0] == 250
        assert c.rcpt(site.rcpt("r3"))[0] in (452, 552)
        assert c.data(content("big", 100000))[0] == 552
        assert c.docmd("NOOP", "x" * 3000)[0] == 500
        codes = [c.docmd("NONSENSE")[0] for _ in range(3)]
        assert set(codes) <= {500, 421}, codes


def test_a_thousand_idle_sessions(lab):
    """Idle sessions of a client are held, cost little, and another client is served meanwhile."""
    site = lab.site()
    relay = lab.relay("limits { sessions_per_client = 1500 }\n")
    sockets = []
    try:
        for _ in range(1000):
            s = lab.client.connect(RELAY4)
            sockets.append(s)
        for s in sockets:
            assert s.recv(200).startswith(b"220")
        began = lab.send(site.rcpt(), address=RELAY6)
        took = site.server6.wait_message().at - began
        lab.fact(f"beside 1000 idle sessions a message took {took:.3f} s")
    finally:
        for s in sockets:
            s.close()
    relay.relayq("status")


def test_spool_is_private(lab):
    site = lab.site(Script(rcpt="450 4.2.1 later"))
    relay = lab.relay("retry { first = 1h   greylist = 1h }\n")
    lab.send(site.rcpt(), content("secret", 1 << 20))
    for folder, _, names in os.walk(f"{relay.folder}/spool"):
        assert os.stat(folder).st_mode & 0o077 == 0, folder
        for name in names:
            assert os.stat(f"{folder}/{name}").st_mode & 0o077 == 0, f"{folder}/{name}"
    assert os.stat(relay.control).st_mode & 0o007 == 0


def test_log_has_a_line_for_each_delivery(lab):
    site = lab.site()
    relay = lab.relay()
    lab.send(site.rcpt())
    line = relay.wait_log(site.rcpt(), "250")
    for word in ("a@old.example", site.mx, site.v6, "taken"):
        assert word in line, f"{word} is not in: {line}"
