/* tests/unit/attempt_test.c: what an attempt keeps of its paths and answers, and how it stands on disk. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "queue/mail/attempt.h"

static struct reply said(unsigned code, const char *enhanced, const char *text)
{
	struct reply r;
	reply_set(&r, code, enhanced, "%s", text);
	r.own = false;
	return r;
}

static struct path_try path_to(const char *address)
{
	struct path_try p = {.preference = 10};
	assert_int_equal(endpoint_parse(&p.to, address), 0);
	return p;
}

static struct attempt *again(const struct attempt *a)
{
	struct buf out;
	struct attempt *b;
	buf_init(&out, ATTEMPT_ENCODED_MAX);
	assert_int_equal(attempt_encode(a, &out), 0);
	assert_true(out.len <= attempt_encoded_most(a));
	assert_int_equal(attempt_decode(&b, out.data, out.len), 0);
	/* no beginning of it is one */
	struct attempt *none;
	for (size_t n = 0; n < out.len; n++)
		assert_int_equal(attempt_decode(&none, out.data, n), -EBADMSG);
	buf_fini(&out);
	return b;
}

/* Each recipient's row names the path on which it was answered; marks come back. */
static void test_kept_on_disk(void **state)
{
	(void)state;
	struct attempt *a = attempt_new(1000, "mx.example");
	struct path_try v6 = path_to("[64:ff9b::c000:201]:25"), v4 = path_to("192.0.2.1:25");
	struct reply no = said(550, "5.1.1", "no"), ok = said(250, "2.0.0", "ok"), own;
	reply_set(&own, 552, "5.3.4", "too large for the next hop");
	assert_int_equal(ip_parse(&v6.real, "192.0.2.1"), 0);
	assert_int_equal(attempt_set_rcpt(a, 3, RCPT_FAILED, &own), 0);
	attempt_use_path(a, &v6);
	assert_int_equal(attempt_set_rcpt(a, 0, RCPT_FAILED, &no), 0);
	attempt_use_path(a, &v4);
	assert_int_equal(attempt_set_rcpt(a, 1, RCPT_DELIVERED, &ok), 0);
	a->waited = true;
	struct attempt *b = again(a);
	assert_int_equal(b->rcpt_count, 3);
	assert_int_equal(b->rcpts[0].path, 0);
	assert_int_equal(b->rcpts[1].path, 1);
	assert_int_equal(b->rcpts[2].path, -1);
	assert_true(ip_equal(&b->paths[0].real, &v6.real)); /* read out of the address: RFC 6052 */
	assert_int_equal(b->paths[1].real.family, FAMILY_NONE);
	assert_false(b->replies[b->rcpts[0].reply].own);
	assert_true(b->replies[b->rcpts[2].reply].own);
	assert_true(b->waited);
	assert_ptr_equal(attempt_path(b, &b->rcpts[1]), &b->paths[1]);
	assert_null(attempt_path(b, &b->rcpts[2]));
	attempt_free(a);
	attempt_free(b);
}

/* As it was written before the marks were there: version, when, took, next, site, used, paths, replies, rows. */
static void test_version_1(void **state)
{
	(void)state;
	struct buf out;
	struct attempt *a;
	uint8_t address[16] = {192, 0, 2, 1};
	buf_init(&out, 4096);
	buf_append_u8(&out, 1);
	buf_append_u64(&out, 7);
	buf_append_u32(&out, 8);
	buf_append_u64(&out, 9);
	buf_append_u16(&out, 2);
	buf_append_str(&out, "mx");
	buf_append_u16(&out, 0); /* used */
	buf_append_u16(&out, 1);
	buf_append_u8(&out, FAMILY_IPV4);
	buf_append(&out, address, sizeof address);
	buf_append_u16(&out, 25);
	buf_append_u16(&out, 1);
	buf_append_str(&out, "h");
	buf_append_u16(&out, 10);
	buf_append_u8(&out, FAULT_NONE);
	for (int i = 0; i < 4; i++)
		buf_append_u32(&out, 5);
	for (int reply = 0; reply < 2; reply++) {
		if (reply == 1)
			buf_append_u16(&out, 1);
		buf_append_u16(&out, 250);
		buf_append_u16(&out, 5);
		buf_append_str(&out, "2.0.0");
		buf_append_u16(&out, 2);
		buf_append_str(&out, "ok");
	}
	buf_append_u16(&out, 1);
	buf_append_u16(&out, 4);
	buf_append_u8(&out, RCPT_DELIVERED | 4 << 4);
	buf_append_u16(&out, 0);
	assert_int_equal(attempt_decode(&a, out.data, out.len), 0);
	assert_int_equal(a->rcpts[0].index, 4);
	assert_int_equal(a->rcpts[0].told, 4);
	assert_int_equal(a->rcpts[0].path, 0);
	assert_string_equal(a->replies[0].text, "ok");
	assert_string_equal(a->paths[0].host, "h");
	assert_false(a->waited);
	attempt_free(a);
	out.data[0] = 3;
	assert_int_equal(attempt_decode(&a, out.data, out.len), -EBADMSG);
	buf_fini(&out);
}

/* A thousand recipients, each with words of its own, of each class: what came first stays, and who is among the rest
 * has at least the class of its answer. */
static void test_many_replies(void **state)
{
	(void)state;
	struct attempt *a = attempt_new(1000, "mx.example");
	assert_int_equal(attempt_reserve(a, 1000, 1000), 0);
	const struct attempt_rcpt *rows = a->rcpts;
	const struct reply *replies = a->replies;
	for (unsigned i = 0; i < 1000; i++) {
		char text[40], enhanced[REPLY_ENHANCED];
		snprintf(text, sizeof text, "u%03u: unknown", i);
		unsigned class = i % 3 == 0 ? 5 : i % 3 == 1 ? 4 : 2;
		snprintf(enhanced, sizeof enhanced, "%u.1.%u", class, i < 500 ? 1 : i);
		struct reply r = said(class * 100 + 50 + i % 4, enhanced, text);
		assert_int_equal(attempt_set_rcpt(a, (uint16_t)i, RCPT_QUEUED, &r), 0);
	}
	assert_ptr_equal(a->rcpts, rows); /* as reserved */
	assert_ptr_equal(a->replies, replies);
	assert_true(a->reply_count <= ATTEMPT_REPLIES_MAX);
	for (unsigned i = 0; i < 1000; i++) {
		char text[40];
		const struct reply *r = &a->replies[a->rcpts[i].reply];
		snprintf(text, sizeof text, "u%03u: unknown", i);
		assert_int_equal(reply_class(r), i % 3 == 0 ? 5 : i % 3 == 1 ? 4 : 2);
		assert_true(strcmp(r->text, text) == 0 || strncmp(r->text, "(one of many", 12) == 0);
		if (i < ATTEMPT_REPLIES_WHOLE)
			assert_string_equal(r->text, text);
		else if (i < ATTEMPT_REPLIES_CODES)
			assert_int_equal(r->code % 100, 50 + i % 4);
	}
	struct attempt *b = again(a);
	assert_int_equal(b->rcpt_count, 1000);
	attempt_free(a);
	attempt_free(b);
}

/* A race of many addresses leaves room for the paths that have the mail. */
static void test_many_paths(void **state)
{
	(void)state;
	struct attempt *a = attempt_new(1000, "mx.example");
	struct path_try p = path_to("192.0.2.1:25");
	struct reply ok = said(250, "", "ok");
	while (a->path_count < ATTEMPT_PATHS_MAX)
		assert_int_equal(attempt_add_path(a, &p), 0);
	assert_int_equal(attempt_add_path(a, &p), -E2BIG);
	a->used = 5;
	attempt_use_path(a, &p);
	assert_int_equal(a->used, -1); /* no other path is blamed */
	assert_int_equal(attempt_set_rcpt(a, 0, RCPT_DELIVERED, &ok), 0);
	assert_null(attempt_path(a, &a->rcpts[0]));
	attempt_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept_on_disk),
		cmocka_unit_test(test_version_1),
		cmocka_unit_test(test_many_replies),
		cmocka_unit_test(test_many_paths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
