/* queue/spool/journal.c: plumbing. */
#include "queue/spool/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "conf/counter.h"
#include "queue/spool/segment.h"

enum { READY_LEAST = 1, READY_MOST = 2, VOID_FIXED = 20 };

struct journal {
	struct journal_setup setup;

	/* the commit thread's */
	struct segment current; /* fd -1: none is open */
	uint32_t offset;	/* end of the journal */
	uint64_t batch;		/* number of the last batch begun */
	bool durable;		/* a batch stands in the current segment for good */
	bool abandoned;		/* a write to the current segment failed */
	uint64_t void_from;	/* while broken: the first batch that failed */
	uint64_t *void_ids;
	uint32_t void_count;
	XXH3_state_t *sum;
	uint8_t *scratch;
	size_t scratch_cap;
	struct iovec *iov;
	size_t iov_cap;

	pthread_mutex_t make; /* held while a file is made or recycled; taken before `lock` */

	pthread_mutex_t lock; /* what follows */
	uint32_t oldest;      /* not freed */
	uint32_t freed;	      /* `oldest` as the last durable COMMIT says: files below may be used again */
	uint32_t files_from;  /* the lowest file */
	uint32_t writing;     /* number of the current segment */
	uint32_t highest;     /* the highest file; above `writing`: ready */
	uint64_t *bytes;      /* of records, from segment bytes_from on */
	size_t bytes_count, bytes_cap;
	uint32_t bytes_from;
	uint64_t written;
	uint32_t end; /* offset, for the status */

	atomic_bool broken;
	_Atomic uint64_t ceiling_wanted, ceiling;
};

/* ---- sizes ---- */

static uint32_t body_length(const struct commit *c)
{
	if (!c->content)
		return 0;
	return c->content->file ? RECORD_REFERENCE : (uint32_t)c->content->size;
}

uint64_t journal_bytes(const struct commit *c)
{
	uint64_t n = 0;
	for (; c; c = c->group) {
		if (c->meta_len > RECORD_META_MAX || (c->content && !c->content->file && c->content->size > UINT32_MAX))
			return UINT64_MAX;
		n += record_span((uint32_t)c->meta_len, body_length(c));
	}
	return n;
}

unsigned journal_records(const struct commit *c)
{
	unsigned n = 0;
	for (; c; c = c->group)
		n++;
	return n;
}

static uint64_t void_span(uint32_t ids)
{
	return record_span(VOID_FIXED + ids * 8, 0);
}

static uint64_t commit_span(size_t records)
{
	return record_span((uint32_t)(RECORD_COMMIT_FIXED + records * RECORD_LISTED), 0);
}

uint64_t journal_batch_max(const struct journal *j)
{
	uint64_t usable = j->setup.segment_size - SEGMENT_FIRST - RECORD_HEADER;
	uint64_t own = void_span(RECORD_BATCH_MAX) + commit_span(RECORD_BATCH_MAX + 1);
	/* Each record is at least 64 bytes and adds 13 to the COMMIT and at most 8 to a VOID: less than a third. */
	uint64_t small = (usable - 256) / 4 * 3;
	return usable > own && usable - own > small ? usable - own : small;
}

/* ---- counts of segments; under the lock ---- */

static void set_bytes(struct journal *j, uint32_t segment, uint64_t bytes)
{
	if (j->bytes_count == 0)
		j->bytes_from = segment;
	size_t at = segment - j->bytes_from;
	if (segment < j->bytes_from)
		return;
	if (at >= j->bytes_cap) {
		size_t cap = at * 2 + 16;
		uint64_t *more = reallocarray(j->bytes, cap, sizeof(*more));
		if (!more)
			return; /* a figure for reclaim only */
		j->bytes = more;
		j->bytes_cap = cap;
	}
	for (; j->bytes_count <= at; j->bytes_count++)
		j->bytes[j->bytes_count] = 0;
	j->bytes[at] = bytes;
}

static void forget_bytes(struct journal *j, uint32_t below)
{
	size_t n = below > j->bytes_from ? below - j->bytes_from : 0;
	if (n > j->bytes_count)
		n = j->bytes_count;
	if (n == 0)
		return;
	memmove(j->bytes, j->bytes + n, (j->bytes_count - n) * sizeof(*j->bytes));
	j->bytes_count -= n;
	j->bytes_from += (uint32_t)n;
}

/* ---- the segment to write to ---- */

/* Room for `need` bytes with the two headers. */
static uint32_t size_for(const struct journal *j, uint64_t need)
{
	uint64_t least = need + 2 * RECORD_HEADER;
	return least > j->setup.segment_size ? (uint32_t)least : j->setup.segment_size;
}

/* With `make` held. */
static void note_made(struct journal *j, uint32_t number)
{
	pthread_mutex_lock(&j->lock);
	if (number > j->highest)
		j->highest = number;
	pthread_mutex_unlock(&j->lock);
}

/* Makes segment `number` unless it is ready (a worker may have been at it). */
static int make_segment(struct journal *j, uint32_t number, bool again, uint32_t size)
{
	int err = 0;
	pthread_mutex_lock(&j->make);
	pthread_mutex_lock(&j->lock);
	bool ready = number <= j->highest && !again;
	pthread_mutex_unlock(&j->lock);
	if (!ready)
		err = segment_make(j->setup.files, j->setup.journal, number, size);
	if (err == 0)
		note_made(j, number); /* or a worker that waits for `make` makes it again, under our feet */
	pthread_mutex_unlock(&j->make);
	return err;
}

/* Opens segment `number`, making it first if it is not ready or `again`. */
static int begin_segment(struct journal *j, uint32_t number, bool again, uint32_t size)
{
	struct segment s;
	pthread_mutex_lock(&j->lock);
	bool ready = number <= j->highest && !again;
	pthread_mutex_unlock(&j->lock);
	int err = ready ? 0 : make_segment(j, number, again, size);
	if (err == 0)
		err = segment_open(&s, j->setup.files, j->setup.journal, number, true);
	if (err == -EBADMSG || err == -ENOENT) { /* it was ready and went bad: nothing stands in it yet */
		err = make_segment(j, number, true, size);
		if (err == 0)
			err = segment_open(&s, j->setup.files, j->setup.journal, number, true);
	}
	if (err)
		return err;
	segment_close(&j->current);
	j->current = s;
	j->offset = SEGMENT_FIRST;
	j->durable = j->abandoned = false;
	pthread_mutex_lock(&j->lock);
	j->writing = number;
	j->end = j->offset;
	set_bytes(j, number, 0);
	COUNT_SET(journal_segments, j->writing - j->oldest + 1);
	pthread_mutex_unlock(&j->lock);
	return 0;
}

/* A segment in which `need` bytes fit at j->offset. A failed segment without a durable batch is made anew under its
 * number, so that a disk that fails for hours does not leave one file for each try. */
static int find_room(struct journal *j, uint64_t need)
{
	while (j->current.fd < 0 || j->abandoned || j->offset + need > segment_end(&j->current)) {
		bool again = j->abandoned && !j->durable;
		int err = begin_segment(j, again ? j->writing : j->writing + 1, again, size_for(j, need));
		if (err)
			return err;
	}
	return 0;
}

/* ---- laying out a batch ---- */

struct pen {
	struct journal *j;
	uint8_t *next; /* free part of the scratch */
	size_t iov;
	uint32_t offset;
	uint8_t again;
	uint8_t *list; /* of the COMMIT */
	uint32_t listed;
};

static const uint8_t zeros[RECORD_ALIGN];

static void put_bytes(struct pen *o, const void *p, size_t n)
{
	if (n)
		o->j->iov[o->iov++] = (struct iovec){(void *)(uintptr_t)p, n};
}

/* Everything is lent until the batch is written. */
static struct place put_record(struct pen *o, struct record *head, const uint8_t *meta, const struct body *body)
{
	struct journal *j = o->j;
	struct place at = {j->current.number, o->offset};
	uint64_t seed = record_seed(j->current.seed, o->offset);
	uint64_t span = record_span(head->meta_len, head->body_len);
	uint8_t *header = o->next;
	o->next += RECORD_HEADER;
	put_bytes(o, header, RECORD_HEADER);
	put_bytes(o, meta, head->meta_len);
	head->batch = j->batch + 1;
	head->flags |= o->again;
	head->meta_sum = record_sum(seed, meta, head->meta_len);
	if (body && body->file) {
		struct record_reference ref = {body->file, body->size, body->checksum};
		record_reference_encode(&ref, o->next);
		put_bytes(o, o->next, RECORD_REFERENCE);
		head->flags |= RECORD_IN_FILE;
		head->body_sum = record_sum(seed, o->next, RECORD_REFERENCE);
		o->next += RECORD_REFERENCE;
	} else {
		XXH3_64bits_reset_withSeed(j->sum, seed);
		for (const struct body_chunk *c = body ? body->first : NULL; c; c = c->next) {
			XXH3_64bits_update(j->sum, c->data, c->len);
			put_bytes(o, c->data, c->len);
		}
		head->body_sum = XXH3_64bits_digest(j->sum);
	}
	put_bytes(o, zeros, (size_t)(span - RECORD_HEADER - head->meta_len - head->body_len));
	record_encode(head, seed, header);
	if (head->type != RECORD_COMMIT) {
		struct record_listed l = {(uint8_t)head->type, o->offset, head->id};
		record_listed_encode(&l, o->list + (size_t)o->listed++ * RECORD_LISTED);
	}
	o->offset += (uint32_t)span;
	return at;
}

static void put_group(struct pen *o, struct commit *group)
{
	for (struct commit *c = group; c; c = c->group) {
		struct record head = {
			.type = c->type,
			.flags = (uint8_t)((c == group ? RECORD_GROUP_FIRST : 0) | (c->group ? 0 : RECORD_GROUP_LAST)),
			.id = c->id,
			.meta_len = (uint32_t)c->meta_len,
			.body_len = body_length(c),
			.previous = c->previous,
		};
		c->place = put_record(o, &head, c->meta, c->content);
	}
}

/* What a batch will take. */
struct measure {
	size_t records, messages, iovs;
	uint64_t bytes, scratch;
};

static int measure(const struct journal *j, struct commit *const *batch, size_t count, struct measure *m)
{
	*m = (struct measure){.iovs = 2 * 4, .bytes = 0};
	for (size_t i = 0; i < count; i++) {
		uint64_t bytes = journal_bytes(batch[i]);
		if (bytes > UINT32_MAX)
			return -EMSGSIZE;
		m->bytes += bytes;
		for (const struct commit *c = batch[i]; c; c = c->group) {
			m->records++;
			m->messages += c->type == RECORD_MESSAGE;
			m->iovs += 4;
			for (const struct body_chunk *k = c->content ? c->content->first : NULL; k; k = k->next)
				m->iovs++;
		}
	}
	if (m->records > RECORD_BATCH_MAX || m->bytes > UINT32_MAX / 2)
		return -EMSGSIZE;
	bool broken = atomic_load(&j->broken);
	m->bytes += broken ? void_span(j->void_count) : 0;
	m->bytes += commit_span(m->records + broken);
	m->scratch = (m->records + 2) * (RECORD_HEADER + RECORD_REFERENCE) + VOID_FIXED + j->void_count * 8ul +
		     RECORD_COMMIT_FIXED + (m->records + 1) * RECORD_LISTED;
	return 0;
}

/* All memory that the batch needs, and that its failure would need. */
static int reserve(struct journal *j, const struct measure *m)
{
	if (m->scratch > j->scratch_cap) {
		uint8_t *more = realloc(j->scratch, m->scratch);
		if (!more)
			return -ENOMEM;
		j->scratch = more;
		j->scratch_cap = m->scratch;
	}
	if (m->iovs > j->iov_cap) {
		struct iovec *more = reallocarray(j->iov, m->iovs, sizeof(*more));
		if (!more)
			return -ENOMEM;
		j->iov = more;
		j->iov_cap = m->iovs;
	}
	size_t ids = j->void_count + m->messages;
	if (ids == 0)
		return 0;
	uint64_t *more = reallocarray(j->void_ids, ids, sizeof(*more));
	if (!more)
		return -ENOMEM;
	j->void_ids = more;
	return 0;
}

static int put_void(struct pen *o)
{
	struct journal *j = o->j;
	struct buf b;
	buf_init(&b, VOID_FIXED + j->void_count * 8ul);
	int err = record_void_encode(j->void_from, j->batch, j->void_ids, j->void_count, &b);
	if (err == 0) {
		uint8_t *meta = o->next;
		memcpy(meta, b.data, b.len);
		o->next += b.len;
		struct record head = {
			.type = RECORD_VOID,
			.flags = RECORD_GROUP_FIRST | RECORD_GROUP_LAST,
			.meta_len = (uint32_t)b.len,
		};
		put_record(o, &head, meta, NULL);
	}
	buf_fini(&b);
	return err;
}

static void put_commit(struct pen *o, uint8_t *meta, uint64_t ceiling, uint64_t wall_ms, uint32_t oldest)
{
	struct record_commit c = {
		.first = o->j->offset,
		.ceiling_ms = ceiling,
		.wall_ms = wall_ms,
		.oldest = oldest,
		.count = o->listed,
	};
	record_commit_encode(&c, meta);
	struct record head = {
		.type = RECORD_COMMIT,
		.flags = RECORD_GROUP_FIRST | RECORD_GROUP_LAST,
		.meta_len = (uint32_t)(RECORD_COMMIT_FIXED + (size_t)o->listed * RECORD_LISTED),
	};
	put_record(o, &head, meta, NULL);
}

/* ---- writing ---- */

/* The batch may be on disk in any part: nothing is written to this segment any more. */
static void note_failure(struct journal *j, struct commit *const *batch, size_t count)
{
	COUNT(journal_failures);
	j->batch++;
	j->abandoned = true;
	if (!atomic_load(&j->broken))
		j->void_from = j->batch;
	for (size_t i = 0; i < count; i++)
		for (const struct commit *c = batch[i]; c; c = c->group)
			if (c->type == RECORD_MESSAGE && j->void_count < RECORD_BATCH_MAX)
				j->void_ids[j->void_count++] = c->id;
	atomic_store(&j->broken, true);
}

static void note_success(struct journal *j, const struct pen *o, uint64_t ceiling, uint32_t oldest, size_t records)
{
	uint64_t bytes = o->offset - j->offset;
	j->batch++;
	j->offset = o->offset;
	j->durable = true;
	j->void_count = 0;
	atomic_store(&j->broken, false);
	atomic_store(&j->ceiling, ceiling);
	pthread_mutex_lock(&j->lock);
	j->freed = oldest;
	j->end = j->offset;
	j->written += bytes;
	set_bytes(j, j->writing, j->offset - SEGMENT_FIRST);
	pthread_mutex_unlock(&j->lock);
	COUNT(journal_batches);
	COUNT_N(journal_records, records);
	COUNT_N(journal_bytes, bytes);
}

static int write_batch(
	struct journal *j, struct commit *const *batch, size_t count, const struct measure *m, uint64_t wall_ms)
{
	uint64_t ceiling = atomic_load(&j->ceiling_wanted);
	pthread_mutex_lock(&j->lock);
	uint32_t oldest = j->oldest;
	pthread_mutex_unlock(&j->lock);

	bool again = atomic_load(&j->broken);
	struct pen o = {.j = j, .next = j->scratch, .offset = j->offset, .again = again ? RECORD_AGAIN : 0};
	uint8_t *commit_meta = o.next;
	o.list = commit_meta + RECORD_COMMIT_FIXED;
	o.next += RECORD_COMMIT_FIXED + (m->records + 1) * RECORD_LISTED;
	int err = again ? put_void(&o) : 0;
	if (err)
		return err;
	for (size_t i = 0; i < count; i++)
		put_group(&o, batch[i]);
	put_commit(&o, commit_meta, ceiling, wall_ms, oldest);

	const struct files *f = j->setup.files;
	err = files_write(f, j->current.fd, j->iov, o.iov, j->offset);
	if (err == 0)
		err = f->datasync(f->arg, j->current.fd);
	if (err)
		note_failure(j, batch, count);
	else
		note_success(j, &o, ceiling, oldest, m->records);
	return err;
}

static int write_measured(
	struct journal *j, struct commit *const *batch, size_t count, const struct measure *m, uint64_t wall_ms)
{
	int err = reserve(j, m);
	if (err == 0)
		err = find_room(j, m->bytes);
	return err ? err : write_batch(j, batch, count, m, wall_ms);
}

int journal_write(
	struct journal *j, struct commit *const *batch, size_t count, uint64_t wall_ms, struct journal_mark *end)
{
	struct measure m;
	int err = measure(j, batch, count, &m);
	if (err == 0 && m.bytes > j->setup.segment_size - SEGMENT_FIRST - RECORD_HEADER)
		err = -EMSGSIZE;
	if (err == 0)
		err = write_measured(j, batch, count, &m, wall_ms);
	if (err == 0 && end)
		*end = (struct journal_mark){j->writing, j->offset, j->batch};
	return err;
}

bool journal_broken(const struct journal *j)
{
	return atomic_load(&j->broken);
}

void journal_set_ceiling(struct journal *j, uint64_t ceiling_ms)
{
	uint64_t now = atomic_load(&j->ceiling_wanted);
	while (now < ceiling_ms && !atomic_compare_exchange_weak(&j->ceiling_wanted, &now, ceiling_ms))
		;
}

uint64_t journal_ceiling(const struct journal *j)
{
	return atomic_load(&j->ceiling);
}

/* ---- segments ---- */

int journal_free(struct journal *j, uint32_t segment)
{
	pthread_mutex_lock(&j->lock);
	int err = segment == j->oldest && segment < j->writing ? 0 : -EINVAL;
	if (err == 0) {
		j->oldest++;
		forget_bytes(j, j->oldest);
		COUNT_SET(journal_segments, j->writing - j->oldest + 1);
	}
	pthread_mutex_unlock(&j->lock);
	return err;
}

bool journal_wants_prepare(struct journal *j)
{
	pthread_mutex_lock(&j->lock);
	bool wants = j->files_from < j->freed || j->highest - j->writing < READY_LEAST;
	pthread_mutex_unlock(&j->lock);
	return wants;
}

/* The lowest freed file gets a new life at the journal's head, or goes. */
static int use_again(struct journal *j, uint32_t from, uint32_t number, bool wanted)
{
	const struct files *f = j->setup.files;
	char name[SEGMENT_NAME];
	int err = wanted ? segment_recycle(f, j->setup.journal, from, number, j->setup.segment_size) : -EBADMSG;
	bool recycled = err == 0;
	if (err == -EBADMSG) {
		err = f->unlink(f->arg, j->setup.journal, segment_name(from, name));
		if (err == 0)
			err = f->sync(f->arg, j->setup.journal);
	}
	if (err == -ENOENT)
		err = 0;
	if (err)
		return err;
	pthread_mutex_lock(&j->lock);
	j->files_from = from + 1;
	if (recycled)
		j->highest = number;
	pthread_mutex_unlock(&j->lock);
	return 0;
}

int journal_prepare(struct journal *j)
{
	int err = 0;
	pthread_mutex_lock(&j->make);
	for (bool more = true; more && err == 0;) {
		pthread_mutex_lock(&j->lock);
		uint32_t from = j->files_from, number = j->highest + 1, ready = j->highest - j->writing;
		bool freed = from < j->freed;
		pthread_mutex_unlock(&j->lock);
		more = freed || ready < READY_LEAST;
		if (freed) {
			err = use_again(j, from, number, ready < READY_MOST);
		} else if (more) {
			err = segment_make(j->setup.files, j->setup.journal, number, j->setup.segment_size);
			if (err == 0)
				note_made(j, number);
		}
	}
	pthread_mutex_unlock(&j->make);
	return err;
}

void journal_status(struct journal *j, struct journal_status *out)
{
	pthread_mutex_lock(&j->lock);
	*out = (struct journal_status){
		.oldest = j->oldest,
		.current = j->writing,
		.ready = j->highest - j->writing,
		.offset = j->end,
		.segment_size = j->setup.segment_size,
		.written = j->written,
	};
	for (size_t i = 0; i < j->bytes_count; i++)
		out->bytes += j->bytes[i];
	pthread_mutex_unlock(&j->lock);
}

uint64_t journal_segment_bytes(struct journal *j, uint32_t segment)
{
	pthread_mutex_lock(&j->lock);
	uint64_t n = 0;
	if (segment >= j->bytes_from && segment - j->bytes_from < j->bytes_count)
		n = j->bytes[segment - j->bytes_from];
	pthread_mutex_unlock(&j->lock);
	return n;
}

/* ---- start and end ---- */

/* Files below the oldest segment: freed ones that were about to get another number. */
static int unlink_stale(struct journal *j, uint32_t oldest)
{
	int fd = openat(j->setup.journal, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	int err = d ? 0 : -errno;
	bool any = false;
	if (!d && fd >= 0)
		close(fd);
	for (struct dirent *e; d && err == 0 && (e = readdir(d));) {
		uint32_t number = segment_name_parse(e->d_name);
		if (number == 0 || (oldest && number >= oldest))
			continue;
		any = true;
		err = j->setup.files->unlink(j->setup.files->arg, j->setup.journal, e->d_name);
	}
	if (d)
		closedir(d);
	return err == 0 && any ? j->setup.files->sync(j->setup.files->arg, j->setup.journal) : err;
}

/* A record of the last batch as a commit that says the same again. */
static int commit_again(struct journal *j, const struct recovery_record *r, struct segment *s, struct commit *c)
{
	*c = (struct commit){
		.type = r->head.type,
		.id = r->head.id,
		.previous = r->head.previous,
		.meta = r->meta,
		.meta_len = r->head.meta_len,
	};
	if (r->head.body_len == 0 && r->head.type != RECORD_MESSAGE && r->head.type != RECORD_MOVED)
		return 0;
	int err = s->fd >= 0 ? 0 : segment_open(s, j->setup.files, j->setup.journal, r->at.segment, false);
	uint8_t *bytes = malloc((size_t)r->head.body_len + 1);
	c->content = body_new();
	if (err == 0 && (!bytes || !c->content))
		err = -ENOMEM;
	if (err == 0) {
		ssize_t got =
			files_read(s->files, s->fd, bytes, r->head.body_len, segment_body_at(r->at.offset, &r->head));
		err = got < 0 ? (int)got : got != (ssize_t)r->head.body_len ? -EBADMSG : 0;
	}
	struct record_reference ref;
	if (err == 0 && (r->head.flags & RECORD_IN_FILE)) {
		err = record_reference_decode(&ref, bytes, r->head.body_len);
		c->content->file = ref.file;
		c->content->size = ref.size;
		c->content->checksum = ref.checksum;
	} else if (err == 0) {
		err = body_append(c->content, bytes, r->head.body_len);
	}
	free(bytes);
	return err;
}

/* Step 13 of the crash table: what counts of the last batch stands behind a VOID in a new segment afterwards. */
static int write_again(struct journal *j, const struct recovery_record *last, size_t count, struct place *places)
{
	struct commit *commits = calloc(count + 1, sizeof(*commits));
	struct commit **heads = calloc(count + 1, sizeof(struct commit *));
	struct segment from = {.fd = -1};
	struct measure m;
	size_t groups = 0;
	bool again = atomic_load(&j->broken);
	int err = commits && heads ? 0 : -ENOMEM;
	for (size_t i = 0; i < count && err == 0; i++) {
		err = commit_again(j, &last[i], &from, &commits[i]);
		if (last[i].head.flags & RECORD_GROUP_FIRST)
			heads[groups++] = &commits[i];
		else
			commits[i - 1].group = &commits[i];
	}
	if (err == 0)
		err = measure(j, heads, groups, &m);
	if (err == 0)
		err = write_measured(j, heads, groups, &m, j->setup.wall_ms);
	if (err == 0 && again)
		err = journal_write(j, NULL, 0, j->setup.wall_ms, NULL);
	for (size_t i = 0; i < count && commits; i++) {
		places[i] = commits[i].place;
		body_unref(commits[i].content);
	}
	segment_close(&from);
	free(heads);
	free(commits);
	return err;
}

static void take_over(struct journal *j, const struct recovery *r, const struct recovery_end *e)
{
	j->oldest = j->files_from = j->freed = e->oldest ? e->oldest : e->newest + 1;
	j->writing = e->used;
	j->highest = e->newest;
	j->batch = e->highest;
	for (uint32_t n = j->oldest; n <= e->used; n++)
		set_bytes(j, n, recovery_segment_bytes(r, n));
	atomic_store(&j->ceiling, recovery_found(r)->floor_ms);
	atomic_store(&j->ceiling_wanted, recovery_found(r)->floor_ms);
}

/* Brings the journal to where it can be written on, and replays the last batch. */
static int go_on(struct journal *j, struct recovery *r)
{
	struct recovery_end e;
	size_t count;
	const struct recovery_record *last = recovery_last(r, &count);
	recovery_end(r, &e);
	take_over(j, r, &e);
	int err = unlink_stale(j, e.oldest);
	if (err)
		return err;
	if (e.settled) {
		err = segment_open(&j->current, j->setup.files, j->setup.journal, e.current, true);
		if (err) {
			j->current.fd = -1;
			return err;
		}
		j->offset = j->end = e.offset;
		j->durable = e.offset > SEGMENT_FIRST;
		return recovery_settle(r, NULL);
	}
	struct place *places = calloc(count + 1, sizeof(*places));
	if (!places)
		return -ENOMEM;
	if (e.void_from) {
		j->void_from = e.void_from;
		atomic_store(&j->broken, true);
	}
	err = write_again(j, last, count, places);
	if (err == 0)
		err = recovery_settle(r, places);
	free(places);
	return err;
}

int journal_open(struct journal **out, const struct journal_setup *setup, const struct store_replay *replay,
	struct recovery_found *found, struct buf *errors)
{
	struct recovery *r = NULL;
	struct recovery_setup reading = {.files = setup->files,
		.spool = setup->spool,
		.journal = setup->journal,
		.say = setup->say,
		.arg = setup->arg};
	if (setup->segment_size < SEGMENT_SIZE_MIN || setup->segment_size % RECORD_ALIGN)
		return -EINVAL;
	struct journal *j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	j->setup = *setup;
	j->current.fd = -1;
	pthread_mutex_init(&j->make, NULL);
	pthread_mutex_init(&j->lock, NULL);
	j->sum = XXH3_createState();
	int err = j->sum ? recovery_run(&r, &reading, replay, errors) : -ENOMEM;
	if (err == 0) {
		err = go_on(j, r);
		if (err)
			buf_printf(errors, "the spool's journal cannot be written: %s\n", strerror(-err));
	}
	recovery_free(r, err ? NULL : found);
	if (err) {
		atomic_store(&j->broken, true); /* no batch at its end */
		journal_close(j, 0);
		return err;
	}
	*out = j;
	return 0;
}

void journal_close(struct journal *j, uint64_t wall_ms)
{
	if (!j)
		return;
	if (!atomic_load(&j->broken))
		journal_write(j, NULL, 0, wall_ms, NULL);
	segment_close(&j->current);
	pthread_mutex_destroy(&j->make);
	pthread_mutex_destroy(&j->lock);
	XXH3_freeState(j->sum);
	free(j->void_ids);
	free(j->scratch);
	free(j->iov);
	free(j->bytes);
	free(j);
}
