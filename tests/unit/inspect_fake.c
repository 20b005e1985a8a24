/* tests/unit/inspect_fake.c: state. */
#include "tests/unit/inspect_fake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/id.h"

#define ARRIVED UINT64_C(1795000000000)
#define MAX_RCPTS 20000

const uint64_t queue_age_limits_ms[QUEUE_AGES - 1] = {300000, 900000, 3600000, 14400000, 86400000, 259200000};

void fake_init(struct queue *q, struct ioloop *loop, const char *path)
{
	char text[256];
	struct buf errors;
	*q = (struct queue){.loop = loop, .messages = 3, .size = 100, .peer_words = "connection refused"};
	int n = snprintf(text, sizeof text,
		"hostname = relay.example\ncontrol = %s\nretry {\n first = 7m\n}\nlimits { control = 8 }\n"
		"route a.example { relay = [192.0.2.9]:2525 prefer = ipv4 }\n",
		path);
	buf_init(&errors, 4096);
	if (conf_parse(&q->conf, "test.conf", text, (size_t)n, &errors) != 0)
		abort();
	buf_fini(&errors);
}

void fake_fini(struct queue *q)
{
	conf_unref(q->conf);
	q->conf = NULL;
}

char fake_byte(uint64_t at)
{
	return at % 61 == 60 ? '\n' : (char)('a' + at % 61 % 26);
}

const char *rcpt_state_word(enum rcpt_state s)
{
	static const char *const words[RCPT_STATE_COUNT] = {
		"active", "ready", "routing", "resting", "suspended", "deferred", "held", "delivered", "failed"};
	return (unsigned)s < RCPT_STATE_COUNT ? words[s] : "unknown";
}

static bool is_there(const struct queue *q, uint64_t id)
{
	uint64_t i = id >> 40;
	return i >= 1 && i <= q->messages && id == FAKE_ID(i) && !(i < 32 && q->removed >> i & 1);
}

static bool is_held(const struct queue *q, uint64_t id)
{
	return id >> 40 < 32 && (q->held >> (id >> 40) & 1);
}

static void make_view(struct queue *q, uint64_t id, struct message_view *m)
{
	static struct rcpt_view rcpts[MAX_RCPTS];
	static const char *const addresses[] = {"bob@example.com", "carol@example.net"};
	unsigned n = q->rcpts != 0 ? q->rcpts : 2 - (unsigned)(id >> 40) % 2;
	for (unsigned i = 0; i < n && i < MAX_RCPTS; i++)
		rcpts[i] = (struct rcpt_view){.address = addresses[i % 2],
			.index = (uint16_t)i,
			.state = is_held(q, id) ? RCPT_STATE_HELD : RCPT_STATE_DEFERRED,
			.attempts = 3,
			.next_ms = ARRIVED + 60000,
			.site = "mx.example.com",
			.reason = q->peer_words};
	*m = (struct message_view){.id = id,
		.arrival_ms = ARRIVED,
		.size = q->size,
		.flags = is_held(q, id) ? ENVELOPE_HELD : 0u,
		.sender = id >> 40 == 2 ? "" : "alice@example.org",
		.reason = is_held(q, id) ? q->reason : "",
		.redirect = id >> 40 == 1 ? q->to : "",
		.rcpts = rcpts,
		.rcpt_count = n};
}

bool queue_filter_meets(const struct queue_filter *f, const struct rcpt_view *v)
{
	return f->rcpt == NULL || strcmp(f->rcpt, v->address) == 0;
}

static bool matches(const struct queue_filter *f, const struct message_view *m)
{
	if (f->sender != NULL && strcmp(f->sender, m->sender[0] ? m->sender : "<>") != 0)
		return false;
	return f->state == RCPT_STATE_COUNT || f->state == m->rcpts[0].state;
}

uint64_t queue_list(struct queue *q, const struct queue_filter *f, uint64_t after, unsigned budget,
	bool (*each)(void *arg, const struct message_view *m), void *arg)
{
	q->lists++;
	for (uint64_t i = (after >> 40) + 1; i <= q->messages; i++) {
		if (budget-- == 0)
			return FAKE_ID(i - 1);
		if (!is_there(q, FAKE_ID(i)))
			continue;
		struct message_view m;
		make_view(q, FAKE_ID(i), &m);
		if (matches(f, &m) && !each(arg, &m))
			return FAKE_ID(i);
	}
	return 0;
}

uint64_t queue_newest(const struct queue *q)
{
	return q->messages ? FAKE_ID(q->messages) : 0;
}

int queue_find(struct queue *q, const char *text, uint64_t *id)
{
	uint64_t first, last;
	if (id_parse_prefix(&first, &last, text) != 0)
		return -EINVAL;
	uint64_t found = 0;
	for (unsigned i = 1; i <= q->messages; i++) {
		if (FAKE_ID(i) < first || FAKE_ID(i) > last || !is_there(q, FAKE_ID(i)))
			continue;
		if (found != 0)
			return -EEXIST;
		found = FAKE_ID(i);
	}
	if (found == 0)
		return -ENOENT;
	*id = found;
	return 0;
}

int queue_view(struct queue *q, uint64_t id, void (*see)(void *arg, const struct message_view *m), void *arg)
{
	if (!is_there(q, id))
		return -ENOENT;
	struct message_view m;
	make_view(q, id, &m);
	see(arg, &m);
	return 0;
}

/* ---- what comes by letter ---- */

struct history_job {
	struct letter letter;
	struct queue *queue;
	void (*done)(void *arg, const struct queue_history *h);
	void *arg;
};

static struct path_try path_of(const struct queue *q, const char *at, enum fault fault, unsigned code)
{
	struct path_try p = {.host = "mx.example.com",
		.preference = 10,
		.fault = fault,
		.connect_ms = fault == FAULT_NONE ? 12 : UINT32_MAX,
		.greeting_ms = fault == FAULT_NONE ? 30 : UINT32_MAX,
		.total_ms = 250,
		.reply.code = (uint16_t)code};
	endpoint_parse(&p.to, at);
	snprintf(p.reply.text, sizeof p.reply.text, "%s", q->peer_words);
	return p;
}

static void open_history(struct letter *letter)
{
	struct history_job *j = LETTER_OF(letter, struct history_job, letter);
	struct queue *q = j->queue;
	struct attempt *a = attempt_new(ARRIVED + 1000, "mx.example.com");
	struct path_try v6 = path_of(q, "[2001:db8::25]:25", FAULT_REFUSED, 0);
	struct path_try v4 = path_of(q, "192.0.2.25:25", FAULT_NONE, 0);
	struct reply reply = {.code = 451, .enhanced = "4.7.1"};
	snprintf(reply.text, sizeof reply.text, "%s", q->peer_words);
	attempt_add_path(a, &v6);
	attempt_add_path(a, &v4);
	attempt_set_rcpt(a, 0, RCPT_QUEUED, &reply);
	a->used = 1;
	a->took_ms = 500;
	a->next_ms = ARRIVED + 60000;
	const struct envelope_rcpt rcpt = {.address = "bob@example.com", .index = 0};
	const struct envelope e = {.sender = "", .rcpts = &rcpt, .rcpt_count = 1};
	const struct queue_history h = {.status = q->history_status, .envelope = &e, .attempts = &a, .count = 1};
	q->histories_open--;
	j->done(j->arg, &h);
	attempt_free(a);
	free(j);
}

int queue_read_history(struct queue *q, uint64_t id, void (*done)(void *arg, const struct queue_history *h), void *arg)
{
	if (!is_there(q, id))
		return -ENOENT;
	struct history_job *j = calloc(1, sizeof *j);
	*j = (struct history_job){.queue = q, .done = done, .arg = arg};
	q->histories_open++;
	mailbox_post(&q->loop->mailbox, &j->letter, open_history);
	return 0;
}

struct queue_content {
	struct letter letter;
	struct queue *queue;
	void (*piece)(void *arg, int err, const uint8_t *p, size_t n);
	void *arg;
	uint64_t at;
	bool posted, closed;
};

static void open_piece(struct letter *letter)
{
	static uint8_t bytes[65536];
	struct queue_content *c = LETTER_OF(letter, struct queue_content, letter);
	struct queue *q = c->queue;
	c->posted = false;
	if (c->closed) {
		free(c);
		return;
	}
	size_t n = 0;
	for (; n < sizeof bytes && c->at < q->size; n++, c->at++)
		bytes[n] = (uint8_t)(!q->two_bytes ? fake_byte(c->at) : c->at == 0 ? 'x' : c->at % 2 ? 0xc3 : 0xa9);
	bool bad = n == 0 && q->content_err != 0;
	c->piece(c->arg, bad ? q->content_err : 0, bytes, n);
}

int queue_read_content(struct queue *q, uint64_t id, struct queue_content **out,
	void (*piece)(void *arg, int err, const uint8_t *p, size_t n), void *arg)
{
	if (!is_there(q, id))
		return -ENOENT;
	struct queue_content *c = calloc(1, sizeof *c);
	*c = (struct queue_content){.queue = q, .piece = piece, .arg = arg};
	q->contents_open++;
	*out = c;
	queue_content_next(c);
	return 0;
}

void queue_content_next(struct queue_content *c)
{
	if (c->posted)
		abort();
	c->posted = !c->queue->hold_back;
	if (c->posted)
		mailbox_post(&c->queue->loop->mailbox, &c->letter, open_piece);
}

void queue_content_close(struct queue_content *c)
{
	c->queue->contents_open--;
	c->closed = true;
	if (!c->posted)
		free(c);
}

struct trace {
	struct letter letter;
	struct queue *queue;
	struct queue_trace calls;
	bool connect, posted, cancelled;
};

static void open_trace(struct letter *letter)
{
	struct trace *t = LETTER_OF(letter, struct trace, letter);
	struct queue *q = t->queue;
	if (!t->cancelled) {
		struct trace_candidate c = {.usable = true, .c.preference = 10, .c.host = "mx.example.com"};
		endpoint_parse(&c.c.to, "[2001:db8::25]:25");
		snprintf(c.history, sizeof c.history, "connect 12 ms");
		struct path_try p = path_of(q, "[2001:db8::25]:25", FAULT_NONE, 220);
		t->calls.route(t->calls.arg, "MX 10 mx.example.com");
		t->calls.candidate(t->calls.arg, &c);
		if (t->connect)
			t->calls.path(t->calls.arg, &p);
		q->traces_open--;
		t->calls.done(t->calls.arg, q->trace_err, q->trace_err ? "no such domain" : "would be tried now");
	}
	free(t);
}

int queue_trace(struct queue *q, const char *domain, bool connect, const struct queue_trace *calls, struct trace **out)
{
	if (strchr(domain, ' ') != NULL)
		return -EINVAL;
	struct trace *t = calloc(1, sizeof *t);
	*t = (struct trace){.queue = q, .calls = *calls, .connect = connect};
	q->traces_open++;
	*out = t;
	t->posted = !q->hold_back;
	if (t->posted)
		mailbox_post(&q->loop->mailbox, &t->letter, open_trace);
	return 0;
}

void queue_trace_cancel(struct trace *t)
{
	t->queue->traces_open--;
	t->queue->traces_cancelled++;
	t->cancelled = true;
	if (!t->posted)
		free(t);
}

/* ---- at once ---- */

int queue_act(struct queue *q, const struct queue_order *o, uint64_t id)
{
	if (!is_there(q, id))
		return -ENOENT;
	unsigned bit = id >> 40 < 32 ? 1u << (id >> 40) : 0;
	if ((o->action == QUEUE_HOLD && (q->held & bit)) || (o->action == QUEUE_RELEASE && !(q->held & bit)))
		return -EALREADY;
	if (o->dry_run)
		return 0;
	snprintf(q->who, sizeof q->who, "%s", o->who);
	snprintf(q->reason, sizeof q->reason, "%s", o->reason);
	snprintf(q->to, sizeof q->to, "%s", o->to);
	q->acts++;
	if (o->action == QUEUE_REMOVE || o->action == QUEUE_BOUNCE)
		q->removed |= bit;
	if (o->action == QUEUE_HOLD)
		q->held |= bit;
	if (o->action == QUEUE_RELEASE)
		q->held &= ~bit;
	return 0;
}

bool queue_is_behind(const struct queue *q)
{
	struct queue *counted = (struct queue *)(uintptr_t)q;
	return counted->behind != 0 && counted->behind-- != 0;
}

int queue_suspend(struct queue *q, const char *pattern, uint64_t for_ms, const char *reason, const char *who)
{
	if (strlen(pattern) > 60)
		return -EINVAL;
	snprintf(q->suspended_text[0], 64, "%s", pattern);
	snprintf(q->suspended_text[1], 64, "%s", reason);
	snprintf(q->suspended_text[2], 64, "%s", who);
	q->suspended = (struct suspension_view){.pattern = q->suspended_text[0],
		.reason = q->suspended_text[1],
		.who = q->suspended_text[2],
		.since_ms = ARRIVED,
		.until_ms = for_ms ? ARRIVED + for_ms : 0};
	return 0;
}

unsigned queue_resume(struct queue *q, const char *pattern, const char *who)
{
	(void)who;
	bool meant = q->suspended.pattern != NULL && strcmp(q->suspended.pattern, pattern) == 0;
	if (meant)
		q->suspended.pattern = NULL;
	return meant;
}

int queue_pin(struct queue *q, const char *site, enum family family, uint64_t for_ms, const char *who)
{
	if (strlen(site) > 60)
		return -EINVAL;
	snprintf(q->pinned_site, sizeof q->pinned_site, "%s", site);
	snprintf(q->who, sizeof q->who, "%s", who);
	q->pinned = (struct pin_view){q->pinned_site, q->who, family, for_ms ? ARRIVED + for_ms : 0};
	return 0;
}

int queue_unpin(struct queue *q, const char *site, const char *who)
{
	(void)who;
	bool meant = q->pinned.site != NULL && strcmp(q->pinned.site, site) == 0;
	if (meant)
		q->pinned.site = NULL;
	return meant ? 0 : -ENOENT;
}

void queue_tally(const struct queue *q, enum tally_over over, struct tally_sum *out)
{
	(void)q;
	memset(out, 0, sizeof *out);
	out->family[TALLY_IPV6].count[TALLY_DELIVERED] = over == TALLY_HOUR ? 7 : 70;
	out->family[TALLY_IPV6].span[TALLY_DELAY].bins[2] = 7;
	out->family[TALLY_IPV4].failover[TALLY_SILENT][TALLY_CONTENT] = 3;
}

unsigned queue_broken(
	const struct queue *q, unsigned most, void (*each)(void *arg, const struct broken_view *b), void *arg)
{
	(void)q;
	const struct broken_view b = {"mx.dead.example", FAMILY_IPV6, false, 1000, 2000, "connect-timeout", 0};
	for (unsigned i = 0; i < 60 && i < most; i++)
		each(arg, &b);
	return 60;
}

void queue_pins(const struct queue *q, void (*each)(void *arg, const struct pin_view *p), void *arg)
{
	if (q->pinned.site != NULL)
		each(arg, &q->pinned);
}

/* mx.example.com: IPv6 is dead, IPv4 good. All is known at once. */
int queue_path(struct queue *q, const char *name, const struct queue_path *calls, struct path_look **out)
{
	*out = NULL;
	if (strcmp(name, "mx.example.com") != 0) {
		calls->done(calls->arg, -ENOENT, "no such domain");
		return 0;
	}
	struct path_view v = {
		.of = "family", .site = name, .path = "ipv6", .host = "", .now_ms = 3600000, .wall_ms = ARRIVED};
	v.family = FAMILY_IPV6;
	v.track = (struct track){.last_fault = FAULT_CONNECT_TIMEOUT,
		.fault_at = 3300000,
		.since = 3000000,
		.probe_at = 3720000,
		.in_a_row = 2,
		.bad = 2 * TRACK_ONE};
	calls->see(calls->arg, &v);
	v.of = "address";
	v.path = "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:25";
	v.host = name;
	calls->see(calls->arg, &v);
	v.of = "family";
	v.path = "ipv4";
	v.host = "";
	v.family = FAMILY_IPV4;
	v.track = (struct track){.connect_ms = 12, .greeting_ms = 30, .good_at = 3500000, .good = 3 * TRACK_ONE};
	calls->see(calls->arg, &v);
	if (q->pinned.site != NULL)
		calls->pin(calls->arg, &q->pinned);
	calls->done(calls->arg, 0, name);
	return 0;
}

void queue_path_cancel(struct path_look *l)
{
	(void)l;
}

void queue_suspensions(const struct queue *q, void (*each)(void *arg, const struct suspension_view *s), void *arg)
{
	if (q->suspended.pattern != NULL)
		each(arg, &q->suspended);
}

void queue_summary(struct queue *q, unsigned most, void (*each)(void *arg, const struct site_view *s),
	struct site_view *total, void *arg)
{
	const struct site_view sites[] = {
		{.name = "mx.example.com",
			.recipients = 40,
			.ages = {1, 2, 3, 4, 10, 20},
			.oldest_ms = ARRIVED,
			.resting = true,
			.probe_ms = ARRIVED + 60000,
			.reason = q->peer_words},
		{.name = "mx.example.net",
			.recipients = 2,
			.ages = {2},
			.oldest_ms = ARRIVED,
			.concurrency = 2,
			.reason = ""},
	};
	for (unsigned i = 0; i < 2 && i < most; i++)
		each(arg, &sites[i]);
	*total = (struct site_view){
		.name = "", .recipients = 42, .ages = {3, 2, 3, 4, 10, 20}, .oldest_ms = ARRIVED, .reason = ""};
}

void queue_status(struct queue *q, struct queue_status *out)
{
	*out = (struct queue_status){.messages = q->messages,
		.recipients = 42,
		.sites = 2,
		.resting = 1,
		.started_ms = ARRIVED,
		.spool = "/var/spool/relay64",
		.storage = "ok",
		.journal_segments = 1};
}

const struct conf *queue_conf(const struct queue *q)
{
	return q->conf;
}
