/* tests/unit/spool_fixture.c */
#include "spool_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queue/mail/attempt.h"
#include "queue/mail/envelope.h"
#include "queue/spool/segment.h"

/* ---- file calls ---- */

static int gate(struct faults *f, enum call kind, bool changes)
{
	f->count[kind]++;
	if (changes && f->die_at && ++f->changes >= f->die_at)
		return -EIO;
	if (changes && !f->die_at)
		f->changes++;
	if (f->fail_kind != (int)kind)
		return 0;
	if (f->fail_after) {
		f->fail_after--;
		return 0;
	}
	if (f->fail_times == 0)
		return 0;
	if (f->fail_times > 0)
		f->fail_times--;
	return f->fail_with;
}

static int f_open(void *arg, int dir, const char *name, int flags, mode_t mode)
{
	int err = gate(arg, CALL_OPEN, flags & O_CREAT);
	return err ? err : files_system.open(NULL, dir, name, flags, mode);
}

static int f_close(void *arg, int fd)
{
	(void)arg;
	return files_system.close(NULL, fd);
}

static ssize_t f_pread(void *arg, int fd, void *p, size_t n, off_t at)
{
	struct faults *f = arg;
	if (f->bad_to && (uint64_t)at < f->bad_to && (uint64_t)at + n > f->bad_from)
		return -EIO;
	return files_system.pread(NULL, fd, p, n, at);
}

static uint64_t inode_of(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

static void keep_sectors(struct faults *f, int fd, uint64_t at, uint64_t n)
{
	uint64_t inode = inode_of(fd);
	char self[64];
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	for (uint64_t s = at / 512; s * 512 < at + n; s++) {
		if (f->undo_count == f->undo_cap) {
			f->undo_cap = f->undo_cap ? f->undo_cap * 2 : 64;
			f->undo = reallocarray(f->undo, f->undo_cap, sizeof(*f->undo));
		}
		struct undo *u = &f->undo[f->undo_count++];
		*u = (struct undo){.inode = inode, .fd = open(self, O_RDWR | O_CLOEXEC), .at = s * 512};
		if (pread(fd, u->bytes, sizeof(u->bytes), (off_t)u->at) < 0)
			abort();
	}
}

static void forget_sectors(struct faults *f, uint64_t inode)
{
	size_t kept = 0;
	for (size_t i = 0; i < f->undo_count; i++) {
		if (inode && f->undo[i].inode != inode)
			f->undo[kept++] = f->undo[i];
		else
			close(f->undo[i].fd);
	}
	f->undo_count = kept;
}

static ssize_t f_pwritev(void *arg, int fd, const struct iovec *iov, int count, off_t at)
{
	struct faults *f = arg;
	int err = gate(f, CALL_WRITE, true);
	size_t n = 0;
	for (int i = 0; i < count; i++)
		n += iov[i].iov_len;
	if (n < 100000) /* zeros of a new segment are synced before anybody looks */
		keep_sectors(f, fd, (uint64_t)at, n);
	if (err && f->half && f->changes == f->die_at) {
		for (int i = 0; i < count / 2; i++) {
			if (pwrite(fd, iov[i].iov_base, iov[i].iov_len, at) < 0)
				abort();
			at += (off_t)iov[i].iov_len;
		}
	}
	return err ? err : files_system.pwritev(NULL, fd, iov, count, at);
}

static int f_datasync(void *arg, int fd)
{
	struct faults *f = arg;
	int err = gate(f, CALL_DATASYNC, true);
	if (err == 0)
		forget_sectors(f, inode_of(fd));
	return err;
}

static int f_sync(void *arg, int fd)
{
	(void)fd;
	return gate(arg, CALL_SYNC, true);
}

static int f_rename(void *arg, int dir, const char *from, const char *to)
{
	int err = gate(arg, CALL_RENAME, true);
	return err ? err : files_system.rename(NULL, dir, from, to);
}

static int f_unlink(void *arg, int dir, const char *name)
{
	int err = gate(arg, CALL_UNLINK, true);
	return err ? err : files_system.unlink(NULL, dir, name);
}

static int f_mkdir(void *arg, int dir, const char *name, mode_t mode)
{
	int err = gate(arg, CALL_MKDIR, false);
	return err ? err : files_system.mkdir(NULL, dir, name, mode);
}

void faults_init(struct faults *f)
{
	*f = (struct faults){.fail_kind = -1,
		.fail_times = -1,
		.fail_with = -EIO,
		.files = {f_open, f_close, f_pread, f_pwritev, f_datasync, f_sync, f_rename, f_unlink, f_mkdir, f}};
}

void faults_power_loss(struct faults *f, uint64_t *random)
{
	/* From the newest write back: a sector may go back write by write, and stays from where it was not taken
	 * back. */
	for (size_t i = f->undo_count; i > 0; i--) {
		struct undo *u = &f->undo[i - 1];
		bool stays = false;
		for (size_t k = i; k < f->undo_count && !stays; k++)
			stays = f->undo[k].inode == u->inode && f->undo[k].at == u->at && !f->undo[k].taken_back;
		*random = *random * 6364136223846793005u + 1442695040888963407u;
		u->taken_back = !stays && (*random >> 60 & 1);
		if (u->taken_back && pwrite(u->fd, u->bytes, sizeof(u->bytes), (off_t)u->at) < 0)
			abort();
	}
	forget_sectors(f, 0);
}

void faults_fini(struct faults *f)
{
	forget_sectors(f, 0);
	free(f->undo);
	f->undo = NULL;
	f->undo_cap = 0;
}

/* ---- the index ---- */

struct model_message *model_find(struct model *m, uint64_t id)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->messages[i].id == id)
			return &m->messages[i];
	return NULL;
}

struct model_message *model_live(struct model *m, uint64_t id)
{
	struct model_message *x = model_find(m, id);
	return x && !x->removed ? x : NULL;
}

static int on_message(void *arg, enum record_type type, const struct envelope *e, struct place content,
	struct place newest, bool in_file)
{
	struct model *m = arg;
	struct model_message *x = model_find(m, e->id);
	if (m->fail)
		return m->fail;
	if (!x) {
		if (m->count == MODEL_MAX)
			return -ENOMEM;
		x = &m->messages[m->count++];
	}
	*x = (struct model_message){.id = e->id,
		.type = type,
		.content = content,
		.newest = newest,
		.size = e->size,
		.in_file = in_file,
		.held = e->flags & ENVELOPE_HELD};
	snprintf(x->sender, sizeof(x->sender), "%s", e->sender);
	return 0;
}

static struct model_message *known(struct model *m, uint64_t id)
{
	struct model_message *x = model_live(m, id);
	m->stray += !x;
	return x;
}

static int on_outcome(void *arg, uint64_t id, const struct attempt *a, struct place newest)
{
	(void)a;
	struct model_message *x = known(arg, id);
	if (x) {
		x->outcomes++;
		x->newest = newest;
	}
	return 0;
}

static int on_held(void *arg, uint64_t id, bool held, const char *reason, struct place newest)
{
	struct model_message *x = known(arg, id);
	if (x) {
		x->held = held;
		x->newest = newest;
		snprintf(x->reason, sizeof(x->reason), "%s", reason);
	}
	return 0;
}

static int on_redirected(void *arg, uint64_t id, const char *relay, struct place newest)
{
	struct model_message *x = known(arg, id);
	if (x) {
		x->newest = newest;
		snprintf(x->redirect, sizeof(x->redirect), "%s", relay);
	}
	return 0;
}

static int on_returned(void *arg, uint64_t id, const char *reason, struct place newest)
{
	struct model_message *x = known(arg, id);
	if (x) {
		x->newest = newest;
		snprintf(x->returned, sizeof(x->returned), "%s", reason);
	}
	return 0;
}

static int on_removed(void *arg, uint64_t id)
{
	struct model_message *x = known(arg, id);
	if (x)
		x->removed = true;
	return 0;
}

static void on_damaged(void *arg, uint64_t id, struct place where, const char *what)
{
	struct model *m = arg;
	struct model_message *x = id ? model_live(m, id) : NULL;
	(void)where;
	if (getenv("SPOOL_SHOW"))
		fprintf(stderr, "damaged %llu at %u/%u: %s\n", (unsigned long long)id, where.segment, where.offset,
			what);
	m->damaged++;
	m->damaged_unknown += id == 0;
	if (x)
		x->damaged = true;
}

void model_init(struct model *m)
{
	*m = (struct model){
		.replay = {m, on_message, on_outcome, on_held, on_redirected, on_returned, on_removed, on_damaged}};
}

/* ---- the spool ---- */

void spool_init(struct spool *s, uint32_t segment_size)
{
	*s = (struct spool){.segment_size = segment_size};
	snprintf(s->dir, sizeof(s->dir), "/tmp/spool-test-XXXXXX");
	if (!mkdtemp(s->dir))
		abort();
	faults_init(&s->faults);
	s->layout = (struct layout){.files = &s->faults.files, .spool = -1, .journal = -1, .body = -1, .lock = -1};
}

static void say(void *arg, const char *line)
{
	(void)arg;
	if (getenv("SPOOL_SHOW"))
		fprintf(stderr, "%s\n", line);
}

int spool_open(struct spool *s)
{
	struct buf errors;
	buf_init(&errors, 4096);
	model_init(&s->model);
	int err = layout_open(&s->layout, &s->faults.files, s->dir, &errors);
	if (err == 0) {
		struct journal_setup setup = {.files = &s->faults.files,
			.spool = s->layout.spool,
			.journal = s->layout.journal,
			.segment_size = s->segment_size,
			.wall_ms = 1000,
			.say = say};
		err = journal_open(&s->journal, &setup, &s->model.replay, &s->found, &errors);
		if (err)
			layout_close(&s->layout);
	}
	snprintf(s->errors, sizeof(s->errors), "%s", errors.data ? (char *)errors.data : "");
	if (getenv("SPOOL_SHOW") && err)
		fprintf(stderr, "%s", s->errors);
	buf_fini(&errors);
	return err;
}

int spool_recover(struct spool *s)
{
	struct layout l;
	struct recovery *r;
	struct buf errors;
	buf_init(&errors, 4096);
	model_init(&s->model);
	recovery_found_fini(&s->found);
	int err = layout_open_read(&l, &s->faults.files, s->dir, false, &errors);
	if (err)
		return err;
	struct recovery_setup setup = {.files = &s->faults.files, .spool = l.spool, .journal = l.journal, .say = say};
	err = recovery_run(&r, &setup, &s->model.replay, &errors);
	if (err == 0) {
		err = recovery_settle(r, NULL);
		recovery_free(r, &s->found);
	}
	layout_close(&l);
	buf_fini(&errors);
	return err;
}

void spool_close(struct spool *s)
{
	journal_close(s->journal, 2000);
	s->journal = NULL;
	layout_close(&s->layout);
	recovery_found_fini(&s->found);
}

void spool_kill(struct spool *s)
{
	s->faults.die_at = s->faults.die_at ? s->faults.die_at : 1;
	spool_close(s);
	s->faults.die_at = s->faults.changes = 0;
}

void spool_fini(struct spool *s)
{
	char command[128];
	spool_close(s);
	faults_fini(&s->faults);
	snprintf(command, sizeof(command), "rm -rf '%s'", s->dir);
	if (system(command))
		abort();
}

void spool_clear(struct spool *s)
{
	char path[128];
	spool_close(s);
	faults_fini(&s->faults);
	DIR *d = opendir(spool_path(s, "journal", path, sizeof(path)));
	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	faults_init(&s->faults);
}

char *spool_path(const struct spool *s, const char *name, char *out, size_t size)
{
	snprintf(out, size, "%s/%s", s->dir, name);
	return out;
}

size_t spool_segment_files(const struct spool *s)
{
	char path[128];
	size_t n = 0;
	DIR *d = opendir(spool_path(s, "journal", path, sizeof(path)));
	for (struct dirent *e; d && (e = readdir(d));)
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

/* ---- commits ---- */

static struct commit *commit_new(enum record_type type, uint64_t id, struct place previous, struct buf *meta)
{
	struct commit *c = calloc(1, sizeof(*c));
	if (!c)
		abort();
	c->type = type;
	c->id = id;
	c->previous = previous;
	c->meta = buf_detach(meta, &c->meta_len);
	return c;
}

static void envelope_for(uint64_t id, const char *sender, uint64_t size, struct buf *out)
{
	struct envelope_rcpt rcpt = {.address = "to@example.org"};
	struct envelope e = {.id = id,
		.arrival_ms = 1,
		.size = size,
		.sender = sender,
		.client = "192.0.2.1",
		.helo = "client.example",
		.reason = "",
		.rcpts = &rcpt,
		.rcpt_count = 1};
	if (envelope_encode(&e, out))
		abort();
}

static void content_for(struct commit *c, const char *content)
{
	c->content = body_new();
	if (!c->content || body_append(c->content, content, strlen(content)))
		abort();
}

struct commit *commit_message(uint64_t id, const char *sender, const char *content)
{
	struct buf meta;
	buf_init(&meta, 65536);
	envelope_for(id, sender, strlen(content), &meta);
	struct commit *c = commit_new(RECORD_MESSAGE, id, (struct place){0}, &meta);
	content_for(c, content);
	return c;
}

struct commit *commit_in_file(uint64_t id, const char *sender, uint64_t size, uint64_t checksum)
{
	struct buf meta;
	buf_init(&meta, 65536);
	envelope_for(id, sender, size, &meta);
	struct commit *c = commit_new(RECORD_MESSAGE, id, (struct place){0}, &meta);
	c->content = body_new();
	if (!c->content)
		abort();
	c->content->file = id;
	c->content->size = size;
	c->content->checksum = checksum;
	return c;
}

static void append_attempt(struct buf *out)
{
	struct attempt *a = attempt_new(5, "example.org");
	if (!a || attempt_encode(a, out))
		abort();
	attempt_free(a);
}

struct commit *commit_moved(uint64_t id, const char *sender, const char *content, struct place previous)
{
	struct buf envelope, attempt, meta;
	buf_init(&envelope, 65536);
	buf_init(&attempt, 65536);
	buf_init(&meta, 65536);
	envelope_for(id, sender, strlen(content), &envelope);
	append_attempt(&attempt);
	if (record_moved_begin(&meta, envelope.data, envelope.len, 1) ||
		record_moved_add(&meta, attempt.data, attempt.len))
		abort();
	struct commit *c = commit_new(RECORD_MOVED, id, previous, &meta);
	content_for(c, content);
	buf_fini(&envelope);
	buf_fini(&attempt);
	return c;
}

struct commit *commit_outcome(uint64_t id, struct place previous)
{
	struct buf meta;
	buf_init(&meta, 65536);
	append_attempt(&meta);
	return commit_new(RECORD_OUTCOME, id, previous, &meta);
}

struct commit *commit_reason(enum record_type type, uint64_t id, const char *reason, struct place previous)
{
	struct buf meta;
	buf_init(&meta, 65536);
	if (buf_append_str(&meta, reason))
		abort();
	return commit_new(type, id, previous, &meta);
}

struct commit *commit_group(struct commit *first, struct commit *second)
{
	first->group = second;
	return first;
}

void commit_drop(struct commit *c)
{
	while (c) {
		struct commit *next = c->group;
		body_unref(c->content);
		free((void *)(uintptr_t)c->meta);
		free(c);
		c = next;
	}
}

int spool_write(struct spool *s, struct commit *a, struct commit *b, struct commit *c, struct commit *d)
{
	struct commit *all[4] = {a, b, c, d};
	size_t n = 0;
	while (n < 4 && all[n])
		n++;
	return journal_write(s->journal, all, n, 1500, &s->mark);
}

char *spool_content(struct spool *s, struct place at)
{
	struct segment segment;
	struct record head;
	char path[128];
	char *out = NULL;
	int journal = open(spool_path(s, "journal", path, sizeof(path)), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (segment_open(&segment, &files_system, journal, at.segment, false) == 0) {
		if (segment_read(&segment, at.offset, &head, NULL) == 0 &&
			segment_check_body(&segment, at.offset, &head) == 0) {
			out = calloc(1, head.body_len + 1ul);
			if (out && pread(segment.fd, out, head.body_len, (off_t)segment_body_at(at.offset, &head)) < 0)
				abort();
		}
		segment_close(&segment);
	}
	close(journal);
	return out;
}
