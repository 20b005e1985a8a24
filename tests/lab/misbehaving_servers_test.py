"""tests/lab/misbehaving_servers_test.py: a server that misbehaves at one step of the dialogue, in each manner: the mail's fate.

One row of a table is a message with three recipients (one, two, three) to a site of its own, with a server on IPv6, which is
asked first, and one on IPv4. In the first table IPv6 alone misbehaves, in the second one both.

steps     connect                         nobody listens (reset), or packets are dropped (hang)
          greeting ehlo mail data quit    the reply to it
          helo                            EHLO was refused, so HELO was said
          rcpt                            the reply for `two` alone
          body                            in the midst of the content
          dot                             the reply to the final dot
          chunk                           the reply to the first BDAT of a binary message (without PIPELINING: else LAST is out)
          last                            the reply to its BDAT LAST
          after                           behind the reply to the dot, which was 250
          rset                            a message before was refused at RCPT, so RSET is said first
manners   close reset     of the connection
          hang            not a word; inside the content: reads no more
          dribble         the reply takes longer than patience
          garbage long    is no SMTP; a reply over reply_bytes
          421 4yz 5yz     such a reply
          early           the reply comes before the command, with the one before it
          bytes           the proper reply, every byte alone
outcomes  same            delivered over the path that misbehaves
          other           delivered over the other family, in the same attempt
          later           deferred: waits for its retry
          waits           still under way at the end: the last path, and who has seen the final dot, have RFC 5321's minutes
          bounce          returned to its sender
          -               there is no such case
At rcpt 4yz and 5yz concern `two` alone: the others are delivered over the first path. Always: nobody gets two copies, no
recipient is forgotten, and no more sessions get as far as MAIL than the outcome needs.
"""
import re
import time

from client import content
from scripted import CLOSE, RESET, SILENT, Drip, Script, Then, Wait
from servers import wait_until

ONE_PATH = """
          close   reset   hang    dribble garbage long    421     4yz     5yz     early   bytes
connect   -       other   other   -       -       -       -       -       -       -       -
greeting  other   other   other   other   other   other   other   other   other   -       same
ehlo      other   other   other   other   other   other   other   other   same    other   same
helo      other   other   other   other   other   other   other   other   other   other   same
mail      other   other   other   other   other   other   other   other   bounce  other   same
rcpt      other   other   other   other   other   other   other   other   bounce  other   same
data      other   other   other   other   other   other   other   other   bounce  other   same
body      other   other   other   -       other   other   other   other   bounce  other   -
dot       later   later   waits   same    later   later   other   other   bounce  other   same
chunk     other   other   other   other   other   other   other   other   bounce  other   same
last      later   later   waits   same    later   later   other   other   bounce  other   same
after     same    same    same    same    same    same    same    same    same    same    same
rset      same    same    other   other   other   other   same    other   other   same    same
quit      same    same    same    same    same    same    same    same    same    same    same
"""

EVERY_PATH = """
          close   reset   hang    dribble garbage long    421     4yz     5yz     early   bytes
connect   -       later   waits   -       -       -       -       -       -       -       -
greeting  later   later   waits   other   later   later   later   later   later   -       same
ehlo      later   later   waits   other   later   later   later   later   same    later   same
helo      later   later   waits   other   later   later   later   later   later   later   same
mail      later   later   waits   other   later   later   later   later   bounce  later   same
rcpt      later   later   waits   other   later   later   later   later   bounce  later   same
data      later   later   waits   other   later   later   later   later   bounce  later   same
body      later   later   waits   -       later   later   later   later   bounce  later   -
dot       later   later   waits   same    later   later   later   later   bounce  later   same
chunk     later   later   waits   other   later   later   later   later   bounce  later   same
last      later   later   waits   same    later   later   later   later   bounce  later   same
"""

CONFIG = """\
retry { first = 1h   max = 1h   greylist = 1h }
race { attempt_delay = 2s   greeting_delay = 2s   patience = 2s   patience_mail = 2s   stall = 1s }
"""
PATIENCE = 2
NAMES = ("one", "two", "three")
BEFORE_MAIL = ("connect", "greeting", "ehlo", "helo")
CONTENT_ENDED = ("dot", "last")
PROPER = {"greeting": "220 mx.example", "ehlo": "250-mx.example\n250-8BITMIME\n250-CHUNKING\n250 BINARYMIME", 
          "helo": "250 mx.example", "mail": "250 2.1.0 Ok", "rcpt": "250 2.1.5 Ok", "data": "354 go on", "dot": "250 2.0.0 taken",
          "chunk": "250 2.0.0 go on", "last": "250 2.0.0 taken",
          "body": "250 2.0.0 taken", "after": "250 2.0.0 once more", "rset": "250 2.0.0 Ok", "quit": "221 2.0.0 bye"}
STAGES = {"chunk": "bdat", "last": "dot"}  # what scripted.py calls a step, where the name is another
# what the reply to a step comes with, if it comes early
BEFORE = {"ehlo": "greeting", "helo": "ehlo", "mail": "ehlo", "dot": "data", "last": "bdat", "quit": "dot"}
BEFORE_RCPT_OF = {"rcpt": "one", "data": "three", "chunk": "three", "rset": "zero"}  # the same with the reply to the RCPT for …


def act(step, manner):
    """What the server does in place of the proper reply."""
    return {"close": CLOSE, "reset": RESET, "hang": SILENT, "garbage": b"\x80\xfe what?\r\n",
            "long": b"250 " + b"x" * 100000 + b"\r\n",
            "421": "421 4.3.2 closing", "4yz": "451 4.3.0 not now", "5yz": "554 5.3.0 no", "early": b"",
            "dribble": Drip(PATIENCE * 2, PROPER[step]), "bytes": Drip(0.2, PROPER[step])}[manner]


def script(step, manner):
    what = act(step, manner)
    answers, more = {STAGES.get(step, step): what}, {"keywords": ("PIPELINING", "8BITMIME", "CHUNKING", "BINARYMIME")}
    if step == "helo":
        answers["ehlo"] = "502 5.5.1 what is EHLO?"
    elif step == "body":
        said = PROPER["body"] if manner == "early" else what
        # the rest is neither read nor answered
        more = {"body": (100000, Wait(60, CLOSE) if manner == "hang" else Then(said, Wait(60, CLOSE))), "window": 100000}
        answers = {}
    elif step == "after":
        answers = {"dot": Then(PROPER["dot"], PROPER["after"] if manner == "early" else what)}
    early = step if manner == "early" else None
    if early in BEFORE or early in BEFORE_RCPT_OF or step == "chunk":
        more["keywords"] = ("8BITMIME", "CHUNKING", "BINARYMIME")  # with PIPELINING all would have been asked already
    if early in BEFORE:
        before = BEFORE[step]
        answers[before] = (answers.get(before) or PROPER[{"bdat": "chunk"}.get(before, before)]) + "\n" + PROPER[step]

    def rcpt(_, address):
        name = address.partition("@")[0]
        reply = "550 5.1.1 nobody" if name == "zero" else what if (step, name) == ("rcpt", "two") else PROPER["rcpt"]
        return reply + "\n" + PROPER[step] if BEFORE_RCPT_OF.get(early) == name else reply
    answers["rcpt"] = rcpt
    return Script(**more, **answers)


class Row:
    def __init__(self, lab, step, manner, outcome, every):
        self.step, self.manner, self.outcome, self.every = step, manner, outcome, every
        self.name = f"{step}.{manner}" + (".every" if every else "")
        healthy = Script(keywords=("PIPELINING", "8BITMIME", "CHUNKING", "BINARYMIME"))
        if step == "connect":
            self.site = lab.site(healthy, serve4=not every or manner != "reset", serve6=manner != "reset", announce=False)
            if manner == "hang":
                for address in (self.site.v6, self.site.v4)[:1 + every]:
                    lab.block(address, "drop")
        else:
            self.site = lab.site(script(step, manner) if every else healthy, script(step, manner), announce=False)
        self.servers = [s for s in (self.site.server6, self.site.server4) if s]
        self.concerned = ["two"] if (step, manner) in (("rcpt", "4yz"), ("rcpt", "5yz")) else list(NAMES)

    def send(self, lab, sender):
        size = 30 << 20 if self.step == "body" else 0  # more than all buffers on its way
        binary = self.step in ("chunk", "last")
        lab.send([self.site.rcpt(n) for n in NAMES], content(self.name, size) + b"\0\n" * binary, sender=sender,
                 options=["BODY=BINARYMIME"] if binary else [])

    def copies(self, server, name):
        """Copies of which the peer may say that it has taken them: all but those that it refused."""
        refused = lambda reply: isinstance(reply, str) and reply[0] in "45"  # noqa: E731
        return [m for m in server.messages if self.site.rcpt(name) in m.rcpts and not refused(m.reply)]

    def taken(self, name):
        return [server for server in self.servers for _ in server.taken(self.site.rcpt(name))]

    def sessions(self):
        """(over IPv6, over IPv4): MAIL commands."""
        return tuple(sum(s.transactions for s in server.sessions) if server else 0
                     for server in (self.site.server6, self.site.server4))

    def sessions_expected(self):
        """None: how far a server reads that does not know RSET is its own affair."""
        if self.step == "rset":
            return None
        refused = self.manner in ("421", "4yz", "early")  # the server has said that the message was not taken, or nothing of it
        if self.outcome in ("same", "bounce") or self.step in CONTENT_ENDED and self.outcome in ("later", "waits") and not refused:
            return 1, 0
        asked = int(self.step not in BEFORE_MAIL and (self.step, self.manner) != ("mail", "early"))
        return asked, 1 if self.outcome == "other" else asked

    def settled(self, home, queue):
        """Is the outcome there? `queue`: sender → message of relayq's list."""
        queued = queue.get(self.name + "@" + home.domain)
        if self.outcome in ("same", "other"):
            return queued is None
        if self.outcome == "bounce":
            return queued is None and home.server6.taken(home.rcpt(self.name))
        states = {r["state"] for r in queued["rcpts"]} if queued else set()
        return states and states <= ({"deferred", "resting"} if self.outcome == "later" else {"active", "ready", "routing"})

    def wrong(self, home, queue):
        """What is not as the table says; an empty list if all is."""
        wrong = []
        if not self.settled(home, queue):
            wrong.append(f"is not {self.outcome}: {queue.get(self.name + '@' + home.domain)}")
        for name in NAMES:
            outcome = self.outcome if name in self.concerned else "same"
            want = {"same": [self.site.server6], "other": [self.site.server4]}.get(outcome, [])
            if self.taken(name) != want:
                wrong.append(f"{name} was taken by {[s.addresses for s in self.taken(name)]}, not {[s.addresses for s in want]}")
            copies = sum(len(self.copies(s, name)) for s in self.servers)
            if copies > 1:
                wrong.append(f"{copies} copies for {name}")
        if self.sessions_expected() not in (None, self.sessions()):
            wrong.append(f"MAIL was said {self.sessions()} times over IPv6 and IPv4, not {self.sessions_expected()}")
        bounces = home.server6.taken(home.rcpt(self.name)) + home.server4.taken(home.rcpt(self.name))
        returned = [r for b in bounces for r in re.findall(r"^Final-Recipient: \S+ *(\S+?)\r?$", b.text(), re.M)]
        expected = [self.site.rcpt(n) for n in self.concerned] if self.outcome == "bounce" else []
        if returned != expected:
            wrong.append(f"{returned} are in bounces, not {expected}")
        return [f"{self.name}: {w}" for w in wrong]


def rows_of(lab, text, every):
    lines = text.strip("\n").split("\n")
    manners = lines[0].split()
    for line in lines[1:]:
        step, *outcomes = line.split()
        assert len(outcomes) == len(manners), line
        for manner, outcome in zip(manners, outcomes):
            if outcome != "-":
                yield Row(lab, step, manner, outcome, every)


def check(lab, table, every):
    rows = list(rows_of(lab, table, every))
    home = lab.site(announce=False)
    lab.dns.add(*home.records, *(r for row in rows for r in row.site.records))
    relay = lab.relay(CONFIG)
    began = time.monotonic()
    refused = [row for row in rows if row.step == "rset"]
    for row in refused:
        lab.send(row.site.rcpt("zero"), sender="")
    for row in refused:
        relay.wait_log("failed", re.escape(row.site.rcpt("zero")))
    for row in refused + [row for row in rows if row.step != "rset"]:
        row.send(lab, home.rcpt(row.name))

    def queue():
        return {m["sender"]: m for m in relay.queued()}

    def all_settled():
        now = queue()
        return all(row.settled(home, now) for row in rows)
    try:
        wait_until(all_settled, 20, "every row's outcome", 0.2)
    except AssertionError:
        pass  # the rows say better what is wrong
    now = queue()
    wrong = [w for row in rows for w in row.wrong(home, now)]
    lab.fact(f"{len(rows)} rows in {time.monotonic() - began:.1f} s")
    assert not wrong, "\n".join(wrong)
    # QUIT without an answer holds no connection
    quits = [row.site.server6 for row in rows if row.step == "quit"]
    wait_until(lambda: all(s.ended for server in quits for s in server.sessions), 15, "the end of all sessions at quit")
    relay.kill()  # sessions that wait for minutes


def test_one_path_misbehaves(lab):
    check(lab, ONE_PATH, False)


def test_every_path_misbehaves(lab):
    check(lab, EVERY_PATH, True)


test_one_path_misbehaves.seconds = test_every_path_misbehaves.seconds = 120
