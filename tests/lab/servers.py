"""tests/lab/servers.py: real servers inside hosts of the lab: nsd for names, Postfix for mail."""
import email
import email.policy
import glob
import os
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import time


def wait_until(true, seconds, what, step=0.02):
    """For what gives no event of its own (files of others): looks again and again; what true() returned."""
    end = time.monotonic() + seconds
    while True:
        result = true()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(step)


class Nsd:
    """The DNS of the lab: nsd with a root zone, so that every name not added is NXDOMAIN. REFUSED or silence need another server."""

    def __init__(self, host, folder):
        self.host, self.folder = host, folder
        self.records, self.serial, self.process = [], 1, None
        os.makedirs(folder)
        addresses = "".join(f"  ip-address: {a}\n" for a in host.v4 + host.v6)
        with open(f"{folder}/nsd.conf", "w") as f:
            f.write(f'server:\n{addresses}  port: 53\n  username: ""\n  chroot: ""\n  zonesdir: "{folder}"\n  database: ""\n'
                    f'  pidfile: "{folder}/nsd.pid"\n  xfrdfile: ""\n  zonelistfile: "{folder}/zone.list"\n  server-count: 1\n'
                    f'  xfrdir: "{folder}"\n  cookie-secret-file: ""\n  rrl-ratelimit: 0\n  rrl-whitelist-ratelimit: 0\n'
                    f'remote-control:\n  control-enable: no\nzone:\n  name: "."\n  zonefile: "root.zone"\n')
        self._write()
        self.log = open(f"{folder}/nsd.log", "wb")
        self.process = subprocess.Popen(host.command("nsd", "-d", "-c", f"{folder}/nsd.conf"), stdout=self.log,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        wait_until(lambda: self._served() == self.serial, 10, "nsd")

    def _write(self):
        with open(f"{self.folder}/root.zone", "w") as f:
            f.write(f"$TTL 300\n. SOA ns. root. {self.serial} 3600 900 86400 2\n. NS ns.\nns. A 198.51.100.53\n")
            f.write("\n".join(self.records) + "\n")

    def add(self, *records):
        """Adds records, as in a zone file with full names ("new.example. MX 10 mx.new.example."), and waits until they are served."""
        self.records += [r for r in records if r not in self.records]
        self._again()

    def remove(self, beginning):
        """Takes away the records that begin so."""
        self.records = [r for r in self.records if not r.startswith(beginning)]
        self._again()

    def _again(self):
        self.serial += 1
        self._write()
        later = time.time() + self.serial  # nsd looks at the file's time: let it differ in any case
        os.utime(f"{self.folder}/root.zone", (later, later))
        with open(f"{self.folder}/nsd.pid") as f:
            os.kill(int(f.read()), signal.SIGHUP)
        # for a moment the old process and the new one answer side by side: one answer of the new one is not enough
        wait_until(lambda: all(self._served(n) == self.serial for n in range(12)), 10, "nsd's new zone", 0.005)

    def _served(self, number=0):
        """The serial that is served now, asked over one of the addresses; None: no answer."""
        query = struct.pack(">HHHHHH", 7, 0, 1, 0, 0, 0) + b"\0" + struct.pack(">HH", 6, 1)
        addresses = self.host.v4 + self.host.v6
        address = addresses[number % len(addresses)]
        with self.host.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.3)
            try:
                s.sendto(query, (address, 53))
                answer = s.recv(4096)
            except OSError:
                return None
        found = re.search(rb"\x02ns\xc0?.*?\x04root.*?(....)" + struct.pack(">IIII", 3600, 900, 86400, 2), answer, re.S)
        return struct.unpack(">I", found[1])[0] if found else None

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.log.close()


MASTER = """\
smtp      inet  n - n - - smtpd
pickup    unix  n - n 1 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 1 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """An instance of Postfix with everything of its own. It speaks only the families of its host; it takes mail for `domains`
    (any local part) into one Maildir, and hands everything else to `relayhost` (as Postfix writes it; None: nowhere)."""

    def __init__(self, host, folder, domains=(), relayhost=None, networks="127.0.0.0/8 [::1]/128", **settings):
        self.host, self.folder = host, folder
        self.maildir = f"{folder}/mail/all"
        self.uid = pwd.getpwnam("nobody").pw_uid
        os.makedirs(f"{folder}/etc")
        os.makedirs(f"{folder}/queue")
        os.makedirs(f"{folder}/mail")
        os.makedirs(f"{folder}/data")
        os.chown(f"{folder}/mail", self.uid, -1)
        shutil.chown(f"{folder}/data", "postfix")
        protocols = ", ".join(["ipv4"] * bool(host.v4) + ["ipv6"] * bool(host.v6))
        main = {
            "compatibility_level": "3.6", "queue_directory": f"{folder}/queue", "data_directory": f"{folder}/data",
            "maillog_file": f"{folder}/maillog", "maillog_file_prefixes": folder, "inet_protocols": protocols,
            "inet_interfaces": "all", "myhostname": f"{host.name}.example", "mydestination": "", "mynetworks": networks,
            "relayhost": relayhost or "", "disable_dns_lookups": "yes", "smtpd_peername_lookup": "no",
            "virtual_mailbox_domains": " ".join(domains), "virtual_mailbox_maps": "static:all/",
            "virtual_mailbox_base": f"{folder}/mail", "virtual_uid_maps": f"static:{self.uid}", "virtual_minimum_uid": "1",
            "virtual_gid_maps": f"static:{pwd.getpwuid(self.uid).pw_gid}", "virtual_alias_maps": "", "virtual_mailbox_limit": "0",
            "alias_maps": "", "alias_database": "", "message_size_limit": "104857600", "mailbox_size_limit": "0",
            "local_recipient_maps": "", "local_transport": "error:no local mail", "smtpd_relay_restrictions":
            "permit_mynetworks, reject_unauth_destination", "default_process_limit": "30", "smtp_tls_security_level": "none",
            "smtpd_tls_security_level": "none", "smtpd_delay_reject": "yes", "double_bounce_sender": "double-bounce",
            "notify_classes": "", "in_flow_delay": "0"}
        if not relayhost:
            main["default_transport"] = "error:no way out"
        main.update(settings)
        with open(f"{folder}/etc/main.cf", "w") as f:
            f.writelines(f"{key} = {value}\n" for key, value in main.items())
        with open(f"{folder}/etc/master.cf", "w") as f:
            f.write(MASTER)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("MAIL_")}
        self.running = True
        self.starting = subprocess.Popen(host.command("postfix", "-c", f"{folder}/etc", "start"), stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL, env=self.environment)

    def wait(self):
        """Until it greets. The constructor does not wait, so that several start side by side."""
        if self.starting.wait(30):
            raise RuntimeError(f"postfix start on {self.host.name}: {self.log()[-2000:]}")
        address = (self.host.v4 + self.host.v6)[0]
        wait_until(lambda: self._greets(address), 10, f"Postfix on {self.host.name}; see {self.folder}/maillog")
        return self

    def _greets(self, address):
        try:
            with self.host.connect(address, 25, 2) as s:
                return s.recv(100).startswith(b"220")
        except OSError:
            return False

    def log(self):
        try:
            with open(f"{self.folder}/maillog", errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def submit(self, sender, rcpts, message):
        """As a user of that machine: by its own sendmail."""
        rcpts = [rcpts] if isinstance(rcpts, str) else rcpts
        subprocess.run(["sendmail", "-C", f"{self.folder}/etc", "-i", "-f", sender, *rcpts],
                       input=message.replace(b"\r\n", b"\n"), check=True, capture_output=True)

    def mails(self):
        """What has arrived: bytes of each message, oldest first."""
        files = sorted(glob.glob(f"{self.maildir}/new/*"), key=lambda p: os.stat(p).st_mtime_ns)
        found = []
        for path in files:
            with open(path, "rb") as f:
                found.append(f.read())
        return found

    def wait_mail(self, part, seconds=15):
        """The first message that contains `part`, parsed; .raw are its bytes."""
        part = part if isinstance(part, bytes) else part.encode()

        def look():
            return next((m for m in self.mails() if part in m), None)
        raw = wait_until(look, seconds, f"mail with {part!r} at {self.host.name}", 0.05)
        parsed = email.message_from_bytes(raw, policy=email.policy.default)
        parsed.raw = raw
        return parsed

    def close(self):
        if self.running:
            self.running = False
            self.starting.wait(30)
            subprocess.run(self.host.command("postfix", "-c", f"{self.folder}/etc", "abort"), capture_output=True,
                           env=self.environment)
