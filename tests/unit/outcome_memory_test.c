/* tests/unit/outcome_memory_test.c: memory is short from the final dot on: what the peer answered is written down all
 * the same. Linked with --wrap (Makefile). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/unit/queue_fixture.h"

#define SITE "mx.d.example"

static bool none_left;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);

void *__wrap_malloc(size_t n)
{
	return none_left ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return none_left ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return none_left ? NULL : __real_realloc(p, n);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return none_left ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *text)
{
	return none_left ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t n)
{
	return none_left ? NULL : __real_strndup(text, n);
}

static void memory_is_back(void)
{
	none_left = false;
}

/* Who has the mail is not sent it again; who refused it is told so later, as there is no memory for a notice. */
static void test_outcome(void **state)
{
	(void)state;
	fixture_begin("race { sessions_per_attempt = 1 }");
	mail(5, "s@sender.example", "a@d.example b@d.example c@d.example");
	struct connection *c = connect_site(SITE, "192.0.2.1");
	fx.stored = memory_is_back;
	none_left = true;
	answer(c, "250 ok|550 5.1.1 no|450 4.2.0 busy");
	assert_false(none_left);
	assert_string_equal(fx.journal, "OUTCOME 5 0=delivered 1=deferred 2=deferred\n");
	commit_all();
	assert_int_equal(find(5)->open, 2);
	pass(MINUTES(6));
	dns_run();
	if (fx.dial_count > 0)
		dial_end(fx.dials[0], "192.0.2.1 ok");
	fixture_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_outcome)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
