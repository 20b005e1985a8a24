/* queue/spool/committer.c: plumbing. */
#include "queue/spool/committer.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conf/clock.h"
#include "conf/counter.h"
#include "conf/log.h"
#include "queue/spool/record.h"

enum {
	RETRY_FIRST_MS = 50,
	RETRY_MAX_MS = 10000,
	COMMIT_SLACK = 4096, /* what a batch needs beside its records, apart from RECORD_LISTED for each */
};

/* Commits in the order in which they came, linked by `queued`. */
struct row {
	struct letter *first, *last;
};

struct committer {
	struct committer_setup setup;
	_Atomic uint64_t outcome_delay;
	struct mailbox mailbox;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool woken, stopping;	  /* lock */
	struct journal_mark mark; /* lock */
	uint64_t mark_wall_ms;	  /* lock */

	_Atomic uint64_t ceiling, wanted_ceiling;
	atomic_int spare_err;
	atomic_bool broken, full;

	/* the thread's own */
	struct row waiting;
	struct row retained; /* of failed batches */
	uint64_t since;	     /* when the oldest of `waiting` came, monotonic */
	uint64_t bytes;	     /* of `waiting` */
	unsigned urgent;     /* groups with a MESSAGE in `waiting` */
	uint64_t retry_at, retry_after;
	int last_error;
	struct commit **batch;
	size_t count;
};

static struct commit *commit_of(struct letter *l)
{
	return LETTER_OF(l, struct commit, queued);
}

static void row_append(struct row *r, struct commit *x)
{
	x->queued.next = NULL;
	if (r->first == NULL)
		r->first = &x->queued;
	else
		r->last->next = &x->queued;
	r->last = &x->queued;
}

static struct commit *row_take(struct row *r)
{
	struct commit *x = commit_of(r->first);
	r->first = r->first->next;
	return x;
}

/* Behind this `r` holds what `front` held, then what it held itself. */
static void row_prepend(struct row *r, struct row *front)
{
	if (front->first == NULL)
		return;
	front->last->next = r->first;
	if (r->first == NULL)
		r->last = front->last;
	r->first = front->first;
}

static bool has_message(const struct commit *x)
{
	for (; x != NULL; x = x->group)
		if (x->type == RECORD_MESSAGE)
			return true;
	return false;
}

/* ---- answers: behind the last letter of a commit it is not touched again ---- */

static void refuse(struct commit *x, int status)
{
	x->status = status;
	if (x->second_to != NULL)
		mailbox_post(x->second_to, &x->second, x->second_done);
	else if (x->first_to != NULL)
		mailbox_post(x->first_to, &x->first, x->first_done);
}

static void answer_batch(struct committer *c)
{
	for (size_t i = 0; i < c->count; i++) {
		struct commit *x = c->batch[i];
		bool more = x->second_to != NULL;
		x->status = 0;
		if (x->first_to != NULL)
			mailbox_post(x->first_to, &x->first, x->first_done);
		if (!more)
			c->batch[i] = NULL;
	}
	for (size_t i = 0; i < c->count; i++) {
		struct commit *x = c->batch[i];
		if (x != NULL)
			mailbox_post(x->second_to, &x->second, x->second_done);
	}
}

/* ---- gathering ---- */

static void gather(struct committer *c)
{
	for (struct letter *l; (l = mailbox_take(&c->mailbox)) != NULL;) {
		struct commit *x = commit_of(l);
		uint64_t bytes = journal_bytes(x);
		if (bytes > journal_batch_max(c->setup.journal) || journal_records(x) > RECORD_BATCH_MAX) {
			refuse(x, -EMSGSIZE);
			continue;
		}
		if (c->waiting.first == NULL)
			c->since = clock_mono_ms();
		row_append(&c->waiting, x);
		c->bytes += bytes;
		c->urgent += has_message(x);
	}
}

static void refuse_messages(struct committer *c, int status)
{
	struct row others = {NULL, NULL};
	if (c->urgent == 0)
		return;
	while (c->waiting.first != NULL) {
		struct commit *x = row_take(&c->waiting);
		if (!has_message(x)) {
			row_append(&others, x);
			continue;
		}
		c->bytes -= journal_bytes(x);
		refuse(x, status);
	}
	c->waiting = others;
	c->urgent = 0;
}

/* No segment could be made ahead: what is left is for outcomes. */
static void refuse_without_space(struct committer *c)
{
	int err = atomic_load(&c->spare_err);
	bool full = false;
	if (err == -ENOSPC || err == -EDQUOT) {
		struct journal_status st;
		journal_status(c->setup.journal, &st);
		uint64_t wanted = (c->bytes < c->setup.batch_limit ? c->bytes : c->setup.batch_limit) + COMMIT_SLACK +
				  (uint64_t)RECORD_LISTED * RECORD_BATCH_MAX;
		full = st.ready == 0 || (st.ready == 1 && wanted > st.segment_size - st.offset);
	}
	atomic_store(&c->full, full);
	if (full)
		refuse_messages(c, err);
}

/* Moves commits from `r` to the batch as far as there is room. False: no more fits. */
static bool fill(struct committer *c, struct row *r, uint64_t *bytes, unsigned *records)
{
	uint64_t limit = c->setup.batch_limit;
	if (limit > journal_batch_max(c->setup.journal))
		limit = journal_batch_max(c->setup.journal);
	while (r->first != NULL) {
		struct commit *x = commit_of(r->first);
		uint64_t more = journal_bytes(x);
		unsigned more_records = journal_records(x);
		if (c->count > 0 && (*bytes + more > limit || *records + more_records > RECORD_BATCH_MAX))
			return false;
		row_take(r);
		c->batch[c->count++] = x;
		*bytes += more;
		*records += more_records;
		if (r == &c->waiting) {
			c->bytes -= more;
			c->urgent -= has_message(x);
		}
	}
	return true;
}

/* ---- writing ---- */

static void on_success(struct committer *c, const struct journal_mark *end, uint64_t wall_ms)
{
	if (segments_reach(c->setup.segments, end->segment) != 0)
		LOG_WARN("segment-not-noted", LF_NUM("segment", end->segment)); /* it will never be reclaimed */
	atomic_store(&c->ceiling, journal_ceiling(c->setup.journal));
	if (c->retained.first == NULL && atomic_exchange(&c->broken, false))
		LOG_WARN("spool-recovered", LF_NUM("segment", end->segment), LF_NUM("records", c->count));
	answer_batch(c);
	pthread_mutex_lock(&c->lock);
	c->mark = *end;
	c->mark_wall_ms = wall_ms;
	pthread_mutex_unlock(&c->lock);
	c->retry_at = c->retry_after = 0;
}

static void on_failure(struct committer *c, int err)
{
	struct row kept = {NULL, NULL};
	size_t refused = 0;
	for (size_t i = 0; i < c->count; i++) {
		if (has_message(c->batch[i]))
			refused++;
		else
			row_append(&kept, c->batch[i]);
	}
	row_prepend(&c->retained, &kept);
	if (c->retained.first != NULL || journal_broken(c->setup.journal))
		atomic_store(&c->broken, true); /* before anybody hears of it */
	for (size_t i = 0; i < c->count; i++)
		if (has_message(c->batch[i]))
			refuse(c->batch[i], err);
	c->last_error = err;
	c->retry_after = c->retry_after == 0 ? RETRY_FIRST_MS : c->retry_after * 2;
	if (c->retry_after > RETRY_MAX_MS)
		c->retry_after = RETRY_MAX_MS;
	c->retry_at = clock_mono_ms() + c->retry_after;
	LOG_ERR("spool-write-failed", LF_STR("error", strerror(-err)), LF_NUM("messages-refused", refused),
		LF_NUM("records-kept", c->count - refused), LF_MS("retry", c->retry_after));
}

static void write_batch(struct committer *c)
{
	uint64_t bytes = 0;
	unsigned records = 0;
	c->count = 0;
	if (fill(c, &c->retained, &bytes, &records))
		fill(c, &c->waiting, &bytes, &records);
	journal_set_ceiling(c->setup.journal, atomic_load(&c->wanted_ceiling));
	struct journal_mark end;
	uint64_t wall_ms = clock_wall_ms();
	int err = journal_write(c->setup.journal, c->batch, c->count, wall_ms, &end);
	if (err == 0)
		on_success(c, &end, wall_ms);
	else
		on_failure(c, err);
	c->setup.wrote(c->setup.arg);
}

/* ---- the thread ---- */

static void wake(void *arg)
{
	struct committer *c = arg;
	pthread_mutex_lock(&c->lock);
	c->woken = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

/* Until a letter comes or the clock has `until`; UINT64_MAX: no clock. */
static void wait(struct committer *c, uint64_t until)
{
	struct timespec at = {.tv_sec = (time_t)(until / 1000), .tv_nsec = (long)(until % 1000) * 1000000};
	int err = 0;
	pthread_mutex_lock(&c->lock);
	while (!c->woken && err == 0) {
		if (until == UINT64_MAX)
			pthread_cond_wait(&c->wake, &c->lock);
		else
			err = pthread_cond_timedwait(&c->wake, &c->lock, &at);
	}
	c->woken = false;
	pthread_mutex_unlock(&c->lock);
}

static bool ceiling_is_due(const struct committer *c)
{
	return atomic_load(&c->wanted_ceiling) > atomic_load(&c->ceiling);
}

/* The time when the next batch is to be written; 0: now. */
static uint64_t next_write(const struct committer *c, bool stopping)
{
	if (atomic_load(&c->broken))
		return stopping ? 0 : c->retry_at;
	if (c->urgent > 0 || c->bytes >= c->setup.batch_limit)
		return 0;
	uint64_t at = ceiling_is_due(c) ? c->retry_at : UINT64_MAX;
	if (c->waiting.first != NULL) {
		uint64_t due = stopping ? 0 : c->since + atomic_load(&c->outcome_delay);
		at = due < at ? due : at;
	}
	return at;
}

static void give_up(struct committer *c)
{
	size_t lost = 0;
	for (; c->retained.first != NULL; lost++)
		row_take(&c->retained);
	for (; c->waiting.first != NULL; lost++)
		row_take(&c->waiting);
	LOG_ERR("spool-closed-broken", LF_NUM("records-lost", lost), LF_STR("error", strerror(-c->last_error)));
}

static void *run(void *arg)
{
	struct committer *c = arg;
	pthread_setname_np(pthread_self(), "commit");
	for (;;) {
		pthread_mutex_lock(&c->lock);
		bool stopping = c->stopping;
		pthread_mutex_unlock(&c->lock);
		gather(c);
		if (atomic_load(&c->broken))
			refuse_messages(c, c->last_error);
		refuse_without_space(c);
		uint64_t at = next_write(c, stopping);
		if (at <= clock_mono_ms()) {
			write_batch(c);
			if (!stopping || !atomic_load(&c->broken))
				continue;
			give_up(c);
			break;
		}
		if (stopping)
			break;
		wait(c, at);
	}
	return NULL;
}

void committer_free(struct committer *c)
{
	if (c == NULL)
		return;
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
	free(c->batch);
	free(c);
}

int committer_start(struct committer **out, const struct committer_setup *setup)
{
	struct committer *c = calloc(1, sizeof *c);
	if (c == NULL)
		return -ENOMEM;
	c->setup = *setup;
	atomic_init(&c->outcome_delay, setup->outcome_delay);
	atomic_init(&c->ceiling, journal_ceiling(setup->journal));
	atomic_init(&c->wanted_ceiling, journal_ceiling(setup->journal));
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&c->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	mailbox_init(&c->mailbox, wake, c);
	c->mark = setup->mark;
	c->mark_wall_ms = setup->mark_wall_ms;
	c->batch = calloc(RECORD_BATCH_MAX, sizeof(struct commit *));
	if (c->batch == NULL) {
		committer_free(c);
		return -ENOMEM;
	}
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the main thread */
	int err = pthread_create(&c->thread, NULL, run, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err != 0) {
		committer_free(c);
		return -err;
	}
	*out = c;
	return 0;
}

void committer_stop(struct committer *c)
{
	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	c->stopping = true;
	pthread_mutex_unlock(&c->lock);
	wake(c);
	pthread_join(c->thread, NULL);
}

void committer_post(struct committer *c, struct commit *x)
{
	mailbox_post(&c->mailbox, &x->queued, NULL);
}

void committer_set_delay(struct committer *c, uint64_t outcome_delay)
{
	atomic_store(&c->outcome_delay, outcome_delay);
}

void committer_want_ceiling(struct committer *c, uint64_t ceiling_ms)
{
	atomic_store(&c->wanted_ceiling, ceiling_ms);
	wake(c);
}

const _Atomic uint64_t *committer_ceiling(const struct committer *c)
{
	return &c->ceiling;
}

bool committer_broken(const struct committer *c)
{
	return atomic_load(&c->broken);
}

bool committer_full(const struct committer *c)
{
	return atomic_load(&c->full);
}

void committer_note_spares(struct committer *c, int err)
{
	atomic_store(&c->spare_err, err);
	wake(c);
}

void committer_mark(struct committer *c, struct journal_mark *mark, uint64_t *wall_ms)
{
	pthread_mutex_lock(&c->lock);
	*mark = c->mark;
	*wall_ms = c->mark_wall_ms;
	pthread_mutex_unlock(&c->lock);
}
