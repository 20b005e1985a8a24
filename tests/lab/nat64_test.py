"""tests/lab/nat64_test.py: NAT64 prefixes found by asking a real DNS64 server (unbound), as the daemon's part for it does alone."""
import os
import signal
import subprocess

from lab import RELAY4
from relay import ROOT
from servers import wait_until

NAME, FIRST, SECOND = "ipv4only.arpa", "192.0.0.170", "192.0.0.171"
OFTEN = "dns { servers = %s:53   timeout = 200ms   tries = 1   failure = 0   nat64_min = 1s }\n"


class Unbound:
    """A resolver on a host, in front of the lab's nsd; with `prefix` a DNS64 server. Records are kept for `ttl` seconds."""

    def __init__(self, host, folder, prefix=None, ttl=2):
        self.host, self.folder = host, folder
        os.makedirs(folder, exist_ok=True)
        modules = f'  module-config: "dns64 iterator"\n  dns64-prefix: {prefix}\n' if prefix else '  module-config: "iterator"\n'
        interfaces = "".join(f"  interface: {a}\n" for a in ("127.0.0.1", *host.v4, *host.v6))
        with open(f"{folder}/unbound.conf", "w") as f:
            f.write(f'server:\n{interfaces}{modules}  username: ""\n  chroot: ""\n  directory: "{folder}"\n  pidfile: ""\n'
                    f'  do-daemonize: no\n  use-syslog: no\n  num-threads: 1\n  cache-max-ttl: {ttl}\n'
                    f'  access-control: 0.0.0.0/0 allow\n  access-control: ::/0 allow\n  do-not-query-localhost: no\n'
                    f'remote-control:\n  control-enable: no\n'
                    f'forward-zone:\n  name: "."\n  forward-addr: 198.51.100.53\n')
        self.log = open(f"{folder}/log", "ab")
        self.process = subprocess.Popen(host.command("unbound", "-d", "-c", f"{folder}/unbound.conf"), stdout=self.log,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        wait_until(self._answers, 10, "unbound")

    def _answers(self):
        return "status: NOERROR" in self.host.run("dig", "+tries=1", "+time=1", "@127.0.0.1", NAME, "A", check=False)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)  # as a server that is gone: no last words
            self.process.wait()
        self.log.close()


def unbound(lab, host, prefix=None):
    u = Unbound(host, f"{lab.folder}/unbound-{host.name}", prefix)
    lab.test.callback(u.close)
    return u


def finder(lab, config, start=True):
    """The part of the daemon alone; it logs as the daemon does."""
    probe = lab.relay(program=f"{ROOT}/build/asan/lab/nat64_probe", start=False)
    probe.configure(config)
    if start:
        probe.start()
    return probe


def addresses(lab):
    lab.dns.add(f"{NAME}. A {FIRST}", f"{NAME}. A {SECOND}")
    lab.test.callback(lab.dns.remove, f"{NAME}. ")


def prefixes(text):
    return rf"nat64-prefixes prefixes={text} "


def test_each_length_is_found_and_changes_are_taken_up(lab):
    """One relay all the time; the DNS64 server goes and comes back with another prefix. While it is gone the old one stays."""
    addresses(lab)
    n = lab.number()
    host = lab.net.host(f"dns64-{n}", f"198.51.100.{n}")
    probe, before = None, None
    for prefix in ("2001:db8::/32", "2001:db8:100::/40", "2001:db8:122::/48", "2001:db8:122:300::/56", "2001:db8:122:344::/64",
                   "2001:db8:122:344::/96", "64:ff9b::/96"):
        server = unbound(lab, host, prefix)
        probe = probe or finder(lab, OFTEN % host.v4[0])
        probe.wait_log(prefixes(prefix), f"before={before or 'none'} ", seconds=15)
        since = len(probe.lines)
        server.close()
        probe.wait_log("nat64-check-failed", rf"kept={prefix}$", seconds=15, since=since)
        before = prefix
    assert len(probe.find("nat64-prefixes")) == 7, probe.log()
    server = unbound(lab, host)  # no DNS64 any more
    probe.wait_log(prefixes("none"), f"before={before} ", seconds=15)


def test_several_prefixes_among_other_addresses(lab):
    """What one server says of several, and of nothing: nsd with AAAA records for the name, some of which are none of a DNS64's."""
    records = [f"{NAME}. AAAA {a}" for prefix in ("2001:db8:64::", "64:ff9b::") for a in (f"{prefix}{FIRST}", f"{prefix}{SECOND}")]
    records += [f"{NAME}. AAAA 2001:db8:122:344:c0:0:aa00::", f"{NAME}. AAAA 2001:db8::1", f"{NAME}. AAAA 2001:db8:c000:aa:100::"]
    lab.dns.add(*records)
    lab.test.callback(lab.dns.remove, f"{NAME}. ")
    probe = finder(lab, OFTEN % "198.51.100.53")
    probe.wait_log(prefixes("2001:db8:64::/96,64:ff9b::/96,2001:db8:122:344::/64"))


def test_who_is_believed(lab):
    """Resolvers of /etc/resolv.conf: those on this machine may name any prefix, others the well-known one; a configured prefix needs
    none of them."""
    addresses(lab)
    n = lab.number()
    away = lab.net.host(f"dns64-{n}", f"198.51.100.{n}")
    etc = f"/etc/netns/{lab.relay_host.namespace}"  # ip netns exec shows this in the place of /etc
    os.makedirs(etc)
    lab.test.callback(lambda: (os.remove(f"{etc}/resolv.conf"), os.rmdir(etc)))

    def resolver(address):
        with open(f"{etc}/resolv.conf", "w") as f:
            f.write(f"nameserver {address}\n")

    own = "2001:db8:64::/96"
    server = unbound(lab, away, own)
    resolver(away.v4[0])
    probe = finder(lab, "")
    probe.wait_log("nat64-not-believed", f"prefixes={own} ")
    assert not probe.find("nat64-prefixes"), probe.log()
    probe.configure(f"nat64 = {own}\n")
    probe.signal(signal.SIGHUP)
    probe.wait_log(prefixes(own), "from=configuration")
    probe.configure(OFTEN % away.v4[0])
    probe.signal(signal.SIGHUP)
    probe.wait_log(prefixes(own), f"from={NAME}")
    probe.stop()
    server.close()

    unbound(lab, away, "64:ff9b::/96")
    probe = finder(lab, "")
    probe.wait_log(prefixes("64:ff9b::/96"))
    probe.stop()

    unbound(lab, lab.relay_host, own)
    resolver("127.0.0.1")
    probe = finder(lab, "")
    probe.wait_log(prefixes(own), f"from={NAME}")


def test_off_asks_nothing(lab):
    """With `off` and with a prefix given no question goes out: the only resolver is one that counts."""
    server = lab.net.host(f"silent-{lab.number()}", f"198.51.100.{lab.number()}")
    with server.socket(2, 2) as s:
        s.bind((server.v4[0], 53))
        s.settimeout(2)
        for config, asked in (("nat64 = off\n", False), ("nat64 = 2001:db8:64::/96\n", False), ("", True)):
            probe = finder(lab, config + OFTEN % server.v4[0])
            try:
                question, peer = s.recvfrom(4096)
            except TimeoutError:
                question, peer = None, (RELAY4, 0)
            assert (question is not None) == asked, (config, question)
            assert peer[0] == RELAY4
            probe.stop()
    assert b"\x08ipv4only\x04arpa\x00\x00\x1c\x00\x01" in question
