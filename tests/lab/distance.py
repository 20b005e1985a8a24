"""tests/lab/distance.py: a long way between two hosts, for one address: each packet is held back for a time and keeps its place.

The kernel may have no netem; two TUN interfaces, one at each end, and a thread that carries what comes out of one into the other do it
for any packet, so that a connection takes as long as over a real distance.
"""
import collections
import fcntl
import itertools
import os
import select
import struct
import threading
import time

from net import Inside

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_numbers = itertools.count(1)


def tun(host, name):
    """A TUN interface in the host's namespace; its packets are read and written at the descriptor."""
    with Inside(host):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    host.ip("link", "set", name, "up")
    return fd


class Distance:
    """Between `near` (whose own address is `source`) and `address` of `far` every packet takes `seconds` each way, until close()."""

    def __init__(self, near, source, far, address, seconds):
        self.near, self.far, self.seconds = near, far, seconds
        n = next(_numbers)
        self.name, self.table = f"way{n}", str(1000 + n)
        self.version = "-6" if ":" in address else "-4"
        self.address = f"{address}/{128 if ':' in address else 32}"
        self.fds = (tun(near, self.name), tun(far, self.name))
        near.ip(self.version, "route", "add", self.address, "dev", self.name, "src", source)
        far.ip(self.version, "rule", "add", "from", self.address, "lookup", self.table)
        far.ip(self.version, "route", "add", "default", "dev", self.name, "table", self.table)
        if self.version == "-4":
            far.sysctl(f"net.ipv4.conf.{self.name}.rp_filter", 0)
            near.sysctl(f"net.ipv4.conf.{self.name}.rp_filter", 0)
        self.wake, self.end = os.pipe()
        self.thread = threading.Thread(target=self._carry, daemon=True, name=self.name)
        self.thread.start()

    def _carry(self):
        held = collections.deque()  # (time, descriptor, packet): as all take the same time, in order
        while True:
            wait = max(0, held[0][0] - time.monotonic()) if held else None
            ready, _, _ = select.select((*self.fds, self.wake), (), (), wait)
            if self.wake in ready:
                return
            now = time.monotonic()
            for fd in set(ready):
                other = self.fds[0] if fd == self.fds[1] else self.fds[1]
                try:
                    while True:
                        held.append((now + self.seconds, other, os.read(fd, 65536)))
                except BlockingIOError:
                    pass
            while held and held[0][0] <= time.monotonic():
                _, fd, packet = held.popleft()
                try:
                    os.write(fd, packet)
                except OSError:
                    pass  # as a packet that is lost

    def close(self):
        """Again is fine."""
        if not self.thread:
            return
        os.write(self.end, b"x")
        self.thread.join()
        self.thread = None
        self.near.ip(self.version, "route", "del", self.address, "dev", self.name, check=False)
        self.far.ip(self.version, "rule", "del", "from", self.address, "lookup", self.table, check=False)
        for fd in (*self.fds, self.wake, self.end):
            os.close(fd)
