"""tests/lab/misbehaving_clients_test.py: a client that misbehaves at one step of the dialogue, in each manner: its session's end.

steps     fresh            greeted
          ehlo mail rcpt   that was answered
          chunks chunk     BDAT of a first chunk was answered; in the midst of one
          data dot         in the midst of the content, after a whole line; after CRLF and a dot
manners   close reset      of the connection
          hang             says nothing for command_time
          garbage          bytes over 127, and CRLF
          half             the beginning of a command or line, then close
          long             a line over limits { line }
          eight nul        8-bit bytes in a verb; a NUL
          lf cr            a line that ends in LF alone; a CR within a line
          junk             10,000 lines without sense, pipelined
          http tls         a POST; a ClientHello
          deaf             commands or content without end, and no reply is read
outcomes  gone             nothing is said, nothing is kept
          500              that reply, and the session goes on (NOOP is answered)
          421              that is the last word, and the connection is closed
          full             what is sent beyond limits { size } is refused at its end, and the session goes on
          550              the content is refused at its end, and the session goes on
          text             content like any other: nothing happens
          shut             the connection is closed, at the latest after data_time
          -                there is no such case
Always: no message that was not acknowledged is queued, others are served meanwhile, and no session is left in the end.
"""
import concurrent.futures
import socket
import struct
import time

from lab import RELAY4, RELAY6
from relay import release_binary
from servers import wait_until

TABLE = """
          close   reset   hang    garbage half    long    eight   nul     lf      cr      junk    http    tls     deaf
fresh     gone    gone    421     500     gone    500     500     500     500     500     421     421     421     shut
ehlo      gone    gone    421     500     gone    500     500     500     500     500     421     421     500     shut
mail      gone    gone    421     500     gone    500     500     500     500     500     421     421     500     shut
rcpt      gone    gone    421     500     gone    500     500     500     500     500     421     421     500     shut
chunks    gone    gone    421     500     gone    500     500     500     500     500     421     421     500     shut
chunk     gone    gone    421     text    gone    text    text    text    550     550     text    text    text    -
data      gone    gone    421     text    gone    full    text    text    550     550     text    text    text    shut
dot       gone    gone    421     text    gone    full    text    text    550     550     text    text    text    shut
"""

CONFIG = "limits { command_time = 2s   data_time = 6s   errors = 20   size = 1M   line = 2K   recipients = 10 }\n"
CONTENT = b"Subject: from a bad client\r\n\r\nfirst line\r\n"
HELLO = b"\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03" + bytes(range(11, 43)) + b"\x00\r\n"
SAID = {"garbage": b"\xff\xfe\x80\xc0\r\n", "long": b"NOOP " + b"x" * 3000 + b"\r\n", "eight": b"M\xc4IL FROM:<a@old.example>\r\n",
        "nul": b"NO\0OP\r\n", "lf": b"NOOP\n", "cr": b"NO\rOP\r\n",
        "junk": b"\r\n".join(b"junk %d" % n for n in range(10000)) + b"\r\n",
        "http": b"POST / HTTP/1.1\r\nHost: relay.example\r\nContent-Length: 40\r\n\r\nMAIL FROM:<a@old.example>\r\n", "tls": HELLO}
IN_CONTENT = ("chunk", "data", "dot")


class Raw:
    """A client that says bytes and reads replies."""

    def __init__(self, host, address):
        self.socket = host.connect(address, 25, 15)
        self.buffer = b""

    def say(self, data):
        self.socket.sendall(data)

    def reply(self):
        """One reply, its lines joined; b"" when the connection is closed."""
        whole = b""
        while True:
            while b"\n" not in self.buffer:
                try:
                    piece = self.socket.recv(65536)
                except ConnectionResetError:
                    piece = b""
                if not piece:
                    assert not self.buffer and not whole, f"closed in the midst of {whole + self.buffer}"
                    return b""
                self.buffer += piece
            line, _, self.buffer = self.buffer.partition(b"\n")
            whole += line + b"\n"
            if line[3:4] != b"-":
                return whole

    def expect(self, *codes):
        for code in codes:
            got = self.reply()
            assert got.startswith(code.encode()), f"{got}, not {code}"

    def closed(self):
        rest = self.reply()
        assert not rest, f"{rest} after the last word"

    def close(self, reset=False):
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Row:
    def __init__(self, step, manner, outcome, rcpt):
        self.step, self.manner, self.outcome, self.rcpt = step, manner, outcome, rcpt
        self.sender = f"{step}.{manner}@old.example"

    def go(self, lab, address):
        self.client = Raw(lab.client, address)
        try:
            self.client.expect("220")
            self.walk()
            self.act()
        except Exception as e:
            raise AssertionError(f"{self.step} × {self.manner}: {e!r}") from e
        finally:
            self.client.close()

    def walk(self):
        """The dialogue up to the step."""
        c, steps = self.client, ("ehlo", "mail", "rcpt", self.step)
        said = {"ehlo": b"EHLO bad.example\r\n", "mail": f"MAIL FROM:<{self.sender}>\r\n".encode(),
                "rcpt": f"RCPT TO:<{self.rcpt}>\r\n".encode()}
        for step in steps[:steps.index(self.step) + 1] if self.step != "fresh" else ():
            if step in said:
                c.say(said[step])
                c.expect("250")
        if self.step == "chunks":
            c.say(b"BDAT %d\r\n" % len(CONTENT) + CONTENT)
            c.expect("250")
        elif self.step == "chunk":
            c.say(b"BDAT %d LAST\r\n" % (1 << 20) + CONTENT)
        elif self.step in ("data", "dot"):
            c.say(b"DATA\r\n")
            c.expect("354")
            c.say(CONTENT + (b"." if self.step == "dot" else b""))

    def act(self):
        c = self.client
        if self.manner == "deaf":
            self.deaf()
        elif self.manner == "half":
            c.say(b"MAI" if self.step not in IN_CONTENT else b"half a li")
        elif self.manner == "reset":
            c.close(reset=True)
        elif self.manner == "long" and self.outcome == "full":
            for _ in range(40):
                c.say(b"x" * 65536)
        elif self.manner in SAID:
            c.say(SAID[self.manner])
        if self.outcome == "421":
            while True:
                got = c.reply()
                assert got, "closed without 421"
                if got.startswith(b"421"):
                    break
                assert self.manner == "junk" and got.startswith(b"5"), got
            c.closed()
        elif self.outcome in ("550", "full"):
            self.end_content()
            c.expect("552" if self.outcome == "full" else "550")
            self.alive()
        elif self.outcome == "500":
            c.expect("500")
            self.alive()
        elif self.outcome == "text":
            self.silent()

    def end_content(self):
        """The rest of the chunk, or the final dot."""
        if self.step == "chunk":
            self.client.say(b"\r\n" * ((1 << 20) // 2) + b"QUIT\r\n")  # more than is left of it: the surplus is commands
        else:
            self.client.say(b"\r\n.\r\n")

    def alive(self):
        if self.step == "chunk":
            return
        self.client.say(b"NOOP\r\n")
        self.client.expect("250")

    def silent(self):
        self.client.socket.settimeout(0.3)
        try:
            said = self.client.socket.recv(1000)
        except TimeoutError:
            return
        raise AssertionError(f"said {said}")

    def deaf(self):
        """Sends until the relay takes no more; it must let go in the end."""
        s, data = self.client.socket, b"NOOP\r\n" * 10000 if self.step not in IN_CONTENT else (b"x" * 78 + b"\r\n") * 1000
        end = time.monotonic() + 13
        try:
            while time.monotonic() < end:
                s.sendall(data)
        except (ConnectionError, TimeoutError):
            return
        raise AssertionError("still connected after 13 s")


def open_sessions(relay):
    return relay.relayq_json("status", kind="status")[0]["counters"]["sessions_open"]


def rows_of(site):
    lines = TABLE.strip("\n").split("\n")
    manners = lines[0].split()
    for line in lines[1:]:
        step, *outcomes = line.split()
        assert len(outcomes) == len(manners), line
        for manner, outcome in zip(manners, outcomes):
            if outcome != "-":
                yield Row(step, manner, outcome, site.rcpt(f"{step}.{manner}"))


def test_clients_that_misbehave(lab):
    """The table, eight clients at a time; beside them honest ones."""
    site = lab.site()
    relay = lab.relay(CONFIG)
    rows = list(rows_of(site))
    wrong = []
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        running = [pool.submit(row.go, lab, (RELAY4, RELAY6)[n % 2]) for n, row in enumerate(rows)]
        honest = 0
        while not all(r.done() for r in running):
            lab.send(site.rcpt(f"honest{honest}"))
            honest += 1
            concurrent.futures.wait(running, 0.5)
        wrong = [str(r.exception()) for r in running if r.exception()]
    lab.fact(f"{len(rows)} rows in {time.monotonic() - began:.1f} s, beside them {honest} messages")
    assert not wrong, "\n".join(wrong)
    for n in range(honest):
        site.server6.wait_message(site.rcpt(f"honest{n}"))
    wait_until(lambda: not relay.queued(), 10, "an empty queue")
    strangers = [m.sender for m in site.server6.messages + site.server4.messages if m.sender != "a@old.example"]
    assert not strangers, f"delivered though never acknowledged: {strangers}"
    wait_until(lambda: open_sessions(relay) == 0, 15, "the end of all sessions")


def test_commands_behind_what_was_refused(lab):
    """Nothing pipelined behind a refusal is taken for something else: (what is said at once, the replies)."""
    site = lab.site()
    relay = lab.relay(CONFIG)
    mail, rcpt = b"MAIL FROM:<a@old.example>\r\n", f"RCPT TO:<{site.rcpt('x')}>\r\n".encode()
    bad = b"RCPT TO:<nobody>\r\n"
    cases = {
        "DATA without a recipient, and its content": (mail + bad + b"DATA\r\nhello\r\n.\r\nNOOP\r\n", "250 501 554 500 500 250"),
        "BDAT without a recipient": (mail + bad + b"BDAT 12 LAST\r\nRSET\r\nRSET\r\nNOOP\r\n", "250 501 554 250"),
        "BDAT without MAIL": (b"BDAT 6\r\nQUIT\r\nNOOP\r\n", "503 250"),
        "BDAT with a size that is none ends the session: what follows may be content":
            (mail + rcpt + b"BDAT x\r\nNOOP\r\n", "250 250 501"),
        "RCPT behind a refused MAIL":
            (b"MAIL FROM:<a@old.example> SIZE=999999999\r\n" + rcpt + b"DATA\r\nNOOP\r\n", "552 503 554 250"),
        "MAIL twice": (mail + mail + rcpt + b"RSET\r\n", "250 503 250 250"),
        "MAIL in the midst of chunks": (mail + rcpt + b"BDAT 2\r\n\r\n" + mail + b"RSET\r\nNOOP\r\n", "250 250 250 503 250 250"),
        "DATA in the midst of chunks": (mail + rcpt + b"BDAT 2\r\n\r\nDATA\r\nRSET\r\n", "250 250 250 503 250"),
        "EHLO ends a transaction": (mail + rcpt + b"EHLO again.example\r\nDATA\r\n", "250 250 250 554"),
        "more recipients than there may be":
            (mail + rcpt * 5 + b"".join(rcpt.replace(b"<x", b"<x%d" % n) for n in range(14)) + b"RSET\r\n", None),
    }
    for what, (said, replies) in cases.items():
        c = Raw(lab.client, RELAY4)
        c.expect("220")
        c.say(b"EHLO bad.example\r\n")
        c.expect("250")
        c.say(said)
        got = []
        c.say(b"QUIT\r\n")
        while True:
            reply = c.reply()
            if reply[:3] in (b"221", b""):
                break
            got.append(reply[:3].decode())
        c.close()
        if replies is None:
            assert got.count("452") >= 4 and set(got) == {"250", "452"}, f"{what}: {got}"
        else:
            assert " ".join(got) == replies, f"{what}: {' '.join(got)}, not {replies}"
    wait_until(lambda: open_sessions(relay) == 0, 10, "the end of all sessions")
    assert not relay.queued() and not site.server6.messages


def test_bad_clients_leave_no_memory_behind(lab):
    """3,000 sessions that end badly inside the content: the daemon is no larger than after the first 1,000."""
    site = lab.site()
    relay = lab.relay(CONFIG, program=release_binary())

    def storm(count):
        for n in range(count // 50):
            clients = [Raw(lab.client, RELAY4) for _ in range(50)]
            for c in clients:
                c.expect("220")
                c.say(b"EHLO x\r\nMAIL FROM:<a@old.example>\r\nRCPT TO:<%s>\r\nDATA\r\n" % site.rcpt().encode() + b"z" * 20000)
            for c in clients:
                c.expect("250", "250", "250", "354")
                c.close(reset=n % 2 == 0)
        wait_until(lambda: open_sessions(relay) == 0, 10, "the end of all sessions")
    storm(1000)
    before = relay.memory()
    storm(2000)
    grown = relay.memory() - before
    lab.fact(f"{grown / 1e6:+.1f} MB after 2,000 more")
    assert grown < 4 << 20, f"grown by {grown} bytes"
    assert not relay.queued() and not site.server6.messages


test_clients_that_misbehave.seconds = 150
