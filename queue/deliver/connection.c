/* queue/deliver/connection.c: plumbing.
 *
 * Memory: counted. The loop has one reference until both handles are closed, the queue thread one from
 * connection_adopt() to connection_release(), each letter on its way one. */
#include "queue/deliver/connection.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "conf/counter.h"
#include "conf/log.h"
#include "conf/sources.h"
#include "queue/deliver/client.h"
#include "queue/deliver/conversion.h"
#include "queue/deliver/feed.h"
#include "queue/deliver/needs.h"
#include "queue/deliver/outbound.h"
#include "queue/deliver/outlet.h"
#include "queue/deliver/socket_fault.h"

/* Milliseconds. RFC 5321 §4.5.3.2 for the last path of all; the dot has its ten minutes on every path. */
enum {
	REPLY_LAST_MS = 300000,
	DATA_LAST_MS = 120000,
	BLOCK_LAST_MS = 180000,
	DOT_MS = 600000,
	QUIT_MS = 2000,
};

enum {
	TURN_MOST = 1 << 20,  /* bytes sent before the other sockets of the loop get their turn */
	SMALL_CONTENT = 1000, /* with headers below it fits into the smallest IPv6 path MTU */
	DOT_POLL_FIRST_MS = 1,
	DOT_POLL_MOST_MS = 8,
};

struct connection {
	/* read by the queue thread too, once ready; never changed then */
	struct connection_info info;
	atomic_uint refs;
	struct mailbox *home;
	struct ioloop *loop;

	/* the queue thread's */
	void *queue_arg;
	void (*closed)(struct connection *c);
	unsigned pending; /* transactions sent and not done */
	bool gone;	  /* `closed` is due once none is pending */
	bool told;	  /* … and has been called */
	bool quit_asked;
	struct letter quit_letter;

	/* the loop's */
	struct letter closed_letter;
	LIST_ENTRY(connection) entry;
	struct conf *conf;
	struct store *store;
	const struct connection_owner *owner; /* NULL: dropped or adopted */
	void *owner_arg;
	size_t attempt;
	char helo[HOST_TEXT];
	uv_tcp_t tcp;
	uv_timer_t timer;
	uv_connect_t connect;
	unsigned handles;
	struct client client;
	struct outlet outlet;
	uint64_t step_ms;  /* when the present step began, or last went on */
	uint32_t progress; /* of the client, at that time */
	uint32_t slowest_ms;
	bool awaiting;	/* the step is one that counts there */
	uint64_t acked; /* bytes that the peer's TCP has, when last looked at */
	uint64_t message_limit;
	unsigned accepted; /* transactions taken from the queue thread */
	bool connected, adopted, quitting, closing, busy, again;
	bool said_begun, said_greeted, said_ready;
	struct transaction *surveys[2]; /* not begun yet: it is being found out how their content is converted */
	/* content of the first transaction */
	struct feed feed;
	bool proven;	      /* larger segments got through */
	unsigned dot_poll_ms; /* the dot is held back until the rest is acknowledged; 0: it is not */
};

static void progress(struct connection *c);

static void unref(struct connection *c)
{
	if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	client_fini(&c->client);
	conf_unref(c->conf);
	free(c);
}

static void ref(struct connection *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
}

static uint64_t now_ms(const struct connection *c)
{
	return uv_now(&c->loop->uv);
}

/* ---- the end ---- */

static void on_closed_at_home(struct letter *letter);

static void stop_feeding(struct connection *c)
{
	feed_stop(&c->feed);
	c->dot_poll_ms = 0;
}

static bool takes_more(const struct connection *c)
{
	uint64_t most = c->message_limit;
	if (c->client.peer.mail_max != 0 && c->client.peer.mail_max < most)
		most = c->client.peer.mail_max;
	return !c->closing && !c->quitting && c->client.state >= CLIENT_READY && c->client.state < CLIENT_QUIT &&
	       c->accepted < most && !outbound_of(c->loop)->draining;
}

static void transaction_opened(struct letter *letter);

static void give_back(struct connection *c, struct transaction *t)
{
	uint64_t took = now_ms(c) - t->begun_ms;
	t->transfer_ms = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
	t->slowest_ms = c->slowest_ms;
	c->slowest_ms = 0;
	t->reusable = takes_more(c);
	conversion_free(t->conversion);
	t->conversion = NULL;
	mailbox_post(c->home, &t->letter, transaction_opened);
}

/* Posts the transactions that ended, once nothing points into their content any more. */
static void give_ended_back(struct connection *c)
{
	struct transaction *t;
	if (outlet_holds_content(&c->outlet))
		return;
	while ((t = client_ended(&c->client)) != NULL) {
		if (t == c->feed.of)
			stop_feeding(c);
		give_back(c, t);
	}
}

static void give_back_unstarted(struct connection *c, struct transaction *t)
{
	t->end = TRANSACTION_UNSTARTED;
	t->fault = c->client.fault;
	reply_set(&t->last, 0, "", "the connection was closed before");
	for (unsigned i = 0; i < t->rcpt_count; i++)
		t->rcpts[i].answered = false;
	give_back(c, t);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct connection *c = handle->data;
	if (--c->handles > 0)
		return;
	LIST_REMOVE(c, entry);
	COUNT_DOWN(connections_open);
	give_ended_back(c);
	stop_feeding(c);
	for (unsigned i = 0; i < 2; i++)
		if (c->surveys[i] != NULL)
			give_back_unstarted(c, c->surveys[i]);
	if (c->adopted)
		mailbox_post(c->home, &c->closed_letter, on_closed_at_home);
	unref(c);
}

static void close_now(struct connection *c)
{
	if (c->closing)
		return;
	c->closing = true;
	uv_close((uv_handle_t *)&c->timer, on_handle_closed);
	uv_close((uv_handle_t *)&c->tcp, on_handle_closed);
}

static void lose(struct connection *c, enum fault why)
{
	client_lost(&c->client, why, outlet_unsent(&c->outlet));
}

/* ---- time ---- */

static bool last_path(const struct connection *c)
{
	return c->client.job_count > 0 && c->client.jobs[0].t->last_path;
}

/* Is the first transaction's content, or its dot, still on this side? */
static bool is_sending(const struct connection *c)
{
	const struct client *k = &c->client;
	bool under_way = false;
	if (k->state == CLIENT_CHUNK)
		outlet_acknowledged(&c->outlet, &under_way);
	return under_way || k->state == CLIENT_CONTENT ||
	       (k->state == CLIENT_DOT && k->sent - outlet_unsent(&c->outlet) < k->jobs[0].dot_at);
}

/* How long the present step may take; UINT64_MAX: the race looks after it. */
static uint64_t step_limit(const struct connection *c)
{
	const struct conf *conf = c->conf;
	bool last = last_path(c);
	if (is_sending(c))
		return last ? BLOCK_LAST_MS : conf->race.stall;
	switch (c->client.state) {
	case CLIENT_READY:
		return c->adopted && c->surveys[0] == NULL && c->surveys[1] == NULL ? conf->limits.connection_idle
										    : UINT64_MAX;
	case CLIENT_ENVELOPE:
		return last ? REPLY_LAST_MS : conf->race.patience_mail;
	case CLIENT_DATA:
		return last ? DATA_LAST_MS : conf->race.patience_mail;
	case CLIENT_CHUNK:
		return last ? BLOCK_LAST_MS : conf->race.patience_mail;
	case CLIENT_DOT:
		return DOT_MS;
	case CLIENT_QUIT:
		return QUIT_MS;
	default:
		return UINT64_MAX;
	}
}

static void on_timer(uv_timer_t *timer);

static void arm(struct connection *c)
{
	if (c->closing)
		return;
	uint64_t now = now_ms(c);
	if (c->progress != c->client.progress) {
		c->progress = c->client.progress;
		if (c->awaiting && now - c->step_ms > c->slowest_ms)
			c->slowest_ms = (uint32_t)(now - c->step_ms);
		c->step_ms = now;
	}
	c->awaiting = c->client.state == CLIENT_ENVELOPE || c->client.state == CLIENT_DATA;
	uint64_t limit = step_limit(c);
	if (limit == UINT64_MAX) {
		uv_timer_stop(&c->timer);
		return;
	}
	/* while bytes are sent they are looked at more often than that */
	uint64_t due = c->step_ms + limit;
	if (is_sending(c) && now + limit / 8 < due)
		due = now + limit / 8;
	if (c->dot_poll_ms != 0)
		due = now + c->dot_poll_ms;
	const struct outbound *o = outbound_of(c->loop);
	if (o->draining && o->deadline_ms < due)
		due = o->deadline_ms;
	uv_timer_start(&c->timer, on_timer, due > now ? due - now : 0, 0);
}

/* Did bytes arrive since the last look? Waiting for our own disk is no stall. */
static void look_at_stall(struct connection *c, uint64_t now)
{
	bool under_way;
	uint64_t acked = outlet_acknowledged(&c->outlet, &under_way);
	if (acked != c->acked || !under_way) {
		c->acked = acked;
		c->step_ms = now;
	}
	if (now >= c->step_ms + step_limit(c))
		lose(c, FAULT_STALLED);
}

static void on_timer(uv_timer_t *timer)
{
	struct connection *c = timer->data;
	const struct outbound *o = outbound_of(c->loop);
	uint64_t now = now_ms(c);
	uint64_t limit = step_limit(c);
	bool over = limit != UINT64_MAX && now >= c->step_ms + limit;
	enum client_state state = c->client.state;
	if (o->draining && now >= o->deadline_ms)
		lose(c, FAULT_NONE);
	else if (is_sending(c))
		look_at_stall(c, now);
	else if (over && state == CLIENT_READY)
		client_quit(&c->client);
	else if (over)
		lose(c, state == CLIENT_DOT ? FAULT_SILENT_DOT : FAULT_SILENT_LATER);
	progress(c);
}

/* ---- sending ---- */

/* What waited for the kernel was taken, or could not be: then the reading side tells why. */
static void on_written(void *arg, bool taken)
{
	struct connection *c = arg;
	if (taken)
		c->step_ms = now_ms(c);
	progress(c);
}

static void on_content_ready(void *arg)
{
	progress(arg);
}

/* Only a path with an alternative, and only until a large segment got through once: the dot waits until all before it
 * was acknowledged. A path whose larger segments vanish (its MTU is less than it says) then is given up before the dot,
 * and the message is free for the next path; with the dot sent nobody could tell. */
static bool must_hold_dot(struct connection *c)
{
	bool under_way;
	const struct transaction *t = c->feed.of;
	if (c->proven || t->last_path || t->size <= SMALL_CONTENT)
		return false;
	uint64_t acked = outlet_acknowledged(&c->outlet, &under_way);
	if (!under_way) {
		c->proven = true;
		c->acked = acked;
		c->dot_poll_ms = 0;
		return false;
	}
	unsigned next = c->dot_poll_ms * 2;
	c->dot_poll_ms = next == 0 ? DOT_POLL_FIRST_MS : next > DOT_POLL_MOST_MS ? DOT_POLL_MOST_MS : next;
	return true;
}

/* Gives the client its next piece of content; false if it is not there yet. Nothing is being written. */
static bool feed(struct connection *c)
{
	const struct transaction *t = c->client.jobs[0].t;
	const uint8_t *p = NULL;
	size_t n = 0;
	int status = 0;
	if (c->feed.of != t) {
		stop_feeding(c);
		status = feed_start(&c->feed, t, c->store, &c->loop->mailbox, on_content_ready, c);
	}
	if (status == 0)
		status = feed_next(&c->feed, &p, &n);
	if (status == 0 || (status == 2 && must_hold_dot(c)))
		return false;
	if (status == 1)
		client_content(&c->client, p, n);
	else if (status == 2)
		client_content_end(&c->client);
	else
		client_content_failed(&c->client, status);
	return true;
}

static void pump(struct connection *c)
{
	size_t budget = TURN_MOST;
	while (outlet_is_free(&c->outlet) && !c->closing && c->client.state != CLIENT_CLOSED) {
		if (client_wants_content(&c->client) && !feed(c))
			return;
		int sent = outlet_send(&c->outlet, &budget);
		if (sent < 0)
			lose(c, socket_fault(sent));
		if (sent <= 0 && !client_wants_content(&c->client))
			return;
	}
}

/* ---- going on after whatever happened ---- */

static void tell_owner(struct connection *c)
{
	const struct client *k = &c->client;
	if (c->owner != NULL && k->greeting_begun && !c->said_begun) {
		c->said_begun = true;
		c->owner->greeting_begun(c, c->owner_arg);
	}
	if (c->owner != NULL && k->state == CLIENT_GREETED && !c->said_greeted) {
		c->said_greeted = true;
		c->owner->greeted(c, c->owner_arg, &k->last);
	}
	if (c->owner != NULL && k->state == CLIENT_READY && !c->said_ready) {
		c->said_ready = true;
		c->owner->ready(c, c->owner_arg);
	}
	if (c->owner != NULL && k->state == CLIENT_CLOSED) {
		const struct connection_owner *owner = c->owner;
		c->owner = NULL;
		owner->failed(c, c->owner_arg, k->fault, &k->last);
	}
}

static void progress(struct connection *c)
{
	if (c->busy || c->closing) {
		c->again = true;
		return;
	}
	c->busy = true;
	do {
		c->again = false;
		tell_owner(c);
		if (c->adopted && c->client.state == CLIENT_READY && !takes_more(c))
			client_quit(&c->client);
		pump(c);
		give_ended_back(c);
	} while (c->again && !c->closing && c->client.state != CLIENT_CLOSED);
	c->busy = false;
	if (c->client.state == CLIENT_CLOSED) {
		tell_owner(c);
		if (c->client.fault == FAULT_TOO_LONG)
			COUNT(replies_oversized);
		close_now(c);
	}
	arm(c);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	const struct connection *c = handle->data;
	(void)suggested;
	*buf = uv_buf_init((char *)outbound_of(c->loop)->buffer, OUTBOUND_READ);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct connection *c = stream->data;
	if (n == 0)
		return;
	if (n > 0) {
		client_receive(&c->client, buf->base, (size_t)n, outlet_unsent(&c->outlet));
	} else {
		uv_read_stop(stream);
		enum fault fault = socket_fault((int)n);
		/* the kernel gave up sending again and again: that is no fault of a connect */
		lose(c, n == UV_ETIMEDOUT ? FAULT_STALLED : fault == FAULT_LOCAL ? FAULT_RESET : fault);
	}
	progress(c);
}

/* ---- beginning ---- */

static void fail_attempt(struct connection *c, int err)
{
	const struct connection_owner *owner = c->owner;
	struct reply why;
	reply_set(&why, 0, "", "%s", uv_strerror(err));
	c->owner = NULL;
	if (owner != NULL)
		owner->failed(c, c->owner_arg, socket_fault(err), &why);
	close_now(c);
}

static void on_connect(uv_connect_t *req, int status)
{
	struct connection *c = req->data;
	if (c->closing)
		return;
	if (status == 0)
		status = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
	if (status != 0) {
		fail_attempt(c, status);
		return;
	}
	c->connected = true;
	if (c->owner != NULL)
		c->owner->connected(c, c->owner_arg);
}

/* The lane's own address. A host that has lost it still delivers, under the name of no address, and says so. */
static void bind_source(struct connection *c, const struct ip *source)
{
	struct sockaddr_storage sa;
	struct endpoint own = {.ip = *source};
	int fd, on = 1;
	if (source->family == FAMILY_NONE)
		return;
	/* the port is chosen at connect: else all destinations share one range of ports */
	if (uv_fileno((const uv_handle_t *)&c->tcp, &fd) == 0)
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	endpoint_to_sockaddr(&own, &sa);
	int err = uv_tcp_bind(&c->tcp, (const struct sockaddr *)&sa, 0);
	if (err == 0)
		return;
	const struct ip none = {.family = FAMILY_NONE};
	snprintf(c->helo, sizeof c->helo, "%s", sources_helo(c->conf, &none, (enum family)c->info.to.ip.family));
	LOG_WARN("source-address-unusable", LF_IP("source", source), LF_ENDPOINT("to", &c->info.to),
		LF_STR("error", uv_strerror(err)));
}

/* Smaller segments over IPv6, for paths on which larger ones vanish and nobody says so. */
static void clamp_segments(struct connection *c)
{
	int fd, mss = (int)c->conf->path.mss_ipv6;
	if (mss == 0 || c->info.to.ip.family != FAMILY_IPV6)
		return;
	if (uv_fileno((const uv_handle_t *)&c->tcp, &fd) != 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof mss) != 0)
		LOG_WARN("mss-not-set", LF_NUM("mss", mss), LF_ENDPOINT("to", &c->info.to),
			LF_STR("error", strerror(errno)));
}

static struct connection *make(const struct connection_setup *s)
{
	struct connection *c = calloc(1, sizeof *c);
	if (c == NULL)
		return NULL;
	const struct lane *lane = s->lane;
	bool ipv4 = s->candidate->to.ip.family == FAMILY_IPV4;
	atomic_init(&c->refs, 1);
	c->loop = s->loop;
	c->home = s->home;
	c->conf = conf_ref((struct conf *)(uintptr_t)s->conf);
	c->store = s->store;
	c->message_limit = lane->messages ? lane->messages : s->conf->limits.connection_messages;
	c->owner = s->owner;
	c->owner_arg = s->arg;
	c->attempt = s->attempt;
	c->info.to = s->candidate->to;
	c->info.preference = s->candidate->preference;
	c->info.loop = s->loop->number;
	snprintf(c->info.host, sizeof c->info.host, "%s", s->candidate->host);
	snprintf(c->helo, sizeof c->helo, "%s", ipv4 ? lane->helo_ipv4 : lane->helo_ipv6);
	client_init(&c->client, c->helo, (unsigned)s->conf->limits.reply_lines, (size_t)s->conf->limits.reply_bytes);
	c->client.bdat = s->conf->chunking == CHUNKING_ALWAYS  ? CLIENT_BDAT_ALWAYS
			 : s->conf->chunking == CHUNKING_NEVER ? CLIENT_BDAT_NEVER
							       : CLIENT_BDAT_BINARY;
	outlet_init(&c->outlet, &c->tcp, &c->client, on_written, c);
	return c;
}

int connection_open(struct connection **out, const struct connection_setup *s, enum fault *fault, struct reply *why)
{
	struct sockaddr_storage sa;
	bool ipv4 = s->candidate->to.ip.family == FAMILY_IPV4;
	int err = UV_ENOMEM;
	struct connection *c = make(s);
	if (c == NULL)
		goto failed;
	uv_timer_init(&s->loop->uv, &c->timer);
	c->timer.data = c;
	err = uv_tcp_init_ex(&s->loop->uv, &c->tcp, ipv4 ? AF_INET : AF_INET6);
	if (err != 0) /* no descriptor left: the handle must be closed all the same */
		uv_tcp_init(&s->loop->uv, &c->tcp);
	c->tcp.data = c;
	c->handles = 2;
	COUNT(connections_open);
	LIST_INSERT_HEAD(&outbound_of(s->loop)->connections, c, entry);
	if (err == 0) {
		uv_tcp_nodelay(&c->tcp, 1);
		clamp_segments(c);
		bind_source(c, ipv4 ? &s->lane->source_ipv4 : &s->lane->source_ipv6);
		endpoint_to_sockaddr(&c->info.to, &sa);
		c->connect.data = c;
		err = uv_tcp_connect(&c->connect, &c->tcp, (const struct sockaddr *)&sa, on_connect);
	}
	if (err == 0) {
		*out = c;
		return 0;
	}
	c->owner = NULL;
	close_now(c);
failed:
	*fault = socket_fault(err);
	reply_set(why, 0, "", "%s", uv_strerror(err));
	return err;
}

size_t connection_attempt(const struct connection *c)
{
	return c->attempt;
}

void connection_hello(struct connection *c)
{
	client_hello(&c->client);
	progress(c);
}

void connection_drop(struct connection *c)
{
	c->owner = NULL;
	bool polite = c->client.state > CLIENT_GREETING || c->client.greeting_begun;
	if (!c->connected || !polite || c->client.state == CLIENT_CLOSED) {
		close_now(c);
		return;
	}
	client_quit(&c->client);
	progress(c);
}

void connection_adopt(struct connection *c)
{
	const struct client *k = &c->client;
	c->owner = NULL;
	c->adopted = true;
	c->info.peer = k->peer;
	ref(c);
}

void connection_drain(struct connection *c)
{
	progress(c);
}

struct connection *connection_next(const struct connection *c)
{
	return LIST_NEXT(c, entry);
}

/* ---- the queue thread's side ---- */

const struct connection_info *connection_info(const struct connection *c)
{
	return &c->info;
}

void connection_set_arg(struct connection *c, void *arg)
{
	c->queue_arg = arg;
}

void *connection_arg(const struct connection *c)
{
	return c->queue_arg;
}

static void tell_closed(struct connection *c)
{
	if (!c->gone || c->told || c->pending > 0 || c->closed == NULL)
		return;
	c->told = true;
	c->closed(c);
}

static void on_closed_at_home(struct letter *letter)
{
	struct connection *c = LETTER_OF(letter, struct connection, closed_letter);
	c->gone = true;
	tell_closed(c);
}

void connection_on_closed(struct connection *c, void (*closed)(struct connection *c))
{
	c->closed = closed;
}

void connection_release(struct connection *c)
{
	unref(c);
}

static void transaction_opened(struct letter *letter)
{
	struct transaction *t = LETTER_OF(letter, struct transaction, letter);
	struct connection *c = t->connection;
	c->pending--;
	t->done(t);
	tell_closed(c);
}

static void begin(struct connection *c, struct transaction *t)
{
	if (!takes_more(c) || client_begin(&c->client, t) != 0) {
		give_back_unstarted(c, t);
		return;
	}
	if (c->accepted++ > 0)
		COUNT(connections_reused);
	progress(c);
}

static void on_surveyed(struct transaction *t, int status)
{
	struct connection *c = t->connection;
	for (unsigned i = 0; i < 2; i++)
		if (c->surveys[i] == t)
			c->surveys[i] = NULL;
	if (status == 0) {
		begin(c, t);
		return;
	}
	c->step_ms = now_ms(c);
	t->end = status == -EILSEQ ? TRANSACTION_ANSWERED : TRANSACTION_LOCAL;
	t->fault = FAULT_NONE;
	t->error = status;
	give_back(c, t);
	progress(c);
}

static void on_send(struct letter *letter)
{
	struct transaction *t = LETTER_OF(letter, struct transaction, letter);
	struct connection *c = t->connection;
	enum mime_target target;
	t->begun_ms = now_ms(c);
	t->conversion = NULL;
	if (!takes_more(c) || !needs_conversion(&c->client.peer, t, &target)) {
		begin(c, t);
		return;
	}
	for (unsigned i = 0; i < t->rcpt_count; i++)
		t->rcpts[i].answered = false;
	c->surveys[c->surveys[0] != NULL] = t;
	if (conversion_start(t, target, c->store, &c->loop->mailbox, on_surveyed) != 0)
		on_surveyed(t, -ENOMEM);
	else
		progress(c); /* the idle time does not run meanwhile */
}

void connection_send(struct connection *c, struct transaction *t, bool last)
{
	t->connection = c;
	t->last_path = last;
	c->pending++;
	mailbox_post(&c->loop->mailbox, &t->letter, on_send);
}

static void on_quit(struct letter *letter)
{
	struct connection *c = LETTER_OF(letter, struct connection, quit_letter);
	c->quitting = true;
	progress(c);
	unref(c);
}

void connection_quit(struct connection *c)
{
	if (c->quit_asked)
		return;
	c->quit_asked = true;
	ref(c);
	mailbox_post(&c->loop->mailbox, &c->quit_letter, on_quit);
}
