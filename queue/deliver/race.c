/* queue/deliver/race.c: protocol. */
#include "queue/deliver/race.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum runner_state {
	UNTRIED,
	AGAIN, /* gave its place away: at the end of its group */
	RUNNING,
	FAILED,
};

/* A candidate and what became of it. */
struct runner {
	struct candidate c;
	enum runner_state state;
	enum fault fault;  /* FAILED: the last one */
	bool by_patience;  /* given up before the RFC's time was over */
	size_t attempt;	   /* its last one */
	unsigned ordinal;  /* among the addresses of its host and family */
	uint64_t host_key; /* hosts of one preference are tried in the order of these */
};

enum attempt_state { CONNECTING, CONNECTED, GREETING, GREETED, OVER };

struct run {
	size_t runner;
	enum attempt_state state;
	uint64_t since_ms; /* when it entered the state; GREETING keeps the time of CONNECTED */
};

struct race {
	struct race_rules rules;
	struct runner *runners;
	size_t count, room;
	struct run runs[RACE_ATTEMPTS_MAX];
	size_t started;
	size_t under_way;
	size_t winner; /* run, or NOBODY */
	uint64_t last_start_ms;
	bool at_once; /* a run failed: the next one does not wait for attempt_delay */
	uint8_t last_family;
};

#define NOBODY SIZE_MAX

struct race *race_new(const struct race_rules *rules)
{
	struct race *r = calloc(1, sizeof *r);
	if (r == NULL)
		return NULL;
	r->rules = *rules;
	if (r->rules.width == 0 || r->rules.patient)
		r->rules.width = 1;
	r->winner = NOBODY;
	return r;
}

void race_free(struct race *r)
{
	if (r == NULL)
		return;
	free(r->runners);
	free(r);
}

/* FNV-1a over the name, then the finisher of MurmurHash3, so that the seed reaches every bit. */
static uint64_t host_key(const char *host, uint64_t seed)
{
	uint64_t h = 0xcbf29ce484222325u ^ seed;
	for (; *host != 0; host++)
		h = (h ^ (uint8_t)*host) * 0x100000001b3u;
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
	h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53u;
	return h ^ h >> 33;
}

int race_add(struct race *r, const struct candidate *c)
{
	unsigned ordinal = 0;
	for (size_t i = 0; i < r->count; i++) {
		const struct candidate *other = &r->runners[i].c;
		if (endpoint_equal(&other->to, &c->to))
			return 0;
		ordinal += candidate_family(other) == candidate_family(c) && strcmp(other->host, c->host) == 0;
	}
	if (r->count == CANDIDATES_MAX)
		return -E2BIG;
	if (r->count == r->room) {
		size_t room = r->room ? r->room * 2 : 4;
		struct runner *grown = realloc(r->runners, room * sizeof *grown);
		if (grown == NULL)
			return -ENOMEM;
		r->runners = grown;
		r->room = room;
	}
	r->runners[r->count++] = (struct runner){
		.c = *c,
		.ordinal = ordinal,
		.host_key = host_key(c->host, r->rules.seed),
	};
	return 0;
}

const struct candidate *race_candidate(const struct race *r, size_t candidate)
{
	return &r->runners[candidate].c;
}

static uint64_t at_least(uint64_t limit, uint32_t usual_ms)
{
	return limit > 2 * (uint64_t)usual_ms ? limit : 2 * (uint64_t)usual_ms;
}

/* `first` ones, then the ordinary, then the doubtful. */
static unsigned rank(const struct candidate *c)
{
	return c->first ? 0 : c->doubtful ? 2 : 1;
}

/* Is `a` to be started before `b`? Both in the same state and of one preference. */
static bool is_before(const struct runner *a, const struct runner *b, uint8_t family)
{
	if (a->state == AGAIN)
		return a->attempt < b->attempt;
	if (rank(&a->c) != rank(&b->c))
		return rank(&a->c) < rank(&b->c);
	if (candidate_family(&a->c) != candidate_family(&b->c))
		return candidate_family(&a->c) == family;
	if (a->ordinal != b->ordinal)
		return a->ordinal < b->ordinal;
	return a->host_key < b->host_key;
}

/* The best preference that has not failed as a whole, and has a path that is not known to be bad; if all are, the best
 * of these. */
static unsigned group_preference(const struct race *r)
{
	unsigned best = UINT16_MAX + 1u, doubtful = UINT16_MAX + 1u;
	for (size_t i = 0; i < r->count; i++) {
		const struct runner *one = &r->runners[i];
		unsigned *which = one->c.doubtful && !one->c.first ? &doubtful : &best;
		if (one->state != FAILED && one->c.preference < *which)
			*which = one->c.preference;
	}
	return best <= UINT16_MAX ? best : doubtful;
}

/* Who comes next of those in `state`; NULL: nobody of the present group. */
static struct runner *pick(const struct race *r, enum runner_state state)
{
	unsigned preference = group_preference(r);
	uint8_t family = r->last_family == FAMILY_IPV6 ? FAMILY_IPV4 : FAMILY_IPV6;
	struct runner *best = NULL;
	for (size_t i = 0; i < r->count; i++) {
		struct runner *one = &r->runners[i];
		if (one->state != state || one->c.preference != preference)
			continue;
		if (best == NULL || is_before(one, best, family))
			best = one;
	}
	return best;
}

static bool any_untried(const struct race *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->runners[i].state == UNTRIED)
			return true;
	return false;
}

/* The limits of a run's present step: the RFC's, and with a path left to try, our patience. */
static uint64_t step_limit(const struct race *r, const struct run *run, bool hurried)
{
	const struct candidate *c = &r->runners[run->runner].c;
	uint64_t full = RACE_GREETING_MS;
	uint32_t usual = c->usual_greeting_ms;
	if (run->state == CONNECTING) {
		full = r->rules.connect_time;
		usual = c->usual_connect_ms;
	} else if (run->state == GREETED) {
		full = RACE_EHLO_MS;
		usual = c->usual_ehlo_ms;
	}
	uint64_t patience = at_least(r->rules.patience, usual);
	return hurried && patience < full ? patience : full;
}

static enum fault silence(enum attempt_state state)
{
	return state == CONNECTING ? FAULT_CONNECT_TIMEOUT
	       : state == GREETED  ? FAULT_SILENT_EHLO
				   : FAULT_SILENT_GREETING;
}

static void end_run(struct race *r, size_t attempt, enum runner_state becomes, enum fault fault)
{
	struct run *run = &r->runs[attempt];
	struct runner *runner = &r->runners[run->runner];
	runner->state = becomes;
	runner->fault = fault;
	runner->by_patience = false;
	run->state = OVER;
	r->under_way--;
	r->at_once = true;
	if (r->winner == attempt)
		r->winner = NOBODY;
}

static struct race_step give_up(struct race *r, size_t attempt, enum runner_state becomes, enum fault fault)
{
	size_t candidate = r->runs[attempt].runner;
	end_run(r, attempt, becomes, fault);
	return (struct race_step){.action = RACE_GIVE_UP, .attempt = attempt, .candidate = candidate, .fault = fault};
}

/* A run whose time is over, or that lost: one at a time. `*until` becomes the end of the earliest other step. */
static bool end_overdue(struct race *r, uint64_t now_ms, uint64_t *until, struct race_step *step)
{
	bool hurried = !r->rules.patient && any_untried(r);
	for (size_t i = 0; i < r->started; i++) {
		struct run *run = &r->runs[i];
		if (run->state == OVER)
			continue;
		if (r->winner != NOBODY && r->winner != i) {
			/* no fault of the path: it is tried again if the winner fails at EHLO */
			*step = give_up(r, i, UNTRIED, FAULT_SUPERSEDED);
			return true;
		}
		uint64_t limit = step_limit(r, run, hurried);
		if (now_ms >= run->since_ms + limit) {
			struct runner *runner = &r->runners[run->runner];
			bool early = limit < step_limit(r, run, false);
			*step = give_up(r, i, FAILED, silence(run->state));
			runner->by_patience = early;
			return true;
		}
		if (run->since_ms + limit < *until)
			*until = run->since_ms + limit;
	}
	return false;
}

/* When the next run may start: the head start of the last one, and of each one that is connected. */
static uint64_t start_time(const struct race *r)
{
	uint64_t at = r->at_once || r->under_way == 0 ? 0 : r->last_start_ms + r->rules.attempt_delay;
	for (size_t i = 0; i < r->started; i++) {
		const struct run *run = &r->runs[i];
		uint64_t hold = 0;
		if (run->state == GREETING)
			hold = UINT64_MAX;
		else if (run->state == CONNECTED)
			hold = run->since_ms +
			       at_least(r->rules.greeting_delay, r->runners[run->runner].c.usual_greeting_ms);
		if (hold > at)
			at = hold;
	}
	return at;
}

/* A path known to be bad is no help against a distant one: it waits until an ordinary one would give way. */
static uint64_t doubtful_time(const struct race *r)
{
	uint64_t at = 0;
	for (size_t i = 0; i < r->started; i++) {
		const struct run *run = &r->runs[i];
		uint64_t hold = run->since_ms + RACE_GIVE_WAY_MS;
		if (run->state == CONNECTING && !r->runners[run->runner].c.doubtful && hold > at)
			at = hold;
	}
	return at;
}

/* The oldest run that still waits for the answer to its SYN. */
static size_t oldest_connecting(const struct race *r)
{
	for (size_t i = 0; i < r->started; i++)
		if (r->runs[i].state == CONNECTING)
			return i;
	return NOBODY;
}

static struct race_step start(struct race *r, struct runner *runner, uint64_t now_ms)
{
	size_t attempt = r->started++;
	size_t index = (size_t)(runner - r->runners);
	r->runs[attempt] = (struct run){.runner = index, .state = CONNECTING, .since_ms = now_ms};
	runner->state = RUNNING;
	runner->attempt = attempt;
	r->under_way++;
	r->last_start_ms = now_ms;
	r->at_once = false;
	r->last_family = (uint8_t)candidate_family(&runner->c);
	return (struct race_step){.action = RACE_START, .attempt = attempt, .candidate = index};
}

struct race_step race_next(struct race *r, uint64_t now_ms)
{
	struct race_step step = {.action = RACE_WAIT, .until_ms = UINT64_MAX};
	if (end_overdue(r, now_ms, &step.until_ms, &step) || r->winner != NOBODY)
		return step;

	struct runner *untried = pick(r, UNTRIED);
	struct runner *next = untried != NULL ? untried : pick(r, AGAIN);
	if (r->started == RACE_ATTEMPTS_MAX)
		next = untried = NULL;
	if (next == NULL) {
		if (r->under_way == 0)
			step.action = RACE_EXHAUSTED;
		return step;
	}

	uint64_t at = start_time(r);
	if (next->c.doubtful && !next->c.first && doubtful_time(r) > at)
		at = doubtful_time(r);
	size_t gives_way = NOBODY;
	if (r->under_way >= r->rules.width) {
		/* a place must come free first: only an untried address can push somebody out */
		gives_way = untried != NULL && !r->rules.patient ? oldest_connecting(r) : NOBODY;
		if (gives_way == NOBODY)
			return step;
		uint64_t may = r->runs[gives_way].since_ms + RACE_GIVE_WAY_MS;
		at = may > at ? may : at;
	}
	if (now_ms < at) {
		step.until_ms = at < step.until_ms ? at : step.until_ms;
		return step;
	}
	if (gives_way == NOBODY)
		return start(r, next, now_ms);
	/* who was pushed out of its second try too has had its turns */
	bool second = r->runners[r->runs[gives_way].runner].fault == FAULT_CONNECT_TIMEOUT;
	return give_up(r, gives_way, second ? FAILED : AGAIN, FAULT_CONNECT_TIMEOUT);
}

void race_connected(struct race *r, size_t attempt, uint64_t now_ms)
{
	struct run *run = &r->runs[attempt];
	if (run->state != CONNECTING)
		return;
	run->state = CONNECTED;
	run->since_ms = now_ms;
}

void race_greeting_begun(struct race *r, size_t attempt)
{
	if (r->runs[attempt].state == CONNECTED)
		r->runs[attempt].state = GREETING;
}

bool race_greeted(struct race *r, size_t attempt, uint64_t now_ms)
{
	struct run *run = &r->runs[attempt];
	if (run->state == OVER || r->winner != NOBODY)
		return false;
	run->state = GREETED;
	run->since_ms = now_ms;
	r->winner = attempt;
	return true;
}

void race_failed(struct race *r, size_t attempt, enum fault why)
{
	if (r->runs[attempt].state != OVER)
		end_run(r, attempt, FAILED, why);
}

bool race_was_slow(const struct race *r)
{
	bool hurried = false;
	for (size_t i = 0; i < r->count; i++) {
		const struct runner *one = &r->runners[i];
		if (one->state != FAILED || one->fault != r->runners[0].fault)
			return false;
		hurried = hurried || one->by_patience;
	}
	return hurried && (r->runners[0].fault == FAULT_SILENT_GREETING || r->runners[0].fault == FAULT_SILENT_EHLO);
}
