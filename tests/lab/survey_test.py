"""tests/lab/survey_test.py: relayq survey over nsd: each kind of domain, the pace, kill -9 and --resume, a DNS64 server, a silent one."""
import csv
import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import tempfile
import time

from relay import ROOT
from servers import wait_until

DNS4, SILENT, DNS64 = "198.51.100.53", "198.51.100.57", "198.51.100.58"
# what each domain has in the DNS; the words of the columns `kind` and `host`
KINDS = {
    "both.sv.example": ("both", "mx", ["@ MX 10 mx.@", "mx.@ A 203.0.113.9", "mx.@ AAAA 2001:db8:3::9"]),
    "parts.sv.example": ("both", "mx", ["@ MX 10 a.@", "@ MX 20 b.@", "a.@ A 203.0.113.9", "b.@ AAAA 2001:db8:3::9"]),
    "four.sv.example": ("ipv4", "mx", ["@ MX 10 mx.@", "mx.@ A 203.0.113.9"]),
    "six.sv.example": ("ipv6", "mx", ["@ MX 10 mx.@", "mx.@ AAAA 2001:db8:3::9"]),
    "implicit4.sv.example": ("ipv4", "implicit", ["@ A 203.0.113.9"]),
    "implicit6.sv.example": ("ipv6", "implicit", ["@ AAAA 2001:db8:3::9"]),
    "implicit.sv.example": ("both", "implicit", ["@ A 203.0.113.9", "@ AAAA 2001:db8:3::9"]),
    "null.sv.example": ("null-mx", "mx", ["@ MX 0 ."]),
    "dangling.sv.example": ("dangling", "mx", ["@ MX 10 nobody.@", "@ A 203.0.113.9"]),
    "loop.sv.example": ("dangling", "mx", ["@ MX 10 mx.@", "mx.@ A 127.0.0.1"]),
    "empty.sv.example": ("nowhere", "implicit", ['@ TXT "nothing to send to"']),
    "nothing.sv.example": ("nowhere", "mx", []),
    "xn--grn-ioa.sv.example": ("ipv6", "mx", ["@ MX 10 mx.six.sv.example"]),
}


def zone(name, records):
    """Each record with its names ended and @ put in."""
    lines = [r.replace("@", name) for r in records]
    return [re.sub(r"( MX \d+ )([\w.-]*\w)$", r"\1\2.", re.sub(r"^([\w.-]+)", r"\1.", line)) for line in lines]


def setup(lab):
    lab.dns.add(*(r for name, (_, _, records) in KINDS.items() for r in zone(name, records)))


def survey(lab, text, *words, program=None, check=None):
    """relayq survey of that list, without a daemon; (standard output, standard error)."""
    done = subprocess.run(command(lab, "-", *words, program=program), input=text, capture_output=True, timeout=120,
                          env={**os.environ, "HOME": "/nonexistent"})
    out, err = done.stdout.decode(), done.stderr.decode()
    assert check is None or done.returncode == check, (done.returncode, out, err)
    return out, err


def command(lab, *words, program=None, dns=DNS4):
    return lab.relay_host.command(program or f"{ROOT}/build/asan/relayq", "survey", "--resolver", dns, *words)


def rows(text):
    return {row["domain"]: row for row in csv.DictReader(io.StringIO(text))}


def test_survey_kinds(lab):
    text = "".join(f"{name}\n" for name in KINDS if not name.startswith("xn--")) + "grün.sv.example\n"
    out, err = survey(lab, text.encode(), "--csv", check=0)
    found = rows(out)
    assert list(found) == list(KINDS), "not in the order of the list"
    assert {d: (r["kind"], r["host"]) for d, r in found.items()} == {d: k[:2] for d, k in KINDS.items()}, out
    can = {"both": ("yes", "yes"), "ipv4": ("yes", "no"), "ipv6": ("no", "yes")}
    for domain, r in found.items():
        assert (r["ipv4_only_can_send"], r["ipv6_only_can_send"]) == can.get(r["kind"], ("no", "no")), domain
        assert bool(r["reason"]) == (r["kind"] not in can), r
    assert err == "", "a progress bar or else on what is no terminal"


def test_survey_shares(lab):
    """4 domains take mail, 200 mails: 10 to the IPv6-only one, 40 to the IPv4-only ones."""
    text = b"both.sv.example 150\nfour.sv.example 30\nimplicit4.sv.example 10\nsix.sv.example 4\nnull.sv.example 1000\nsix.sv.example. 6\n"
    out, _ = survey(lab, text, check=0)
    assert all(len(line) <= 80 for line in out.splitlines()), out
    for pattern in (r"both families +1 +20\.0% +0 +150 +12\.5%", r"IPv4 only +2 +40\.0% +1 +40 +3\.3%", r"Of 4 domains that take mail:",
                    r"IPv4 only +1 +25\.0% +10 +5\.0%", r"IPv6 only +2 +50\.0% +40 +20\.0%"):
        assert re.search(pattern, out), (pattern, out)
    lab.fact("the table: " + " / ".join(line for line in out.splitlines()[-2:]))
    out, _ = survey(lab, text, "--json", check=0)
    *domains, end = map(json.loads, out.splitlines())
    assert [d["domain"] for d in domains] == ["both.sv.example", "four.sv.example", "implicit4.sv.example", "six.sv.example", "null.sv.example"]
    assert domains[3]["mail"] == 10 and domains[3]["ipv4_only_can_send"] is False and domains[3]["ipv6_only_can_send"] is True
    assert end["taking_mail"] == {"domains": 4, "mail": 200, "without_mx": 1}
    assert end["ipv4_only_cannot_send"] == {"domains": 1, "share": 0.25, "mail": 10, "mail_share": 0.05}
    assert end["ipv6_only_cannot_send"] == {"domains": 2, "share": 0.5, "mail": 40, "mail_share": 0.2}
    out, _ = survey(lab, b"both.sv.example\n", check=0)
    assert "MAIL " not in out.replace("MAIL SERVERS", ""), f"mail is counted that nobody gave: {out}"


def test_survey_junk(lab):
    text = (b"\xef\xbb\xbfboth.sv.example\r\n# a comment\n\nann@both.sv.example\nfour.sv.example many\n\x00\n192.0.2.1 5\n" + b"x" * 5000
            + b"\n\xff.example\nsix.sv.example")
    out, err = survey(lab, text, "--csv", check=1)
    assert list(rows(out)) == ["both.sv.example", "six.sv.example"], out
    lines = err.splitlines()
    assert [int(re.match(r"relayq: standard input:(\d+): ", line)[1]) for line in lines] == [4, 5, 6, 7, 8, 9], err
    for line, what in zip(lines, ("mail address", "no weight", "no domain", "address", "1024 bytes", "internationalised")):
        assert what in line, line
    out, err = survey(lab, b"@\n" * 1000, check=65)
    assert out == "" and len(err.splitlines()) == 22 and "and 980 more lines" in err and "no line names a domain" in err, err
    for words, code in ((("--resume",), 64), (("--csv", "--json"), 64), (("--rate", "10001"), 64), (("--rate", "0"), 64),
                        (("--in-flight", "0"), 64), (("--in-flight", "1001"), 64), (("--resolver", "nobody"), 64), (("--results", "/nonexistent/x"), 69), (("--config", "/nonexistent/x"), 69)):
        out, err = survey(lab, b"both.sv.example\n", *words, check=code)
        assert out == "" and len(err.splitlines()) == 1, (words, err)
    done = subprocess.run(command(lab, "/nonexistent/list"), capture_output=True, timeout=20)
    assert done.returncode == 69 and b"/nonexistent/list" in done.stderr


def test_survey_no_answer(lab):
    """A server that is silent: each domain says so; no more than --in-flight are asked about at a time; exit status 1."""
    config = f"{tempfile.mkdtemp(dir=lab.folder)}/survey.conf"
    with open(config, "w") as f:
        f.write("dns { timeout = 200ms   tries = 1 }\n")
    lab.dns_host.add_address(SILENT)
    lab.dns_host.nft(f"table inet silent {{\n chain in {{ type filter hook input priority 0; ip daddr {SILENT} drop\n }}\n}}\n")
    lab.test.callback(lab.dns_host.nft_clear)

    def run(domains, *words):
        began = time.monotonic()
        done = subprocess.run(command(lab, "-", "--config", config, "--csv", *words, dns=SILENT),
                              input=b"".join(b"d%d.example\n" % n for n in range(domains)), capture_output=True, timeout=60)
        found = rows(done.stdout.decode())
        assert done.returncode == 1 and len(found) == domains and {r["kind"] for r in found.values()} == {"no-answer"}, done
        assert all("time-out" in r["reason"] and r["ipv4_only_can_send"] == "" for r in found.values()), found["d0.example"]
        return time.monotonic() - began
    together, by_ten = run(100, "--rate", "10000"), run(100, "--rate", "10000", "--in-flight", "10")
    assert together < 2 < by_ten < 6, (together, by_ten)  # 10 times ten of them: 10 x 0.2 s
    lab.fact(f"100 domains that are silent for 0.2 s: {together:.1f} s; with --in-flight 10: {by_ten:.1f} s")


def fill(lab):
    """2,000 domains of four kinds in turn, and the list of them with weights."""
    kinds = ("both", "ipv4", "ipv6", "nowhere")
    records, text = [], []
    for n in range(2000):
        d = f"d{n}.many.example"
        text.append(f"{d} {n}\n")
        if n % 4 != 3:
            records.append(f"{d}. MX 10 mx.{d}.")
        if n % 4 in (0, 1):
            records.append(f"mx.{d}. A 203.0.113.9")
        if n % 4 in (0, 2):
            records.append(f"mx.{d}. AAAA 2001:db8:3::9")
    lab.dns.add(*records)
    path = f"{tempfile.mkdtemp(dir=lab.folder)}/list"
    with open(path, "w") as f:
        f.writelines(text)
    return path, {f"d{n}.many.example": kinds[n % 4] for n in range(2000)}


class Questions:
    """How many questions reach the DNS server, counted by the kernel."""

    def __init__(self, lab):
        self.host = lab.dns_host
        self.host.nft("table inet asked {\n counter q {}\n chain in { type filter hook input priority 0; udp dport 53 counter name q\n }\n}\n")
        lab.test.callback(self.host.nft_clear)

    def count(self):
        return int(re.search(r"packets (\d+)", self.host.run("nft", "list", "counter", "inet", "asked", "q"))[1])


def test_survey_rate(lab):
    """500 domains at 50 a second, 2,000 at 200: the pace is held, and no question is asked that is not needed."""
    path, kinds = fill(lab)
    questions = Questions(lab)
    for rate, domains in ((50, 500), (200, 2000)):
        part = f"{path}.{rate}"
        with open(path) as f, open(part, "w") as out:
            out.writelines(f.readlines()[:domains])
        before, began = questions.count(), time.monotonic()
        done = subprocess.run(command(lab, part, "--rate", str(rate), "--csv"), capture_output=True, text=True, timeout=60)
        took, asked = time.monotonic() - began, questions.count() - before
        assert done.returncode == 0, done.stderr
        assert {d: r["kind"] for d, r in rows(done.stdout).items()} == dict(list(kinds.items())[:domains])
        assert domains / rate * 0.97 < took < domains / rate * 1.15 + 1, took
        # MX, A and AAAA for three of four domains, MX alone for the fourth; and one about a DNS64 server
        assert asked == domains // 4 * (3 * 3 + 1) + 1, asked
        lab.fact(f"--rate {rate}: {domains} domains in {took:.1f} s, {domains / took:.0f} a second, {asked} questions")
    began = time.monotonic()
    done = subprocess.run(command(lab, path, "--rate", "10000", "--in-flight", "1", "--csv", program=f"{ROOT}/build/relayq"),
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and len(rows(done.stdout)) == 2000
    lab.fact(f"the release build, one at a time: {2000 / (time.monotonic() - began):.0f} a second")


test_survey_rate.seconds = 120


def test_survey_killed_and_resumed(lab):
    """kill -9 three times; what comes out at last is what one run finds; each domain with an answer is asked about once."""
    path, kinds = fill(lab)
    whole = subprocess.run(command(lab, path, "--rate", "10000", "--csv"), capture_output=True, text=True, timeout=60)
    assert whole.returncode == 0
    questions, results = Questions(lab), f"{path}.results"

    def answered():
        with open(results) as f:
            return f.read().count("\n") - 1
    words = ("--results", results, "--rate", "400", "--in-flight", "20", "--csv")
    for kill in range(3):
        process = subprocess.Popen(command(lab, path, *words, *(["--resume"] * (kill > 0))), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_until(lambda: os.path.exists(results) and answered() >= 400 * (kill + 1), 20, "answers")
        process.kill()
        assert process.communicate() == (b"", b"") and process.returncode == -signal.SIGKILL
    with open(results, "ab") as f:
        f.write(b"d1999.many.exa")  # as a crash of the machine leaves it
    again = subprocess.run(command(lab, path, *words), capture_output=True, text=True, timeout=60)
    assert again.returncode == 64 and "--resume" in again.stderr, "an older file is written over"
    done = subprocess.run(command(lab, path, *words, "--resume"), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == "" and done.stdout == whole.stdout
    with open(results) as f:
        lines = f.read().splitlines()[1:]
    assert sorted(line.split("\t")[0] for line in lines) == sorted(kinds), "not each domain once"
    # each of the four runs asks about a DNS64 server; a kill loses what was under way: 20 domains, 3 questions each
    asked, once = questions.count(), 500 * (3 * 3 + 1)
    assert once + 4 <= asked <= once + 4 + 3 * 20 * 3, asked
    lab.fact(f"3 kills: {asked - once - 4} of {once} questions were asked twice")
    # all is known: nothing is asked but that
    done = subprocess.run(command(lab, path, *words, "--resume"), capture_output=True, text=True, timeout=60)
    assert done.stdout == whole.stdout and questions.count() - asked <= 1


test_survey_killed_and_resumed.seconds = 90


def test_survey_stopped(lab):
    """SIGINT: what is known is printed and kept, the rest is not asked yet."""
    path, kinds = fill(lab)
    results = f"{path}.stopped"
    process = subprocess.Popen(command(lab, path, "--rate", "200", "--results", results, "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: os.path.exists(results) and os.path.getsize(results) > 5000, 20, "answers")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    end = json.loads(out.splitlines()[-1])
    unasked = end["kinds"]["unasked"]["domains"]
    assert process.returncode == 1 and 0 < unasked < 2000 and end["all"]["domains"] == 2000, end
    assert re.fullmatch(rf"relayq: stopped at {2000 - unasked} of 2000 domains; --resume goes on\n", err.decode()), err
    with open(results) as f:
        assert f.read().count("\n") == 2000 - unasked + 1


def test_survey_dns64(lab):
    """Behind a DNS64 server, which makes up an AAAA for each A, an IPv4-only domain is still one."""
    lab.dns_host.add_address(DNS64)
    folder = tempfile.mkdtemp(dir=lab.folder)
    with open(f"{folder}/unbound.conf", "w") as f:
        f.write(f'server:\n  interface: {DNS64}\n  port: 53\n  access-control: 0.0.0.0/0 allow\n  username: ""\n  chroot: ""\n  directory: "{folder}"\n'
                f'  pidfile: "{folder}/pid"\n  use-syslog: no\n  module-config: "dns64 iterator"\n  dns64-prefix: 2001:db8:64::/96\n'
                f'  do-not-query-localhost: no\n  local-zone: "example." nodefault\n  outgoing-interface: {DNS4}\n'
                f'remote-control:\n  control-enable: no\nstub-zone:\n  name: "."\n  stub-addr: {DNS4}\n')
    lab.dns.add("ipv4only.arpa. A 192.0.0.170", "ipv4only.arpa. A 192.0.0.171")
    log = open(f"{folder}/log", "wb")
    process = subprocess.Popen(lab.dns_host.command("unbound", "-d", "-c", f"{folder}/unbound.conf"), stdout=log, stderr=log, start_new_session=True)
    lab.test.callback(process.wait)
    lab.test.callback(process.terminate)
    made = "2001:db8:64::cb00:7109"
    wait_until(lambda: made in lab.relay_host.run("dig", "+short", "+tries=1", "+time=1", f"@{DNS64}", "mx.four.sv.example", "AAAA", check=False), 10,
               "the DNS64 server to make an address up")
    done = subprocess.run(command(lab, "-", "--csv", dns=DNS64), input=b"four.sv.example\nboth.sv.example\nimplicit4.sv.example\nsix.sv.example\n",
                          capture_output=True, timeout=60)
    found = {d: r["kind"] for d, r in rows(done.stdout.decode()).items()}
    assert found == {"four.sv.example": "ipv4", "both.sv.example": "both", "implicit4.sv.example": "ipv4", "six.sv.example": "ipv6"}, found


def test_survey_progress_bar(lab):
    """On a terminal one line that grows, and is taken away at the end; never in what goes to standard output."""
    path, _ = fill(lab)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command(lab, path, "--rate", "1000", "--csv"), stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    seen, out = b"", b""
    while True:
        ready, _, _ = select.select([ours, process.stdout], [], [], 20)
        assert ready, "nothing for 20 s"
        if ours in ready:
            try:
                seen += os.read(ours, 4096)
            except OSError:  # the other side is closed
                break
        if process.stdout in ready:
            out += process.stdout.read1(65536)
    out += process.stdout.read()
    os.close(ours)
    assert process.wait() == 0 and len(rows(out.decode())) == 2000
    bars = re.findall(rb"\r\[(#*)-*\] (\d+) of 2000  (\d+)%", seen)
    done = [int(n) for _, n, _ in bars]
    assert len(done) >= 4 and done == sorted(done) and done[0] < done[-1], seen
    assert b"\n" not in seen and seen.endswith(b"\r\x1b[K"), seen[-40:]
    assert b"of 2000" not in out
