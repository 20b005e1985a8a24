/* tests/unit/worker_test.c: the disk workers: order in a chain, letters home, owners that go away. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "queue/spool/worker.h"
#include "tests/unit/post.h"

enum { JOBS = 200 };

struct unit {
	struct job job;
	int number, *log;
	_Atomic int *at;
	struct post *gate; /* run() waits for a letter there */
	int ended;
};

static void note(struct job *job)
{
	struct unit *u = (struct unit *)job;
	u->log[atomic_fetch_add(u->at, 1)] = u->number;
}

static int opened[JOBS], opened_count;

static void on_done(struct letter *letter)
{
	opened[opened_count++] = LETTER_OF(letter, struct unit, job.letter)->number;
}

static void test_a_chain_keeps_its_order(void **state)
{
	(void)state;
	struct workers *w;
	assert_int_equal(workers_start(&w, 4), 0);
	struct post home;
	post_init(&home);
	struct job_chain chain;
	job_chain_init(&chain);
	static struct unit units[JOBS];
	int log[JOBS];
	_Atomic int at = 0;
	opened_count = 0;
	for (int i = 0; i < JOBS; i++) {
		units[i] = (struct unit){.number = i, .log = log, .at = &at};
		units[i].job.run = note;
		units[i].job.home = &home.box;
		units[i].job.done = on_done;
		workers_submit(w, &chain, &units[i].job);
	}
	while (opened_count < JOBS)
		post_wait(&home);
	for (int i = 0; i < JOBS; i++) {
		assert_int_equal(log[i], i);
		assert_int_equal(opened[i], i);
	}
	workers_stop(w);
	post_fini(&home);
}

struct meeting {
	pthread_barrier_t all;
};
struct guest {
	struct job job;
	struct meeting *meeting;
};

static void meet(struct job *job)
{
	pthread_barrier_wait(&((struct guest *)job)->meeting->all);
}

static int guests_home;

static void on_guest(struct letter *letter)
{
	(void)letter;
	guests_home++;
}

/* Four jobs that wait for each other: only side by side do they end. */
static void test_other_jobs_run_side_by_side(void **state)
{
	(void)state;
	struct workers *w;
	assert_int_equal(workers_start(&w, 4), 0);
	struct post home;
	post_init(&home);
	struct meeting m;
	pthread_barrier_init(&m.all, NULL, 4);
	struct guest guests[4];
	struct job_chain chains[2];
	job_chain_init(&chains[0]);
	job_chain_init(&chains[1]);
	guests_home = 0;
	for (int i = 0; i < 4; i++) {
		guests[i] = (struct guest){.job = {.run = meet, .home = &home.box, .done = on_guest}, .meeting = &m};
		workers_submit(w, i < 2 ? &chains[i] : NULL, &guests[i].job);
	}
	while (guests_home < 4)
		post_wait(&home);
	workers_stop(w);
	pthread_barrier_destroy(&m.all);
	post_fini(&home);
}

/* An owner with its own chain, freed by the job that nobody waits for. */
struct owner {
	struct job_chain chain;
	struct job wait, last;
	pthread_barrier_t *gate;
	_Atomic int *freed;
};

static void wait_at_gate(struct job *job)
{
	struct owner *o = (struct owner *)(void *)((char *)job - offsetof(struct owner, wait));
	pthread_barrier_wait(o->gate);
}

static void nothing(struct job *job)
{
	(void)job;
}

static void free_owner(struct job *job)
{
	struct owner *o = (struct owner *)(void *)((char *)job - offsetof(struct owner, last));
	atomic_fetch_add(o->freed, 1);
	free(o);
}

static void never(struct letter *letter)
{
	(void)letter;
	fail_msg("a disowned letter came");
}

static void test_a_disowned_job_ends_on_the_worker(void **state)
{
	(void)state;
	struct workers *w;
	assert_int_equal(workers_start(&w, 2), 0);
	struct post home;
	post_init(&home);
	pthread_barrier_t gate;
	pthread_barrier_init(&gate, NULL, 2);
	_Atomic int freed = 0;
	struct owner *o = calloc(1, sizeof *o);
	assert_non_null(o);
	job_chain_init(&o->chain);
	o->gate = &gate;
	o->freed = &freed;
	o->wait = (struct job){.run = wait_at_gate, .home = &home.box, .done = never};
	workers_submit(w, &o->chain, &o->wait);
	assert_true(workers_disown(w, &o->wait, nothing));
	o->last = (struct job){.run = nothing, .ended = free_owner};
	workers_submit(w, &o->chain, &o->last);
	pthread_barrier_wait(&gate);
	workers_stop(w); /* runs all that is left */
	assert_int_equal(freed, 1);
	assert_false(post_poll(&home));
	pthread_barrier_destroy(&gate);
	post_fini(&home);
}

static void test_a_posted_letter_cannot_be_disowned(void **state)
{
	(void)state;
	struct workers *w;
	assert_int_equal(workers_start(&w, 1), 0);
	struct post home;
	post_init(&home);
	guests_home = 0;
	struct job job = {.run = nothing, .home = &home.box, .done = on_guest};
	workers_submit(w, NULL, &job);
	post_await(&home); /* it lies there */
	assert_false(workers_disown(w, &job, nothing));
	assert_int_equal(guests_home, 0);
	post_wait(&home);
	assert_int_equal(guests_home, 1);
	workers_stop(w);
	post_fini(&home);
}

/* A job that hands over another one while the threads are being ended. */
struct relay {
	struct job job;
	struct workers *w;
	int left;
	_Atomic int *runs;
};

static void nothing_to_do(struct job *job)
{
	atomic_fetch_add(((struct relay *)job)->runs, 1);
}

static void again(struct job *job)
{
	struct relay *r = (struct relay *)job;
	if (--r->left > 0)
		workers_submit(r->w, NULL, &r->job);
}

static void test_stop_runs_what_is_left(void **state)
{
	(void)state;
	struct workers *w;
	assert_int_equal(workers_start(&w, 3), 0);
	_Atomic int runs = 0;
	struct relay r = {.job = {.run = nothing_to_do, .ended = again}, .w = w, .left = 50, .runs = &runs};
	workers_submit(w, NULL, &r.job);
	workers_stop(w);
	assert_int_equal(runs, 50);
	workers_stop(NULL);
}

static void test_bounds_of_the_count(void **state)
{
	(void)state;
	struct workers *w = NULL;
	assert_true(workers_start(&w, 0) < 0);
	assert_true(workers_start(&w, 65) < 0);
	assert_null(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_chain_keeps_its_order),
		cmocka_unit_test(test_other_jobs_run_side_by_side),
		cmocka_unit_test(test_a_disowned_job_ends_on_the_worker),
		cmocka_unit_test(test_a_posted_letter_cannot_be_disowned),
		cmocka_unit_test(test_stop_runs_what_is_left),
		cmocka_unit_test(test_bounds_of_the_count),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
