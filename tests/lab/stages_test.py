"""tests/lab/stages_test.py: 4yz and 5yz at each stage for one of several recipients; greylisting.

The others are delivered once, the deferred one alone is tried again, the failed one alone stands in the bounce.
"""
import re
import time

from client import content
from scripted import Script, Scripted
from servers import wait_until

RETRY = "retry { first = 1s   max = 1s   greylist = 1s }\n"
KEYWORDS = ("PIPELINING", "8BITMIME", "CHUNKING", "BINARYMIME")

# stage at which the site of one recipient refuses it, both families; a message goes there and to two at a healthy site
STAGES = ("greeting", "ehlo", "mail", "rcpt", "data", "dot", "bdat", "last")
REPLIES = {"4yz": "451 4.3.0 later", "5yz": "554 5.3.0 never"}
# a 5yz greeting is a fault of that path, and after EHLO HELO is tried: neither says anything of the mail
DEFERRED_ALL_THE_SAME = {("greeting", "5yz")}


class Case:
    """A message to two healthy recipients and one at a site that refuses at `stage`, until it is healed."""

    def __init__(self, lab, stage, kind):
        self.stage, self.kind, self.name = stage, kind, f"{stage}.{kind}"
        self.healed = False
        proper = Script(keywords=KEYWORDS).answers
        at = "dot" if stage == "last" else stage

        def answer(*_):
            return proper[at] if self.healed else REPLIES[kind]
        answers = {at: answer}
        if (stage, kind) == ("ehlo", "5yz"):
            answers["helo"] = answer
        self.bad = lab.site(Script(keywords=KEYWORDS, **answers), announce=False)
        self.good = lab.site(Script(keywords=KEYWORDS), announce=False)
        self.fails = kind == "5yz" and stage not in ("greeting", "ehlo")
        self.binary = stage in ("bdat", "last")

    def send(self, lab, sender):
        lab.send([self.good.rcpt("one"), self.bad.rcpt("two"), self.good.rcpt("three")], content(self.name) + b"\0\n" * self.binary,
                 sender=sender, options=["BODY=BINARYMIME"] if self.binary else [])

    def taken(self, site):
        return site.server6.taken() + site.server4.taken()


def test_4yz_and_5yz_at_each_stage(lab):
    cases = [Case(lab, stage, kind) for stage in STAGES for kind in REPLIES]
    home = lab.site(announce=False)
    lab.dns.add(*home.records, *(r for c in cases for r in c.bad.records + c.good.records))
    relay = lab.relay(RETRY)
    for c in cases:
        c.send(lab, home.rcpt(c.name))
    for c in cases:
        Scripted.wait(lambda: c.taken(c.good), 10, f"the healthy two of {c.name}")
        if c.fails:
            text = home.server6.wait_message(home.rcpt(c.name), 10).text()
            returned = re.findall(r"^Final-Recipient: \S+ *(\S+?)\r?$", text, re.M)
            assert returned == [c.bad.rcpt("two")], f"{c.name}: {returned}"
            assert "5.3.0" in text and "never" in text, text
        else:
            relay.wait_log(re.escape(c.bad.rcpt("two")), "^\\S+ info (waiting|deferred)")
    for c in cases:
        c.healed = True
    for c in cases:
        if not c.fails:
            Scripted.wait(lambda: c.taken(c.bad), 15, f"the deferred one of {c.name}")
    wait_until(lambda: not relay.queued(), 10, "an empty queue")
    for c in cases:
        good, bad = c.taken(c.good), c.taken(c.bad)
        assert [sorted(m.rcpts) for m in good] == [[c.good.rcpt("one"), c.good.rcpt("three")]], c.name
        assert [m.rcpts for m in bad] == ([] if c.fails else [[c.bad.rcpt("two")]]), c.name
        assert sum(s.transactions for server in (c.good.server4, c.good.server6) for s in server.sessions) == 1, c.name
    assert len(home.server6.messages) == sum(c.fails for c in cases)


def test_each_reply_to_one_recipient_of_a_transaction(lab):
    """250, 450, 550 and 252 to the recipients of one RCPT group: two are delivered, one alone is retried, one alone is returned."""
    healed = []

    def rcpt(_, address):
        return {"later": "250 2.1.5 Ok" if healed else "450 4.2.1 busy", "never": "550 5.1.1 nobody",
                "perhaps": "252 2.1.5 cannot verify"}.get(address.partition("@")[0], "250 2.1.5 Ok")
    home = lab.site()
    sites = [lab.site(Script(rcpt=rcpt, keywords=k)) for k in (KEYWORDS, ("8BITMIME", "CHUNKING", "BINARYMIME"))]
    relay = lab.relay(RETRY)
    names = ("one", "never", "later", "perhaps")
    for site in sites:
        for binary in (False, True):
            lab.send([site.rcpt(n) for n in names], content(f"{site.domain} {binary}") + b"\0\n" * binary,
                     sender=home.rcpt(f"{site.domain}.{binary}"), options=["BODY=BINARYMIME"] if binary else [])
    all_taken = lambda s: s.server6.taken() + s.server4.taken()  # noqa: E731
    for site in sites:
        relay.wait_log("deferred", re.escape(site.rcpt("later")), count=2)
    healed.append(True)
    for site in sites:
        Scripted.wait(lambda: sum(site.rcpt("later") in m.rcpts for m in all_taken(site)) == 2, 15, "the deferred ones")
        for binary in (False, True):
            text = home.server6.wait_message(home.rcpt(f"{site.domain}.{binary}")).text()
            assert re.findall(r"^Final-Recipient: \S+ *(\S+?)\r?$", text, re.M) == [site.rcpt("never")], text
    wait_until(lambda: not relay.queued(), 10, "an empty queue")
    for site in sites:
        got = sorted(m.rcpts for m in all_taken(site))
        assert got == [[site.rcpt("later")]] * 2 + [[site.rcpt("one"), site.rcpt("perhaps")]] * 2, got
    assert len(home.server6.messages) == 4


class Greylist:
    """Accepts from whom it has seen `seconds` before; `key` says what it remembers."""

    def __init__(self, seconds, key):
        self.seconds, self.key, self.seen = seconds, key, {}

    def script(self):
        def rcpt(session, address):
            first = self.seen.setdefault(self.key(session, address), time.monotonic())
            return "250 2.1.5 Ok" if time.monotonic() - first >= self.seconds else "451 4.7.1 Greylisted, please come back"
        return Script(rcpt=rcpt)


GREYLISTS = {"client address": lambda session, rcpt: session.peer,
             "client network": lambda session, rcpt: session.peer.rpartition("." if "." in session.peer else ":")[0],
             "triplet": lambda session, rcpt: (session.peer, session.sender, rcpt)}


def test_greylisting(lab):
    """Servers on two addresses of each family, each with a memory of its own: relay64 comes back to the one that it had asked
    first, from the same source, after `greylist`; so the second attempt is the last."""
    sites = []
    for what, key in GREYLISTS.items():
        for n in range(4):
            site = lab.site(serve4=False, serve6=False, announce=False)
            more = lab.site(serve4=False, serve6=False, announce=False)
            site.kind, site.records = what, site.records + [r.replace(more.mx, site.mx) for r in more.records[:2]]
            site.servers = [lab.server(a, Greylist(1.5, key).script()) for a in (site.v6, more.v6, site.v4, more.v4)]
            sites.append(site)
    lab.dns.add(*(r for s in sites for r in s.records))
    relay = lab.relay("retry { first = 1h   max = 1h   greylist = 3s }\nlimits { connection_idle = 200ms }\n")
    for site in sites:
        lab.send([site.rcpt("one"), site.rcpt("two")], sender="first@old.example")
    for site in sites:
        relay.wait_log("deferred", re.escape(site.rcpt("two")))
    # meanwhile IPv6 fails and comes back: IPv4 is preferred now, but not by this mail
    for site in sites:
        for server in site.servers[:2]:
            lab.block(server.addresses[0], "reject")
        lab.send(site.rcpt("three"), sender="second@old.example")
    for site in sites:
        relay.wait_log("deferred", re.escape(site.rcpt("three")))
    lab.mx_host.nft_clear()
    for site in sites:
        of_first = lambda: [m for s in site.servers for m in s.taken(site.rcpt("one"))]  # noqa: E731
        Scripted.wait(of_first, 15, f"mail past the greylist by {site.kind}")
        message, = of_first()
        assert sorted(message.rcpts) == [site.rcpt("one"), site.rcpt("two")], message.rcpts
        asked = sorted((at, s.local, s.peer) for server in site.servers for s in server.sessions
                       for at, line in s.commands if line.startswith("MAIL FROM:<first@"))
        paths = [(local, peer) for _, local, peer in asked]
        assert len(paths) == 3 and (":" in paths[0][0]) != (":" in paths[1][0]), f"{site.kind}: not two families: {paths}"
        assert paths[2] == paths[0], f"{site.kind}: came back over {paths[2]}, not {paths[0]}"
        assert 2 <= asked[2][0] - asked[0][0] < 10, asked
