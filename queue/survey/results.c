/* queue/survey/results.c: plumbing. */
#include "queue/survey/results.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queue/survey/record.h"

enum { MODE = 0644, HEAD_LINE = 1 };

static int write_line(int fd, const char *text, size_t len)
{
	ssize_t n;
	do
		n = write(fd, text, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -ENOSPC;
}

static int take_line(struct results *r, struct survey_list *l, const char *line, size_t len)
{
	struct survey_record record;
	int err = survey_record_read(&record, line, len);
	if (err != 0)
		return err;
	struct survey_domain *d = survey_list_find(l, record.domain);
	if (d == NULL) {
		r->strangers++;
		return 0;
	}
	return survey_list_put(l, d, record.kind, record.implicit, record.reason);
}

/* Reads all whole lines. `*end`: behind the last of them. `*number`: of the line that is wrong, or of the last one. */
static int read_lines(struct results *r, FILE *f, struct survey_list *l, off_t *end, size_t *number)
{
	char line[SURVEY_RECORD_MAX];
	size_t len = 0;
	int c, err = 0;
	*end = 0;
	*number = 0;
	while (err == 0 && (c = getc_unlocked(f)) != EOF) {
		if (c != '\n') {
			if (len == sizeof line) {
				++*number;
				return -EINVAL;
			}
			line[len++] = (char)c;
			continue;
		}
		if (++*number == HEAD_LINE)
			err = len == strlen(SURVEY_HEAD) - 1 && memcmp(line, SURVEY_HEAD, len) == 0 ? 0 : -EINVAL;
		else
			err = take_line(r, l, line, len);
		*end += (off_t)len + 1;
		len = 0;
	}
	if (err == 0 && ferror(f))
		return -EIO;
	/* a first line that was cut must still be ours, or the file is somebody else's */
	if (err == 0 && *number == 0 && (len >= strlen(SURVEY_HEAD) || memcmp(line, SURVEY_HEAD, len) != 0)) {
		*number = HEAD_LINE;
		return -EINVAL;
	}
	return err;
}

static int load(struct results *r, const char *path, struct survey_list *l, char why[RESULTS_WHY])
{
	size_t number = 0;
	off_t end = 0;
	int fd = dup(r->fd);
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
	int err = f != NULL ? 0 : -errno;
	if (err == 0)
		err = read_lines(r, f, l, &end, &number);
	if (f != NULL)
		fclose(f);
	else if (fd >= 0)
		close(fd);
	if (err == -EINVAL) {
		snprintf(why, RESULTS_WHY, "%.160s:%zu: expected %s", path, number,
			number == HEAD_LINE ? "a results file of relayq survey"
					    : "DOMAIN, KIND, mx or implicit, REASON");
		return err;
	}
	if (err == 0 && ftruncate(r->fd, end) != 0)
		err = -errno;
	if (err == 0 && end == 0)
		err = write_line(r->fd, SURVEY_HEAD, strlen(SURVEY_HEAD));
	if (err != 0)
		snprintf(why, RESULTS_WHY, "%.160s: %s", path, strerror(-err));
	return err;
}

int results_open(struct results *r, const char *path, bool resume, struct survey_list *l, char why[RESULTS_WHY])
{
	struct stat s;
	*r = (struct results){
		.fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | (resume ? 0 : O_EXCL), MODE)};
	if (r->fd < 0) {
		int err = -errno;
		snprintf(why, RESULTS_WHY, "%.160s: %s", path,
			err == -EEXIST ? "is there already; --resume goes on with it" : strerror(-err));
		return err;
	}
	int err = 0;
	if (fstat(r->fd, &s) != 0 || !S_ISREG(s.st_mode)) {
		err = -EINVAL;
		snprintf(why, RESULTS_WHY, "%.160s: expected a file", path);
	} else if (flock(r->fd, LOCK_EX | LOCK_NB) != 0) {
		err = -errno;
		snprintf(why, RESULTS_WHY, "%.160s: another survey writes it", path);
	} else {
		err = load(r, path, l, why);
	}
	if (err != 0) {
		close(r->fd);
		r->fd = -1;
	}
	return err;
}

int results_add(struct results *r, const struct survey_domain *d)
{
	char line[SURVEY_RECORD_MAX];
	return r->fd < 0 ? 0 : write_line(r->fd, line, survey_record_write(d, line));
}

int results_close(struct results *r)
{
	int err = 0;
	if (r->fd < 0)
		return 0;
	if (fsync(r->fd) != 0)
		err = -errno;
	if (close(r->fd) != 0 && err == 0)
		err = -errno;
	r->fd = -1;
	return err;
}
