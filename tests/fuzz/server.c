/* tests/fuzz/server.c: the server's machine and a hostile client. Byte 0: bytes at a time (0: all); byte 1: what the
 * host answers; byte 2: after how many pieces TERM or a time-out comes (0: never); then the client's bytes. In pieces
 * or whole, the client hears the same and the same mail is taken. Protocol. */
#include <errno.h>

#include "queue/mail/envelope.h"
#include "smtpd/server.h"
#include "tests/fuzz/fuzz.h"

struct host {
	uint8_t how;
	uint8_t event; /* pieces to go */
	struct buf said, mail, content;
	unsigned accepted;
	uint64_t ids;
};

static enum smtp_room room(void *arg, uint64_t size)
{
	(void)size;
	return (enum smtp_room)(((struct host *)arg)->how & 3);
}

static void refused(void *arg, enum smtp_refusal why, const char *what, size_t what_len)
{
	(void)arg;
	MUST(why < SMTP_REFUSAL_COUNT && (what != NULL || what_len == 0));
}

static uint64_t wall(void *arg)
{
	(void)arg;
	return 1795443340000;
}

static enum smtp_refusal named(void *arg, const struct xclient *x, struct rights *rights)
{
	(void)arg;
	MUST(x->said != 0 && (x->known & ~x->said) == 0);
	*rights = (struct rights){.relay = x->client.port % 2 == 0};
	return x->client.port == 25 ? SMTP_REFUSED_SESSIONS : 0;
}

static const struct smtp_server_host calls = {room, refused, wall, named};

static void take_replies(struct host *h, struct smtp_server *s)
{
	MUST(s->out.len <= 8192 && buf_append(&h->said, s->out.data, s->out.len) == 0);
	buf_reset(&s->out);
}

/* Without SMTPUTF8 it is printable ASCII; with it no control stands in it either. */
static void take_address(struct host *h, const struct smtp_server *s, const char *address)
{
	MUST((s->flags & ENVELOPE_SMTPUTF8) || fuzz_is_printable(address));
	for (const char *c = address; *c != 0; c++)
		MUST((uint8_t)*c >= ' ' && *c != 0x7f);
	MUST(buf_append(&h->mail, address, strlen(address) + 1) == 0);
}

/* Nothing in it can be taken for the end of a message by anybody (smuggling), and the envelope is clean. */
static void take_message(struct host *h, struct smtp_server *s)
{
	const struct buf *c = &h->content;
	MUST(s->content.size <= s->conf->limits.size && s->recipients.count >= 1 &&
		s->recipients.count <= s->conf->limits.recipients);
	bool binary = (s->flags & ENVELOPE_BINARY) != 0;
	for (size_t i = 0, line; i < c->len && !binary; i++) {
		for (line = i; i < c->len && c->data[i] == '\0'; i++)
			;
		size_t dot = i;
		for (i += i < c->len && c->data[i] == '.'; i < c->len && c->data[i] == '\0'; i++)
			;
		MUST(dot == line || dot == c->len || c->data[dot] != '.' || (i < c->len && c->data[i] != '\r'));
		while (i < c->len && c->data[i] != '\n')
			i++;
	}
	for (size_t i = 0; i < c->len && !binary; i++) {
		MUST(c->data[i] != '\n' || (i > 0 && c->data[i - 1] == '\r'));
		MUST(c->data[i] != '\r' || (i + 1 < c->len && c->data[i + 1] == '\n'));
	}
	take_address(h, s, smtp_server_sender(s));
	MUST(fuzz_is_printable(smtp_server_envid(s)) && strlen(smtp_server_envid(s)) <= ENVID_MAX);
	MUST(buf_append(&h->mail, smtp_server_envid(s), strlen(smtp_server_envid(s)) + 1) == 0);
	struct recipient one;
	for (size_t at = 0; recipients_next(&s->recipients, &at, &one);) {
		MUST(strchr(one.address, '@') != NULL && strlen(one.orcpt) <= ORCPT_MAX);
		take_address(h, s, one.address);
		MUST(buf_append(&h->mail, one.orcpt, strlen(one.orcpt) + 1) == 0);
	}
	MUST(buf_append(&h->mail, c->data, c->len) == 0);
	h->accepted++;
}

static bool obey(struct host *h, struct smtp_server *s, enum smtp_want want)
{
	if (want == SMTP_WANT_OPEN) {
		MUST(s->state == SMTP_OPEN);
		buf_reset(&h->content);
		want = smtp_server_opened(s, h->how & 4 ? -ENOSPC : 0, ++h->ids, "Mon, 23 Nov 2026 14:15:40 +0000");
	} else if (want == SMTP_WANT_COMMIT) {
		MUST(s->state == SMTP_COMMIT);
		if (!(h->how & 8))
			take_message(h, s);
		want = smtp_server_committed(s, h->how & 8 ? -EIO : 0);
	}
	if (want == SMTP_WANT_BODY) {
		MUST(s->slice_len > 0 && buf_append(&h->content, s->slice, s->slice_len) == 0);
		if ((h->how & 16) && s->content.size > 20)
			smtp_server_failed(s, -EIO);
	}
	take_replies(h, s);
	return want != SMTP_WANT_CLOSE;
}

static void run(struct host *h, const uint8_t *in, size_t len, size_t piece)
{
	static char name[] = "r.example";
	struct conf conf = {.hostname = name,
		.limits = {.size = 600,
			.recipients = 3,
			.hops = 2,
			.errors = 6,
			.junk = 12,
			.line = 300,
			.future_release = 86400000,
			.deliver_by = 60000}};
	struct ip client = {FAMILY_IPV4, {192, 0, 2, 1}};
	struct smtp_server s;
	bool open = true;
	bool rights = (h->how & 128) != 0;
	struct rights may = {.relay = !(h->how & 32),
		.normalize = rights,
		.deliver_by = rights,
		.future_release = rights,
		.priority = rights,
		.xclient = rights,
		.xforward = rights};
	smtp_server_init(&s, &conf, &calls, h, &client, &may);
	take_replies(h, &s);
	for (size_t at = 0, end, used; open && at < len; at = end) {
		end = len - at < piece ? len : at + piece;
		for (size_t from = at; open && from <= end; from += used) {
			enum smtp_want want = smtp_server_receive(&s, in + from, end - from, &used);
			MUST(used <= end - from && (want != SMTP_WANT_INPUT || used == end - from));
			open = obey(h, &s, want);
			if (want == SMTP_WANT_INPUT)
				break;
		}
		if (open && h->event > 0 && --h->event == 0) {
			enum smtp_want want = h->how & 64 ? smtp_server_shutdown(&s)
							  : smtp_server_timed_out(&s,
								    s.state == SMTP_CONTENT || s.state == SMTP_CHUNK);
			open = obey(h, &s, want);
		}
	}
	MUST(!open == (s.state == SMTP_CLOSED));
	smtp_server_fini(&s);
}

static void check_replies(const struct host *h)
{
	unsigned queued = 0;
	for (const char *line = (const char *)h->said.data; *line != 0; line = strchr(line, '\n') + 1) {
		size_t n = strcspn(line, "\r\n");
		MUST(line[n] == '\r' && line[n + 1] == '\n' && n >= 4 && n <= 510);
		MUST(strspn(line, "2345") >= 1 && strspn(line, "0123456789") == 3 &&
			(line[3] == ' ' || line[3] == '-'));
		for (size_t i = 0; i < n; i++)
			MUST(line[i] >= ' ' && line[i] <= '~');
		queued += strncmp(line, "250 2.0.0 Ok: queued as ", 24) == 0;
	}
	MUST(queued == h->accepted);
}

static void host_fini(struct host *h)
{
	buf_fini(&h->said);
	buf_fini(&h->mail);
	buf_fini(&h->content);
}

static void host_init(struct host *h, uint8_t how, uint8_t event)
{
	*h = (struct host){.how = how, .event = event};
	buf_init(&h->said, 1 << 24);
	buf_init(&h->mail, 1 << 24);
	buf_init(&h->content, 1 << 24);
}

FUZZ_TARGET(server)
{
	struct host pieces, whole;
	if (len < 3)
		return 0;
	host_init(&pieces, in[1], in[2]);
	run(&pieces, in + 3, len - 3, in[0] ? in[0] : SIZE_MAX);
	check_replies(&pieces);
	if (in[2] == 0) { /* else the event comes at another place */
		host_init(&whole, in[1], 0);
		run(&whole, in + 3, len - 3, in[0] ? SIZE_MAX : 1);
		MUST(fuzz_same(&pieces.said, &whole.said) && fuzz_same(&pieces.mail, &whole.mail));
		host_fini(&whole);
	}
	host_fini(&pieces);
	return 0;
}
