"""tests/lab/large_test.py: large messages, and how much memory they cost the -O2 build."""
import threading
import time

from client import body_sha256, content
from lab import RELAY4
from relay import release_binary
from servers import wait_until


def test_20_mib_bit_exactly(lab):
    site = lab.site()
    lab.relay()
    message = content("bit by bit", 20 << 20)
    began = lab.send(site.rcpt(), message)
    arrived = site.server6.wait_message(site.rcpt(), 60)
    lab.fact(f"20 MiB arrived {arrived.at - began:.2f} s after acceptance (ASan build)")
    assert arrived.sha256 == body_sha256(message)


def test_fifty_20_mib_messages_at_once(lab):
    """At most 60 MiB more memory."""
    site = lab.site()
    relay = lab.relay(program=release_binary())
    lab.send(site.rcpt("first"))
    site.server6.wait_message(site.rcpt("first"))
    message = content("heavy", 20 << 20)
    digest = body_sha256(message + b"\r\n")  # smtp-source ends a file with an empty line
    before = relay.memory()
    with open(f"{lab.folder}/heavy", "wb") as f:
        f.write(message.replace(b"\r\n", b"\n"))
    peak, stop = [before], threading.Event()

    def watch():
        while not stop.wait(0.05):
            peak.append(relay.memory())
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        began = time.monotonic()
        lab.client.run("smtp-source", "-s", "50", "-m", "50", "-F", f"{lab.folder}/heavy", "-f", "a@old.example", "-t", site.rcpt("m"),
                       f"inet:{RELAY4}:25")
        lab.fact(f"50 messages of 20 MiB accepted in {time.monotonic() - began:.1f} s")
        site.server6.wait(lambda: len(site.server6.taken()) + len(site.server4.taken()) >= 51, 120, "50 messages")
    finally:
        stop.set()
        watcher.join()
    grown = (max(peak) - before) / (1 << 20)
    lab.fact(f"50 messages of 20 MiB at once: {grown:.1f} MiB more private memory (allowed 60)")
    assert all(m.sha256 == digest for m in site.server6.messages + site.server4.messages if m.size > 1 << 20)
    wait_until(lambda: not relay.queued(), 10, "an empty queue")
    assert grown < 60, f"{grown:.1f} MiB"


test_fifty_20_mib_messages_at_once.seconds = 240


def test_mixed_sizes_around_the_inline_limit(lab):
    """Sizes around inline_limit (256 KiB) and the read buffers: every one arrives unchanged."""
    site = lab.site()
    relay = lab.relay()
    wanted = {}
    for size in (1, 1000, 4095, 4096, 65535, 65536, 65537, 262000, 262143, 262144, 262145, 263000, 300000, 524288, 1048577):
        rcpt = site.rcpt(f"s{size}")
        wanted[rcpt] = content(f"size {size}", size)
        lab.send(rcpt, wanted[rcpt])
    for rcpt, message in wanted.items():
        arrived = site.server6.wait_message(rcpt, 20)
        assert arrived.sha256 == body_sha256(message), rcpt
    wait_until(lambda: not relay.queued(), 5, "an empty queue")


def test_idle_sessions_cost_little(lab):
    """An idle plain session: at most 4 KiB of the daemon's memory (wide here: 6)."""
    count = 2000
    relay = lab.relay(f"limits {{ sessions_per_client = {count + 10} }}\n", program=release_binary())
    sockets = []

    def idle(number):
        for _ in range(number):
            s = lab.client.connect(RELAY4)
            sockets.append(s)
            assert s.recv(300).startswith(b"220")
            s.sendall(b"EHLO client.example\r\n")
            while b"\r\n250 " not in b"\r\n" + s.recv(2000):
                pass
    try:
        idle(100)  # what the first ones cost belongs to none of them
        before = relay.memory()
        idle(count - 100)
        each = (relay.memory() - before) / (count - 100)
        lab.fact(f"an idle session costs {each:.0f} bytes")
        assert each < 6144, f"{each:.0f} bytes"
    finally:
        for s in sockets:
            s.close()
