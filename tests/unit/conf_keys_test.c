/* tests/unit/conf_keys_test.c: the table of settings and all that walks it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/apply.h"
#include "conf/keys.h"

#define HOST "hostname = relay.example.net\n"

/* Parses `text` and shows the errors if they are not expected; the caller frees. */
static struct conf *good(const char *text)
{
	struct conf *c = NULL;
	struct buf errors;
	buf_init(&errors, 100000);
	int err = conf_parse(&c, "t", text, strlen(text), &errors);
	if (err != 0)
		fail_msg("%s\ngave %d\n%s", text, err, errors.data ? (char *)errors.data : "");
	assert_int_equal(errors.len, 0);
	buf_fini(&errors);
	return c;
}

static char *bad(const char *text)
{
	struct conf *c = NULL;
	struct buf errors;
	size_t len;
	buf_init(&errors, 100000);
	int err = conf_parse(&c, "t", text, strlen(text), &errors);
	if (err != -EINVAL || errors.len == 0)
		fail_msg("%s\ngave %d, not an error", text, err);
	assert_null(c);
	return (char *)buf_detach(&errors, &len);
}

static void the_designs_example(void **state)
{
	static const char text[] =
		"hostname = relay.example.net\n"
		"spool    = /var/spool/relay64\n"
		"control  = /run/relay64/control.sock\n"
		"clients  = 192.0.2.0/24, 2001:db8:1::/48        # who may relay without credentials\n"
		"\n"
		"listen [::]:25    { }\n"
		"listen 0.0.0.0:25 { }\n"
		"\n"
		"source { ipv4 = 198.51.100.7   ipv6 = 2001:db8:64::7   helo_ipv6 = v6.relay.example.net }   # one\n"
		"dns    { servers = 127.0.0.1:53, [::1]:53 }\n"
		"retry  { first = 5m   max = 1h   give_up = 5d   warn = 4h }\n"
		"race   { attempt_delay = 250ms   width = 3   greeting_delay = 5s   patience = 8s   stall = 15s }\n"
		"limits { sessions = 10000   size = 50M }\n"
		"route partner.example  { relay = [2001:db8:77::25]:25 }\n"
		"route .partner.example { relay = mx.partner.example }        # subdomains\n"
		"route *                { }                                   # by MX: the default\n";
	char t[ENDPOINT_TEXT], p[PREFIX_TEXT];
	struct conf *c = good(text);
	(void)state;
	assert_string_equal(c->hostname, "relay.example.net");
	assert_string_equal(c->spool, "/var/spool/relay64");
	assert_string_equal(c->control, "/run/relay64/control.sock");
	assert_int_equal(c->clients.count, 2); /* the default is replaced */
	assert_string_equal(prefix_format(&c->clients.items[1], p), "2001:db8:1::/48");
	assert_int_equal(c->listen_count, 2);
	assert_string_equal(endpoint_format(&c->listen[0].at, t), "[::]:25");
	assert_string_equal(endpoint_format(&c->listen[1].at, t), "0.0.0.0:25");
	assert_string_equal(ip_format(&c->source.ipv4, t), "198.51.100.7");
	assert_string_equal(ip_format(&c->source.ipv6, t), "2001:db8:64::7");
	assert_string_equal(c->source.helo_ipv6, "v6.relay.example.net");
	assert_null(c->source.helo);
	assert_int_equal(c->dns.servers.count, 2);
	assert_string_equal(endpoint_format(&c->dns.servers.items[1], t), "[::1]:53");
	assert_int_equal(c->retry.first, 5 * 60 * 1000);
	assert_int_equal(c->retry.give_up, 5 * 24 * 3600 * UINT64_C(1000));
	assert_int_equal(c->race.attempt_delay, 250);
	assert_int_equal(c->limits.size, 50 * 1024 * 1024);
	assert_int_equal(c->route_count, 3);
	const struct conf_route *r = conf_route(c, "partner.example");
	assert_int_equal(r->relay.count, 1);
	assert_string_equal(r->relay.items[0].host, "2001:db8:77::25");
	assert_true(r->relay.items[0].skip_mx);
	assert_int_equal(r->relay.items[0].literal.family, FAMILY_IPV6);
	assert_int_equal(r->relay.items[0].port, 25);
	r = conf_route(c, "a.partner.example");
	assert_string_equal(r->relay.items[0].host, "mx.partner.example");
	assert_false(r->relay.items[0].skip_mx);
	r = conf_route(c, "other.example");
	assert_string_equal(r->pattern, "*");
	assert_int_equal(r->relay.count, 0);
	conf_unref(c);
}

/* The design's "Names and numbers" and its section on the race. */
static void defaults(void **state)
{
	enum { S = 1000, M = 60 * S, H = 60 * M };
	struct conf *c = good(HOST);
	char t[ENDPOINT_TEXT];
	(void)state;
	const struct {
		const char *what;
		uint64_t is, want;
	} rows[] = {
		{"first", c->retry.first, 5 * M},
		{"greylist", c->retry.greylist, 1 * M},
		{"max", c->retry.max, 1 * H},
		{"give_up", c->retry.give_up, UINT64_C(5) * 24 * H},
		{"warn", c->retry.warn, 4 * H},
		{"site_connections", c->limits.site_connections, 20},
		{"connection_messages", c->limits.connection_messages, 100},
		{"connection_idle", c->limits.connection_idle, 5 * S},
		{"connections", c->limits.connections, 2000},
		{"address_connections", c->limits.address_connections, 40},
		{"sessions", c->limits.sessions, 10000},
		{"sessions_per_client", c->limits.sessions_per_client, 2000},
		{"sessions_per_other", c->limits.sessions_per_other, 50},
		{"size", c->limits.size, 50 << 20},
		{"recipients", c->limits.recipients, 1000},
		{"hops", c->limits.hops, 100},
		{"command_time", c->limits.command_time, 5 * M},
		{"data_time", c->limits.data_time, 1 * H},
		{"drain", c->limits.drain, 10 * S},
		{"reply_lines", c->limits.reply_lines, 100},
		{"reply_bytes", c->limits.reply_bytes, 64 << 10},
		{"attempt_delay", c->race.attempt_delay, 250},
		{"resolution_delay", c->race.resolution_delay, 50},
		{"width", c->race.width, 3},
		{"greeting_delay", c->race.greeting_delay, 5 * S},
		{"patience", c->race.patience, 8 * S},
		{"patience_mail", c->race.patience_mail, 30 * S},
		{"stall", c->race.stall, 15 * S},
		{"sessions_per_attempt", c->race.sessions_per_attempt, 2},
		{"connect_time", c->race.connect_time, 30 * S},
		{"negative_max", c->dns.negative_max, 5 * M},
		{"failure", c->dns.failure, 5 * S},
		{"inline_limit", c->spool_io.inline_limit, 256 << 10},
		{"body_memory", c->spool_io.body_memory, 128 << 20},
		{"batch_limit", c->spool_io.batch_limit, 4 << 20},
		{"checkpoint", c->spool_io.checkpoint, 64 << 20},
		{"outcome_delay", c->spool_io.outcome_delay, 50},
		{"disk_workers", c->disk_workers, 4},
		{"open_relay", c->open_relay, false},
		{"format", c->log.format, LOG_FORMAT_TEXT},
		{"level", c->log.level, LOG_LEVEL_INFO},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].is != rows[i].want)
			fail_msg("%s is %llu", rows[i].what, (unsigned long long)rows[i].is);
	assert_string_equal(c->spool, "/var/spool/relay64");
	assert_string_equal(c->control, "/run/relay64/control.sock");
	assert_int_equal(c->clients.count, 2);
	assert_string_equal(prefix_format(&c->clients.items[0], t), "127.0.0.0/8");
	assert_string_equal(prefix_format(&c->clients.items[1], t), "::1/128");
	assert_int_equal(c->listen_count, 2);
	assert_string_equal(endpoint_format(&c->listen[0].at, t), "[::]:25");
	assert_string_equal(endpoint_format(&c->listen[1].at, t), "0.0.0.0:25");
	assert_true(c->loops >= 1 && c->loops <= 63);
	conf_unref(c);
}

static void values(void **state)
{
	char t[ENDPOINT_TEXT];
	(void)state;
	struct conf *c =
		good("hostname = Relay.Example.NET clients = 10.0.0.0/8, 192.0.2.1, ::ffff:198.51.100.0/120\n"
		     "user = relay64 postmaster = postmaster@example.net open_relay = no loops = 3\n"
		     "double_bounces = doubles@example.net\n"
		     "dns { servers = 192.0.2.1, ::1, [::2], [::3]:5353, 192.0.2.2:54 timeout = 1s }\n"
		     "retry { first = 1s max = 2m give_up = 2w warn = 0 }\n"
		     "limits { size = 1024 line = 1K bounce_size = 0 } storage { min_free = 0 body_memory = 1G }\n"
		     "log { format = json level = debug }\n"
		     "listen [2001:db8::1]:587, 192.0.2.1 { } listen ::1 { }\n");
	assert_string_equal(c->hostname, "relay.example.net");
	assert_string_equal(c->user, "relay64");
	assert_string_equal(c->postmaster, "postmaster@example.net");
	assert_string_equal(c->double_bounces, "doubles@example.net");
	assert_int_equal(c->loops, 3);
	assert_string_equal(prefix_format(&c->clients.items[1], t), "192.0.2.1/32");
	assert_string_equal(prefix_format(&c->clients.items[2], t), "198.51.100.0/24");
	static const char *const servers[] = {"192.0.2.1:53", "[::1]:53", "[::2]:53", "[::3]:5353", "192.0.2.2:54"};
	assert_int_equal(c->dns.servers.count, 5);
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(endpoint_format(&c->dns.servers.items[i], t), servers[i]);
	assert_int_equal(c->retry.first, 1000);
	assert_int_equal(c->retry.greylist, 1000); /* never later than first */
	assert_int_equal(c->retry.give_up, UINT64_C(14) * 86400 * 1000);
	assert_int_equal(c->retry.warn, 0);
	assert_int_equal(c->limits.size, 1024);
	assert_int_equal(c->limits.bounce_size, 0);
	assert_int_equal(c->spool_io.body_memory, 1 << 30);
	assert_int_equal(c->log.format, LOG_FORMAT_JSON);
	assert_int_equal(c->log.level, LOG_LEVEL_DEBUG);
	assert_int_equal(c->listen_count, 3);
	assert_string_equal(endpoint_format(&c->listen[0].at, t), "[2001:db8::1]:587");
	assert_string_equal(endpoint_format(&c->listen[1].at, t), "192.0.2.1:25");
	assert_string_equal(endpoint_format(&c->listen[2].at, t), "[::1]:25");
	conf_unref(c);
}

static void relays(void **state)
{
	static const struct {
		const char *text, *host;
		bool skip_mx;
		enum family literal;
		uint16_t port;
	} rows[] = {
		{"mx.example", "mx.example", false, FAMILY_NONE, 25},
		{"MX.example:2525", "mx.example", false, FAMILY_NONE, 2525},
		{"[mx.example]", "mx.example", true, FAMILY_NONE, 25},
		{"[mx.example]:587", "mx.example", true, FAMILY_NONE, 587},
		{"192.0.2.1", "192.0.2.1", true, FAMILY_IPV4, 25},
		{"192.0.2.1:26", "192.0.2.1", true, FAMILY_IPV4, 26},
		{"[192.0.2.1]:26", "192.0.2.1", true, FAMILY_IPV4, 26},
		{"2001:DB8::1", "2001:db8::1", true, FAMILY_IPV6, 25},
		{"2001:db8::1:25", "2001:db8::1:25", true, FAMILY_IPV6, 25}, /* a bare literal never has a port */
		{"[2001:db8::1]", "2001:db8::1", true, FAMILY_IPV6, 25},
		{"[2001:db8::1]:26", "2001:db8::1", true, FAMILY_IPV6, 26},
		{"[::ffff:192.0.2.1]:26", "192.0.2.1", true, FAMILY_IPV4, 26},
	};
	static const char *const wrong[] = {"[mx.example", "mx.example]", "[]", "[mx]x", "mx:", "mx:0", "mx:65536",
		"mx:x", ":25", "mx_x", "a..b", "-a", "a-", ".a", "a.", "[a]:25:26", "256.0.0.1.", "\"a b\"", "[::1%lo]",
		"a, b_", "a, a", "a, A:25", "a,b,c,d,e,f,g,h,i"};
	char text[200];
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		snprintf(text, sizeof text, HOST "route x.example { relay = %s }", rows[i].text);
		struct conf *c = good(text);
		assert_int_equal(conf_route(c, "x.example")->relay.count, 1);
		const struct conf_hop *r = &conf_route(c, "x.example")->relay.items[0];
		if (strcmp(r->host, rows[i].host) != 0 || r->skip_mx != rows[i].skip_mx ||
			r->literal.family != rows[i].literal || r->port != rows[i].port)
			fail_msg("%s gave %s %d %d %d", rows[i].text, r->host, r->skip_mx, r->literal.family, r->port);
		conf_unref(c);
	}
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		snprintf(text, sizeof text, HOST "route x.example { relay = %s }", wrong[i]);
		free(bad(text));
	}
}

/* Several next hops, and the same from a text alone (`relayq redirect`). */
static void next_hops(void **state)
{
	static const char list[] = "[a.example], b.example:587, [2001:db8::1]:26, 192.0.2.1";
	static const char full[] = "[a.example]:25, b.example:587, [2001:db8::1]:26, 192.0.2.1:25";
	static const char *const wrong[] = {
		"", ",", "a,", ",a", "a, a", "a b", "a b, c", "a,b,c,d,e,f,g,h,i", "[a", "a:0"};
	struct conf_relay relay;
	struct buf out;
	(void)state;
	struct conf *c =
		good(HOST "route x.example { relay = [a.example], b.example:587,\n [2001:DB8::1]:26, 192.0.2.1 }");
	buf_init(&out, 1000);
	assert_int_equal(value_write_relay(&conf_route(c, "x.example")->relay, &out), 0);
	assert_int_equal(out.len, strlen(full));
	assert_memory_equal(out.data, full, out.len);
	assert_int_equal(value_read_relay(&relay, list), 0);
	assert_true(value_equal(&keys_find("route", "relay")->rule, &relay, &conf_route(c, "x.example")->relay));
	relay.items[3].port = 26;
	assert_false(value_equal(&keys_find("route", "relay")->rule, &relay, &conf_route(c, "x.example")->relay));
	value_free_relay(&relay);
	assert_int_equal(value_copy(&keys_find("route", "relay")->rule, &relay, &conf_route(c, "x.example")->relay), 0);
	assert_true(value_equal(&keys_find("route", "relay")->rule, &relay, &conf_route(c, "x.example")->relay));
	value_free_relay(&relay);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		if (value_read_relay(&relay, wrong[i]) != -EINVAL)
			fail_msg("\"%s\" was read", wrong[i]);
	buf_fini(&out);
	conf_unref(c);
}

static void errors(void **state)
{
	static const struct {
		const char *text, *errors; /* of `errors` each line is a whole error, "…" stands for what may follow */
	} rows[] = {
		/* names */
		{"\n  race { x = 1 attemptdelay = 5s }",
			"t:2:10: unknown key \"x\" in block race; expected one of attempt_delay, resolution_delay, …\n"
			"t:2:16: unknown key \"attemptdelay\" in block race; did you mean \"attempt_delay\"?\n"},
		{"hostnmae = a.b", "t:1:1: unknown key \"hostnmae\" at the top level; did you mean \"hostname\"?\n"},
		{"attempt_delay = 5s", "t:1:1: unknown key \"attempt_delay\" at the top level; did you mean "
				       "\"attempt_delay\" in block race?\n"},
		{"log { hostname = x }",
			"t:1:7: unknown key \"hostname\" in block log; did you mean \"hostname\" at the top level?\n"},
		{"limit { size = 5M }", "t:1:1: unknown block \"limit\"; did you mean the block limits { }?\n"},
		{"zzz { }", "t:1:1: unknown block \"zzz\"; expected one of listen, client, source, dns, …\n"},
		{"retry = 5m", "t:1:1: retry is a block; expected retry { }\n"},
		{"spool { }", "t:1:1: spool is a setting; expected '=' and a value\n"},
		{"Race { }", "t:1:1: unknown block \"Race\"; did you mean the block race { }?\n"},
		{"race { retry { } }",
			"t:1:8: block \"retry\" inside block race; expected settings there (is a '}' missing?)\n"},
		/* numbers */
		{"race { attempt_delay = 5s }",
			"t:1:24: attempt_delay: \"5s\"; expected a time (ms s m h d w) between 10ms and 2s\n"},
		{"race { width = 0 }", "t:1:16: width: \"0\"; expected a number between 1 and 8\n"},
		{"race { width = 3 width = 4 }", "t:1:18: \"width\" is given twice; first at t:1:8\n"},
		{"race { width = 1, 2 }", "t:1:19: width: a list; expected one value: a number between 1 and 8\n"},
		{"retry { first = 5 }", "t:1:17: first: \"5\"; expected a time …\n"},
		{"retry { first = 5M }", "t:1:17: first: \"5M\"; expected a time …\n"},
		{"retry { first = 5 m }", "t:1:19: \"m\" stands alone; …\nt:1:17: first: \"5\"; expected a time …\n"},
		{"retry { first = -5m }", "t:1:17: first: \"-5m\"; expected a time …\n"},
		{"retry { first = m }", "t:1:17: first: \"m\"; expected a time …\n"},
		{"retry { first = 1.5h }", "t:1:17: first: \"1.5h\"; expected a time …\n"},
		{"retry { first = 99999999999999999999s }", "t:1:17: first: \"99999999999999999999s\"; expected …\n"},
		{"retry { first = 30500568904943w }", "t:1:17: first: \"30500568904943w\"; expected …\n"},
		{"limits { size = 5k }", "t:1:17: size: \"5k\"; expected a size (bytes, K M G) between 1K and 4G\n"},
		{"limits { size = 5MB }", "t:1:17: size: \"5MB\"; expected a size …\n"},
		/* texts */
		{"open_relay = yes", "t:1:14: open_relay: \"yes\"; expected no or i-know-that-everybody-may-relay\n"},
		{"log { level = trace }", "t:1:15: level: \"trace\"; expected error, warning, info or debug\n"},
		{"spool = \"\"", "t:1:9: spool: \"\"; expected the name of a file of 1 to 1000 bytes\n"},
		{"hostname = 192.0.2.1", "t:1:12: hostname: \"192.0.2.1\"; expected a host name …\n"},
		{"hostname = relay_1.example", "t:1:12: hostname: …\n"},
		{"hostname = h\xc3\xa9.example", "t:1:12: hostname: …\n"},
		{"hostname = a.example.", "t:1:12: hostname: …\n"},
		{"postmaster = me", "t:1:14: postmaster: \"me\"; expected a mail address\n"},
		{"postmaster = \"a b@example.net\"", "t:1:14: postmaster: …\n"},
		{"control = "
		 "/2345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345"
		 "6789012345678",
			"t:1:11: control: \"/23456789012345678901234567890123456789012345678901234567890…\"; expected "
			"the name of a "
			"file of 1 to 107 bytes\n"},
		/* addresses */
		{"clients = 192.0.2.1/24", "t:1:11: clients: \"192.0.2.1/24\" has bits set behind its length; …\n"},
		{"clients = 192.0.2.0/24,\n 192.0.2.0/33, ::1",
			"t:2:2: clients: \"192.0.2.0/33\"; expected ADDRESS …\n"},
		{"clients = example.net", "t:1:11: clients: \"example.net\"; expected ADDRESS …\n"},
		{"source { ipv4 = ::1 }", "t:1:17: ipv4: \"::1\"; expected an IPv4 address\n"},
		{"source { ipv6 = 192.0.2.1 }", "t:1:17: ipv6: \"192.0.2.1\"; expected an IPv6 address\n"},
		{"source { ipv6 = ::ffff:192.0.2.1 }", "t:1:17: ipv6: …\n"},
		{"dns { servers = [192.0.2.1]:53 }", "t:1:17: servers: \"[192.0.2.1]:53\"; expected ADDRESS, …\n"},
		{"dns { servers = ::1, ::2, ::3, ::4, ::5, ::6, ::7, ::8, ::9 }",
			"t:1:57: servers: more than 8 entries; expected at most so many\n"},
		/* titles */
		{"listen { }", "t:1:1: block listen has no title; expected ADDRESS:PORT\n"},
		{"listen here:25 { }",
			"t:1:8: listen \"here:25\"; expected ADDRESS:PORT, or [ADDRESS]:PORT for IPv6\n"},
		{"listen [::]:25 { }\nlisten [::0]:25 { }",
			"t:2:8: listen \"[::0]:25\" is given twice; first at t:1:8\n"},
		{"listen 192.0.2.1:25, [::ffff:192.0.2.1]:25 { }",
			"t:1:22: listen \"[::ffff:192.0.2.1]:25\" is given twice; first at t:1:8\n"},
		{"listen [::1]:25, here { }\nroute a, b_c { }", "t:1:18: listen \"here\"; expected ADDRESS:PORT, "
								"…\nt:2:10: route \"b_c\"; expected DOMAIN, …\n"},
		{"listen [::]:25 { size = 5M }",
			"t:1:18: unknown key \"size\" in block listen; did you mean \"size\" in block limits?\n"},
		{"race x { }", "t:1:6: block race takes no title; expected '{'\n"},
		{"race { }\nrace { width = 2 }", "t:2:1: block \"race\" is given twice; first at t:1:1\n"},
		{"route { }", "t:1:1: block route has no title; expected DOMAIN, .DOMAIN (its subdomains) or *\n"},
		{"route a_b { }", "t:1:7: route \"a_b\"; expected DOMAIN, …\n"},
		{"route *.example { }", "t:1:7: route \"*.example\"; expected DOMAIN, …\n"},
		{"route . { }", "t:1:7: route \".\"; expected DOMAIN, …\n"},
		{"route .a { }\nroute b { }\nroute .A { }", "t:3:7: route \".A\" is given twice; first at t:1:7\n"},
		{"route a, b, a { }", "t:1:13: route \"a\" is given twice; first at t:1:7\n"},
		{"route a, b { relay = x_y wrong = 1 }",
			"t:1:22: relay: \"x_y\"; expected [HOST], …\n"
			"t:1:26: unknown key \"wrong\" in block route; expected one of relay, …\n"},
		/* routes */
		{"route a {\n relay = b\n reject = no }\nroute b { reject = x discard = yes }\nroute c { discard = no "
		 "relay = b }",
			"t:3:2: reject and relay (t:2:2) exclude each other; expected one of them\n"
			"t:4:11: reject and discard (t:4:22) exclude each other; …\n"},
		{"route a, b { relay = c discard = yes }",
			"t:1:24: discard and relay (t:1:14) exclude each other; expected one of them\n"},
		{"route a { only = ipv6 relay = 192.0.2.1, [192.0.2.2] } route b { only = ipv4 relay = ::1, 192.0.2.1 "
		 "}",
			"t:1:11: only leaves out each of relay's addresses; …\n"},
		{"route a { first = 2h }\nretry { max = 1h }\nroute b { first = 2h max = 3h }",
			"t:1:7: route a: first (2h) is more than max (1h), here or in block retry; expected at most "
			"that\n"},
		{"route a { give_up = 30m }", "t:1:7: route a: max (1h) is more than give_up (30m), here or …\n"},
		{"route a { reject = \"gr\xc3\xbc\xc3\x9f\" }",
			"t:1:20: reject: \"gr\xc3\xbc\xc3\x9f\"; expected text in printable ASCII of 1 to 300 bytes\n"},
		/* oracles */
		{"oracle { }", "t:1:1: block oracle has no title; expected ADDRESS:PORT or /PATH\n"},
		{"oracle 127.0.0.1 { }", "t:1:8: oracle \"127.0.0.1\"; expected ADDRESS:PORT, [ADDRESS]:PORT for IPv6, "
					 "or the /PATH of a socket, at most 107 bytes\n"},
		{"oracle run/x { family = ipv4 }", "t:1:8: oracle \"run/x\"; expected ADDRESS:PORT, …\n"},
		{"oracle /run/x, 127.0.0.1:1 { }",
			"t:1:8: oracle /run/x has no family; expected family = ipv4 or ipv6\n"},
		{"oracle /x { family = ipv4 }\noracle /x { family = ipv6 }",
			"t:2:8: oracle \"/x\" is given twice; first at t:1:8\n"},
		{"oracle 127.0.0.1:1, [::ffff:127.0.0.1]:1 { }",
			"t:1:21: oracle \"[::ffff:127.0.0.1]:1\" is given twice; first at t:1:8\n"},
		{"oracle [::1]:1 { answer = \"\" family = both }",
			"t:1:27: answer: \"\"; expected text in printable ASCII of 1 to 300 bytes\n"
			"t:1:39: family: \"both\"; expected auto, ipv6 or ipv4\n"},
		/* source addresses */
		{"pool a_b { addresses = 192.0.2.1 }",
			"t:1:6: pool \"a_b\"; expected a name of 1 to 32 letters, digits and hyphens\n"},
		{"pool a { }", "t:1:6: pool a has no addresses; expected addresses = ADDRESS, …\n"},
		{"pool a { addresses = 192.0.2.1, 192.0.2.0/24 }",
			"t:1:6: pool a 192.0.2.0/24 is a network; expected single addresses\n"},
		{"pool a { addresses = ::1 ipv6_share = 10 }",
			"t:1:39: ipv6_share: \"10\"; expected a share between 0 and 100%\n"},
		{"source { ipv6_share = 101% }", "t:1:23: ipv6_share: \"101%\"; expected a share …\n"},
		{"pool a { addresses = 192.0.2.1 }\npool A { addresses = ::1 }",
			"t:2:6: pool \"A\" is given twice; first at t:1:6\n"},
		{"identity mx.example { helo = a.example }", "t:1:10: identity \"mx.example\"; expected an address\n"},
		{"sender *.example { pool = a }", "t:1:8: sender \"*.example\"; expected DOMAIN or .DOMAIN …\n"},
		{"pool a { addresses = ::1 }\nsender b.example { pool = c }\nroute d { pool = e }",
			"t:2:8: sender b.example: pool c is not there; expected one of the blocks pool NAME { }\n"
			"t:3:7: route d: pool e is not there; …\n"},
		/* several together */
		{"retry { first = 2h }", "t:1:17: first (2h) is more than max (1h); expected at most that\n"},
		{"retry { max = 1m }", "t:1:15: first (5m) is more than max (1m); expected at most that\n"},
		{"retry { max = 2h give_up = 1h }", "t:1:15: max (2h) is more than give_up (1h); …\n"},
		{"storage { segment_size = 1M }",
			"t:1:26: batch_limit (4M) is more than segment_size (1M); expected at most that\n"},
		/* the open relay */
		{"clients = 192.0.2.0/24, 0.0.0.0/1, 128.0.0.0/1",
			"t:1:11: clients: 0.0.0.0/0, alone or put together, would make this an open relay; expected no "
			"block shorter than /8, or open_relay = i-know-that-everybody-may-relay\n"},
		{"clients = ::/0", "t:1:11: clients: ::/0, alone …\n"},
		/* syntax and meaning are told together; what seems to be in a block that is not closed is not judged */
		{"a b\nrace { widht = 1 }", "t:1:1: \"a\" stands alone; …\nt:2:8: unknown key \"widht\" in block race; "
					    "did you mean \"width\"?\n"},
		{"race { width = 2\nlisten [::]:25 { }\n", "t:1:1: block \"race\" is not closed; expected '}'\n"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *found = bad(rows[i].text);
		const char *f = found, *w = rows[i].errors;
		for (; *w != '\0'; w++) {
			if (strncmp(w, "…\n", strlen("…\n")) == 0) {
				f += strcspn(f, "\n");
				w += strlen("…") - 1;
			} else if (*w != *f++) {
				break;
			}
		}
		/* the machine's own name may be none; that is not what these rows are about */
		if (*w != '\0' || (*f != '\0' && strncmp(f, "t: hostname", 11) != 0))
			fail_msg("%s\ngave\n%s", rows[i].text, found);
		free(found);
	}
}

/* The table holds what it promises to those who walk it. */
static void table(void **state)
{
	(void)state;
	for (size_t i = 0; i < conf_key_count; i++) {
		const struct conf_key *k = &conf_keys[i];
		bool known = false, ended = false;
		for (size_t b = 0; b < conf_block_count; b++)
			known = known || strcmp(conf_blocks[b].name, k->block) == 0;
		assert_true(known);
		assert_true(strlen(k->help) > 5);
		for (size_t j = i + 1; j < conf_key_count; j++) {
			bool same = strcmp(conf_keys[j].block, k->block) == 0;
			if (same && ended)
				fail_msg("rows of block %s do not stand together", k->block);
			ended = ended || !same;
			if (same && strcmp(conf_keys[j].name, k->name) == 0)
				fail_msg("%s %s has two rows", k->block, k->name);
		}
		bool number = value_is_number(&k->rule);
		if (number &&
			(k->rule.min > k->rule.max || (k->rule.size != 8 && k->rule.max >> (8 * k->rule.size) != 0)))
			fail_msg("%s %s: the range is none", k->block, k->name);
	}
}

/* Every number is taken at both ends of its range and refused one past them. */
static void ranges(void **state)
{
	unsigned checked = 0;
	(void)state;
	for (size_t i = 0; i < conf_key_count; i++) {
		const struct conf_key *k = &conf_keys[i];
		const char *unit = k->rule.type == KEY_TIME ? "ms" : k->rule.type == KEY_PERCENT ? "%" : "";
		if (!value_is_number(&k->rule))
			continue;
		const uint64_t numbers[] = {k->rule.min, k->rule.max, k->rule.min - 1, k->rule.max + 1};
		for (size_t n = k->rule.min == 0 ? 3 : 0, end = 4; n < end; n++) {
			char text[64];
			uint64_t member = 0;
			struct buf why;
			buf_init(&why, 1000);
			snprintf(text, sizeof text, "%llu%s", (unsigned long long)numbers[n], unit);
			const struct grammar_value value = {.text = text}, *wrong;
			int err = value_read(&k->rule, &value, &member, &wrong, &why);
			if (err != (n < 2 ? 0 : -EINVAL) || (n < 2 && member != numbers[n]) || (n >= 2 && member != 0))
				fail_msg("%s %s = %s gave %d", k->block, k->name, text, err);
			buf_fini(&why);
			checked++;
		}
	}
	assert_true(checked > 150);
}

static char *dump(const struct conf *c)
{
	struct buf out;
	size_t len;
	buf_init(&out, 1 << 20);
	assert_int_equal(conf_dump(c, &out), 0);
	return (char *)buf_detach(&out, &len);
}

/* Cuts the comments, which say where a value is from. */
static void cut_comments(char *text)
{
	char *to = text;
	for (const char *c = text; *c != '\0'; c++) {
		if (*c == '#' && (c == text || strchr(" \t\n", c[-1]) != NULL))
			c += strcspn(c, "\n");
		*to++ = *c;
	}
	*to = '\0';
}

static void dump_reads_back(void **state)
{
	(void)state;
	struct conf *c = good(
		"hostname = a.example spool = \"/x y/#z\" user = \"q\\\"\\\\\" clients = 10.0.0.0/8, ::1\n"
		"source { ipv4 = 192.0.2.1 helo = h.example } dns { servers = ::1, 127.0.0.1:54 cache = 0 }\n"
		"retry { first = 90s warn = 0 } limits { size = 1500K line = 1000 } log { format = json }\n"
		"storage { inline_limit = 10000 } listen [::1]:26, 127.0.0.1:26 { }\n"
		"route a, .a { relay = [::1]:27 } route * { relay = [h] } route b { relay = 192.0.2.3 }\n"
		"route c { relay = [g]:26, h connections = 2 messages = 3 recipients = 4 first = 1m max = 2m\n"
		" give_up = 1w warn = 0 prefer = ipv4 only = ipv6 soft_bounce = yes }\n"
		"route d { discard = yes } route e { reject = \"no \\\"e\\\"\" }\n"
		"oracle 127.0.0.1:1, [::1]:2 { } oracle /a { family = ipv6 answer = relay:[h]:2 clients = ::1 }\n"
		"pool P { addresses = ::1, 192.0.2.9 ipv6_share = 5% ipv6_warmup = 4w } identity ::1 { helo = i }\n"
		"sender B, .a { pool = p } route f { pool = P }\n");
	char *first = dump(c);
	conf_unref(c);
	c = good(first);
	char *second = dump(c);
	conf_unref(c);
	cut_comments(first);
	cut_comments(second);
	assert_string_equal(first, second);
	static const char *const lines[] = {"spool = \"/x y/#z\" ", "user = \"q\\\"\\\\\" ",
		"clients = 10.0.0.0/8, ::1/128 ", "\tfirst = 90s ", "\twarn = 0 ", "\tsize = 1500K ", "\tline = 1000 ",
		"\tformat = json ", "listen [::1]:26 { }", "route .a { relay = [::1]:27 }",
		"route * { relay = [h]:25 }",
		"route c { relay = [g]:26, h:25 connections = 2 messages = 3 recipients = 4 first = 1m max = 2m "
		"give_up = 1w warn = 0 prefer = ipv4 only = ipv6 soft_bounce = yes }",
		"route d { discard = yes }", "route e { reject = \"no \\\"e\\\"\" }", "oracle [::1]:2 { }",
		"oracle /a { family = ipv6 answer = relay:[h]:2 clients = ::1/128 }",
		"pool p { addresses = ::1/128, 192.0.2.9/32 ipv6_share = 5% ipv6_warmup = 4w }",
		"identity ::1 { helo = i }", "sender .a { pool = p }", "sender b { pool = p }", "route f { pool = P }"};
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		if (strstr(first, lines[i]) == NULL)
			fail_msg("no %s in\n%s", lines[i], first);
	free(first);
	free(second);
}

static const char *line_with(const char *text, const char *begin, char out[200])
{
	const char *at = strstr(text, begin);
	assert_non_null(at);
	snprintf(out, 200, "%.*s", (int)strcspn(at, "\n"), at);
	return out;
}

static void dump_says_where_from(void **state)
{
	char line[200];
	(void)state;
	struct conf *c = good(HOST "\nrace {\n\twidth = 2\n}\nroute x { }\n");
	char *text = dump(c);
	assert_non_null(strstr(line_with(text, "hostname", line), "# t:1"));
	assert_non_null(strstr(line_with(text, "\twidth", line), "# t:4"));
	assert_non_null(strstr(line_with(text, "\tstall", line), "# default"));
	assert_non_null(strstr(line_with(text, "# user is not set", line), "# default"));
	assert_non_null(strstr(line_with(text, "route x", line), "# t:6"));
	assert_non_null(strstr(line_with(text, "listen [::]:25", line), "# default"));
	free(text);
	conf_unref(c);
}

static void restart_keys(void **state)
{
	static const struct {
		const char *text, *names;
	} rows[] = {
		{HOST "spool = /a control = /b", ""},
		{HOST "control = /b spool = /a limits { size = 1M } clients = ::1 listen [::1]:99 { }", ""},
		{HOST "spool = /c control = /b", "spool"},
		{HOST "control = /b disk_workers = 9 log { buffer = 2M }", "spool, disk_workers, log.buffer"},
		{HOST "spool = /a control = /b user = x", "user"},
	};
	struct conf *running = good(HOST "spool = /a control = /b");
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buf names;
		struct conf *fresh = good(rows[i].text);
		buf_init(&names, 1000);
		assert_int_equal(conf_restart_keys(running, fresh, &names), 0);
		assert_string_equal(names.data ? (char *)names.data : "", rows[i].names);
		buf_reset(&names);
		assert_int_equal(conf_keep_restart_keys(fresh, running), 0);
		assert_int_equal(conf_restart_keys(running, fresh, &names), 0);
		assert_int_equal(names.len, 0);
		assert_string_equal(fresh->spool, "/a");
		assert_null(fresh->user);
		buf_fini(&names);
		conf_unref(fresh);
	}
	conf_unref(running);
}

/* What the machine says stands in for `hostname` and `loops`. */
static void machine(void **state)
{
	static const struct {
		struct conf_machine machine;
		const char *hostname; /* NULL: an error */
		unsigned loops;
	} rows[] = {
		{{"Relay.example", 6}, "relay.example", 6},
		{{"relay", 0}, "relay", 1},
		{{"relay", 1000}, "relay", 63},
		{{"", 2}, NULL, 0},
		{{"relay_1", 2}, NULL, 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buf text;
		buf_init(&text, 1000);
		struct grammar_errors e = {.text = &text};
		struct conf *c = conf_new();
		int err = conf_apply(c, "t", NULL, &rows[i].machine, &e);
		if (rows[i].hostname != NULL) {
			assert_int_equal(err, 0);
			assert_string_equal(c->hostname, rows[i].hostname);
			assert_int_equal(c->loops, rows[i].loops);
		} else {
			assert_int_equal(err, -EINVAL);
			assert_non_null(strstr((char *)text.data, "expected hostname = NAME"));
		}
		conf_unref(c);
		buf_fini(&text);
	}
}

static void open_relay_in_so_many_words(void **state)
{
	(void)state;
	struct conf *c = good(HOST "clients = 0.0.0.0/0, ::/0 open_relay = i-know-that-everybody-may-relay");
	assert_true(c->open_relay);
	conf_unref(c);
	free(bad(HOST "clients = 0.0.0.0/0, ::/0 open_relay = no"));
}

/* As many clients, listeners as there may be; one more is refused. */
static void lists_are_bounded(void **state)
{
	struct buf text;
	(void)state;
	buf_init(&text, 1 << 20);
	for (unsigned more = 0; more < 2; more++) {
		buf_reset(&text);
		buf_append_str(&text, HOST "clients = ::1");
		for (unsigned i = 1; i < 4096 + more; i++)
			buf_printf(&text, ",\n10.0.%u.%u", i / 256, i % 256);
		for (unsigned i = 0; i < CONF_LISTEN_MAX + more; i++)
			buf_printf(&text, "\nlisten 127.0.0.1:%u { }", i + 1);
		if (more == 0) {
			struct conf *c = good((char *)text.data);
			assert_int_equal(c->clients.count, 4096);
			assert_int_equal(c->listen_count, CONF_LISTEN_MAX);
			conf_unref(c);
		} else {
			char *found = bad((char *)text.data);
			assert_non_null(strstr(found, "clients: more than 4096 entries"));
			assert_non_null(strstr(found, "more than 256 listeners"));
			free(found);
		}
	}
	buf_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_designs_example),
		cmocka_unit_test(defaults),
		cmocka_unit_test(values),
		cmocka_unit_test(relays),
		cmocka_unit_test(next_hops),
		cmocka_unit_test(errors),
		cmocka_unit_test(table),
		cmocka_unit_test(ranges),
		cmocka_unit_test(dump_reads_back),
		cmocka_unit_test(dump_says_where_from),
		cmocka_unit_test(restart_keys),
		cmocka_unit_test(machine),
		cmocka_unit_test(open_relay_in_so_many_words),
		cmocka_unit_test(lists_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
