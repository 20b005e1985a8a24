"""tests/lab/receiving_test.py: what the daemon takes from clients by the extensions that it offers, and what comes out behind it."""
import threading

from client import Client, body_sha256, content, send
from lab import RELAY4, RELAY6
from relay import release_binary
from scripted import Script
from servers import wait_until

KEYWORDS = ("PIPELINING", "SIZE 104857600", "8BITMIME", "ENHANCEDSTATUSCODES")


def begin(client, sender, rcpts, *options):
    """EHLO, MAIL, RCPT; each must be taken."""
    client.ehlo()
    assert client.mail(sender, options)[0] == 250, options
    for rcpt in [rcpts] if isinstance(rcpts, str) else rcpts:
        code, words = client.rcpt(rcpt)
        assert code == 250, (rcpt, code, words)


def speak(host, data, address=RELAY4):
    """Sends bytes as they are, once greeted; all that is answered until the server closes."""
    with host.connect(address, 25, 20) as s:
        heard = s.recv(65536)
        s.sendall(data)
        while piece := s.recv(65536):
            heard += piece
        return heard


def both(site):
    return site.server4.taken() + site.server6.taken()


def test_chunks_arrive_as_they_were_said(lab):
    """Dots, ends of DATA and commands inside chunks are content; chunk borders leave no trace."""
    site = lab.site()
    lab.relay()
    message = content("chunks") + b".\r\n..\r\n.\r\nMAIL FROM:<evil@old.example>\r\nQUIT\r\n" + b"x" * 5000 + b"\r\n"
    with Client(lab.client, RELAY4) as c:
        begin(c, "a@old.example", site.rcpt())
        code, words = c.bdat(message[:7], b"", message[7:100], message[100:-1], message[-1:], b"")
        assert code == 250, words
    arrived = site.server6.wait_message(site.rcpt())
    assert arrived.sha256 == body_sha256(message)
    assert len(both(site)) == 1


def test_binary_arrives_bit_by_bit(lab):
    """BODY=BINARYMIME to a next hop that takes it."""
    site = lab.site(Script(KEYWORDS + ("CHUNKING", "BINARYMIME")))
    lab.relay()
    message = (b"Subject: binary\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n"
               + bytes(range(256)) * 40 + b"\n.\n\r.\r\0")
    lab.send(site.rcpt(), message, options=["BODY=BINARYMIME"])
    arrived = site.server6.wait_message(site.rcpt())
    assert arrived.sha256 == body_sha256(message)
    assert arrived.chunks and "BODY=BINARYMIME" in arrived.mail_parameters


def test_addresses_in_utf8(lab):
    """A next hop with SMTPUTF8 gets the message; one without gets nothing, and the sender a notice (RFC 6531 §3.2)."""
    able, unable = lab.site(Script(KEYWORDS + ("SMTPUTF8",))), lab.site()
    back = lab.site(Script(KEYWORDS + ("SMTPUTF8",)))
    lab.relay()
    send(lab.client, RELAY4, back.rcpt("sender"), [able.rcpt("δοκιμή"), unable.rcpt("δοκιμή")], content("utf8"),
         options=["SMTPUTF8", "BODY=8BITMIME"])
    arrived = able.server6.wait_message(able.rcpt("δοκιμή"))
    assert "SMTPUTF8" in arrived.mail_parameters
    assert "with UTF8SMTP" in arrived.header_field("Received")
    notice = back.server6.wait_message(back.rcpt("sender"))
    assert "δοκιμή" in notice.text() or "\\x{" in notice.text(), notice.text()
    assert "5.6.7" in notice.text(), notice.text()
    assert not both(unable)


def test_dsn_parameters_pass(lab):
    site = lab.site(Script(KEYWORDS + ("DSN",)))
    lab.relay()
    with Client(lab.client, RELAY4) as c:
        c.ehlo()
        assert c.mail("a@old.example", ["RET=HDRS", "ENVID=QQ+2B314159"])[0] == 250
        assert c.rcpt(site.rcpt(), ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;Bob+2BX@first.example"])[0] == 250
        assert c.data(content("dsn"))[0] == 250
    arrived = site.server6.wait_message(site.rcpt())
    assert {"RET=HDRS", "ENVID=QQ+2B314159"} <= set(arrived.mail_parameters.split()), arrived.mail_parameters
    rcpt = arrived.session.said("RCPT")[0]
    assert "NOTIFY=SUCCESS,DELAY" in rcpt and "ORCPT=rfc822;Bob+2BX@first.example" in rcpt, rcpt


def test_held_until_its_time(lab):
    """FUTURERELEASE, for a client with the right to it alone; and a time for delivery (DELIVERBY) goes on with it."""
    site = lab.site(Script(KEYWORDS + ("DELIVERBY",)))
    lab.relay("client 192.0.2.2/32 { future_release = yes   deliver_by = yes }\n")
    accepted = lab.send(site.rcpt(), options=["HOLDFOR=3", "BY=600;N"])
    arrived = site.server6.wait_message(site.rcpt())
    assert 2.9 <= arrived.at - accepted < 6, f"{arrived.at - accepted:.2f} s"
    by = [p for p in arrived.mail_parameters.split() if p.startswith("BY=")]
    assert by and by[0].endswith(";N") and 590 <= int(by[0][3:-2]) <= 598, arrived.mail_parameters
    with Client(lab.client, RELAY6) as c:  # not by this address
        c.ehlo()
        assert not c.has_extn("futurerelease") and not c.has_extn("deliverby")
        assert c.mail("a@old.example", ["HOLDFOR=3"])[0] == 555


def test_a_thousand_recipients_once_each(lab):
    """Each given twice: each is delivered once."""
    site = lab.site()
    relay = lab.relay()
    rcpts = [site.rcpt(f"r{n}") for n in range(1000)]
    with Client(lab.client, RELAY4) as c:
        c.ehlo()
        lines = "".join(f"RCPT TO:<{r}>\r\n" for r in rcpts + rcpts)
        c.send("MAIL FROM:<a@old.example>\r\n" + lines)
        assert {c.getreply()[0] for _ in range(2001)} == {250}
        assert c.rcpt(site.rcpt("further"))[0] == 452
        assert c.data(content("thousand"))[0] == 250
    wait_until(lambda: not relay.queued(), 30, "an empty queue")
    got = [r for m in both(site) for r in m.rcpts]
    assert sorted(got) == sorted(rcpts), (len(got), len(set(got)))


def test_bare_line_ends_by_client(lab):
    """Refused to all but the network of the old device, for which they are mended."""
    site = lab.site()
    lab.relay("client 192.0.2.2/32 { bare_newline = normalize }\n")
    words = b"Subject: old\n\nline one\nline two\r\n.\nstill\r\n.\r\n"
    talk = f"EHLO old\r\nMAIL FROM:<a@old.example>\r\nRCPT TO:<{site.rcpt()}>\r\n".encode()
    for address, code in ((RELAY4, b"250 2.0.0 Ok: queued"), (RELAY6, b"550 5.5.2 ")):
        with Client(lab.client, address) as c:
            c.send(talk)
            for _ in range(3):
                c.getreply()
            c.docmd("DATA")
            c.send(words)
            code_said, said = c.getreply()
            assert f"{code_said} ".encode() + said[:len(code) - 4] == code, said
    arrived = site.server6.wait_message(site.rcpt())
    assert arrived.raw.endswith(b"Subject: old\r\n\r\nline one\r\nline two\r\n.\r\nstill\r\n"), arrived.raw
    assert len(both(site)) == 1


def test_20_mib_in_chunks_in_flat_memory(lab):
    site = lab.site()
    relay = lab.relay(program=release_binary())
    lab.send(site.rcpt("first"))
    site.server6.wait_message(site.rcpt("first"))
    message = content("chunked", 20 << 20)
    before, peak, stop = relay.memory(), [], threading.Event()

    def watch():
        while not stop.wait(0.02):
            peak.append(relay.memory())
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with Client(lab.client, RELAY4) as c:
            begin(c, "a@old.example", site.rcpt())
            step = 300_007
            code, words = c.bdat(*(message[n:n + step] for n in range(0, len(message), step)))
            assert code == 250, words
        arrived = site.server6.wait_message(site.rcpt(), 60)
    finally:
        stop.set()
        watcher.join()
    assert arrived.sha256 == body_sha256(message)
    grown = (max(peak) - before) / (1 << 20)
    lab.fact(f"20 MiB in chunks: {grown:.1f} MiB more private memory (allowed 8)")
    assert grown < 8, f"{grown:.1f} MiB"


def test_who_does_not_speak_smtp(lab):
    """HTTP and TLS get one reply, and nothing behind it is obeyed."""
    site = lab.site()
    relay = lab.relay()
    evil = f"EHLO x\r\nMAIL FROM:<a@old.example>\r\nRCPT TO:<{site.rcpt()}>\r\nDATA\r\nx\r\n.\r\n".encode()
    http = b"POST / HTTP/1.1\r\nHost: relay.example\r\nContent-Length: 500\r\n\r\n"
    tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(32))
    for hello, words in ((http, b"421 4.7.0 relay.example: This is not an HTTP server\r\n"),
                         (tls, b"421 4.7.0 relay.example: This port does not begin with TLS\r\n")):
        heard = speak(lab.client, hello + evil)
        assert heard.endswith(words) and heard.count(b"\r\n") == 2, heard
    assert not relay.queued() and not both(site)
