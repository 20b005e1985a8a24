/* tests/unit/queue_fakes.c: state. */
#include "tests/unit/queue_fakes.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "tests/unit/queue_fixture.h"

/* ---- resolver ---- */

struct dns_question {
	TAILQ_ENTRY(dns_question) all;
	char name[DNS_NAME_MAX];
	enum dns_type type;
	dns_done *done;
	void *arg;
};

static TAILQ_HEAD(, dns_question) questions = TAILQ_HEAD_INITIALIZER(questions);

static struct {
	char name[128];
	enum dns_type type;
	char text[128];
} zones[64];
static unsigned zone_count;

static enum dns_type type_of(const char *text)
{
	return strcmp(text, "MX") == 0 ? DNS_MX : strcmp(text, "A") == 0 ? DNS_A : DNS_AAAA;
}

void zone(const char *name, const char *type, const char *text)
{
	unsigned i = 0;
	while (i < zone_count && (strcmp(zones[i].name, name) != 0 || zones[i].type != type_of(type)))
		i++;
	assert_true(i < 64);
	if (i == zone_count)
		zone_count++;
	snprintf(zones[i].name, sizeof zones[i].name, "%s", name);
	snprintf(zones[i].text, sizeof zones[i].text, "%s", text);
	zones[i].type = type_of(type);
}

struct dns_question *dns_ask(struct resolver *r, const char *name, enum dns_type type, dns_done *done, void *arg)
{
	(void)r;
	struct dns_question *q = calloc(1, sizeof *q);
	assert_non_null(q);
	snprintf(q->name, sizeof q->name, "%s", name);
	q->type = type;
	q->done = done;
	q->arg = arg;
	TAILQ_INSERT_TAIL(&questions, q, all);
	return q;
}

void dns_cancel(struct dns_question *q)
{
	TAILQ_REMOVE(&questions, q, all);
	free(q);
}

static void answer_one(struct dns_question *q)
{
	static const char *const statuses[] = {"OK", "NODATA", "NXDOMAIN", "SERVFAIL", "TIMEOUT"};
	struct dns_record records[8];
	struct dns_answer a = {.ttl = 3600, .records = records};
	char text[512], *rest = text, *word;
	if (q->type == DNS_MX)
		snprintf(text, sizeof text, "OK 10 mx.%s", q->name);
	else
		snprintf(text, sizeof text, "OK %s", q->type == DNS_A ? "192.0.2.1" : "2001:db8::1");
	for (unsigned i = 0; i < zone_count; i++)
		if (strcmp(zones[i].name, q->name) == 0 && zones[i].type == q->type)
			snprintf(text, sizeof text, "%s", zones[i].text);
	memset(records, 0, sizeof records);
	word = strsep(&rest, " ");
	while (strcmp(statuses[a.status], word) != 0)
		assert_true(++a.status <= DNS_TIMEOUT);
	while ((word = strsep(&rest, " ")) != NULL) {
		assert_true(a.count < 8);
		struct dns_record *r = &records[a.count++];
		if (q->type == DNS_MX) {
			r->preference = (uint16_t)atoi(word);
			word = strsep(&rest, " ");
			snprintf(r->name, sizeof r->name, "%s", word);
		} else {
			assert_int_equal(ip_parse(&r->ip, word), 0);
		}
	}
	struct dns_question gone = *q;
	TAILQ_REMOVE(&questions, q, all);
	free(q);
	gone.done(gone.arg, &a, fx.clock);
}

void dns_run(void)
{
	struct dns_question *q;
	while ((q = TAILQ_FIRST(&questions)) != NULL)
		answer_one(q);
}

void dns_one(const char *name, const char *type)
{
	struct dns_question *q;
	TAILQ_FOREACH (q, &questions, all)
		if (strcmp(q->name, name) == 0 && q->type == type_of(type))
			break;
	if (q == NULL)
		fail_msg("%s of %s is not asked for", type, name);
	else
		answer_one(q);
}

unsigned dns_waiting(void)
{
	unsigned n = 0;
	const struct dns_question *q;
	TAILQ_FOREACH (q, &questions, all)
		n++;
	return n;
}

/* ---- dialer ---- */

struct dial *dial_new(struct ioloop *loop, struct mailbox *home, const struct conf *conf, struct store *store,
	const struct lane *lane)
{
	struct dial *d = calloc(1, sizeof *d);
	assert_non_null(d);
	*d = (struct dial){.loop = loop, .home = home, .conf = conf, .store = store, .lane = *lane, .used = -1};
	fx.dials_made++;
	return d;
}

int dial_add(struct dial *d, const struct candidate *c)
{
	for (unsigned i = 0; i < d->candidate_count; i++)
		if (endpoint_equal(&d->candidates[i].to, &c->to))
			return 0;
	d->candidates = reallocarray(d->candidates, d->candidate_count + 1, sizeof *c);
	assert_non_null(d->candidates);
	d->candidates[d->candidate_count++] = *c;
	return 0;
}

void dial_start(struct dial *d)
{
	assert_true(fx.dial_count < FAKE_DIALS);
	assert_true(d->candidate_count > 0 || d->more);
	if (!d->probe) {
		fx.dials[fx.dial_count++] = d;
		return;
	}
	assert_true(fx.probe_count < FAKE_PROBES);
	fx.probes[fx.probe_count++] = d;
}

void dial_complete(struct dial *d)
{
	d->more = false;
}

void dial_cancel(struct dial *d)
{
	(void)d; /* the test ends it */
}

void dial_free(struct dial *d)
{
	if (d == NULL)
		return;
	for (unsigned i = 0; i < fx.dial_count; i++)
		assert_ptr_not_equal(fx.dials[i], d);
	free(d->candidates);
	free(d->paths);
	free(d);
}

struct dial *dial_to(const char *site)
{
	for (unsigned i = 0; i < fx.dial_count; i++)
		if (strcmp(fx.dials[i]->lane.site, site) == 0)
			return fx.dials[i];
	return NULL;
}

const struct candidate *offered(const struct dial *d, const char *address)
{
	struct ip ip;
	assert_int_equal(ip_parse(&ip, address), 0);
	for (unsigned i = 0; i < d->candidate_count; i++)
		if (ip_equal(&d->candidates[i].to.ip, &ip))
			return &d->candidates[i];
	return NULL;
}

static enum fault fault_named(const char *word)
{
	for (unsigned f = 0; f < FAULT_COUNT; f++)
		if (strcmp(fault_word((enum fault)f), word) == 0)
			return (enum fault)f;
	fail_msg("no fault is named %s", word);
	return FAULT_NONE;
}

static struct connection *new_connection(const struct path_try *p)
{
	struct connection *c = calloc(1, sizeof *c);
	assert_non_null(c);
	assert_true(fx.connection_count < FAKE_CONNECTIONS);
	c->info = (struct connection_info){.to = p->to, .preference = p->preference};
	snprintf(c->info.host, sizeof c->info.host, "%s", p->host);
	c->open = true;
	fx.connections[fx.connection_count++] = c;
	return c;
}

struct connection *dial_end(struct dial *d, const char *paths)
{
	char copy[512], *rest = copy, *one;
	unsigned i = 0;
	struct dial **all = d->probe ? fx.probes : fx.dials;
	unsigned *count = d->probe ? &fx.probe_count : &fx.dial_count;
	while (i < *count && all[i] != d)
		i++;
	assert_true(i < *count);
	memmove(all + i, all + i + 1, (--*count - i) * sizeof all[0]);
	snprintf(copy, sizeof copy, "%s", paths);
	d->paths = calloc(8, sizeof *d->paths);
	assert_non_null(d->paths);
	while ((one = strsep(&rest, ",")) != NULL && *one != '\0') {
		char address[64], word[32], *said = strchr(one, '=');
		assert_int_equal(sscanf(one, " %63s %31[^ =]", address, word), 2);
		const struct candidate *c = offered(d, address);
		if (c == NULL)
			fail_msg("%s is not offered", address);
		assert_true(d->path_count < 8);
		struct path_try *p = &d->paths[d->path_count++];
		*p = (struct path_try){.to = c->to,
			.preference = c->preference,
			.fault = fault_named(word),
			.connect_ms = UINT32_MAX,
			.greeting_ms = UINT32_MAX,
			.total_ms = 20};
		snprintf(p->host, sizeof p->host, "%s", c->host);
		if (said != NULL)
			reply_set(&p->reply, (unsigned)atoi(said + 1), "", "%s", said + 5);
		if (p->fault == FAULT_NONE) {
			p->connect_ms = 5;
			p->greeting_ms = 10;
			d->used = (int)d->path_count - 1;
		}
	}
	d->took_ms = 20;
	struct connection *c = d->used >= 0 && !d->probe ? new_connection(&d->paths[d->used]) : NULL;
	d->connection = c;
	d->done(d);
	return c;
}

/* ---- connections ---- */

const struct connection_info *connection_info(const struct connection *c)
{
	return &c->info;
}

void connection_set_arg(struct connection *c, void *arg)
{
	c->arg = arg;
}

void *connection_arg(const struct connection *c)
{
	return c->arg;
}

void connection_on_closed(struct connection *c, void (*closed)(struct connection *c))
{
	c->closed = closed;
}

void connection_release(struct connection *c)
{
	assert_false(c->open);
}

void connection_quit(struct connection *c)
{
	c->quit = true;
}

void connection_send(struct connection *c, struct transaction *t, bool last_path)
{
	assert_true(c->open);
	assert_false(c->quit);
	assert_null(c->sent);
	assert_true(t->rcpt_count > 0);
	c->sent = t;
	c->count++;
	c->last_path = last_path;
}

static void set_reply(struct reply *r, const char *text)
{
	unsigned code;
	char enhanced[REPLY_ENHANCED] = "";
	int used = 0;
	assert_true(sscanf(text, "%u %n", &code, &used) == 1);
	if (sscanf(text + used, "%11[0-9.] ", enhanced) == 1 && strchr(enhanced, '.') != NULL)
		used += (int)strlen(enhanced) + 1;
	else
		enhanced[0] = '\0';
	reply_set(r, code, enhanced, "%s", (size_t)used <= strlen(text) ? text + used : "");
	r->own = false;
}

void close_connection(struct connection *c)
{
	assert_true(c->open);
	assert_null(c->sent);
	c->open = false;
	c->closed(c);
}

void end_transaction(struct connection *c, enum transaction_end end, enum fault fault, const char *replies)
{
	struct transaction *t = c->sent;
	char copy[1024], *rest = copy, *one;
	if (t == NULL)
		fail_msg("nothing is being sent");
	snprintf(copy, sizeof copy, "%s", replies);
	bool single = strchr(replies, '|') == NULL;
	t->accepted = 0;
	for (unsigned i = 0; i < t->rcpt_count; i++) {
		if (single)
			snprintf(rest = copy, sizeof copy, "%s", replies);
		one = strsep(&rest, "|");
		assert_non_null(one);
		t->rcpts[i].answered = strcmp(one, "-") != 0;
		if (t->rcpts[i].answered) {
			set_reply(&t->rcpts[i].reply, one);
			t->last = t->rcpts[i].reply;
			t->rcpts[i].too_many = reply_is_too_many(&t->rcpts[i].reply);
			t->accepted += reply_class(&t->last) == 2;
		}
	}
	if (t->last.code == 0)
		reply_set(&t->last, 0, "", "%s", fault_text(fault));
	c->sent = NULL;
	t->end = end;
	t->fault = fault;
	t->transfer_ms = 7;
	t->reusable = end == TRANSACTION_ANSWERED && fault == FAULT_NONE;
	bool closes = !t->reusable;
	t->done(t);
	if (closes)
		close_connection(c);
}

void answer(struct connection *c, const char *replies)
{
	end_transaction(c, TRANSACTION_ANSWERED, FAULT_NONE, replies);
}

unsigned open_connections(void)
{
	unsigned n = 0;
	for (unsigned i = 0; i < fx.connection_count; i++)
		n += fx.connections[i]->open;
	return n;
}

unsigned sending(void)
{
	unsigned n = 0;
	for (unsigned i = 0; i < fx.connection_count; i++)
		n += fx.connections[i]->sent != NULL;
	return n;
}

const char *sending_to(const struct connection *c)
{
	static char out[1024];
	int n = 0;
	out[0] = '\0';
	for (unsigned i = 0; c->sent != NULL && i < c->sent->rcpt_count && n < 900; i++)
		n += snprintf(out + n, sizeof out - (size_t)n, "%s%s", i ? " " : "", c->sent->rcpts[i].address);
	return out;
}

/* ---- store ---- */

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void tell(const char *format, ...)
{
	size_t n = strlen(fx.journal);
	va_list ap;
	va_start(ap, format);
	vsnprintf(fx.journal + n, sizeof fx.journal - n, format, ap);
	va_end(ap);
}

void journal_clear(void)
{
	fx.journal[0] = '\0';
}

static void tell_record(const struct commit *c)
{
	static const char *const words[] = {
		"", "MESSAGE", "OUTCOME", "HOLD", "RELEASE", "REMOVE", "MOVED", "VOID", "COMMIT", "REDIRECT", "RETURN"};
	static const char *const statuses[] = {"deferred", "delivered", "failed"};
	tell("%s %u", words[c->type], c->type == RECORD_MESSAGE ? 0 : (unsigned)c->id);
	if (c->type == RECORD_OUTCOME) {
		struct attempt *a;
		assert_int_equal(attempt_decode(&a, c->meta, c->meta_len), 0);
		for (unsigned i = 0; i < a->rcpt_count && i < 8; i++)
			tell(" %u=%s", a->rcpts[i].index, statuses[a->rcpts[i].status]);
		attempt_free(a);
	} else if (c->type == RECORD_MESSAGE) {
		struct envelope *e;
		assert_int_equal(envelope_decode(&e, c->meta, c->meta_len), 0);
		tell(" <%s> %s", e->sender, e->rcpts[0].address);
		assert_true(e->flags & ENVELOPE_BOUNCE);
		envelope_free(e);
	} else if (c->type != RECORD_MOVED) {
		tell("%s%.*s", c->meta_len ? " " : "", (int)c->meta_len, (const char *)c->meta);
	}
}

void store_commit(struct store *s, struct commit *c)
{
	(void)s;
	if (fx.stored != NULL)
		fx.stored();
	assert_true(fx.commit_count < FAKE_COMMITS);
	fx.commits[fx.commit_count++] = c;
	assert_null(c->second_to);
	for (const struct commit *i = c; i != NULL; i = i->group) {
		if (i != c)
			tell(" + ");
		tell_record(i);
	}
	tell("\n");
}

static struct kept *kept_as(const char *name)
{
	return strcmp(name, "paths") == 0    ? &fx.paths
	       : strcmp(name, "pins") == 0   ? &fx.pinned
	       : strcmp(name, "warmup") == 0 ? &fx.warmup
	       : strcmp(name, "families") == 0 ? &fx.families
					     : NULL;
}

int store_read_state(const struct store *s, const char *name, uint32_t version, struct buf *out)
{
	const struct kept *kept = kept_as(name);
	(void)s;
	assert_true(kept != NULL || strcmp(name, "suspended") == 0);
	size_t len = kept ? kept->len : fx.state_len;
	if (len == 0)
		return -ENOENT;
	return version == 1 ? buf_append(out, kept ? kept->bytes : fx.state, len) : -EBADMSG;
}

void store_write_state(struct store *s, struct sidestate *f)
{
	struct kept *kept = kept_as(f->name);
	(void)s;
	fx.states_written++;
	assert_true(f->content.len <= (kept ? sizeof kept->bytes : sizeof fx.state));
	if (f->content.len > 0)
		memcpy(kept ? kept->bytes : fx.state, f->content.data, f->content.len);
	*(kept ? &kept->len : &fx.state_len) = f->content.len;
}

void commit_one(int status)
{
	assert_true(fx.commit_count > 0);
	struct commit *c = fx.commits[0];
	memmove(fx.commits, fx.commits + 1, --fx.commit_count * sizeof fx.commits[0]);
	c->status = status;
	for (struct commit *i = c; i != NULL && status == 0; i = i->group) {
		fx.end.offset += 64;
		i->place = fx.end;
	}
	c->first_done(&c->first);
}

void commit_all(void)
{
	while (fx.commit_count > 0)
		commit_one(0);
}

enum store_room store_room(const struct store *s, uint64_t size)
{
	(void)s;
	(void)size;
	return fx.room;
}

void store_discard_body(struct store *s, struct body *body)
{
	(void)s;
	body_unref(body);
}

void store_pin(struct store *s, struct place content)
{
	(void)s;
	(void)content;
	fx.pins++;
}

void store_unpin(struct store *s, struct place content)
{
	(void)s;
	(void)content;
	fx.pins--;
}

void store_forget(struct store *s, uint64_t id)
{
	(void)s;
	assert_true(fx.forgotten_count < 16);
	fx.forgotten[fx.forgotten_count++] = id;
}

struct content_reader {
	void (*ready)(void *arg);
	void *arg;
	bool read, told;
};
enum { READERS = 256 };
static struct content_reader *readers[READERS];

struct content_reader *content_reader_open(
	struct store *s, struct place content, struct mailbox *home, void (*ready)(void *arg), void *arg)
{
	(void)s;
	(void)content;
	(void)home;
	struct content_reader *r = calloc(1, sizeof *r);
	assert_non_null(r);
	r->ready = ready;
	r->arg = arg;
	unsigned i = 0;
	while (i < READERS && readers[i] != NULL)
		i++;
	assert_true(i < READERS);
	readers[i] = r;
	return r;
}

int content_reader_piece(struct content_reader *r, const uint8_t **p, size_t *n)
{
	if (fx.slow_content)
		return 0;
	if (fx.content == NULL)
		return -EBADMSG;
	if (r->read)
		return 2;
	*p = (const uint8_t *)fx.content;
	*n = strlen(fx.content);
	return 1;
}

void content_reader_next(struct content_reader *r)
{
	r->read = true;
}

void content_reader_close(struct content_reader *r)
{
	for (unsigned i = 0; i < READERS; i++)
		if (readers[i] == r)
			readers[i] = NULL;
	free(r);
}

void fixture_content(void)
{
	fx.slow_content = false;
	for (unsigned i = 0; i < READERS; i++)
		if (readers[i] != NULL)
			readers[i]->ready(readers[i]->arg);
}

void store_read_history(struct store *s, struct store_history *h)
{
	(void)s;
	assert_true(fx.history_count < 64);
	fx.histories[fx.history_count++] = h;
}

void histories_done(void)
{
	while (fx.history_count > 0) {
		struct store_history *h = fx.histories[--fx.history_count];
		h->done(h);
	}
}

void store_history_fini(struct store_history *h)
{
	assert_null(h->envelope);
}

int store_encode_moved(const struct envelope *e, struct attempt *const *attempts, unsigned count, struct buf *out)
{
	(void)attempts;
	assert_int_equal(count, 0);
	return envelope_encode(e, out);
}

void store_read_body(struct store *s, struct content_body *c)
{
	(void)s;
	assert_true(fx.body_count < 64);
	fx.bodies[fx.body_count++] = c;
}

void bodies_done_one(int status)
{
	assert_true(fx.body_count > 0);
	struct content_body *c = fx.bodies[0];
	memmove(fx.bodies, fx.bodies + 1, --fx.body_count * sizeof fx.bodies[0]);
	c->status = status;
	c->body = status == 0 ? body_new() : NULL;
	c->done(c);
}

void bodies_done(int status)
{
	while (fx.body_count > 0)
		bodies_done_one(status);
}

uint32_t store_oldest_segment(struct store *s)
{
	(void)s;
	return fx.oldest;
}

uint32_t store_reclaim_wanted(struct store *s, uint64_t live_bytes)
{
	(void)s;
	(void)live_bytes;
	return fx.wanted;
}

void store_free_segment(struct store *s, uint32_t segment)
{
	(void)s;
	assert_int_equal(segment, fx.oldest);
	assert_true(fx.freed_count < FAKE_FREED);
	fx.freed[fx.freed_count++] = segment;
	fx.oldest = fx.wanted = 0;
}

bool store_checkpoint_wanted(struct store *s)
{
	(void)s;
	return fx.checkpoint_wanted;
}

static struct {
	void (*begun)(void *arg);
	void *begun_arg;
} checkpoint;

int store_checkpoint_begin(struct store *s, struct mailbox *home, void (*begun)(void *arg), void *arg)
{
	(void)s;
	(void)home;
	fx.checkpoint_wanted = false;
	checkpoint.begun = begun;
	checkpoint.begun_arg = arg;
	return 0;
}

void checkpoint_begun(void)
{
	checkpoint.begun(checkpoint.begun_arg);
}

int store_checkpoint_add(
	struct store *s, const struct envelope *e, struct place content, struct place newest, bool in_file)
{
	(void)s;
	(void)content;
	(void)newest;
	(void)in_file;
	if (fx.checkpoint_room == 0)
		return 1;
	fx.checkpoint_room--;
	fx.checkpoint_entries++;
	size_t n = strlen(fx.checkpoint);
	snprintf(fx.checkpoint + n, sizeof fx.checkpoint - n, "%s%u", n ? " " : "", (unsigned)e->id);
	return 0;
}

void store_checkpoint_end(struct store *s, bool whole, void (*done)(void *arg, int err), void *arg)
{
	(void)s;
	fx.checkpoints += whole;
	done(arg, whole ? 0 : -ENOMEM);
}

/* ---- begin and end ---- */

void fakes_begin(void)
{
	zone_count = 0;
	memset(readers, 0, sizeof readers);
	assert_true(TAILQ_EMPTY(&questions));
}

void fakes_end(void)
{
	assert_true(TAILQ_EMPTY(&questions));
	for (unsigned i = 0; i < READERS; i++)
		assert_null(readers[i]);
	for (unsigned i = 0; i < fx.connection_count; i++)
		free(fx.connections[i]);
}
