"""tests/lab/conversion_test.py: content for servers that take less than what it is, judged by Python's email package."""
import email
import email.policy

from lab import RELAY4
from scripted import Script

SEVEN = ("PIPELINING", "SIZE 100000000")
EIGHT = SEVEN + ("8BITMIME",)
UMLAUTS = "Grüße, zwei Pünktchen = zwei Punkte \r\n.\r\n..\r\nFrom hier\tbis da \r\n".encode()
PICTURE = bytes(range(256)) * 40

NESTED = (b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\nContent-Type: multipart/mixed; boundary=\"out er\"\r\n\r\n"
          b"preamble\r\n--out er\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n--in\r\n"
          b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + UMLAUTS +
          b"\r\n--in\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\n<p>\xfc</p>\r\n--in--\r\n--out er\r\n"
          b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\nMIME-Version: 1.0\r\n"
          b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + UMLAUTS +
          b"\r\n--out er\r\nContent-Type: text/plain\r\n\r\nplain\r\n--out er--\r\nepilogue\r\n")


def parts(raw):
    """(type, decoded bytes) of each leaf."""
    return [(p.get_content_type(), p.get_payload(decode=True)) for p in email.message_from_bytes(raw, policy=email.policy.SMTP).walk()
            if not p.is_multipart()]


def raw_of(message):
    return message.header + bytes(message.kept)


def arrive(lab, script, body, chunks=None, **options):
    site = lab.site(script)
    relay = lab.relay()
    message = b"From: a@x.example\r\nSubject: conversion\r\n" + body
    if chunks is None:
        lab.send(site.rcpt(), message, **options)
    else:
        send_binary(lab, site.rcpt(), message)
    arrived = site.server6.wait_message(site.rcpt(), 15)
    raw = raw_of(arrived)
    at = raw.index(b"From: a@x.example")
    return relay, arrived, message, raw[at:]


def send_binary(lab, rcpt, message):
    """By BDAT, in two chunks."""
    with lab.client.connect(RELAY4) as s:
        f = s.makefile("rwb")

        def say(text, code):
            if text is not None:
                f.write(text)
                f.flush()
            while True:
                line = f.readline()
                assert line[:3] == code, line
                if line[3:4] != b"-":
                    return
        say(None, b"220")
        say(b"EHLO client.example\r\n", b"250")
        say(b"MAIL FROM:<a@x.example> BODY=BINARYMIME\r\n", b"250")
        say(b"RCPT TO:<" + rcpt.encode() + b">\r\n", b"250")
        half = len(message) // 2
        say(b"BDAT %d\r\n" % half + message[:half], b"250")
        say(b"BDAT %d LAST\r\n" % (len(message) - half) + message[half:], b"250")
        say(b"QUIT\r\n", b"221")


def test_nested_parts_for_a_seven_bit_server(lab):
    relay, arrived, message, raw = arrive(lab, Script(keywords=SEVEN), NESTED, options=["BODY=8BITMIME"])
    assert max(raw) < 128, "8-bit bytes were sent to a 7-bit server"
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert parts(raw) == parts(message), raw
    assert "BODY" not in arrived.mail_parameters.upper()
    relay.wait_log("converted", "target=7bit", "parts=3")


def test_text_without_mime_gets_a_label(lab):
    _, _, _, raw = arrive(lab, Script(keywords=SEVEN), b"\r\n" + UMLAUTS)
    parsed = email.message_from_bytes(raw, policy=email.policy.SMTP)
    assert parsed["MIME-Version"] == "1.0" and parsed.get_content_charset() == "unknown-8bit", raw
    assert parsed.get_payload(decode=True) == UMLAUTS


def test_broken_signature_is_named(lab):
    relay, _, _, _ = arrive(lab, Script(keywords=SEVEN), b"DKIM-Signature: v=1; a=rsa-sha256; b=x\r\n\r\n" + UMLAUTS)
    relay.wait_log("converted", "signature=broken")


def test_large_attachment_from_the_spool(lab):
    """Larger than what is kept in memory: it is read twice from its file."""
    site = lab.site(Script(keywords=SEVEN))
    relay = lab.relay()
    picture = PICTURE * 200
    message = (b"Subject: large\r\nMIME-Version: 1.0\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
               picture.replace(b"\r", b"r").replace(b"\n", b"\r\n").replace(b"\0", b"0"))
    lab.send(site.rcpt(), message, options=["BODY=8BITMIME"])
    arrived = site.server6.wait_message(site.rcpt(), 30)
    size = int(relay.wait_log("converted", "target=7bit").split("size=")[1].split()[0])
    assert arrived.size == size, (arrived.size, size)
    assert f"SIZE={size}" in arrived.mail_parameters.upper(), arrived.mail_parameters


def test_binary_content_for_an_eight_bit_server(lab):
    body = (b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/png\r\n"
            b"Content-Transfer-Encoding: binary\r\n\r\n" + PICTURE + b"\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"Content-Transfer-Encoding: 8bit\r\n\r\n" + UMLAUTS + b"\r\n--b--\r\n")
    relay, arrived, message, raw = arrive(lab, Script(keywords=EIGHT), body, chunks=True)
    assert b"\xc3\xbc" in raw, "what could pass as it is was changed"
    assert parts(raw) == parts(message)
    assert "BINARYMIME" not in arrived.mail_parameters.upper()
    relay.wait_log("converted", "target=8bit", "parts=1")


def test_what_mime_forbids_bounces(lab):
    home = lab.site()
    site = lab.site(Script(keywords=SEVEN))
    lab.relay()
    message = "Subject: Grüße\r\n\r\nx\r\n".encode()
    lab.send(site.rcpt(), message, sender=home.rcpt("sender"), options=["BODY=8BITMIME"])
    text = home.server6.wait_message(home.rcpt("sender"), 15).text()
    assert "Status: 5.6.3" in text and "a header holds 8-bit characters" in text.replace("\r\n ", " "), text
    assert not site.server6.messages and not site.server4.messages, "8-bit bytes were sent raw"


def test_converted_size_counts(lab):
    """1,000 bytes of 8-bit text pass 1,500, but not in the form that the server takes."""
    home = lab.site()
    site = lab.site(Script(keywords=("PIPELINING", "SIZE 1700")))
    lab.relay()
    lab.send(site.rcpt(), b"Subject: x\r\n\r\n" + b"\xe4 b\r\n" * 250, sender=home.rcpt("sender"), options=["BODY=8BITMIME"])
    text = home.server6.wait_message(home.rcpt("sender"), 15).text()
    assert "Status: 5.3.4" in text, text
