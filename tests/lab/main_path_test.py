"""tests/lab/main_path_test.py: an IPv4-only Postfix and an IPv6-only Postfix write to each other through relay64."""
import contextlib

from client import body_sha256, content
from lab import RELAY4, RELAY6


class World:
    """The two Postfix machines, started once for all tests here; every test has a relay of its own."""
    old = new = None


def setup(lab):
    World.old = lab.postfix("old", v4="192.0.2.10", domains=["old.example"], scope=lab.everything, relayhost=f"[{RELAY4}]",
                            minimal_backoff_time="1s", maximal_backoff_time="2s", queue_run_delay="1s")
    World.new = lab.postfix("new", v6="2001:db8:1::10", domains=["new.example"], scope=lab.everything, relayhost=f"[{RELAY6}]",
                            minimal_backoff_time="1s", maximal_backoff_time="2s", queue_run_delay="1s")
    lab.dns.add("old.example. MX 10 mx.old.example.", "mx.old.example. A 192.0.2.10",
                "new.example. MX 10 mx.new.example.", "mx.new.example. AAAA 2001:db8:1::10", "null.example. MX 0 .")
    World.old.wait()
    World.new.wait()


def test_ipv4_only_postfix_to_ipv6_only_mx(lab):
    relay = lab.relay()
    World.old.submit("a@old.example", "b@new.example", content("from four to six"))
    mail = World.new.wait_mail("Subject: from four to six")
    assert mail["Return-Path"] == "<a@old.example>", mail["Return-Path"]
    received = mail.get_all("Received")
    assert "relay.example" in received[0] and "2001:db8:2::64" in received[0], received[0]  # as Postfix saw the relay
    assert "192.0.2.10" in received[1] and "by relay.example" in received[1], received[1]  # as the relay saw Postfix
    relay.wait_log("b@new.example", "2001:db8:1::10")
    lab_empty(relay)


def test_ipv6_only_postfix_to_ipv4_only_mx(lab):
    relay = lab.relay()
    World.new.submit("b@new.example", "a@old.example", content("from six to four"))
    mail = World.old.wait_mail("Subject: from six to four")
    received = mail.get_all("Received")
    assert "198.51.100.64" in received[0], received[0]
    assert "2001:db8:1::10" in received[1], received[1]
    relay.wait_log("a@old.example", "192.0.2.10")
    lab_empty(relay)


def lab_empty(relay):
    from servers import wait_until
    wait_until(lambda: not relay.queued(), 5, "an empty queue")


def test_both_ways_at_once(lab):
    relay = lab.relay()
    for n in range(20):
        World.old.submit("a@old.example", f"b{n}@new.example", content(f"many four {n}."))
        World.new.submit("b@new.example", f"a{n}@old.example", content(f"many six {n}."))
    for n in range(20):
        World.new.wait_mail(f"Subject: many four {n}.", 30)
        World.old.wait_mail(f"Subject: many six {n}.", 30)
    lab_empty(relay)


def test_20_mib_between_postfix_and_postfix(lab):
    lab.relay()
    message = content("twenty", 20 << 20)
    World.old.submit("a@old.example", "b@new.example", message)
    mail = World.new.wait_mail("Subject: twenty", 60)
    assert body_sha256(mail.raw.replace(b"\n", b"\r\n")) == body_sha256(message), "the content has changed"


def report(mail):
    """The parts of an RFC 3464 report: text, delivery-status (list of field groups), type of the third part."""
    assert mail.get_content_type() == "multipart/report", mail.get_content_type()
    assert mail.get_param("report-type") == "delivery-status", mail["Content-Type"]
    parts = list(mail.iter_parts())
    kinds = [p.get_content_type() for p in parts]
    assert kinds[:2] == ["text/plain", "message/delivery-status"], kinds
    assert kinds[2] in ("message/rfc822", "text/rfc822-headers"), kinds
    return parts[0].get_content(), list(parts[1].get_payload()), parts[2]


def expect_bounce(lab, relay, rcpt, subject, status, *words):
    World.old.submit("a@old.example", rcpt, content(subject))
    mail = World.old.wait_mail(f"Subject: {subject}".encode() + b"\nMessage-ID", 20)
    assert mail["Return-Path"] == "<>", mail["Return-Path"]
    assert "relay.example" in mail["From"], mail["From"]
    assert mail["Auto-Submitted"] == "auto-replied", mail["Auto-Submitted"]
    assert "a@old.example" in mail["To"], mail["To"]
    text, groups, original = report(mail)
    assert "relay.example" in groups[0]["Reporting-MTA"], groups[0].items()
    assert rcpt in groups[1]["Final-Recipient"], groups[1].items()
    assert groups[1]["Action"] == "failed", groups[1].items()
    assert groups[1]["Status"] == status, groups[1].items()
    for word in (rcpt, *words):
        assert word in text, f"{word!r} is not in the bounce's text:\n{text}"
    assert subject in original.as_string()
    lab_empty(relay)
    return mail


def test_5yz_reply_bounces_to_the_senders_postfix(lab):
    from scripted import Script
    site = lab.site(Script(rcpt="550 5.1.1 nobody of that name here"))
    relay = lab.relay()
    mail = expect_bounce(lab, relay, site.rcpt("nobody"), "to nobody", "5.1.1", "nobody of that name here", site.mx)
    groups = list(list(mail.iter_parts())[1].get_payload())
    assert "550 5.1.1" in groups[1]["Diagnostic-Code"], groups[1].items()
    assert site.mx in groups[1]["Remote-MTA"], groups[1].items()


def test_null_mx_bounces(lab):
    expect_bounce(lab, lab.relay(), "x@null.example", "to a null MX", "5.1.10")


def test_unknown_domain_bounces(lab):
    expect_bounce(lab, lab.relay(), "x@no-such-domain.example", "to no domain", "5.1.2")


def test_no_bounce_of_a_bounce(lab):
    from scripted import Script
    site = lab.site(Script(rcpt="550 5.1.1 no"))
    relay = lab.relay()
    lab.send(site.rcpt(), content("null sender"), sender="")
    lab_empty(relay)
    with contextlib.suppress(AssertionError):
        World.old.wait_mail("Subject: null sender", 1)
        raise RuntimeError("a bounce was bounced")
