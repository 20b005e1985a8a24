/* tests/unit/intern_test.c: shared texts and their counts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "queue/intern.h"

static void test_shared(void **state)
{
	struct intern t;
	(void)state;
	intern_init(&t);
	const char *a = intern_take(&t, "one"), *b = intern_take(&t, "one"), *c = intern_take(&t, "two");
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, c);
	assert_string_equal(a, "one");
	intern_drop(&t, a);
	assert_string_equal(b, "one");
	intern_drop(&t, b);
	intern_drop(&t, c);
	intern_drop(&t, NULL);
	assert_null(t.table);
	const char *empty = intern_take(&t, "");
	assert_string_equal(empty, "");
	/* a text may be taken from the table itself, and the old one dropped behind it */
	const char *again = intern_take(&t, empty);
	intern_drop(&t, empty);
	assert_string_equal(again, "");
	intern_drop(&t, again);
	assert_null(t.table);
	intern_fini(&t);
}

static void test_long_and_many(void **state)
{
	struct intern t;
	char text[1000], other[1000];
	const char *kept[500];
	(void)state;
	intern_init(&t);
	memset(text, 'x', sizeof text);
	memset(other, 'x', sizeof other);
	text[999] = other[998] = '\0';
	const char *a = intern_take(&t, text), *b = intern_take(&t, other);
	assert_int_equal(strlen(a), 400);
	assert_ptr_equal(a, b); /* the same as far as they are kept */
	for (unsigned i = 0; i < 500; i++) {
		snprintf(text, sizeof text, "reason %u", i);
		kept[i] = intern_take(&t, text);
	}
	for (unsigned i = 0; i < 500; i += 2)
		intern_drop(&t, kept[i]);
	for (unsigned i = 1; i < 500; i += 2) {
		snprintf(text, sizeof text, "reason %u", i);
		assert_string_equal(kept[i], text);
	}
	intern_fini(&t); /* with the rest */
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_shared), cmocka_unit_test(test_long_and_many)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
