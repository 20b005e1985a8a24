/* tests/unit/server_dialogue.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "queue/mail/envelope.h"
#include "tests/unit/server_dialogue.h"

static enum smtp_room on_room(void *arg, uint64_t size)
{
	(void)size;
	return ((struct world *)arg)->room;
}

static void on_refused(void *arg, enum smtp_refusal why, const char *what, size_t len)
{
	(void)what;
	(void)len;
	((struct world *)arg)->refused[why]++;
}

static uint64_t on_wall(void *arg)
{
	(void)arg;
	return DIALOGUE_NOW;
}

/* 203.0.113.0/24 may not come in at all, 192.0.2.0/24 may relay, who has no address may nothing. */
static enum smtp_refusal on_named(void *arg, const struct xclient *x, struct rights *rights)
{
	struct prefix banned, friends;
	(void)arg;
	assert_int_equal(prefix_parse(&banned, "203.0.113.0/24"), 0);
	assert_int_equal(prefix_parse(&friends, "192.0.2.0/24"), 0);
	if (!(x->said & 1u << XCLIENT_ADDR))
		return 0;
	*rights = (struct rights){.relay = prefix_contains(&friends, &x->client.ip)};
	return prefix_contains(&banned, &x->client.ip) ? SMTP_REFUSED_CLIENT_SESSIONS : 0;
}

static const struct smtp_server_host host = {on_room, on_refused, on_wall, on_named};

struct conf dialogue_test_conf(void)
{
	static char name[] = "r.example";
	static char gone[] = "gone.example", closed[] = "gone.example is closed, see new.example";
	static char soft[] = "soft.example", moves[] = "it moves";
	static struct conf_route routes[] = {{.pattern = gone, .reject = closed},
		{.pattern = soft, .reject = moves, .soft_bounce = CONF_ANSWER_YES}};
	struct conf c = {.hostname = name, .routes = routes, .route_count = 2};
	c.limits.size = 1000;
	c.limits.recipients = 3;
	c.limits.hops = 2;
	c.limits.errors = 5;
	c.limits.junk = 20;
	c.limits.line = 80;
	c.limits.future_release = 86400000;
	c.limits.deliver_by = 60000;
	return c;
}

static void send_out(struct world *w, struct smtp_server *s)
{
	if (s->out.len > w->largest_out)
		w->largest_out = s->out.len;
	assert_int_equal(buf_append(&w->said, s->out.data, s->out.len), 0);
	buf_reset(&s->out);
}

static void note(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(struct world *w, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	assert_int_equal(buf_vprintf(&w->messages, format, args), 0);
	va_end(args);
}

static void note_message(struct world *w, struct smtp_server *s)
{
	static const struct {
		unsigned flag;
		char letter;
	} letters[] = {{ENVELOPE_BODY_8BIT, 'B'}, {ENVELOPE_BINARY, 'N'}, {ENVELOPE_SMTPUTF8, 'U'},
		{ENVELOPE_RET_FULL, 'F'}, {ENVELOPE_RET_HDRS, 'H'}};
	struct recipient one;
	char text[IP_TEXT];
	note(w, "%s", smtp_server_sender(s));
	for (size_t at = 0; recipients_next(&s->recipients, &at, &one);) {
		note(w, "|%s", one.address);
		if (one.notify != 0 || *one.orcpt != '\0')
			note(w, " notify=%u orcpt=%s", one.notify, one.orcpt);
	}
	note(w, "|%s%s", s->content.eight ? "8" : "", s->content.header_eight ? "h" : "");
	for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
		if (s->flags & letters[i].flag)
			note(w, "%c", letters[i].letter);
	if (*smtp_server_envid(s) != '\0')
		note(w, " envid=%s", smtp_server_envid(s));
	if (s->by_ms != 0)
		note(w, " by=%+lld%s%s", (long long)(s->by_ms - DIALOGUE_NOW) / 1000,
			s->flags & ENVELOPE_BY_RETURN ? "R" : "N", s->flags & ENVELOPE_BY_TRACE ? "T" : "");
	if (s->release_ms != 0)
		note(w, " release=%+lld", (long long)(s->release_ms - DIALOGUE_NOW) / 1000);
	if (s->forward != NULL)
		note(w, " forward=%s,%s,%s,%s", ip_format(&s->forward->client.ip, text), s->forward->name,
			s->forward->helo, s->forward->ident);
	if (s->priority != 0)
		note(w, " priority=%d", s->priority);
	note(w, "\n");
	assert_int_equal(buf_append(&w->messages, w->body.data, w->body.len), 0);
	buf_reset(&w->body);
}

/* Does what the machine wants until it wants input. */
void dialogue_obey(struct world *w, struct smtp_server *s, enum smtp_want want)
{
	if (want == SMTP_WANT_OPEN) {
		assert_int_equal(s->state, SMTP_OPEN);
		want = smtp_server_opened(s, w->open_err, ++w->next_id, DATE);
	}
	if (want == SMTP_WANT_COMMIT) {
		assert_int_equal(s->state, SMTP_COMMIT);
		if (w->commit_err == 0)
			note_message(w, s);
		buf_reset(&w->body);
		want = smtp_server_committed(s, w->commit_err);
	}
	if (want == SMTP_WANT_BODY) {
		assert_true(s->slice_len > 0);
		if (w->body_err != 0 && s->content.size > 0) {
			buf_reset(&w->body);
			smtp_server_failed(s, w->body_err);
		} else {
			assert_int_equal(buf_append(&w->body, s->slice, s->slice_len), 0);
		}
	} else if (want == SMTP_WANT_DROP) {
		buf_reset(&w->body);
	} else if (want == SMTP_WANT_CLOSE) {
		w->closed = true;
	}
	send_out(w, s);
	w->visited |= 1u << s->state;
}

void dialogue_feed(struct world *w, struct smtp_server *s, const char *in, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1); /* so that ASan sees a step over its end */
	assert_non_null(copy);
	memcpy(copy, in, len);
	size_t at = 0;
	enum smtp_want want = SMTP_WANT_OUTPUT;
	while (want != SMTP_WANT_INPUT && !w->closed) {
		size_t used;
		want = smtp_server_receive(s, copy + at, len - at, &used);
		at += used;
		assert_true(at <= len);
		if (want != SMTP_WANT_INPUT)
			dialogue_obey(w, s, want);
	}
	assert_true(at == len || w->closed);
	send_out(w, s);
	w->visited |= 1u << s->state;
	free(copy);
}

enum chunking { WHOLE, BYTES, ODD };

uint32_t dialogue_seed = 12345;

static size_t piece(enum chunking how, size_t left)
{
	dialogue_seed = dialogue_seed * 1103515245 + 12345;
	size_t n = how == WHOLE ? left : how == BYTES ? 1 : 1 + (dialogue_seed >> 16) % 13;
	return n < left ? n : left;
}

void dialogue_world_init(struct world *w)
{
	*w = (struct world){.next_id = 0};
	buf_init(&w->said, 1 << 20);
	buf_init(&w->body, 1 << 20);
	buf_init(&w->messages, 1 << 20);
}

void dialogue_world_fini(struct world *w)
{
	buf_fini(&w->said);
	buf_fini(&w->body);
	buf_fini(&w->messages);
}

void dialogue_start(struct world *w, struct smtp_server *s, const struct conf *c, const struct rights *rights)
{
	struct ip client;
	assert_int_equal(ip_parse(&client, "192.0.2.1"), 0);
	smtp_server_init(s, c, &host, w, &client, rights);
	send_out(w, s);
	w->visited |= 1u << s->state;
}

void dialogue_same(const struct buf *got, const char *want, const char *in)
{
	const char *text = got->data ? (const char *)got->data : "";
	if (got->len != strlen(want) || memcmp(text, want, got->len) != 0)
		fail_msg("after <<%s>>\ngot <<%s>>\nnot <<%s>>", in, text, want);
}

static unsigned run(const struct dialogue *d, enum chunking how)
{
	static char postmaster[] = "pat@p.example";
	struct conf c = dialogue_test_conf();
	struct world w;
	struct smtp_server s;
	c.postmaster = d->postmaster ? postmaster : NULL;
	dialogue_world_init(&w);
	w.room = d->room;
	w.open_err = d->open_err;
	w.commit_err = d->commit_err;
	w.body_err = d->body_err;
	struct rights rights = {.relay = !d->stranger,
		.normalize = d->normalize,
		.deliver_by = d->deliver_by,
		.future_release = d->future_release,
		.priority = d->priority,
		.xclient = d->xclient,
		.xforward = d->xforward};
	dialogue_start(&w, &s, &c, &rights);
	for (size_t at = 0, len = strlen(d->in); at < len && !w.closed;) {
		size_t n = piece(how, len - at);
		dialogue_feed(&w, &s, d->in + at, n);
		at += n;
	}
	dialogue_same(&w.said, d->said, d->in);
	dialogue_same(&w.messages, d->messages ? d->messages : "", d->in);
	assert_int_equal(w.closed, d->closed);
	if (s.state == SMTP_FRESH || s.state == SMTP_GREETED)
		assert_null(s.arena.data);
	assert_null(s.line.data);
	smtp_server_fini(&s);
	dialogue_world_fini(&w);
	return w.visited;
}

unsigned dialogue_run_all(const struct dialogue *rows, size_t count)
{
	unsigned visited = 0;
	for (size_t i = 0; i < count; i++) {
		visited |= run(&rows[i], WHOLE);
		visited |= run(&rows[i], BYTES);
		for (int k = 0; k < 20; k++)
			visited |= run(&rows[i], ODD);
	}
	return visited;
}
