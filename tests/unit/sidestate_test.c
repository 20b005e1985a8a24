/* tests/unit/sidestate_test.c: files of spool/state: what was written comes back, anything else is none of ours. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queue/spool/sidestate.h"

static char folder[] = "/tmp/sidestate_test.XXXXXX";
static int spool;

static int setup(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	spool = open(folder, O_RDONLY | O_DIRECTORY);
	return spool < 0 || mkdirat(spool, "state", 0700) != 0;
}

static int teardown(void **state)
{
	(void)state;
	unlinkat(spool, "state/x", 0);
	unlinkat(spool, "state", AT_REMOVEDIR);
	close(spool);
	return rmdir(folder);
}

static int read_back(uint32_t version, struct buf *out)
{
	buf_init(out, SIDESTATE_MAX + 1);
	return sidestate_read(&files_system, spool, "x", version, out);
}

static void test_round(void **state)
{
	(void)state;
	struct buf out;
	assert_int_equal(read_back(1, &out), -ENOENT);
	static const char *const texts[] = {"one", "", "a longer one than before"};
	for (size_t i = 0; i < 3; i++) {
		size_t n = strlen(texts[i]);
		assert_int_equal(sidestate_write(&files_system, spool, "x", 7, texts[i], n), 0);
		assert_int_equal(read_back(7, &out), 0);
		assert_int_equal(out.len, n);
		assert_memory_equal(n ? (char *)out.data : "", texts[i], n);
		buf_fini(&out);
		assert_int_equal(faccessat(spool, "state/x.new", F_OK, 0), -1);
	}
	struct stat st;
	assert_int_equal(fstatat(spool, "state/x", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(read_back(8, &out), -EBADMSG); /* of another version */
	buf_fini(&out);
}

/* Every byte of the file counts, and so does its length. */
static void test_damage(void **state)
{
	(void)state;
	uint8_t whole[64];
	struct buf out;
	assert_int_equal(sidestate_write(&files_system, spool, "x", 7, "content", 7), 0);
	int fd = openat(spool, "state/x", O_RDWR);
	ssize_t n = pread(fd, whole, sizeof whole, 0);
	assert_int_equal(n, 24 + 7);
	for (ssize_t i = 0; i < n; i++) {
		uint8_t bad = whole[i] ^ 0x40;
		assert_int_equal(pwrite(fd, &bad, 1, i), 1);
		assert_int_equal(read_back(7, &out), -EBADMSG);
		assert_int_equal(out.len, 0);
		buf_fini(&out);
		assert_int_equal(pwrite(fd, &whole[i], 1, i), 1);
		assert_int_equal(ftruncate(fd, i), 0);
		assert_int_equal(read_back(7, &out), -EBADMSG);
		buf_fini(&out);
		assert_int_equal(pwrite(fd, whole, (size_t)n, 0), n);
	}
	assert_int_equal(pwrite(fd, "more", 4, n), 4);
	assert_int_equal(read_back(7, &out), -EBADMSG);
	buf_fini(&out);
	close(fd);
}

static int failing_sync(void *arg, int fd)
{
	(void)arg;
	(void)fd;
	return -EIO;
}

/* What cannot be synced takes nobody's place. */
static void test_old_stays(void **state)
{
	(void)state;
	struct files failing = files_system;
	struct buf out;
	failing.datasync = failing_sync;
	assert_int_equal(sidestate_write(&files_system, spool, "x", 7, "old", 3), 0);
	assert_int_equal(sidestate_write(&failing, spool, "x", 7, "new", 3), -EIO);
	assert_int_equal(read_back(7, &out), 0);
	assert_memory_equal(out.data, "old", 3);
	buf_fini(&out);
	assert_int_equal(faccessat(spool, "state/x.new", F_OK, 0), -1);
	assert_int_equal(sidestate_write(&files_system, spool, "x", 7, "", SIDESTATE_MAX + 1), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_old_stays),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
