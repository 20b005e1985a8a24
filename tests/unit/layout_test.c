/* tests/unit/layout_test.c: the spool's directories, lock and body files; and `relayq verify`. */
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
#include <sys/wait.h>
#include <unistd.h>

#include <xxhash.h>

#include "conf/id.h"
#include "queue/spool/verify.h"
#include "spool_fixture.h"

enum { SMALL = 16384 };

static unsigned mode_of(const struct spool *s, const char *name)
{
	struct stat st;
	char path[128];
	return stat(spool_path(s, name, path, sizeof(path)), &st) ? 0 : st.st_mode & 07777;
}

static void touch(const struct spool *s, const char *name)
{
	char path[128];
	int fd = open(spool_path(s, name, path, sizeof(path)), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static bool there(const struct spool *s, const char *name)
{
	char path[128];
	return access(spool_path(s, name, path, sizeof(path)), F_OK) == 0;
}

static int open_errors(struct spool *s, const char *dir)
{
	struct buf errors;
	struct layout l;
	buf_init(&errors, 1000);
	int err = layout_open(&l, &s->faults.files, dir, &errors);
	snprintf(s->errors, sizeof(s->errors), "%s", errors.data ? (char *)errors.data : "");
	if (err == 0)
		layout_close(&l);
	buf_fini(&errors);
	return err;
}

static void made_and_private(void **state)
{
	(void)state;
	struct spool s;
	char path[128];
	spool_init(&s, SMALL);
	umask(0);
	assert_int_equal(open_errors(&s, spool_path(&s, "new", path, sizeof(path))), 0); /* the parent exists */
	assert_int_equal(mode_of(&s, "new"), 0700);
	assert_int_equal(mode_of(&s, "new/journal"), 0700);
	assert_int_equal(mode_of(&s, "new/body"), 0700);
	assert_int_equal(mode_of(&s, "new/body/00"), 0700);
	assert_int_equal(mode_of(&s, "new/body/ff"), 0700);
	assert_int_equal(mode_of(&s, "new/state"), 0700);
	assert_int_equal(mode_of(&s, "new/lock"), 0600);
	assert_true(s.faults.count[CALL_SYNC] >= 3); /* parent, spool, body */
	assert_int_equal(open_errors(&s, spool_path(&s, "no/parent", path, sizeof(path))), -ENOENT);
	assert_non_null(strstr(s.errors, "no/parent"));
	assert_int_equal(spool_open(&s), 0);
	assert_int_equal(mode_of(&s, "journal/0000000001.seg"), 0600);
	spool_fini(&s);
}

static void one_owner(void **state)
{
	(void)state;
	struct spool s;
	char holder[64];
	spool_init(&s, SMALL);
	assert_int_equal(spool_open(&s), 0);
	pid_t child = fork(); /* another process asks */
	if (child == 0)
		_exit(open_errors(&s, s.dir) == -EBUSY && strstr(s.errors, "in use by process") ? 0 : 1);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(open_errors(&s, s.dir), -EBUSY);
	snprintf(holder, sizeof(holder), "in use by process %ld\n", (long)getpid());
	assert_non_null(strstr(s.errors, holder));
	spool_close(&s);
	assert_int_equal(open_errors(&s, s.dir), 0); /* a lock file that is left means nothing */
	spool_fini(&s);
}

static void temporary_files_go(void **state)
{
	(void)state;
	struct spool s;
	spool_init(&s, SMALL);
	assert_int_equal(open_errors(&s, s.dir), 0);
	touch(&s, "index.4.tmp");
	touch(&s, "journal/0000000009.tmp");
	touch(&s, "keep");
	touch(&s, "state/paths.tmp"); /* its owner's */
	assert_int_equal(open_errors(&s, s.dir), 0);
	assert_false(there(&s, "index.4.tmp"));
	assert_false(there(&s, "journal/0000000009.tmp"));
	assert_true(there(&s, "keep"));
	assert_true(there(&s, "state/paths.tmp"));
	spool_fini(&s);
}

static void body_names(void **state)
{
	(void)state;
	char name[LAYOUT_BODY_NAME], text[ID_TEXT];
	uint64_t id = (UINT64_C(0x3ab) << 22) | 5;
	char expected[32];
	snprintf(expected, sizeof(expected), "ab/%s", id_format(id, text));
	assert_string_equal(layout_body_name(id, name), expected);
}

static void make_body(struct spool *s, uint64_t id, const char *content)
{
	int fd = layout_body_open(&s->layout, id, O_RDWR | O_CREAT | O_EXCL);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	close(fd);
	assert_int_equal(layout_body_sync(&s->layout, id), 0);
}

static int count_one(void *arg, uint64_t id, const char *name)
{
	unsigned *n = arg;
	(void)name;
	n[id == 0]++;
	return 0;
}

static void orphans_go(void **state)
{
	(void)state;
	struct spool s;
	uint64_t live[] = {3, UINT64_C(7) << 22, UINT64_C(900) << 22}, orphans = 0;
	spool_init(&s, SMALL);
	assert_int_equal(spool_open(&s), 0);
	for (int i = 0; i < 3; i++)
		make_body(&s, live[i], "x");
	make_body(&s, 4, "x");
	make_body(&s, (UINT64_C(7) << 22) + 1, "x");
	touch(&s, "body/00/README");	    /* not ours: stays */
	touch(&s, "body/01/0000000000003"); /* an ID, in a directory that is not its own */
	unsigned n[2] = {0};
	assert_int_equal(layout_body_walk(&s.layout, n, count_one), 0);
	assert_int_equal(n[0], 5);
	assert_int_equal(n[1], 2);
	assert_int_equal(layout_sweep_bodies(&s.layout, live, 3, &orphans), 0);
	assert_int_equal(orphans, 2);
	n[0] = n[1] = 0;
	assert_int_equal(layout_body_walk(&s.layout, n, count_one), 0);
	assert_int_equal(n[0], 3);
	assert_int_equal(n[1], 2);
	assert_int_equal(layout_body_unlink(&s.layout, 3), 0);
	assert_int_equal(layout_body_unlink(&s.layout, 3), -ENOENT);
	assert_int_equal(layout_sweep_bodies(&s.layout, NULL, 0, &orphans), 0);
	assert_int_equal(orphans, 2);
	spool_fini(&s);
}

/* ---- verify ---- */

static void count_line(void *arg, const char *line)
{
	unsigned *n = arg;
	if (getenv("SPOOL_SHOW"))
		fprintf(stderr, "%s\n", line);
	assert_null(strchr(line, '\n'));
	++*n;
}

static int verify(struct spool *s, bool read_only, struct store_check *c, unsigned *lines)
{
	struct buf errors;
	buf_init(&errors, 1000);
	*lines = 0;
	int err = store_verify(s->dir, read_only, c, count_line, lines, &errors);
	snprintf(s->errors, sizeof(s->errors), "%s", errors.data ? (char *)errors.data : "");
	buf_fini(&errors);
	return err;
}

static void flip(struct spool *s, const char *name, off_t at)
{
	char path[128];
	uint8_t byte;
	int fd = open(spool_path(s, name, path, sizeof(path)), O_RDWR | O_CLOEXEC);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static void verifying(void **state)
{
	(void)state;
	struct spool s;
	struct store_check c;
	unsigned lines;
	spool_init(&s, SMALL);
	assert_int_equal(spool_open(&s), 0);
	struct commit *m1 = commit_message(1, "a@example.org", "content of the first");
	struct commit *m2 = commit_in_file(2, "b@example.org", 5, XXH3_64bits("hello", 5));
	struct commit *m3 = commit_message(3, "", "gone");
	make_body(&s, 2, "hello");
	assert_int_equal(spool_write(&s, m1, m2, m3, NULL), 0);
	struct commit *r = commit_reason(RECORD_REMOVE, 3, "", m3->place);
	assert_int_equal(spool_write(&s, r, NULL, NULL, NULL), 0);

	assert_int_equal(verify(&s, false, &c, &lines), -EBUSY);
	assert_non_null(strstr(s.errors, "in use by process"));
	assert_int_equal(verify(&s, true, &c, &lines), 0);
	assert_int_equal(c.live, 2);
	spool_close(&s);
	assert_int_equal(verify(&s, false, &c, &lines), 0);
	assert_int_equal(lines, 0);
	assert_int_equal(c.segments, 1);
	assert_int_equal(c.messages, 3);
	assert_int_equal(c.live, 2);
	assert_int_equal(c.damaged + c.torn + c.orphans, 0);

	/* One fault of each kind. */
	touch(&s, "body/00/0000000000009");
	assert_int_equal(verify(&s, false, &c, &lines), 0);
	assert_int_equal(c.orphans, 1);
	assert_int_equal(lines, 1);
	flip(&s, "body/00/0000000000002", 4);
	assert_int_equal(verify(&s, false, &c, &lines), 0);
	assert_int_equal(c.damaged, 1);
	flip(&s, "body/00/0000000000002", 4);
	flip(&s, "journal/0000000001.seg", (off_t)(m1->place.offset + RECORD_HEADER + m1->meta_len + 3));
	assert_int_equal(verify(&s, false, &c, &lines), 0);
	assert_int_equal(c.damaged, 1);
	assert_int_equal(c.live, 1);
	assert_int_equal(lines, 2);
	char path[128];
	assert_int_equal(unlink(spool_path(&s, "body/00/0000000000002", path, sizeof(path))), 0);
	assert_int_equal(verify(&s, false, &c, &lines), 0);
	assert_int_equal(c.damaged, 2);
	struct buf errors;
	buf_init(&errors, 500);
	assert_int_equal(store_verify("/nonexistent", false, &c, count_line, &lines, &errors), -ENOENT);
	assert_true(errors.len > 0);
	buf_fini(&errors);
	commit_drop(m1);
	commit_drop(m2);
	commit_drop(m3);
	commit_drop(r);
	spool_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_and_private),
		cmocka_unit_test(one_owner),
		cmocka_unit_test(temporary_files_go),
		cmocka_unit_test(body_names),
		cmocka_unit_test(orphans_go),
		cmocka_unit_test(verifying),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
