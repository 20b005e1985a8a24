"""tests/lab/outcomes_test.py: what a server answers, and what becomes of each recipient."""
import time

from client import body_sha256, content
from scripted import CLOSE, RESET, SILENT, Script, Scripted, Wait
from servers import wait_until

RETRY = "retry { first = 1s   max = 2s   greylist = 1s }\n"


def empty(relay, seconds=10):
    wait_until(lambda: not relay.queued(), seconds, "an empty queue")


def test_one_of_three_recipients_is_deferred(lab):
    """450 at RCPT for one: the others are delivered once, that one alone is tried again and arrives."""
    refused = []

    def rcpt(_, address):
        if address.startswith("later@") and len(refused) < 3:
            refused.append(time.monotonic())
            return "450 4.2.0 mailbox busy"
        return "250 2.1.5 Ok"
    site = lab.site(Script(rcpt=rcpt))
    relay = lab.relay(RETRY)
    lab.send([site.rcpt("one"), site.rcpt("later"), site.rcpt("two")])
    both = site.server6.messages, site.server4.messages
    site.server6.wait(lambda: sum(site.rcpt("later") in m.rcpts for ms in both for m in ms if m.taken), 20, "the deferred one")
    empty(relay)
    for name in ("one", "later", "two"):
        assert sum(site.rcpt(name) in m.rcpts for ms in both for m in ms if m.taken) == 1, f"{name} did not come exactly once"
    relay.wait_log(site.rcpt("later"), "450")


def test_4yz_at_the_dot_is_retried_with_back_off(lab):
    site = lab.site(Script(dot=["451 4.3.0 no room"] * 4 + ["250 2.0.0 ok"]))
    relay = lab.relay(RETRY)
    lab.send(site.rcpt())
    all_messages = lambda: site.server4.messages + site.server6.messages  # noqa: E731
    site.server6.wait(lambda: any(m.taken for m in all_messages()), 25, "delivery in the end")
    empty(relay)
    assert sum(m.taken for m in all_messages()) == 1
    relay.wait_log(site.rcpt(), "no room")


def test_4yz_tries_one_more_path_then_waits(lab):
    """sessions_per_attempt = 2: over both families once, then deferred until the retry."""
    site = lab.site(Script(mail="451 4.3.0 please wait"))
    relay = lab.relay("retry { first = 1h }\n")
    lab.send(site.rcpt())
    Scripted.wait(lambda: len(site.server6.sessions) and len(site.server4.sessions), 10, "both families to be asked")
    wait_until(lambda: relay.states("deferred"), 10, "the deferral")
    relay.wait_log(site.rcpt(), "please wait")
    count = sum(s.transactions for server in (site.server4, site.server6) for s in server.sessions)
    assert count == 2, f"MAIL was said {count} times in one attempt"
    assert len(relay.queued()) == 1


def test_5yz_at_the_dot_bounces(lab):
    home = lab.site()
    site = lab.site(Script(dot="554 5.6.0 content refused"))
    relay = lab.relay()
    lab.send(site.rcpt(), sender=home.rcpt("sender"))
    text = home.server6.wait_message(home.rcpt("sender"), 15).text()
    assert "Status: 5.6.0" in text and "content refused" in text, text
    empty(relay)


def test_bounce_names_every_path(lab):
    """The bounce says what was tried over which family with what answer."""
    home = lab.site()
    site = lab.site(Script(rcpt="550 5.1.1 no such user at four"), Script(greeting="421 4.3.2 six is closed"))
    lab.relay()
    lab.send(site.rcpt(), sender=home.rcpt("sender"))
    text = home.server6.wait_message(home.rcpt("sender"), 15).text().replace("=\r\n", "")
    for word in (site.v4, site.v6, "no such user at four", "six is closed"):
        assert word in text, f"{word} is not in the bounce:\n{text}"


def lost_after_the_dot(lab, act):
    """The connection is lost between the final dot and its reply: unknown, so no second copy now, over any path."""
    site = lab.site(Script(dot=[act, "250 2.0.0 ok"]))
    relay = lab.relay("retry { first = 3s   max = 3s   greylist = 3s }\n")
    lab.send(site.rcpt())
    site.server6.wait(lambda: site.server6.messages or site.server4.messages, 10, "the first copy")
    first = (site.server6.messages or site.server4.messages)[0]
    wait_until(lambda: relay.states("deferred"), 5, "the deferral")
    assert len(relay.queued()) == 1, "taken for success or failure"
    site.server6.wait(lambda: len(site.server6.messages) + len(site.server4.messages) == 2, 15, "the second copy")
    second = (site.server6.messages + site.server4.messages)
    second.sort(key=lambda m: m.at)
    gap = second[1].at - first.at
    lab.fact(f"second copy {gap:.1f} s after the lost reply (retry first = 3 s)")
    assert gap > 1.5, "the second copy went out at once"
    empty(relay)


def test_closed_after_the_dot_is_not_sent_again_at_once(lab):
    lost_after_the_dot(lab, CLOSE)


def test_reset_after_the_dot_is_not_sent_again_at_once(lab):
    lost_after_the_dot(lab, RESET)


def test_silence_after_the_dot_keeps_the_session(lab):
    """A server that thinks long after the dot is not given up, and no copy goes out over another path."""
    site = lab.site(Script(dot=Wait(12, "250 2.0.0 at last")))
    relay = lab.relay(RETRY + "race { patience = 1s   patience_mail = 2s   stall = 2s }\n")
    lab.send(site.rcpt())
    taken = lambda: site.server6.taken() + site.server4.taken()  # noqa: E731
    site.server6.wait(taken, 25, "the reply after 12 s")
    empty(relay)
    assert len(site.server4.messages + site.server6.messages) == 1, "a second copy went out"


def lost_before_the_dot(lab, size=2 << 20, **script):
    """A session lost before the dot: the next path takes the message at once, and it comes once."""
    site = lab.site(Script(), Script(**script))
    relay = lab.relay("race { patience_mail = 2s   stall = 2s }\n")
    message = content("lost before the dot", size)
    began = lab.send(site.rcpt(), message)
    arrived = site.server4.wait_message(site.rcpt(), 20)
    lab.fact(f"over IPv4 {arrived.at - began:.3f} s after acceptance")
    assert arrived.sha256 == body_sha256(message)
    empty(relay)
    assert not site.server6.taken()


def test_closed_at_mail_goes_over_the_other_family(lab):
    lost_before_the_dot(lab, mail=CLOSE)


def test_reset_at_rcpt_goes_over_the_other_family(lab):
    lost_before_the_dot(lab, rcpt=RESET)


def test_silent_at_data_goes_over_the_other_family(lab):
    lost_before_the_dot(lab, data=SILENT)


def test_reset_inside_data_goes_over_the_other_family(lab):
    lost_before_the_dot(lab, body=(300000, RESET))


def test_stalled_inside_data_goes_over_the_other_family(lab):
    """The server reads no more: nothing is acknowledged for `stall`. The message is larger than all buffers on its way."""
    lost_before_the_dot(lab, 30 << 20, body=(100000, Wait(60, CLOSE)), window=100000)


def test_eight_bit_mail_passes_where_it_is_offered(lab):
    site = lab.site()
    lab.relay()
    message = content("umlaut").replace(b"two dots", "zwei Pünktchen".encode())
    lab.send(site.rcpt(), message, options=["BODY=8BITMIME"])
    arrived = site.server6.wait_message(site.rcpt())
    assert arrived.sha256 == body_sha256(message)
    assert "BODY=8BITMIME" in arrived.mail_parameters.upper(), arrived.mail_parameters


def test_server_without_ehlo_gets_helo(lab):
    site = lab.site(Script(ehlo="502 5.5.1 what is EHLO?"))
    lab.relay()
    lab.send(site.rcpt())
    session = site.server6.wait_message(site.rcpt()).session
    assert session.said("HELO") and "SIZE=" not in session.said("MAIL")[0], session.commands


def test_too_large_for_the_server_bounces_without_sending(lab):
    home = lab.site()
    site = lab.site(Script(keywords=("SIZE 1000",)))
    lab.relay()
    lab.send(site.rcpt(), content("large", 20000), sender=home.rcpt("sender"))
    text = home.server6.wait_message(home.rcpt("sender"), 15).text()
    assert "Status: 5.3.4" in text, text
    assert not site.server6.messages


def test_content_passes_unchanged(lab):
    """Dots, long lines, no line at the end, NULs and bare header: only a Received field is put on top."""
    site = lab.site()
    lab.relay()
    messages = [b"Subject: s\r\n\r\n.\r\n..\r\n...\r\n" + b"x" * 990 + b"\r\n\r\n.x\r\n", b"Subject: only a header\r\n",
                b"Subject: tabs\r\n\tfolded\r\n\r\n" + bytes(range(1, 10)) + b"\r\n", b"no header at all\r\n"]
    for n, message in enumerate(messages):
        lab.send(site.rcpt(f"m{n}"), message)
        arrived = site.server6.wait_message(site.rcpt(f"m{n}"))
        whole = arrived.header + (b"\r\n" + bytes(arrived.kept) if arrived.kept or b"\r\n\r\n" in message else b"")
        assert whole.startswith(b"Received: from ") and whole.endswith(message), whole


def test_many_recipients_of_many_domains(lab):
    """One message to 60 recipients at 6 domains: one transaction a domain, all delivered once."""
    sites = [lab.site() for _ in range(6)]
    relay = lab.relay()
    lab.send([s.rcpt(f"r{n}") for n in range(10) for s in sites])
    for s in sites:
        m = s.server6.wait_message()
        assert sorted(m.rcpts) == sorted(s.rcpt(f"r{n}") for n in range(10)), m.rcpts
    empty(relay)
    assert all(len(s.server6.messages) == 1 and not s.server4.messages for s in sites)


def test_gives_up_after_give_up(lab):
    home = lab.site()
    site = lab.site(Script(rcpt="450 4.2.1 never"))
    relay = lab.relay("retry { first = 1s   max = 1s   greylist = 1s   give_up = 3s }\n")
    lab.send(site.rcpt(), sender=home.rcpt("sender"))
    text = home.server6.wait_message(home.rcpt("sender"), 20).text()
    assert "never" in text and "Action: failed" in text, text
    empty(relay)


def test_421_in_the_session_loses_nothing(lab):
    """A server that says 421 at every second MAIL: all mail arrives, once each."""
    turn = []

    def mail(*_):
        turn.append(1)
        return "421 4.3.2 closing" if len(turn) % 2 else "250 2.1.0 Ok"
    site = lab.site(Script(mail=mail))
    relay = lab.relay(RETRY)
    for n in range(6):
        lab.send(site.rcpt(f"r{n}"))
    for n in range(6):
        Scripted.wait(lambda: site.server6.taken(site.rcpt(f"r{n}")) + site.server4.taken(site.rcpt(f"r{n}")), 30, f"r{n}")
    empty(relay)
    assert len(site.server6.taken() + site.server4.taken()) == 6


def test_pipelining_only_where_offered(lab):
    """Without PIPELINING each command waits for the reply before: a server that reads slowly sees one line at a time."""
    site = lab.site(Script(keywords=("8BITMIME",), mail=Wait(0.2, "250 2.1.0 Ok"), rcpt=Wait(0.2, "250 2.1.5 Ok")))
    lab.relay()
    lab.send([site.rcpt("a"), site.rcpt("b")])
    session = site.server6.wait_message().session
    times = [at for at, line in session.commands if line.startswith(("MAIL", "RCPT", "DATA"))]
    assert all(b - a >= 0.15 for a, b in zip(times, times[1:])), session.commands
