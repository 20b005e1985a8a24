/* tests/unit/message_test.c: from an envelope to deliveries by domain, and back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/mail/message.h"

enum { MOST = 1000 };

static struct envelope_rcpt rcpts[MOST];
static char texts[MOST][48];

static struct envelope envelope(unsigned count)
{
	return (struct envelope){.id = 9,
		.arrival_ms = 77,
		.size = 1234,
		.flags = ENVELOPE_8BIT | ENVELOPE_HELD,
		.sender = "s@s.example",
		.client = "192.0.2.9",
		.helo = "client",
		.reason = "",
		.rcpts = rcpts,
		.rcpt_count = count};
}

static struct message *build(unsigned count)
{
	struct envelope e = envelope(count);
	bool empty = true;
	struct message *m = message_new(&e, &empty);
	assert_non_null(m);
	assert_false(empty);
	return m;
}

/* Every recipient once, in a delivery of its domain, and no domain twice. */
static void check(struct message *m)
{
	unsigned seen = 0;
	for (unsigned i = 0; i < m->delivery_count; i++) {
		const struct delivery *d = &m->deliveries[i];
		assert_ptr_equal(d->message, m);
		assert_int_equal(d->first, seen);
		assert_true(d->count > 0);
		seen += d->count;
		const char *domain = address_domain_of(m->rcpts[d->first].address);
		for (unsigned j = d->first; j < d->first + d->count; j++) {
			struct delivery *owner;
			assert_string_equal(address_domain_of(m->rcpts[j].address), domain);
			assert_string_equal(m->rcpts[j].address, texts[m->rcpts[j].index]);
			assert_ptr_equal(message_rcpt(m, m->rcpts[j].index, &owner), &m->rcpts[j]);
			assert_ptr_equal(owner, d);
		}
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(address_domain_of(m->rcpts[m->deliveries[k].first].address), domain);
	}
	assert_int_equal(seen, m->rcpt_count);
	assert_int_equal(m->open, m->rcpt_count);
}

static void test_thousand_recipients(void **state)
{
	struct delivery *owner;
	(void)state;
	for (unsigned i = 0; i < MOST; i++) {
		snprintf(texts[i], sizeof texts[i], "u%u@d%u.example", i, i * 7 % 100);
		rcpts[i] = (struct envelope_rcpt){.address = texts[i], .index = (uint16_t)i};
	}
	for (unsigned count = 1; count <= MOST; count = count < 20 ? count + 1 : count * 7) {
		struct message *m = build(count);
		assert_int_equal(m->rcpt_count, count);
		assert_int_equal(m->delivery_count, count < 100 ? count : 100);
		check(m);
		assert_null(message_rcpt(m, (uint16_t)count, &owner));
		message_free(m);
	}
}

static void test_domains(void **state)
{
	static const char *const addresses[] = {"a@x.example", "b@y.example", "\"c@z.example\"@x.example",
		"d@[192.0.2.1]", "postmaster", "e@x.example", "f@xx.example"};
	(void)state;
	for (unsigned i = 0; i < 7; i++) {
		snprintf(texts[i], sizeof texts[i], "%s", addresses[i]);
		rcpts[i] = (struct envelope_rcpt){.address = texts[i], .index = (uint16_t)i};
	}
	struct message *m = build(7);
	assert_int_equal(m->delivery_count, 5);
	check(m);
	assert_string_equal(m->sender, "s@s.example");
	assert_string_equal(m->client, "192.0.2.9");
	assert_string_equal(m->helo, "client");
	message_free(m);
}

static uint64_t next(void *arg, const struct delivery *d)
{
	return *(uint64_t *)arg + d->first;
}

static void test_finished_ones_are_left_out(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		snprintf(texts[i], sizeof texts[i], "u%u@d%u.example", i, i % 2);
		rcpts[i] = (struct envelope_rcpt){.address = texts[i],
			.index = (uint16_t)i,
			.status = (uint8_t)(i % 3),
			.attempts = (uint16_t)(i % 5),
			.next_ms = i * 10};
	}
	struct message *m = build(40);
	assert_int_equal(m->rcpt_count, 14);
	assert_int_equal(m->delivery_count, 2);
	check(m);
	for (unsigned i = 0; i < 2; i++) {
		const struct delivery *d = &m->deliveries[i];
		unsigned attempts = 0, latest = 0;
		for (unsigned j = d->first; j < d->first + d->count; j++) {
			unsigned index = m->rcpts[j].index;
			attempts = index % 5 > attempts ? index % 5 : attempts;
			latest = index * 10 > latest ? index * 10 : latest;
		}
		assert_int_equal(d->attempts, attempts);
		assert_int_equal(d->since, latest);
	}
	/* back to an envelope, without those that are finished meanwhile, and through its bytes */
	m->rcpts[0].status = RCPT_DELIVERED;
	struct envelope out, *read;
	struct envelope_rcpt room[40];
	uint64_t base = 5000;
	message_envelope(m, &out, room, next, &base);
	assert_int_equal(out.rcpt_count, 13);
	struct buf bytes;
	buf_init(&bytes, 65536);
	assert_int_equal(envelope_encode(&out, &bytes), 0);
	assert_int_equal(envelope_decode(&read, bytes.data, bytes.len), 0);
	bool empty;
	struct message *again = message_new(read, &empty);
	assert_non_null(again);
	assert_int_equal(again->id, 9);
	assert_int_equal(again->arrival_ms, 77);
	assert_int_equal(again->size, 1234);
	assert_int_equal(again->flags, ENVELOPE_8BIT | ENVELOPE_HELD);
	assert_int_equal(again->rcpt_count, 13);
	check(again);
	assert_int_equal(again->deliveries[1].since, 5000 + m->deliveries[1].first);
	assert_int_equal(again->deliveries[1].attempts, m->deliveries[1].attempts);
	message_free(again);
	envelope_free(read);
	buf_fini(&bytes);

	assert_true(delivery_open(&m->deliveries[0]));
	for (unsigned j = 0; j < m->deliveries[0].count; j++)
		m->rcpts[j].status = RCPT_FAILED;
	assert_false(delivery_open(&m->deliveries[0]));
	assert_true(delivery_open(&m->deliveries[1]));
	message_free(m);
}

/* What few messages have goes through the index and back; plain ones carry nothing for it. */
static void test_extensions(void **state)
{
	(void)state;
	rcpts[0] = (struct envelope_rcpt){
		.address = "b@x.example", .orcpt = "rfc822;b@old.example", .notify = NOTIFY_NEVER, .told = TOLD_BY};
	rcpts[1] = (struct envelope_rcpt){.address = "a@x.example", .index = 1};
	struct message *m = build(2);
	assert_null(m->extra);
	assert_string_equal(message_envid(m), "");
	assert_int_equal(message_priority(m), 0);
	assert_string_equal(rcpt_orcpt(&m->rcpts[0]), "rfc822;b@old.example");
	assert_string_equal(rcpt_orcpt(&m->rcpts[1]), "");
	assert_int_equal(message_set_redirect(m, "[192.0.2.1]:26"), 0);
	assert_string_equal(message_redirect(m), "[192.0.2.1]:26");
	m->extra->by_ms = 5;
	m->extra->release_ms = 6;
	m->extra->priority = -9;

	struct envelope out;
	struct envelope_rcpt room[2];
	uint64_t base = 0;
	bool empty;
	message_envelope(m, &out, room, next, &base);
	out.envid = "e1";
	struct message *again = message_new(&out, &empty);
	assert_non_null(again);
	assert_string_equal(message_envid(again), "e1");
	assert_string_equal(message_redirect(again), "[192.0.2.1]:26");
	assert_true(message_by_ms(again) == 5 && message_release_ms(again) == 6);
	assert_int_equal(message_priority(again), -9);
	assert_int_equal(again->rcpts[0].notify, NOTIFY_NEVER);
	assert_int_equal(again->rcpts[0].told, TOLD_BY);
	assert_string_equal(rcpt_orcpt(&again->rcpts[0]), "rfc822;b@old.example");
	assert_int_equal(message_set_redirect(again, ""), 0);
	assert_string_equal(message_redirect(again), "");
	message_free(again);
	message_free(m);
}

static void test_nobody_left(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++)
		rcpts[i] = (struct envelope_rcpt){
			.address = "a@x.example", .index = (uint16_t)i, .status = RCPT_DELIVERED};
	for (unsigned count = 0; count <= 20; count += 20) {
		struct envelope e = envelope(count);
		bool empty = false;
		assert_null(message_new(&e, &empty));
		assert_true(empty);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_thousand_recipients),
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_finished_ones_are_left_out),
		cmocka_unit_test(test_extensions),
		cmocka_unit_test(test_nobody_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
