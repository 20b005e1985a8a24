"""tests/lab/property_test.py: whatever message goes in comes out again, byte for byte, behind one Received field.

Generated messages go in by DATA and BDAT in pieces of any size, are stored, survive a restart, and go out by DATA and BDAT.
LAB_SEED=N makes other ones; the seed stands in the test's line.
"""
import os
import random
import re

from client import Client
from lab import RELAY4, RELAY6
from scripted import Script, Scripted
from servers import wait_until

INLINE = 4096  # storage { inline_limit }: larger ones get files
# sizes at which something changes hands: the limit above, pieces of 64 KiB from and to sockets and disk
BORDERS = (0, 1, 2, INLINE, 8192, 65536, 131072, 262144)
COUNT = 240
RECEIVED = re.compile(rb"Received: from [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")


class Generator:
    """Messages from a seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def line(self, most=998):
        r = self.random
        kind = r.randrange(8)
        if kind == 0:
            return b"." * r.randrange(1, 5)
        if kind == 1:
            return b"." + self.octets(r.randrange(60))
        if kind == 2:
            return b""
        if kind == 3:
            return self.octets(most)  # the longest
        if kind == 4:
            return r.choice((b"DATA", b"QUIT", b"BDAT 5 LAST", b"MAIL FROM:<x@y>", b"From here", b"--", b" folded",
                             b"\tfolded", b"Received: x"))
        return self.octets(r.randrange(100))

    def octets(self, n):
        """Any octet but CR and LF."""
        return bytes(b if b not in b"\r\n" else 46 for b in self.random.randbytes(n))

    def header(self):
        r = self.random
        fields = [b"Subject: a message", b"From: <a@old.example>", b"X-Empty:", b"X-8bit: \xc3\xa4\xff",
                  b"X-Folded: one\r\n two\r\n\tthree",
                  b"X-Long: " + b"l" * 990, b"x-odd :blank before the colon", b"no colon at all",
                  b"Received: from elsewhere by nowhere; never",
                  b"Subject: a second one", b"Bcc: c@new.example", b"Return-Path: <d@old.example>", b":no name",
                  b"DKIM-Signature: v=1; b=" + b"A" * 300]
        return b"".join(f + b"\r\n" for f in r.sample(fields, r.randrange(len(fields))))

    def text(self):
        """A message of whole lines."""
        r = self.random
        shape = r.randrange(10)
        if shape == 0:
            return r.choice((b"", b"\r\n", b"\r\n\r\n", b".\r\n", b"..\r\n", b"x\r\n", b".\r\n.\r\n"))
        size = max(0, r.choice(BORDERS) + r.randrange(-3, 4)) if shape < 8 else r.randrange(20000)
        if shape == 1:
            return b"\r\n" * (size // 2)
        if shape == 2:
            return b".\r\n" * (size // 3)
        if shape == 3:
            return b"Subject: one line\r\n\r\n" + self.octets(size) + b"\r\n"
        whole = bytearray(self.header() + b"\r\n" * (shape != 4))
        while len(whole) < size:
            whole += self.line() + b"\r\n"
        whole = bytes(whole)
        if shape in (5, 6) and len(whole) > size >= 2:  # exactly at the border
            whole = whole[:size - 2].replace(b"\r", b".").replace(b"\n", b".") if shape == 5 else whole[:size - 2].rstrip(b"\r\n")
            whole += b"\r\n"
        return whole

    def binary(self):
        """Any octets: NULs, CR and LF alone, no line at the end."""
        r = self.random
        size = max(0, r.choice(BORDERS) + r.randrange(-3, 4))
        body = r.choice((r.randbytes(size), b"\r" * size, b"\n" * size, b"\0" * size, b"\r\n.\r\n"))
        return self.header() + b"\r\n" * r.randrange(2) + body

    def pieces(self, data):
        """Cuts at random, often small, at most 40."""
        cuts = sorted(self.random.randrange(len(data) + 1) for _ in range(self.random.randrange(40)))
        if len(data) > 3 and self.random.randrange(2):
            end = data.rfind(b"\r\n", 0, -2)
            cuts = sorted(cuts + [end + 1] * (end >= 0))  # between CR and LF
        return [data[a:b] for a, b in zip([0] + cuts, cuts + [len(data)])]


class Item:
    def __init__(self, n, generator):
        r = generator.random
        self.number, self.binary = n, n % 4 == 3
        self.chunked = self.binary or n % 4 == 2
        self.content = generator.binary() if self.binary else generator.text()
        if self.chunked and not self.binary and r.randrange(2):
            self.content = self.content.rstrip(b"\r\n")  # no CRLF at the end
        self.pieces = generator.pieces(self.content)

    def send(self, lab, rcpt):
        with Client(lab.client, (RELAY4, RELAY6)[self.number % 2]) as c:
            c.ehlo()
            assert c.mail(f"m{self.number}@old.example", [f"BODY={'BINARYMIME' if self.binary else '8BITMIME'}"])[0] == 250
            assert c.rcpt(rcpt)[0] == 250
            code, words = c.bdat(*self.pieces) if self.chunked else self.data(c)
            assert code == 250, (self.number, code, words)

    def data(self, c):
        assert c.docmd("DATA")[0] == 354
        # stuffed as a whole, then cut: what lies between two pieces is any two bytes
        stuffed = (b"\r\n" + self.content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
        cuts = sorted(min(len(stuffed), sum(map(len, self.pieces[:n]))) for n in range(len(self.pieces)))
        for a, b in zip([0] + cuts, cuts + [len(stuffed)]):
            if a < b:
                c.send(stuffed[a:b])
        return c.getreply()

    def expected(self):
        """Text must end in CRLF where the final dot ends it, RFC 5321 §4.1.1.4; an empty message may stay as it is."""
        return self.content if self.binary or self.content.endswith(b"\r\n") or not self.content else self.content + b"\r\n"


def test_what_goes_in_comes_out(lab):
    seed = int(os.environ.get("LAB_SEED", "64"))
    generator = Generator(seed)
    items = [Item(n, generator) for n in range(COUNT)]
    ready = []
    wide = ("8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME")
    sites = [lab.site(Script(keywords=keywords, keep=1 << 20, rcpt=lambda *_: "250 2.1.5 Ok" if ready else "450 4.2.1 not yet"))
             for keywords in (("PIPELINING", *wide), wide)]
    relay = lab.relay(f"retry {{ first = 1s   max = 1s   greylist = 1s }}\nstorage {{ inline_limit = {INLINE} }}\n")
    for item in items:
        item.site = sites[item.number // 4 % 2]
        item.send(lab, item.site.rcpt(f"m{item.number}"))
    relay.stop()
    relay.start([(RELAY4, 25), (RELAY6, 25)])
    assert len(relay.queued()) == COUNT
    ready.append(True)
    wrong = []
    for item in items:
        rcpt = item.site.rcpt(f"m{item.number}")
        taken = lambda: item.site.server6.taken(rcpt) + item.site.server4.taken(rcpt)  # noqa: E731
        Scripted.wait(taken, 30, f"message {item.number} of seed {seed}")
    wait_until(lambda: not relay.queued(), 10, "an empty queue")
    for item in items:
        rcpt = item.site.rcpt(f"m{item.number}")
        message, = item.site.server6.taken(rcpt) + item.site.server4.taken(rcpt)
        trace = RECEIVED.match(message.raw)
        expected = item.expected()
        if not message.raw.endswith(expected) or not trace or len(message.raw) - len(expected) not in ends_of_lines(trace[0]):
            wrong.append(f"message {item.number} of seed {seed}, {len(expected)} bytes{', binary' * item.binary}: "
                         f"{expected[:60]!r}…{expected[-40:]!r} came as {message.raw[:300]!r}…{message.raw[-40:]!r}")
    lab.fact(f"{COUNT} messages, {sum(len(i.content) for i in items) / 1e6:.1f} MB, seed {seed}")
    assert not wrong, f"{len(wrong)} differ\n" + "\n".join(wrong[:5])


def ends_of_lines(field):
    """Where the field may end: a message may begin with a line that looks as if it went on."""
    return {m.end() for m in re.finditer(rb"\r\n", field)}


test_what_goes_in_comes_out.seconds = 150
