/* tests/unit/doctor_facts_test.c: what relayq doctor reads: command lines, the kernel's answers, those of servers and
 * of the daemon. Bytes and texts in, facts out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queue/doctor/disk.h"
#include "queue/doctor/dns_probe.h"
#include "queue/doctor/host.h"
#include "queue/doctor/inquiry.h"
#include "queue/doctor/machine.h"
#include "queue/doctor/scope.h"
#include "queue/doctor/smtp_probe.h"
#include "queue/doctor/target.h"

/* ---- the command line ---- */

static void test_targets(void **state)
{
	(void)state;
	static const struct {
		const char *text, *name;
		unsigned port;
		bool literal;
	} rows[] = {
		{"MX.Example.com", "mx.example.com", 25, false},
		{"mx.example.com.", "mx.example.com", 25, false},
		{"mx.example.com:2525", "mx.example.com", 2525, false},
		{"192.0.2.1", "192.0.2.1", 25, true},
		{"192.0.2.1:26", "192.0.2.1", 26, true},
		{"2001:db8::1", "2001:db8::1", 25, true},
		{"[2001:db8::1]", "2001:db8::1", 25, true},
		{"[2001:DB8::1]:26", "2001:db8::1", 26, true},
		{"", NULL, 0, false},
		{"mx..example", NULL, 0, false},
		{"mx example", NULL, 0, false},
		{"mx.example:", NULL, 0, false},
		{"mx.example:0", NULL, 0, false},
		{"mx.example:65536", NULL, 0, false},
		{"mx.example:25x", NULL, 0, false},
		{"mx.example:-1", NULL, 0, false},
		{"[2001:db8::1", NULL, 0, false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct target t;
		int err = target_read(&t, rows[i].text);
		if ((err == 0) != (rows[i].name != NULL))
			fail_msg("\"%s\": %d", rows[i].text, err);
		if (err != 0)
			continue;
		assert_string_equal(t.name, rows[i].name);
		assert_int_equal(t.port, rows[i].port);
		assert_int_equal(t.literal.family != FAMILY_NONE, rows[i].literal);
	}
}

static void test_senders(void **state)
{
	(void)state;
	static const struct {
		const char *text, *domain, *local;
	} rows[] = {
		{"Example.COM", "example.com", ""}, {"@example.com", "example.com", ""},
		{"Joe+x@Example.com.", "example.com", "Joe+x"}, {"a@b@example.com", "example.com", "a@b"},
		{"a@", NULL, NULL}, {"", NULL, NULL}, {"exa mple.com", NULL, NULL},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@x.example", NULL, NULL}, /* 65 */
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct target_sender s;
		int err = target_read_sender(&s, rows[i].text);
		if ((err == 0) != (rows[i].domain != NULL))
			fail_msg("\"%s\": %d", rows[i].text, err);
		if (err != 0)
			continue;
		assert_string_equal(s.domain, rows[i].domain);
		assert_string_equal(s.local, rows[i].local);
	}
}

static void test_scope(void **state)
{
	(void)state;
	static const char *const inside[] = {"10.255.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
		"100.127.255.255", "169.254.9.9", "127.0.0.1", "fd00::1", "fc00::1", "fe80::1", "febf::1", "::1"};
	static const char *const outside[] = {
		"11.0.0.1", "172.32.0.1", "192.169.0.1", "100.128.0.1", "198.51.100.1", "2001:db8::1", "fec0::1"};
	struct ip ip;
	for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++)
		assert_true(ip_parse(&ip, inside[i]) == 0 && scope_is_private(&ip));
	for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
		assert_true(ip_parse(&ip, outside[i]) == 0 && !scope_is_private(&ip));
}

/* ---- the kernel ---- */

static void test_limits_of_a_process(void **state)
{
	(void)state;
	uint64_t soft = 0;
	static const char text[] = "Limit                     Soft Limit           Hard Limit           Units\n"
				   "Max open files            1024                 524288               files\n";
	assert_int_equal(machine_parse_limits(text, &soft), 0);
	assert_int_equal(soft, 1024);
	assert_int_equal(
		machine_parse_limits("Max open files            unlimited            unlimited  files\n", &soft), 0);
	assert_true(soft == UINT64_MAX);
	assert_int_equal(machine_parse_limits("Max processes 5 5\n", &soft), -EINVAL);
	assert_int_equal(machine_parse_limits("Max open files", &soft), -EINVAL);
}

struct dump {
	_Alignas(struct nlmsghdr) uint8_t bytes[4096];
	size_t len;
};

static void *add_message(struct dump *d, uint16_t type, size_t body)
{
	struct nlmsghdr *m = (struct nlmsghdr *)(d->bytes + d->len);
	*m = (struct nlmsghdr){
		.nlmsg_len = (uint32_t)NLMSG_LENGTH(body), .nlmsg_type = type, .nlmsg_flags = NLM_F_MULTI};
	d->len += NLMSG_ALIGN(m->nlmsg_len);
	return memset(NLMSG_DATA(m), 0, body);
}

static void add_attribute(struct dump *d, struct nlmsghdr *m, unsigned short type, const void *data, size_t n)
{
	struct rtattr *a = (struct rtattr *)(d->bytes + d->len);
	*a = (struct rtattr){.rta_len = (unsigned short)RTA_LENGTH(n), .rta_type = type};
	memcpy(RTA_DATA(a), data, n);
	d->len += RTA_ALIGN(a->rta_len);
	m->nlmsg_len = (uint32_t)(d->len - (size_t)((uint8_t *)m - d->bytes));
}

static void add_address(struct dump *d, const char *text, unsigned char scope, uint32_t flags)
{
	struct ip ip;
	struct nlmsghdr *m = (struct nlmsghdr *)(d->bytes + d->len);
	assert_int_equal(ip_parse(&ip, text), 0);
	struct ifaddrmsg *head = add_message(d, RTM_NEWADDR, sizeof *head);
	head->ifa_family = ip.family == FAMILY_IPV4 ? AF_INET : AF_INET6;
	head->ifa_scope = scope;
	head->ifa_index = 1;
	add_attribute(d, m, IFA_ADDRESS, ip.bytes, ip.family == FAMILY_IPV4 ? 4 : 16);
	add_attribute(d, m, IFA_FLAGS, &flags, sizeof flags);
}

static void add_route(
	struct dump *d, unsigned char af, unsigned char length, unsigned char type, uint32_t table, unsigned flags)
{
	uint32_t interface = 1;
	struct nlmsghdr *m = (struct nlmsghdr *)(d->bytes + d->len);
	struct rtmsg *head = add_message(d, RTM_NEWROUTE, sizeof *head);
	head->rtm_family = af;
	head->rtm_dst_len = length;
	head->rtm_type = type;
	head->rtm_flags = flags;
	head->rtm_protocol = af == AF_INET6 ? RTPROT_RA : RTPROT_STATIC;
	add_attribute(d, m, RTA_TABLE, &table, sizeof table);
	add_attribute(d, m, RTA_OIF, &interface, sizeof interface);
}

static void test_addresses_and_routes(void **state)
{
	(void)state;
	static struct facts f;
	static struct fact_address room[FACT_ADDRESSES];
	struct dump d = {.len = 0};
	f = (struct facts){.addresses = room};
	add_address(&d, "198.51.100.64", RT_SCOPE_UNIVERSE, IFA_F_PERMANENT);
	add_address(&d, "198.51.100.65", RT_SCOPE_UNIVERSE, IFA_F_SECONDARY);
	add_address(&d, "fe80::1", RT_SCOPE_LINK, 0);
	add_address(&d, "2001:db8::1", RT_SCOPE_UNIVERSE, IFA_F_TENTATIVE | IFA_F_DADFAILED);
	add_address(&d, "2001:db8::2", RT_SCOPE_UNIVERSE, IFA_F_TEMPORARY | IFA_F_DEPRECATED);
	add_address(&d, "2001:db8::3", RT_SCOPE_UNIVERSE, IFA_F_TENTATIVE | IFA_F_OPTIMISTIC);
	assert_int_equal(host_take(&f, d.bytes, d.len), 1);
	assert_int_equal(f.address_count, 6);
	assert_true(room[0].global && !room[0].temporary && !room[1].temporary && !room[2].global);
	assert_true(room[3].tentative && room[3].duplicate && room[4].temporary && room[4].deprecated &&
		    !room[5].tentative);
	d.len = 0;
	add_route(&d, AF_INET, 0, RTN_UNICAST, RT_TABLE_MAIN, 0);
	add_route(&d, AF_INET6, 0, RTN_UNICAST, RT_TABLE_MAIN, 0);
	add_route(&d, AF_INET, 8, RTN_UNICAST, RT_TABLE_MAIN, 0);	    /* no default route */
	add_route(&d, AF_INET6, 0, RTN_UNREACHABLE, RT_TABLE_MAIN, 0);	    /* the kernel's own last one */
	add_route(&d, AF_INET, 0, RTN_UNICAST, RT_TABLE_LOCAL, 0);	    /* of another table */
	add_route(&d, AF_INET, 0, RTN_UNICAST, RT_TABLE_MAIN, RTNH_F_DEAD); /* its interface is down */
	add_message(&d, NLMSG_DONE, 4);
	assert_int_equal(host_take(&f, d.bytes, d.len), 0);
	assert_int_equal(f.route_count, 2);
	assert_true(f.routes[0].family == FAMILY_IPV4 && !f.routes[0].advertised);
	assert_true(f.routes[1].family == FAMILY_IPV6 && f.routes[1].advertised);
	d.len = 0;
	struct nlmsgerr *e = add_message(&d, NLMSG_ERROR, sizeof *e);
	e->error = -EPERM;
	assert_int_equal(host_take(&f, d.bytes, d.len), -EPERM);
	/* cut off anywhere, and full */
	d.len = 0;
	for (unsigned i = 0; i < 40; i++)
		add_address(&d, "192.0.2.1", RT_SCOPE_UNIVERSE, 0);
	for (size_t n = 0; n < 200; n++)
		assert_int_equal(host_take(&f, d.bytes, n), 1);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(host_take(&f, d.bytes, d.len), 1);
	assert_int_equal(f.address_count, FACT_ADDRESSES);
}

/* The disk: a directory of the test's own, and none. */
static void test_disk(void **state)
{
	(void)state;
	char folder[] = "/tmp/doctor-XXXXXX", gone[64];
	struct fact_spool s;
	assert_non_null(mkdtemp(folder));
	chmod(folder, 0750);
	disk_look(folder, "root", &s);
	assert_true(s.done && s.err == 0 && s.is_directory && s.space_known && s.free_bytes > 0);
	assert_int_equal(s.mode, 0750);
	assert_int_equal(s.owner, getuid());
	assert_true(s.wanted_known && s.wanted == 0 && !s.user_missing);
	assert_in_range(s.syncs, 1, 50);
	assert_int_equal(s.newest_err, -ENOENT);
	assert_int_equal(rmdir(folder), 0); /* nothing was left in it */
	snprintf(gone, sizeof gone, "%s/gone", folder);
	disk_look(gone, "no-such-user-here", &s);
	assert_true(s.done && s.err == -ENOENT && s.syncs == 0);
}

/* ---- servers ---- */

static void test_greetings(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		int whole;
		const char *last;
	} rows[] = {
		{"220 mx ESMTP\r\n", 1, "220 mx ESMTP"},
		{"220\r\n", 1, "220"},
		{"220-a\r\n220 b\r\n", 1, "220 b"},
		{"554 no\n", 1, "554 no"},
		{"220-a\r\n220", 0, "220-a"},
		{"", 0, ""},
		{"SSH-2.0-x\r\n", -EPROTO, "SSH-2.0-x"},
		{"HTTP/1.1 400\r\n", -EPROTO, "HTTP/1.1 400"},
		{"2200 x\r\n", -EPROTO, "2200 x"},
		{"\r\n", -EPROTO, ""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char out[FACT_TEXT] = "";
		assert_int_equal(smtp_probe_read(rows[i].bytes, strlen(rows[i].bytes), out), rows[i].whole);
		assert_string_equal(out, rows[i].last);
	}
	char wide[1000], out[FACT_TEXT];
	memset(wide, 'x', sizeof wide);
	memcpy(wide, "220 ", 4);
	wide[sizeof wide - 1] = '\n';
	assert_int_equal(smtp_probe_read(wide, sizeof wide, out), 1);
	assert_int_equal(strlen(out), FACT_TEXT - 1);
}

static void test_dns_answers(void **state)
{
	(void)state;
	uint8_t query[DNS_PROBE_QUERY], reply[DNS_PROBE_QUERY + 20] = {0};
	struct fact_exchange x = {.done = false};
	/* RFC 1035 §4.1.1: id, RD, one question; RFC 6840 §5.7: AD; the root, SOA, IN */
	static const uint8_t wanted[DNS_PROBE_QUERY] = {0x12, 0x34, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 1};
	dns_probe_query(query, 0x1234);
	assert_memory_equal(query, wanted, sizeof wanted);
	assert_false(dns_probe_read(query, query, sizeof query, &x)); /* the question itself */
	memcpy(reply, query, sizeof query);
	reply[2] |= 0x80;
	assert_true(dns_probe_read(query, reply, sizeof reply, &x));
	assert_false(x.authentic); /* AD, but no answer to be so */
	reply[7] = 1;
	assert_true(dns_probe_read(query, reply, sizeof reply, &x));
	assert_true(x.authentic && x.rcode == 0);
	reply[3] = 0x80;
	assert_true(dns_probe_read(query, reply, sizeof reply, &x) && !x.authentic);
	reply[3] = 0x20 | 2;
	assert_true(dns_probe_read(query, reply, sizeof reply, &x) && !x.authentic && x.rcode == 2);
	reply[1] ^= 1; /* another question's */
	assert_false(dns_probe_read(query, reply, sizeof reply, &x));
	reply[1] ^= 1;
	reply[14] = 1;
	assert_false(dns_probe_read(query, reply, sizeof reply, &x));
	assert_false(dns_probe_read(query, reply, 16, &x));
}

/* ---- the daemon ---- */

static int take(struct inquiry *q, const char *line)
{
	return inquiry_take(q, line, strlen(line));
}

static void test_what_the_daemon_says(void **state)
{
	(void)state;
	struct fact_daemon d = {.pid = 0};
	struct inquiry q = {.out = &d};
	buf_init(&q.settings, 65536);
	assert_int_equal(take(&q, "{\"type\":\"version\",\"version\":\"9.9\"}"), 1);
	assert_true(d.answered);
	assert_string_equal(d.version, "9.9");
	assert_int_equal(take(&q, "{\"type\":\"end\"}"), 0);
	assert_false(q.settings_whole);
	q.step = 1;
	static const char *const lines[] = {
		"{\"type\":\"setting\",\"block\":\"\",\"title\":\"\",\"key\":\"hostname\",\"value\":\"relay.example\"}",
		"{\"type\":\"setting\",\"block\":\"listen\",\"title\":\"[::]:25\",\"key\":\"\",\"value\":\"\"}",
		"{\"type\":\"setting\",\"block\":\"pool\",\"title\":\"p\",\"key\":\"addresses\",\"value\":\"192.0.2.1, "
		"2001:db8::1\"}",
		"{\"type\":\"setting\",\"block\":\"refusal\",\"title\":\"r\",\"key\":\"text\",\"value\":\"x { y\"}",
		"{\"type\":\"setting\",\"block\":\"route\",\"title\":\"*\",\"key\":\"relay\",\"value\":\"[192.0.2.9]:"
		"25\"}",
		"{\"type\":\"setting\",\"block\":\"route\",\"title\":\"*\",\"key\":\"pool\",\"value\":\"p\"}",
	};
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		assert_int_equal(take(&q, lines[i]), 1);
	assert_int_equal(take(&q, "{\"type\":\"end\"}"), 0);
	assert_true(q.settings_whole);
	struct buf errors;
	struct conf *c = NULL;
	buf_init(&errors, 65536);
	assert_int_equal(buf_append_str(&q.settings, "spool = /s\ncontrol = /c\n"), 0);
	if (conf_parse(&c, "the daemon", (const char *)q.settings.data, q.settings.len, &errors) != 0)
		fail_msg("%.*s", (int)errors.len, (const char *)errors.data);
	assert_string_equal(c->hostname, "relay.example");
	assert_int_equal(c->listen_count, 1);
	assert_int_equal(c->pools[0].addresses.count, 2);
	assert_string_equal(c->routes[0].pool, "p");
	conf_unref(c);
	buf_fini(&errors);
	inquiry_fini(&q);
}

static void test_what_is_no_daemon(void **state)
{
	(void)state;
	static const char *const lines[] = {"", "220 mx ESMTP", "[]", "{", "\"version\"",
		"{\"type\":\"error\",\"text\":\"no rights\"}", "{\"v\":1}"};
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		struct fact_daemon d = {.pid = 0};
		struct inquiry q = {.out = &d};
		buf_init(&q.settings, 65536);
		int more = take(&q, lines[i]);
		assert_false(d.answered);
		if (i == 6)
			assert_int_equal(more, 1); /* of a type that is not known: passed over */
		else
			assert_int_equal(more, -EPROTO);
		assert_string_equal(d.problem, i == 5 ? "no rights" : "");
		inquiry_fini(&q);
	}
	/* a title that is too long is not cut, so that two blocks never become one */
	char line[1000], title[400];
	struct fact_daemon d = {.pid = 0};
	struct inquiry q = {.out = &d, .step = 1};
	memset(title, 'x', sizeof title - 1);
	title[sizeof title - 1] = '\0';
	buf_init(&q.settings, 65536);
	snprintf(line, sizeof line,
		"{\"type\":\"setting\",\"block\":\"pool\",\"title\":\"%s\",\"key\":\"a\",\"value\":\"1\"}", title);
	assert_int_equal(take(&q, line), -EPROTO);
	inquiry_fini(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_senders),
		cmocka_unit_test(test_scope),
		cmocka_unit_test(test_limits_of_a_process),
		cmocka_unit_test(test_addresses_and_routes),
		cmocka_unit_test(test_disk),
		cmocka_unit_test(test_greetings),
		cmocka_unit_test(test_dns_answers),
		cmocka_unit_test(test_what_the_daemon_says),
		cmocka_unit_test(test_what_is_no_daemon),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
