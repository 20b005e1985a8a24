"""tests/lab/net.py: a small Internet of network namespaces on one bridge, made for one run and removed behind it.

Every host is a namespace `r64-PID-N-NAME` with one interface; all hosts see each other over the documentation prefixes below,
IPv4 and IPv6 apart: a host has only the families that it is given. What a killed run left behind is removed at the next start.
"""
import atexit
import ctypes
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading

PREFIXES = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15")
PREFIXES6 = ("2001:db8::/32",)

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_numbers = itertools.count(1)


def run(*command, text=None, check=True):
    """Runs a command; returns what it printed. A failure carries its words."""
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def why_not():
    """None where namespaces can be made, otherwise the reason."""
    for tool in ("ip", "nft", "nsd", "postfix"):
        if not shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            return f"{tool} is not installed"
    if os.geteuid():
        return "not root: no network namespaces"
    name = f"r64-{os.getpid()}-0-try"
    try:
        run("ip", "netns", "add", name)
    except (RuntimeError, OSError) as e:
        return f"no network namespaces: {e}"
    try:
        run("ip", "-n", name, "link", "add", "v0", "type", "veth", "peer", "name", "v1")
        run("ip", "-n", name, "-6", "addr", "add", "2001:db8::1/64", "dev", "v0", "nodad")
    except RuntimeError as e:
        return f"no veth with IPv6: {e}"
    finally:
        run("ip", "netns", "del", name, check=False)
    return None


def remove(namespace):
    """Ends what still runs in a namespace of ours and removes it."""
    for pid in run("ip", "netns", "pids", namespace, check=False).split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except OSError:
            pass
    run("ip", "netns", "del", namespace, check=False)


def remove_leftovers():
    """Removes the namespaces of runs that are dead."""
    for line in run("ip", "netns", "list", check=False).splitlines():
        found = re.match(r"(r64-(\d+)-\S+)", line)
        if found and not os.path.exists(f"/proc/{found[2]}"):
            remove(found[1])


class Inside:
    """Within `with Inside(host):` the calling thread stands in the host's namespace: sockets made here belong there."""

    def __init__(self, host):
        self.host = host

    def __enter__(self):
        self.before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(f"/run/netns/{self.host.namespace}", os.O_RDONLY | os.O_CLOEXEC)
        self._go(there)
        os.close(there)

    def __exit__(self, *_):
        self._go(self.before)
        os.close(self.before)

    @staticmethod
    def _go(fd):
        if _libc.setns(fd, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


class Host:
    """One namespace. `v4` and `v6` are lists of its addresses; the first is its own."""

    def __init__(self, net, name, v4=(), v6=()):
        self.net, self.name = net, name
        self.namespace = f"{net.prefix}-{name}"
        self.v4, self.v6 = list(v4), list(v6)
        port = f"p{next(net.ports)}"
        run("ip", "netns", "add", self.namespace)
        net.hosts.append(self)
        run("ip", "-n", net.bridge, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        run("ip", "-n", net.bridge, "link", "set", port, "master", "br0", "up")
        lines = ["link set lo up", "link set eth0 up"]
        lines += [f"addr add {a}/24 dev eth0" for a in self.v4]
        lines += [f"addr add {a}/128 dev eth0 nodad" for a in self.v6]
        if self.v4:
            lines += [f"route replace {p} dev eth0 src {self.v4[0]}" for p in PREFIXES]
        if self.v6:
            lines += [f"route replace {p} dev eth0 src {self.v6[0]}" for p in PREFIXES6]
        self.ip_batch(lines)
        if not self.v6:
            self.sysctl("net.ipv6.conf.all.disable_ipv6", 1)

    def add_address(self, address):
        """One more address for this host, of a family that it has."""
        v6 = ":" in address
        (self.v6 if v6 else self.v4).append(address)
        self.ip_batch([f"addr add {address}/{128 if v6 else 32} dev eth0 {'nodad' if v6 else ''}"])

    def remove_address(self, address):
        v6 = ":" in address
        (self.v6 if v6 else self.v4).remove(address)
        self.ip("addr", "del", f"{address}/{128 if v6 else 32}", "dev", "eth0", check=False)

    def ip_batch(self, lines):
        run("ip", "-n", self.namespace, "-batch", "-", text="\n".join(lines) + "\n")

    def ip(self, *words, check=True):
        return run("ip", "-n", self.namespace, *words, check=check)

    def sysctl(self, key, value):
        self.run("sysctl", "-qw", f"{key}={value}")

    def command(self, *words):
        """The command line that runs `words` in here."""
        return ["ip", "netns", "exec", self.namespace, *words]

    def run(self, *words, text=None, check=True):
        return run(*self.command(*words), text=text, check=check)

    def nft(self, rules):
        """Loads rules in nft's own language."""
        self.run("nft", "-f", "-", text=rules)

    def nft_clear(self):
        self.run("nft", "flush", "ruleset")

    def block(self, address, how, port=25):
        """Packets of new connections to this host's `address` are counted (see blocked()) and treated: how = drop | reject | pass."""
        family = "ip6" if ":" in address else "ip"
        verdict = {"drop": "drop", "reject": "reject with tcp reset", "pass": "accept"}[how]
        name = "c" + re.sub(r"\W", "_", address)
        self.nft(f"table inet lab {{\n counter {name} {{ }}\n chain in {{ type filter hook input priority 0;\n"
                 f"  {family} daddr {address} tcp dport {port} tcp flags & (syn | ack) == syn counter name {name} {verdict}\n }}\n}}\n")

    def blocked(self, address):
        """How many packets block() has counted for the address."""
        name = "c" + re.sub(r"\W", "_", address)
        listed = json.loads(self.run("nft", "-j", "list", "counters"))["nftables"]
        return sum(c["counter"]["packets"] for c in listed if c.get("counter", {}).get("name") == name)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM):
        """A socket that belongs to this host."""
        with Inside(self):
            return socket.socket(family, kind)

    def listener(self, address, port, backlog=512):
        """A TCP socket that listens on an address of this host."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        s = self.socket(family)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind((address, port))
        s.listen(backlog)
        return s

    def connect(self, address, port=25, timeout=10):
        """A TCP connection from this host."""
        s = self.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        s.settimeout(timeout)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            s.connect((address, port))
        except OSError:
            s.close()
            raise
        return s


class Network:
    """The bridge and its hosts. `with Network() as net:` removes all at the end, also behind an exception or an interrupt."""

    def __init__(self):
        self.prefix = f"r64-{os.getpid()}-{next(_numbers)}"
        self.bridge = f"{self.prefix}-bridge"
        self.ports = itertools.count(1)
        self.hosts = []
        self.lock = threading.Lock()
        atexit.register(self.close)
        run("ip", "netns", "add", self.bridge)
        run("ip", "-n", self.bridge, "-batch", "-",
            text="link add br0 type bridge forward_delay 0 mcast_snooping 0\nlink set br0 up\nlink set lo up\n")

    def host(self, name, v4=(), v6=()):
        """A new host; one address may be given as a string."""
        v4 = [v4] if isinstance(v4, str) else v4
        v6 = [v6] if isinstance(v6, str) else v6
        return Host(self, name, v4, v6)

    def close(self):
        with self.lock:
            names = [h.namespace for h in self.hosts] + [self.bridge]
            self.hosts = []
            for name in names:
                if os.path.exists(f"/run/netns/{name}"):
                    remove(name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        atexit.unregister(self.close)
