/* queue/oracle/asker.c: plumbing. */
#include "queue/oracle/asker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/clock.h"
#include "conf/counter.h"
#include "conf/log.h"
#include "queue/mail/address.h"
#include "queue/oracle/key.h"
#include "queue/oracle/reply.h"
#include "queue/oracle/verdict.h"

enum { CHUNK = 4096 };

struct asker {
	LIST_ENTRY(asker) link;
	struct asker_home *home;
	struct asker_door *door;
	union {
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} peer;
	uv_timer_t timer; /* the end of a look-up, or of patience with the peer */
	uv_write_t write;
	struct endpoint at; /* of the peer; FAMILY_NONE: a socket of this machine */
	enum family own;    /* the family that this question is about */
	struct mx *mx;	    /* a look-up is under way */
	unsigned handles;   /* not yet closed */
	bool reading, writing;
	bool ending; /* closed as soon as the answer is written */
	bool closing;
	struct oracle_key key;
	struct oracle_request request;
	size_t taken, len; /* of `in`: what is behind a question waits */
	uint8_t in[CHUNK];
	char out[ORACLE_REPLY_MAX];
};

static void go_on(struct asker *a);
static void on_timer(uv_timer_t *timer);

static void wait_for_peer(struct asker *a)
{
	uv_timer_start(&a->timer, on_timer, a->home->conf->limits.command_time, 0);
}

/* ---- coming and going ---- */

struct asker *asker_new(struct asker_home *home, struct asker_door *door)
{
	struct asker *a = calloc(1, sizeof *a);
	if (a == NULL)
		return NULL;
	int err = door->block->path != NULL ? uv_pipe_init(home->loop, &a->peer.pipe, 0)
					    : uv_tcp_init(home->loop, &a->peer.tcp);
	if (err != 0) {
		free(a);
		return NULL;
	}
	uv_timer_init(home->loop, &a->timer);
	a->peer.stream.data = a->timer.data = a->write.data = a;
	a->handles = 2;
	a->home = home;
	a->door = door;
	oracle_request_init(&a->request, (size_t)home->conf->limits.line);
	LIST_INSERT_HEAD(&door->askers, a, link);
	home->count++;
	home->handles++;
	COUNT(oracle_open);
	return a;
}

uv_stream_t *asker_stream(struct asker *a)
{
	return &a->peer.stream;
}

static void on_closed(uv_handle_t *handle)
{
	struct asker *a = handle->data;
	struct asker_home *home = a->home;
	if (--a->handles != 0)
		return;
	oracle_request_fini(&a->request);
	free(a);
	home->handles--;
	home->released(home);
}

void asker_close(struct asker *a)
{
	if (a->closing)
		return;
	a->closing = true;
	mx_free(a->mx);
	a->mx = NULL;
	LIST_REMOVE(a, link);
	a->home->count--;
	COUNT_DOWN(oracle_open);
	uv_close((uv_handle_t *)&a->peer.stream, on_closed);
	uv_close((uv_handle_t *)&a->timer, on_closed);
}

/* Where the peer is: of a socket of this machine nowhere. */
static int find_peer(struct asker *a)
{
	struct sockaddr_storage sa;
	int len = sizeof sa;
	if (a->door->block->path != NULL)
		return 0;
	int err = uv_tcp_getpeername(&a->peer.tcp, (struct sockaddr *)&sa, &len);
	return err == 0 ? endpoint_from_sockaddr(&a->at, (struct sockaddr *)&sa) : err;
}

static bool may_ask(const struct asker *a)
{
	const struct conf_prefixes *own = &a->door->block->askers;
	const struct conf_prefixes *who = own->count > 0 ? own : &a->home->conf->clients;
	if (a->at.ip.family == FAMILY_NONE)
		return true;
	for (size_t i = 0; i < who->count; i++)
		if (prefix_contains(&who->items[i], &a->at.ip))
			return true;
	return false;
}

void asker_begin(struct asker *a)
{
	const char *why = NULL;
	if (find_peer(a) != 0) {
		asker_close(a);
		return;
	}
	if (!may_ask(a)) {
		COUNT(oracle_refused_stranger);
		why = "not in oracle { clients }";
	} else if (a->home->count > a->home->conf->limits.oracle) {
		COUNT(oracle_refused_all);
		why = "limits { oracle }";
	}
	if (why != NULL) {
		LOG_WARN("oracle-refused", LF_ENDPOINT("client", &a->at), LF_STR("why", why));
		asker_close(a);
		return;
	}
	if (a->at.ip.family != FAMILY_NONE)
		uv_tcp_nodelay(&a->peer.tcp, 1);
	wait_for_peer(a);
	go_on(a);
}

/* ---- answers ---- */

static void on_written(uv_write_t *write, int status)
{
	struct asker *a = write->data;
	a->writing = false;
	if (a->closing)
		return;
	if (status < 0 || a->ending) {
		asker_close(a);
		return;
	}
	wait_for_peer(a);
	go_on(a);
}

static void answer(struct asker *a, enum oracle_answer what, const char *text)
{
	size_t n = oracle_reply_write(a->out, a->request.protocol, what, text);
	uv_buf_t bytes = uv_buf_init(a->out, (unsigned)n);
	mx_free(a->mx);
	a->mx = NULL;
	a->writing = true;
	wait_for_peer(a);
	if (uv_write(&a->write, &a->peer.stream, &bytes, 1, on_written) != 0) {
		a->writing = false;
		asker_close(a);
	}
}

/* What was found for mail that needs the other family. */
static const char *found(const struct asker *a, char room[ORACLE_TEXT_MAX])
{
	const char *text = a->door->block->answer;
	if (text != NULL)
		return text;
	snprintf(room, ORACLE_TEXT_MAX, "relay:[%s]", a->home->conf->hostname);
	return room;
}

static const char *family_word(enum family f)
{
	return f == FAMILY_IPV6 ? "IPv6" : "IPv4";
}

static void conclude(struct asker *a, enum oracle_verdict verdict, bool late)
{
	static const char *const too_late = "the DNS did not answer within limits { oracle_time }";
	char text[ORACLE_TEXT_MAX], literal[LITERAL_TEXT];
	const char *domain = a->key.domain[0] != '\0' ? a->key.domain : literal_format(&a->key.literal, literal);
	const char *reason = late ? too_late : a->mx->reason;
	COUNT(oracle_questions);
	switch (verdict) {
	case ORACLE_ITSELF:
		snprintf(text, sizeof text, "%s can be reached over %s", domain, family_word(a->own));
		LOG_DEBUG("oracle-itself", LF_STR("domain", domain), LF_FAMILY("family", a->own));
		answer(a, ORACLE_NOT_FOUND, text);
		break;
	case ORACLE_RELAY:
		COUNT(oracle_relayed);
		LOG_DEBUG("oracle-relay", LF_STR("domain", domain), LF_FAMILY("family", a->own));
		answer(a, ORACLE_FOUND, found(a, text));
		break;
	case ORACLE_NOWHERE:
		LOG_DEBUG("oracle-nowhere", LF_STR("domain", domain), LF_STR("why", reason));
		snprintf(text, sizeof text, "%s", reason);
		answer(a, ORACLE_NOT_FOUND, text);
		break;
	case ORACLE_UNCERTAIN:
	case ORACLE_PENDING:
		COUNT(oracle_deferred);
		LOG_INFO("oracle-later", LF_STR("domain", domain), LF_FAMILY("family", a->own), LF_STR("why", reason));
		snprintf(text, sizeof text, "%s", reason);
		answer(a, late ? ORACLE_TIMED_OUT : ORACLE_LATER, text);
		break;
	}
}

/* ---- questions ---- */

static enum oracle_verdict judge(const struct asker *a, bool late)
{
	const char *domain = a->key.domain;
	const struct conf_route *route = *domain != '\0' ? conf_route(a->home->conf, domain) : NULL;
	return oracle_judge(a->mx, a->own, route, late);
}

static void on_mx(void *arg, struct mx *mx)
{
	struct asker *a = arg;
	(void)mx;
	enum oracle_verdict verdict = judge(a, false);
	if (verdict != ORACLE_PENDING)
		conclude(a, verdict, false);
}

static void on_timer(uv_timer_t *timer)
{
	struct asker *a = timer->data;
	if (a->mx != NULL) {
		COUNT(oracle_timeouts);
		conclude(a, judge(a, true), true);
	} else {
		COUNT(oracle_idle);
		asker_close(a);
	}
}

/* What the map's name says of the family; FAMILY_NONE: the block says it, or the connection. -EINVAL: no such map. */
static int read_map(const struct oracle_request *r, enum family *out)
{
	static const struct {
		const char *name;
		enum family family;
	} maps[] = {{"transport", FAMILY_NONE}, {"transport-ipv4", FAMILY_IPV4}, {"transport-ipv6", FAMILY_IPV6}};
	*out = FAMILY_NONE;
	if (r->protocol != ORACLE_SOCKETMAP)
		return 0;
	for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
		if (strlen(maps[i].name) == r->map_len && memcmp(maps[i].name, r->map, r->map_len) == 0) {
			*out = maps[i].family;
			return 0;
		}
	}
	return -EINVAL;
}

static enum family family_of(const struct asker *a)
{
	switch (a->door->block->family) {
	case CONF_FAMILY_IPV4:
		return FAMILY_IPV4;
	case CONF_FAMILY_IPV6:
		return FAMILY_IPV6;
	case CONF_FAMILY_ANY:
		break;
	}
	return a->at.ip.family == FAMILY_IPV6 ? FAMILY_IPV6 : FAMILY_IPV4;
}

static void look_up(struct asker *a)
{
	struct mx_wanted wanted = {.name = a->key.domain};
	if (a->key.domain[0] == '\0') {
		wanted.name = NULL;
		wanted.literal = a->key.literal;
		wanted.foreign = true;
	}
	/* whether a host is this relay is no matter: what the peer reaches itself it reaches there, too */
	a->mx = mx_start(a->home->resolver, a->home->conf, &wanted, NULL, clock_mono_ms(), on_mx, a);
	if (a->mx == NULL) {
		COUNT(oracle_deferred);
		answer(a, ORACLE_LATER, "not enough memory");
		return;
	}
	enum oracle_verdict verdict = judge(a, false);
	if (verdict != ORACLE_PENDING)
		conclude(a, verdict, false);
	else
		uv_timer_start(&a->timer, on_timer, a->home->conf->limits.oracle_time, 0);
}

static void ask(struct asker *a)
{
	if (read_map(&a->request, &a->own) != 0) {
		answer(a, ORACLE_WRONG, "no such map; expected transport, transport-ipv4 or transport-ipv6");
		return;
	}
	if (a->own == FAMILY_NONE)
		a->own = family_of(a);
	switch (oracle_key_read(&a->key, a->request.key, a->request.key_len)) {
	case 0:
		look_up(a);
		break;
	case -ENOMEM:
		COUNT(oracle_deferred);
		answer(a, ORACLE_LATER, "not enough memory");
		break;
	default:
		COUNT(oracle_questions);
		answer(a, ORACLE_NOT_FOUND, "no domain that mail can go to");
		break;
	}
}

/* ---- reading ---- */

static void take(struct asker *a)
{
	enum oracle_event event;
	a->taken += oracle_request_take(&a->request, a->in + a->taken, a->len - a->taken, &event);
	switch (event) {
	case ORACLE_MORE:
		break;
	case ORACLE_ASKED:
		ask(a);
		break;
	case ORACLE_OVERSIZED:
		COUNT(oracle_oversized);
		answer(a, ORACLE_NOT_FOUND, "longer than limits { line }");
		break;
	case ORACLE_MALFORMED:
		COUNT(oracle_malformed);
		a->ending = true;
		answer(a, ORACLE_WRONG, a->request.why);
		break;
	}
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	(void)suggested;
	struct asker *a = handle->data;
	*out = uv_buf_init((char *)a->in, sizeof a->in);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
	struct asker *a = stream->data;
	(void)bytes;
	if (n == 0)
		return;
	if (n < 0) {
		asker_close(a);
		return;
	}
	a->taken = 0;
	a->len = (size_t)n;
	wait_for_peer(a);
	go_on(a);
}

/* Works through what has come, up to the next question; reads on if none is under way. */
static void go_on(struct asker *a)
{
	while (!a->closing && a->mx == NULL && !a->writing && a->taken < a->len)
		take(a);
	if (a->closing)
		return;
	bool want = a->mx == NULL && !a->writing;
	if (a->reading && !want)
		uv_read_stop(&a->peer.stream);
	else if (!a->reading && want && uv_read_start(&a->peer.stream, give_room, on_read) != 0) {
		asker_close(a);
		return;
	}
	a->reading = want;
}
