/* queue/suspension.c: state. */
#include "queue/suspension.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "conf/clock.h"
#include "conf/counter.h"
#include "queue/due.h"

enum { VERSION = 1, SWEEP_MS = 60000, SWEEPS_A_TICK = 200, FREED_A_SLICE = 100, WHO_MAX = 64 };
#define STATE_NAME "suspended"

/* "[192.0.2.1]:25" is the name of a site, though it is a pattern too. */
static bool is_meant(const char *pattern, const char *site)
{
	return strcasecmp(pattern, site) == 0 || fnmatch(pattern, site, FNM_CASEFOLD) == 0;
}

/* ---- sites ---- */

void suspension_meet(struct queue *q, struct site *s)
{
	struct suspension *p;
	TAILQ_FOREACH (p, &q->suspensions, next)
		if (is_meant(p->pattern, s->lane.site))
			break;
	if (p != NULL) {
		TAILQ_INSERT_TAIL(&q->sites_suspended, s, suspended);
		TAILQ_INSERT_TAIL(&p->sites, s, of_suspension);
	}
	s->suspension = p;
	s->untried |= p != NULL;
}

void suspension_part(struct queue *q, struct site *s)
{
	if (s->suspension == NULL)
		return;
	TAILQ_REMOVE(&q->sites_suspended, s, suspended);
	TAILQ_REMOVE(&s->suspension->sites, s, of_suspension);
	s->suspension = NULL;
}

static void meet_all(struct queue *q, const struct suspension *p)
{
	struct site *s;
	TAILQ_FOREACH (s, &q->sites_by_use, use)
		if (s->suspension == NULL && is_meant(p->pattern, s->lane.site))
			suspension_meet(q, s);
}

/* ---- suspensions ---- */

static void destroy(struct suspension *p)
{
	free(p->pattern);
	free(p->reason);
	free(p->who);
	free(p->text);
	free(p);
}

/* The site goes on, unless another suspension names it: in its turn of what is due. */
static void free_site(struct queue *q, struct site *s)
{
	suspension_part(q, s);
	suspension_meet(q, s);
	if (s->suspension == NULL && (!s->resting || s->probe_due))
		due_set(&q->due, &s->due, core_now(q));
}

void suspension_slice(struct queue *q)
{
	struct suspension *p;
	unsigned n = 0;
	while ((p = TAILQ_FIRST(&q->suspensions_ended)) != NULL) {
		struct site *s;
		while (n < FREED_A_SLICE && (s = TAILQ_FIRST(&p->sites)) != NULL) {
			free_site(q, s);
			n++;
		}
		if (n == FREED_A_SLICE)
			break;
		TAILQ_REMOVE(&q->suspensions_ended, p, next);
		destroy(p);
	}
	if (p != NULL)
		due_set(&q->due, &q->resume_due, core_now(q) + 1);
}

static char *text_of(const char *reason, uint64_t until_ms)
{
	struct buf text;
	char stamp[CLOCK_STAMP];
	buf_init(&text, SUSPENSION_REASON_MAX + 128);
	buf_printf(&text, "suspended by the operator%s%s%s%s", until_ms ? " until " : "",
		until_ms ? clock_stamp(until_ms, stamp) : "", *reason ? ": " : "", reason);
	size_t n;
	return (char *)buf_detach(&text, &n);
}

static struct suspension *make(
	const char *pattern, const char *reason, const char *who, uint64_t since_ms, uint64_t until_ms)
{
	struct suspension *p = calloc(1, sizeof *p);
	if (p == NULL)
		return NULL;
	TAILQ_INIT(&p->sites);
	p->pattern = strdup(pattern);
	p->reason = strdup(reason);
	p->who = strdup(who);
	p->text = text_of(reason, until_ms);
	p->since_ms = since_ms;
	p->until_ms = until_ms;
	if (p->pattern != NULL && p->reason != NULL && p->who != NULL && p->text != NULL)
		return p;
	destroy(p);
	return NULL;
}

static void put_in(struct queue *q, struct suspension *p)
{
	TAILQ_INSERT_TAIL(&q->suspensions, p, next);
	COUNT_SET(suspensions, ++q->suspension_count);
	meet_all(q, p);
}

static void take_out(struct queue *q, struct suspension *p)
{
	TAILQ_REMOVE(&q->suspensions, p, next);
	COUNT_SET(suspensions, --q->suspension_count);
	if (TAILQ_EMPTY(&p->sites)) {
		destroy(p);
		return;
	}
	TAILQ_INSERT_TAIL(&q->suspensions_ended, p, next);
	due_set(&q->due, &q->resume_due, core_now(q));
}

static int put_text(struct buf *out, const char *text)
{
	return buf_append_block(out, text, strlen(text));
}

static void save(struct queue *q)
{
	struct buf *out = &q->suspended_file.content;
	const struct suspension *p;
	buf_reset(out);
	int err = buf_append_u32(out, q->suspension_count);
	TAILQ_FOREACH (p, &q->suspensions, next) {
		err = err ? err : buf_append_u64(out, p->since_ms);
		err = err ? err : buf_append_u64(out, p->until_ms);
		err = err ? err : put_text(out, p->pattern);
		err = err ? err : put_text(out, p->reason);
		err = err ? err : put_text(out, p->who);
	}
	if (err == 0)
		store_write_state(q->store, &q->suspended_file);
	else
		LOG_ERR("no-memory", LF_STR("what", "the list of suspended sites could not be written"));
}

int suspension_add(struct queue *q, const char *pattern, uint64_t for_ms, const char *reason, const char *who)
{
	if (*pattern == '\0' || strlen(pattern) > SUSPENSION_PATTERN_MAX || strlen(reason) > SUSPENSION_REASON_MAX ||
		strlen(who) > WHO_MAX)
		return -EINVAL;
	struct suspension *p, *old;
	TAILQ_FOREACH (old, &q->suspensions, next)
		if (strcasecmp(old->pattern, pattern) == 0)
			break;
	if (old == NULL && q->suspension_count == SUSPENSIONS_MAX)
		return -ENOSPC;
	uint64_t now = core_wall(q, core_now(q));
	p = make(pattern, reason, who, now, for_ms ? now + for_ms : 0);
	if (p == NULL)
		return -ENOMEM;
	if (old != NULL)
		take_out(q, old);
	put_in(q, p);
	char stamp[CLOCK_STAMP];
	LOG_INFO("suspend", LF_STR("site", pattern), LF_STR("by", who),
		LF_STR("until", p->until_ms ? clock_stamp(p->until_ms, stamp) : NULL),
		LF_STR("reason", *reason ? reason : NULL));
	save(q);
	return 0;
}

unsigned suspension_end(struct queue *q, const char *pattern, const char *who)
{
	unsigned ended = 0;
	struct suspension *p, *next;
	for (p = TAILQ_FIRST(&q->suspensions); p != NULL; p = next) {
		next = TAILQ_NEXT(p, next);
		if (!is_meant(pattern, p->pattern))
			continue;
		LOG_INFO("resume", LF_STR("site", p->pattern), LF_STR("by", who));
		take_out(q, p);
		ended++;
	}
	if (ended > 0)
		save(q);
	return ended;
}

/* ---- time ---- */

static void end_those_over(struct queue *q)
{
	uint64_t now = core_wall(q, core_now(q));
	bool any = false;
	struct suspension *p, *next;
	for (p = TAILQ_FIRST(&q->suspensions); p != NULL; p = next) {
		next = TAILQ_NEXT(p, next);
		if (p->until_ms == 0 || p->until_ms > now)
			continue;
		LOG_INFO("resume", LF_STR("site", p->pattern), LF_STR("why", "its time is over"));
		take_out(q, p);
		any = true;
	}
	if (any)
		save(q);
}

/* The sites take turns, so that many at once cost no more than few. */
static void look_at_those_who_wait(struct queue *q)
{
	uint64_t now = core_now(q);
	struct site *s;
	for (unsigned n = 0; n < SWEEPS_A_TICK && (s = TAILQ_FIRST(&q->sites_suspended)) != NULL; n++) {
		if (now < s->suspension_looked + SWEEP_MS)
			return;
		s->suspension_looked = now;
		TAILQ_REMOVE(&q->sites_suspended, s, suspended);
		TAILQ_INSERT_TAIL(&q->sites_suspended, s, suspended);
		if (s->ready.count == 0)
			continue;
		ready_sweep(&s->ready);
		due_set(&q->due, &s->sweep_due, now);
	}
}

void suspension_tick(struct queue *q)
{
	end_those_over(q);
	look_at_those_who_wait(q);
}

/* ---- start and end ---- */

static int read_text(struct reader *r, size_t max, char out[SUSPENSION_REASON_MAX + 1])
{
	size_t n;
	const uint8_t *p = reader_block(r, max, &n);
	if (p == NULL || memchr(p, 0, n) != NULL)
		return -EBADMSG;
	memcpy(out, p, n);
	out[n] = '\0';
	return 0;
}

static int read_one(struct queue *q, struct reader *r)
{
	char texts[3][SUSPENSION_REASON_MAX + 1];
	uint64_t since = reader_u64(r), until = reader_u64(r);
	if (read_text(r, SUSPENSION_PATTERN_MAX, texts[0]) != 0 || read_text(r, SUSPENSION_REASON_MAX, texts[1]) != 0 ||
		read_text(r, WHO_MAX, texts[2]) != 0)
		return -EBADMSG;
	struct suspension *p = make(texts[0], texts[1], texts[2], since, until);
	if (p == NULL)
		return -ENOMEM;
	put_in(q, p);
	return 0;
}

static int read_all(struct queue *q, const struct buf *b)
{
	struct reader r;
	reader_init(&r, b->data, b->len);
	uint32_t count = reader_u32(&r);
	int err = count > SUSPENSIONS_MAX ? -EBADMSG : 0;
	for (uint32_t i = 0; i < count && err == 0; i++)
		err = read_one(q, &r);
	return err == 0 && (r.bad || r.left != 0) ? -EBADMSG : err;
}

void suspension_load(struct queue *q)
{
	struct buf content;
	buf_init(&content, SIDESTATE_MAX + 1);
	TAILQ_INIT(&q->suspensions_ended);
	q->resume_due = (struct due){.kind = DUE_RESUME};
	q->suspended_file = (struct sidestate){.name = STATE_NAME, .version = VERSION, .home = q->mailbox};
	buf_init(&q->suspended_file.content, SIDESTATE_MAX);
	buf_init(&q->suspended_file.writing, SIDESTATE_MAX);
	int err = store_read_state(q->store, STATE_NAME, VERSION, &content);
	if (err == 0)
		err = read_all(q, &content);
	if (err != 0 && err != -ENOENT)
		LOG_ERR("state-unreadable", LF_STR("file", STATE_NAME), LF_STR("error", strerror(-err)),
			LF_STR("what", "no site that it may have named is suspended any more"));
	buf_fini(&content);
	struct suspension *p;
	TAILQ_FOREACH (p, &q->suspensions, next)
		LOG_INFO("suspended", LF_STR("site", p->pattern), LF_STR("by", p->who),
			LF_STR("reason", *p->reason ? p->reason : NULL));
}

void suspension_free_all(struct queue *q)
{
	struct suspension *p;
	while ((p = TAILQ_FIRST(&q->suspensions)) != NULL) {
		TAILQ_REMOVE(&q->suspensions, p, next);
		destroy(p);
	}
	while ((p = TAILQ_FIRST(&q->suspensions_ended)) != NULL) {
		TAILQ_REMOVE(&q->suspensions_ended, p, next);
		destroy(p);
	}
	q->suspension_count = 0;
	sidestate_fini(&q->suspended_file);
}
