/* queue/spool/store.c: plumbing. */
#include "queue/spool/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "conf/clock.h"
#include "conf/counter.h"
#include "conf/log.h"
#include "queue/spool/checkpoint.h"
#include "queue/spool/committer.h"
#include "queue/spool/journal.h"
#include "queue/spool/layout.h"
#include "queue/spool/segments.h"
#include "queue/spool/snapshot.h"
#include "queue/spool/unlinker.h"
#include "queue/spool/worker.h"

enum {
	CEILING_AHEAD_MS = 3600000,
	CEILING_RENEW_MS = 1800000,
	CEILING_LEAST_MS = 60000, /* above the floor: room for four thousand million IDs a giver */
	MIN_FREE_FILES = 1000,
	SPARE_SEGMENTS = 8, /* the journal may grow by so many above twice what lives in it before mail is moved; */
	SPARE_TIGHT = 2,    /* when space is short, by so many above one and a half times that */
};

struct store {
	struct layout layout;
	struct journal *journal;
	struct segments segments;
	struct workers *workers;
	struct committer *committer;
	struct body_files bodies;
	struct unlinker unlinker;
	struct snapshot snapshot;
	uint64_t floor_ms, newest_ms;
	uint64_t ceiling_ms; /* asked for; the queue thread's */
	_Atomic uint64_t min_free, checkpoint;

	pthread_mutex_t releasing; /* segments go to the journal oldest first */
	struct job prepare;
	atomic_bool preparing;
	atomic_int prepare_err; /* of the last one */

	struct job measure;
	atomic_bool measuring;
	_Atomic uint64_t free_bytes, free_files;
	_Atomic uint64_t measured_at; /* bodies.written before */

	/* the queue thread's */
	uint64_t checkpoint_written; /* bytes written when the last checkpoint began */
	uint64_t snapshot_written;   /* when the one under way did */
	void (*checkpoint_done)(void *arg, int err);
	void *checkpoint_arg;
};

#define STORE_OF(job, member) ((struct store *)(void *)((char *)(job)-offsetof(struct store, member)))

/* ---- segments ahead ---- */

static void run_prepare(struct job *job)
{
	struct store *s = STORE_OF(job, prepare);
	int err = journal_prepare(s->journal);
	int before = atomic_exchange(&s->prepare_err, err);
	if (err != 0 && err != before)
		LOG_ERR("segment-not-made", LF_STR("error", strerror(-err)));
	else if (err == 0 && before != 0)
		LOG_WARN("segment-made-again", LF_STR("before", strerror(-before)));
	committer_note_spares(s->committer, err);
}

static void prepare(struct store *s);

static void on_prepared(struct job *job)
{
	struct store *s = STORE_OF(job, prepare);
	atomic_store(&s->preparing, false);
	if (atomic_load(&s->prepare_err) == 0)
		prepare(s);
}

/* Any thread. */
static void prepare(struct store *s)
{
	if (!journal_wants_prepare(s->journal) || atomic_exchange(&s->preparing, true))
		return;
	s->prepare.run = run_prepare;
	s->prepare.home = NULL;
	s->prepare.ended = on_prepared;
	workers_submit(s->workers, NULL, &s->prepare);
}

static void on_wrote(void *arg)
{
	struct store *s = arg;
	if (atomic_load(&s->prepare_err) == 0) /* else once a second */
		prepare(s);
}

/* ---- space ---- */

static void measure(struct store *s)
{
	struct statvfs v;
	uint64_t written = atomic_load(&s->bodies.written);
	if (fstatvfs(s->layout.spool, &v) != 0)
		return; /* what was known stays */
	atomic_store(&s->free_bytes, (uint64_t)v.f_bavail * v.f_frsize);
	atomic_store(&s->measured_at, written);
	atomic_store(&s->free_files, v.f_files == 0 ? UINT64_MAX : (uint64_t)v.f_favail); /* 0: made as needed */
}

static void run_measure(struct job *job)
{
	measure(STORE_OF(job, measure));
}

static void on_measured(struct job *job)
{
	atomic_store(&STORE_OF(job, measure)->measuring, false);
}

enum store_room store_room(const struct store *s, uint64_t size)
{
	if (committer_broken(s->committer))
		return STORE_BROKEN;
	uint64_t measured_at = atomic_load(&s->measured_at);
	uint64_t since = atomic_load(&s->bodies.written) - measured_at; /* a second is long for a fast disk */
	uint64_t have = atomic_load(&s->free_bytes);
	uint64_t keep = atomic_load(&s->min_free);
	have = have > since ? have - since : 0;
	if (have < keep || have - keep < size || atomic_load(&s->free_files) < MIN_FREE_FILES)
		return STORE_FULL;
	return committer_full(s->committer) ? STORE_FULL : STORE_OK;
}

void store_tick(struct store *s, uint64_t wall_ms)
{
	if (wall_ms + CEILING_RENEW_MS > s->ceiling_ms) {
		s->ceiling_ms = wall_ms + CEILING_AHEAD_MS;
		committer_want_ceiling(s->committer, s->ceiling_ms);
	}
	prepare(s);
	if (atomic_exchange(&s->measuring, true))
		return;
	s->measure.run = run_measure;
	s->measure.home = NULL;
	s->measure.ended = on_measured;
	workers_submit(s->workers, NULL, &s->measure);
}

uint64_t store_id_floor_ms(const struct store *s)
{
	return s->floor_ms;
}

const _Atomic uint64_t *store_id_ceiling_ms(const struct store *s)
{
	return committer_ceiling(s->committer);
}

uint64_t store_newest_ms(const struct store *s)
{
	return s->newest_ms;
}

/* ---- opening ---- */

void store_configure(struct store *s, const struct conf *conf)
{
	atomic_store(&s->bodies.inline_limit, conf->spool_io.inline_limit);
	atomic_store(&s->bodies.body_memory, conf->spool_io.body_memory);
	atomic_store(&s->min_free, conf->spool_io.min_free);
	atomic_store(&s->checkpoint, conf->spool_io.checkpoint);
	if (s->committer != NULL)
		committer_set_delay(s->committer, conf->spool_io.outcome_delay);
}

static int fail(struct buf *errors, const char *what, int err)
{
	buf_printf(errors, "%s: %s\n", what, strerror(-err));
	return err;
}

static void say_torn(void *arg, const char *line)
{
	(void)arg;
	LOG_WARN("record-torn", LF_STR("what", line));
}

/* Recovery, then one batch that says the first ceiling: behind it every ID below the ceiling may be given. */
static int open_journal(struct store *s, const struct conf *conf, const struct store_replay *replay,
	struct committer_setup *setup, struct buf *errors)
{
	struct journal_setup js = {.wall_ms = clock_wall_ms(),
		.say = say_torn,
		.files = s->layout.files,
		.spool = s->layout.spool,
		.journal = s->layout.journal,
		.segment_size = (uint32_t)(conf->spool_io.segment_size & ~(uint64_t)(RECORD_ALIGN - 1))};
	struct recovery_found found = {0};
	int err = journal_open(&s->journal, &js, replay, &found, errors);
	if (err != 0)
		return err;
	s->floor_ms = found.floor_ms;
	s->newest_ms = found.newest_ms;
	uint64_t orphans = 0;
	if (found.in_file_complete)
		err = layout_sweep_bodies(&s->layout, found.in_file, found.in_file_count, &orphans);
	LOG_INFO("spool-opened", LF_NUM("segments", found.segments), LF_NUM("records", found.records),
		LF_NUM("checkpoint-entries", found.checkpoint_entries), LF_NUM("damaged", found.damaged),
		LF_NUM("torn", found.torn), LF_NUM("voided", found.voided), LF_NUM("orphans", orphans));
	bool gate = found.checkpoint_used;
	recovery_found_fini(&found);
	if (err != 0)
		return fail(errors, "the body files cannot be read", err);
	setup->mark_wall_ms = clock_wall_ms();
	s->ceiling_ms = setup->mark_wall_ms + CEILING_AHEAD_MS;
	if (s->ceiling_ms < s->floor_ms + CEILING_LEAST_MS)
		s->ceiling_ms = s->floor_ms + CEILING_LEAST_MS;
	journal_set_ceiling(s->journal, s->ceiling_ms);
	err = journal_write(s->journal, NULL, 0, setup->mark_wall_ms, &setup->mark);
	if (err != 0)
		return fail(errors, "the journal cannot be written", err);
	struct journal_status st;
	journal_status(s->journal, &st);
	segments_begin(&s->segments, st.oldest);
	if (gate) /* where it begins is not known here, so what is freed waits for the next one */
		segments_set_checkpoint(&s->segments, st.oldest);
	err = segments_reach(&s->segments, st.current);
	return err != 0 ? fail(errors, "the table of segments", err) : 0;
}

static void close_all(struct store *s)
{
	committer_stop(s->committer);
	workers_stop(s->workers);
	committer_free(s->committer);
	snapshot_fini(&s->snapshot);
	unlinker_fini(&s->unlinker);
	segments_fini(&s->segments);
	journal_close(s->journal, clock_wall_ms());
	layout_close(&s->layout);
	pthread_mutex_destroy(&s->releasing);
	free(s);
}

static int start_threads(struct store *s, const struct conf *conf, struct committer_setup *setup, struct buf *errors)
{
	int err = workers_start(&s->workers, conf->disk_workers);
	if (err != 0)
		return fail(errors, "the disk workers cannot be started", err);
	s->bodies.workers = s->unlinker.workers = s->snapshot.workers = s->workers;
	setup->journal = s->journal;
	setup->segments = &s->segments;
	setup->batch_limit = conf->spool_io.batch_limit;
	setup->outcome_delay = conf->spool_io.outcome_delay;
	setup->wrote = on_wrote;
	setup->arg = s;
	err = committer_start(&s->committer, setup);
	if (err != 0)
		return fail(errors, "the commit thread cannot be started", err);
	return 0;
}

int store_open_on(struct store **out, const struct conf *conf, const struct files *files,
	const struct store_replay *replay, struct buf *errors)
{
	struct store *s = calloc(1, sizeof *s);
	if (s == NULL)
		return fail(errors, "the spool cannot be opened", -ENOMEM);
	int err = layout_open(&s->layout, files, conf->spool, errors);
	if (err != 0) {
		free(s);
		return err;
	}
	pthread_mutex_init(&s->releasing, NULL);
	segments_init(&s->segments);
	unlinker_init(&s->unlinker, NULL, &s->layout);
	snapshot_init(&s->snapshot, NULL);
	s->bodies.layout = &s->layout;
	store_configure(s, conf);
	atomic_store(&s->free_bytes, UINT64_MAX);
	atomic_store(&s->free_files, UINT64_MAX);
	measure(s);
	struct committer_setup setup = {0};
	err = open_journal(s, conf, replay, &setup, errors);
	if (err == 0)
		err = start_threads(s, conf, &setup, errors);
	if (err != 0) {
		close_all(s);
		return err;
	}
	on_wrote(s);
	*out = s;
	return 0;
}

int store_open(struct store **out, const struct conf *conf, const struct store_replay *replay, struct buf *errors)
{
	return store_open_on(out, conf, &files_system, replay, errors);
}

void store_close(struct store *s)
{
	if (s != NULL)
		close_all(s);
}

/* ---- contents, commits, histories ---- */

struct body_writer *body_writer_new(
	struct store *s, uint64_t id, struct mailbox *home, void (*drained)(void *arg), void *arg)
{
	return body_writer_open(&s->bodies, id, home, drained, arg);
}

void store_discard_body(struct store *s, struct body *body)
{
	if (body->file != 0)
		unlinker_add(&s->unlinker, body->file);
	body_unref(body);
}

void store_forget(struct store *s, uint64_t id)
{
	unlinker_add(&s->unlinker, id);
}

void store_commit(struct store *s, struct commit *c)
{
	committer_post(s->committer, c);
}

struct content_reader *content_reader_open(
	struct store *s, struct place content, struct mailbox *home, void (*ready)(void *arg), void *arg)
{
	return content_reader_start(s->workers, &s->layout, content, home, ready, arg);
}

void store_read_body(struct store *s, struct content_body *c)
{
	content_body_read(s->workers, &s->layout, c);
}

void store_read_history(struct store *s, struct store_history *h)
{
	history_read(s->workers, &s->layout, h);
}

/* ---- reclaim ---- */

static void release(struct store *s)
{
	pthread_mutex_lock(&s->releasing);
	bool any = false;
	for (uint32_t n; (n = segments_release(&s->segments)) != 0; any = true) {
		int err = journal_free(s->journal, n);
		if (err != 0)
			LOG_ERR("segment-not-freed", LF_NUM("segment", n), LF_STR("error", strerror(-err)));
	}
	pthread_mutex_unlock(&s->releasing);
	if (any)
		prepare(s);
}

void store_pin(struct store *s, struct place content)
{
	segments_pin(&s->segments, content.segment);
}

void store_unpin(struct store *s, struct place content)
{
	segments_unpin(&s->segments, content.segment);
	release(s);
}

uint32_t store_oldest_segment(struct store *s)
{
	return segments_oldest(&s->segments);
}

uint32_t store_reclaim_wanted(struct store *s, uint64_t live_bytes)
{
	struct journal_status st;
	bool tight = store_room(s, 0) == STORE_FULL;
	journal_status(s->journal, &st);
	uint64_t freed = segments_freed_bytes(&s->segments);
	uint64_t bytes = st.bytes > freed ? st.bytes - freed : 0;
	uint64_t spare = tight ? SPARE_TIGHT : SPARE_SEGMENTS;
	if (live_bytes != 0 &&
		(live_bytes > UINT64_MAX / 4 ||
			bytes <= live_bytes + (tight ? live_bytes / 2 : live_bytes) + spare * st.segment_size))
		return 0;
	return segments_oldest(&s->segments);
}

void store_free_segment(struct store *s, uint32_t segment)
{
	segments_free(&s->segments, segment, journal_segment_bytes(s->journal, segment));
	release(s);
}

/* ---- checkpoints ---- */

bool store_checkpoint_wanted(struct store *s)
{
	struct journal_status st;
	if (s->snapshot.active)
		return false;
	journal_status(s->journal, &st);
	return st.written - s->checkpoint_written >= atomic_load(&s->checkpoint) ||
	       segments_wait_for_checkpoint(&s->segments);
}

int store_checkpoint_begin(struct store *s, struct mailbox *home, void (*begun)(void *arg), void *arg)
{
	struct journal_status st;
	struct journal_mark mark;
	struct checkpoint_head head = {0};
	committer_mark(s->committer, &mark, &head.newest_ms);
	journal_status(s->journal, &st);
	head.at = (struct place){.segment = mark.segment, .offset = mark.offset};
	head.batch = mark.batch;
	head.ceiling_ms = journal_ceiling(s->journal);
	head.oldest = st.oldest;
	int err = snapshot_begin(&s->snapshot, s->layout.files, s->layout.spool, &head, home, begun, arg);
	if (err == 0)
		s->snapshot_written = st.written;
	return err;
}

int store_checkpoint_add(
	struct store *s, const struct envelope *e, struct place content, struct place newest, bool in_file)
{
	return snapshot_add(&s->snapshot, e, content, newest, in_file);
}

static void on_checkpoint(void *arg, int err)
{
	struct store *s = arg;
	s->checkpoint_written = s->snapshot_written; /* a failed one too: not again before the journal has grown */
	if (err == 0) {
		COUNT(checkpoints);
		segments_set_checkpoint(&s->segments, s->snapshot.head.at.segment);
	} else if (s->snapshot.dropped) {
		segments_set_checkpoint(&s->segments, 0);
	}
	release(s);
	s->checkpoint_done(s->checkpoint_arg, err);
}

void store_checkpoint_end(struct store *s, bool whole, void (*done)(void *arg, int err), void *arg)
{
	s->checkpoint_done = done;
	s->checkpoint_arg = arg;
	snapshot_end(&s->snapshot, whole, on_checkpoint, s);
}

/* ---- side state ---- */

int store_read_state(const struct store *s, const char *name, uint32_t version, struct buf *out)
{
	return sidestate_read(s->layout.files, s->layout.spool, name, version, out);
}

static void run_state(struct job *job)
{
	struct sidestate *f = (struct sidestate *)(void *)((char *)job - offsetof(struct sidestate, job));
	f->status = sidestate_write(f->files, f->spool, f->name, f->version, f->writing.data, f->writing.len);
}

static void on_state(struct letter *letter);

static void submit_state(struct sidestate *f)
{
	struct buf empty = f->writing;
	f->writing = f->content;
	f->content = empty;
	buf_reset(&f->content);
	f->busy = true;
	f->again = false;
	f->job.run = run_state;
	f->job.home = f->home;
	f->job.done = on_state;
	workers_submit(f->workers, NULL, &f->job);
}

static void on_state(struct letter *letter)
{
	struct sidestate *f = LETTER_OF(letter, struct sidestate, job.letter);
	f->busy = false;
	if (f->status != 0)
		LOG_ERR("state-not-written", LF_STR("file", f->name), LF_STR("error", strerror(-f->status)),
			LF_STR("what", "it holds until the next start"));
	if (f->again)
		submit_state(f);
}

void store_write_state(struct store *s, struct sidestate *f)
{
	f->files = s->layout.files;
	f->spool = s->layout.spool;
	f->workers = s->workers;
	f->again = true;
	if (!f->busy)
		submit_state(f);
}
