"""tests/lab/stories/survey.py: relayq survey over a list of domains, cut off in the middle, and taken up again."""
import os
import signal
import subprocess

from lab import RELAY4
from relay import release_binary
from servers import wait_until
from story import say, show

DNS = "198.51.100.53"
# per 10 domains: what their MX host has, and how much mail goes there
KINDS = [("A AAAA", 90)] * 5 + [("A", 40)] * 2 + [("AAAA", 5), ("", 1), ("null", 1)]


def records(domain, has):
    if has == "null":
        return [f"{domain}. MX 0 ."]
    addresses = {"A": f"mx.{domain}. A 203.0.113.9", "AAAA": f"mx.{domain}. AAAA 2001:db8:3::9"}
    return [f"{domain}. MX 10 mx.{domain}."] + [addresses[kind] for kind in has.split()]


def story(lab):
    tool = f"{os.path.dirname(release_binary())}/relayq"
    domains = [(f"d{n}.survey.example", *KINDS[n % 10]) for n in range(1000)]
    lab.dns.add(*(r for domain, has, _ in domains for r in records(domain, has)))
    path, results = f"{lab.folder}/domains", f"{lab.folder}/found"
    with open(path, "w") as f:
        f.writelines(f"{domain} {mail}\n" for domain, _, mail in domains)
    words = lab.relay_host.command(tool, "survey", path, "--resolver", DNS, "--rate", "200", "--results", results)
    say(f"Is it worth while to have both families? {len(domains)} domains, each with the mail that goes there, are asked about at {RELAY4}; no daemon "
        "runs. In the middle of it the machine dies:")
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    wait_until(lambda: os.path.exists(results) and os.path.getsize(results) > 12000, 20, "answers")
    process.send_signal(signal.SIGKILL)
    process.wait()
    with open(results) as f:
        known = f.read().count("\n") - 1
    show("relayq survey domains --rate 200 --results found", f"Killed: {known} of {len(domains)} domains are in the file")
    say("It goes on where it was:")
    done = subprocess.run([*words, "--resume"], stdout=subprocess.PIPE, text=True, check=True)
    show("relayq survey domains --rate 200 --results found --resume", done.stdout)
    say("Which are they that a server with IPv4 alone cannot send to? (All is known: nothing is asked.)")
    done = subprocess.run([*words, "--resume", "--csv"], stdout=subprocess.PIPE, text=True, check=True)
    lost = [line for line in done.stdout.splitlines() if line.split(",")[4] == "no" and ",ipv6," in line]
    show("relayq survey domains --results found --resume --csv | grep ,ipv6,", "\n".join(lost), most=4)
