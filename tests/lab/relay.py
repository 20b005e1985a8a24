"""tests/lab/relay.py: relay64 itself, started with a configuration, watched, asked by relayq, ended and judged."""
import json
import os
import re
import signal
import subprocess
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SANITIZER = re.compile(r"(ERROR|WARNING): (Address|Leak|Thread)Sanitizer|runtime error:|SUMMARY: \w+Sanitizer|Assertion .* failed")


def binary():
    """The daemon under test: RELAY64_BIN, or the sanitizers' build."""
    return os.path.abspath(os.environ.get("RELAY64_BIN") or f"{ROOT}/build/asan/relay64")


def release_binary():
    """The daemon of the -O2 build, for what is measured."""
    return os.path.abspath(os.environ.get("RELAY64_RELEASE_BIN") or f"{ROOT}/build/relay64")


def environment():
    """Of daemon and tool: the sanitizers' reports change the exit code."""
    return dict(os.environ, ASAN_OPTIONS="exitcode=99:detect_leaks=1", UBSAN_OPTIONS="print_stacktrace=1", LC_ALL="C",
                TSAN_OPTIONS=f"suppressions={ROOT}/tests/lab/tsan.suppressions", COLUMNS="200")


class Relay:
    """One daemon with a folder of its own (configuration, spool, control socket, log)."""

    def __init__(self, host, folder, config, program=None):
        self.host, self.folder, self.program = host, folder, program or binary()
        self.tool = os.path.join(os.path.dirname(self.program), "relayq")
        self.file, self.control = f"{folder}/relay64.conf", f"{folder}/control.sock"
        self.process = None
        self.lines = []  # (time.monotonic(), text): the log of all runs
        self.changed = threading.Condition()
        os.makedirs(folder, exist_ok=True)
        self.configure(config)

    def configure(self, config):
        with open(self.file, "w") as f:
            f.write(f"hostname = relay.example\nspool = {self.folder}/spool\ncontrol = {self.control}\n" + config)

    def start(self, listening=(), seconds=20):
        """Starts it and waits until it listens on each (address, port)."""
        command = [self.program, "-f", self.file]
        if self.host:
            command = self.host.command(*command)
        self.began = time.monotonic()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(),
                                        start_new_session=True)
        self.reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self.reader.start()
        for address, port in listening:
            self.wait_listening(address, port, seconds)
        return self

    def _read(self, process):
        with open(f"{self.folder}/log", "a") as f:
            for raw in process.stdout:
                text = raw.decode("utf-8", "replace").rstrip("\n")
                f.write(text + "\n")
                f.flush()
                with self.changed:
                    self.lines.append((time.monotonic(), text))
                    self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def wait_listening(self, address, port, seconds=20):
        """Connections are accepted; this host may be a stranger there, who is greeted late."""
        end = time.monotonic() + seconds
        while True:
            try:
                self._connect(address, port).close()
                return
            except OSError:
                pass
            if self.process.poll() is not None:
                self.reader.join(5)
                raise AssertionError(f"relay64 ended with {self.process.returncode}:\n{self.tail()}")
            if time.monotonic() > end:
                raise AssertionError(f"relay64 does not listen on {address}:{port}:\n{self.tail()}")
            time.sleep(0.01)

    def _connect(self, address, port):
        if self.host:
            return self.host.connect(address, port, 5)
        import socket
        return socket.create_connection((address, port), 5)

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with self.changed:
            return "\n".join(text for _, text in self.lines)

    def tail(self, count=40):
        with self.changed:
            return "\n".join(text for _, text in self.lines[-count:])

    def find(self, *patterns, since=0):
        """The lines in which all patterns are found, as (time, text)."""
        with self.changed:
            lines = self.lines[since:]
        return [(at, text) for at, text in lines if all(re.search(p, text) for p in patterns)]

    def wait_log(self, *patterns, seconds=10, count=1, since=0):
        """Waits for a line (the count-th one) in which all patterns are found; returns it."""
        end = time.monotonic() + seconds
        with self.changed:
            while True:
                found = [t for _, t in self.lines[since:] if all(re.search(p, t) for p in patterns)]
                if len(found) >= count:
                    return found[count - 1]
                left = end - time.monotonic()
                if left <= 0 or (self.process.poll() is not None and not self.reader.is_alive()):
                    raise AssertionError(f"no log line with {' and '.join(patterns)} in {seconds} s; the end of the log:\n"
                                         + "\n".join(t for _, t in self.lines[-30:]))
                self.changed.wait(min(left, 0.5))

    def signal(self, number):
        os.kill(self.process.pid, number)

    def stop(self, seconds=30):
        """TERM; it must end with 0 and without a word of the sanitizers. Returns the seconds that it took."""
        if not self.process:
            return 0
        began = time.monotonic()
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"relay64 did not end within {seconds} s after TERM:\n{self.tail()}")
        took = time.monotonic() - began
        self.reader.join(10)
        self.process = None
        self.judge()
        if code:
            raise AssertionError(f"relay64 ended with {code}:\n{self.tail()}")
        return took

    def kill(self):
        """As a power cut for the process: KILL."""
        if self.process:
            if self.process.poll() is None:
                self.signal(signal.SIGKILL)
            self.process.wait()
            self.reader.join(10)
            self.process = None

    def judge(self):
        """Fails if a sanitizer has said anything so far."""
        with self.changed:
            texts = [t for _, t in self.lines]
        for n, text in enumerate(texts):
            if SANITIZER.search(text):
                raise AssertionError("the sanitizers say:\n" + "\n".join(texts[max(0, n - 3):n + 45]))

    def relayq(self, *words, code=0, seconds=60):
        """Runs relayq; returns what it printed. `code` is the exit status that must come; None: any."""
        done = subprocess.run([self.tool, "-c", self.control, *words], capture_output=True, text=True, timeout=seconds,
                              env=environment())
        if SANITIZER.search(done.stderr):
            raise AssertionError(f"relayq {' '.join(words)}: {done.stderr}")
        if code is not None and done.returncode != code:
            raise AssertionError(f"relayq {' '.join(words)} ended with {done.returncode}, not {code}: {done.stdout}{done.stderr}")
        return done.stdout + (done.stderr if code != 0 else "")

    def relayq_json(self, *words, kind=None, code=0):
        """The objects that `relayq --json` prints, one a line; with `kind` those of one type."""
        objects = [json.loads(line) for line in self.relayq("--json", *words, code=code).splitlines() if line.strip()]
        return [o for o in objects if kind is None or o.get("type") == kind]

    def queued(self):
        """What `relayq list` has: one object a message."""
        return self.relayq_json("list", kind="message")

    def ids(self):
        return [m["id"] for m in self.queued()]

    def id_of(self, rcpt):
        """The ID of the one queued message to `rcpt`. IDs given in one millisecond by two loops do not tell who came first."""
        (message,) = self.relayq_json("list", "--rcpt", rcpt, kind="message")
        return message["id"]

    def states(self, word):
        """How many unfinished recipients are in a state: active ready routing resting deferred held."""
        return sum(r["state"] == word for m in self.queued() for r in m["rcpts"])

    def cpu(self):
        """Seconds of processor time that the daemon has used."""
        with open(f"/proc/{self.pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Private memory in bytes (Private_Clean + Private_Dirty)."""
        with open(f"/proc/{self.pid}/smaps_rollup") as f:
            return 1024 * sum(int(n) for n in re.findall(r"^Private_\w+:\s+(\d+)", f.read(), re.M))
