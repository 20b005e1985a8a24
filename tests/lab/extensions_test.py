"""tests/lab/extensions_test.py: extensions of SMTP from the client before relay64 to the server behind it, and limits that
servers name or show."""
import hashlib
import random
import re
import time

from client import Client, body_sha256, content
from lab import RELAY4
from scripted import CLOSE, Script, Scripted, Wait
from servers import wait_until

ALL = ("PIPELINING", "SIZE 104857600", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", "BINARYMIME", "SMTPUTF8", "DSN")
OLD = ("PIPELINING", "SIZE 104857600", "8BITMIME")


def hand_in(lab, rcpts, message=None, sender="a@old.example", options=(), rcpt_options=()):
    """One message with parameters of MAIL and of each RCPT; binary content goes in one chunk."""
    with Client(lab.client, RELAY4) as c:
        c.command_encoding = "utf-8"
        c.ehlo()
        assert c.docmd(f"MAIL FROM:<{sender}>", " ".join(options))[0] == 250
        for rcpt in [rcpts] if isinstance(rcpts, str) else rcpts:
            code, words = c.docmd(f"RCPT TO:<{rcpt}>", " ".join(rcpt_options))
            assert code == 250, words
        message = message or content()
        if "BODY=BINARYMIME" in options:
            c.send(f"BDAT {len(message)} LAST\r\n".encode() + message)
            code, words = c.getreply()
        else:
            code, words = c.data(message)
        assert code == 250, words


def all_messages(site):
    return [m for server in (site.server6, site.server4) if server for m in server.messages]


def all_sessions(site):
    return [s for server in (site.server6, site.server4) if server for s in server.sessions]


def empty(relay, seconds=20):
    wait_until(lambda: not relay.queued(), seconds, "an empty queue")


def test_dsn_is_passed_on(lab):
    """What the client asks for goes to a server that offers DSN, with an ORCPT where it gave none."""
    site = lab.site(Script(ALL))
    relay = lab.relay()
    hand_in(lab, site.rcpt("one"), options=("RET=HDRS", "ENVID=QQ+2B14"), rcpt_options=("NOTIFY=SUCCESS,DELAY",))
    hand_in(lab, site.rcpt("two"), rcpt_options=("NOTIFY=NEVER", "ORCPT=rfc822;first@old.example"))
    hand_in(lab, site.rcpt("three"))
    m = site.server6.wait_message(site.rcpt("one"), 15)
    assert "RET=HDRS ENVID=QQ+2B14" in m.mail_parameters, m.mail_parameters
    assert m.rcpt_parameters[site.rcpt("one")] == f"NOTIFY=SUCCESS,DELAY ORCPT=rfc822;{site.rcpt('one')}", m.rcpt_parameters
    m = site.server6.wait_message(site.rcpt("two"), 15)
    assert m.rcpt_parameters[site.rcpt("two")] == "NOTIFY=NEVER ORCPT=rfc822;first@old.example", m.rcpt_parameters
    m = site.server6.wait_message(site.rcpt("three"), 15)
    assert m.rcpt_parameters[site.rcpt("three")] == "" and "ENVID" not in m.mail_parameters
    empty(relay)


def test_dsn_is_not_passed_to_a_server_without_it(lab):
    site = lab.site(Script(OLD))
    lab.relay()
    hand_in(lab, site.rcpt(), options=("RET=FULL", "ENVID=abc"), rcpt_options=("NOTIFY=FAILURE", "ORCPT=rfc822;b@old.example"))
    m = site.server6.wait_message(site.rcpt(), 15)
    assert m.rcpt_parameters[site.rcpt()] == "" and "RET" not in m.mail_parameters and "ENVID" not in m.mail_parameters


def test_binary_content_goes_in_chunks(lab):
    """BODY=BINARYMIME to a server that offers BINARYMIME and CHUNKING: every byte as it came, by BDAT."""
    site = lab.site(Script(ALL))
    relay = lab.relay()
    body = bytes(range(256)) * 10000 + b"\r\n.\r\n\n.\n\r.\rRSET\r\n"
    head = content().partition(b"\r\n\r\n")[0] + b"\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    hand_in(lab, site.rcpt(), head + body, options=("BODY=BINARYMIME",))
    m = site.server6.wait_message(site.rcpt(), 20)
    assert "BODY=BINARYMIME" in m.mail_parameters
    assert m.sha256 == hashlib.sha256(body).hexdigest()
    said = m.session.said("BDAT")
    assert said[-1] == "BDAT 0 LAST" and len(said) == 4, said
    assert not m.session.said("DATA") and not m.session.said("RSET")
    empty(relay)


def test_refused_chunk(lab):
    """5yz to the first of several chunks: a bounce, and the connection is good for the next message."""
    home = lab.site()
    site = lab.site(Script(ALL, bdat=["552 5.2.2 mailbox full", "250 2.0.0 ok"]))
    relay = lab.relay()
    message = content().partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + b"\n" * (3 << 20)
    hand_in(lab, site.rcpt(), message, sender=home.rcpt("sender"), options=("BODY=BINARYMIME",))
    text = home.server6.wait_message(home.rcpt("sender"), 20).text()
    assert "5.2.2" in text and "mailbox full" in text, text
    hand_in(lab, site.rcpt("next"))
    Scripted.wait(lambda: any(m.taken and site.rcpt("next") in m.rcpts for m in all_messages(site)), 15, "the next message")
    assert not any(site.rcpt() in m.rcpts for m in all_messages(site))
    empty(relay)


def test_lost_behind_the_last_chunk(lab):
    """As after a dot: nobody knows, so no second copy goes out at once."""
    site = lab.site(Script(ALL, dot=[CLOSE, "250 2.0.0 ok"]))
    relay = lab.relay("retry { first = 3s   max = 3s   greylist = 3s }\n")
    message = content().partition(b"\r\n\r\n")[0] + b"\r\n\r\n\x00\n"
    hand_in(lab, site.rcpt(), message, options=("BODY=BINARYMIME",))
    wait_until(lambda: relay.states("deferred"), 10, "the deferral")
    Scripted.wait(lambda: len(all_messages(site)) == 2, 15, "the second copy")
    first, second = sorted(m.at for m in all_messages(site))
    assert second - first > 1.5, "the second copy went out at once"
    empty(relay)


def test_rcptmax(lab):
    """LIMITS RCPTMAX: batches of that size over one connection, in one attempt."""
    site = lab.site(Script(ALL + ("LIMITS RCPTMAX=10",)))
    relay = lab.relay()
    rcpts = [site.rcpt(f"r{i}") for i in range(35)]
    hand_in(lab, rcpts)
    Scripted.wait(lambda: sum(len(m.rcpts) for m in all_messages(site)) >= 35, 20, "all recipients")
    empty(relay)
    assert sorted(len(m.rcpts) for m in all_messages(site)) == [5, 10, 10, 10]
    assert sorted(r for m in all_messages(site) for r in m.rcpts) == sorted(rcpts)
    assert len({id(m.session) for m in all_messages(site)}) == 1, "not over one connection"
    assert len(relay.find(" delivered ", "attempts=1")) == 35


def test_too_many_recipients(lab):
    """452 4.5.3 after 100 recipients: the others follow at once, each is delivered once; the next message goes in such batches."""
    def rcpt(session, _):
        return "452 4.5.3 too many recipients" if len(session.rcpts) >= 100 else "250 2.1.5 Ok"
    site = lab.site(Script(OLD, rcpt=rcpt))
    relay = lab.relay("retry { first = 1h }\n")
    rcpts = [site.rcpt(f"r{i}") for i in range(1000)]
    began = time.monotonic()
    hand_in(lab, rcpts)
    Scripted.wait(lambda: sum(len(m.rcpts) for m in all_messages(site)) >= 1000, 60, "all recipients")
    lab.fact(f"1,000 recipients in {len(all_messages(site))} transactions, {time.monotonic() - began:.2f} s")
    empty(relay)
    assert sorted(r for m in all_messages(site) for r in m.rcpts) == sorted(rcpts), "not each one once"
    assert len(relay.find(" delivered ", "attempts=1")) == 1000
    refused = sum(len(s.said("RCPT")) for s in all_sessions(site)) - 1000
    assert refused == 900, f"{refused} recipients were one too many"  # the first time; then the site is known
    hand_in(lab, rcpts[:250])
    Scripted.wait(lambda: sum(len(m.rcpts) for m in all_messages(site)) >= 1250, 30, "the second message")
    assert sum(len(s.said("RCPT")) for s in all_sessions(site)) == 1000 + 900 + 250
    empty(relay)


def test_mailmax(lab):
    """LIMITS MAILMAX: after so many messages the connection is closed with QUIT, and another one made."""
    site = lab.site(Script(ALL + ("LIMITS MAILMAX=2",)))
    relay = lab.relay()
    for i in range(5):
        lab.send(site.rcpt(f"r{i}"))
    Scripted.wait(lambda: len(all_messages(site)) == 5, 20, "five messages")
    empty(relay)
    for s in all_sessions(site):
        assert len(s.said("MAIL")) <= 2, s.commands
        assert len(s.said("MAIL")) < 2 or s.said("QUIT"), s.commands


def test_mailmax_and_rcptmax(lab):
    """Both: the rest of the recipients goes over the next connection, still at once."""
    site = lab.site(Script(ALL + ("LIMITS MAILMAX=1 RCPTMAX=2",)))
    relay = lab.relay("retry { first = 1h }\n")
    rcpts = [site.rcpt(f"r{i}") for i in range(7)]
    hand_in(lab, rcpts)
    Scripted.wait(lambda: sum(len(m.rcpts) for m in all_messages(site)) >= 7, 20, "all recipients")
    empty(relay)
    assert sorted(r for m in all_messages(site) for r in m.rcpts) == sorted(rcpts)
    assert all(len(s.said("MAIL")) <= 1 for s in all_sessions(site))


def test_smtputf8(lab):
    """A recipient with a UTF-8 local part: to a server with SMTPUTF8 with the parameter, to one without 553 5.6.7 from us, and
    that for this recipient alone."""
    home = lab.site()
    new, old = lab.site(Script(ALL)), lab.site(Script(OLD))
    relay = lab.relay()
    hand_in(lab, new.rcpt("δοκιμή"), options=("SMTPUTF8",))
    m = new.server6.wait_message(new.rcpt("δοκιμή"), 15)
    assert "SMTPUTF8" in m.mail_parameters.split()
    hand_in(lab, new.rcpt("plain"), options=("SMTPUTF8",))
    assert "SMTPUTF8" not in new.server6.wait_message(new.rcpt("plain"), 15).mail_parameters
    hand_in(lab, [old.rcpt("δοκιμή"), old.rcpt("plain")], sender=home.rcpt("sender"), options=("SMTPUTF8",))
    assert old.server6.wait_message(old.rcpt("plain"), 15).rcpts == [old.rcpt("plain")]
    text = home.server6.wait_message(home.rcpt("sender"), 15).text()
    assert "5.6.7" in text, text
    empty(relay)


def test_size_is_known_before_the_data(lab):
    """The server says SIZE 5000: a larger message bounces with 5.3.4 and is not even begun."""
    home = lab.site()
    site = lab.site(Script(("PIPELINING", "SIZE 5000", "8BITMIME")))
    relay = lab.relay()
    lab.send(site.rcpt(), content("large", 10000), sender=home.rcpt("sender"))
    text = home.server6.wait_message(home.rcpt("sender"), 15).text()
    assert "5.3.4" in text, text
    assert not any(s.said("MAIL") for s in all_sessions(site))
    empty(relay)


def test_helo_where_ehlo_is_unknown(lab):
    site = lab.site(Script(ehlo="502 5.5.1 what?"))
    relay = lab.relay()
    lab.send(site.rcpt())
    m = (Scripted.wait(lambda: all_messages(site), 15, "the message"))[0]
    assert m.session.said("HELO") and m.mail_parameters == ""
    empty(relay)


def test_too_many_connections(lab):
    """421 to the fourth connection at a time: half of them go, no more are made for a while, all mail arrives."""
    turned_away = []

    def greeting(session, _):
        live = sum(s.ended is None for s in session.server.sessions)
        if live <= 3:
            return "220 mx.example ESMTP"
        turned_away.append(time.monotonic())
        return "421 4.7.0 too many connections from your address"
    site = lab.site(Script(greeting=greeting, dot=Wait(0.1, "250 2.0.0 ok")), serve4=False)
    relay = lab.relay()
    for i in range(80):
        lab.send(site.rcpt(f"r{i}"))
    Scripted.wait(lambda: len(site.server6.taken()) == 80, 40, "all messages")
    lab.fact(f"{len(turned_away)} connections of {len(site.server6.sessions)} were turned away")
    assert 1 <= len(turned_away) <= 3
    empty(relay)


def test_greylisted_mail_comes_again_from_the_same_address(lab):
    """4yz over both families: the next attempt starts on the path that answered so first: same server address, same source."""
    asked = []

    def rcpt(session, _):
        asked.append((session.peer, session.local))
        return "250 2.1.5 Ok" if asked[-1] in asked[:-1] else "450 4.7.1 greylisted, come back later"
    site = lab.site(Script(rcpt=rcpt))
    relay = lab.relay("retry { first = 2s   max = 2s   greylist = 2s }\n")
    lab.send(site.rcpt())
    Scripted.wait(lambda: all_messages(site), 20, "the message")
    empty(relay)
    assert len(asked) == 3 and asked[0] != asked[1], asked
    assert asked[2] == asked[0], f"asked in this order: {asked}"


def test_any_content_in_chunks(lab):
    """chunking = always: lines go in chunks too, as they are; never: nothing does."""
    site = lab.site(Script(ALL))
    relay = lab.relay("chunking = always\n")
    message = content("in chunks", 3 << 20)
    lab.send(site.rcpt("one"), message)
    m = site.server6.wait_message(site.rcpt("one"), 20)
    assert m.sha256 == body_sha256(message)
    assert len(m.session.said("BDAT")) == 5 and not m.session.said("DATA"), m.session.said("BDAT")
    relay.stop()
    relay = lab.relay("chunking = never\n")
    lab.send(site.rcpt("two"))
    m = site.server6.wait_message(site.rcpt("two"), 20)
    assert m.session.said("DATA") and not m.session.said("BDAT")
    empty(relay)


def test_chunks_and_batches_to_postfix(lab):
    """A real server: Postfix takes chunks, and 50 recipients at a time; 180 get the mail once each."""
    postfix = lab.postfix("chunks", v4="192.0.2.77", domains=["chunks.example"], smtpd_recipient_limit="50")
    lab.dns.add("chunks.example. MX 10 mx.chunks.example.", "mx.chunks.example. A 192.0.2.77")
    postfix.wait()
    relay = lab.relay("chunking = always\nretry { first = 1h }\n")
    message = content("chunks for Postfix", 2 << 20)
    hand_in(lab, [f"r{i}@chunks.example" for i in range(180)], message)
    empty(relay, 40)
    assert len(relay.find(" delivered ", "attempts=1")) == 180
    relay.wait_log("site-recipients", "most=50")
    wait_until(lambda: len(postfix.mails()) == 180, 40, "180 mails")
    to = [re.search(rb"^Delivered-To: (\S+)", m, re.M)[1].decode() for m in postfix.mails()]
    assert sorted(to) == sorted(f"r{i}@chunks.example" for i in range(180)), "not each one once"
    assert body_sha256(postfix.mails()[0].replace(b"\n", b"\r\n")) == body_sha256(message), "the content has changed"


def test_what_comes_in_goes_out(lab):
    """Sixty messages of random bytes, lines and binary, from nothing to 400 KB (in the journal and in files of their own): behind
    our Received field each comes out as it went in."""
    site = lab.site(Script(ALL, rcpt="250 2.1.5 Ok"))
    relay = lab.relay()
    source = random.Random(64)
    sent = {}
    for i in range(60):
        binary = i % 2 == 1
        words = [b".", b"..", b"\r\n", b"\r\n.", b"\r\n.\r\n", b"\r\n\r\n", b"a", b"From ", b"\xc3\xa4", b" "]
        words += [b"\r", b"\n", b"\x00", b"\xff", b"\n.\n", b"\r.\r", b"\n.\r\n"] * binary
        body = b"".join(source.choices(words, k=source.choice((0, 1, 5, 300, 20000, 150000))))
        if not binary:
            lines = body.split(b"\r\n")
            body = b"\r\n".join(line[at:at + 900] for line in lines for at in range(0, max(1, len(line)), 900)) + b"\r\n"
        head = content(f"random {i}").partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        rcpt = site.rcpt(f"r{i}")
        sent[rcpt] = head + body
        hand_in(lab, rcpt, sent[rcpt], options=("BODY=BINARYMIME" if binary else "BODY=8BITMIME",))
    Scripted.wait(lambda: len(all_messages(site)) == 60, 40, "all messages")
    empty(relay)
    for m in all_messages(site):
        head, _, body = sent[m.rcpts[0]].partition(b"\r\n\r\n")
        assert m.sha256 == hashlib.sha256(body).hexdigest(), f"the body of {m.rcpts[0]} has changed"
        assert m.header.startswith(b"Received: ") and m.header.endswith(b"\r\n" + head + b"\r\n"), m.header
