"""tests/lab/notices_test.py: what senders are told: bounces, warnings, notices of success; read as mail programs read them."""
import email
import email.policy
import quopri
import time

from client import Client, content
from lab import RELAY4
from scripted import Script
from servers import wait_until

DSN = ("PIPELINING", "SIZE 104857600", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN")


class Notice:
    """A notice that came to a scripted server, taken apart."""

    def __init__(self, message):
        assert message.sender == "", f"from <{message.sender}>"
        self.mail = email.message_from_bytes(message.text().encode(), policy=email.policy.default)
        assert not self.mail.defects, self.mail.defects
        assert self.mail.get_content_type() == "multipart/report", self.mail["Content-Type"]
        assert self.mail["Auto-Submitted"] == "auto-replied"
        self.words, report, self.returned = list(self.mail.iter_parts())
        for part in (self.words, report, self.returned):
            assert not part.defects, part.defects
        assert report.get_content_type() == "message/delivery-status"
        self.text = self.words.get_content()
        self.message, *self.rcpts = report.get_payload()

    def rcpt(self, address):
        """The fields about one recipient, as a dictionary."""
        found = [dict(r.items()) for r in self.rcpts if r["Final-Recipient"] == f"rfc822; {address}"]
        assert len(found) == 1, f"{len(found)} blocks about {address}"
        return found[0]


def submit(lab, sender, rcpts, message=None, mail=()):
    """One message; each recipient is an address, or (address, [parameters])."""
    with Client(lab.client, RELAY4) as c:
        c.ehlo()
        code, words = c.mail(sender, mail)
        assert code == 250, (code, words)
        for rcpt in rcpts:
            address, options = rcpt if isinstance(rcpt, tuple) else (rcpt, [])
            code, words = c.rcpt(address, options)
            assert code == 250, (code, words)
        code, words = c.data(message or content())
        assert code == 250, (code, words)


def told(home, count=1, seconds=15):
    """The notices that came to the sender's server, oldest first."""
    both = lambda: home.server6.taken() + home.server4.taken()  # noqa: E731
    home.server6.wait(lambda: len(both()) >= count, seconds, f"{count} notices")
    assert len(both()) == count, [m.text() for m in both()]
    return [Notice(m) for m in sorted(both(), key=lambda m: m.at)]


def empty(relay, seconds=10):
    wait_until(lambda: not relay.queued(), seconds, "an empty queue")


def test_failure_comes_back_whole(lab):
    """A small message goes back whole, with words that a person understands and a report that a program reads."""
    home, site = lab.site(), lab.site(Script(rcpt="550 5.1.1 no such user here"))
    relay = lab.relay()
    message = content("small enough")
    lab.send(site.rcpt(), message, sender=home.rcpt("s"))
    notice = told(home)[0]
    assert "There is no mailbox of this name." in notice.text, notice.text
    assert "no such user here" in notice.text
    assert notice.returned.get_content_type() == "message/rfc822"
    original = notice.returned.get_payload()[0]
    assert original["Subject"] == "small enough"
    assert original.get_payload().replace("\r\n", "\n") == message.partition(b"\r\n\r\n")[2].decode().replace("\r\n", "\n")
    assert notice.message["Reporting-MTA"] == "dns; relay.example"
    fields = notice.rcpt(site.rcpt())
    assert fields["Action"] == "failed" and fields["Status"] == "5.1.1", fields
    assert fields["Remote-MTA"] == f"dns; {site.mx}" and "smtp; 550 5.1.1 no such user here" in fields["Diagnostic-Code"], fields
    line = relay.wait_log(" bounce ", "kind=failed")
    assert "original=" in str(line)
    empty(relay)


def test_large_message_comes_back_as_its_header(lab):
    home, site = lab.site(), lab.site(Script(rcpt="550 5.1.1 no"))
    relay = lab.relay("limits { bounce_size = 20K }\n")
    lab.send(site.rcpt(), content("large", 3 << 20), sender=home.rcpt("s"))
    notice = told(home)[0]
    assert notice.returned.get_content_type() == "text/rfc822-headers"
    assert "Subject: large" in notice.returned.get_content()
    empty(relay)


def test_delay_is_told_once(lab):
    """After `warn` one warning, however often it is tried again; then the mail arrives."""
    home = lab.site()
    site = lab.site(Script(rcpt=["452 4.2.2 mailbox full"] * 8 + ["250 2.1.5 Ok"]))
    relay = lab.relay("retry { first = 1s   max = 1s   greylist = 1s   warn = 2s }\n")
    lab.send(site.rcpt(), sender=home.rcpt("s"))
    site.server6.wait(lambda: site.server6.taken() + site.server4.taken(), 30, "the mail in the end")
    notice = told(home)[0]
    assert "You need not send your message again." in notice.text
    assert "The recipient's mailbox is full at the moment." in notice.text, notice.text
    fields = notice.rcpt(site.rcpt())
    assert fields["Action"] == "delayed" and fields["Status"] == "4.2.2" and fields["Will-Retry-Until"], fields
    assert notice.returned.get_content_type() == "text/rfc822-headers"
    relay.wait_log(" bounce ", "kind=delayed")
    empty(relay)


def test_delay_is_told_at_a_resting_site(lab):
    """Nobody listens there: mail that waits without attempts of its own is told of too, and once across a restart."""
    home, site = lab.site(), lab.site(serve4=False, serve6=False)
    relay = lab.relay("retry { first = 1s   max = 1s   warn = 2s }\n")
    for name in ("one", "two", "three"):
        lab.send(site.rcpt(name), sender=home.rcpt("s"))
    notices = told(home, 3, 30)
    assert sorted(n.rcpts[0]["Final-Recipient"] for n in notices) == sorted(
        f"rfc822; {site.rcpt(name)}" for name in ("one", "two", "three"))
    assert all("cannot be reached at the moment" in n.text for n in notices), notices[0].text
    relay.stop()
    before = len(relay.lines)
    relay.start([(RELAY4, 25)])
    relay.wait_log("site-rests", count=3, seconds=20, since=before)
    told(home, 3)


def test_double_bounces_and_postmaster(lab):
    """What fails without a sender goes to `double_bounces`, and no further; mail for the postmaster goes where it is said."""
    post = lab.site(Script(rcpt=lambda _, rcpt: "550 5.1.1 no" if rcpt.startswith("gone@") else "250 2.1.5 Ok"))
    site = lab.site(Script(rcpt="550 5.1.1 no"))
    relay = lab.relay(f"postmaster = {post.rcpt('pm')}\ndouble_bounces = {post.rcpt('doubles')}\n")
    lab.send(site.rcpt(), content("null sender"), sender="")
    post.server6.wait_message(post.rcpt("doubles"), 15)
    notice = told(post)[0]
    assert notice.mail["X-relay64-Double-Bounce"] == "relay.example"
    assert notice.rcpt(site.rcpt())["Action"] == "failed"
    # a bounce of ours that fails: the sender's mailbox is gone as well
    lab.send(site.rcpt(), sender=post.rcpt("gone"))
    notice = told(post, 2)[1]
    assert notice.rcpt(post.rcpt("gone"))["Status"] == "5.1.1"
    # the double bounce itself comes back without a sender: the end of it
    lab.send(site.rcpt(), post.server6.taken()[-1].text().encode() if post.server6.taken() else post.server4.taken()[-1].text().encode(),
             sender="")
    relay.wait_log("bounce-dropped", "came back")
    empty(relay)
    told(post, 2)
    for rcpt in ("postmaster", "Postmaster@relay.example"):
        lab.send(rcpt, content("to the postmaster"))
    both = lambda: [m for m in post.server6.taken() + post.server4.taken() if post.rcpt("pm") in m.rcpts]  # noqa: E731
    post.server6.wait(lambda: len(both()) == 2, 15, "mail for the postmaster")
    empty(relay)


def test_notify_and_ret(lab):
    """NEVER is never told of, FAILURE is; RET=HDRS brings the header alone; ENVID and ORCPT come back as they were."""
    home, site = lab.site(), lab.site(Script(rcpt="550 5.1.1 no"))
    relay = lab.relay()
    submit(lab, home.rcpt("s"), [(site.rcpt("never"), ["NOTIFY=NEVER"]),
                                 (site.rcpt("failure"), ["NOTIFY=FAILURE", "ORCPT=rfc822;Bob+2Btag@old.example"]),
                                 (site.rcpt("delay"), ["NOTIFY=DELAY"]), (site.rcpt("success"), ["NOTIFY=SUCCESS"])],
           mail=["RET=HDRS", "ENVID=QQ+3D314159"])
    empty(relay)
    notice = told(home)[0]
    assert len(notice.rcpts) == 1, notice.rcpts
    assert notice.rcpt(site.rcpt("failure"))["Original-Recipient"] == "rfc822; Bob+tag@old.example"
    assert notice.message["Original-Envelope-Id"] == "QQ=314159"
    assert notice.returned.get_content_type() == "text/rfc822-headers"
    submit(lab, home.rcpt("s"), [site.rcpt("full")], mail=["RET=FULL"])
    assert told(home, 2)[1].returned.get_content_type() == "message/rfc822"
    empty(relay)


def test_success_is_told_where_the_next_hop_does_not(lab):
    """`relayed` where the next hop offers no DSN; where it does, what is asked for goes with the mail."""
    home, plain, able = lab.site(), lab.site(), lab.site(Script(keywords=DSN))
    relay = lab.relay()
    submit(lab, home.rcpt("s"), [(plain.rcpt(), ["NOTIFY=SUCCESS"]), (able.rcpt(), ["NOTIFY=SUCCESS"])])
    able.server6.wait(lambda: able.server6.taken() + able.server4.taken(), 10, "the mail")
    notice = told(home)[0]
    assert len(notice.rcpts) == 1
    fields = notice.rcpt(plain.rcpt())
    assert fields["Action"] == "relayed" and fields["Status"].startswith("2."), fields
    assert "handed on to the next mail server" in notice.text
    assert notice.returned.get_content_type() == "text/rfc822-headers"
    session = (able.server6.taken() + able.server4.taken())[0].session
    assert "NOTIFY=SUCCESS" in session.said("RCPT")[0].upper(), session.said("RCPT")
    relay.wait_log(" bounce ", "kind=relayed")
    empty(relay)


RIGHTS = "client 192.0.2.0/24 { deliver_by = yes   future_release = yes }\nlimits { deliver_by = 1s }\n"


def test_deliver_by_comes_without_a_retry(lab):
    """Nobody listens there and the next try is an hour away: mode R fails when its time comes, mode N is told of then."""
    home, site = lab.site(), lab.site(serve4=False, serve6=False)
    relay = lab.relay(RIGHTS + "retry { first = 1h   max = 1h }\n")
    began = time.monotonic()
    submit(lab, home.rcpt("s"), [site.rcpt("return")], mail=["BY=3;R"])
    submit(lab, home.rcpt("s"), [site.rcpt("notify")], mail=["BY=3;N"])
    notices = {n.rcpts[0]["Final-Recipient"]: n for n in told(home, 2)}
    lab.fact(f"both told {time.monotonic() - began:.1f} s after MAIL (BY=3)")
    assert time.monotonic() - began > 2
    fields = notices[f"rfc822; {site.rcpt('return')}"].rcpt(site.rcpt("return"))
    assert (fields["Action"], fields["Status"]) == ("failed", "5.4.7"), fields
    late = notices[f"rfc822; {site.rcpt('notify')}"]
    assert late.message["Deliver-By-Date"]
    assert (late.rcpt(site.rcpt("notify"))["Action"], late.rcpt(site.rcpt("notify"))["Status"]) == ("delayed", "4.4.7")
    wait_until(lambda: len(relay.queued()) == 1, 10, "the one of mode N alone")


def test_held_for_release(lab):
    """HOLDFOR: not tried before, `relayq retry` notwithstanding, and across a restart; then at once."""
    site = lab.site()
    relay = lab.relay(RIGHTS)
    began = time.monotonic()
    submit(lab, "a@old.example", [site.rcpt()], mail=["HOLDFOR=5"])
    assert "held for release at" in str(relay.queued())
    relay.relayq("retry", *relay.ids())
    relay.stop()
    relay.start([(RELAY4, 25)])
    both = lambda: site.server6.taken() + site.server4.taken()  # noqa: E731
    site.server6.wait(both, 15, "the mail")
    took = both()[0].at - began
    lab.fact(f"sent {took:.1f} s after MAIL (HOLDFOR=5)")
    assert 4.5 < took < 8, took
    empty(relay)


def test_notice_about_a_utf8_address(lab):
    """The sender's server has neither SMTPUTF8 nor 8BITMIME: it can take the notice, and the address can be read in it."""
    home = lab.site(Script(keywords=("PIPELINING", "ENHANCEDSTATUSCODES")))
    site = lab.site()  # no SMTPUTF8
    relay = lab.relay()
    address = f"\u03b4\u03bf\u03ba\u03b9\u03bc\u03ae@{site.domain}"
    message = content("x").replace(b"Subject: x", "Subject: \u03b4".encode())
    with Client(lab.client, RELAY4) as c:
        c.ehlo()
        c.command_encoding = "utf-8"
        assert c.docmd("MAIL", f"FROM:<{home.rcpt('s')}> SMTPUTF8 BODY=8BITMIME")[0] == 250
        assert c.docmd("RCPT", f"TO:<{address}>")[0] == 250
        assert c.data(message)[0] == 250
    notice = told(home)[0]
    assert address in notice.text, notice.text
    fields = dict(notice.rcpts[0].items())
    escaped = "".join(f"\\x{{{ord(x):X}}}" if ord(x) > 127 else x for x in address)
    assert fields["Final-Recipient"] == f"utf-8; {escaped}", fields
    assert fields["Status"].startswith("5.6."), fields
    assert notice.returned.get_content_type() == "message/global"
    assert notice.returned["Content-Transfer-Encoding"] == "quoted-printable"
    returned = quopri.decodestring(notice.returned.get_payload()[0].as_bytes())
    assert "Subject: \u03b4" in returned.decode(), returned
    empty(relay)
