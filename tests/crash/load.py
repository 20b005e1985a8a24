"""tests/crash/load.py: clients that hand in messages as fast as they are taken, and keep an account of what got its 250."""
import asyncio
import hashlib
import random
import re
import time


class Handed:
    """One message that was handed in: what it is, and what the relay said."""

    def __init__(self, name, rcpts, digest, size):
        self.name, self.rcpts, self.digest, self.size = name, rcpts, digest, size
        self.queue_id = None  # set with the 250
        self.at = None


class Load:
    """`clients` connections at a time to 127.0.0.1:port, from start() to stop(), through any number of deaths of the daemon."""

    def __init__(self, port, clients, seed, domains, marks=("",)):
        self.port, self.clients, self.domains, self.marks = port, clients, domains, marks
        self.random = random.Random(seed)
        self.text = b"".join(self.random.randbytes(38).hex().encode() + b"\r\n" for _ in range(26000))  # 2 MiB
        self.handed = {}  # name: Handed
        self.tasks = []
        self.count = 0
        self.refused = 0  # replies that were no 250
        self.running = False

    @property
    def acknowledged(self):
        return [h for h in list(self.handed.values()) if h.queue_id]

    def start(self):
        self.running = True
        self.tasks = [asyncio.ensure_future(self._client()) for _ in range(self.clients)]

    async def stop(self):
        """Ends when every client has the answer to its last message, or has lost its connection."""
        self.running = False
        await asyncio.wait(self.tasks, timeout=60)
        for t in self.tasks:
            t.cancel()

    def _message(self):
        self.count += 1
        kind = self.random.random()
        size = (self.random.randint(0, 4000) if kind < 0.75 else self.random.randint(10000, 100000) if kind < 0.92
                else self.random.randint(200000, 1500000))
        at = 78 * self.random.randrange((len(self.text) - size) // 78)
        body = self.text[at:at + size // 78 * 78] + b".\r\n"
        name = f"m{self.count}"
        rcpts = [f"{name}.{n}{self.random.choice(self.marks)}@{self.random.choice(self.domains)}" for n in range(self.random.choice((1, 1, 1, 2, 3)))]
        return Handed(name, rcpts, hashlib.sha256(body).hexdigest(), len(body)), body

    async def _client(self):
        while self.running:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            try:
                await self._talk(reader, writer)
            except (OSError, asyncio.IncompleteReadError, ValueError):
                pass  # the daemon is dead: what got no 250 is not in the account
            finally:
                writer.close()

    @staticmethod
    async def _reply(reader):
        while True:
            line = await reader.readuntil(b"\r\n")
            if line[3:4] != b"-":
                return line.decode()

    async def _talk(self, reader, writer):
        await self._reply(reader)
        writer.write(b"EHLO crash.example\r\n")
        await self._reply(reader)
        while self.running:
            handed, body = self._message()
            writer.write(f"MAIL FROM:<{handed.name}@sender.example>\r\n".encode()
                         + b"".join(f"RCPT TO:<{r}>\r\n".encode() for r in handed.rcpts) + b"DATA\r\n")
            replies = [await self._reply(reader) for _ in range(len(handed.rcpts) + 2)]
            if not replies[-1].startswith("354"):
                self.refused += 1
                await asyncio.sleep(0.05)
                if replies[0].startswith("421"):
                    return
                writer.write(b"RSET\r\n")
                await self._reply(reader)
                continue
            self.handed[handed.name] = handed
            content = f"Subject: crash\r\nX-Crash: {handed.name}\r\n\r\n".encode() + body
            writer.write(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            await writer.drain()
            reply = await self._reply(reader)
            if reply.startswith("250"):
                handed.at = time.monotonic()
                handed.queue_id = re.search(r"queued as (\w+)", reply)[1]
            else:
                self.refused += 1
        writer.write(b"QUIT\r\n")
