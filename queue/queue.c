/* queue/queue.c: plumbing. */
#include "queue/queue.h"

#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "conf/clock.h"
#include "conf/counter.h"
#include "dns/nat64_finder.h"
#include "queue/control/control.h"
#include "queue/core.h"
#include "queue/dispatch.h"
#include "queue/index.h"
#include "queue/oracle/oracle.h"
#include "queue/path/binding.h"
#include "queue/path/account.h"
#include "queue/path/keep.h"
#include "queue/path/pool.h"
#include "queue/reach/reach.h"
#include "queue/reach/wake.h"
#include "queue/reach/watcher.h"
#include "queue/reclaim.h"
#include "queue/replay.h"
#include "queue/route.h"
#include "queue/schedule.h"
#include "queue/site.h"
#include "queue/suspension.h"

enum {
	TICK_MS = 1000,
	SLICE = 100,
	STEP_MS = 60000,
	EXPIRY_PAUSE_MS = 3600000,
	DISK_MS = 5000,
	SELF_MAX = 256,
	ERRORS_MAX = 65536
};

struct queue_thread {
	struct queue q;
	struct ioloop loop;
	struct submission_desk desk;
	struct control *control;
	struct oracle *oracle; /* NULL: not opened */
	struct watcher *watcher;
	struct nat64_finder *finder;
	struct reclaim *reclaim;
	uv_timer_t tick, next;
	uv_prepare_t prepare;
	uv_idle_t busy; /* keeps the loop turning while something is due */
	const char *self_names[4];
	struct endpoint self_addresses[SELF_MAX];
	bool opened; /* handles are on the loop */
	bool running;

	struct letter drain, hurry, finish, close;
	bool drain_posted, hurry_posted;
	_Atomic uint64_t drain_ms;
	bool no_more; /* queue_finish() */
	bool last_checkpoint;
	uint64_t give_up_at;	 /* steady: the end does not wait longer for a disk that takes nothing */
	void (*done)(void *arg); /* the queue thread's, once the drain has begun */
	void *arg;
	void (*wanted_done)(void *arg); /* as queue_drain() was told */
	void *wanted_arg;
	uint64_t opened_with; /* messages found at the start */
};

static uint32_t random_bits(void)
{
	uint32_t bits = 0;
	if (getrandom(&bits, sizeof bits, 0) != sizeof bits)
		bits = (uint32_t)uv_hrtime();
	return bits;
}

/* ---- what other threads bring ---- */

static void on_stored(struct letter *letter)
{
	struct submission *s = LETTER_OF(letter, struct submission, commit.first);
	struct queue_thread *t = s->queue;
	struct queue *q = &t->q;
	struct envelope *e = NULL;
	struct message *m;
	int err = envelope_decode(&e, s->meta.data, s->meta.len);
	if (err == 0) {
		bool in_file = s->body->file != 0;
		struct body *kept = in_file ? NULL : body_ref(s->body);
		err = index_add(q, e, s->commit.place, s->commit.place, in_file, kept, &m);
		if (err != 0)
			body_unref(kept);
	}
	if (err == 0) {
		m->arrival = core_now(q); /* whatever the wall clock did since it was read */
		schedule_message(q, m);
	} else {
		q->incomplete = true;
		LOG_ERR("no-memory", LF_ID("id", s->commit.id),
			LF_STR("what", "stored, but not in the index before the next start"));
	}
	envelope_free(e);
	submission_unref(s);
}

static void take_configuration(struct queue_thread *t, struct conf *conf)
{
	struct queue *q = &t->q;
	resolver_configure(q->resolver, conf);
	memory_configure(q->memory, conf);
	conf_unref(q->conf);
	q->conf = conf;
	nat64_finder_configure(t->finder, conf);
	watcher_configure(t->watcher, conf);
	if (reach_configure(q->reach, conf->families))
		wake_all(q);
}

static void add_self_address(struct queue_thread *t, const struct ip *ip, uint16_t port)
{
	if (t->q.self.address_count < SELF_MAX)
		t->self_addresses[t->q.self.address_count++] = (struct endpoint){.ip = *ip, .port = port};
}

/* A listener at all addresses of a family is at each of them. */
static void add_interfaces(struct queue_thread *t, const struct ifaddrs *all, const struct endpoint *at)
{
	for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
		struct endpoint e;
		if (i->ifa_addr != NULL && endpoint_from_sockaddr(&e, i->ifa_addr) == 0 && e.ip.family == at->ip.family)
			add_self_address(t, &e.ip, at->port);
	}
}

/* The names and the addresses with their ports under which this relay takes mail: an MX or a next hop that leads there
 * leads back here. The names are the configuration's: once more with each new one. */
static void find_self(struct queue_thread *t)
{
	static const uint8_t zero[16];
	struct queue *q = &t->q;
	const struct conf *c = q->conf;
	q->self.name_count = q->self.address_count = 0;
	const char *names[] = {c->hostname, c->source.helo, c->source.helo_ipv4, c->source.helo_ipv6};
	for (unsigned i = 0; i < 4; i++)
		if (names[i] != NULL)
			t->self_names[q->self.name_count++] = names[i];
	q->self.names = t->self_names;
	q->self.addresses = t->self_addresses;

	struct ifaddrs *all = NULL;
	if (getifaddrs(&all) != 0)
		all = NULL;
	for (size_t i = 0; i < c->listen_count; i++) {
		const struct endpoint *at = &c->listen[i].at;
		if (memcmp(at->ip.bytes, zero, sizeof zero) == 0)
			add_interfaces(t, all, at);
		else
			add_self_address(t, &at->ip, at->port);
	}
	freeifaddrs(all);
}

static void on_host_changed(void *arg)
{
	struct queue_thread *t = arg;
	find_self(t);
	wake_all(&t->q);
}

static void on_prefixes(void *arg)
{
	struct queue_thread *t = arg;
	size_t count;
	const struct nat64_prefix *prefixes = nat64_prefixes(t->finder, &count);
	if (reach_set_prefixes(t->q.reach, prefixes, count))
		wake_all(&t->q);
}

/* What this host can reach. 0 or -ENOMEM. */
static int open_reach(struct queue_thread *t)
{
	struct queue *q = &t->q;
	q->reach = reach_new();
	if (q->reach == NULL)
		return -ENOMEM;
	reach_configure(q->reach, q->conf->families);
	int err = watcher_open(&t->watcher, &t->loop.uv, q->reach, q->conf, on_host_changed, t);
	err = err ? err : nat64_finder_open(&t->finder, q->resolver, q->conf, on_prefixes, t);
	if (err != 0)
		return err;
	size_t count;
	const struct nat64_prefix *prefixes = nat64_prefixes(t->finder, &count);
	reach_set_prefixes(q->reach, prefixes, count);
	wake_all(q);
	return 0;
}

static void configure_oracle(struct queue_thread *t)
{
	struct buf errors;
	buf_init(&errors, ERRORS_MAX);
	if (t->oracle != NULL && oracle_configure(t->oracle, t->q.conf, &errors) != 0)
		LOG_ERR("listen-failed", LF_STR("errors", errors.data ? (char *)errors.data : ""));
	buf_fini(&errors);
}

struct reload {
	struct letter letter;
	struct queue_thread *thread;
	struct conf *conf;
};

static void on_reload(struct letter *letter)
{
	struct reload *r = LETTER_OF(letter, struct reload, letter);
	take_configuration(r->thread, r->conf);
	find_self(r->thread);
	configure_oracle(r->thread);
	free(r);
}

int queue_reload(struct queue_thread *t, struct conf *conf)
{
	/* a letter for each: the one before may still be on its way */
	struct reload *r = calloc(1, sizeof *r);
	if (r == NULL)
		return -ENOMEM;
	r->thread = t;
	r->conf = conf_ref(conf);
	mailbox_post(&t->loop.mailbox, &r->letter, on_reload);
	return 0;
}

/* ---- time ---- */

/* The wall clock may step; due times move with it. */
static void watch_clock(struct queue *q)
{
	int64_t shift = (int64_t)(clock_wall_ms() - core_now(q));
	int64_t step = shift - q->shift;
	if (step > STEP_MS || step < -STEP_MS)
		LOG_WARN("clock-step", LF_MS("by", step), LF_STR("what", "due times move with it"));
	q->shift = shift;
}

static void on_tick(uv_timer_t *timer)
{
	struct queue_thread *t = timer->data;
	struct queue *q = &t->q;
	watch_clock(q);
	store_tick(q->store, core_wall(q, core_now(q)));
	index_trim_bodies(q);
	route_trim(q);
	site_trim(q);
	suspension_tick(q);
	keep_tick(q);
	account_tick(q);
	dispatch_turns(q);
	dispatch_resume(q);
	nat64_finder_tick(t->finder, q->clock());
	reclaim_tick(t->reclaim);
}

static void on_next(uv_timer_t *timer)
{
	(void)timer; /* on_prepare() does the work */
}

static void on_busy(uv_idle_t *idle)
{
	(void)idle;
}

/* Nothing is under way any more: outcomes are on disk, connections are closed. */
static bool at_rest(const struct queue_thread *t)
{
	const struct queue *q = &t->q;
	return t->no_more && q->links == 0 && q->dials == 0 && q->writing == 0;
}

static void on_last_checkpoint(void *arg, int err)
{
	struct queue_thread *t = arg;
	(void)err;
	t->done(t->arg);
}

/* The disk takes nothing: what waits for it is as after a crash, and the end of the daemon does not wait for ever. */
static bool is_hopeless(const struct queue_thread *t)
{
	const struct queue *q = &t->q;
	return t->no_more && q->links == 0 && q->dials == 0 && core_now(q) >= t->give_up_at &&
	       store_room(q->store, 0) == STORE_BROKEN;
}

static void end_if_at_rest(struct queue_thread *t)
{
	if (at_rest(t) && reclaim_idle(t->reclaim)) {
		keep_all(&t->q);
		account_keep(&t->q);
		t->last_checkpoint = t->q.ended = true;
		reclaim_checkpoint(t->reclaim, on_last_checkpoint, t);
	} else if (is_hopeless(t)) {
		t->last_checkpoint = t->q.ended = true;
		LOG_ERR("stopped-broken", LF_NUM("records", t->q.writing),
			LF_STR("what",
				"the spool cannot be written: some outcomes may be lost, their mail sent again"));
		t->done(t->arg);
	}
}

/* Before each wait: what is due is done in slices; then the wait is as long as the next thing is away. */
static void on_prepare(uv_prepare_t *prepare)
{
	struct queue_thread *t = prepare->data;
	struct queue *q = &t->q;
	uint64_t began = uv_hrtime();
	bool more = !q->draining && wake_slice(q);
	uint64_t at = q->draining ? UINT64_MAX : schedule_run(q, SLICE);
	more = reclaim_slice(t->reclaim) || more;
	counter_raise(COUNTER_queue_slice_longest_us, (uv_hrtime() - began) / 1000);
	if (t->done != NULL && !t->last_checkpoint)
		end_if_at_rest(t);
	if (at == 0 || more) {
		uv_idle_start(&t->busy, on_busy);
		return;
	}
	uv_idle_stop(&t->busy);
	if (at == UINT64_MAX) {
		uv_timer_stop(&t->next);
		return;
	}
	uint64_t now = core_now(q);
	uv_update_time(&t->loop.uv);
	uv_timer_start(&t->next, on_next, at > now ? at - now : 1, 0);
}

/* ---- opening ---- */

static void check_clock(struct queue *q)
{
	uint64_t newest = store_newest_ms(q->store), wall = core_wall(q, core_now(q));
	if (newest == 0 || (wall >= newest && wall <= newest + q->conf->retry.give_up))
		return;
	char was[CLOCK_STAMP], is[CLOCK_STAMP];
	q->no_expiry_until = core_now(q) + EXPIRY_PAUSE_MS;
	LOG_WARN("clock-doubtful", LF_STR("clock", clock_stamp(wall, is)),
		LF_STR("newest_record", clock_stamp(newest, was)),
		LF_STR("what", "nothing is bounced for its age in the first hour"));
}

static int open_state(struct queue_thread *t, struct buf *errors)
{
	struct queue *q = &t->q;
	struct store_replay replay;
	replay_calls(&replay, q);
	int err = store_open(&q->store, q->conf, &replay, errors);
	if (err != 0)
		return err;
	replay_end(q);
	suspension_load(q);
	keep_load(q);
	pool_load(q);
	account_load(q);
	t->opened_with = q->messages.count;
	check_clock(q);
	id_giver_init(&q->ids, ID_GIVER_QUEUE, store_id_floor_ms(q->store), store_id_ceiling_ms(q->store));
	err = resolver_open(&q->resolver, &t->loop.uv, q->conf, errors);
	err = err ? err : open_reach(t);
	if (err == 0)
		err = control_open(&t->control, &t->loop, q, errors);
	return err;
}

static void open_handles(struct queue_thread *t)
{
	uv_loop_t *uv = &t->loop.uv;
	uv_timer_init(uv, &t->tick);
	uv_timer_init(uv, &t->next);
	uv_prepare_init(uv, &t->prepare);
	uv_idle_init(uv, &t->busy);
	t->tick.data = t->next.data = t->prepare.data = t->busy.data = t;
	t->opened = true;
}

int queue_open(
	struct queue_thread **out, struct conf *conf, struct ioloop *loops, unsigned loop_count, struct buf *errors)
{
	struct queue_thread *t = calloc(1, sizeof *t);
	if (t == NULL || ioloop_init(&t->loop, "queue", 0) != 0) {
		free(t);
		buf_append_str(errors, "not enough memory for the queue\n");
		return -ENOMEM;
	}
	struct queue *q = &t->q;
	uint64_t mono = clock_mono_ms(), wall = clock_wall_ms();
	q->clock = clock_mono_ms;
	q->base = wall - mono;
	q->started = wall;
	q->conf = conf_ref(conf);
	q->mailbox = &t->loop.mailbox;
	q->loops = loops;
	q->loop_count = loop_count;
	q->chance = random_bits;
	q->can_bind = binding_try;
	q->schedule = schedule_message;
	idmap_init(&q->messages);
	TAILQ_INIT(&q->with_body);
	due_heap_init(&q->due);
	intern_init(&q->reasons);
	TAILQ_INIT(&q->sites_by_use);
	TAILQ_INIT(&q->sites_in_turn);
	TAILQ_INIT(&q->sites_suspended);
	TAILQ_INIT(&q->suspensions);
	TAILQ_INIT(&q->unused_domains);
	TAILQ_INIT(&q->probes);
	q->memory = memory_new(q->conf, (uint64_t)random_bits() << 32 | random_bits());
	t->reclaim = reclaim_new(q);
	find_self(t);
	open_handles(t);
	int err = q->memory && t->reclaim ? open_state(t, errors) : -ENOMEM;
	if (err != 0) {
		queue_close(t);
		return err;
	}
	t->desk = (struct submission_desk){.store = q->store, .mailbox = q->mailbox, .stored = on_stored, .queue = t};
	*out = t;
	return 0;
}

int queue_listen(struct queue_thread *t, struct buf *errors)
{
	return oracle_open(&t->oracle, &t->loop.uv, t->q.resolver, t->q.conf, errors);
}

const struct submission_desk *queue_desk(const struct queue_thread *t)
{
	return &t->desk;
}

uint64_t queue_id_floor_ms(const struct queue_thread *t)
{
	return store_id_floor_ms(t->q.store);
}

const _Atomic uint64_t *queue_id_ceiling_ms(const struct queue_thread *t)
{
	return store_id_ceiling_ms(t->q.store);
}

uint64_t queue_message_count(const struct queue_thread *t)
{
	return t->opened_with;
}

int queue_start(struct queue_thread *t)
{
	schedule_all(&t->q);
	uv_timer_start(&t->tick, on_tick, TICK_MS, TICK_MS);
	uv_prepare_start(&t->prepare, on_prepare);
	t->running = true;
	int err = ioloop_start(&t->loop);
	if (err != 0)
		t->running = false;
	return err;
}

/* ---- stopping ---- */

/* To one I/O loop: its connections have until then. */
struct drain_order {
	struct letter letter;
	struct ioloop *loop;
	uint64_t deadline_ms;
};

static void on_order(struct letter *letter)
{
	struct drain_order *o = LETTER_OF(letter, struct drain_order, letter);
	dialer_drain(o->loop, o->deadline_ms);
	free(o);
}

/* Behind all dials that the queue thread has posted there. */
static void order_drain(struct queue_thread *t)
{
	t->give_up_at = core_now(&t->q) + atomic_load(&t->drain_ms) + DISK_MS;
	for (unsigned i = 0; i < t->q.loop_count; i++) {
		struct drain_order *o = calloc(1, sizeof *o);
		if (o == NULL)
			continue;
		o->loop = &t->q.loops[i];
		o->deadline_ms = clock_mono_ms() + atomic_load(&t->drain_ms);
		mailbox_post(&o->loop->mailbox, &o->letter, on_order);
	}
}

static void on_drain(struct letter *letter)
{
	struct queue_thread *t = LETTER_OF(letter, struct queue_thread, drain);
	t->done = t->wanted_done;
	t->arg = t->wanted_arg;
	dispatch_drain(&t->q);
	order_drain(t);
}

static void on_hurry(struct letter *letter)
{
	order_drain(LETTER_OF(letter, struct queue_thread, hurry));
}

void queue_drain(struct queue_thread *t, uint64_t drain_ms, void (*done)(void *arg), void *arg)
{
	atomic_store(&t->drain_ms, drain_ms);
	if (t->drain_posted) {
		if (!t->hurry_posted)
			mailbox_post(&t->loop.mailbox, &t->hurry, on_hurry);
		t->hurry_posted = true;
		return;
	}
	t->drain_posted = true;
	t->wanted_arg = arg;
	t->wanted_done = done;
	mailbox_post(&t->loop.mailbox, &t->drain, on_drain);
}

static void on_finish(struct letter *letter)
{
	struct queue_thread *t = LETTER_OF(letter, struct queue_thread, finish);
	t->no_more = true;
}

void queue_finish(struct queue_thread *t)
{
	mailbox_post(&t->loop.mailbox, &t->finish, on_finish);
}

static void close_handle(void *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void on_resolver_closed(void *arg)
{
	struct queue_thread *t = arg;
	close_handle(&t->tick);
	close_handle(&t->next);
	close_handle(&t->prepare);
	close_handle(&t->busy);
	ioloop_finish(&t->loop);
}

static void on_control_closed(void *arg)
{
	struct queue_thread *t = arg;
	route_stop(&t->q);
	nat64_finder_close(t->finder);
	if (t->q.resolver != NULL)
		resolver_close(t->q.resolver, on_resolver_closed, t);
	else
		on_resolver_closed(t);
}

static void on_watcher_closed(void *arg)
{
	struct queue_thread *t = arg;
	if (t->control != NULL)
		control_close(t->control, on_control_closed, t);
	else
		on_control_closed(t);
}

static void on_oracle_closed(void *arg)
{
	struct queue_thread *t = arg;
	if (t->watcher != NULL)
		watcher_close(t->watcher, on_watcher_closed, t);
	else
		on_watcher_closed(t);
}

static void on_close(struct letter *letter)
{
	struct queue_thread *t = LETTER_OF(letter, struct queue_thread, close);
	if (t->oracle != NULL)
		oracle_close(t->oracle, on_oracle_closed, t);
	else
		on_oracle_closed(t);
}

static void free_state(struct queue_thread *t)
{
	struct queue *q = &t->q;
	struct message *m;
	uint64_t id = 0;
	/* the messages stay in the spool: only the index goes */
	struct store *store = q->store;
	q->store = NULL;
	while ((m = idmap_next(&q->messages, 0, &id)) != NULL)
		index_drop(q, m);
	route_free_all(q);
	site_free_all(q);
	idmap_fini(&q->messages);
	due_heap_fini(&q->due);
	intern_fini(&q->reasons);
	memory_free(q->memory);
	reach_free(q->reach);
	reclaim_free(t->reclaim);
	if (store != NULL)
		store_close(store);
	suspension_free_all(q);
	keep_free(q);
	pool_free(q);
	account_free(q);
	conf_unref(q->conf);
	free(t);
}

void queue_close(struct queue_thread *t)
{
	if (t->running) {
		mailbox_post(&t->loop.mailbox, &t->close, on_close);
	} else {
		on_close(&t->close);
		uv_run(&t->loop.uv, UV_RUN_DEFAULT);
	}
	if (ioloop_join(&t->loop) != 0)
		LOG_ERR("handles-left", LF_STR("loop", "queue"));
	free_state(t);
}
