"""tests/lab/resting_test.py: a site that no path reaches rests; one probe at a time; when it heals, all its mail goes."""
import time

from lab import RELAY4
from scripted import Script, Scripted
from servers import wait_until


def dead_site(lab, how):
    site = lab.site(serve4=False, serve6=False)
    lab.mx_host.block(site.v4, how)
    lab.mx_host.block(site.v6, how)
    lab.test.callback(lab.mx_host.nft_clear)
    return site


def waiting(relay):
    """Recipients that wait for a resting site; those that were in an attempt themselves are called deferred."""
    return relay.relayq_json("status", kind="status")[0]["resting"] and relay.states("resting") + relay.states("deferred")


def syns(lab, site):
    return lab.mx_host.blocked(site.v4) + lab.mx_host.blocked(site.v6)


def test_mail_to_a_resting_site_waits_without_an_attempt(lab):
    site = dead_site(lab, "reject")
    relay = lab.relay("retry { first = 1h }\n")
    lab.send(site.rcpt("first"))
    relay.wait_log(site.rcpt("first"), r"refused|rest")
    wait_until(lambda: waiting(relay), 5, "the word that it rests")
    before = syns(lab, site)
    assert before >= 2, f"only {before} connection attempts: were both families tried?"
    for n in range(20):
        lab.send(site.rcpt(f"later{n}"))
    wait_until(lambda: waiting(relay) == 21, 5, "21 messages that rest")
    assert syns(lab, site) == before, "mail that arrived while the site rested made attempts of its own"
    assert "refused" in relay.relayq("show", relay.ids()[0])


def test_one_probe_at_the_end_of_the_rest(lab):
    site = dead_site(lab, "reject")
    relay = lab.relay("retry { first = 2s   max = 2s   greylist = 2s }\n")
    for n in range(10):
        lab.send(site.rcpt(f"m{n}"))
    wait_until(lambda: waiting(relay) == 10, 10, "10 messages that rest")
    before = syns(lab, site)
    wait_until(lambda: syns(lab, site) > before, 10, "a probe")
    time.sleep(1.0)  # a second one must not follow at once
    probed = syns(lab, site) - before
    lab.fact(f"{probed} connection attempts in a probe of a site with two addresses")
    assert probed <= 3, f"{probed} connection attempts for one probe"


def test_a_healed_site_gets_all_its_mail(lab):
    site = dead_site(lab, "reject")
    relay = lab.relay("retry { first = 2s   max = 2s   greylist = 2s }\n")
    for n in range(30):
        lab.send(site.rcpt(f"m{n}"))
    wait_until(lambda: waiting(relay) == 30, 10, "30 messages that rest")
    server = lab.server([site.v4, site.v6])
    lab.mx_host.nft_clear()
    healed = time.monotonic()
    last = server.wait_message(seconds=20, count=30)[-1]
    lab.fact(f"30 messages {last.at - healed:.1f} s after the site healed (probe every 2 s)")
    wait_until(lambda: not relay.queued(), 5, "an empty queue")
    assert len(server.messages) == 30


def test_retry_by_hand_probes_at_once(lab):
    site = dead_site(lab, "reject")
    relay = lab.relay("retry { first = 1h }\n")
    lab.send(site.rcpt())
    wait_until(lambda: waiting(relay), 10, "the word that it rests")
    server = lab.server([site.v4, site.v6])
    lab.mx_host.nft_clear()
    relay.relayq("retry", relay.ids()[0])
    server.wait_message(site.rcpt(), 10)


def test_black_hole_rests_too_and_others_are_not_delayed(lab):
    """SYNs of both families dropped: other domains' mail flows meanwhile."""
    dead = dead_site(lab, "drop")
    alive = lab.site()
    relay = lab.relay("race { connect_time = 3s }\nretry { first = 1h }\n")
    for n in range(50):
        lab.send(dead.rcpt(f"m{n}"))
    slowest = 0
    for n in range(10):
        began = lab.send(alive.rcpt(f"m{n}"))
        slowest = max(slowest, alive.server6.wait_message(alive.rcpt(f"m{n}"), 10).at - began)
    lab.fact(f"other mail beside a black hole: at most {slowest:.3f} s")
    assert slowest < 1
    wait_until(lambda: waiting(relay) == 50, 30, "50 messages that rest")


def test_greets_5yz_everywhere_is_deferred_not_failed(lab):
    site = lab.site(Script(greeting="554 5.7.1 go away"))
    relay = lab.relay("retry { first = 1h }\n")
    lab.send(site.rcpt())
    relay.wait_log(site.rcpt(), "go away")
    assert len(relay.queued()) == 1
    counts = len(site.server4.sessions), len(site.server6.sessions)
    assert counts == (1, 1), f"{counts}\n" + relay.relayq("show", relay.ids()[0])


def test_mx_that_is_the_relay_itself_is_cut(lab):
    """MX names whose addresses are this relay's: no loop (RFC 5321 §5.1)."""
    n = lab.number()
    lab.dns.add(f"d{n}.example. MX 10 relay.example.", f"relay.example. A {RELAY4}")
    home = lab.site()
    relay = lab.relay()
    lab.send(f"b@d{n}.example", sender=home.rcpt("sender"))
    Scripted.wait(lambda: home.server6.messages or relay.find(f"d{n}.example", "itself|loop|5.4.6"), 10, "the word that it is itself")
    time.sleep(0.5)
    assert len(relay.find("queued as|from=")) < 20, "the message runs in circles"
