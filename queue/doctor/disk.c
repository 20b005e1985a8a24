/* queue/doctor/disk.c: plumbing. */
#include "queue/doctor/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "conf/clock.h"
#include "queue/spool/segment.h"

enum {
	SYNCS_MAX = 50,
	SYNC_TIME_MS = 1000,
	SYNC_BYTES = 4096,
	SEGMENTS_MAX = 8, /* looked into, from the newest back: those ahead hold nothing yet */
	JOURNAL_TIME_MS = 1000,
};

struct disk_look {
	pthread_mutex_t lock;
	bool finished, left; /* the thread; the asker */
	uv_async_t *async;
	char *spool, *user;
	struct fact_spool found, *out;
	void (*done)(void *arg);
	void *arg;
};

/* ---- owner ---- */

static void name_of(uid_t uid, char out[33])
{
	char room[4096];
	struct passwd p, *found = NULL;
	if (getpwuid_r(uid, &p, room, sizeof room, &found) == 0 && found != NULL)
		snprintf(out, 33, "%.32s", p.pw_name);
	else
		snprintf(out, 33, "uid %ld", (long)uid);
}

static void know_users(const char *user, struct fact_spool *s)
{
	char room[4096];
	struct passwd p, *found = NULL;
	name_of(s->owner, s->owner_name);
	if (user == NULL)
		return;
	int err = getpwnam_r(user, &p, room, sizeof room, &found);
	s->user_missing = err == 0 && found == NULL;
	s->wanted_known = found != NULL;
	if (found != NULL)
		s->wanted = p.pw_uid;
}

/* ---- the journal ---- */

/* The time of the last batch in a segment that can be believed; 0. */
static uint64_t newest_in(const struct segment *segment, uint64_t until_ms)
{
	uint64_t newest = 0;
	struct buf meta;
	struct record r;
	buf_init(&meta, RECORD_META_MAX);
	for (uint64_t at = SEGMENT_FIRST; at < segment_end(segment) && clock_mono_ms() < until_ms;
		at += record_span(r.meta_len, r.body_len)) {
		buf_reset(&meta);
		if (segment_read(segment, (uint32_t)at, &r, NULL) != 0)
			break;
		struct record_commit c;
		if (r.type == RECORD_COMMIT && segment_read(segment, (uint32_t)at, &r, &meta) == 0 &&
			record_commit_decode(&c, meta.data, meta.len) == 0 && c.wall_ms > newest)
			newest = c.wall_ms;
	}
	buf_fini(&meta);
	return newest;
}

/* The highest number of a segment below `below`; 0: there is none. */
static uint32_t segment_before(DIR *journal, uint32_t below)
{
	uint32_t best = 0;
	rewinddir(journal);
	for (const struct dirent *e; (e = readdir(journal)) != NULL;) {
		uint32_t number = segment_name_parse(e->d_name);
		if (number > best && number < below)
			best = number;
	}
	return best;
}

static void read_newest(int spool, struct fact_spool *s)
{
	int fd = openat(spool, "journal", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *journal = fd >= 0 ? fdopendir(fd) : NULL;
	if (journal == NULL) {
		s->newest_err = -errno;
		if (fd >= 0)
			close(fd);
		return;
	}
	uint64_t until = clock_mono_ms() + JOURNAL_TIME_MS;
	uint32_t number = UINT32_MAX;
	for (unsigned i = 0; i < SEGMENTS_MAX && s->newest_ms == 0; i++) {
		struct segment segment;
		number = segment_before(journal, number);
		if (number == 0)
			break;
		if (segment_open(&segment, &files_system, fd, number, false) != 0)
			continue;
		s->newest_ms = newest_in(&segment, until);
		segment_close(&segment);
	}
	closedir(journal);
}

/* ---- syncs ---- */

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static uint64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* A file without a name, so that nothing stays behind; or one whose name is gone at once. */
static int open_scratch(int spool)
{
	static const char name[] = "doctor.tmp";
	int fd = openat(spool, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd >= 0 ? fd : -errno;
	fd = openat(spool, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	unlinkat(spool, name, 0);
	return fd;
}

static void measure_syncs(int spool, struct fact_spool *s)
{
	static const char bytes[SYNC_BYTES];
	uint64_t took[SYNCS_MAX], until = clock_mono_ms() + SYNC_TIME_MS;
	int fd = open_scratch(spool);
	s->sync_err = fd < 0 ? fd : 0;
	while (fd >= 0 && s->syncs < SYNCS_MAX && clock_mono_ms() < until) {
		uint64_t began = now_us();
		if (write(fd, bytes, sizeof bytes) != sizeof bytes || fdatasync(fd) != 0) {
			s->sync_err = -errno;
			break;
		}
		took[s->syncs++] = now_us() - began;
	}
	if (s->syncs != 0) {
		qsort(took, s->syncs, sizeof took[0], compare);
		s->sync_us = took[s->syncs / 2];
	}
	if (fd >= 0)
		close(fd);
}

void disk_look(const char *spool, const char *user, struct fact_spool *s)
{
	struct stat st;
	struct statfs kind;
	struct statvfs space;
	*s = (struct fact_spool){.done = true};
	int fd = open(spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int open_err = fd < 0 ? -errno : 0;
	if ((fd >= 0 ? fstat(fd, &st) : stat(spool, &st)) != 0) {
		s->err = -errno;
	} else {
		s->is_directory = S_ISDIR(st.st_mode);
		s->mode = st.st_mode & 07777;
		s->owner = st.st_uid;
		know_users(user, s);
	}
	s->space_known = s->err == 0 && statfs(spool, &kind) == 0 && statvfs(spool, &space) == 0;
	if (s->space_known) {
		s->filesystem = (unsigned long)kind.f_type & 0xffffffffUL;
		s->free_bytes = (uint64_t)space.f_bavail * space.f_frsize;
		s->read_only = (space.f_flag & ST_RDONLY) != 0;
	}
	if (fd < 0) {
		s->newest_err = s->sync_err = open_err;
		return;
	}
	read_newest(fd, s);
	measure_syncs(fd, s);
	close(fd);
}

/* ---- the thread ---- */

static void look_free(struct disk_look *l)
{
	pthread_mutex_destroy(&l->lock);
	free(l->spool);
	free(l->user);
	free(l);
}

static void *run(void *arg)
{
	struct disk_look *l = arg;
	disk_look(l->spool, l->user, &l->found);
	pthread_mutex_lock(&l->lock);
	l->finished = true;
	bool left = l->left;
	if (!left)
		uv_async_send(l->async);
	pthread_mutex_unlock(&l->lock);
	if (left)
		look_free(l);
	return NULL;
}

static void on_finished(uv_async_t *async)
{
	struct disk_look *l = async->data;
	pthread_mutex_lock(&l->lock);
	*l->out = l->found;
	pthread_mutex_unlock(&l->lock);
	l->done(l->arg);
}

static void on_closed(uv_handle_t *h)
{
	free(h);
}

void disk_leave(struct disk_look *l)
{
	if (l == NULL)
		return;
	uv_async_t *async = l->async;
	pthread_mutex_lock(&l->lock);
	l->left = true;
	bool finished = l->finished;
	pthread_mutex_unlock(&l->lock);
	uv_close((uv_handle_t *)async, on_closed);
	if (finished)
		look_free(l);
}

static int begin(struct disk_look *l, uv_loop_t *loop, const char *spool, const char *user)
{
	pthread_t thread;
	pthread_attr_t detached;
	l->spool = strdup(spool);
	l->user = user != NULL ? strdup(user) : NULL;
	if (l->spool == NULL || (user != NULL && l->user == NULL))
		return -ENOMEM;
	int err = uv_async_init(loop, l->async, on_finished);
	if (err != 0)
		return err;
	l->async->data = l;
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	err = -pthread_create(&thread, &detached, run, l);
	pthread_attr_destroy(&detached);
	if (err != 0) {
		uv_close((uv_handle_t *)l->async, on_closed);
		l->async = NULL;
	}
	return err;
}

int disk_start(struct disk_look **out, uv_loop_t *loop, const char *spool, const char *user, struct fact_spool *facts,
	void (*done)(void *arg), void *arg)
{
	struct disk_look *l = calloc(1, sizeof *l);
	uv_async_t *async = calloc(1, sizeof *async);
	*out = NULL;
	if (l == NULL || async == NULL) {
		free(l);
		free(async);
		return -ENOMEM;
	}
	pthread_mutex_init(&l->lock, NULL);
	l->async = async;
	l->out = facts;
	l->done = done;
	l->arg = arg;
	int err = begin(l, loop, spool, user);
	if (err == 0) {
		*out = l;
		return 0;
	}
	free(l->async);
	look_free(l);
	return err;
}
