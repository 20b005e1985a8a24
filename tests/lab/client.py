"""tests/lab/client.py: messages to send and a client that hands them in from inside a host."""
import hashlib
import random
import smtplib
import time


class Client(smtplib.SMTP):
    """smtplib from inside a host of the lab."""

    def __init__(self, host, address, port=25, timeout=30):
        self.inside = host
        super().__init__(address, port, local_hostname="client.example", timeout=timeout)

    def _get_socket(self, host, port, timeout):
        return self.inside.connect(host, port, timeout)

    def data(self, message):
        """As smtplib's, many times faster for large messages: lines must end with CRLF already."""
        code, words = self.docmd("DATA")
        if code != 354:
            return code, words
        self.send((b"." if message.startswith(b".") else b"") + message.replace(b"\r\n.", b"\r\n.."))
        self.send(b".\r\n" if message.endswith(b"\r\n") else b"\r\n.\r\n")
        return self.getreply()

    def bdat(self, *chunks):
        """RFC 3030: each chunk as it is, the last one with LAST; the reply to that, or the first refusal."""
        for n, chunk in enumerate(chunks, 1):
            self.send(f"BDAT {len(chunk)}{' LAST' if n == len(chunks) else ''}\r\n".encode() + chunk)
            code, words = self.getreply()
            if code != 250:
                break
        return code, words


def content(subject="a message", size=0, seed=None, extra=""):
    """A message of about `size` bytes: header, then lines of text that only its seed decides; some begin with dots."""
    head = (f"From: <a@old.example>\r\nTo: <b@new.example>\r\nSubject: {subject}\r\n"
            f"Message-ID: <{seed or subject.replace(' ', '.')}@client.example>\r\n{extra}\r\n").encode()
    if not size:
        return head + f"{subject}\r\n.\r\n..two dots\r\n".encode()
    source = random.Random(seed or subject)
    block = b"".join((b"." * source.choice((0, 0, 0, 1, 2))) + source.randbytes(36).hex().encode() + b"\r\n"
                     for _ in range(1024))
    body = block * (size // len(block) + 1)
    return head + body[:size].rstrip(b"\r\n") + b"\r\n"  # a CRLF may have been cut in two


def body_sha256(message):
    """What stands behind the header, as Message.sha256 of scripted.py counts it."""
    return hashlib.sha256(message.partition(b"\r\n\r\n")[2]).hexdigest()


def send(host, address, sender, rcpts, message=None, port=25, options=()):
    """One message; returns (time of the 250, the words of the 250)."""
    rcpts = [rcpts] if isinstance(rcpts, str) else rcpts
    with Client(host, address, port) as c:
        c.ehlo()
        code, words = c.mail(sender, options)
        if code != 250:
            raise smtplib.SMTPSenderRefused(code, words, sender)
        for rcpt in rcpts:
            code, words = c.rcpt(rcpt)
            if code not in (250, 251):
                raise smtplib.SMTPRecipientsRefused({rcpt: (code, words)})
        message = message or content()
        code, words = c.bdat(message) if "BODY=BINARYMIME" in options else c.data(message)
        at = time.monotonic()
        if code != 250:
            raise smtplib.SMTPDataError(code, words)
        return at, words.decode()
