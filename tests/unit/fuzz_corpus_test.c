/* tests/unit/fuzz_corpus_test.c: every file of tests/fuzz/corpus goes through its fuzz target once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

enum { FILE_MAX = 4096, FILES_MAX = 30 };

struct target {
	const char *name;
	int (*run)(const uint8_t *in, size_t len);
};

static const struct target targets[] = {
#define X(name) {#name, fuzz_##name},
	FUZZ_TARGETS(X)
#undef X
};

static void run_file(const struct target *t, const char *file)
{
	char path[512], bytes[FILE_MAX + 1];
	snprintf(path, sizeof path, "tests/fuzz/corpus/%s/%s", t->name, file);
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	size_t n = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	if (n > FILE_MAX)
		fail_msg("%s is over %d bytes: minimise it", path, FILE_MAX);
	uint8_t *in = malloc(n ? n : 1); /* just so many, for ASan to watch */
	assert_non_null(in);
	memcpy(in, bytes, n);
	fprintf(stderr, "%s\n", path); /* a crash tells no name */
	assert_int_equal(t->run(in, n), 0);
	free(in);
}

static void test_corpus(void **state)
{
	const struct target *t = *state;
	char path[256];
	unsigned files = 0;
	snprintf(path, sizeof path, "tests/fuzz/corpus/%s", t->name);
	DIR *dir = opendir(path);
	if (dir == NULL)
		fail_msg("%s cannot be read (run from the top of the tree)", path);
	for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
		if (e->d_name[0] == '.')
			continue;
		run_file(t, e->d_name);
		files++;
	}
	closedir(dir);
	assert_in_range(files, 1, FILES_MAX);
}

int main(void)
{
	enum { COUNT = sizeof targets / sizeof targets[0] };
	struct CMUnitTest tests[COUNT];
	for (size_t i = 0; i < COUNT; i++)
		tests[i] = (struct CMUnitTest){targets[i].name, test_corpus, NULL, NULL, (void *)&targets[i]};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
