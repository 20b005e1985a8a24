"""tests/lab/scripted.py: an SMTP server that does what a test tells it, and remembers what it saw.

A script names an answer for each stage: greeting, ehlo, helo, mail, rcpt, data, dot, rset, quit; bdat is a chunk that is not the
last one, dot the final dot or the last chunk. An answer is
    "250 2.1.0 Ok"       a reply (more lines: separated by a line feed, each with its own code)
    b"\\xff\\xfe"        bytes as they are
    SILENT               says nothing until the other side gives up
    CLOSE, RESET         closes, or resets the connection
    Wait(2, "220 hi")    the same, later
    Drip(2, "220 hi")    a reply byte by byte, the whole of it in so many seconds
    Then("250 ok", RESET)    a reply, and at once something else
    [one, two, three]    one after another, counted over all connections; the last one stays
    function(session, argument)    returns one of these
Replies that begin with 421 close the connection. `body = (bytes, answer)` acts inside DATA; `window` bounds what the kernel takes
for a server that does not read (bytes); `keep` bytes of each body are kept to be read by the test.

All servers run on one thread of their own. Times are time.monotonic().
"""
import asyncio
import hashlib
import re
import socket
import struct
import threading
import time


class _Act:
    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return self.name


SILENT, CLOSE, RESET = _Act("SILENT"), _Act("CLOSE"), _Act("RESET")


class Wait:
    def __init__(self, seconds, then):
        self.seconds, self.then = seconds, then


class Drip:
    def __init__(self, seconds, reply):
        self.seconds, self.reply = seconds, reply


class Then:
    def __init__(self, reply, act):
        self.reply, self.act = reply, act


class Script:
    """What a server answers. Everything that is not named is answered as a healthy server does."""
    STAGES = ("greeting", "ehlo", "helo", "mail", "rcpt", "data", "bdat", "dot", "rset", "quit")

    def __init__(self, keywords=("PIPELINING", "SIZE 104857600", "8BITMIME", "ENHANCEDSTATUSCODES"), body=None, window=None,
                 keep=65536, **answers):
        name = "mx.example"
        self.answers = {
            "greeting": f"220 {name} ESMTP scripted", "helo": f"250 {name}",
            "ehlo": "\n".join(f"250-{w}" for w in (name, *keywords)), "mail": "250 2.1.0 Ok", "rcpt": "250 2.1.5 Ok",
            "data": "354 go on", "bdat": "250 2.0.0 go on", "dot": "250 2.0.0 taken",
            "rset": "250 2.0.0 Ok", "quit": "221 2.0.0 Bye"}
        head, _, last = self.answers["ehlo"].rpartition("\n")
        self.answers["ehlo"] = (head + "\n" if head else "") + last.replace("250-", "250 ", 1)
        unknown = set(answers) - set(self.STAGES)
        if unknown:
            raise ValueError(f"no such stage: {unknown}")
        self.answers.update(answers)
        self.body, self.window, self.keep = body, window, keep
        self.used = {}

    def answer(self, stage, session, argument):
        a = self.answers[stage]
        while True:
            if isinstance(a, list):
                n = self.used.get(stage, 0)
                self.used[stage] = n + 1
                a = a[min(n, len(a) - 1)]
            elif callable(a):
                a = a(session, argument)
            else:
                return a


class Message:
    """One message as it came: envelope, header (bytes up to the empty line), and a hash of what follows it."""
    def __init__(self, session):
        self.session, self.sender, self.rcpts = session, session.sender, list(session.rcpts)
        self.mail_parameters, self.rcpt_parameters = session.mail_parameters, dict(session.rcpt_parameters)
        self.at = None
        self.size = 0
        self.chunks = []  # sizes, if it came by BDAT
        self.refused = False  # one of them was
        self.header = b""
        self.kept = bytearray()
        self.reply = None  # what was answered to the dot
        self._hash = hashlib.sha256()
        self._in_header = True

    def feed(self, piece):
        self.size += len(piece)
        if self._in_header:
            self.header += piece
            end = self.header.find(b"\r\n\r\n")
            if end < 0:
                return
            self._in_header = False
            self.header, piece = self.header[:end + 2], self.header[end + 4:]
        self._hash.update(piece)
        keep = self.session.server.script.keep
        if len(self.kept) < keep:
            self.kept += piece[:keep - len(self.kept)]

    @property
    def sha256(self):
        return self._hash.hexdigest()

    @property
    def taken(self):
        reply = self.reply.reply if isinstance(self.reply, (Drip, Then)) else self.reply
        return isinstance(reply, str) and reply.startswith("2")

    def header_field(self, name):
        unfolded = re.sub(rb"\r\n[ \t]+", b" ", self.header)
        found = re.search(rb"^" + name.encode() + rb":[ \t]*(.*?)\r?$", unfolded, re.I | re.M)
        return found[1].decode("utf-8", "replace") if found else None

    @property
    def raw(self):
        """All that was kept, as it came."""
        return self.header if self._in_header else self.header + b"\r\n" + bytes(self.kept)

    def text(self):
        return self.raw.decode("utf-8", "replace")


class Session:
    """One connection: who, when, which commands, why it ended."""

    def __init__(self, server, peer, local):
        self.server, self.peer, self.local = server, peer, local
        self.began = time.monotonic()
        self.ended = None
        self.commands = []  # (time, line)
        self.sender, self.rcpts, self.mail_parameters = None, [], ""
        self.rcpt_parameters = {}  # of each recipient
        self.transactions = 0
        self.chunks = None  # the message that is coming by BDAT
        self.helo = None

    def said(self, verb):
        return [line for _, line in self.commands if line.upper().startswith(verb)]


class _Over(Exception):
    pass


class Scripted:
    """The server: listens on addresses of a host (or, with host None, of this machine)."""
    _loop = None
    _lock = threading.Lock()
    changed = threading.Condition()

    def __init__(self, host, addresses, script=None, port=25):
        self.host, self.port = host, port
        self.addresses = [addresses] if isinstance(addresses, str) else list(addresses)
        self.script = script or Script()
        self.sessions, self.messages = [], []
        self.tasks = set()
        self.servers = []
        loop = self.loop()
        for address in self.addresses:
            if host:
                s = host.listener(address, port)
            else:
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                s = socket.socket(family)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind((address, port))
                s.listen(512)
                self.port = s.getsockname()[1]
            if self.script.window:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.script.window)
            future = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, sock=s, limit=1 << 20), loop)
            self.servers.append(future.result(10))

    @classmethod
    def loop(cls):
        with cls._lock:
            if not cls._loop:
                cls._loop = asyncio.new_event_loop()
                threading.Thread(target=cls._loop.run_forever, daemon=True, name="scripted").start()
            return cls._loop

    @classmethod
    def _tell(cls):
        with cls.changed:
            cls.changed.notify_all()

    @classmethod
    def wait(cls, true, seconds, what):
        """Until true() holds; what it returned."""
        end = time.monotonic() + seconds
        with cls.changed:
            while True:
                result = true()
                if result:
                    return result
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"waited {seconds} s in vain for {what}")
                cls.changed.wait(min(left, 0.5))

    def taken(self, rcpt=None):
        """The messages that were answered with 2yz (to one recipient)."""
        return [m for m in list(self.messages) if m.taken and (rcpt is None or rcpt in m.rcpts)]

    def wait_message(self, rcpt=None, seconds=10, count=1):
        """The first `count` messages taken; the message itself if one is asked for."""
        found = self.wait(lambda: (lambda t: len(t) >= count and t)(self.taken(rcpt)), seconds,
                          f"{count} message(s) to {rcpt or 'anybody'} at {', '.join(self.addresses)}")
        return found[0] if count == 1 else found

    def wait_session(self, count=1, seconds=10):
        return self.wait(lambda: len(self.sessions) >= count and self.sessions, seconds,
                         f"{count} connection(s) to {', '.join(self.addresses)}")[count - 1]

    def close(self):
        def stop():
            for s in self.servers:
                s.close()
            for t in self.tasks:
                t.cancel()
            self.servers = []
        done = threading.Event()
        self.loop().call_soon_threadsafe(lambda: (stop(), done.set()))
        done.wait(5)

    async def _serve(self, reader, writer):
        session = Session(self, writer.get_extra_info("peername")[0], writer.get_extra_info("sockname")[0])
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sessions.append(session)
        self._tell()
        self.tasks.add(asyncio.current_task())
        try:
            await self._talk(session, reader, writer)
        except (_Over, asyncio.CancelledError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, OSError):
            pass
        finally:
            self.tasks.discard(asyncio.current_task())
            session.ended = time.monotonic()
            writer.close()
            self._tell()

    async def _answer(self, session, writer, reader, answer):
        if isinstance(answer, Wait):
            await asyncio.sleep(answer.seconds)
            answer = answer.then
        if isinstance(answer, Drip):
            whole = answer.reply.replace("\n", "\r\n").encode() + b"\r\n"
            for n in range(len(whole)):
                writer.write(whole[n:n + 1])
                await writer.drain()
                await asyncio.sleep(answer.seconds / len(whole))
            return answer.reply
        if isinstance(answer, Then):
            await self._answer(session, writer, reader, answer.reply)
            return await self._answer(session, writer, reader, answer.act)
        if answer is SILENT:
            while await reader.read(65536):
                pass
            raise _Over
        if answer is CLOSE:
            raise _Over
        if answer is RESET:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            raise _Over
        if isinstance(answer, str):
            writer.write(answer.replace("\n", "\r\n").encode() + b"\r\n")
        else:
            writer.write(answer)
        await writer.drain()
        if isinstance(answer, str) and answer.startswith("421"):
            raise _Over
        return answer

    async def _talk(self, session, reader, writer):
        script = self.script

        async def answer(stage, argument=""):
            return await self._answer(session, writer, reader, script.answer(stage, session, argument))

        greeting = await answer("greeting")
        while True:
            line = (await reader.readuntil(b"\r\n"))[:-2].decode("utf-8", "replace")
            session.commands.append((time.monotonic(), line))
            verb, _, argument = line.partition(" ")
            verb = verb.upper()
            if isinstance(greeting, str) and greeting.startswith("5") and verb != "QUIT":
                await self._answer(session, writer, reader, "503 5.5.1 I said no")
            elif verb in ("EHLO", "HELO"):
                session.helo = argument
                session.sender, session.rcpts = None, []
                await answer(verb.lower(), argument)
            elif verb == "MAIL":
                path, parameters = self._path(argument)
                session.transactions += 1
                reply = await answer("mail", path)
                if isinstance(reply, str) and reply.startswith("2"):
                    session.sender, session.rcpts, session.mail_parameters = path, [], parameters
                    session.rcpt_parameters = {}
            elif verb == "RCPT" and session.sender is None:
                await self._answer(session, writer, reader, "503 5.5.1 MAIL first")
            elif verb == "RCPT":
                path, parameters = self._path(argument)
                reply = await answer("rcpt", path)
                if isinstance(reply, str) and reply.startswith("2"):
                    session.rcpts.append(path)
                    session.rcpt_parameters[path] = parameters
            elif verb == "DATA":
                if not session.rcpts:
                    await self._answer(session, writer, reader, "554 5.5.1 no valid recipients")
                    continue
                reply = await answer("data")
                if isinstance(reply, str) and reply.startswith("3"):
                    await self._content(session, reader, writer, script)
                session.sender, session.rcpts, session.chunks = None, [], None
            elif verb == "BDAT":
                await self._chunk(session, reader, writer, script, argument.upper().split())
            elif verb == "RSET":
                session.sender, session.rcpts, session.chunks = None, [], None
                await answer("rset")
            elif verb == "QUIT":
                await answer("quit")
                raise _Over
            elif verb == "NOOP":
                await self._answer(session, writer, reader, "250 2.0.0 Ok")
            else:
                await self._answer(session, writer, reader, "500 5.5.2 what?")

    @staticmethod
    def _path(argument):
        found = re.match(r"(?:FROM|TO):\s*<([^>]*)>\s*(.*)", argument, re.I)
        return (found[1], found[2]) if found else (argument, "")

    async def _content(self, session, reader, writer, script):
        message = Message(session)
        buffer = b"\r\n"  # as if a line had ended: a dot at the very start counts
        first, acted = True, False

        def feed(piece):  # undoes the dot stuffing; the first CRLF is not content
            nonlocal first
            piece = piece.replace(b"\r\n..", b"\r\n.")
            if first and piece:
                first, piece = False, piece[2:]
            message.feed(piece)

        while True:
            end = buffer.find(b"\r\n.\r\n")
            if end >= 0:
                feed(buffer[:end + 2] if end else b"\r\n")
                break
            cut = max(0, len(buffer) - 4)
            at = buffer.rfind(b"\r", max(0, cut - 3), cut)
            cut = at if at >= 0 else cut
            feed(buffer[:cut])
            buffer = buffer[cut:]
            if script.body and message.size >= script.body[0] and not acted:
                acted = True
                await self._answer(session, writer, reader, script.body[1])
            piece = await reader.read(262144)
            if not piece:
                raise _Over
            buffer += piece
        await self._taken(session, reader, writer, message)

    async def _chunk(self, session, reader, writer, script, words):
        """RFC 3030: the bytes come whatever the answer will be."""
        message = session.chunks = session.chunks or Message(session)
        piece = await reader.readexactly(int(words[0]))
        if not session.rcpts or message.refused:
            await self._answer(session, writer, reader, "503 5.5.1 RSET first")
            return
        message.feed(piece)
        message.chunks.append(len(piece))
        if words[1:] != ["LAST"]:
            reply = await self._answer(session, writer, reader, script.answer("bdat", session, message))
            message.refused = isinstance(reply, str) and reply[0] in "45"
            return
        await self._taken(session, reader, writer, message)
        session.sender, session.rcpts, session.chunks = None, [], None

    async def _taken(self, session, reader, writer, message):
        message.at = time.monotonic()
        self.messages.append(message)
        message.reply = self.script.answer("dot", session, message)
        if isinstance(message.reply, Wait):
            await asyncio.sleep(message.reply.seconds)
            message.reply = message.reply.then
        self._tell()
        await self._answer(session, writer, reader, message.reply)
