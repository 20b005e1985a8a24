/* queue/spool/layout.c: plumbing. */
#include "queue/spool/layout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "conf/id.h"

enum { PID_TEXT = 24, SHARD = 4, SHARD_SHIFT = 22 };

static int fail(struct buf *errors, int err, const char *dir, const char *what)
{
	buf_printf(errors, "spool %s: %s: %s\n", dir, what, strerror(-err));
	return err;
}

/* Calls `each` for the entries of a directory; what it returns other than 0 ends the walk. */
static int walk(int dir, const char *name, void *arg, int (*each)(void *arg, const char *name))
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		int err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	int err = 0;
	for (struct dirent *e; err == 0 && (e = readdir(d));)
		if (e->d_name[0] != '.')
			err = each(arg, e->d_name);
	closedir(d);
	return err;
}

/* Makes `name` in `dir` if it is missing: 1 if it was, 0, or negative. */
static int make(const struct files *f, int dir, const char *name)
{
	int err = f->mkdir(f->arg, dir, name, 0700);
	return err == -EEXIST ? 0 : err ? err : 1;
}

static const char *shard_name(unsigned shard, char out[SHARD])
{
	snprintf(out, SHARD, "%02x", shard & 0xff);
	return out;
}

static int make_all(struct layout *l)
{
	static const char *const names[] = {"journal", "body", "state"};
	const struct files *f = l->files;
	char shard[SHARD];
	int made = 0, err = 0;
	for (unsigned i = 0; i < 3; i++) {
		err = make(f, l->spool, names[i]);
		if (err < 0)
			return err;
		made |= err;
	}
	err = made ? f->sync(f->arg, l->spool) : 0;
	if (err)
		return err;
	int body = f->open(f->arg, l->spool, "body", O_RDONLY | O_DIRECTORY, 0);
	if (body < 0)
		return body;
	made = 0;
	for (unsigned i = 0; i < LAYOUT_BODY_DIRS && err >= 0; i++) {
		err = make(f, body, shard_name(i, shard));
		made |= err > 0;
	}
	err = err < 0 ? err : made ? f->sync(f->arg, body) : 0;
	f->close(f->arg, body);
	return err;
}

/* The directory itself, made if its parent exists, and then its parent synced. */
static int open_spool(const struct files *f, const char *dir, bool create)
{
	bool made = false;
	if (create) {
		int err = make(f, AT_FDCWD, dir);
		if (err < 0)
			return err;
		made = err > 0;
	}
	int fd = f->open(f->arg, AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0 || !made)
		return fd;
	int parent = f->open(f->arg, fd, "..", O_RDONLY | O_DIRECTORY, 0);
	int err = parent < 0 ? parent : f->sync(f->arg, parent);
	if (parent >= 0)
		f->close(f->arg, parent);
	if (err == 0)
		return fd;
	f->close(f->arg, fd);
	return err;
}

static int say_busy(const struct layout *l, const char *dir, int fd, struct buf *errors)
{
	char text[PID_TEXT] = "";
	ssize_t got = files_read(l->files, fd, text, sizeof(text) - 1, 0);
	text[got > 0 ? got : 0] = '\0';
	long pid = strtol(text, NULL, 10);
	if (pid > 0)
		buf_printf(errors, "spool %s: in use by process %ld\n", dir, pid);
	else
		buf_printf(errors, "spool %s: in use by another process\n", dir);
	return -EBUSY;
}

static int take_lock(struct layout *l, const char *dir, bool share, struct buf *errors)
{
	const struct files *f = l->files;
	char text[PID_TEXT];
	int fd = f->open(f->arg, l->spool, "lock", share ? O_RDONLY : O_RDWR | O_CREAT, 0600);
	if (fd == -ENOENT && share)
		return 0; /* no daemon ever ran here */
	if (fd < 0)
		return fail(errors, fd, dir, "lock");
	int err = 0;
	if (flock(fd, (share ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0)
		err = errno == EWOULDBLOCK ? say_busy(l, dir, fd, errors) : fail(errors, -errno, dir, "lock");
	if (err == 0 && !share) {
		int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
		struct iovec iov = {text, (size_t)n};
		if (ftruncate(fd, 0) < 0)
			err = fail(errors, -errno, dir, "lock");
		else if ((err = files_write(f, fd, &iov, 1, 0)))
			fail(errors, err, dir, "lock");
	}
	if (err)
		f->close(f->arg, fd);
	else
		l->lock = fd;
	return err;
}

struct sweep {
	const struct layout *l;
	int dir;
};

static int unlink_temporary(void *arg, const char *name)
{
	struct sweep *s = arg;
	size_t n = strlen(name);
	if (n < 4 || strcmp(name + n - 4, ".tmp") != 0)
		return 0;
	return s->l->files->unlink(s->l->files->arg, s->dir, name);
}

static int unlink_temporaries(struct layout *l)
{
	struct sweep top = {l, l->spool}, journal = {l, l->journal};
	int err = walk(l->spool, ".", &top, unlink_temporary);
	return err ? err : walk(l->journal, ".", &journal, unlink_temporary);
}

static int open_parts(struct layout *l)
{
	const struct files *f = l->files;
	l->journal = f->open(f->arg, l->spool, "journal", O_RDONLY | O_DIRECTORY, 0);
	if (l->journal < 0)
		return l->journal;
	l->body = f->open(f->arg, l->spool, "body", O_RDONLY | O_DIRECTORY, 0);
	return l->body < 0 ? l->body : 0;
}

static int open_as(
	struct layout *out, const struct files *files, const char *dir, bool write, bool lock, struct buf *errors)
{
	struct layout l = {.files = files, .spool = -1, .journal = -1, .body = -1, .lock = -1};
	l.spool = open_spool(files, dir, write);
	if (l.spool < 0)
		return fail(errors, l.spool, dir, "cannot be opened");
	int err = lock ? take_lock(&l, dir, !write, errors) : 0;
	if (err)
		goto done;
	if (write && (err = make_all(&l))) {
		fail(errors, err, dir, "cannot be set up");
		goto done;
	}
	err = open_parts(&l);
	if (err == 0 && write)
		err = unlink_temporaries(&l);
	if (err)
		fail(errors, err, dir, "cannot be opened");
done:
	if (err)
		layout_close(&l);
	else
		*out = l;
	return err;
}

int layout_open(struct layout *l, const struct files *files, const char *dir, struct buf *errors)
{
	return open_as(l, files, dir, true, true, errors);
}

int layout_open_read(struct layout *l, const struct files *files, const char *dir, bool lock, struct buf *errors)
{
	return open_as(l, files, dir, false, lock, errors);
}

void layout_close(struct layout *l)
{
	const int fds[] = {l->journal, l->body, l->spool, l->lock};
	for (unsigned i = 0; i < 4; i++)
		if (fds[i] >= 0)
			l->files->close(l->files->arg, fds[i]);
	l->journal = l->body = l->spool = l->lock = -1;
}

/* ---- body files ---- */

const char *layout_body_name(uint64_t id, char out[LAYOUT_BODY_NAME])
{
	char text[ID_TEXT];
	snprintf(out, LAYOUT_BODY_NAME, "%02x/%s", (unsigned)(id >> SHARD_SHIFT & 0xff), id_format(id, text));
	return out;
}

int layout_body_open(const struct layout *l, uint64_t id, int flags)
{
	char name[LAYOUT_BODY_NAME];
	return l->files->open(l->files->arg, l->body, layout_body_name(id, name), flags, 0600);
}

int layout_body_sync(const struct layout *l, uint64_t id)
{
	char name[SHARD];
	const struct files *f = l->files;
	int fd = f->open(
		f->arg, l->body, shard_name((unsigned)(id >> SHARD_SHIFT & 0xff), name), O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	int err = f->sync(f->arg, fd);
	f->close(f->arg, fd);
	return err;
}

int layout_body_unlink(const struct layout *l, uint64_t id)
{
	char name[LAYOUT_BODY_NAME];
	return l->files->unlink(l->files->arg, l->body, layout_body_name(id, name));
}

struct body_walk {
	void *arg;
	int (*file)(void *arg, uint64_t id, const char *name);
	char shard[SHARD];
};

static int walk_file(void *arg, const char *name)
{
	struct body_walk *w = arg;
	char path[SHARD + 256], own[LAYOUT_BODY_NAME];
	uint64_t id = 0;
	snprintf(path, sizeof(path), "%s/%s", w->shard, name);
	if (id_parse(&id, name) || strcmp(layout_body_name(id, own), path) != 0)
		id = 0;
	return w->file(w->arg, id, path);
}

int layout_body_walk(const struct layout *l, void *arg, int (*file)(void *arg, uint64_t id, const char *name))
{
	struct body_walk w = {.arg = arg, .file = file};
	for (unsigned i = 0; i < LAYOUT_BODY_DIRS; i++) {
		int err = walk(l->body, shard_name(i, w.shard), &w, walk_file);
		if (err && err != -ENOENT)
			return err;
	}
	return 0;
}

struct orphans {
	const struct layout *l;
	const uint64_t *live;
	size_t count;
	uint64_t found;
};

static int compare_ids(const void *a, const void *b)
{
	uint64_t x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

static int sweep_one(void *arg, uint64_t id, const char *name)
{
	struct orphans *o = arg;
	if (id == 0 || (o->count && bsearch(&id, o->live, o->count, sizeof(id), compare_ids)))
		return 0;
	o->found++;
	return o->l->files->unlink(o->l->files->arg, o->l->body, name);
}

int layout_sweep_bodies(const struct layout *l, const uint64_t *live, size_t count, uint64_t *orphans)
{
	struct orphans o = {.l = l, .live = live, .count = count};
	int err = layout_body_walk(l, &o, sweep_one);
	if (err == 0)
		*orphans = o.found;
	return err;
}
