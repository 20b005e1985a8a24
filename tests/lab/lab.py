"""tests/lab/lab.py: the network that all lab tests share, what one test gets of it, and the runner.

    dns     198.51.100.53   2001:db8:2::53     nsd
    relay   198.51.100.64   2001:db8:2::64     relay64
    client  192.0.2.2       2001:db8:1::2      hands mail in; 192.0.2.0/24 and 2001:db8:1::/48 may relay
    mx      203.0.113.N     2001:db8:3::N      scripted servers, two addresses a site (with many, IPv4 is 198.18.N.N)
Real mail servers get hosts of their own.
"""
import contextlib
import importlib.util
import itertools
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback

import net
from client import send
from distance import Distance
from relay import Relay, binary, release_binary
from scripted import Scripted
from servers import DebianExim, Exim, Nsd, OpenSmtpd, Postfix

RELAY4, RELAY6 = "198.51.100.64", "2001:db8:2::64"

CONFIG = """\
clients = 192.0.2.0/24, 2001:db8:1::/48
listen 0.0.0.0:25 { }
listen [::]:25 { }
dns { servers = 198.51.100.53:53, [2001:db8:2::53]:53 }
"""


class Skip(Exception):
    """Raised by a test that cannot run here; the text says why."""


class Site:
    """A destination of a test's own: a domain, its MX host with one address per family, and a scripted server on each."""

    def __init__(self, lab, domain, v4, v6):
        self.lab, self.domain, self.v4, self.v6 = lab, domain, v4, v6
        self.server4 = self.server6 = None

    @property
    def mx(self):
        return f"mx.{self.domain}"

    def rcpt(self, local="b"):
        return f"{local}@{self.domain}"


class Lab:
    """The network, and through the methods the things of the running test, which all end with it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix=f"r64-{os.getpid()}-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.everything = contextlib.ExitStack()
        self.test = contextlib.ExitStack()
        self.numbers = iter(range(150, 250))
        self.site_numbers = itertools.chain(range(10, 150), range(250, 60000))
        self.count = 0
        self.relays = []
        self.facts = []
        self.options = {}
        self.net = self.everything.enter_context(net.Network())
        self.dns_host = self.net.host("dns", "198.51.100.53", "2001:db8:2::53")
        self.relay_host = self.net.host("relay", RELAY4, RELAY6)
        self.client = self.net.host("client", "192.0.2.2", "2001:db8:1::2")
        self.mx_host = self.net.host("mx", "203.0.113.2", "2001:db8:3::2")
        self.dns = Nsd(self.dns_host, f"{self.folder}/nsd")
        self.everything.callback(self.dns.close)

    def close(self, keep):
        self.everything.close()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    # ---- what a test may ask for ----

    def number(self):
        """A number that no other host or domain of this run has."""
        return next(self.numbers)

    def relay(self, config="", program=None, start=True):
        """A relay64 with an empty spool and the configuration above plus `config`; stopped and judged at the test's end."""
        folder = f"{self.folder}/relay{len(self.relays) + 1}"
        r = Relay(self.relay_host, folder, CONFIG + config, program)
        self.relays.append(r)
        self.test.callback(r.stop)
        if start:
            r.start([(RELAY4, 25), (RELAY6, 25)])
        return r

    def site(self, script4=None, script6=None, serve4=True, serve6=True, mx=True, announce=True):
        """A new domain, dual-stack in the DNS; serveN=False: nobody listens there (connections are refused). `script4` serves both
        families if there is no `script6`. announce=False: lab.dns.add(*site.records) is the test's, for many at once."""
        n = next(self.site_numbers)
        v4 = f"203.0.113.{n}" if n < 250 else f"198.18.{n >> 8}.{n & 255}"
        site = Site(self, f"d{n}.example", v4, f"2001:db8:3::{n}")
        self.mx_host.add_address(site.v4)
        self.mx_host.add_address(site.v6)
        if serve4:
            site.server4 = self.server(site.v4, script4)
        if serve6:
            site.server6 = self.server(site.v6, script6 or script4)
        site.records = [f"{site.mx}. A {site.v4}", f"{site.mx}. AAAA {site.v6}", *[f"{site.domain}. MX 10 {site.mx}."] * mx]
        if announce:
            self.dns.add(*site.records)
        return site

    def server(self, addresses, script=None, host=None, port=25):
        s = Scripted(host or self.mx_host, addresses, script, port)
        self.test.callback(s.close)
        return s

    def block(self, address, how, host=None):
        """See net.Host.block; undone at the test's end."""
        host = host or self.mx_host
        host.block(address, how)
        self.test.callback(host.nft_clear)

    def distance(self, address, seconds):
        """From the relay to this address of the MX host, and back, each packet takes so long; until close() or the test's end."""
        way = Distance(self.relay_host, RELAY6 if ":" in address else RELAY4, self.mx_host, address, seconds)
        self.test.callback(way.close)
        return way

    def no_route(self, address):
        """The relay's host has no route to this IPv6 address; until the test's end."""
        self.relay_host.ip("-6", "route", "add", "unreachable", f"{address}/128")
        self.test.callback(self.route_again, address)

    def route_again(self, address):
        self.relay_host.ip("-6", "route", "del", "unreachable", f"{address}/128", check=False)

    def send(self, rcpts, message=None, sender="a@old.example", options=(), address=RELAY4):
        """Hands one message to the relay; the time of its 250."""
        return send(self.client, address, sender, rcpts, message, options=options)[0]

    def postfix(self, name, v4=(), v6=(), domains=(), scope=None, **settings):
        """A Postfix on a host of its own; wait() before it is used. It ends with the test, or with `scope` (an ExitStack)."""
        host = self.net.host(name, v4, v6)
        p = Postfix(host, f"{self.folder}/{name}", domains, **settings)
        (scope or self.test).callback(p.close)
        return p

    def exim(self, name, v4=(), v6=(), scope=None, **settings):
        """The same with Exim."""
        return self._unpacked(Exim, name, v4, v6, scope, settings)

    def debian_exim(self, name, v4=(), v6=(), scope=None, **settings):
        return self._unpacked(DebianExim, name, v4, v6, scope, settings)

    def opensmtpd(self, name, v4=(), v6=(), scope=None, **settings):
        """The same with OpenSMTPD."""
        return self._unpacked(OpenSmtpd, name, v4, v6, scope, settings)

    def _unpacked(self, kind, name, v4, v6, scope, settings):
        server = kind(self.net.host(name, v4, v6), f"{self.folder}/{name}", **settings)
        (scope or self.test).callback(server.close)
        return server

    def fact(self, text):
        """A measured figure, printed with the test's line."""
        self.facts.append(text)


def load(folder):
    """All tests of the *_test.py beside this file, as (module, name, function), in the order of their text."""
    tests = []
    for name in sorted(os.listdir(folder)):
        if name.endswith("_test.py"):
            spec = importlib.util.spec_from_file_location(name[:-3], f"{folder}/{name}")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            tests += [(module, n[5:], f) for n, f in vars(module).items() if n.startswith("test_") and callable(f)]
    return tests


def _alarm(*_):
    raise AssertionError("the test took too long")


def one(lab, name, function, setup):
    """Runs one test; None, or what was wrong."""
    wrong = None
    lab.test = contextlib.ExitStack()
    lab.relays_before, lab.facts = len(lab.relays), []
    signal.signal(signal.SIGALRM, _alarm)
    signal.alarm(getattr(function, "seconds", 90))
    try:
        with lab.test:
            setup()
            function(lab)
    except (Skip, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as e:  # any exception is a failed test
        wrong = "".join(traceback.format_exception(e, limit=-4))
        for r in lab.relays[lab.relays_before:]:
            r.kill()
            wrong += f"the end of {r.folder}/log:\n{r.tail(60)}\n"
    finally:
        signal.alarm(0)
    return wrong


def main(arguments):
    if "-h" in arguments or "--help" in arguments:
        print("usage: tests/lab/run [--relay64 PROGRAM] [--backlog N] [--list] [--keep] [NAME or part of it …]")
        return 0
    options, names = {}, []
    arguments = iter(arguments)
    for word in arguments:
        if word in ("--relay64", "--backlog"):
            options[word] = next(arguments)
        elif word.startswith("--"):
            options[word] = True
        else:
            names.append(word)
    if "--relay64" in options:
        os.environ["RELAY64_BIN"] = options["--relay64"]
    tests = load(os.path.dirname(os.path.abspath(__file__)))
    exact = [t for t in tests if t[1] in names]
    tests = exact or [t for t in tests if not names or any(n in t[1] or n == t[0].__name__[:-5] for n in names)]
    if "--list" in options:
        print("\n".join(f"{m.__name__[:-5]:16} {n}" for m, n, _ in tests))
        return 0
    why = net.why_not()
    if why:
        print(f"SKIPPED {why}\nlab: 0 passed, 0 failed, {len(tests)} skipped")
        return 0
    for program in {binary(), release_binary()}:
        if not os.access(program, os.X_OK):
            print(f"{program} is not there: build it first\nlab: 0 passed, {len(tests)} failed")
            return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    net.remove_leftovers()
    passed = failed = skipped = 0
    lab = Lab()
    lab.options = options
    prepared = set()
    try:
        for module, name, function in tests:
            def setup():
                if module not in prepared and hasattr(module, "setup"):
                    module.setup(lab)
                prepared.add(module)
            began = time.monotonic()
            try:
                wrong = one(lab, name, function, setup)
            except Skip as e:
                skipped += 1
                print(f"skipped {name}: {e}", flush=True)
                continue
            took = time.monotonic() - began
            if wrong:
                failed += 1
                print(f"FAILED  {name} ({took:.1f} s)\n  " + wrong.replace("\n", "\n  "), flush=True)
            else:
                passed += 1
                print(f"ok      {name} ({took:.1f} s)" + "".join(f"\n        {f}" for f in lab.facts), flush=True)
    finally:
        keep = failed or "--keep" in options
        lab.close(keep)
        if keep:
            print(f"logs and spools: {lab.folder}")
    print(f"lab: {passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed + skipped else 0
