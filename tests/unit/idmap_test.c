/* tests/unit/idmap_test.c: the map of IDs against a plain array of all that may be in it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "queue/idmap.h"

enum { IDS = 6000 };

static unsigned char things[IDS];
static unsigned char there[IDS];

static uint64_t id_of(unsigned i)
{
	return (uint64_t)i << 22 | 1;
}

/* The whole map by cursor. */
static void check(const struct idmap *m, size_t count)
{
	uint64_t id = 0;
	void *thing;
	size_t seen = 0;
	unsigned i = 0;
	assert_int_equal(m->count, count);
	while ((thing = idmap_next(m, id, &id)) != NULL) {
		while (i < IDS && !there[i])
			i++;
		assert_true(i < IDS);
		assert_int_equal(id, id_of(i));
		assert_ptr_equal(thing, &things[i]);
		i++;
		seen++;
	}
	assert_int_equal(seen, count);
}

static void test_random(void **state)
{
	struct idmap m;
	size_t count = 0;
	(void)state;
	srandom(5);
	idmap_init(&m);
	assert_null(idmap_get(&m, 1));
	assert_null(idmap_remove(&m, 1));
	check(&m, 0);
	for (unsigned round = 0; round < 60000; round++) {
		unsigned i = (unsigned)random() % IDS;
		/* it fills, then it empties, and again */
		if ((unsigned)random() % 100 < (round / 15000 % 2 ? 25u : 75u)) {
			assert_int_equal(idmap_add(&m, id_of(i), &things[i]), there[i] ? -EEXIST : 0);
			count += !there[i];
			there[i] = 1;
		} else {
			assert_ptr_equal(idmap_remove(&m, id_of(i)), there[i] ? (void *)&things[i] : NULL);
			count -= there[i];
			there[i] = 0;
		}
		i = (unsigned)random() % IDS;
		assert_ptr_equal(idmap_get(&m, id_of(i)), there[i] ? (void *)&things[i] : NULL);
		assert_null(idmap_get(&m, id_of(i) + 1));
		if (round % 2000 == 0)
			check(&m, count);
	}
	for (unsigned i = 0; i < IDS; i++) {
		idmap_remove(&m, id_of(i));
		there[i] = 0;
	}
	check(&m, 0);
	assert_int_equal(m.leaf_count, 0);
	idmap_fini(&m);
}

/* At the end, at the beginning, and into full leaves in the middle. */
static void test_splits(void **state)
{
	(void)state;
	for (unsigned order = 0; order < 3; order++) {
		struct idmap m;
		size_t count = 0;
		idmap_init(&m);
		for (unsigned k = 0; k < IDS; k++) {
			unsigned i = order == 0 ? k : order == 1 ? IDS - 1 - k : k % 2 ? IDS - 1 - k / 2 : k / 2;
			assert_int_equal(idmap_add(&m, id_of(i), &things[i]), 0);
			assert_int_equal(idmap_add(&m, id_of(i), &things[i]), -EEXIST);
			there[i] = 1;
			if (++count % 511 == 0)
				check(&m, count);
		}
		check(&m, IDS);
		if (order == 0)
			assert_int_equal(m.leaf_count, (IDS + 511) / 512); /* full ones */
		for (unsigned i = 0; i < IDS; i++)
			there[i] = 0;
		idmap_fini(&m);
	}
}

/* What a cursor stands on may go, and what is near it; it goes on at the next that is there. */
static void test_cursor_while_removing(void **state)
{
	struct idmap m;
	uint64_t id = 0;
	unsigned seen = 0;
	(void)state;
	srandom(6);
	idmap_init(&m);
	for (unsigned i = 0; i < IDS; i++) {
		assert_int_equal(idmap_add(&m, id_of(i), &things[i]), 0);
		there[i] = 1;
	}
	unsigned char *thing;
	uint64_t before = 0;
	while ((thing = idmap_next(&m, id, &id)) != NULL) {
		unsigned i = (unsigned)(thing - things);
		assert_true(id > before);
		assert_true(there[i]);
		for (uint64_t k = before ? (before >> 22) + 1 : 0; k < i; k++)
			assert_false(there[k]); /* nothing was left out */
		before = id;
		seen++;
		for (unsigned n = 0; n < 3; n++) {
			unsigned gone = n == 0 ? i : (i + (unsigned)random() % 700) % IDS;
			idmap_remove(&m, id_of(gone));
			there[gone] = 0;
		}
	}
	assert_true(seen > 500);
	assert_null(idmap_next(&m, UINT64_MAX, &id));
	idmap_fini(&m);
}

static void test_ends_of_the_range(void **state)
{
	struct idmap m;
	uint64_t id = 7;
	(void)state;
	idmap_init(&m);
	assert_int_equal(idmap_add(&m, UINT64_MAX, &things[1]), 0);
	assert_int_equal(idmap_add(&m, 1, &things[0]), 0);
	assert_ptr_equal(idmap_next(&m, 0, &id), &things[0]);
	assert_ptr_equal(idmap_next(&m, 1, &id), &things[1]);
	assert_int_equal(id, UINT64_MAX);
	assert_null(idmap_next(&m, id, &id));
	assert_int_equal(id, UINT64_MAX);
	idmap_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_splits),
		cmocka_unit_test(test_cursor_while_removing),
		cmocka_unit_test(test_ends_of_the_range),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
