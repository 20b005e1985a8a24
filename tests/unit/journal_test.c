/* tests/unit/journal_test.c: what the journal promises: the crash table of queue/spool/journal.h, row by row. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "queue/spool/segment.h"
#include "spool_fixture.h"

enum { SMALL = 16384 };

static struct place nowhere;

static void assert_content(struct spool *s, uint64_t id, const char *expected)
{
	struct model_message *m = model_live(&s->model, id);
	assert_non_null(m);
	char *content = spool_content(s, m->content);
	assert_non_null(content);
	assert_string_equal(content, expected);
	free(content);
}

static void round_trip(void **state)
{
	(void)state;
	struct spool s;
	spool_init(&s, SMALL);
	assert_int_equal(spool_open(&s), 0);
	struct commit *m1 = commit_message(1, "a@example.org", "one"), *m2 = commit_in_file(2, "", 77, 99);
	assert_int_equal(spool_write(&s, m1, m2, NULL, NULL), 0);
	struct commit *o = commit_outcome(1, m1->place), *h = commit_reason(RECORD_HOLD, 2, "because", m2->place);
	journal_set_ceiling(s.journal, 12345);
	assert_int_equal(journal_ceiling(s.journal), 0);
	assert_int_equal(spool_write(&s, o, h, NULL, NULL), 0);
	assert_int_equal(journal_ceiling(s.journal), 12345);
	spool_close(&s);

	assert_int_equal(spool_open(&s), 0);
	assert_int_equal(s.model.count, 2);
	assert_int_equal(s.model.damaged, 0);
	assert_content(&s, 1, "one");
	assert_int_equal(model_find(&s.model, 1)->outcomes, 1);
	assert_int_equal(model_find(&s.model, 1)->newest.offset, o->place.offset);
	assert_true(model_find(&s.model, 2)->held);
	assert_true(model_find(&s.model, 2)->in_file);
	assert_string_equal(model_find(&s.model, 2)->reason, "because");
	assert_int_equal(s.found.floor_ms, 12345);
	assert_int_equal(s.found.newest_ms, 2000);
	assert_int_equal(s.found.in_file_count, 1);
	assert_int_equal(s.found.in_file[0], 2);
	assert_int_equal(spool_segment_files(&s), 1); /* closed in order: the segment is written on */
	commit_drop(m1);
	commit_drop(m2);
	commit_drop(o);
	commit_drop(h);
	spool_fini(&s);
}

int main(void)
{
	(void)nowhere;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
