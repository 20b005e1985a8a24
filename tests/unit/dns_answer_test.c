/* tests/unit/dns_answer_test.c: packets right and wrong. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/answer.h"
#include "tests/unit/dns_packet.h"

static struct packet p;

enum { GOOD = PACKET_QR | PACKET_RD | PACKET_RA, RCODE_NXDOMAIN = 3 };

/* From a block of just this size, so that ASan sees every byte read past the end. */
static int parse(struct dns_answer *a, const char *name, enum dns_type type, size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);
	memcpy(exact, p.bytes, len);
	int err = dns_answer_parse(a, exact, len, name, type, 20);
	free(exact);
	return err;
}

/* What an answer says, as text: "OK 60 10:mx.example 20:…". */
static const char *said(const char *name, enum dns_type type)
{
	static const char *const statuses[] = {"OK", "NODATA", "NXDOMAIN", "SERVFAIL", "TIMEOUT"};
	static char out[2048];
	struct dns_answer a;
	int err = parse(&a, name, type, p.len);
	if (err != 0) {
		snprintf(out, sizeof out, "%s", err == -EBADMSG ? "EBADMSG" : "?");
		return out;
	}
	int n = snprintf(out, sizeof out, "%s %u", statuses[a.status], a.ttl);
	for (size_t i = 0; i < a.count; i++) {
		char ip[IP_TEXT];
		const struct dns_record *r = &a.records[i];
		if (type == DNS_MX)
			n += snprintf(out + n, sizeof out - n, " %u:%s", r->preference, r->name);
		else if (type == DNS_A || type == DNS_AAAA)
			n += snprintf(out + n, sizeof out - n, " %s", ip_format(&r->ip, ip));
		else if (type == DNS_TLSA || type == DNS_TXT)
			n += snprintf(out + n, sizeof out - n, " [%zu]", r->len);
		else
			n += snprintf(out + n, sizeof out - n, " %s", r->name);
	}
	if (a.detail[0] != 0)
		snprintf(out + n, sizeof out - n, " (%s)", a.detail);
	dns_answer_fini(&a);
	return out;
}

static void test_answers(void **state)
{
	static const struct {
		const char *name;
		enum dns_type type;
		unsigned flags;
		const char *records;
		const char *expected;
	} rows[] = {
		{"a.example", DNS_A, GOOD, "60 A 192.0.2.1", "OK 60 192.0.2.1"},
		{"A.eXample", DNS_A, GOOD, "60 A 192.0.2.1; 30 A 192.0.2.2", "OK 30 192.0.2.1 192.0.2.2"},
		{"a.example", DNS_AAAA, GOOD, "60 AAAA 2001:db8::1", "OK 60 2001:db8::1"},
		{"a.example", DNS_AAAA, GOOD, "60 AAAA ::ffff:192.0.2.1", "OK 60 192.0.2.1"},
		{"a.example", DNS_MX, GOOD, "60 MX 20 b.example; 60 MX 10 A.Example",
			"OK 60 20:b.example 10:a.example"},
		{"a.example", DNS_MX, GOOD, "60 MX 0 .", "OK 60 0:"},
		/* chains */
		{"a.example", DNS_A, GOOD, "60 CNAME b.example; 50 CNAME C.example; 70 A 192.0.2.1", "OK 50 192.0.2.1"},
		{"a.example", DNS_CNAME, GOOD, "60 CNAME b.example; 60 CNAME c.example", "OK 60 b.example"},
		{"a.example", DNS_A, GOOD, "60 CNAME a.example", "EBADMSG"},
		{"a.example", DNS_A, GOOD, "60 CNAME b.example; 60 CNAME a.example", "EBADMSG"},
		{"a.example", DNS_A, GOOD, "60 CNAME .", "EBADMSG"},
		/* records of another type are no answer */
		{"a.example", DNS_A, GOOD, "60 AAAA 2001:db8::1", "NODATA 0"},
		/* TTL with the highest bit */
		{"a.example", DNS_A, GOOD, "2147483648 A 192.0.2.1", "OK 0 192.0.2.1"},
		{"a.example", DNS_A, GOOD, "2147483647 A 192.0.2.1", "OK 2147483647 192.0.2.1"},
		/* no answer at all: cannot be kept without SOA */
		{"a.example", DNS_A, GOOD, "", "NODATA 0"},
		{"a.example", DNS_A, GOOD | RCODE_NXDOMAIN, "", "NXDOMAIN 0 (NXDOMAIN)"},
		/* neither recursion nor SOA: a referral */
		{"a.example", DNS_A, PACKET_QR, "", "SERVFAIL 0 (incomplete answer without recursion)"},
		{"a.example", DNS_A, PACKET_QR, "60 CNAME b.test", "SERVFAIL 0 (incomplete answer without recursion)"},
		/* servers that fail */
		{"a.example", DNS_A, GOOD | 1, "", "SERVFAIL 0 (FORMERR)"},
		{"a.example", DNS_A, GOOD | 2, "", "SERVFAIL 0 (SERVFAIL)"},
		{"a.example", DNS_A, GOOD | 4, "", "SERVFAIL 0 (NOTIMP)"},
		{"a.example", DNS_A, GOOD | 5, "60 A 192.0.2.1", "SERVFAIL 0 (REFUSED)"},
		{"a.example", DNS_A, GOOD | 9, "", "SERVFAIL 0 (rcode 9)"},
		/* no answers: a question, cut, another opcode */
		{"a.example", DNS_A, PACKET_RD, "60 A 192.0.2.1", "EBADMSG"},
		{"a.example", DNS_A, GOOD | PACKET_TC, "60 A 192.0.2.1", "EBADMSG"},
		{"a.example", DNS_A, GOOD | 0x0800, "60 A 192.0.2.1", "EBADMSG"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		packet_begin(&p, 1, rows[i].flags, rows[i].name, rows[i].type);
		packet_records(&p, rows[i].name, rows[i].records);
		const char *text = said(rows[i].name, rows[i].type);
		if (strcmp(text, rows[i].expected) != 0)
			fail_msg("row %zu: %s, not %s", i, text, rows[i].expected);
	}
}

static void test_negative_ttl(void **state)
{
	static const struct {
		unsigned rcode;
		uint32_t ttl, minimum;
		const char *cname; /* before it */
		const char *expected;
	} rows[] = {
		{0, 300, 60, "", "NODATA 60"},
		{0, 60, 300, "", "NODATA 60"},
		{RCODE_NXDOMAIN, 3600, 900, "", "NXDOMAIN 900 (NXDOMAIN)"},
		{RCODE_NXDOMAIN, 3600, 900, "20 CNAME b.example", "NXDOMAIN 20 (NXDOMAIN)"},
		{0, 3600, 900, "20 CNAME b.example", "NODATA 20"},
		{0, 3600, 0x80000000, "", "NODATA 0"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		packet_begin(&p, 1, GOOD | rows[i].rcode, "a.example", DNS_A);
		packet_records(&p, "a.example", rows[i].cname);
		packet_soa(&p, rows[i].ttl, rows[i].minimum);
		assert_string_equal(said("a.example", DNS_A), rows[i].expected);
	}
	/* a SOA makes an authoritative server's empty answer good */
	packet_begin(&p, 1, PACKET_QR, "a.example", DNS_A);
	packet_soa(&p, 60, 60);
	assert_string_equal(said("a.example", DNS_A), "NODATA 60");
	/* with rdata one byte short */
	packet_begin(&p, 1, GOOD, "a.example", DNS_A);
	packet_add(&p, PACKET_AUTHORITY, "example", 6, 60,
		"\0\0"
		"1234567890123456789",
		21);
	assert_string_equal(said("a.example", DNS_A), "EBADMSG");
}

static void test_secure(void **state)
{
	struct dns_answer a;
	(void)state;
	for (unsigned ad = 0; ad < 2; ad++) {
		packet_begin(&p, 1, GOOD | (ad ? PACKET_AD : 0), "a.example", DNS_A);
		packet_records(&p, "a.example", "60 A 192.0.2.1");
		assert_int_equal(parse(&a, "a.example", DNS_A, p.len), 0);
		assert_int_equal(a.secure, ad);
		dns_answer_fini(&a);
	}
}

static void test_question_must_be_ours(void **state)
{
	(void)state;
	packet_begin(&p, 1, GOOD, "a.example", DNS_A);
	packet_records(&p, "a.example", "60 A 192.0.2.1");
	assert_string_equal(said("b.example", DNS_A), "EBADMSG");
	assert_string_equal(said("a.example", DNS_AAAA), "EBADMSG");
	assert_string_equal(said("a.example.example", DNS_A), "EBADMSG");
	assert_string_equal(said("a.example", DNS_A), "OK 60 192.0.2.1");
	p.bytes[p.len - 16 - 1 - strlen("a.example") - 1] = 3; /* the question's class: CHAOS */
	assert_string_equal(said("a.example", DNS_A), "EBADMSG");
	p.bytes[5] = 0; /* no question */
	assert_string_equal(said("a.example", DNS_A), "EBADMSG");
}

/* Records of names that were not asked for must not count: they may be anybody's. */
static void test_other_names_are_ignored(void **state)
{
	(void)state;
	packet_begin(&p, 1, GOOD, "a.example", DNS_A);
	packet_add(&p, PACKET_ANSWER, "b.example", DNS_A, 60, "\xc0\0\2\1", 4);
	packet_add(&p, PACKET_ADDITIONAL, "a.example", DNS_A, 60, "\xc0\0\2\2", 4);
	packet_add(&p, PACKET_AUTHORITY, "a.example", DNS_A, 60, "\xc0\0\2\3", 4);
	assert_string_equal(said("a.example", DNS_A), "NODATA 0");
	/* the chain may stand in any order */
	uint8_t target[64];
	packet_add(&p, PACKET_ANSWER, "a.example", DNS_CNAME, 30, target, packet_name(target, "b.example"));
	packet_begin(&p, 1, GOOD, "a.example", DNS_A);
	packet_add(&p, PACKET_ANSWER, "b.example", DNS_A, 60, "\xc0\0\2\1", 4);
	packet_add(&p, PACKET_ANSWER, "a.example", DNS_CNAME, 30, target, packet_name(target, "b.example"));
	assert_string_equal(said("a.example", DNS_A), "OK 30 192.0.2.1");
}

static void test_long_chains_end(void **state)
{
	(void)state;
	for (unsigned links = 15; links <= 18; links++) {
		packet_begin(&p, 1, GOOD, "c0.example", DNS_A);
		for (unsigned i = 0; i < links; i++) {
			char from[32], to[32];
			uint8_t target[64];
			snprintf(from, sizeof from, "c%u.example", i);
			snprintf(to, sizeof to, "c%u.example", i + 1);
			packet_add(&p, PACKET_ANSWER, from, DNS_CNAME, 60, target, packet_name(target, to));
		}
		char last[32];
		snprintf(last, sizeof last, "c%u.example", links);
		packet_add(&p, PACKET_ANSWER, last, DNS_A, 60, "\xc0\0\2\1", 4);
		assert_string_equal(said("c0.example", DNS_A), links <= 16 ? "OK 60 192.0.2.1" : "EBADMSG");
	}
}

static void test_rdata_lengths(void **state)
{
	static const struct {
		enum dns_type type;
		const char *rdata;
		size_t len;
		const char *expected;
	} rows[] = {
		{DNS_A, "\xc0\0\2\1", 4, "OK 60 192.0.2.1"},
		{DNS_A, "\xc0\0\2", 3, "EBADMSG"},
		{DNS_A, "\xc0\0\2\1\1", 5, "EBADMSG"},
		{DNS_A, "", 0, "EBADMSG"},
		{DNS_AAAA, "1234567890123456", 15, "EBADMSG"},
		{DNS_AAAA, "12345678901234567", 17, "EBADMSG"},
		{DNS_AAAA, "\xc0\0\2\1", 4, "EBADMSG"},
		{DNS_MX, "\0\12", 2, "EBADMSG"},
		{DNS_MX, "\0", 1, "EBADMSG"},
		{DNS_MX, "\0\12\0", 3, "OK 60 10:"},
		{DNS_MX, "\0\12\1a\0", 5, "OK 60 10:a"},
		{DNS_MX, "\0\12\1a\0x", 6, "EBADMSG"}, /* more than the name */
		{DNS_MX, "\0\12\2a\0", 5, "EBADMSG"},  /* the name goes on past the rdata */
		{DNS_MX, "\0\12\1a", 4, "EBADMSG"},
		{DNS_MX, "\0\12\300\14", 4, "OK 60 10:a.example"}, /* compressed: the question's name */
		{DNS_MX, "\0\12\300\377", 4, "EBADMSG"},	   /* past the packet */
		{DNS_MX, "\0\12\300\47", 4, "EBADMSG"},		   /* at bytes that are no name */
		{DNS_MX, "\0\12\100a\0", 5, "EBADMSG"},		   /* a kind of label that is none */
		{DNS_MX, "\0\12\3a.b\0", 7, "OK 60 10:a\\.b"}, /* a dot inside a label stays apart from dots between */
		{DNS_MX, "\0\12\3a\\b\0", 7, "OK 60 10:a\\\\b"},
		{DNS_MX, "\0\12\2a\0\0", 6, "OK 60 10:a\\000"},
		{DNS_MX, "\0\12\2\303\274\0", 6, "OK 60 10:\\195\\188"},
		{DNS_CNAME, "\1b\0", 3, "OK 60 b"},
		{DNS_CNAME, "\1b\0\0", 4, "EBADMSG"},
		{DNS_PTR, "\1B\2mx\0", 6, "OK 60 b.mx"},
		{DNS_PTR, "", 0, "EBADMSG"},
		{DNS_TLSA, "\3\1\1hash", 7, "OK 60 [7]"},
		{DNS_TXT, "\3abc", 4, "OK 60 [4]"},
		{DNS_TXT, "", 0, "OK 60 [0]"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		packet_begin(&p, 1, GOOD, "a.example", rows[i].type);
		packet_add(&p, PACKET_ANSWER, "a.example", rows[i].type, 60, rows[i].rdata, rows[i].len);
		const char *text = said("a.example", rows[i].type);
		if (strcmp(text, rows[i].expected) != 0)
			fail_msg("row %zu: %s, not %s", i, text, rows[i].expected);
	}
}

/* A pointer at itself, and two at each other. */
static void test_compression_loops(void **state)
{
	(void)state;
	packet_begin(&p, 1, GOOD, "a.example", DNS_MX);
	size_t at = p.len + strlen("a.example") + 2 + 10 + 2;
	uint8_t rdata[6] = {0, 10, 0xc0, (uint8_t)at, 0, 0};
	packet_add(&p, PACKET_ANSWER, "a.example", DNS_MX, 60, rdata, 4);
	assert_string_equal(said("a.example", DNS_MX), "EBADMSG");

	packet_begin(&p, 1, GOOD, "a.example", DNS_MX);
	uint8_t both[6] = {0, 10, 0xc0, (uint8_t)(at + 2), 0xc0, (uint8_t)at};
	packet_add(&p, PACKET_ANSWER, "a.example", DNS_MX, 60, both, 6);
	assert_string_equal(said("a.example", DNS_MX), "EBADMSG");

	/* the owner's name */
	packet_begin(&p, 1, GOOD, "a.example", DNS_A);
	size_t owner = p.len;
	packet_add(&p, PACKET_ANSWER, "x", DNS_A, 60, "\xc0\0\2\1", 4);
	p.bytes[owner] = 0xc0;
	p.bytes[owner + 1] = (uint8_t)owner;
	memmove(p.bytes + owner + 2, p.bytes + owner + 3, p.len - owner - 3);
	p.len--;
	assert_string_equal(said("a.example", DNS_A), "EBADMSG");
}

/* 63 bytes of 0xff are 252 characters of text: a name of two such labels fits the wire, not the text. */
static void test_name_too_long_as_text(void **state)
{
	uint8_t rdata[2 + 64 + 64 + 1] = {0, 5};
	(void)state;
	memset(rdata + 2, 0xff, 128);
	rdata[2] = rdata[66] = 63;
	packet_begin(&p, 1, GOOD, "a.example", DNS_MX);
	packet_add(&p, PACKET_ANSWER, "a.example", DNS_MX, 60, rdata, sizeof rdata);
	packet_records(&p, "a.example", "60 MX 10 mx.example");
	assert_string_equal(said("a.example", DNS_MX), "OK 60 5:\\ 10:mx.example");
	packet_begin(&p, 1, GOOD, "a.example", DNS_A);
	packet_add(&p, PACKET_ANSWER, "a.example", DNS_CNAME, 60, rdata + 2, sizeof rdata - 2);
	assert_string_equal(said("a.example", DNS_A), "NODATA 0");
}

static void test_most(void **state)
{
	struct dns_answer a;
	(void)state;
	packet_begin(&p, 1, GOOD, "a.example", DNS_MX);
	packet_records(
		&p, "a.example", "60 MX 30 c; 60 MX 10 a; 60 MX 30 d; 60 MX 20 b; 60 MX 10 e; 60 MX 20 f; 60 MX 40 g");
	assert_int_equal(dns_answer_parse(&a, p.bytes, p.len, "a.example", DNS_MX, 4), 0);
	assert_int_equal(a.count, 4);
	assert_string_equal(a.records[0].name, "a");
	assert_string_equal(a.records[1].name, "b");
	assert_string_equal(a.records[2].name, "e");
	assert_string_equal(a.records[3].name, "f");
	dns_answer_fini(&a);

	packet_begin(&p, 1, GOOD, "a.example", DNS_TXT);
	packet_add(&p, PACKET_ANSWER, "a.example", DNS_TXT, 60, "\1a", 2);
	packet_add(&p, PACKET_ANSWER, "a.example", DNS_TXT, 60, "\2bc", 3);
	assert_int_equal(dns_answer_parse(&a, p.bytes, p.len, "a.example", DNS_TXT, 1), 0);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.records[0].len, 2);
	assert_memory_equal(a.records[0].data, "\1a", 2);
	dns_answer_fini(&a);
}

/* BADVERS is an upper bit: read as NOERROR it would be a NODATA, and mail would bounce. */
static void test_extended_rcode(void **state)
{
	(void)state;
	packet_begin(&p, 1, GOOD, "a.example", DNS_A);
	packet_add(&p, PACKET_ADDITIONAL, "", 41, 0x01000000, "", 0);
	assert_string_equal(said("a.example", DNS_A), "SERVFAIL 0 (rcode 16)");
	packet_begin(&p, 1, GOOD, "a.example", DNS_A);
	packet_records(&p, "a.example", "60 A 192.0.2.1");
	packet_add(&p, PACKET_ADDITIONAL, "", 41, 0, "", 0);
	assert_string_equal(said("a.example", DNS_A), "OK 60 192.0.2.1");
}

static void full_packet(void)
{
	packet_begin(&p, 1, GOOD, "a.example", DNS_MX);
	packet_records(&p, "a.example", "60 CNAME b.example; 60 MX 10 mx1.example; 60 MX 20 mx2.example");
	packet_soa(&p, 60, 60);
	packet_add(&p, PACKET_ADDITIONAL, "mx1.example", DNS_A, 60, "\xc0\0\2\1", 4);
	packet_add(&p, PACKET_ADDITIONAL, "", 41, 0, "", 0);
}

static void test_cut_at_every_byte(void **state)
{
	struct dns_answer a;
	(void)state;
	full_packet();
	for (size_t len = 0; len < p.len; len++)
		assert_int_equal(parse(&a, "a.example", DNS_MX, len), -EBADMSG);
	assert_string_equal(said("a.example", DNS_MX), "OK 60 10:mx1.example 20:mx2.example");
	p.bytes[p.len++] = 0; /* and one too many */
	assert_string_equal(said("a.example", DNS_MX), "EBADMSG");
}

/* Whatever byte is whatever: never a read outside, never a leak, never more than there can be. */
static void test_every_byte_changed(void **state)
{
	static const uint8_t values[] = {0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff};
	(void)state;
	full_packet();
	for (size_t at = 0; at < p.len; at++) {
		uint8_t old = p.bytes[at];
		for (size_t v = 0; v < sizeof values; v++) {
			struct dns_answer a;
			p.bytes[at] = values[v];
			if (parse(&a, "a.example", DNS_MX, p.len) != 0)
				continue;
			assert_true(a.count <= 2);
			assert_true(a.status == DNS_OK ? a.count > 0 : a.count == 0);
			for (size_t i = 0; i < a.count; i++)
				assert_non_null(memchr(a.records[i].name, 0, DNS_NAME_MAX));
			dns_answer_fini(&a);
		}
		p.bytes[at] = old;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_negative_ttl),
		cmocka_unit_test(test_secure),
		cmocka_unit_test(test_question_must_be_ours),
		cmocka_unit_test(test_other_names_are_ignored),
		cmocka_unit_test(test_long_chains_end),
		cmocka_unit_test(test_rdata_lengths),
		cmocka_unit_test(test_compression_loops),
		cmocka_unit_test(test_name_too_long_as_text),
		cmocka_unit_test(test_most),
		cmocka_unit_test(test_extended_rcode),
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_every_byte_changed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
