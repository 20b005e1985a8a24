"""tests/lab/doctor_test.py: relayq doctor on a host where all is well, and with each fault injected for real.

The DNS is a signed root zone behind a validating unbound on the relay's own host. The kernel's clock and the disk are the machine's:
but for the one test that says to the kernel that its clock is kept, their lines are whatever the machine is.
"""
import contextlib
import ctypes
import glob
import json
import os
import pty
import re
import signal
import subprocess
import time

import net
from lab import RELAY4, RELAY6, Skip
from scripted import SILENT, Script
from servers import Nsd, wait_until

SIGNED4, SIGNED6 = "198.51.100.55", "2001:db8:2::55"
ARPA4, ARPA6 = "64.100.51.198.in-addr.arpa.", "4.6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."
WELL = [f"relay.example. A {RELAY4}", f"relay.example. AAAA {RELAY6}", f"{ARPA4} PTR relay.example.", f"{ARPA6} PTR relay.example.",
        f'sender.example. TXT "v=spf1 ip4:{RELAY4} include:spf.example -all"', f'spf.example. TXT "v=spf1 ip6:{RELAY6}/128 ?all"']
CONFIG = """dns { servers = 127.0.0.53 }
storage { min_free = 1M }
limits { sessions = 1000   connections = 200 }
"""
MACHINE = {"clock", "certificates", "spool", "sync"}  # of the machine and of where its /tmp lies, not of the lab


class SignedNsd(Nsd):
    """The same, and the zone is signed."""

    def _write(self):
        if not glob.glob(f"{self.folder}/K.*"):
            for flags in ((), ("-f", "KSK")):
                net.run("dnssec-keygen", "-q", "-K", self.folder, "-a", "ECDSAP256SHA256", "-n", "ZONE", *flags, ".")
        with open(f"{self.folder}/plain", "w") as f:
            f.write(f"$TTL 1\n. SOA ns. root. {self.serial} 3600 900 86400 2\n. NS ns.\nns. A {SIGNED4}\n" + "\n".join(self.records) + "\n")
        net.run("dnssec-signzone", "-q", "-S", "-K", self.folder, "-d", self.folder, "-o", ".", "-f", f"{self.folder}/root.zone",
                f"{self.folder}/plain")

    def anchor(self):
        with open(f"{self.folder}/dsset-.") as f:
            return f.read().strip()


class Unbound:
    def __init__(self, host, folder, nsd):
        os.makedirs(folder)
        with open(f"{folder}/anchor", "w") as f:
            f.write(nsd.anchor() + "\n")
        self.config = f"{folder}/unbound.conf"
        self.host, self.folder, self.process = host, folder, None
        self.write(f'  trust-anchor-file: "{folder}/anchor"\n')

    def write(self, anchor):
        with open(self.config, "w") as f:
            f.write(f'server:\n  interface: 127.0.0.53\n  port: 53\n  username: ""\n  chroot: ""\n  directory: "{self.folder}"\n'
                    f'  pidfile: "{self.folder}/pid"\n  use-syslog: no\n  cache-max-ttl: 0\n  cache-max-negative-ttl: 0\n  aggressive-nsec: no\n{anchor}'
                    f'  do-not-query-localhost: no\n  local-zone: "in-addr.arpa." nodefault\n  local-zone: "ip6.arpa." nodefault\n'
                    f'  local-zone: "8.b.d.0.1.0.0.2.ip6.arpa." nodefault\n  local-zone: "100.51.198.in-addr.arpa." nodefault\n'
                    f'  local-zone: "example." nodefault\nremote-control:\n  control-enable: no\n'
                    f'stub-zone:\n  name: "."\n  stub-addr: {SIGNED4}\n')
        self.start()

    def start(self):
        self.close()
        self.log = open(f"{self.folder}/log", "ab")
        self.process = subprocess.Popen(self.host.command("unbound", "-d", "-c", self.config), stdout=self.log, stderr=subprocess.STDOUT,
                                        start_new_session=True)
        wait_until(lambda: "status:" in self.host.run("dig", "+tries=1", "+time=1", "@127.0.0.53", ".", "SOA", check=False), 10, "unbound")

    def close(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None


THERE = {}


def setup(lab):
    host = lab.net.host("signed", [SIGNED4], [SIGNED6])
    THERE["dns"] = SignedNsd(host, f"{lab.folder}/signed")
    lab.everything.callback(THERE["dns"].close)
    THERE["unbound"] = Unbound(lab.relay_host, f"{lab.folder}/unbound", THERE["dns"])
    lab.everything.callback(THERE["unbound"].close)
    lab.relay_host.run("ip", "route", "add", "default", "dev", "eth0", "src", RELAY4)
    lab.relay_host.run("ip", "-6", "route", "add", "default", "dev", "eth0", "src", RELAY6)
    lab.everything.callback(lambda: lab.relay_host.ip("route", "del", "default", check=False))


class Patient:
    """A relay whose names, routes and all else are right, and a mail server to knock at; what the doctor says of them."""

    def __init__(self, lab, more="", records=(), without=(), start=True):
        self.lab = lab
        self.probe = lab.site(announce=False)
        zone = [r for r in WELL if not any(r.startswith(w) for w in without)] + list(records)
        THERE["dns"].records = zone + self.probe.records
        THERE["dns"]._again()
        THERE["unbound"].start()  # it knows nothing of the zone before
        for before in lab.relays[lab.relays_before:]:
            before.stop()
        self.relay = lab.relay(start=False)
        self.config = "clients = 192.0.2.0/24\nlisten 0.0.0.0:25 { }\nlisten [::]:25 { }\n" + CONFIG + more
        self.relay.configure(self.config)
        if start:
            self.relay.start([(RELAY4, 25)])

    def command(self, *words, probe=True, timeout="5s"):
        command = [self.relay.tool, "-c", self.relay.control, *words, "doctor", "--config", self.relay.file, "--sender", "sender.example",
                   "--timeout", timeout]
        return self.lab.relay_host.command(*command, *["--probe", self.probe.mx] * probe)

    def ask(self, *words, **options):
        return subprocess.run(self.command(*words, **options), capture_output=True, text=True, timeout=30)

    def on_a_terminal(self, **environment):
        """What it prints on a terminal of 80 columns."""
        ours, theirs = pty.openpty()
        with subprocess.Popen(self.command(), stdout=theirs, env=dict(os.environ, COLUMNS="80", LC_ALL="C.UTF-8", **environment)):
            os.close(theirs)
            text = b""
            with contextlib.suppress(OSError):  # EIO: all of them have closed it
                while piece := os.read(ours, 65536):
                    text += piece
        os.close(ours)
        return text.decode()

    def findings(self, **options):
        """The lines but those that the machine decides, and the exit status."""
        done = self.ask("--json", **options)
        lines = [json.loads(line) for line in (done.stdout).splitlines()]
        assert lines[-1]["type"] == "end", done.stderr
        return [line for line in lines[:-1] if line["check"] not in MACHINE], done.returncode

    def wrong(self, **options):
        """{check: its lines that are neither ok nor unknown}"""
        found, _ = self.findings(**options)
        wrong = {}
        for line in found:
            if line["status"] in ("warning", "error"):
                assert line["mend"], f"no mend: {line}"
                wrong.setdefault(line["check"], []).append(f'{line["status"]}: {line["found"]} > {line["mend"]}')
        return wrong


class Timex(ctypes.Structure):
    """struct timex of adjtimex(2), as far as it is used here."""
    _fields_ = [("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long), ("maxerror", ctypes.c_long),
                ("esterror", ctypes.c_long), ("status", ctypes.c_int), ("rest", ctypes.c_char * 160)]


@contextlib.contextmanager
def kept_clock():
    """The kernel believes that its clock is synchronised; the clock itself is not touched. False where that is not allowed."""
    libc, unsynchronised = ctypes.CDLL(None, use_errno=True), 0x40
    before, well = Timex(), Timex(modes=0x14, maxerror=1000)  # ADJ_STATUS, ADJ_MAXERROR
    libc.adjtimex(ctypes.byref(before))
    well.status = before.status & ~unsynchronised
    allowed = libc.adjtimex(ctypes.byref(well)) >= 0
    try:
        yield allowed
    finally:
        before.modes = 0x14
        libc.adjtimex(ctypes.byref(before))


def expect(wrong, **checks):
    """Exactly these checks found something wrong, and said this (regular expressions)."""
    assert set(wrong) == set(checks), wrong
    for check, pattern in checks.items():
        assert re.search(pattern, "\n".join(wrong[check]), re.I | re.S), f"{check}: {pattern} is not in {wrong[check]}"


def test_doctor_where_all_is_well(lab):
    patient = Patient(lab)
    found, _ = patient.findings()
    assert {line["status"] for line in found} == {"ok"}, [line for line in found if line["status"] != "ok"]
    for check in ("families", "routes", "source", "ptr", "helo", "spf", "port25"):
        texts = " ".join(line["found"] for line in found if line["check"] == check)
        assert "IPv4" in texts or RELAY4 in texts, f"{check}: {texts}"
        assert "IPv6" in texts or RELAY6 in texts, f"{check}: {texts}"
    # no mail was begun at the probe, and the sessions said goodbye
    for server in (patient.probe.server4, patient.probe.server6):
        assert server.sessions and not any(s.said("MAIL") for s in server.sessions) and server.sessions[0].said("QUIT")
    text = patient.ask()
    assert max(map(len, text.stdout.splitlines())) <= 200
    done = [json.loads(line) for line in (patient.ask("--json").stdout).splitlines()]
    worst = {"ok": 0, "warning": 1, "error": 2}[done[-1]["status"]]
    assert text.returncode == worst == max({"warning": 1, "error": 2}.get(line["status"], 0) for line in done[:-1])


def test_doctor_all_green_exits_0(lab):
    """On this machine the clock may be kept by nobody, and the disk slow: the former is arranged for, the latter is told."""
    patient = Patient(lab)
    with kept_clock() as allowed:
        done = patient.ask("--json")
    if not allowed:
        raise Skip("the kernel's clock may not be told that it is kept")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    grey = [line for line in lines[:-1] if line["status"] != "ok"]
    assert [line["check"] for line in grey] == ["certificates"] and grey[0]["status"] == "unknown", grey
    assert done.returncode == 0 and lines[-1]["status"] == "ok", lines[-1]
    assert lines[-1]["warnings"] == lines[-1]["errors"] == 0
    lab.fact(f"{lines[-1]['ok']} lines ok")


def test_doctor_on_a_terminal(lab):
    """Green, yellow and red there, unless NO_COLOR is set; nowhere else; 80 columns hold it."""
    patient = Patient(lab, without=[ARPA6])
    text = patient.on_a_terminal()
    assert "\033[32mok" in text and "\033[31merror" in text, text
    plain = patient.on_a_terminal(NO_COLOR="1")
    assert "\033" not in plain and "error" in plain, plain
    assert "\033" in patient.on_a_terminal(NO_COLOR=""), "an empty NO_COLOR is none"
    for printed in (re.sub(r"\033\[\d*m", "", text), plain, patient.ask().stdout):
        assert max(len(line.rstrip()) for line in printed.splitlines()) <= 80, printed
    assert "\033" not in patient.ask().stdout


def test_doctor_is_bounded(lab):
    """Nobody answers, neither DNS server nor probe nor daemon: it ends in the time that it was given, and says what it could not see."""
    patient = Patient(lab)
    lab.relay_host.nft("table inet lab {\n chain out { type filter hook output priority 0;\n  meta l4proto { tcp, udp } th dport { 53, 25 } drop\n }\n}\n")
    lab.test.callback(lab.relay_host.nft_clear)
    patient.relay.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        done = patient.ask("--json", timeout="2s")
        took = time.monotonic() - began
    finally:
        patient.relay.signal(signal.SIGCONT)
    lab.fact(f"nobody answers: ended after {took:.2f} s of 2 s")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert 1.9 < took < 4 and done.returncode == 2, (took, done)
    worst = {}
    for line in lines[:-1]:
        worst.setdefault(line["check"], set()).add(line["status"])
    assert worst["daemon"] == worst["resolver"] == worst["listeners"] == {"error"}, worst
    assert worst["ptr"] == worst["helo"] == worst["spf"] == worst["port25"] == {"unknown"}, worst
    assert worst["families"] == worst["routes"] == {"ok"}, "what needs nobody else is seen all the same"


def test_doctor_pools(lab):
    """Every address of a pool is judged by its own name; SPF for the mail that may leave from there."""
    for address in ("198.51.100.71", "2001:db8:2::71"):
        lab.relay_host.add_address(address)
        lab.test.callback(lab.relay_host.remove_address, address)
    more = ("pool p { addresses = 198.51.100.71, 2001:db8:2::71, 198.51.100.72 }\nsender sender.example { pool = p }\n"
            "identity 198.51.100.71 { helo = p.example }\nidentity 2001:db8:2::71 { helo = p.example }\n")
    records = ["p.example. A 198.51.100.71", "p.example. AAAA 2001:db8:2::71", "71.100.51.198.in-addr.arpa. PTR p.example."]
    wrong = Patient(lab, more=more, records=records).wrong()
    expect(wrong, source="198.51.100.72.*pool p.*no address of this host", ptr="2001:db8:2::71 has no PTR",
           spf="sender.example from 198.51.100.71: fail", helo="198.51.100.72")
    assert RELAY4 not in " ".join(w.split(">")[0] for w in wrong["spf"]), wrong["spf"]


def test_doctor_without_a_default_route(lab):
    patient = Patient(lab)
    lab.relay_host.ip("-6", "route", "del", "default")
    lab.test.callback(lambda: lab.relay_host.ip("-6", "route", "add", "default", "dev", "eth0", "src", RELAY6))
    expect(patient.wrong(), routes="error.*IPv6")


def test_doctor_ptr_and_forward(lab):
    expect(Patient(lab, without=[ARPA6]).wrong(), ptr=f"error: .*{RELAY6}.*no PTR")
    expect(Patient(lab, without=[ARPA4], records=[f"{ARPA4} PTR other.example.", "other.example. A 192.0.2.99"]).wrong(),
           ptr=f"{RELAY4}.*other.example")
    expect(Patient(lab, without=[ARPA4], records=[f"{ARPA4} PTR other.example.", f"other.example. A {RELAY4}"]).wrong(),
           helo=f"{RELAY4}.*other.example")
    wrong = Patient(lab, without=["relay.example. AAAA"]).wrong()
    assert "helo" in wrong and re.search("IPv6|" + RELAY6, " ".join(wrong["helo"])), wrong


def test_doctor_spf_of_one_family(lab):
    for record in (f'"v=spf1 ip4:{RELAY4} -all"', f'"v=spf1 ip4:{RELAY4} ip6:2001:db8:9::/48 ~all"'):
        wrong = Patient(lab, without=["sender.example."], records=[f"sender.example. TXT {record}"]).wrong()
        expect(wrong, spf=f"{RELAY6}|IPv6")
        assert RELAY4 not in wrong["spf"][0].split(">")[0], wrong
    expect(Patient(lab, without=["sender.example."]).wrong(), spf="no SPF|none")


def test_doctor_port_25(lab):
    """Dropped on one family, refused on one, silent on one."""
    patient = Patient(lab)
    lab.block(patient.probe.v6, "drop")
    expect(patient.wrong(), port25="error.*IPv6")
    lab.mx_host.nft_clear()
    lab.block(patient.probe.v4, "reject")
    expect(patient.wrong(), port25="error.*IPv4.*refused")
    lab.mx_host.nft_clear()
    patient.probe.server6.script = Script(greeting=SILENT)
    expect(patient.wrong(), port25="error.*IPv6")


def test_doctor_resolver(lab):
    """One that does not validate; none at all: what depends on names is unknown, not wrong, and the time is bounded."""
    patient = Patient(lab)
    unbound = THERE["unbound"]
    unbound.write("")
    lab.test.callback(unbound.write, f'  trust-anchor-file: "{unbound.folder}/anchor"\n')
    expect(patient.wrong(), dnssec="validat")
    unbound.close()
    wrong = patient.wrong()
    assert "resolver" in wrong and "error" in wrong["resolver"][0], wrong
    found, status = patient.findings()
    assert status == 2
    assert not [line for line in found if line["check"] in ("ptr", "helo", "spf") and line["status"] == "ok"]


def test_doctor_listeners_and_daemon(lab):
    patient = Patient(lab)
    patient.relay.configure(patient.config.replace("listen [::]:25 { }\n", ""))
    patient.relay.process.send_signal(signal.SIGHUP)
    patient.relay.wait_log(" reloaded ")
    wrong = patient.wrong()
    assert "listeners" in wrong and "IPv6" in wrong["listeners"][0], wrong
    patient = Patient(lab, start=False)
    wrong = patient.wrong()
    assert {"daemon", "listeners"} <= set(wrong), wrong


def test_doctor_addresses(lab):
    """A source address that the host has not; one family without any address."""
    wrong = Patient(lab, more="source { ipv4 = 198.51.100.99 }\n").wrong()
    assert "source" in wrong and "198.51.100.99" in wrong["source"][0], wrong
    patient = Patient(lab)
    lab.relay_host.ip("-6", "addr", "del", f"{RELAY6}/128", "dev", "eth0")
    try:
        wrong = patient.wrong()
        assert "families" in wrong and "IPv6" in wrong["families"][0], wrong
    finally:
        lab.relay_host.ip("-6", "addr", "add", f"{RELAY6}/128", "dev", "eth0", "nodad")
        with contextlib.suppress(RuntimeError):
            lab.relay_host.ip("-6", "route", "replace", "2001:db8::/32", "dev", "eth0", "src", RELAY6)
            lab.relay_host.ip("-6", "route", "replace", "default", "dev", "eth0", "src", RELAY6)


def test_doctor_files(lab):
    """The daemon may open fewer files than it wants."""
    patient = Patient(lab, start=False)
    program = patient.relay.program
    wrapper = f"{patient.relay.folder}/few"
    with open(wrapper, "w") as f:
        f.write(f'#!/bin/sh\nulimit -n 300\nexec {program} "$@"\n')
    os.chmod(wrapper, 0o755)
    patient.relay.program = wrapper
    patient.relay.start([(RELAY4, 25)])
    wrong = patient.wrong()  # few sessions, so the listeners may be busy too
    assert "300 files" in wrong["files"][0], wrong
