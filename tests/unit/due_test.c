/* tests/unit/due_test.c: the heap of times against a plain list. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "queue/due.h"

enum { N = 400 };

static void test_model(void **state)
{
	static struct due things[N];
	struct due_heap h;
	(void)state;
	srandom(3);
	due_heap_init(&h);
	assert_null(due_first(&h));
	for (unsigned round = 0; round < 20000; round++) {
		struct due *d = &things[random() % N];
		if (random() % 3 != 0)
			assert_int_equal(due_set(&h, d, (uint64_t)random() % 1000), 0);
		else
			due_clear(&h, d);
		uint64_t least = UINT64_MAX;
		unsigned waiting = 0;
		for (unsigned i = 0; i < N; i++) {
			if (things[i].place == 0)
				continue;
			waiting++;
			assert_ptr_equal(h.items[things[i].place - 1], &things[i]);
			least = things[i].at < least ? things[i].at : least;
		}
		assert_int_equal(h.count, waiting);
		assert_int_equal(due_first(&h) ? due_first(&h)->at : UINT64_MAX, least);
	}
	/* all of them in their order */
	uint64_t last = 0;
	for (struct due *d; (d = due_first(&h)) != NULL;) {
		assert_true(d->at >= last);
		last = d->at;
		due_clear(&h, d);
		due_clear(&h, d); /* not waiting is fine */
		assert_int_equal(d->place, 0);
	}
	due_heap_fini(&h);
}

static void test_reserve(void **state)
{
	static struct due things[1000];
	struct due_heap h;
	(void)state;
	due_heap_init(&h);
	assert_int_equal(due_reserve(&h, 1000), 0);
	struct due **items = h.items;
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(due_set(&h, &things[i], 1000 - i), 0);
	assert_ptr_equal(h.items, items); /* no allocation was needed */
	assert_int_equal(due_reserve(&h, UINT32_MAX), -12);
	assert_ptr_equal(due_first(&h), &things[999]);
	due_heap_fini(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_model), cmocka_unit_test(test_reserve)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
