"""tests/lab/operator2_test.py: relayq on many messages and on destinations: bounce, redirect, conditions, reasons, tail, config, suspend."""
import json
import os
import re
import subprocess
import threading

from client import content
from operator_test import arrived, open_again, waiting
from relay import environment
from scripted import Script
from servers import wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
LISTENERS = [("198.51.100.64", 25)]


class Tail:
    """relayq tail at work; its lines as they come."""

    def __init__(self, relay, *words):
        self.lines, self.changed = [], threading.Condition()
        self.process = subprocess.Popen([relay.tool, "-c", relay.control, "tail", *words], stdout=subprocess.PIPE, text=True,
                                        env=environment())
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()

    def wait(self, pattern, seconds=10):
        with self.changed:
            if not self.changed.wait_for(lambda: any(re.search(pattern, x) for x in self.lines), seconds):
                raise AssertionError(f"no line with {pattern} in:\n" + "\n".join(self.lines))

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        self.reader.join(10)
        self.process.stdout.close()


def tail(lab, relay, *words):
    """Begins to look on, and waits until it does."""
    t = Tail(relay, *words)
    lab.test.callback(t.close)
    return t


def test_bounce_returns_the_mail_now(lab):
    relay, site, _ = waiting(lab, 2)
    old = Script()
    sender = lab.site(old)
    lab.send([site.rcpt("x"), site.rcpt("y")], content("to be returned"), sender=f"a@{sender.domain}")
    wait_until(lambda: relay.states("deferred") == 4, 15, "two recipients more")
    identity = next(m["id"] for m in relay.queued() if m["sender"].startswith("a@" + sender.domain))
    relay.relayq("bounce", identity, "--because", "nobody lives there")
    message = sender.server6.wait_message(f"a@{sender.domain}", 15)
    text = message.text()
    for word in (site.rcpt("x"), site.rcpt("y"), "5.7.0", "returned by the operator: nobody lives there", "to be returned"):
        assert word in text, f"{word} is not in:\n{text}"
    wait_until(lambda: identity not in relay.ids() and len(relay.ids()) == 2, 10, "the message to leave the queue")
    relay.wait_log("return", identity, "nobody lives there")


def test_bounce_of_what_is_held(lab):
    sender, site = lab.site(), lab.site(Script(rcpt="450 4.2.1 not yet"))
    relay = lab.relay("retry { first = 1h   greylist = 1h }\n")
    lab.send(site.rcpt(), content("held"), sender=f"a@{sender.domain}")
    wait_until(lambda: relay.states("deferred") == 1, 15, "a deferred message")
    relay.relayq("hold", relay.ids()[0])
    relay.relayq("bounce", "--state", "held")
    sender.server6.wait_message(f"a@{sender.domain}", 15)
    wait_until(lambda: not relay.queued(), 10, "an empty queue")


def test_redirect_leads_elsewhere_across_a_restart(lab):
    relay, site, _ = waiting(lab, 2)
    other = lab.site()
    first, second = relay.id_of(site.rcpt("m0")), relay.id_of(site.rcpt("m1"))
    relay.relayq("hold", first)
    hop = f"{other.v4}:25"
    relay.relayq("redirect", first, "--to", f"[{other.v4}]")
    assert {m["id"]: m.get("redirect") for m in relay.queued()} == {first: hop, second: None}, relay.queued()
    relay.stop()
    relay.start(LISTENERS)
    assert other.v4 in relay.relayq("show", first), "a restart has forgotten the redirect"
    relay.relayq("release", first)
    other.server4.wait_message(site.rcpt("m0"), 15)
    wait_until(lambda: relay.ids() == [second], 10, "the other message alone")
    wrong = relay.relayq("redirect", second, "--to", "[[", code=64)
    assert "HOST" in wrong or wrong == "", wrong


def test_redirect_undone(lab):
    relay, site, _ = waiting(lab, 1)
    identity = relay.ids()[0]
    relay.relayq("redirect", identity, "--to", f"[{lab.net.host('nobody', '203.0.113.253').v4[0]}]:2525")
    wait_until(lambda: "203.0.113.253" in relay.relayq("show", identity), 10, "the redirect")
    open_again(site)
    relay.relayq("redirect", identity, "--undo")
    arrived(site, site.rcpt("m0"))


def test_conditions_and_dry_run(lab):
    relay, site, _ = waiting(lab, 4)
    lab.send(site.rcpt("other"), sender="z@elsewhere.example")
    wait_until(lambda: relay.states("deferred") == 5, 15, "five deferred messages")
    would = relay.relayq("hold", "--sender", "@old.example", "--reason", "not yet", "--because", "look", "--dry-run")
    assert len(re.findall("would be held", would)) == 4, would
    assert relay.states("held") == 0
    done = relay.relayq("hold", "--sender", "@old.example", "--reason", "not yet", "--because", "look")
    assert len(re.findall(r"^\w{13} held$", done, re.M)) == 4, done
    assert relay.states("held") == 4 and relay.states("deferred") == 1
    end = [x for x in relay.relayq_json("release", "--state", "held", kind="end")][-1]
    assert end["count"] == 4 and end["refused"] == 0, end
    relay.relayq("remove", code=64)
    relay.relayq("remove", "--all", "--dry-run")
    assert len(relay.ids()) == 5
    relay.relayq("remove", "--all")
    wait_until(lambda: not relay.queued(), 10, "an empty queue")


def test_reasons_group_what_is_one(lab):
    relay, site, _ = waiting(lab, 3)
    full = Script(rcpt="452 4.2.2 mailbox of <b@somewhere.example> is over 1234567 bytes")
    other = lab.site(full)
    lab.send(other.rcpt(), content("large"))
    wait_until(lambda: relay.states("deferred") == 4, 15, "four deferred messages")
    rows = [x.split("\t") for x in relay.relayq("reasons").splitlines()]
    assert rows[0][0] == "3" and rows[0][2] == site.mx and "450 4.2.1 not yet" in rows[0][4], rows
    assert rows[1][0] == "1" and rows[1][4].endswith("452 4.2.2 mailbox of <address> is over # bytes"), rows
    assert rows[0][3] in relay.ids()
    only = relay.relayq_json("reasons", "--site", other.mx, kind="reason")
    assert len(only) == 1 and only[0]["recipients"] == 1, only


def test_tail_shows_what_happens(lab):
    site = lab.site()
    relay = lab.relay("log { level = error }\n")
    everything, delivered, structured = tail(lab, relay), tail(lab, relay, "--event", "delivered"), tail(lab, relay, "--json")
    # which of the three look on already is not said: mail goes until each has seen some
    for n in range(50):
        lab.send(site.rcpt(f"t{n}"))
        site.server6.wait_message(site.rcpt(f"t{n}"), 10)
        if all(x.lines for x in (everything, delivered, structured)):
            break
    lab.send(site.rcpt("last"))
    everything.wait(rf"received|delivered.*to=<{site.rcpt('last')}>")
    delivered.wait(rf" info delivered id=\w+ .*to=<{site.rcpt('last')}> .*site={site.mx}")
    structured.wait(site.rcpt("last"))
    assert all(" delivered " in x for x in delivered.lines), delivered.lines
    event = [json.loads(x) for x in structured.lines][-1]
    assert event["type"] == "event" and event["fields"]["level"] == "info", event
    assert "delivered" not in relay.log()


def test_config_says_where_from(lab):
    relay = lab.relay("retry { first = 7m }\nroute p.example { relay = [192.0.2.9]:2525 }\n")
    text = relay.relayq("config", "retry.first")
    assert re.search(rf"retry\.first = 7m +# {re.escape(relay.file)}:\d+", text), text
    text = relay.relayq("config")
    assert re.search(r"retry\.max = 1h +# default", text) and "route p.example: relay = " in text, text
    assert "did you mean" in relay.relayq("config", "retry.frist", code=1)


def test_suspend_stops_and_resume_goes_on(lab):
    site, other = lab.site(), lab.site()
    relay = lab.relay()
    relay.relayq("suspend", site.mx, "--because", "it moves")
    lab.send(site.rcpt())
    lab.send(other.rcpt())
    other.server6.wait_message(other.rcpt(), 10)
    wait_until(lambda: relay.states("suspended") == 1, 10, "mail that says that it is suspended")
    text = relay.relayq("summary")
    assert "it moves" in text and "Suspended" in text, text
    assert "it moves" in relay.relayq("show", relay.ids()[0])
    relay.stop()
    relay.start(LISTENERS)
    wait_until(lambda: relay.states("suspended") == 1, 10, "a restart has forgotten the suspension")
    assert not site.server6.sessions and not site.server4.sessions
    relay.relayq("resume", site.mx)
    site.server6.wait_message(site.rcpt(), 10)
    assert "Suspended" not in relay.relayq("summary")


def test_suspend_ends_by_itself(lab):
    site = lab.site()
    relay = lab.relay()
    relay.relayq("suspend", f"*.{site.domain}", "--for", "3s")
    lab.send(site.rcpt())
    message = site.server6.wait_message(site.rcpt(), 15)
    assert message
    relay.wait_log("resume", "its time is over")


def test_completion(lab):
    relay, site, _ = waiting(lab, 2)
    relay.relayq("suspend", "*.later.example")

    def complete(*words, control=relay.control):
        script = (f'source {HERE}/../../contrib/completion.bash; relayq() {{ "{relay.tool}" "$@"; }}; COMP_WORDS=("$@"); '
                  'COMP_CWORD=$(($# - 1)); _relayq; printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "-c", script, "relayq", *words], capture_output=True, text=True, timeout=20,
                              env=dict(environment(), RELAY64_CONTROL=control))
        assert done.stderr == "", done.stderr
        return done.stdout.split()
    assert "bounce" in complete("relayq", "bo") and "--dry-run" in complete("relayq", "hold", "--d")
    assert complete("relayq", "show", "") == relay.ids()
    for identity in relay.ids():
        for n in range(1, 13):
            assert complete("relayq", "show", identity[:n].lower()) == [i for i in relay.ids() if i.startswith(identity[:n])], n
    assert complete("relayq", "hold", "--site", "") == [site.mx, "*.later.example"]
    assert complete("relayq", "resume", "*") == ["*.later.example"]
    assert complete("relayq", "list", "--state", "sus") == ["suspended"]
    assert "retry.first" in complete("relayq", "config", "retry.f")
    assert complete("relayq", "show", "", control="/nonexistent") == []
