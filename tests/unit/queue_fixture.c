/* tests/unit/queue_fixture.c: state. */
#include "tests/unit/queue_fixture.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/path/account.h"
#include "queue/path/pool.h"
#include "queue/index.h"
#include "queue/route.h"
#include "queue/schedule.h"
#include "queue/site.h"
#include "queue/suspension.h"
#include "tests/unit/queue_fakes.h"

struct fixture fx;

static struct ioloop loop;
static struct mailbox box;

static uint64_t fake_clock(void)
{
	uint64_t now = fx.clock;
	fx.clock += fx.tick;
	return now;
}

static int fake_bind(const struct ip *ip)
{
	char ip_text[IP_TEXT], text[IP_TEXT + 1];
	snprintf(text, sizeof text, "%s ", ip_format(ip, ip_text));
	return fx.foreign != NULL && strstr(fx.foreign, text) != NULL ? -EADDRNOTAVAIL : 0;
}

static uint32_t fake_chance(void)
{
	return fx.chance;
}

static void no_wake(void *arg)
{
	(void)arg;
}

void fixture_begin(const char *settings)
{
	char text[1024];
	struct buf errors;
	int n = snprintf(
		text, sizeof text, "hostname = relay.example\nspool = /nonexistent\n%s", settings ? settings : "");
	buf_init(&errors, 4096);
	fx = (struct fixture){.clock = 1000, .end = {1, 0}, .content = "Subject: x\r\n\r\nbody\r\n"};
	fx.checkpoint_room = UINT32_MAX;
	struct queue *q = &fx.q;
	if (conf_parse(&q->conf, "test", text, (size_t)n, &errors) != 0)
		fail_msg("%.*s", (int)errors.len, (const char *)errors.data);
	buf_fini(&errors);
	loop = (struct ioloop){0};
	mailbox_init(&box, no_wake, NULL);
	fx.id_ceiling_ms = BEGIN + DAYS(1000);
	q->clock = fake_clock;
	q->base = BEGIN - fx.clock;
	q->started = BEGIN;
	q->store = (struct store *)(void *)&fx;
	q->mailbox = &box;
	q->loops = &loop;
	q->loop_count = 1;
	q->chance = fake_chance;
	q->can_bind = fake_bind;
	q->schedule = schedule_message;
	id_giver_init(&q->ids, ID_GIVER_QUEUE, BEGIN, &fx.id_ceiling_ms);
	idmap_init(&q->messages);
	TAILQ_INIT(&q->with_body);
	due_heap_init(&q->due);
	intern_init(&q->reasons);
	TAILQ_INIT(&q->sites_by_use);
	TAILQ_INIT(&q->sites_in_turn);
	TAILQ_INIT(&q->sites_suspended);
	TAILQ_INIT(&q->suspensions);
	TAILQ_INIT(&q->unused_domains);
	suspension_load(q);
	TAILQ_INIT(&q->probes);
	q->memory = memory_new(q->conf, 1);
	assert_non_null(q->memory);
	fakes_begin();
}

void fixture_end(void)
{
	struct queue *q = &fx.q;
	struct message *m;
	uint64_t id;
	fx.room = STORE_OK;
	q->draining = true;
	for (unsigned round = 0; round < 100000; round++) {
		unsigned left = fx.dial_count + fx.commit_count;
		while (fx.dial_count > 0)
			dial_end(fx.dials[0], "");
		while (fx.probe_count > 0)
			dial_end(fx.probes[0], "");
		for (unsigned i = 0; i < fx.connection_count; i++) {
			if (fx.connections[i]->sent != NULL)
				end_transaction(fx.connections[i], TRANSACTION_LOST, FAULT_RESET, "-");
			else if (fx.connections[i]->open)
				close_connection(fx.connections[i]);
		}
		fixture_content();
		commit_all();
		if (left == 0)
			break;
	}
	assert_int_equal(fx.commit_count, 0);
	assert_int_equal(q->links, 0);
	assert_int_equal(q->dials, 0);
	assert_int_equal(q->writing, 0);
	assert_int_equal(fx.pins, 0);
	while ((m = idmap_next(&q->messages, 0, &id)) != NULL) {
		assert_int_equal(m->busy, 0);
		index_drop(q, m);
	}
	assert_int_equal(q->recipients, 0);
	assert_int_equal(q->ages.total, 0);
	assert_int_equal(q->live_bytes, 0);
	assert_int_equal(q->held + q->damaged, 0);
	for (const struct site *s = q->sites; s != NULL; s = s->hh.next) {
		assert_int_equal(s->deliveries, 0);
		assert_int_equal(s->ready.count, 0);
		assert_int_equal(s->ages.total, 0);
	}
	assert_null(q->segments);
	route_free_all(q);
	assert_null(q->domains);
	site_free_all(q);
	assert_int_equal(q->resting, 0);
	assert_int_equal(q->site_count, 0);
	assert_null(due_first(&q->due));
	assert_null(q->reasons.table); /* every reason was given back */
	suspension_free_all(q);
	idmap_fini(&q->messages);
	due_heap_fini(&q->due);
	memory_free(q->memory);
	pool_free(q);
	account_free(q);
	conf_unref(q->conf);
	fakes_end();
}

/* ---- mail ---- */

static struct message *take(
	uint64_t id, const char *sender, const char *rcpts, uint64_t arrival, bool in_file, struct body *body)
{
	static struct envelope_rcpt list[ENVELOPE_RCPTS_MAX];
	char *copy = strdup(rcpts), *rest = copy, *word;
	assert_non_null(copy);
	struct envelope e = {.id = id,
		.arrival_ms = arrival,
		.size = 100,
		.sender = sender ? sender : "a@sender.example",
		.client = "192.0.2.9",
		.helo = "client.example",
		.reason = "",
		.priority = fx.priority,
		.rcpts = list};
	while ((word = strsep(&rest, " ")) != NULL) {
		list[e.rcpt_count] = (struct envelope_rcpt){.address = word, .index = (uint16_t)e.rcpt_count};
		e.rcpt_count++;
	}
	fx.end.offset += 64;
	struct message *m;
	assert_int_equal(index_add(&fx.q, &e, fx.end, fx.end, in_file, body, &m), 0);
	free(copy);
	schedule_message(&fx.q, m);
	return m;
}

static struct body *small_body(void)
{
	struct body *body = body_new();
	assert_non_null(body);
	assert_int_equal(body_append(body, "Subject: kept\r\n\r\nx\r\n", 20), 0);
	return body;
}

struct message *mail(uint64_t id, const char *sender, const char *rcpts)
{
	return take(id, sender, rcpts, core_wall(&fx.q, core_now(&fx.q)), false, small_body());
}

struct message *mail_of(struct envelope e)
{
	struct message *m;
	e.arrival_ms = e.arrival_ms ? e.arrival_ms : core_wall(&fx.q, core_now(&fx.q));
	e.size = 20;
	e.sender = e.sender ? e.sender : "a@sender.example";
	e.client = e.client ? e.client : "";
	e.helo = e.reason = "";
	fx.end.offset += 64;
	assert_int_equal(index_add(&fx.q, &e, fx.end, fx.end, false, small_body(), &m), 0);
	schedule_message(&fx.q, m);
	return m;
}

struct message *mail_stored(uint64_t id, const char *rcpts, uint64_t arrival, bool in_file)
{
	return take(id, NULL, rcpts, arrival, in_file, NULL);
}

struct message *find(uint64_t id)
{
	return index_get(&fx.q, id);
}

struct delivery *delivery_of(uint64_t id, const char *rcpt)
{
	struct message *m = find(id);
	if (m == NULL)
		fail_msg("message %u is not there", (unsigned)id);
	for (unsigned i = 0; i < m->delivery_count; i++)
		for (unsigned j = m->deliveries[i].first; j < m->deliveries[i].first + m->deliveries[i].count; j++)
			if (strcmp(m->rcpts[j].address, rcpt) == 0)
				return &m->deliveries[i];
	fail_msg("message %u has no recipient %s", (unsigned)id, rcpt);
	return NULL;
}

enum delivery_state state_of(uint64_t id, const char *rcpt)
{
	return (enum delivery_state)delivery_of(id, rcpt)->state;
}

struct site *site_named(const char *name)
{
	struct site *s = site_find(&fx.q, name);
	if (s == NULL)
		fail_msg("no site %s", name);
	return s;
}

/* ---- time ---- */

void run_due(void)
{
	unsigned rounds = 0;
	while (schedule_run(&fx.q, 100) == 0)
		assert_true(++rounds < 100000);
}

void pass(uint64_t ms)
{
	uint64_t end = fx.clock + ms;
	for (;;) {
		run_due();
		const struct due *d = due_first(&fx.q.due);
		uint64_t next = d ? d->at - fx.q.base : UINT64_MAX;
		if (next > end)
			break;
		if (next > fx.clock)
			fx.clock = next;
	}
	fx.clock = end;
	run_due();
}

struct connection *connect_site(const char *site, const char *address)
{
	char paths[64];
	dns_run();
	struct dial *d = dial_to(site);
	if (d == NULL)
		fail_msg("nothing dials %s", site);
	snprintf(paths, sizeof paths, "%s ok", address);
	return dial_end(d, paths);
}

void many(uint64_t first, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		mail(first + i, "", "b@d.example");
}

struct connection *sender(void)
{
	for (unsigned i = 0; i < fx.connection_count; i++)
		if (fx.connections[i]->sent != NULL)
			return fx.connections[i];
	return NULL;
}

unsigned win_all(const char *paths)
{
	unsigned n = 0;
	while (fx.dial_count > 0) {
		dial_end(fx.dials[0], paths);
		n++;
	}
	return n;
}
