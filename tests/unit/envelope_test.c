/* Envelope and attempt: what is written is read again; what is damaged is refused and never read past its end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/mail/envelope.h"

static const struct envelope_rcpt rcpts[] = {
	{.address = "a@one.example",
		.index = 0,
		.status = RCPT_QUEUED,
		.attempts = 3,
		.next_ms = 1700000000123,
		.notify = NOTIFY_SUCCESS | NOTIFY_DELAY,
		.told = TOLD_DELAY,
		.orcpt = "rfc822;a+2Bx@old.example"},
	{.address = "\"b c\"@[IPv6:2001:db8::1]", .index = 7, .status = RCPT_DELIVERED},
};
static const struct envelope sample = {
	.id = 0x123456789abcdef0,
	.arrival_ms = 1700000000000,
	.size = UINT64_C(5) << 32,
	.flags = ENVELOPE_8BIT | ENVELOPE_HELD,
	.sender = "",
	.client = "2001:db8::25",
	.helo = "mx.example",
	.reason = "held by hand",
	.envid = "QQ314159",
	.redirect = "[192.0.2.7]:26",
	.by_ms = 1700000900000,
	.release_ms = 1700000800000,
	.priority = -4,
	.rcpts = rcpts,
	.rcpt_count = 2,
};

static void encode_sample(struct buf *b)
{
	buf_init(b, ENVELOPE_ENCODED_MAX);
	assert_int_equal(envelope_encode(&sample, b), 0);
}

static void envelope_comes_back(void **state)
{
	(void)state;
	struct buf b;
	encode_sample(&b);
	struct envelope *e;
	assert_int_equal(envelope_decode(&e, b.data, b.len), 0);
	assert_true(e->id == sample.id && e->arrival_ms == sample.arrival_ms && e->size == sample.size);
	assert_int_equal(e->flags, sample.flags);
	assert_string_equal(e->sender, "");
	assert_string_equal(e->client, sample.client);
	assert_string_equal(e->helo, sample.helo);
	assert_string_equal(e->reason, sample.reason);
	assert_string_equal(e->envid, sample.envid);
	assert_string_equal(e->redirect, sample.redirect);
	assert_true(e->by_ms == sample.by_ms && e->release_ms == sample.release_ms);
	assert_int_equal(e->priority, -4);
	assert_int_equal(e->rcpt_count, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_string_equal(e->rcpts[i].address, rcpts[i].address);
		assert_int_equal(e->rcpts[i].index, rcpts[i].index);
		assert_int_equal(e->rcpts[i].status, rcpts[i].status);
		assert_int_equal(e->rcpts[i].attempts, rcpts[i].attempts);
		assert_true(e->rcpts[i].next_ms == rcpts[i].next_ms);
		assert_int_equal(e->rcpts[i].notify, rcpts[i].notify);
		assert_int_equal(e->rcpts[i].told, rcpts[i].told);
		assert_string_equal(e->rcpts[i].orcpt, rcpts[i].orcpt ? rcpts[i].orcpt : "");
	}
	envelope_free(e);
	buf_fini(&b);
}

/* What relay64 0.1.0 wrote: it must be readable for as long as spools of that time may be there. */
static void first_version_is_read(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, 4096);
	buf_append_u8(&b, 1);
	buf_append_u64(&b, 77);
	buf_append_u64(&b, 1700000000000);
	buf_append_u64(&b, 445);
	buf_append_u32(&b, ENVELOPE_8BIT);
	buf_append_block(&b, "ann@old.example", 15);
	buf_append_block(&b, "192.0.2.1", 9);
	buf_append_block(&b, "mx", 2);
	buf_append_block(&b, "", 0);
	buf_append_u32(&b, 1);
	buf_append_block(&b, "bob@new.example", 15);
	buf_append_u16(&b, 3);
	buf_append_u8(&b, RCPT_QUEUED);
	buf_append_u16(&b, 9);
	assert_int_equal(buf_append_u64(&b, 1700000300000), 0);
	struct envelope *e;
	assert_int_equal(envelope_decode(&e, b.data, b.len), 0);
	assert_string_equal(e->sender, "ann@old.example");
	assert_string_equal(e->envid, "");
	assert_string_equal(e->redirect, "");
	assert_true(e->by_ms == 0 && e->release_ms == 0 && e->priority == 0);
	assert_int_equal(e->rcpt_count, 1);
	assert_string_equal(e->rcpts[0].address, "bob@new.example");
	assert_int_equal(e->rcpts[0].attempts, 9);
	assert_true(e->rcpts[0].next_ms == 1700000300000);
	assert_int_equal(e->rcpts[0].notify, 0);
	assert_string_equal(e->rcpts[0].orcpt, "");
	envelope_free(e);
	b.data[0] = 3;
	assert_int_equal(envelope_decode(&e, b.data, b.len), -EBADMSG);
	buf_fini(&b);
}

/* Every cut is refused; every flipped byte is refused or read within bounds (ASan watches: the copy is exactly as
 * long). */
static void envelope_survives_damage(void **state)
{
	(void)state;
	struct buf b;
	encode_sample(&b);
	for (size_t cut = 0; cut < b.len; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1);
		memcpy(copy, b.data, cut);
		struct envelope *e;
		assert_int_equal(envelope_decode(&e, copy, cut), -EBADMSG);
		free(copy);
	}
	for (size_t at = 0; at < b.len; at++)
		for (int value = 0; value < 256; value += 51) {
			uint8_t *copy = malloc(b.len);
			memcpy(copy, b.data, b.len);
			copy[at] = (uint8_t)value;
			struct envelope *e;
			int err = envelope_decode(&e, copy, b.len);
			if (err == 0)
				envelope_free(e);
			else
				assert_int_equal(err, -EBADMSG);
			free(copy);
		}
	buf_fini(&b);
}

static struct attempt *sample_attempt(void)
{
	struct attempt *a = attempt_new(1700000000000, "mx.example");
	struct path_try p = {.to = {.port = 25}, .preference = 10, .fault = FAULT_RESET, .connect_ms = UINT32_MAX};
	assert_int_equal(ip_parse(&p.to.ip, "2001:db8::1"), 0);
	snprintf(p.host, sizeof p.host, "mx1.example");
	reply_set(&p.reply, 0, "", "Connection reset by peer");
	assert_int_equal(attempt_add_path(a, &p), 0);
	p.fault = FAULT_NONE;
	assert_int_equal(attempt_add_path(a, &p), 0);
	a->used = 1;
	a->next_ms = 1700000300000;
	struct reply ok, no;
	reply_set(&ok, 250, "2.0.0", "Ok");
	reply_set(&no, 450, "4.7.1", "later");
	assert_int_equal(attempt_set_rcpt(a, 2, RCPT_DELIVERED, &ok), 0);
	assert_int_equal(attempt_set_rcpt(a, 0, RCPT_QUEUED, &no), 0);
	assert_int_equal(attempt_set_rcpt(a, 1, RCPT_DELIVERED, &ok), 0);
	assert_int_equal(attempt_set_rcpt(a, 1, RCPT_FAILED, &no), 0);
	a->rcpts[0].told = TOLD_DELAY;
	return a;
}

static void attempt_comes_back(void **state)
{
	(void)state;
	struct attempt *a = sample_attempt(), *b;
	struct buf out;
	buf_init(&out, ATTEMPT_ENCODED_MAX);
	assert_int_equal(attempt_encode(a, &out), 0);
	assert_int_equal(attempt_decode(&b, out.data, out.len), 0);
	assert_string_equal(b->site, "mx.example");
	assert_int_equal(b->path_count, 2);
	assert_int_equal(b->used, 1);
	assert_int_equal(b->paths[0].fault, FAULT_RESET);
	assert_true(endpoint_equal(&a->paths[0].to, &b->paths[0].to));
	assert_string_equal(b->paths[0].reply.text, "Connection reset by peer");
	assert_int_equal(b->reply_count, 2);
	assert_int_equal(b->rcpt_count, 3);
	static const struct attempt_rcpt expected[] = {
		{.index = 0, .status = RCPT_QUEUED, .told = TOLD_DELAY, .reply = 1},
		{.index = 1, .status = RCPT_FAILED, .reply = 1},
		{.index = 2, .status = RCPT_DELIVERED, .reply = 0},
	};
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(b->rcpts[i].index, expected[i].index);
		assert_int_equal(b->rcpts[i].status, expected[i].status);
		assert_int_equal(b->rcpts[i].reply, expected[i].reply);
		assert_int_equal(b->rcpts[i].told, expected[i].told);
	}
	attempt_free(b);
	for (size_t cut = 0; cut < out.len; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1);
		memcpy(copy, out.data, cut);
		assert_int_equal(attempt_decode(&b, copy, cut), -EBADMSG);
		free(copy);
	}
	attempt_free(a);
	buf_fini(&out);
}

static void attempt_is_bounded(void **state)
{
	(void)state;
	struct attempt *a = attempt_new(1, "x");
	struct path_try p = {.fault = FAULT_REFUSED};
	for (int i = 0; i < ATTEMPT_PATHS_MAX; i++)
		assert_int_equal(attempt_add_path(a, &p), 0);
	assert_int_equal(attempt_add_path(a, &p), -E2BIG);
	for (uint16_t i = 0; i < 1000; i++) {
		struct reply r;
		reply_set(&r, 450, "", "reason %u", (unsigned)i);
		assert_int_equal(attempt_set_rcpt(a, i, RCPT_QUEUED, &r), 0);
	}
	assert_int_equal(a->reply_count, ATTEMPT_REPLIES_WHOLE + 1); /* the others have one code */
	assert_int_equal(a->rcpt_count, 1000);
	for (unsigned i = 0; i < ATTEMPT_REPLIES_WHOLE; i++)
		assert_int_equal(a->rcpts[i].reply, i); /* what came first stays */
	assert_string_equal(a->replies[0].text, "reason 0");
	struct buf out;
	buf_init(&out, ATTEMPT_ENCODED_MAX);
	assert_int_equal(attempt_encode(a, &out), 0);
	buf_fini(&out);
	attempt_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(envelope_comes_back),
		cmocka_unit_test(first_version_is_read),
		cmocka_unit_test(envelope_survives_damage),
		cmocka_unit_test(attempt_comes_back),
		cmocka_unit_test(attempt_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
