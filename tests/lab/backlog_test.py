"""tests/lab/backlog_test.py: many messages queued for a dead site cost the others nothing. `--backlog 100000` for the full measure."""
import statistics
import threading
import time

from lab import RELAY4
from relay import release_binary
from servers import wait_until


def test_backlog_for_a_dead_site(lab):
    count = int(lab.options.get("--backlog", 5000))
    dead = lab.site(serve4=False, serve6=False)
    alive = lab.site()
    relay = lab.relay("retry { first = 1h }\nlimits { sessions_per_client = 500 }\n", program=release_binary())

    def others(number=20):
        """Median and worst seconds from acceptance to arrival of other mail."""
        times = []
        for _ in range(number):
            others.n += 1
            rcpt = alive.rcpt(f"o{others.n}")
            began = lab.send(rcpt)
            times.append(alive.server6.wait_message(rcpt, 10).at - began)
        return statistics.median(times), max(times)
    others.n = 0
    quiet = others()
    began = time.monotonic()
    lab.client.run("smtp-source", "-s", "50", "-m", str(count), "-l", "2000", "-f", "a@old.example", "-t", dead.rcpt(),
                   f"inet:{RELAY4}:25")
    took = time.monotonic() - began
    lab.fact(f"{count} messages accepted in {took:.1f} s ({count / took:.0f}/s)")
    wait_until(lambda: relay.relayq_json("status", kind="status")[0]["resting"] == 1, 20, "the dead site to rest")
    busy = others()
    lab.fact(f"other mail: median {quiet[0] * 1000:.1f} ms, worst {quiet[1] * 1000:.1f} ms alone; "
             f"{busy[0] * 1000:.1f} ms, {busy[1] * 1000:.1f} ms beside the backlog")
    assert busy[0] < quiet[0] * 3 + 0.1 and busy[1] < 1.5

    time.sleep(6)  # idle connections close
    cpu, began = relay.cpu(), time.monotonic()
    time.sleep(5)
    idle = (relay.cpu() - cpu) / (time.monotonic() - began)
    lab.fact(f"idle CPU {idle * 100:.2f} %")
    assert idle < 0.05

    began = time.monotonic()
    text = relay.relayq("summary")
    took = time.monotonic() - began
    lab.fact(f"relayq summary {took * 1000:.0f} ms")
    assert str(count) in text.replace(",", "").replace(" ", " "), text
    assert took < 1
    began = time.monotonic()
    listed = len([x for x in relay.relayq("list").splitlines() if dead.rcpt() in x])
    lab.fact(f"relayq list of all into a pipe {time.monotonic() - began:.2f} s; {relay.memory() >> 20} MiB private memory")
    assert listed == count, listed

    reasons = relay.relayq_json("reasons", kind="reason")
    assert sum(r["recipients"] for r in reasons) == count and len(reasons) == 1, reasons
    for words, kind in ((["reasons"], "reason"), (["hold", "--all", "--dry-run"], "done"), (["hold", "--site", dead.mx], "done"),
                        (["release", "--all"], "done")):
        began = time.monotonic()
        acting = threading.Thread(target=relay.relayq_json, args=words, kwargs={"kind": kind}, daemon=True)
        acting.start()
        beside = others(5)
        acting.join(120)
        assert not acting.is_alive(), words
        lab.fact(f"relayq {' '.join(words[:2])} {time.monotonic() - began:.2f} s; other mail meanwhile: median "
                 f"{beside[0] * 1000:.1f} ms, worst {beside[1] * 1000:.1f} ms")
        assert beside[0] < quiet[0] * 3 + 0.1 and beside[1] < 1.5
    counters = relay.relayq_json("status", kind="status")[0]["counters"]
    lab.fact(f"longest task of the queue thread {counters['queue_slice_longest_us'] / 1000:.1f} ms")

    ended = relay.stop()
    began = time.monotonic()
    relay.start([(RELAY4, 25)])
    took = time.monotonic() - began
    lab.fact(f"TERM {ended:.2f} s, restart {took:.2f} s until it greets")
    assert took < 6
    status = relay.relayq_json("status", kind="status")[0]
    assert status["messages"] == count, status
    relay.kill()
    began = time.monotonic()
    relay.start([(RELAY4, 25)])
    took = time.monotonic() - began
    lab.fact(f"restart after kill -9 {took:.2f} s until it greets")
    assert took < 10
    assert relay.relayq_json("status", kind="status")[0]["messages"] == count


test_backlog_for_a_dead_site.seconds = 600
