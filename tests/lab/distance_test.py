"""tests/lab/distance_test.py: one family is far, not broken: the race goes to the near one, and the memory knows."""
import time

from servers import wait_until

ALONE = "limits { connection_messages = 1 }\n"


def send(lab, site, local):
    """How long the mail took, and the family that it came over."""
    sent = lab.send(site.rcpt(local))
    both = (site.server4, site.server6)
    site.server4.wait(lambda: any(s.taken(site.rcpt(local)) for s in both), 20, "the mail")
    server = next(s for s in both if s.taken(site.rcpt(local)))
    return server.taken(site.rcpt(local))[0].at - sent, 4 if server is site.server4 else 6


def test_distance_is_real(lab):
    """The harness: a connection over it takes one round trip."""
    site = lab.site()
    lab.distance(site.v6, 0.1)
    for address, least, most in ((site.v6, 0.2, 0.3), (site.v4, 0, 0.1)):
        began = time.monotonic()
        lab.relay_host.connect(address).close()
        took = time.monotonic() - began
        lab.fact(f"{address}: {took * 1000:.0f} ms")
        assert least <= took < most, f"{address}: {took:.3f} s"


def test_the_nearer_family_wins_and_is_remembered(lab):
    """IPv6 answers 400 ms later than IPv4: the first mail takes the attempt delay, the second goes over IPv4 from the start; IPv6 is
    not broken for that, and takes over when IPv4 breaks."""
    site = lab.site()
    lab.distance(site.v6, 0.2)
    relay = lab.relay(ALONE)
    first, family = send(lab, site, "first")
    assert family == 4
    assert 0.2 < first < 0.6, f"{first:.3f} s: the race's attempt delay is 250 ms"
    second, family = send(lab, site, "second")
    lab.fact(f"first mail after {first * 1000:.0f} ms, second after {second * 1000:.0f} ms, both over IPv4")
    assert family == 4 and second < 0.2, f"{second:.3f} s over IPv{family}"
    assert not relay.find(" path-probed ", site.mx)
    lab.block(site.v4, "reject")
    third, family = send(lab, site, "third")
    lab.fact(f"IPv4 broken: over IPv6 after {third * 1000:.0f} ms")
    assert family == 6 and third < 4, f"{third:.3f} s over IPv{family}"


def test_both_far_is_broken_nowhere(lab):
    """700 ms each way, 1.4 s to connect and as much for each answer, over both families: mail arrives at the first attempt, nothing is
    remembered as broken, and connections beside the race's are two at most."""
    site = lab.site()
    for address in (site.v4, site.v6):
        lab.distance(address, 0.7)
    relay = lab.relay(ALONE)
    for local in ("first", "second"):
        took, family = send(lab, site, local)
        lab.fact(f"{local} mail over IPv{family} after {took:.1f} s")
        assert took < 15
    wait_until(lambda: not relay.queued(), 15, "an empty queue")
    assert not relay.find(" deferred ")
    assert len(site.server4.sessions) + len(site.server6.sessions) <= 4
    assert not relay.find(" path-probed ", site.mx)
