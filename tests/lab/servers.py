"""tests/lab/servers.py: real servers inside hosts of the lab: nsd for names; Postfix, Exim and OpenSMTPD for mail.

Postfix is installed; the other two cannot be beside it and are run from where tests/lab/unpack has put them.
"""
import contextlib
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

from relay import ROOT

RESOLVERS = ("198.51.100.53", "2001:db8:2::53")  # nsd, see lab.py


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
        self.addresses = host.v4 + host.v6  # a test may give the host more, where nothing answers
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
        address = self.addresses[number % len(self.addresses)]
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


def resolver(host):
    """A resolv.conf for a host: the lab's DNS over the families that the host has."""
    return "".join(f"nameserver {a}\n" for a in RESOLVERS if (host.v6 if ":" in a else host.v4))


class MailServer:
    """What the three have in common: a host, a folder, a log, and one Maildir for all that arrives."""
    kind = "?"

    def __init__(self, host, folder):
        self.host, self.folder = host, folder
        self.maildir, self.logfile = f"{folder}/mail/all", f"{folder}/maillog"

    def submit(self, sender, rcpts, message):
        """As a user of that machine: by its own sendmail."""
        rcpts = [rcpts] if isinstance(rcpts, str) else rcpts
        self.sendmail("-i", "-f", sender, *rcpts, text=message.replace(b"\r\n", b"\n"))

    def log(self):
        try:
            with open(self.logfile, errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def wait_greeting(self, seconds=10):
        for address in self.host.v4[:1] + self.host.v6[:1]:
            wait_until(lambda: self._greets(address), seconds, f"{self.kind} on {self.host.name}; see {self.logfile}")

    def _greets(self, address):
        try:
            with self.host.connect(address, 25, 2) as s:
                return s.recv(100).startswith(b"220")
        except OSError:
            return False

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


class Postfix(MailServer):
    """An instance of Postfix with everything of its own. It speaks only the families of its host; it takes mail for `domains`
    (any local part) into one Maildir, and hands everything else to `relayhost` (as Postfix writes it; None: nowhere)."""
    kind = "Postfix"

    def __init__(self, host, folder, domains=(), relayhost=None, networks="127.0.0.0/8 [::1]/128", **settings):
        super().__init__(host, folder)
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
        with open(f"{folder}/etc/resolv.conf", "w") as f:
            f.write(resolver(host))
        enter = f'mount --bind {folder}/etc/resolv.conf /etc/resolv.conf && exec postfix -c {folder}/etc start'
        self.starting = subprocess.Popen(host.command("sh", "-c", enter), stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL, env=self.environment)

    def wait(self):
        """Until it greets. The constructor does not wait, so that several start side by side."""
        if self.starting.wait(30):
            raise RuntimeError(f"postfix start on {self.host.name}: {self.log()[-2000:]}")
        self.wait_greeting()
        return self

    def sendmail(self, *words, text):
        subprocess.run(["sendmail", "-C", f"{self.folder}/etc", *words], input=text, check=True, capture_output=True)

    def flush(self):
        """Tries all queued mail now."""
        subprocess.run(self.host.command("postqueue", "-c", f"{self.folder}/etc", "-f"), check=True, capture_output=True)

    def queue_empty(self):
        listed = subprocess.run(["postqueue", "-c", f"{self.folder}/etc", "-j"], capture_output=True, text=True)
        return listed.returncode == 0 and not listed.stdout.strip()

    def close(self):
        if self.running:
            self.running = False
            self.starting.wait(30)
            subprocess.run(self.host.command("postfix", "-c", f"{self.folder}/etc", "abort"), capture_output=True,
                           env=self.environment)


class Unpacked(MailServer):
    """A server from tests/lab/unpack. It believes itself installed: in a mount namespace of its own (ip netns exec makes one) the
    places that are compiled into it are folders of this instance: /var/lib, /var/spool, /var/log, /run, /etc."""
    root, accounts = "", ()

    def __init__(self, host, folder, config):
        super().__init__(host, folder)
        unpacked = f"{ROOT}/build/lab-servers/{self.root}"
        if not os.path.exists(f"{unpacked}/.complete"):
            raise RuntimeError(f"{unpacked} is not there: run tests/lab/unpack")
        for part in ("lib/server", "spool", "log", "run", "mail/all"):
            os.makedirs(f"{folder}/{part}")
        nobody = pwd.getpwnam("nobody")
        users = [*((name, 901 + n, 901 + n) for n, name in enumerate(self.accounts)), ("vmail", nobody.pw_uid, nobody.pw_gid)]
        self.ids = {name: uid for name, uid, _ in users}
        for box in ("new", "cur", "tmp"):
            os.makedirs(f"{self.maildir}/{box}")
            os.chown(f"{self.maildir}/{box}", nobody.pw_uid, nobody.pw_gid)
        os.chown(self.maildir, nobody.pw_uid, nobody.pw_gid)
        shutil.copytree("/etc", f"{folder}/etc", symlinks=True, ignore=shutil.ignore_patterns("ssl", "postfix", "alternatives"))
        with open("/etc/passwd") as passwd, open("/etc/group") as group:
            files = {"passwd": "".join(f"{n}:x:{u}:{g}::{folder}/mail:/bin/sh\n" for n, u, g in users) + passwd.read(),
                     "group": "".join(f"{n}:x:{g}:\n" for n, _, g in users) + group.read()}
        files.update({"resolv.conf": resolver(host), "mailname": f"{host.name}.example\n", "server.conf": config})
        for name, text in files.items():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{folder}/etc/{name}")  # it may be a link out of here
            with open(f"{folder}/etc/{name}", "w") as f:
                f.write(text)
        binds = [(f"{folder}/lib", "/var/lib"), (unpacked, "/var/lib/server"), (f"{unpacked}/usr/libexec", "/usr/libexec"),
                 (f"{folder}/spool", "/var/spool"), (f"{folder}/log", "/var/log"), (f"{folder}/run", "/run"),
                 (f"{folder}/etc", "/etc")]
        binds = [b for b in binds if os.path.exists(b[0])]
        self.enter = "mount --make-rprivate / && " + " && ".join(f"mount --bind {a} {b}" for a, b in binds)
        self.output = open(self.logfile, "ab")
        self.process = None

    def start(self, *words):
        self.process = subprocess.Popen(self.host.command("sh", "-c", f'{self.enter} && exec "$@"', "sh", *words),
                                        stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT,
                                        start_new_session=True)

    group = 0  # the group that the server's own programs run as

    def inside(self, *words, text=None, name=None):
        """Runs a command as if on that machine; what it printed. `name`: what the program is to think it is called."""
        command = ["nsenter", "-m", "-n", "-t", str(self.process.pid), "-S", "0", "-G", str(self.group),
                   *(["bash", "-c", 'exec -a "$0" "$@"', name] if name else []), *words]
        done = subprocess.run(command, input=text, capture_output=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.returncode}: {(done.stderr or done.stdout).decode(errors='replace')}")
        return done.stdout.decode(errors="replace")

    def wait(self):
        """Until it greets. The constructor does not wait, so that several start side by side."""
        self.wait_greeting()
        return self

    def close(self):
        if self.process:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except OSError:
                pass
            self.process.wait()
            self.process = None
        self.output.close()


EXIM = """\
primary_hostname = {name}.example
exim_path = /var/lib/server/usr/sbin/exim4
spool_directory = /var/spool/exim
log_file_path = {folder}/log/%slog
log_selector = +all
daemon_smtp_ports = 25
local_interfaces = {interfaces}
disable_ipv6 = {no6}
domainlist local_domains = {domains}
hostlist relay_from_hosts = {networks}
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
never_users =
trusted_users = root
chunking_advertise_hosts = *
dsn_advertise_hosts = *
message_size_limit = 100M
queue_run_max = 5
tls_advertise_hosts =
smtp_accept_max = 200
smtp_accept_max_per_connection = 10000
smtp_accept_queue_per_connection = 0
rfc1413_query_timeout = 0s
host_lookup =
begin acl
acl_rcpt:
  deny    local_parts = ^no
          message = no such person
  accept  hosts = +relay_from_hosts
          control = dkim_disable_verify
  require domains = +local_domains
  accept
acl_data:
  accept
begin routers
{routers}
in:
  driver = accept
  domains = +local_domains
  transport = maildir
begin transports
remote_smtp:
  driver = smtp
maildir:
  driver = appendfile
  directory = {folder}/mail/all
  maildir_format
  user = vmail
  create_directory = false
begin retry
* * F,5d,1s
"""


class Exim(Unpacked):
    """Exim: takes mail for `domains` into the Maildir; `routers` are lines of its own language that stand before that router."""
    kind, root, accounts = "Exim", "exim", ("Debian-exim",)

    def __init__(self, host, folder, domains=(), routers="", networks="<; 127.0.0.0/8 ; ::1"):
        # Exim's lists are separated by colons: those that hold IPv6 addresses name another separator
        super().__init__(host, folder, EXIM.format(
            name=host.name, folder=folder, domains=" : ".join(domains), networks=networks, routers=routers,
            interfaces="<; " + " ; ".join(["127.0.0.1", *host.v4] * bool(host.v4) + ["::1", *host.v6] * bool(host.v6)),
            no6="false" if host.v6 else "true"))
        self.logfile = f"{folder}/log/mainlog"
        os.makedirs(f"{folder}/lib/exim4")
        os.rename(f"{folder}/etc/server.conf", f"{folder}/lib/exim4/config.autogenerated")
        os.makedirs(f"{folder}/run/exim4")
        for path in (f"{folder}/spool", f"{folder}/log"):
            os.chown(path, self.ids["Debian-exim"], 901)
        self.begin()

    program = "/var/lib/server/usr/sbin/exim4"

    def begin(self):
        self.start(self.program, "-bdf", "-q1h")

    def sendmail(self, *words, text):
        self.inside(self.program, "-odb", *words, text=text)

    def flush(self):
        """Tries all queued mail now."""
        self.inside(self.program, "-qff")

    def queue_empty(self):
        return self.inside(self.program, "-bpc").strip() == "0"


# what dpkg-reconfigure exim4-config writes for "mail sent by smarthost; received via SMTP"
SMARTHOST = """\
dc_eximconfig_configtype='smarthost'
dc_other_hostnames=''
dc_local_interfaces='{interfaces}'
dc_readhost=''
dc_relay_domains=''
dc_minimaldns='false'
dc_relay_nets=''
dc_smarthost='{smarthost}'
CFILEMODE='644'
dc_use_split_config='true'
dc_hide_mailname='false'
dc_mailname_in_oh='true'
dc_localdelivery='mail_spool'
"""


class DebianExim(Exim):
    """Exim with Debian's own configuration, as its installer's questions make it: all mail to a smarthost."""

    def __init__(self, host, folder, smarthost):
        self.smarthost = smarthost
        super().__init__(host, folder)

    def begin(self):
        here, there = f"{ROOT}/build/lab-servers/exim", f"{self.folder}/etc/exim4"
        shutil.copytree(f"{here}/etc/exim4", there)
        with open(f"{there}/update-exim4.conf.conf", "w") as f:
            interfaces = " ; ".join(["127.0.0.1", "::1", *self.host.v4, *self.host.v6])
            f.write(SMARTHOST.format(smarthost=self.smarthost, interfaces=interfaces))
        options = "conf.d/main/01_exim4-config_listmacrosdefs"
        for source, copy in ((f"{here}/etc/exim4/{options}", f"{there}/{options}"),
                             (f"{here}/usr/sbin/update-exim4.conf", f"{there}/make")):
            with open(source) as f, open(copy, "w") as to:
                to.write(f.read().replace("/usr/sbin/exim4", self.program))
        shutil.chown(f"{self.folder}/log", self.ids["Debian-exim"])
        os.makedirs(f"{self.folder}/log/exim4")
        os.makedirs(f"{self.folder}/spool/exim4")
        for path in (f"{self.folder}/log/exim4", f"{self.folder}/spool/exim4"):
            os.chown(path, self.ids["Debian-exim"], 901)
        self.logfile = f"{self.folder}/log/exim4/mainlog"
        self.start("sh", "-c", f"rm -f /var/lib/exim4/config.autogenerated && sh /etc/exim4/make && exec {self.program} -bdf -q1h")


OPENSMTPD = """\
table people {{ "@" = "vmail" }}
smtp max-message-size 100M
queue ttl 1d
mta limit session-keepalive 0
{listen}
action "in" maildir "{folder}/mail/all" virtual <people>
{refuse}
match from any for domain {{ {domains} }} action "in"
{more}
"""


class OpenSmtpd(Unpacked):
    """OpenSMTPD: takes mail for `domains` into the Maildir; `more` are lines of smtpd.conf that stand behind the rule for
    these, `refuse` lines that stand before it."""
    kind, root, accounts = "OpenSMTPD", "opensmtpd", ("opensmtpd", "opensmtpq")

    def __init__(self, host, folder, domains=(), more="", refuse=""):
        addresses = ["127.0.0.1", *host.v4] * bool(host.v4) + ["::1", *host.v6] * bool(host.v6)
        listen = "\n".join(f"listen on {a} port 25" for a in addresses)
        super().__init__(host, folder, OPENSMTPD.format(folder=folder, listen=listen, more=more, refuse=refuse,
                                                        domains=", ".join(f'"{d}"' for d in domains or ["nowhere.invalid"])))
        os.makedirs(f"{folder}/lib/opensmtpd/empty")
        os.makedirs(f"{folder}/spool/smtpd")
        os.chmod(f"{folder}/spool/smtpd", 0o711)
        self.start("/var/lib/server/usr/sbin/smtpd", "-d", "-f", "/etc/server.conf")

    program, group = "/var/lib/server/usr/sbin/smtpctl", 902  # the package installs it setgid opensmtpq

    def sendmail(self, *words, text):
        self.inside(self.program, *words, text=text, name="sendmail")

    def flush(self):
        """Tries all queued mail now, over all routes: it avoids one for a while where it was refused."""
        for route in re.findall(r"^(\d+)\.", self.inside(self.program, "show", "routes"), re.M):
            self.inside(self.program, "resume", "route", route)
        self.inside(self.program, "schedule", "all")

    def queue_empty(self):
        return not self.inside(self.program, "show", "queue").strip()
