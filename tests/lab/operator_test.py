"""tests/lab/operator_test.py: what an operator does with relayq while mail flows and waits."""
import json
import re
import subprocess

from client import content
from scripted import Script
from servers import wait_until

LATER = "retry { first = 1h   greylist = 1h }\n"


def waiting(lab, count=3, config=LATER):
    """A relay with messages that a server has put off; (relay, site, script)."""
    script = Script(rcpt="450 4.2.1 not yet")
    site = lab.site(script)
    relay = lab.relay(config)
    for n in range(count):
        lab.send(site.rcpt(f"m{n}"), content(f"message {n}"))
    wait_until(lambda: relay.states("deferred") == count, 15, f"{count} deferred messages")
    return relay, site, script


def open_again(site):
    """The servers take everything from now on."""
    site.server4.script.answers["rcpt"] = "250 2.1.5 Ok"
    site.server6.script.answers["rcpt"] = "250 2.1.5 Ok"


def arrived(site, rcpt, seconds=10):
    site.server6.wait(lambda: site.server6.taken(rcpt) + site.server4.taken(rcpt), seconds, f"mail to {rcpt}")


def test_list_prints_a_line_for_each_message(lab):
    relay, site, _ = waiting(lab)
    lines = [x for x in relay.relayq("list").splitlines() if site.domain in x]
    assert len(lines) == 3, lines
    assert [x.split()[0] for x in lines] == sorted(relay.ids()), lines
    for n in range(3):
        (line,) = (x for x in lines if relay.id_of(site.rcpt(f"m{n}")) in x)
        assert "a@old.example" in line and site.rcpt(f"m{n}") in line, line


def test_list_filters(lab):
    relay, site, _ = waiting(lab)
    assert len(relay.relayq_json("list", "--rcpt", site.rcpt("m1"), kind="message")) == 1
    assert len(relay.relayq_json("list", "--rcpt", f"@{site.domain}", kind="message")) == 3
    assert len(relay.relayq_json("list", "--sender", "nobody@old.example", kind="message", code=1)) == 0
    assert len(relay.relayq_json("list", "--state", "held", kind="message", code=1)) == 0
    assert len(relay.relayq_json("list", "--reason", "not yet", kind="message")) == 3


def test_show_names_every_attempt(lab):
    relay, site, _ = waiting(lab, 1)
    text = relay.relayq("show", relay.ids()[0])
    for word in ("a@old.example", site.rcpt("m0"), site.v4, site.v6, "450 4.2.1 not yet", site.mx):
        assert word in text, f"{word} is not in:\n{text}"
    attempts = relay.relayq_json("show", relay.ids()[0], kind="attempt")
    assert len(attempts) == 1 and attempts[0]["next_ms"] > attempts[0]["when_ms"] + 1_000_000, attempts


def test_cat_prints_the_message(lab):
    relay, site, _ = waiting(lab, 1)
    done = subprocess.run([relay.tool, "-c", relay.control, "cat", relay.ids()[0]], capture_output=True, check=True)
    message = content("message 0")
    assert done.stdout.startswith(b"Received: from "), done.stdout
    assert done.stdout.replace(b"\r\n", b"\n").endswith(message.replace(b"\r\n", b"\n")), done.stdout


def test_cat_of_a_large_message(lab):
    relay, site, _ = waiting(lab, 0)
    message = content("large", 3 << 20)
    lab.send(site.rcpt(), message)
    wait_until(lambda: relay.states("deferred") == 1, 15, "a deferred message")
    done = subprocess.run([relay.tool, "-c", relay.control, "cat", relay.ids()[0]], capture_output=True, check=True)
    assert done.stdout.replace(b"\r\n", b"\n").endswith(message.replace(b"\r\n", b"\n"))


def test_retry_makes_it_due_now(lab):
    relay, site, _ = waiting(lab)
    open_again(site)
    identity = relay.id_of(site.rcpt("m1"))
    relay.relayq("retry", identity)
    arrived(site, site.rcpt("m1"))
    wait_until(lambda: len(relay.queued()) == 2, 5, "two that wait")
    assert identity not in relay.ids()


def test_beginning_of_an_id_is_enough(lab):
    relay, site, _ = waiting(lab, 1)
    open_again(site)
    relay.relayq("retry", relay.ids()[0][:-1])
    arrived(site, site.rcpt("m0"))


def test_hold_keeps_and_release_lets_go(lab):
    relay, site, _ = waiting(lab, 2, "retry { first = 2s   max = 2s   greylist = 2s }\n")
    held = relay.id_of(site.rcpt("m0"))
    relay.relayq("hold", held)
    wait_until(lambda: relay.states("held") == 1, 5, "the held message")
    open_again(site)
    arrived(site, site.rcpt("m1"))
    wait_until(lambda: relay.ids() == [held], 5, "the other one to leave the queue")
    again = relay.relayq("hold", held, code=None)
    assert "already" in again.lower() or "held" in again.lower() or again == "", again
    relay.stop()
    relay.start([("198.51.100.64", 25)])
    assert relay.states("held") == 1, "a restart has forgotten the hold"
    relay.relayq("release", held)
    arrived(site, site.rcpt("m0"))
    wait_until(lambda: not relay.queued(), 5, "an empty queue")


def test_remove_is_for_good_and_logged(lab):
    relay, site, _ = waiting(lab, 2)
    gone, stays = relay.ids()
    relay.relayq("remove", gone)
    wait_until(lambda: relay.ids() == [stays], 5, "one message")
    relay.wait_log(gone, "remove")
    relay.stop()
    relay.start([("198.51.100.64", 25)])
    assert relay.ids() == [stays]
    open_again(site)
    assert not site.server6.taken() + site.server4.taken()


def test_unknown_id_is_an_error_in_one_line(lab):
    relay, _, _ = waiting(lab, 0)
    for verb in ("show", "cat", "retry", "hold", "release", "remove"):
        done = subprocess.run([relay.tool, "-c", relay.control, verb, "0123456789ABC"], capture_output=True, text=True)
        assert done.returncode != 0, verb
        assert len(done.stderr.strip().splitlines()) == 1, (verb, done.stderr)


def test_summary_by_site_and_age(lab):
    relay, site, _ = waiting(lab)
    text = relay.relayq("summary")
    line = next(x for x in text.splitlines() if site.domain in x or site.mx in x)
    assert re.search(r"\b3\b", line), text
    sites = relay.relayq_json("summary", kind="site")
    assert len(sites) == 1 and sites[0]["recipients"] == 3 and sum(sites[0]["ages"]) == 3, sites


def test_status(lab):
    relay, _, _ = waiting(lab)
    status = relay.relayq_json("status", kind="status")[0]
    assert status["messages"] == 3 and status["recipients"] == 3 and status["storage"] == "ok", status
    assert relay.folder in relay.relayq("status")


def test_trace_shows_route_and_candidates(lab):
    relay, site, _ = waiting(lab, 0)
    text = relay.relayq("trace", site.domain)
    for word in (site.mx, site.v4, site.v6):
        assert word in text, text
    assert not site.server6.sessions and not site.server4.sessions, "trace alone must not connect"


def test_trace_connect_runs_the_race(lab):
    site = lab.site(serve6=False)
    relay = lab.relay()
    text = relay.relayq("trace", "--connect", site.domain)
    assert site.v6 in text and "refused" in text, text
    session = site.server4.wait_session()
    site.server4.wait(lambda: session.ended, 5, "QUIT")
    assert session.said("QUIT") and not session.said("MAIL"), session.commands


def test_trace_of_what_has_no_route(lab):
    relay = lab.relay()
    lab.dns.add("nothing.example. MX 0 .")
    text = relay.relayq("trace", "nothing.example", code=None) + relay.relayq("trace", "no-such.example", code=None)
    assert "5.1.10" in text or "null MX" in text, text
    assert "5.1.2" in text or "not exist" in text, text


def test_json_is_json_everywhere(lab):
    relay, site, _ = waiting(lab, 1)
    for words in (["list"], ["show", relay.ids()[0]], ["summary"], ["status"], ["trace", site.domain]):
        for line in relay.relayq("--json", *words).splitlines():
            json.loads(line)


def test_no_daemon_is_said_in_one_line(lab):
    relay = lab.relay(start=False)
    done = subprocess.run([relay.tool, "-c", relay.control, "list"], capture_output=True, text=True)
    assert done.returncode != 0 and relay.control in done.stderr and len(done.stderr.strip().splitlines()) <= 2, done


def test_verify_a_spool(lab):
    relay, site, _ = waiting(lab)
    locked = relay.relayq("verify", f"{relay.folder}/spool", code=None)
    assert "lock" in locked.lower() or "read-only" in locked, locked
    relay.relayq("verify", "--read-only", f"{relay.folder}/spool")
    relay.stop()
    text = relay.relayq("verify", f"{relay.folder}/spool")
    assert re.search(r"\b3\b", text), text
