/* tests/unit/doctor_test.c: how each check of relayq doctor judges what was seen. One host is well; each row of a table
 * hurts it in one place, and says which check then finds what, while all others stay as they were. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <jansson.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "queue/doctor/checks.h"
#include "queue/doctor/outgoing.h"
#include "queue/tool/doctor_page.h"

#define V4 "198.51.100.64"
#define V6 "2001:db8:2::64"
#define ARPA4 "64.100.51.198.in-addr.arpa"
#define ARPA6 "4.6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"

static const char settings[] = "hostname = relay.example\nspool = /spool\ncontrol = /control\n"
			       "listen 0.0.0.0:25 { }\nlisten [::]:25 { }\ndns { servers = 127.0.0.1:53 }\n";

/* ---- a zone ---- */

struct row {
	const char *name, *type, *value;
};
enum { ROWS = 40 };
static struct row zone[ROWS];
static size_t zone_count;

static void zone_set(const char *name, const char *type, const char *value)
{
	for (size_t i = 0; i < zone_count; i++)
		if (strcmp(zone[i].name, name) == 0 && strcmp(zone[i].type, type) == 0) {
			zone[i].value = value;
			return;
		}
	assert_true(zone_count < ROWS);
	zone[zone_count++] = (struct row){name, type, value};
}

/* An answer with one record; without `value` NODATA, "SERVFAIL" is one. */
static void answer(struct names *n, int number, const char *name, enum dns_type type)
{
	static const char *const words[] = {
		[DNS_A] = "A", [DNS_AAAA] = "AAAA", [DNS_MX] = "MX", [DNS_TXT] = "TXT", [DNS_PTR] = "PTR"};
	uint8_t txt[256];
	struct dns_record r = {.preference = 0};
	struct dns_answer a = {.status = DNS_NXDOMAIN, .records = &r, .detail = "NXDOMAIN"};
	for (size_t i = 0; i < zone_count; i++) {
		if (strcmp(zone[i].name, name) != 0 || strcmp(zone[i].type, words[type]) != 0)
			continue;
		a.status = zone[i].value == NULL		    ? DNS_NODATA
			   : strcmp(zone[i].value, "SERVFAIL") == 0 ? DNS_SERVFAIL
								    : DNS_OK;
		a.count = a.status == DNS_OK;
		if (a.status == DNS_OK && type == DNS_TXT) {
			r.len = strlen(zone[i].value) + 1;
			txt[0] = (uint8_t)strlen(zone[i].value);
			memcpy(txt + 1, zone[i].value, r.len - 1);
			r.data = txt;
		} else if (a.status == DNS_OK && type == DNS_PTR) {
			snprintf(r.name, sizeof r.name, "%s", zone[i].value);
		} else if (a.status == DNS_OK) {
			assert_int_equal(ip_parse(&r.ip, zone[i].value), 0);
		}
	}
	names_put(n, number, &a);
}

/* ---- the host that is well ---- */

static struct ip address(const char *text)
{
	struct ip ip;
	assert_int_equal(ip_parse(&ip, text), 0);
	return ip;
}

static void configure(struct facts *f, const char *more)
{
	struct buf text, errors;
	struct conf *c = NULL;
	buf_init(&text, 65536);
	buf_init(&errors, 65536);
	assert_int_equal(buf_printf(&text, "%s%s", settings, more), 0);
	if (conf_parse(&c, "test", (const char *)text.data, text.len, &errors) != 0)
		fail_msg("%.*s", (int)errors.len, (const char *)errors.data);
	buf_fini(&text);
	buf_fini(&errors);
	conf_unref((struct conf *)(uintptr_t)f->conf.conf);
	f->conf.conf = c;
	outgoing_list(f);
	for (unsigned i = 0; i < f->source_count; i++)
		if (f->sources[i].used && !f->sources[i].configured)
			f->sources[i].ip = address(f->sources[i].family == FAMILY_IPV4 ? V4 : V6);
}

static struct fact_path greeted(const char *host, const char *ip)
{
	return (struct fact_path){.host = host,
		.port = 25,
		.family = strchr(ip, ':') ? FAMILY_IPV6 : FAMILY_IPV4,
		.at = {address(ip), 25},
		.stage = PATH_GREETED,
		.connect_ms = 3,
		.greeting_ms = 9,
		.quit_ms = 12,
		.text = "220 mx.example ESMTP"};
}

static void make_well(struct facts *f)
{
	static struct fact_address addresses[2];
	static struct fact_path listeners[2];
	zone_count = 0;
	zone_set("relay.example", "A", V4);
	zone_set("relay.example", "AAAA", V6);
	zone_set(ARPA4, "PTR", "relay.example");
	zone_set(ARPA6, "PTR", "relay.example");
	zone_set("sender.example", "TXT", "v=spf1 ip4:" V4 " ip6:" V6 " -all");
	*f = (struct facts){.conf = {.place = PLACE_NAMED, .file = "/etc/relay64.conf", .compared = true},
		.daemon = {.socket = "/control",
			.answered = true,
			.version = RELAY64_VERSION,
			.pid = 7,
			.uid = 100,
			.limited = true,
			.soft_nofile = 65536},
		.addresses = addresses,
		.address_count = 2,
		.route_count = 2,
		.server_count = 1,
		.sender_count = 1,
		.path_count = 2,
		.listeners = listeners,
		.listener_count = 2,
		.clock = {.synchronised = true, .error_us = 2000, .wall_ms = 5000000},
		.files = {.wanted = 24200, .system = 1000000, .taken = 1000},
		.spool = {.done = true,
			.is_directory = true,
			.mode = 0700,
			.owner = 100,
			.owner_name = "relay64",
			.space_known = true,
			.free_bytes = UINT64_C(1) << 40,
			.filesystem = EXT4_SUPER_MAGIC,
			.newest_ms = 4999000,
			.syncs = 50,
			.sync_us = 800}};
	addresses[0] = (struct fact_address){.ip = address(V4), .interface = "eth0", .global = true};
	addresses[1] = (struct fact_address){.ip = address(V6), .interface = "eth0", .global = true};
	f->routes[0] = (struct fact_route){.family = FAMILY_IPV4, .interface = "eth0"};
	f->routes[1] = (struct fact_route){.family = FAMILY_IPV6, .interface = "eth0"};
	f->servers[0] = (struct fact_server){.at = {address("127.0.0.1"), 53},
		.udp = {.done = true, .authentic = true, .ms = 1},
		.tcp = {.done = true, .authentic = true, .ms = 1}};
	f->senders[0] = (struct fact_sender){.domain = "sender.example"};
	f->paths[0] = greeted("mx.example", "203.0.113.1");
	f->paths[1] = greeted("mx.example", "2001:db8:3::1");
	listeners[0] = greeted(NULL, "127.0.0.1");
	listeners[1] = greeted(NULL, "::1");
	configure(f, "");
}

/* Asks until nothing new is wanted, as the loop does. */
static void examine(struct facts *f, struct findings *out)
{
	struct names *n = names_new();
	const char *name;
	enum dns_type type;
	assert_non_null(n);
	for (bool more = true; more;) {
		doctor_examine(f, n, out);
		more = false;
		for (int number; (number = names_wanted(n, &name, &type)) >= 0; more = true)
			answer(n, number, name, type);
	}
	assert_int_equal(names_open(n), 0);
	assert_false(out->lost);
	names_free(n);
}

/* ---- the table ---- */

#define HURT(name, ...)                                                                                                \
	static void name(struct facts *f)                                                                              \
	{                                                                                                              \
		(void)f;                                                                                               \
		__VA_ARGS__;                                                                                           \
	}
HURT(nothing, )
HURT(conf_broken, snprintf(f->conf.errors, FACT_TEXT, "line 3: no such key"))
HURT(conf_differs, snprintf(f->conf.differs, FACT_TEXT, "race.width"))
HURT(conf_of_daemon, f->conf.place = PLACE_DAEMON)
HURT(conf_built_in, f->conf.place = PLACE_BUILT_IN)
HURT(no_daemon, f->daemon.answered = false, f->daemon.limited = false, f->daemon.err = -ECONNREFUSED)
HURT(daemon_hangs, f->daemon.answered = false, f->daemon.limited = false, f->daemon.err = -ETIMEDOUT)
HURT(no_rights, f->daemon.answered = false, f->daemon.limited = false, f->daemon.err = -EACCES)
HURT(other_version, snprintf(f->daemon.version, sizeof f->daemon.version, "0.0.1"))
HURT(no_netlink, f->host_err = -EPERM)
HURT(address6_private, f->addresses[1].ip = address("fd00::2"))
HURT(address6_local, f->addresses[1].global = false)
HURT(address6_tentative, f->addresses[1].tentative = true)
HURT(address6_duplicate, f->addresses[1].tentative = f->addresses[1].duplicate = true)
HURT(address6_temporary, f->addresses[1].temporary = true)
HURT(address6_deprecated, f->addresses[1].deprecated = true)
HURT(no_route4, f->routes[0] = f->routes[1], f->route_count = 1)
HURT(no_route6, f->route_count = 1)
HURT(route6_lapses, f->routes[1].advertised = f->routes[1].lapses = true)
HURT(route6_advertised, f->routes[1].advertised = true)
HURT(no_route6_but_relay, f->route_count = 1, configure(f, "ipv6_relay = [2001:db8:7::1]\n"))
HURT(no_route4_but_nat64, f->routes[0] = f->routes[1], f->route_count = 1,
	zone_set("ipv4only.arpa", "AAAA", "64:ff9b::c000:aa"))
HURT(no_route4_no_nat64, no_route4_but_nat64(f), configure(f, "nat64 = off\n"))
HURT(only_ipv4, no_route6(f), f->address_count = 1, f->path_count = 1, configure(f, "families = ipv4\n"))
HURT(only_ipv4_and_relay, no_route6(f), f->address_count = 1, f->path_count = 1,
	configure(f, "families = ipv4\nipv6_relay = [192.0.2.7]\n"))
HURT(no_source6, f->sources[1].ip.family = FAMILY_NONE, f->sources[1].err = -ENETUNREACH)
HURT(source4_private, f->sources[0].ip = address("10.0.0.4"))
HURT(source_of_others, configure(f, "source { ipv6 = " V6 " }\n"), f->sources[1].err = -EADDRNOTAVAIL)
HURT(no_ptr6, zone_set(ARPA6, "PTR", NULL))
HURT(ptr4_fails, zone_set(ARPA4, "PTR", "SERVFAIL"))
HURT(ptr4_elsewhere, zone_set(ARPA4, "PTR", "other.example"), zone_set("other.example", "A", "192.0.2.1"))
HURT(ptr4_other_name, zone_set(ARPA4, "PTR", "other.example"), zone_set("other.example", "A", V4))
HURT(ptr4_forward_fails, zone_set(ARPA4, "PTR", "other.example"), zone_set("other.example", "A", "SERVFAIL"))
HURT(helo6_missing, configure(f, "source { helo_ipv6 = six.example }\n"))
HURT(helo6_elsewhere, configure(f, "source { helo_ipv6 = six.example }\n"),
	zone_set("six.example", "AAAA", "2001:db8::9"))
HURT(helo_short, configure(f, "source { helo = relay }\n"))
HURT(helo6_fails, configure(f, "source { helo_ipv6 = six.example }\n"), zone_set("six.example", "AAAA", "SERVFAIL"))
HURT(spf_only4, zone_set("sender.example", "TXT", "v=spf1 ip4:" V4 " -all"))
HURT(spf_soft, zone_set("sender.example", "TXT", "v=spf1 ip4:" V4 " ~all"))
HURT(spf_neutral, zone_set("sender.example", "TXT", "v=spf1 ip6:" V6 " ?all"))
HURT(spf_none, zone_set("sender.example", "TXT", NULL))
HURT(spf_wrong, zone_set("sender.example", "TXT", "v=spf1 ipv6:" V6 " -all"))
HURT(spf_fails, zone_set("sender.example", "TXT", "SERVFAIL"))
HURT(spf_local, zone_set("sender.example", "TXT", "v=spf1 exists:%{l}._spf.sender.example -all"))
HURT(spf_unasked, f->sender_count = 0)
HURT(port_unasked, f->path_count = 0)
HURT(port4_dropped, f->paths[0].stage = PATH_NO_CONNECTION, f->paths[0].err = -ETIMEDOUT)
HURT(port6_silent, f->paths[1].stage = PATH_NO_GREETING, f->paths[1].err = -ETIMEDOUT, f->paths[1].text[0] = '\0')
HURT(port6_unlisted, f->paths[1].stage = PATH_NO_ADDRESS)
HURT(port6_unknown, f->paths[1].stage = PATH_NO_LOOKUP)
HURT(port6_refuses, snprintf(f->paths[1].text, FACT_TEXT, "554 5.7.1 no"))
HURT(one_of_two, f->paths[2] = greeted("mx2.example", "203.0.113.2"), f->paths[2].stage = PATH_NO_CONNECTION,
	f->paths[2].err = -ECONNREFUSED, f->path_count = 3)
HURT(server_dead, f->servers[0].udp = f->servers[0].tcp = (struct fact_exchange){.err = -ETIMEDOUT})
HURT(server_fails, f->servers[0].udp.rcode = f->servers[0].tcp.rcode = 2)
HURT(server_no_tcp, f->servers[0].tcp = (struct fact_exchange){.done = true, .err = -ECONNREFUSED})
HURT(server_no_udp, f->servers[0].udp = (struct fact_exchange){.err = -ETIMEDOUT})
HURT(second_dead, f->servers[1] = (struct fact_server){.at = {address("127.0.0.2"), 53}}, f->server_count = 2)
HURT(not_validating, f->servers[0].udp.authentic = f->servers[0].tcp.authentic = false)
HURT(validates_far, f->servers[0].at.ip = address("192.0.2.53"))
HURT(listens4_only, f->listener_count = 1)
HURT(listener6_closed, f->listeners[1].stage = PATH_NO_CONNECTION, f->listeners[1].err = -ECONNREFUSED)
HURT(listener6_busy, snprintf(f->listeners[1].text, FACT_TEXT, "421 4.3.2 later"))
HURT(listener6_proxied, f->listeners[1].proxied = true)
HURT(clock_alone, f->clock.synchronised = false)
HURT(clock_vague, f->clock.error_us = 9000000)
HURT(clock_unknown, f->clock.err = -EPERM)
HURT(clock_behind, f->spool.newest_ms = f->clock.wall_ms + 60000)
HURT(clock_close, f->spool.newest_ms = f->clock.wall_ms + 2000)
HURT(few_files, f->daemon.soft_nofile = 1024)
HURT(few_files_in_all, f->files.system = 20000)
HURT(spool_missing, f->spool.err = -ENOENT)
HURT(spool_hangs, f->spool = (struct fact_spool){.done = false})
HURT(spool_others, f->spool.owner = 0)
HURT(spool_open, f->spool.mode = 0755)
HURT(spool_shut, f->spool.mode = 0500)
HURT(spool_full, f->spool.free_bytes = 1000)
HURT(spool_tmpfs, f->spool.filesystem = TMPFS_MAGIC)
HURT(spool_overlay, f->spool.filesystem = OVERLAYFS_SUPER_MAGIC)
HURT(spool_read_only, f->spool.read_only = true)
HURT(spool_no_rights, f->spool.err = f->spool.sync_err = -EACCES, f->spool.syncs = 0)
HURT(no_such_user, f->spool.user_missing = true, configure(f, "user = nobody-of-this-name\n"))
HURT(sync_slow, f->spool.sync_us = 80000)
HURT(sync_very_slow, f->spool.sync_us = 600000)
HURT(sync_at_the_bound, f->spool.sync_us = 50000)

static const struct verdict {
	const char *what;
	void (*hurt)(struct facts *f);
	const char *check; /* that one says this; NULL: none */
	enum finding_status status;
	const char *found, *mend; /* parts of it */
	const char *also;	  /* other checks that are touched, in blanks */
} verdicts[] = {
	{"all is well", nothing, NULL, FINDING_OK, "", "", ""},
	{"broken configuration", conf_broken, "config", FINDING_ERROR, "line 3: no such key", "relay64 -t -f", ""},
	{"another configuration in force", conf_differs, "config", FINDING_WARNING, "race.width", "HUP", ""},
	{"the daemon's settings", conf_of_daemon, NULL, FINDING_OK, "", "", ""},
	{"built-in settings", conf_built_in, "config", FINDING_UNKNOWN, "built-in", "--config", ""},
	{"no daemon", no_daemon, "daemon", FINDING_ERROR, "refused", "Start relay64", " version files "},
	{"a daemon that hangs", daemon_hangs, "daemon", FINDING_ERROR, "timed out", "hangs", " version files "},
	{"no rights", no_rights, "daemon", FINDING_UNKNOWN, "may not be asked", "as root", " version files "},
	{"another version", other_version, "version", FINDING_WARNING, "0.0.1", "Restart", ""},
	{"no netlink", no_netlink, "families", FINDING_UNKNOWN, "does not tell", "", " routes "},
	{"IPv6 private", address6_private, "families", FINDING_WARNING, "IPv6: only private", "public address", ""},
	{"IPv6 link-local", address6_local, "families", FINDING_ERROR, "IPv6: no usable", "Give the host an IPv6", ""},
	{"IPv6 tentative", address6_tentative, "families", FINDING_ERROR, "tentative", "IPv6", " source "},
	{"IPv6 duplicate", address6_duplicate, "source", FINDING_ERROR, "detection failed", "Another host",
		" families "},
	{"IPv6 temporary", address6_temporary, "source", FINDING_WARNING, "temporary", "use_tempaddr=0", ""},
	{"IPv6 deprecated", address6_deprecated, "source", FINDING_WARNING, "deprecated", "Renew", ""},
	{"no route, IPv4", no_route4, "routes", FINDING_ERROR, "IPv4: no default", "ip route add default", ""},
	{"no route, IPv6", no_route6, "routes", FINDING_ERROR, "IPv6: no default", "ip -6 route add default", ""},
	{"a route that lapses", route6_lapses, "routes", FINDING_WARNING, "advertisements", "accept_ra=2", ""},
	{"an advertised route", route6_advertised, NULL, FINDING_OK, "", "", ""},
	{"no route, but a next hop", no_route6_but_relay, "routes", FINDING_WARNING, "goes by ipv6_relay", "ip -6", ""},
	{"no route, but NAT64", no_route4_but_nat64, "routes", FINDING_WARNING, "goes by NAT64", "ip route add", ""},
	{"no route, NAT64 off", no_route4_no_nat64, "routes", FINDING_ERROR, "IPv4: no default", "alone waits", ""},
	{"families = ipv4", only_ipv4, "families", FINDING_WARNING, "alone waits", "ipv6_relay", ""},
	{"families = ipv4, a next hop", only_ipv4_and_relay, NULL, FINDING_OK, "", "", ""},
	{"no source, IPv6", no_source6, "source", FINDING_UNKNOWN, "IPv6: the kernel chooses none", "",
		" ptr helo spf "},
	{"private source", source4_private, "source", FINDING_WARNING, "10.0.0.4", "public address", " ptr helo spf "},
	{"another's address", source_of_others, "source", FINDING_ERROR, "no address of this host", "Add the address",
		""},
	{"no PTR, IPv6", no_ptr6, "ptr", FINDING_ERROR, V6 " has no PTR", ARPA6, ""},
	{"PTR fails", ptr4_fails, "ptr", FINDING_WARNING, "could not be looked up", "name servers", ""},
	{"PTR leads elsewhere", ptr4_elsewhere, "ptr", FINDING_ERROR, "other.example", "A record " V4, ""},
	{"PTR has another name", ptr4_other_name, "helo", FINDING_WARNING, "PTR record says other.example",
		"source { helo_ipv4 }", ""},
	{"forward fails", ptr4_forward_fails, "ptr", FINDING_WARNING, "other.example could not", "name servers", ""},
	{"HELO without AAAA", helo6_missing, "helo", FINDING_ERROR, "six.example has no AAAA", "AAAA record " V6, ""},
	{"HELO elsewhere", helo6_elsewhere, "helo", FINDING_WARNING, "2001:db8::9", "source { helo_ipv6 }", ""},
	{"HELO one label", helo_short, "helo", FINDING_ERROR, "no full name", "full name", ""},
	{"HELO fails", helo6_fails, "helo", FINDING_WARNING, "six.example could not", "name servers", ""},
	{"SPF of IPv4 alone", spf_only4, "spf", FINDING_ERROR, "from " V6 ": fail", "Add ip6:" V6, ""},
	{"SPF softfail", spf_soft, "spf", FINDING_ERROR, "from " V6 ": softfail", "Add ip6:" V6, ""},
	{"SPF neutral", spf_neutral, "spf", FINDING_ERROR, "from " V4 ": neutral", "Add ip4:" V4, ""},
	{"no SPF", spf_none, "spf", FINDING_WARNING, "none", "v=spf1 ip4:" V4, ""},
	{"broken SPF", spf_wrong, "spf", FINDING_ERROR, "permerror (not to be understood: ipv6:", "Correct", ""},
	{"SPF fails", spf_fails, "spf", FINDING_WARNING, "temperror", "name servers", ""},
	{"SPF by local part", spf_local, "spf", FINDING_UNKNOWN, "cannot tell", "LOCAL@sender.example", ""},
	{"SPF not asked", spf_unasked, "spf", FINDING_UNKNOWN, "no domain", "--sender", ""},
	{"no probe", port_unasked, "port25", FINDING_UNKNOWN, "no probe host", "--probe", ""},
	{"port 25 dropped, IPv4", port4_dropped, "port25", FINDING_ERROR, "over IPv4: 203.0.113.1:25 is not reached",
		"over IPv4", ""},
	{"port 25 silent, IPv6", port6_silent, "port25", FINDING_ERROR, "does not greet", "over IPv6", ""},
	{"probe of one family", port6_unlisted, "port25", FINDING_UNKNOWN, "no IPv6 address", "both families", ""},
	{"probe unknown", port6_unknown, "port25", FINDING_UNKNOWN, "could not be looked up", "", ""},
	{"probe refuses", port6_refuses, "port25", FINDING_WARNING, "554 5.7.1 no", "not welcome", ""},
	{"one probe of two", one_of_two, "port25", FINDING_WARNING, "mx2.example over IPv4", "Another probe host", ""},
	{"resolver dead", server_dead, "resolver", FINDING_ERROR, "UDP Connection timed out", "Start that server",
		" dnssec "},
	{"resolver fails", server_fails, "resolver", FINDING_ERROR, "UDP SERVFAIL", "Start that server", " dnssec "},
	{"resolver without TCP", server_no_tcp, "resolver", FINDING_WARNING, "TCP Connection refused", "Open TCP", ""},
	{"resolver without UDP", server_no_udp, "resolver", FINDING_WARNING, "UDP Connection timed out", "Open UDP",
		""},
	{"second resolver dead", second_dead, "resolver", FINDING_WARNING, "127.0.0.2:53: UDP no answer", "Start that",
		" dnssec "},
	{"not validating", not_validating, "dnssec", FINDING_WARNING, "does not validate", "unbound", ""},
	{"validated far away", validates_far, "dnssec", FINDING_WARNING, "forged", "on this machine", ""},
	{"IPv4 listeners alone", listens4_only, "listeners", FINDING_ERROR, "nobody listens over IPv6",
		"listen [::]:25", ""},
	{"listener closed", listener6_closed, "listeners", FINDING_ERROR, "[::1]:25 is not open", "log", ""},
	{"listener busy", listener6_busy, "listeners", FINDING_WARNING, "421 4.3.2 later", "welcome", ""},
	{"listener of balancers", listener6_proxied, NULL, FINDING_OK, "", "", ""},
	{"clock alone", clock_alone, "clock", FINDING_WARNING, "not synchronised", "chrony", ""},
	{"clock vague", clock_vague, "clock", FINDING_WARNING, "wrong by 9s", "servers", ""},
	{"clock not told", clock_unknown, "clock", FINDING_UNKNOWN, "does not tell", "", ""},
	{"clock set back", clock_behind, "clock", FINDING_ERROR, "1m behind", "Set the clock", ""},
	{"clock a little behind", clock_close, NULL, FINDING_OK, "", "", ""},
	{"few files", few_files, "files", FINDING_WARNING, "1024 files", "LimitNOFILE=24200", ""},
	{"few files in all", few_files_in_all, "files", FINDING_WARNING, "fs.file-max is 20000", "sysctl", ""},
	{"no spool", spool_missing, "spool", FINDING_ERROR, "No such file", "makes it", ""},
	{"spool hangs", spool_hangs, "spool", FINDING_ERROR, "does not answer", "hangs", " sync "},
	{"spool of others", spool_others, "spool", FINDING_ERROR, "uid 0", "chown -R 100 /spool", ""},
	{"spool open to others", spool_open, "spool", FINDING_WARNING, "mode 0755", "chmod 0700", ""},
	{"spool shut", spool_shut, "spool", FINDING_ERROR, "mode 0500", "chmod 0700", ""},
	{"spool full", spool_full, "spool", FINDING_ERROR, "no mail is taken", "Make room", ""},
	{"spool in memory", spool_tmpfs, "spool", FINDING_ERROR, "tmpfs", "disk of this machine", ""},
	{"spool in a layer", spool_overlay, "spool", FINDING_WARNING, "overlay", "volume that stays", ""},
	{"spool read-only", spool_read_only, "spool", FINDING_ERROR, "read-only", "Mount it", ""},
	{"spool unseen", spool_no_rights, "spool", FINDING_UNKNOWN, "cannot be seen", "as root", " sync "},
	{"no such user", no_such_user, "spool", FINDING_ERROR, "does not exist", "useradd", ""},
	{"slow syncs", sync_slow, "sync", FINDING_WARNING, "80.0 ms", "disk of its own", ""},
	{"very slow syncs", sync_very_slow, "sync", FINDING_ERROR, "600.0 ms", "disk of its own", ""},
	{"syncs at the bound", sync_at_the_bound, NULL, FINDING_OK, "", "", ""},
};

static bool is_touched(const struct verdict *v, const char *check)
{
	char word[40];
	snprintf(word, sizeof word, " %s ", check);
	return (v->check != NULL && strcmp(v->check, check) == 0) || strstr(v->also, word) != NULL;
}

static void test_verdicts(void **state)
{
	(void)state;
	struct findings found = {0};
	for (size_t k = 0; k < sizeof verdicts / sizeof verdicts[0]; k++) {
		const struct verdict *v = &verdicts[k];
		struct facts f;
		bool seen = v->check == NULL;
		make_well(&f);
		v->hurt(&f);
		examine(&f, &found);
		for (size_t i = 0; i < found.count; i++) {
			const struct finding *line = &found.items[i];
			bool expected = strcmp(line->check, "certificates") == 0 ? line->status == FINDING_UNKNOWN
										 : line->status == FINDING_OK;
			if (!expected && !is_touched(v, line->check))
				fail_msg("%s: %s is %s: %s", v->what, line->check, finding_word(line->status),
					line->found);
			if (line->status >= FINDING_WARNING && line->mend[0] == '\0')
				fail_msg("%s: no mend for: %s", v->what, line->found);
			seen = seen ||
			       (strcmp(line->check, v->check) == 0 && line->status == v->status &&
				       strstr(line->found, v->found) != NULL && strstr(line->mend, v->mend) != NULL);
		}
		if (!seen) {
			for (size_t i = 0; i < found.count; i++)
				if (strcmp(found.items[i].check, v->check) == 0)
					print_message("%s: %s > %s\n", finding_word(found.items[i].status),
						found.items[i].found, found.items[i].mend);
			fail_msg("%s: %s does not say so", v->what, v->check);
		}
		/* each row of the table of checks has its say */
		for (size_t c = 0; c < doctor_check_count; c++) {
			size_t lines = 0;
			for (size_t i = 0; i < found.count; i++)
				lines += strcmp(found.items[i].check, doctor_checks[c].name) == 0;
			if (lines == 0)
				fail_msg("%s: %s says nothing", v->what, doctor_checks[c].name);
		}
		conf_unref((struct conf *)(uintptr_t)f.conf.conf);
	}
	findings_fini(&found);
}

/* Without a server nothing that needs names is an error of its own. */
static void test_without_names(void **state)
{
	(void)state;
	struct findings found = {0};
	struct facts f;
	make_well(&f);
	server_dead(&f);
	for (size_t i = 0; i < zone_count; i++)
		zone[i].value = "SERVFAIL";
	examine(&f, &found);
	for (size_t i = 0; i < found.count; i++) {
		const char *check = found.items[i].check;
		if (strcmp(check, "ptr") == 0 || strcmp(check, "helo") == 0 || strcmp(check, "spf") == 0)
			assert_int_equal(found.items[i].status, FINDING_UNKNOWN);
	}
	conf_unref((struct conf *)(uintptr_t)f.conf.conf);
	findings_fini(&found);
}

/* ---- pools ---- */

/* The addresses that mail leaves from, as "ADDRESS NAME-IN-EHLO", those of the kernel without their address. */
static void test_outgoing(void **state)
{
	(void)state;
	static const struct {
		const char *more, *sources, *of_a, *of_b; /* all; those for mail of a.example, of b.example */
	} rows[] = {
		{"", "4 6", "4 6", "4 6"},
		{"source { ipv4 = 192.0.2.1 }\n", "192.0.2.1 6", "192.0.2.1 6", "192.0.2.1 6"},
		/* a pool that nobody names */
		{"pool p { addresses = 192.0.2.1 }\n", "4 6", "4 6", "4 6"},
		/* the sender's pool; where it lacks a family the kernel chooses */
		{"pool p { addresses = 192.0.2.1, 192.0.2.2 }\nsender a.example { pool = p }\n",
			"4 6 192.0.2.1 192.0.2.2", "6 192.0.2.1 192.0.2.2", "4 6"},
		{"source { ipv6 = 2001:db8::1 }\npool p { addresses = 192.0.2.1 }\nsender a.example { pool = p }\n",
			"4 2001:db8::1 6 192.0.2.1", "6 192.0.2.1", "4 2001:db8::1"},
		/* a route's pool is for any sender; beside it the others remain */
		{"pool p { addresses = 192.0.2.1, 2001:db8::1 }\nroute x.example { pool = p }\n",
			"4 6 192.0.2.1 2001:db8::1", "4 6 192.0.2.1 2001:db8::1", "4 6 192.0.2.1 2001:db8::1"},
		/* all routes have one: nothing else is left */
		{"pool p { addresses = 192.0.2.1, 2001:db8::1 }\nroute * { pool = p }\n", "192.0.2.1 2001:db8::1",
			"192.0.2.1 2001:db8::1", "192.0.2.1 2001:db8::1"},
		{"pool p { addresses = 192.0.2.1, 2001:db8::1 }\npool q { addresses = 192.0.2.9 }\n"
		 "route * { pool = p }\nsender a.example { pool = q }\n",
			"192.0.2.1 2001:db8::1", "192.0.2.1 2001:db8::1", "192.0.2.1 2001:db8::1"},
		{"pool p { addresses = 192.0.2.1 }\nroute * { pool = p }\n", "6 192.0.2.1", "6 192.0.2.1",
			"6 192.0.2.1"},
		/* an address in two pools is one */
		{"pool p { addresses = 192.0.2.1 }\npool q { addresses = 192.0.2.1, 2001:db8::1 }\n"
		 "sender a.example { pool = p }\nsender b.example { pool = q }\n",
			"4 6 192.0.2.1 2001:db8::1", "6 192.0.2.1", "192.0.2.1 2001:db8::1"},
	};
	for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
		struct facts f;
		make_well(&f);
		configure(&f, rows[k].more);
		const char *expected[] = {rows[k].sources, rows[k].of_a, rows[k].of_b};
		static const char *const domains[] = {NULL, "a.example", "b.example"};
		for (unsigned which = 0; which < 3; which++) {
			char all[400] = "", text[IP_TEXT];
			for (size_t i = 0; i < f.source_count; i++) {
				const struct fact_source *s = &f.sources[i];
				if (which == 0 ? !s->used : !outgoing_may(&f, i, domains[which]))
					continue;
				snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", *all ? " " : "",
					s->configured		   ? ip_format(&s->ip, text)
					: s->family == FAMILY_IPV4 ? "4"
								   : "6");
			}
			if (strcmp(all, expected[which]) != 0)
				fail_msg("%s(%s): %s", rows[k].more, which ? domains[which] : "all", all);
		}
		conf_unref((struct conf *)(uintptr_t)f.conf.conf);
	}
}

/* Each address of a pool is judged, by its own name. */
static void test_pool_is_judged(void **state)
{
	(void)state;
	struct findings found = {0};
	struct facts f;
	bool bad_ptr = false, good_ptr = false, bad_helo = false, spf = false;
	make_well(&f);
	configure(&f, "pool p { addresses = 192.0.2.1, 192.0.2.2 }\nsender sender.example { pool = p }\n"
		      "identity 192.0.2.1 { helo = one.example }\nidentity 192.0.2.2 { helo = two.example }\n");
	zone_set("1.2.0.192.in-addr.arpa", "PTR", "one.example");
	zone_set("one.example", "A", "192.0.2.1");
	examine(&f, &found);
	for (size_t i = 0; i < found.count; i++) {
		const struct finding *l = &found.items[i];
		good_ptr =
			good_ptr || (l->status == FINDING_OK && strstr(l->found, "192.0.2.1 is one.example") != NULL);
		bad_ptr = bad_ptr || (l->status == FINDING_ERROR && strstr(l->found, "192.0.2.2 has no PTR") != NULL);
		bad_helo = bad_helo || (strstr(l->found, "192.0.2.2: two.example has no A") != NULL &&
					       strstr(l->mend, "identity 192.0.2.2 { helo }") != NULL);
		spf = spf || strstr(l->found, "sender.example from 192.0.2.2: fail") != NULL;
		if (strcmp(l->check, "spf") == 0) /* its mail does not leave from there */
			assert_null(strstr(l->found, V4));
	}
	assert_true(good_ptr && bad_ptr && bad_helo && spf);
	conf_unref((struct conf *)(uintptr_t)f.conf.conf);
	findings_fini(&found);
}

/* ---- the page ---- */

static char *page_of(const struct findings *f, unsigned width, bool colour, bool json)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	assert_non_null(out);
	assert_int_equal(json ? doctor_json(f, out) : doctor_page(f, out, width, colour), 0);
	fclose(out);
	return text;
}

static void test_page(void **state)
{
	(void)state;
	struct findings found = {0};
	found.check = "certificates";
	findings_add(&found, FINDING_OK,
		"a word-without-a-blank-that-is-longer-than-any-line-of-eighty-columns-can-be-%070d", 0);
	findings_add(&found, FINDING_WARNING, "\033[31mfrom the net\r\n%s",
		"ä ö ü ß "
		"äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöü");
	findings_mend(
		&found, "do this and that, and when it is done, look whether that has been of any help to anybody");
	findings_add(&found, FINDING_ERROR, "x");
	findings_add(&found, FINDING_UNKNOWN, "y");
	char *plain = page_of(&found, 80, false, false), *colours = page_of(&found, 80, true, false), *rest = plain;
	assert_null(strchr(plain, '\033'));
	assert_null(strchr(plain, '\r'));
	for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
		size_t columns = 0;
		for (const char *c = line; *c != '\0'; c++)
			columns += ((unsigned char)*c & 0xc0) != 0x80;
		assert_in_range(columns, 0, 80);
	}
	assert_non_null(strstr(colours, "\033[32mok"));
	assert_non_null(strstr(colours, "\033[33mwarning"));
	assert_non_null(strstr(colours, "\033[31merror"));
	assert_non_null(strstr(colours, "1 ok, 1 warnings, 1 errors, 1 unknown"));
	assert_int_equal(findings_worst(&found), FINDING_ERROR);
	free(plain);
	free(colours);
	findings_fini(&found);
}

static void test_json(void **state)
{
	(void)state;
	struct findings found = {0};
	found.check = "ptr";
	findings_add(&found, FINDING_WARNING, "\033\"x\"\n");
	findings_mend(&found, "do it");
	findings_add(&found, FINDING_UNKNOWN, "y");
	char *text = page_of(&found, 80, false, true), *rest = text;
	json_t *lines[3];
	for (unsigned i = 0; i < 3; i++) {
		lines[i] = json_loads(strsep(&rest, "\n"), 0, NULL);
		assert_non_null(lines[i]);
	}
	assert_string_equal(rest, "");
	assert_string_equal(json_string_value(json_object_get(lines[0], "status")), "warning");
	assert_string_equal(json_string_value(json_object_get(lines[0], "check")), "ptr");
	assert_string_equal(json_string_value(json_object_get(lines[0], "mend")), "do it");
	assert_null(strchr(json_string_value(json_object_get(lines[0], "found")), '\033'));
	assert_string_equal(json_string_value(json_object_get(lines[1], "mend")), "");
	assert_string_equal(json_string_value(json_object_get(lines[2], "status")), "warning");
	assert_int_equal(json_integer_value(json_object_get(lines[2], "unknown")), 1);
	for (unsigned i = 0; i < 3; i++)
		json_decref(lines[i]);
	free(text);
	findings_fini(&found);
}

static void test_worst(void **state)
{
	(void)state;
	struct findings f = {.check = "x"};
	assert_int_equal(findings_worst(&f), FINDING_OK);
	findings_add(&f, FINDING_UNKNOWN, "u");
	assert_int_equal(findings_worst(&f), FINDING_OK);
	findings_add(&f, FINDING_WARNING, "w");
	assert_int_equal(findings_worst(&f), FINDING_WARNING);
	for (unsigned i = 0; i < FINDINGS_MAX + 10; i++)
		findings_add(&f, FINDING_ERROR, "e");
	assert_int_equal(findings_worst(&f), FINDING_ERROR);
	assert_true(f.lost);
	findings_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_without_names),
		cmocka_unit_test(test_outgoing),
		cmocka_unit_test(test_pool_is_judged),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_worst),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
