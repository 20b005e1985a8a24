/* smtpd/session.c: plumbing.
 *
 * `waiting` says why nothing is read; each answer clears its bit and calls go_on(). An ended session (`closed`) lives
 * on only until its handles are closed and the store has given back what was lent to it. */
#include "smtpd/session.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/clock.h"
#include "conf/counter.h"
#include "conf/log.h"
#include "smtpd/server.h"

enum {
	READ_CONTENT = 65536, /* bytes of one read inside DATA, */
	READ_COMMANDS = 8192, /* and between messages */
	LINGER_MS = 2000,     /* for a client to read our last words, if it was still talking */
};

enum {
	WAIT_BODY = 1,	 /* the store takes no more for now */
	WAIT_FINISH = 2, /* the content is being made durable: body_writer_finish() will answer */
	WAIT_COMMIT = 4, /* the message was posted: its letter will come */
	WAIT_SEND = 8,	 /* the client does not take its replies */
};

/* What was read and could not be handled yet. */
struct rest {
	size_t at, len;
	uint8_t bytes[];
};

struct session {
	uv_tcp_t tcp;
	uv_timer_t timer;
	LIST_ENTRY(session) entry;
	struct session_home *home;
	struct conf *conf;
	struct smtp_server smtp;
	struct body_writer *writer; /* NULL: no content is being collected */
	struct rest *rest;
	uint64_t deadline;		  /* of the loop's clock, as data_end */
	uint64_t data_end;		  /* 0: outside of content */
	uint64_t size;			  /* of the message that was posted */
	const struct conf_listen *listen; /* in `conf`; NULL: gone */
	struct endpoint client, via;	  /* via: who connected, if that is another */
	uint32_t place;
	uint8_t waiting;
	uint8_t handles; /* not closed yet */
	bool reading;
	bool leaving;	/* the last reply is said */
	bool lingering; /* and sent: what comes is dropped until the client closes */
	bool closed;
};

struct send {
	uv_write_t req;
	struct session *session;
	uint8_t *data;
};

size_t session_size(void)
{
	return sizeof(struct session);
}

static void go_on(struct session *s);

/* ---- the machine's questions ---- */

static const struct {
	enum smtp_refusal why;
	enum counter counter;
} refusal_counters[] = {
	{SMTP_REFUSED_RELAY, COUNTER_relay_denied},
	{SMTP_REFUSED_POSTMASTER, COUNTER_relay_denied},
	{SMTP_REFUSED_SIZE, COUNTER_refused_size},
	{SMTP_REFUSED_ROUTE, COUNTER_refused_route},
	{SMTP_REFUSED_ROUTE_SOFT, COUNTER_refused_route},
	{SMTP_REFUSED_RANGE, COUNTER_refused_range},
	{SMTP_REFUSED_RECIPIENTS, COUNTER_refused_recipients},
	{SMTP_REFUSED_HOPS, COUNTER_refused_hops},
	{SMTP_REFUSED_LINE_LONG, COUNTER_refused_line},
	{SMTP_REFUSED_BARE, COUNTER_refused_bare},
	{SMTP_REFUSED_VEILED, COUNTER_refused_bare},
	{SMTP_REFUSED_QUEUE, COUNTER_refused_queue},
	{SMTP_REFUSED_SPACE, COUNTER_refused_space},
	{SMTP_REFUSED_STORAGE, COUNTER_refused_storage},
	{SMTP_REFUSED_JUNK, COUNTER_refused_junk},
	{SMTP_REFUSED_ERRORS, COUNTER_sessions_errors},
	{SMTP_REFUSED_TIMEOUT, COUNTER_timeouts_command},
	{SMTP_REFUSED_DATA_TIMEOUT, COUNTER_timeouts_data},
};

static void count_refusal(enum smtp_refusal why)
{
	for (size_t i = 0; i < sizeof refusal_counters / sizeof refusal_counters[0]; i++)
		if (refusal_counters[i].why == why)
			atomic_fetch_add_explicit(
				&counter_values[refusal_counters[i].counter], 1, memory_order_relaxed);
}

static void on_refused(void *arg, enum smtp_refusal why, const char *what, size_t what_len)
{
	const struct session *s = arg;
	count_refusal(why);
	if (!log_enabled(LOG_LEVEL_INFO))
		return;
	struct log_field fields[7], *f = fields;
	*f++ = (struct log_field)LF_IP("client", &s->client.ip);
	if (s->smtp.helo != NULL)
		*f++ = (struct log_field)LF_STR("helo", s->smtp.helo);
	if (s->smtp.arena.len > 0)
		*f++ = (struct log_field)LF_ADDRESS("from", smtp_server_sender(&s->smtp));
	if (what != NULL)
		*f++ = (struct log_field)LF_BYTES("said", what, what_len);
	if (s->smtp.id != 0)
		*f++ = (struct log_field)LF_ID("id", s->smtp.id);
	*f++ = (struct log_field)LF_STR("reply", smtp_refusal_text(why));
	*f = (struct log_field){.name = NULL};
	log_emit(LOG_LEVEL_INFO, "refused", fields);
}

static enum smtp_room on_room(void *arg, uint64_t size)
{
	static const enum smtp_room rooms[] = {
		[STORE_OK] = SMTP_ROOM_OK,
		[STORE_FULL] = SMTP_ROOM_SPACE,
		[STORE_BROKEN] = SMTP_ROOM_BROKEN,
	};
	const struct session *s = arg;
	if (counter_get(COUNTER_messages_queued) >= s->conf->limits.messages)
		return SMTP_ROOM_QUEUE;
	return rooms[store_room(s->home->desk->store, size)];
}

/* XCLIENT. The old client's place is given back when the new one has one: a session always has one. */
static enum smtp_refusal on_named(void *arg, const struct xclient *x, struct rights *rights)
{
	struct session *s = arg;
	bool changed = (x->said & (1u << XCLIENT_ADDR)) != 0, known = xclient_has(x, XCLIENT_ADDR);
	struct endpoint was = s->client;
	if (changed) {
		/* who is not known is counted and logged as the host that speaks for him */
		const struct endpoint *client = known ? &x->client : &s->via;
		struct guest guest;
		enum census_result result = admission_enter(&guest, s->home->census, s->conf, s->listen, client, known);
		if (result != CENSUS_OK)
			return admission_refusal(result);
		census_leave(s->home->census, s->place);
		s->place = guest.place;
		s->client = guest.client;
		*rights = guest.rights;
	}
	LOG_INFO("xclient", LF_ENDPOINT("via", &s->via), LF_ENDPOINT("was", &was), LF_ENDPOINT("client", &s->client),
		LF_STR("name", xclient_has(x, XCLIENT_NAME) ? x->name : NULL),
		LF_STR("helo", xclient_has(x, XCLIENT_HELO) ? x->helo : NULL),
		LF_STR("login", xclient_has(x, XCLIENT_LOGIN) ? x->login : NULL),
		LF_STR("known", known || !changed ? NULL : "no"));
	return 0;
}

static uint64_t on_wall(void *arg)
{
	(void)arg;
	return clock_wall_ms();
}

static const struct smtp_server_host machine_host = {
	.room = on_room, .refused = on_refused, .named = on_named, .wall = on_wall};

/* ---- time ---- */

static void on_timer(uv_timer_t *timer);

static void set_deadline(struct session *s, uint64_t deadline)
{
	s->deadline = deadline;
	uint64_t now = uv_now(&s->home->loop->uv), due = uv_timer_get_due_in(&s->timer);
	/* A later deadline is found when the timer fires: no work for each command. */
	if (!uv_is_active((uv_handle_t *)&s->timer) || now + due > deadline)
		uv_timer_start(&s->timer, on_timer, deadline > now ? deadline - now : 0, 0);
}

static bool in_content(const struct session *s)
{
	switch (s->smtp.state) {
	case SMTP_CONTENT:
	case SMTP_REFUSED:
	case SMTP_CHUNK:
	case SMTP_CHUNKS:
	case SMTP_SKIP:
		return true;
	default:
		return false;
	}
}

/* The client did something: it has command_time again, but never more than what is left for the whole content. */
static void renew(struct session *s)
{
	uint64_t deadline = uv_now(&s->home->loop->uv) + s->conf->limits.command_time;
	if (in_content(s) && deadline > s->data_end)
		deadline = s->data_end;
	set_deadline(s, deadline);
}

/* ---- the end ---- */

static void free_if_done(struct session *s)
{
	if (!s->closed || s->handles > 0 || (s->waiting & (WAIT_FINISH | WAIT_COMMIT)))
		return;
	struct session_home *home = s->home;
	uint32_t place = s->place;
	LIST_REMOVE(s, entry);
	smtp_server_fini(&s->smtp);
	conf_unref(s->conf);
	free(s);
	home->ended(home, place);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct session *s = handle->data;
	s->handles--;
	free_if_done(s);
}

static void drop_content(struct session *s)
{
	body_writer_abort(s->writer);
	s->writer = NULL;
	s->waiting &= (uint8_t)~WAIT_BODY;
}

static void close_session(struct session *s)
{
	if (s->closed)
		return;
	LOG_DEBUG("disconnected", LF_ENDPOINT("client", &s->client));
	s->closed = true;
	drop_content(s);
	free(s->rest);
	s->rest = NULL;
	uv_close((uv_handle_t *)&s->tcp, on_handle_closed);
	uv_close((uv_handle_t *)&s->timer, on_handle_closed);
}

/* ---- sending ---- */

static void on_sent(uv_write_t *req, int status)
{
	struct send *send = req->data;
	struct session *s = send->session;
	free(send->data);
	free(send);
	s->waiting &= (uint8_t)~WAIT_SEND;
	if (s->closed)
		return;
	if (status < 0)
		close_session(s);
	else
		go_on(s);
}

static int send_later(struct session *s, size_t sent)
{
	struct send *send = malloc(sizeof *send);
	if (send == NULL)
		return -ENOMEM;
	size_t len;
	*send = (struct send){.session = s, .data = buf_detach(&s->smtp.out, &len)};
	send->req.data = send;
	uv_buf_t buf = uv_buf_init((char *)send->data + sent, (unsigned)(len - sent));
	int err = uv_write(&send->req, (uv_stream_t *)&s->tcp, &buf, 1, on_sent);
	if (err != 0) {
		free(send->data);
		free(send);
		return err;
	}
	s->waiting |= WAIT_SEND;
	return 0;
}

static void flush(struct session *s)
{
	struct buf *out = &s->smtp.out;
	if (s->closed || out->len == 0 || (s->waiting & WAIT_SEND))
		return;
	uv_buf_t buf = uv_buf_init((char *)out->data, (unsigned)out->len);
	int n = uv_try_write((uv_stream_t *)&s->tcp, &buf, 1);
	renew(s);
	if (n >= 0 && (size_t)n == out->len)
		buf_fini(out);
	else if ((n < 0 && n != UV_EAGAIN) || send_later(s, n > 0 ? (size_t)n : 0) != 0)
		close_session(s);
}

/* After the last reply. With unread input a close would be a reset, which can take the reply from the client again. */
static void leave(struct session *s)
{
	uv_os_fd_t fd;
	if (s->closed || s->lingering || (s->waiting & WAIT_SEND))
		return;
	if (s->rest == NULL || uv_fileno((uv_handle_t *)&s->tcp, &fd) != 0 || shutdown(fd, SHUT_WR) != 0) {
		close_session(s);
		return;
	}
	free(s->rest);
	s->rest = NULL;
	s->lingering = true;
	set_deadline(s, uv_now(&s->home->loop->uv) + LINGER_MS);
}

/* ---- the machine's wants ---- */

static const char *forwarded(const struct smtp_server *m, enum xclient_attribute which, const char *value)
{
	return m->forward != NULL && xclient_has(m->forward, which) ? value : NULL;
}

/* What XFORWARD said. */
static void log_origin(const struct smtp_server *m)
{
	const struct xclient *x = m->forward;
	char address[IP_TEXT], port[8];
	snprintf(port, sizeof port, "%u", x->client.port);
	LOG_INFO("origin", LF_ID("id", m->id),
		LF_STR("client", forwarded(m, XCLIENT_ADDR, ip_format(&x->client.ip, address))),
		LF_STR("port", forwarded(m, XCLIENT_PORT, port)), LF_STR("name", forwarded(m, XCLIENT_NAME, x->name)),
		LF_STR("helo", forwarded(m, XCLIENT_HELO, x->helo)),
		LF_STR("proto", forwarded(m, XCLIENT_PROTO, x->proto)),
		LF_STR("ident", forwarded(m, XCLIENT_IDENT, x->ident)),
		LF_STR("source", forwarded(m, XCLIENT_SOURCE, x->source)));
}

static void log_received(const struct session *s)
{
	if (!log_enabled(LOG_LEVEL_INFO))
		return;
	const struct smtp_server *m = &s->smtp;
	const char *envid = smtp_server_envid(m);
	char priority[8] = "", release[CLOCK_STAMP], by[CLOCK_STAMP];
	if (m->priority != 0)
		snprintf(priority, sizeof priority, "%d", m->priority);
	char via[ENDPOINT_TEXT];
	bool direct = ip_equal(&s->via.ip, &s->client.ip);
	LOG_INFO("received", LF_ID("id", m->id), LF_IP("client", &s->client.ip),
		LF_STR("via", direct ? NULL : endpoint_format(&s->via, via)), LF_STR("helo", m->helo),
		LF_STR("proto", smtp_server_protocol(m)), LF_ADDRESS("from", smtp_server_sender(m)),
		LF_NUM("size", s->size), LF_NUM("rcpts", m->recipients.count),
		LF_STR("body", m->flags & ENVELOPE_BINARY ? "binarymime"
			       : m->content.eight	  ? "8bit"
							  : NULL),
		LF_STR("envid", *envid ? envid : NULL), LF_STR("priority", *priority ? priority : NULL),
		LF_STR("release", m->release_ms ? clock_stamp(m->release_ms, release) : NULL),
		LF_STR("by", m->by_ms ? clock_stamp(m->by_ms, by) : NULL));
	if (m->forward != NULL)
		log_origin(m);
	struct recipient one;
	for (size_t at = 0; recipients_next(&m->recipients, &at, &one);)
		LOG_INFO("recipient", LF_ID("id", m->id), LF_ADDRESS("to", one.address));
}

static void obey(struct session *s, enum smtp_want want);

static void on_committed(struct letter *letter)
{
	struct submission *sub = LETTER_OF(letter, struct submission, commit.second);
	struct session *s = sub->session;
	int status = sub->commit.status;
	if (status < 0) {
		LOG_ERR("not-stored", LF_ID("id", s->smtp.id), LF_STR("error", strerror(-status)));
		submission_abandon(sub, s->home->desk);
	} else {
		COUNT(messages_received);
		COUNT_N(bytes_received, s->size);
		log_received(s);
	}
	submission_unref(sub);
	s->waiting &= (uint8_t)~WAIT_COMMIT;
	if (s->closed) {
		free_if_done(s);
		return;
	}
	obey(s, smtp_server_committed(&s->smtp, status));
	go_on(s);
}

/* NULL without memory; the reference to the body stays with the caller then. */
static struct submission *make_submission(struct session *s, struct body *body)
{
	const struct smtp_server *m = &s->smtp;
	struct envelope_rcpt *rcpts = calloc(m->recipients.count, sizeof *rcpts);
	if (rcpts == NULL)
		return NULL;
	struct recipient one;
	uint16_t count = 0;
	for (size_t at = 0; recipients_next(&m->recipients, &at, &one); count++)
		rcpts[count] = (struct envelope_rcpt){
			.address = one.address, .index = count, .notify = one.notify, .orcpt = one.orcpt};
	char client[IP_TEXT];
	bool named = m->forward != NULL && xclient_has(m->forward, XCLIENT_ADDR);
	const char *helo = m->forward != NULL ? forwarded(m, XCLIENT_HELO, m->forward->helo) : NULL;
	struct envelope e = {
		.id = m->id,
		.arrival_ms = clock_wall_ms(),
		.size = body->size,
		.flags = m->flags | (m->content.eight ? ENVELOPE_8BIT : 0u) |
			 (m->content.header_eight ? ENVELOPE_HEADER_8BIT : 0u),
		.sender = smtp_server_sender(m),
		.client = ip_format(named ? &m->forward->client.ip : &s->client.ip, client),
		.helo = helo ? helo : m->helo,
		.reason = "",
		.envid = smtp_server_envid(m),
		.by_ms = m->by_ms,
		.release_ms = m->release_ms,
		.priority = m->priority,
		.rcpts = rcpts,
		.rcpt_count = count,
	};
	struct submission *sub = submission_new(&e, body);
	free(rcpts);
	return sub;
}

static void on_content_stored(void *arg, int err, struct body *body)
{
	struct session *s = arg;
	s->waiting &= (uint8_t)~WAIT_FINISH;
	struct submission *sub = NULL;
	if (err == 0 && !s->closed) {
		s->size = body->size;
		sub = make_submission(s, body);
	}
	if (sub != NULL) {
		s->waiting |= WAIT_COMMIT;
		submission_post(sub, s->home->desk, &s->home->loop->mailbox, on_committed, s);
		return;
	}
	if (err == 0)
		store_discard_body(s->home->desk->store, body);
	if (s->closed) {
		free_if_done(s);
		return;
	}
	obey(s, smtp_server_committed(&s->smtp, err != 0 ? err : -ENOMEM));
	go_on(s);
}

static void on_drained(void *arg)
{
	struct session *s = arg;
	s->waiting &= (uint8_t)~WAIT_BODY;
	renew(s); /* the silence was ours */
	go_on(s);
}

static enum smtp_want open_content(struct session *s)
{
	char date[CLOCK_DATE];
	uint64_t wall = clock_wall_ms(), id = id_next(&s->home->ids, wall);
	s->data_end = uv_now(&s->home->loop->uv) + s->conf->limits.data_time;
	int err = id == 0 ? -EIO : -ENOMEM;
	if (id != 0)
		s->writer = body_writer_new(s->home->desk->store, id, &s->home->loop->mailbox, on_drained, s);
	if (s->writer != NULL)
		err = 0;
	enum smtp_want want = smtp_server_opened(&s->smtp, err, id, clock_date(wall, date));
	if (want != SMTP_WANT_BODY)
		drop_content(s);
	return want;
}

static void store_slice(struct session *s)
{
	int err = body_writer_append(s->writer, s->smtp.slice, s->smtp.slice_len);
	if (err > 0)
		s->waiting |= WAIT_BODY;
	if (err >= 0)
		return;
	drop_content(s);
	smtp_server_failed(&s->smtp, err);
}

static void obey(struct session *s, enum smtp_want want)
{
	if (want == SMTP_WANT_OPEN)
		want = open_content(s);
	switch (want) {
	case SMTP_WANT_OUTPUT:
		flush(s);
		break;
	case SMTP_WANT_BODY:
		store_slice(s);
		break;
	case SMTP_WANT_DROP:
		drop_content(s);
		break;
	case SMTP_WANT_COMMIT:
		s->waiting |= WAIT_FINISH;
		struct body_writer *w = s->writer;
		s->writer = NULL;
		body_writer_finish(w, on_content_stored, s);
		break;
	case SMTP_WANT_CLOSE:
		drop_content(s);
		s->leaving = true;
		break;
	default:
		break;
	}
}

/* ---- reading ---- */

/* Returns how many bytes were handled: fewer than all if something has to be waited for, or the session ends. */
static size_t feed(struct session *s, const uint8_t *p, size_t len)
{
	size_t at = 0;
	enum smtp_want want = SMTP_WANT_OUTPUT;
	while (want != SMTP_WANT_INPUT && s->waiting == 0 && !s->leaving && !s->closed) {
		size_t used;
		if (!in_content(s))
			s->data_end = 0;
		want = smtp_server_receive(&s->smtp, p + at, len - at, &used);
		at += used;
		if (in_content(s) &&
			s->data_end == 0) /* a chunk that is refused outside of a message has its time too */
			s->data_end = uv_now(&s->home->loop->uv) + s->conf->limits.data_time;
		obey(s, want);
	}
	return at;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	(void)suggested;
	const struct session *s = handle->data;
	*buf = uv_buf_init((char *)s->home->scratch, in_content(s) ? READ_CONTENT : READ_COMMANDS);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct session *s = stream->data;
	if (n < 0)
		close_session(s);
	if (n <= 0 || s->lingering)
		return;
	if (in_content(s))
		renew(s);
	const uint8_t *p = (const uint8_t *)buf->base;
	size_t len = (size_t)n, used = feed(s, p, len);
	if (!s->closed && used < len) {
		s->rest = malloc(sizeof *s->rest + len - used);
		if (s->rest == NULL) {
			close_session(s);
			return;
		}
		s->rest->at = 0;
		s->rest->len = len - used;
		memcpy(s->rest->bytes, p + used, len - used);
	}
	go_on(s);
}

static void set_reading(struct session *s, bool wanted)
{
	if (s->closed || s->reading == wanted)
		return;
	s->reading = wanted;
	if (!wanted)
		uv_read_stop((uv_stream_t *)&s->tcp);
	else if (uv_read_start((uv_stream_t *)&s->tcp, on_alloc, on_read) != 0)
		close_session(s);
}

/* After every event: handles what lies in `rest`, sends, and reads on if nothing stands against it. */
static void go_on(struct session *s)
{
	if (s->rest == NULL)
		feed(s, (const uint8_t *)"", 0); /* a chunk may have ended with the bytes that had to wait */
	while (s->rest != NULL && s->waiting == 0 && !s->leaving && !s->closed) {
		struct rest *r = s->rest;
		s->rest = NULL; /* the session may end while it is read */
		r->at += feed(s, r->bytes + r->at, r->len - r->at);
		if (r->at < r->len && !s->closed)
			s->rest = r;
		else
			free(r);
	}
	flush(s);
	if (s->leaving)
		leave(s);
	set_reading(s, s->lingering || (s->waiting == 0 && !s->leaving));
}

static void on_timer(uv_timer_t *timer)
{
	struct session *s = timer->data;
	uint64_t now = uv_now(&s->home->loop->uv);
	bool whole_data = in_content(s) && now >= s->data_end;
	if (now < s->deadline) {
		set_deadline(s, s->deadline);
	} else if (s->waiting & (WAIT_FINISH | WAIT_COMMIT)) {
		renew(s); /* our own disk is slow */
	} else if ((s->waiting & WAIT_BODY) && !whole_data) {
		set_deadline(s, s->data_end);
	} else if (s->lingering) {
		close_session(s);
	} else if (s->waiting & WAIT_SEND) {
		count_refusal(SMTP_REFUSED_TIMEOUT);
		LOG_INFO("stalled", LF_ENDPOINT("client", &s->client));
		close_session(s);
	} else {
		obey(s, smtp_server_timed_out(&s->smtp, whole_data));
		go_on(s);
	}
}

/* ---- from outside ---- */

int session_home_init(struct session_home *home, struct ioloop *loop, const struct submission_desk *desk,
	uint64_t id_floor_ms, const _Atomic uint64_t *id_ceiling_ms,
	void (*ended)(struct session_home *home, uint32_t place))
{
	*home = (struct session_home){.loop = loop, .desk = desk, .ended = ended};
	LIST_INIT(&home->sessions);
	id_giver_init(&home->ids, loop->number, id_floor_ms, id_ceiling_ms);
	home->scratch = malloc(READ_CONTENT);
	return home->scratch != NULL ? 0 : -ENOMEM;
}

void session_home_fini(struct session_home *home)
{
	free(home->scratch);
	home->scratch = NULL;
}

int session_start(struct session_home *home, struct conf *conf, const struct conf_listen *listen, int fd,
	const struct guest *guest)
{
	struct session *s = calloc(1, sizeof *s);
	if (s == NULL)
		return -ENOMEM;
	s->home = home;
	s->conf = conf_ref(conf);
	s->listen = listen;
	s->client = guest->client;
	s->via = guest->via;
	s->place = guest->place;
	uv_timer_init(&home->loop->uv, &s->timer);
	uv_tcp_init(&home->loop->uv, &s->tcp);
	s->tcp.data = s->timer.data = s;
	s->handles = 2;
	LIST_INSERT_HEAD(&home->sessions, s, entry);
	smtp_server_init(&s->smtp, conf, &machine_host, s, &guest->client.ip, &guest->rights);
	if (uv_tcp_open(&s->tcp, fd) != 0) {
		close(fd);
		close_session(s);
		return 0;
	}
	uv_tcp_nodelay(&s->tcp, 1);
	LOG_DEBUG("connected", LF_ENDPOINT("client", &s->client));
	go_on(s);
	return 0;
}

void session_home_stop(struct session_home *home)
{
	struct session *s, *next;
	for (s = LIST_FIRST(&home->sessions); s != NULL; s = next) {
		next = LIST_NEXT(s, entry);
		if (s->closed || s->leaving)
			continue;
		obey(s, smtp_server_shutdown(&s->smtp));
		go_on(s);
	}
}

void session_home_abort(struct session_home *home)
{
	struct session *s, *next;
	for (s = LIST_FIRST(&home->sessions); s != NULL; s = next) {
		next = LIST_NEXT(s, entry);
		close_session(s);
	}
}
