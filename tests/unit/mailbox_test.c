/* tests/unit/mailbox_test.c: nothing is lost, each sender's order is kept, the receiver is woken once a batch. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "conf/mailbox.h"

struct unit {
	struct letter letter;
	unsigned sender, number, opened;
	struct unit *again; /* posted when this one is opened */
};

static struct mailbox box;
static unsigned wakes, order[64], order_count;

static void count_wake(void *arg)
{
	(*(unsigned *)arg)++;
}

static void note(struct letter *letter)
{
	struct unit *u = LETTER_OF(letter, struct unit, letter);
	u->opened++;
	order[order_count++ % 64] = u->number;
	if (u->again != NULL) {
		struct unit *next = u->again;
		u->again = NULL;
		mailbox_post(&box, &next->letter, note);
	}
}

static int fresh(void **state)
{
	(void)state;
	wakes = order_count = 0;
	mailbox_init(&box, count_wake, &wakes);
	return 0;
}

static void one_wake_a_batch(void **state)
{
	struct unit units[10];
	(void)state;
	for (unsigned i = 0; i < 10; i++)
		units[i] = (struct unit){.number = i};
	/* asleep until the first drain: the first letter wakes, the others do not */
	for (unsigned i = 0; i < 5; i++)
		mailbox_post(&box, &units[i].letter, note);
	assert_int_equal(wakes, 1);
	/* the limit was reached: the receiver comes again by itself, so nothing wakes it */
	assert_true(mailbox_drain(&box, 3));
	mailbox_post(&box, &units[5].letter, note);
	assert_int_equal(wakes, 1);
	assert_true(mailbox_drain(&box, 3));
	assert_int_equal(order_count, 6);
	mailbox_post(&box, &units[6].letter, note);
	assert_int_equal(wakes, 1);
	assert_false(mailbox_drain(&box, 3));
	/* it said that it may sleep: the next letter wakes, once */
	mailbox_post(&box, &units[7].letter, note);
	mailbox_post(&box, &units[8].letter, note);
	assert_int_equal(wakes, 2);
	assert_false(mailbox_drain(&box, 100));
	assert_false(mailbox_drain(&box, 100));
	mailbox_post(&box, &units[9].letter, note);
	assert_int_equal(wakes, 3);
	assert_false(mailbox_drain(&box, 100));
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(units[i].opened, 1);
		assert_int_equal(order[i], i);
	}
}

static void nothing_is_opened_by_a_drain_of_none(void **state)
{
	struct unit u = {.number = 1};
	(void)state;
	mailbox_post(&box, &u.letter, note);
	assert_true(mailbox_drain(&box, 0));
	assert_int_equal(u.opened, 0);
	assert_false(mailbox_drain(&box, 2));
	assert_int_equal(u.opened, 1);
}

/* A letter may be posted on from its own opening, and another one too; that needs no wake-up. */
static void posting_while_opening(void **state)
{
	struct unit a = {.number = 1}, b = {.number = 2};
	(void)state;
	a.again = &b;
	b.again = &a;
	mailbox_post(&box, &a.letter, note);
	assert_false(mailbox_drain(&box, 100));
	assert_int_equal(wakes, 1);
	assert_int_equal(a.opened, 2);
	assert_int_equal(b.opened, 1);
	assert_int_equal(order[0], 1);
	assert_int_equal(order[1], 2);
	assert_int_equal(order[2], 1);
}

static void free_unit(struct letter *letter)
{
	free(LETTER_OF(letter, struct unit, letter));
	order_count++;
}

static void opening_may_free(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		struct unit *u = calloc(1, sizeof *u);
		assert_non_null(u);
		mailbox_post(&box, &u->letter, free_unit);
	}
	assert_false(mailbox_drain(&box, 100));
	assert_int_equal(order_count, 10);
}

static void taking(void **state)
{
	struct unit units[3];
	(void)state;
	assert_null(mailbox_take(&box));
	for (unsigned i = 0; i < 3; i++) {
		units[i] = (struct unit){.number = i};
		mailbox_post(&box, &units[i].letter, note);
	}
	for (unsigned i = 0; i < 3; i++)
		assert_ptr_equal(mailbox_take(&box), &units[i].letter);
	/* not yet asleep */
	mailbox_post(&box, &units[0].letter, note);
	assert_int_equal(wakes, 1);
	assert_ptr_equal(mailbox_take(&box), &units[0].letter);
	assert_null(mailbox_take(&box));
	mailbox_post(&box, &units[0].letter, note);
	assert_int_equal(wakes, 2);
	assert_int_equal(units[0].opened, 0);
}

/* Threads. The receiver sleeps on a semaphore, so a wake-up that is lost hangs the test, and one too many is
 * counted. */
enum { SENDERS = 4, LETTERS = 20000 };

static sem_t awake;
static atomic_uint posted_wakes;
static unsigned sleeps, last[SENDERS], received;

static void wake_receiver(void *arg)
{
	(void)arg;
	atomic_fetch_add(&posted_wakes, 1);
	sem_post(&awake);
}

static void receive(struct letter *letter)
{
	struct unit *u = LETTER_OF(letter, struct unit, letter);
	assert_int_equal(u->number, last[u->sender] + 1);
	last[u->sender] = u->number;
	received++;
}

static void *send_all(void *arg)
{
	struct unit *units = arg;
	for (unsigned i = 0; i < LETTERS; i++)
		mailbox_post(&box, &units[i].letter, receive);
	return NULL;
}

static void many_senders(void **state)
{
	struct unit *units[SENDERS];
	pthread_t threads[SENDERS];
	(void)state;
	assert_int_equal(sem_init(&awake, 0, 0), 0);
	mailbox_init(&box, wake_receiver, NULL);
	for (unsigned s = 0; s < SENDERS; s++) {
		units[s] = calloc(LETTERS, sizeof **units);
		assert_non_null(units[s]);
		for (unsigned i = 0; i < LETTERS; i++)
			units[s][i] = (struct unit){.sender = s, .number = i + 1};
		assert_int_equal(pthread_create(&threads[s], NULL, send_all, units[s]), 0);
	}
	while (received < SENDERS * LETTERS) {
		while (sem_wait(&awake) != 0)
			;
		sleeps++;
		while (mailbox_drain(&box, 7))
			;
	}
	for (unsigned s = 0; s < SENDERS; s++) {
		pthread_join(threads[s], NULL);
		assert_int_equal(last[s], LETTERS);
		free(units[s]);
	}
	/* each sleep was ended by exactly one wake-up */
	assert_int_equal(atomic_load(&posted_wakes), sleeps);
	assert_int_not_equal(sem_trywait(&awake), 0);
	sem_destroy(&awake);
}

/* A receiver that is gone is not woken. */
static void test_closed(void **state)
{
	(void)state;
	struct letter letters[3];
	for (unsigned before = 0; before < 2; before++) {
		wakes = 0;
		mailbox_init(&box, count_wake, &wakes);
		if (before)
			mailbox_post(&box, &letters[0], NULL);
		mailbox_close(&box);
		mailbox_post(&box, &letters[1], NULL);
		mailbox_post(&box, &letters[2], NULL);
		assert_int_equal(wakes, before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(one_wake_a_batch, fresh),
		cmocka_unit_test_setup(nothing_is_opened_by_a_drain_of_none, fresh),
		cmocka_unit_test_setup(posting_while_opening, fresh),
		cmocka_unit_test_setup(opening_may_free, fresh),
		cmocka_unit_test_setup(taking, fresh),
		cmocka_unit_test(many_senders),
		cmocka_unit_test(test_closed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
