/* tests/unit/survey_test.c: lists of domains, what answers mean, counts and shares, the pace, results files. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/buf.h"
#include "queue/survey/line.h"
#include "queue/survey/progress.h"
#include "queue/survey/record.h"
#include "queue/survey/results.h"
#include "queue/survey/tally.h"
#include "queue/survey/throttle.h"
#include "queue/tool/survey_page.h"

enum { PAGE = 80 };

/* ---- lines ---- */

static void test_lines(void **state)
{
	static const struct {
		const char *text, *domain;
		uint64_t weight;
		bool weighted;
		const char *why; /* part of it; NULL: none */
	} rows[] = {
		{"example.com", "example.com", 1, false, NULL},
		{"Example.COM.", "example.com", 1, false, NULL},
		{"  example.com\t17  ", "example.com", 17, true, NULL},
		{"example.com,17", "example.com", 17, true, NULL},
		{"example.com , 17\r", "example.com", 17, true, NULL},
		{"example.com 0", "example.com", 0, true, NULL},
		{"example.com 999999999999", "example.com", 999999999999, true, NULL},
		{"example.com # ours", "example.com", 1, false, NULL},
		{"# example.com", "", 1, false, NULL},
		{"", "", 1, false, NULL},
		{" \t\r", "", 1, false, NULL},
		{"gr\xc3\xbcn.example 3", "xn--grn-ioa.example", 3, true, NULL},
		{"GR\xc3\x9cN.example.", "xn--grn-ioa.example", 1, false, NULL},
		{"xn--grn-ioa.example", "xn--grn-ioa.example", 1, false, NULL},
		{"_x.example", "_x.example", 1, false, NULL},
		{"ann@example.com", NULL, 0, false, "mail address"},
		{"192.0.2.1", NULL, 0, false, "an address"},
		{"2001:db8::1", NULL, 0, false, "an address"},
		{"[192.0.2.1]", NULL, 0, false, "an address"},
		{"a b", NULL, 0, false, "no weight"},
		{"example.com 1 2", NULL, 0, false, "no weight"},
		{"example.com -1", NULL, 0, false, "no weight"},
		{"example.com 1.5", NULL, 0, false, "no weight"},
		{"example.com,", NULL, 0, false, "no weight"},
		{"example.com 1000000000000", NULL, 0, false, "no weight"},
		{"12 example.com", NULL, 0, false, "no weight"},
		{"-a.example", NULL, 0, false, "no domain"},
		{"a..example", NULL, 0, false, "no domain"},
		{".", NULL, 0, false, "no domain"},
		{",5", NULL, 0, false, "no domain"},
		{"a\x01.example", NULL, 0, false, "\"a?.example\" is no domain"},
		{"\xff\xfe.example", NULL, 0, false, "internationalised"},
		{"\xe2\x80\xae.example", NULL, 0, false, "internationalised"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct survey_line line;
		char why[SURVEY_WHY] = "";
		int err = survey_line_read(&line, rows[i].text, strlen(rows[i].text), why);
		if (rows[i].why != NULL) {
			if (err != -EINVAL || strstr(why, rows[i].why) == NULL || line.domain[0] != '\0')
				fail_msg("%s: %d, %s", rows[i].text, err, why);
			for (const char *c = why; *c != '\0'; c++)
				assert_in_range(*c, ' ', '~');
			continue;
		}
		if (err != 0 || strcmp(line.domain, rows[i].domain) != 0 || line.weight != rows[i].weight ||
			line.weighted != rows[i].weighted)
			fail_msg("%s: %d, %s, %llu, %s", rows[i].text, err, line.domain,
				(unsigned long long)line.weight, why);
	}
}

static void test_line_bounds(void **state)
{
	struct survey_line line;
	char text[SURVEY_LINE_MAX], why[SURVEY_WHY];
	(void)state;
	assert_int_equal(survey_line_read(&line, "a\0.example", 10, why), -EINVAL);
	memset(text, 'a', sizeof text);
	assert_int_equal(survey_line_read(&line, text, sizeof text, why), -EINVAL);
	assert_true(strlen(why) < SURVEY_WHY - 1);
	for (size_t i = 63; i < sizeof text; i += 64)
		text[i] = '.';
	assert_int_equal(survey_line_read(&line, text, 253, why), 0); /* RFC 1035 §2.3.4 */
	assert_int_equal(survey_line_read(&line, text, 254, why), -EINVAL);
}

/* ---- kinds ---- */

static const enum mx_part P = MX_PART_PENDING, H = MX_PART_HAVE, E = MX_PART_EMPTY, F = MX_PART_FAILED;

/* Up to two hosts, each with the state of its IPv4 and IPv6 addresses. */
static enum survey_kind judge(enum mx_part a4, enum mx_part a6, enum mx_part b4, enum mx_part b6, const char *v6)
{
	const enum mx_part states[2][2] = {{a4, a6}, {b4, b6}};
	struct survey_synthesis s;
	const struct conf_nat64 none = {0};
	struct ip ips[2];
	struct mx_host hosts[2] = {0};
	const struct mx mx = {.state = MX_HOSTS, .complete = true, .hosts = hosts, .count = b4 == P ? 1 : 2};
	assert_int_equal(ip_parse(&ips[0], "192.0.2.1"), 0);
	assert_int_equal(ip_parse(&ips[1], v6), 0);
	for (unsigned h = 0; h < mx.count; h++)
		for (unsigned f = 0; f < 2; f++) {
			hosts[h].family[f].state = states[h][f];
			hosts[h].family[f].items = states[h][f] == MX_PART_HAVE ? &ips[f] : NULL;
			hosts[h].family[f].count = states[h][f] == MX_PART_HAVE;
		}
	survey_synthesis_init(&s, &none);
	return survey_judge(&mx, &s);
}

static void test_kinds_of_hosts(void **state)
{
	static const char real[] = "2001:db8::1";
	(void)state;
	assert_int_equal(judge(H, H, P, P, real), SURVEY_BOTH);
	assert_int_equal(judge(H, E, P, P, real), SURVEY_IPV4);
	assert_int_equal(judge(E, H, P, P, real), SURVEY_IPV6);
	/* the families of all hosts count together */
	assert_int_equal(judge(H, E, E, H, real), SURVEY_BOTH);
	assert_int_equal(judge(H, E, E, E, real), SURVEY_IPV4);
	/* what failed may have been there */
	assert_int_equal(judge(H, F, P, P, real), SURVEY_NO_ANSWER);
	assert_int_equal(judge(F, H, P, P, real), SURVEY_NO_ANSWER);
	assert_int_equal(judge(H, E, E, F, real), SURVEY_NO_ANSWER);
	/* unless it could not change the answer */
	assert_int_equal(judge(H, H, F, F, real), SURVEY_BOTH);
	assert_int_equal(judge(H, F, F, H, real), SURVEY_BOTH);
}

static void test_made_up_addresses_are_none(void **state)
{
	(void)state;
	assert_int_equal(judge(H, H, P, P, "64:ff9b::c000:201"), SURVEY_IPV4);
	assert_int_equal(judge(H, H, P, P, "64:ff9b:1:fffe::c000:201"), SURVEY_IPV4);
	assert_int_equal(judge(H, H, P, P, "64:ff9b:0:1::1"), SURVEY_BOTH);
	assert_int_equal(judge(F, H, P, P, "64:ff9b::c000:201"), SURVEY_NO_ANSWER);
}

static void test_prefixes_of_translators(void **state)
{
	struct survey_synthesis s;
	struct conf_nat64 given = {.mode = CONF_NAT64_GIVEN, .count = 1};
	struct dns_record record = {0};
	const struct dns_answer answer = {.status = DNS_OK, .records = &record, .count = 1};
	struct ip own, other;
	(void)state;
	assert_int_equal(prefix_parse(&given.items[0], "2001:db8:64::/96"), 0);
	assert_int_equal(ip_parse(&record.ip, "2001:db8:65::c000:aa"), 0); /* 192.0.0.170, RFC 7050 */
	assert_int_equal(ip_parse(&own, "2001:db8:64::c633:6401"), 0);
	assert_int_equal(ip_parse(&other, "2001:db8:65::c633:6401"), 0);
	struct ip v4 = {.family = FAMILY_IPV4, .bytes = {198, 51, 100, 1}};
	struct mx_host host = {.family = {{.state = MX_PART_HAVE, .items = &v4, .count = 1},
				       {.state = MX_PART_HAVE, .items = &own, .count = 1}}};
	const struct mx mx = {.state = MX_HOSTS, .complete = true, .hosts = &host, .count = 1};
	survey_synthesis_init(&s, &given);
	assert_int_equal(survey_judge(&mx, &s), SURVEY_IPV4);
	host.family[1].items = &other;
	assert_int_equal(survey_judge(&mx, &s), SURVEY_BOTH);
	survey_synthesis_learn(&s, &answer);
	assert_int_equal(survey_judge(&mx, &s), SURVEY_IPV4);
}

static void test_kinds_without_hosts(void **state)
{
	static const struct {
		enum mx_state state;
		const char *enhanced;
		enum survey_kind kind;
	} rows[] = {
		{MX_FAILED, "5.1.10", SURVEY_NULL_MX},
		{MX_FAILED, "5.1.2", SURVEY_NOWHERE},
		{MX_FAILED, "5.4.4", SURVEY_DANGLING},
		{MX_FAILED, "5.4.6", SURVEY_DANGLING}, /* loopback alone */
		{MX_DEFERRED, "4.4.3", SURVEY_NO_ANSWER},
	};
	const struct conf_nat64 none = {0};
	struct survey_synthesis s;
	(void)state;
	survey_synthesis_init(&s, &none);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct mx mx = {.state = rows[i].state, .complete = true};
		snprintf(mx.enhanced, sizeof mx.enhanced, "%s", rows[i].enhanced);
		assert_int_equal(survey_judge(&mx, &s), rows[i].kind);
	}
	for (unsigned k = SURVEY_UNASKED; k < SURVEY_KIND_COUNT; k++) {
		const char *word = survey_word((enum survey_kind)k);
		assert_int_equal(survey_kind_of(word, strlen(word)), k);
	}
	assert_int_equal(survey_kind_of("bot", 3), SURVEY_UNASKED);
}

/* ---- counts ---- */

static void put(struct survey_list *l, const char *name, enum survey_kind kind, bool implicit, const char *reason)
{
	assert_int_equal(survey_list_put(l, survey_list_find(l, name), kind, implicit, reason), 0);
}

/* 10 domains with 1,000 mails; two of each family alone. */
static void fill(struct survey_list *l)
{
	static const struct {
		const char *name;
		uint64_t weight;
		enum survey_kind kind;
		bool implicit;
	} rows[] = {
		{"both.example", 500, SURVEY_BOTH, false},
		{"a4.example", 200, SURVEY_IPV4, false},
		{"b4.example", 50, SURVEY_IPV4, true},
		{"a6.example", 40, SURVEY_IPV6, false},
		{"b6.example", 10, SURVEY_IPV6, false},
		{"null.example", 60, SURVEY_NULL_MX, false},
		{"dangling.example", 30, SURVEY_DANGLING, false},
		{"nowhere.example", 20, SURVEY_NOWHERE, true},
		{"silent.example", 80, SURVEY_NO_ANSWER, false},
		{"later.example", 10, SURVEY_UNASKED, false},
	};
	*l = (struct survey_list){.weighted = true};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(survey_list_add(l, rows[i].name, rows[i].weight), 0);
		if (rows[i].kind != SURVEY_UNASKED)
			put(l, rows[i].name, rows[i].kind, rows[i].implicit, "");
	}
}

static void test_tally(void **state)
{
	struct survey_list l;
	struct survey_tally t;
	(void)state;
	fill(&l);
	survey_tally_list(&t, &l);
	assert_int_equal(t.all.domains, 10);
	assert_int_equal(t.all.mail, 1000);
	assert_int_equal(t.all.implicit, 2);
	assert_int_equal(t.taking.domains, 5);
	assert_int_equal(t.taking.mail, 800);
	assert_int_equal(t.lost[0].domains, 2); /* IPv4-only servers: the IPv6-only domains */
	assert_int_equal(t.lost[0].mail, 50);
	assert_int_equal(t.lost[1].domains, 2);
	assert_int_equal(t.lost[1].mail, 250);
	assert_int_equal(t.kinds[SURVEY_NO_ANSWER].mail, 80);
	assert_int_equal(t.kinds[SURVEY_IPV4].implicit, 1);
	survey_list_free(&l);
}

static void test_shares(void **state)
{
	static const struct {
		uint64_t part, whole;
		const char *text;
	} rows[] = {{0, 0, "-"}, {0, 10, "0.0%"}, {10, 10, "100.0%"}, {1, 40, "2.5%"}, {1, 10000, "<0.1%"},
		{9999, 10000, ">99.9%"}, {1, 1000, "0.1%"}, {UINT64_C(1) << 62, UINT64_C(1) << 63, "50.0%"}};
	char text[SURVEY_SHARE];
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_string_equal(survey_share(rows[i].part, rows[i].whole, text), rows[i].text);
}

static void test_list(void **state)
{
	struct survey_list l = {0};
	char name[32];
	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "d%u.example", i % 500);
		assert_int_equal(survey_list_add(&l, name, i), 0);
	}
	assert_int_equal(l.count, 500); /* each once, its weights added up */
	assert_int_equal(survey_domain_weight(survey_list_find(&l, "d7.example")), 7 + 507);
	assert_string_equal(survey_domain_name(l.items[7]), "d7.example");
	assert_null(survey_list_find(&l, "d500.example"));
	put(&l, "d7.example", SURVEY_NO_ANSWER, false, "time-out\tof \xff\n");
	assert_string_equal(survey_domain_reason(l.items[7]), "time-out?of ??");
	assert_int_equal(l.answered, 1);
	put(&l, "d7.example", SURVEY_BOTH, false, "");
	assert_int_equal(l.answered, 1);
	assert_string_equal(survey_domain_reason(l.items[7]), "");
	survey_list_free(&l);
}

/* ---- pages ---- */

static void test_page_fits(void **state)
{
	struct survey_list l;
	char *text = NULL, *save = NULL;
	size_t size;
	(void)state;
	fill(&l);
	/* the largest numbers that can be */
	assert_int_equal(survey_list_add(&l, "huge.example", UINT64_C(999999999999000000)), 0);
	put(&l, "huge.example", SURVEY_IPV6, false, "");
	FILE *out = open_memstream(&text, &size);
	assert_int_equal(survey_page(&l, out, PAGE), 0);
	fclose(out);
	assert_non_null(strstr(text, "Of 6 domains that take mail:"));
	for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		if (strlen(line) > PAGE)
			fail_msg("%zu columns: %s", strlen(line), line);
		assert_null(strstr(line, "..."));
	}
	free(text);
	survey_list_free(&l);
}

static void test_csv(void **state)
{
	struct survey_list l = {0};
	char *text = NULL;
	size_t size;
	(void)state;
	survey_list_add(&l, "a.example", 5);
	survey_list_add(&l, "b.example", 1);
	survey_list_add(&l, "c.example", 1);
	survey_list_add(&l, "d.example", 1);
	put(&l, "a.example", SURVEY_IPV6, true, "");
	put(&l, "b.example", SURVEY_NO_ANSWER, false, "say \"no\", twice");
	put(&l, "c.example", SURVEY_NULL_MX, false, "");
	FILE *out = open_memstream(&text, &size);
	survey_csv(&l, out);
	fclose(out);
	assert_string_equal(text, "domain,mail,kind,host,ipv4_only_can_send,ipv6_only_can_send,reason\n"
				  "a.example,5,ipv6,implicit,no,yes,\n"
				  "b.example,1,no-answer,mx,,,\"say \"\"no\"\", twice\"\n"
				  "c.example,1,null-mx,mx,no,no,\n"
				  "d.example,1,unasked,,,,\n");
	free(text);
	survey_list_free(&l);
}

static void test_progress(void **state)
{
	static const struct {
		struct progress p;
		unsigned width;
		const char *text;
	} rows[] = {
		{{0, 2000, 0, 0}, 80, "[--------------------] 0 of 2000  0%"},
		{{1000, 2000, 0, 20000}, 80, "[##########----------] 1000 of 2000  50%  50/s  20s left"},
		/* the pace is that of this run */
		{{1500, 2000, 1000, 10000}, 80, "[###############-----] 1500 of 2000  75%  50/s  10s left"},
		{{2000, 2000, 0, 40000}, 80, "[####################] 2000 of 2000  100%  50/s  0ms left"},
		{{1000, 2000, 0, 20000}, 48, "[#####------] 1000 of 2000  50%  50/s  20s left"},
		{{1000, 2000, 0, 20000}, 20, "1000 of 2000  50%  "},
		{{0, 0, 0, 0}, 80, "[####################] 0 of 0  100%"},
	};
	char line[PROGRESS_LINE];
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_string_equal(progress_line(&rows[i].p, rows[i].width, line), rows[i].text);
}

/* ---- the pace ---- */

/* How many are taken from `from_ms` to `to_ms` by a timer of so many milliseconds. */
static uint64_t taken(struct throttle *t, uint64_t from_ms, uint64_t to_ms, uint64_t step_ms)
{
	uint64_t n = 0;
	for (uint64_t now = from_ms; now < to_ms; now += step_ms)
		while (throttle_take(t, now))
			n++;
	return n;
}

static void test_pace(void **state)
{
	static const uint64_t rates[] = {1, 7, 50, 1000, 10000};
	struct throttle t;
	(void)state;
	for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
		throttle_init(&t, rates[i], 1000);
		uint64_t n = taken(&t, 1000, 11000, 10);
		assert_in_range(n, rates[i] * 10 - rates[i] / 10, rates[i] * 10 + 1);
		/* nothing is made up for after an hour in which nobody took any */
		n = taken(&t, 3600000, 3600001, 10);
		assert_in_range(n, 1, rates[i] / 20 + 1);
	}
	throttle_init(&t, 50, 1000);
	assert_true(throttle_take(&t, 1000));
	assert_false(throttle_take(&t, 1000));
	assert_false(throttle_take(&t, 0)); /* a clock that goes back gives none */
}

/* ---- results ---- */

static void test_records(void **state)
{
	static const char *const bad[] = {"", "a.example", "a.example\tboth", "a.example\tboth\tmx",
		"a.example\todd\tmx\t", "a.example\tboth\tother\t", "a b\tboth\tmx\t", "\tboth\tmx\t",
		"a.example\tunasked\tmx\t", "a.example\tboth\tmx\t\x01"};
	struct survey_list l = {0};
	struct survey_record r;
	char line[SURVEY_RECORD_MAX], longest[DNS_NAME_MAX], reason[2 * SURVEY_REASON_MAX];
	(void)state;
	memset(longest, 'a', sizeof longest);
	for (size_t i = 63; i < sizeof longest; i += 64)
		longest[i] = '.';
	longest[253] = '\0';
	memset(reason, 'x', sizeof reason);
	reason[sizeof reason - 1] = '\0';
	assert_int_equal(survey_list_add(&l, longest, 1), 0);
	put(&l, longest, SURVEY_NO_ANSWER, true, reason);
	size_t n = survey_record_write(l.items[0], line);
	assert_true(n < sizeof line && line[n - 1] == '\n');
	assert_int_equal(survey_record_read(&r, line, n - 1), 0);
	assert_string_equal(r.domain, longest);
	assert_int_equal(r.kind, SURVEY_NO_ANSWER);
	assert_true(r.implicit);
	assert_int_equal(strlen(r.reason), SURVEY_REASON_MAX);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (survey_record_read(&r, bad[i], strlen(bad[i])) != -EINVAL)
			fail_msg("%s", bad[i]);
	survey_list_free(&l);
}

static void write_file(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
}

/* Cut anywhere, the file is taken up again: what was whole is known, the rest is asked, and written once. */
static void test_results_cut_anywhere(void **state)
{
	static const char whole[] = SURVEY_HEAD "a.example\tboth\tmx\t\nb.example\tipv6\timplicit\t\n"
						"c.example\tno-answer\tmx\ttime-out\n";
	char path[] = "/tmp/survey_test.XXXXXX", why[RESULTS_WHY], text[sizeof whole];
	(void)state;
	close(mkstemp(path));
	for (size_t cut = 0; cut < sizeof whole; cut++) {
		struct survey_list l = {0};
		struct results r;
		size_t lines = 0;
		write_file(path, whole, cut);
		for (size_t i = 0; i < cut; i++)
			lines += whole[i] == '\n';
		for (char name[] = "a.example"; name[0] <= 'c'; name[0]++)
			assert_int_equal(survey_list_add(&l, name, 1), 0);
		assert_int_equal(results_open(&r, path, true, &l, why), 0);
		assert_int_equal(l.answered, lines != 0 ? lines - 1 : 0);
		for (size_t i = l.answered; i < 3; i++) {
			static const enum survey_kind kinds[3] = {SURVEY_BOTH, SURVEY_IPV6, SURVEY_NO_ANSWER};
			assert_int_equal(survey_domain_kind(l.items[i]), SURVEY_UNASKED);
			put(&l, survey_domain_name(l.items[i]), kinds[i], i == 1, i == 2 ? "time-out" : "");
			assert_int_equal(results_add(&r, l.items[i]), 0);
		}
		assert_int_equal(results_close(&r), 0);
		FILE *f = fopen(path, "r");
		size_t n = fread(text, 1, sizeof text, f);
		fclose(f);
		assert_int_equal(n, sizeof whole - 1);
		assert_memory_equal(text, whole, n);
		survey_list_free(&l);
	}
	unlink(path);
}

static void test_results_of_others(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"root:x:0:0", ":1: expected a results file"},
		{"root:x:0:0\n", ":1: expected a results file"},
		{SURVEY_HEAD "a.example\tboth\tmx\t\nnonsense\n", ":3: expected DOMAIN"},
	};
	char path[] = "/tmp/survey_test.XXXXXX", why[RESULTS_WHY];
	struct survey_list l = {0};
	struct results r, second;
	(void)state;
	close(mkstemp(path));
	assert_int_equal(survey_list_add(&l, "a.example", 1), 0);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char before[128] = "", after[128] = "";
		write_file(path, rows[i].text, strlen(rows[i].text));
		snprintf(before, sizeof before, "%s", rows[i].text);
		assert_int_equal(results_open(&r, path, true, &l, why), -EINVAL);
		if (strstr(why, rows[i].why) == NULL)
			fail_msg("%s", why);
		FILE *f = fopen(path, "r");
		assert_int_equal(fread(after, 1, sizeof after - 1, f), strlen(before));
		fclose(f);
		assert_string_equal(before, after); /* untouched */
	}
	write_file(path, SURVEY_HEAD "z.example\tboth\tmx\t\n", strlen(SURVEY_HEAD "z.example\tboth\tmx\t\n"));
	assert_int_equal(results_open(&r, path, false, &l, why), -EEXIST);
	assert_non_null(strstr(why, "--resume"));
	assert_int_equal(results_open(&r, path, true, &l, why), 0);
	assert_int_equal(r.strangers, 1);
	assert_int_not_equal(results_open(&second, path, true, &l, why), 0);
	assert_non_null(strstr(why, "another survey"));
	assert_int_equal(results_close(&r), 0);
	unlink(path);
	assert_int_not_equal(results_open(&r, "/tmp", true, &l, why), 0);
	assert_int_not_equal(results_open(&r, "/dev/null", true, &l, why), 0);
	assert_int_equal(results_add(&r, l.items[0]), 0); /* no file is none */
	survey_list_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_line_bounds),
		cmocka_unit_test(test_kinds_of_hosts),
		cmocka_unit_test(test_made_up_addresses_are_none),
		cmocka_unit_test(test_prefixes_of_translators),
		cmocka_unit_test(test_kinds_without_hosts),
		cmocka_unit_test(test_tally),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_page_fits),
		cmocka_unit_test(test_csv),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_pace),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_results_cut_anywhere),
		cmocka_unit_test(test_results_of_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
