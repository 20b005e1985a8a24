/* tests/unit/nomemory_test.c: every single allocation of a piece of work fails in its turn: nothing crashes or leaks
 * (ASan watches), nothing is said that is not so, and without a failure the work is done. Linked with --wrap
 * (Makefile). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/openrelay.h"
#include "queue/mail/compose.h"
#include "queue/control/json.h"
#include "queue/control/request.h"
#include "queue/mail/envelope.h"
#include "smtpd/server.h"

static long left = -1; /* allocations until one fails; below 0: none does */
static bool failed;

static bool fails(void)
{
	if (left < 0 || left-- > 0)
		return false;
	failed = true;
	return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t n)
{
	return fails() ? NULL : __real_strndup(text, n);
}

/* Runs `work` with its first, second, … allocation failing until none fails; true from it: all is done. */
static void each_failure(bool (*work)(void), unsigned least)
{
	unsigned rounds = 0;
	do {
		failed = false;
		left = (long)rounds++;
		bool done = work();
		left = -1;
		if (!failed)
			assert_true(done);
	} while (failed);
	assert_true(rounds > least);
}

/* ---- the server's machine ---- */

static enum smtp_room on_room(void *arg, uint64_t size)
{
	(void)arg;
	(void)size;
	return SMTP_ROOM_OK;
}

static void on_refused(void *arg, enum smtp_refusal why, const char *what, size_t what_len)
{
	(void)arg;
	(void)why;
	(void)what;
	(void)what_len;
}

static enum smtp_refusal on_named(void *arg, const struct xclient *x, struct rights *rights)
{
	(void)arg;
	(void)x;
	(void)rights;
	return 0;
}

struct session {
	struct smtp_server s;
	char said[4096];
	size_t said_len;
	bool closed;
	unsigned stored;
};

static enum smtp_want obey(struct session *w, enum smtp_want want)
{
	struct smtp_server *s = &w->s;
	if (want == SMTP_WANT_OPEN)
		want = smtp_server_opened(s, 0, 7, "Mon, 23 Nov 2026 14:15:40 +0000");
	if (want == SMTP_WANT_COMMIT) {
		assert_string_equal(smtp_server_sender(s), "a@b");
		assert_int_equal(s->recipients.count, 2);
		w->stored++;
		want = smtp_server_committed(s, 0);
	}
	w->closed |= want == SMTP_WANT_CLOSE;
	assert_true(w->said_len + s->out.len < sizeof w->said);
	memcpy(w->said + w->said_len, s->out.data ? (const char *)s->out.data : "", s->out.len);
	w->said_len += s->out.len;
	buf_fini(&s->out);
	return want;
}

/* A client that takes each refusal for an end. */
static bool dialogue(void)
{
	static const char *const said[] = {"EH", "LO c.example\r\n", "XCLIENT HELO=h\r\n", "EHLO c.example\r\n",
		"XFORWARD NAME=n\r\n", "MAIL FROM:<a@b>\r\n", "RCPT TO:<c@d>\r\nRC", "PT TO:<postmaster>\r\n",
		"DATA\r\n", "x\r\n.\r\n"};
	static const struct smtp_server_host host = {on_room, on_refused, NULL, on_named};
	static const struct rights rights = {.relay = true, .xclient = true, .xforward = true};
	static char name[] = "r.example";
	struct conf c = {.hostname = name,
		.limits = {.size = 1000, .recipients = 9, .hops = 9, .errors = 9, .junk = 9, .line = 80}};
	struct ip client = {.family = FAMILY_IPV4, .bytes = {192, 0, 2, 1}};
	struct session w = {.closed = false};
	smtp_server_init(&w.s, &c, &host, &w, &client, &rights);
	for (size_t i = 0; i < sizeof said / sizeof said[0] && !w.closed; i++) {
		size_t len = strlen(said[i]), at = 0;
		enum smtp_want want = SMTP_WANT_OUTPUT;
		while (want != SMTP_WANT_INPUT && !w.closed) {
			size_t used;
			want = smtp_server_receive(&w.s, (const uint8_t *)said[i] + at, len - at, &used);
			at += used;
			want = obey(&w, want) == SMTP_WANT_CLOSE ? SMTP_WANT_CLOSE : want;
		}
		w.said[w.said_len] = '\0';
		if (strstr(w.said, "\r\n4") != NULL || strstr(w.said, "\r\n5") != NULL)
			break;
	}
	w.said[w.said_len] = '\0';
	bool queued = strstr(w.said, "queued as") != NULL;
	assert_true(!queued || w.stored == 1);
	smtp_server_fini(&w.s);
	return queued;
}

static void test_server(void **state)
{
	(void)state;
	each_failure(dialogue, 6);
}

/* ---- the configuration ---- */

static bool configuration(void)
{
	static const char text[] = "hostname = r.example\nspool = /var/spool/x\nclients = 192.0.2.0/24, 2001:db8::/48\n"
				   "listen [::1]:25 { }\nlisten 127.0.0.1:25 { }\nsource { helo = h.example }\n"
				   "client 192.0.2.0/24, ::1 { sessions = 9 }\ndns { servers = 127.0.0.1:53 }\nroute "
				   "a.example { relay = [127.0.0.1]:26 }\n"
				   "route * { }\nlimits { size = 1M }\n";
	struct buf errors;
	buf_init(&errors, 4096);
	struct conf *c = NULL;
	int err = conf_parse(&c, "t", text, sizeof text - 1, &errors);
	assert_true(err == 0 || (failed && c == NULL));
	if (err == 0)
		conf_unref(c);
	buf_fini(&errors);
	return err == 0;
}

/* Errors of the text have to be found whatever fails: a bad file is never taken. */
static bool bad_configuration(void)
{
	static const char text[] = "listen 127.0.0.1:25 { }\nlisten nonsense { }\nclients = 0.0.0.0/1, 128.0.0.0/1\n";
	struct buf errors;
	buf_init(&errors, 4096);
	struct conf *c = NULL;
	assert_true(conf_parse(&c, "t", text, sizeof text - 1, &errors) < 0);
	assert_null(c);
	buf_fini(&errors);
	return true;
}

static void test_configuration(void **state)
{
	(void)state;
	each_failure(configuration, 20);
	each_failure(bad_configuration, 10);
}

/* ---- requests, bounces ---- */

static bool request(void)
{
	static const char line[] = "{\"v\":1,\"command\":\"hold\",\"ids\":[\"6H0J91BYC2000\"],\"because\":\"x\"}";
	struct control_request r;
	enum control_error what;
	char why[256];
	if (control_request_parse(&r, line, sizeof line - 1, &what, why) != 0)
		return false;
	control_request_fini(&r);
	return true;
}

static bool bounce(void)
{
	static const char header[] = "Subject: x\r\n\r\nbody";
	struct buf out, meta;
	buf_init(&out, 1 << 20);
	buf_init(&meta, 1 << 20);
	struct reply reply = {.code = 550};
	struct attempt *a = attempt_new(1, "site"), *copy = NULL;
	int err = a != NULL ? attempt_set_rcpt(a, 0, RCPT_FAILED, &reply) : -ENOMEM;
	struct notice_rcpt rcpt = {.address = "c@d", .reply = &reply};
	struct notice in = {.hostname = "r.example",
		.sender = "a@b",
		.to = "a@b",
		.attempt = a,
		.rcpts = &rcpt,
		.rcpt_count = 1,
		.content = (const uint8_t *)header,
		.content_len = sizeof header - 1};
	unsigned flags;
	if (err == 0)
		err = notice_write(&in, &out, &flags);
	if (err == 0)
		err = attempt_encode(a, &meta);
	if (err == 0)
		err = attempt_decode(&copy, meta.data, meta.len);
	if (err != 0 && (err != -ENOMEM || !failed))
		fail_msg("error %d, failed %d", err, failed);
	attempt_free(copy);
	attempt_free(a);
	buf_fini(&out);
	buf_fini(&meta);
	return err == 0;
}

static void test_queue(void **state)
{
	(void)state;
	json_set_alloc_funcs(__wrap_malloc, free);
	each_failure(request, 5);
	json_set_alloc_funcs(malloc, free);
	each_failure(bounce, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server),
		cmocka_unit_test(test_configuration),
		cmocka_unit_test(test_queue),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
