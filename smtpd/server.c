/* smtpd/server.c: protocol. */
#include "smtpd/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/id.h"
#include "queue/mail/address.h"
#include "queue/mail/envelope.h"
#include "queue/mail/xtext.h"
#include "smtpd/chunk.h"
#include "smtpd/received.h"
#include "smtpd/verbs.h"

enum {
	OUT_MARK = 4096,      /* replies gathered before they must be sent */
	LARGEST_REPLY = 2048, /* EHLO */
	TLS_HANDSHAKE = 22,   /* first byte of a ClientHello, RFC 8446 §5.1 */
};

static const char *const refusal_lines[SMTP_REFUSAL_COUNT] = {
#define X(name, code, enhanced, text) #code " " enhanced " " text,
	SMTP_REFUSALS(X)
#undef X
};

const char *smtp_refusal_text(enum smtp_refusal why)
{
	return refusal_lines[why];
}

/* ---- lines ---- */

/* A line that is not read as a command. If it was to be BDAT, content follows, and nobody knows how much: none of it
 * may be taken for commands. */
static void refuse_line(struct smtp_server *s, enum smtp_refusal why, bool bdat)
{
	server_refuse(s, why);
	if (bdat)
		server_enter(s, SMTP_CLOSED);
}

static bool is_bdat(const uint8_t *line, size_t len)
{
	const struct piece verb = {line, 4};
	return len >= 4 && piece_is(&verb, "BDAT");
}

/* `len`: without its LF. */
static void run_line(struct smtp_server *s, const uint8_t *line, size_t len)
{
	bool crlf = len > 0 && line[len - 1] == '\r';
	size_t text = len - crlf;
	if ((!crlf && !s->rights.normalize) || memchr(line, '\r', text) != NULL)
		refuse_line(s, SMTP_REFUSED_LINE_END, is_bdat(line, len));
	else
		verbs_run(s, line, text);
	if (s->shutting_down)
		smtp_server_shutdown(s);
}

/* Too long; part of its beginning may be in s->line. */
static void skip_line(struct smtp_server *s, const uint8_t *in, size_t len, bool ends)
{
	if (!s->skip_line) {
		uint8_t verb[4];
		size_t held = s->line.len < sizeof verb ? s->line.len : sizeof verb, more = sizeof verb - held;
		if (held > 0)
			memcpy(verb, s->line.data, held);
		more = more < len ? more : len;
		memcpy(verb + held, in, more);
		s->long_bdat = is_bdat(verb, held + more);
	}
	s->skip_line = !ends;
	buf_fini(&s->line);
	if (ends)
		refuse_line(s, SMTP_REFUSED_LINE_LONG, s->long_bdat);
}

static void take_line(struct smtp_server *s, const uint8_t *in, size_t len, size_t *used)
{
	if (s->state == SMTP_FRESH && s->line.len == 0 && !s->skip_line && in[0] == TLS_HANDSHAKE) {
		*used = len;
		server_refuse(s, SMTP_REFUSED_TLS);
		return;
	}
	const uint8_t *lf = memchr(in, '\n', len);
	size_t part = lf != NULL ? (size_t)(lf + 1 - in) : len;
	*used = part;
	if (s->skip_line || part > s->conf->limits.line - s->line.len) {
		skip_line(s, in, part, lf != NULL);
		return;
	}
	if (lf != NULL && s->line.len == 0) {
		run_line(s, in, part - 1);
		return;
	}
	if (buf_append(&s->line, in, part) != 0) {
		server_enter(s, SMTP_CLOSED); /* no memory */
		return;
	}
	if (lf != NULL) {
		run_line(s, s->line.data, s->line.len - 1);
		buf_fini(&s->line);
	}
}

/* ---- content ---- */

static enum smtp_want take_content(struct smtp_server *s, const uint8_t *in, size_t len, size_t *used)
{
	enum content_event event = content_scan(&s->content, in, len, used, &s->slice, &s->slice_len);
	if (s->state == SMTP_REFUSED) {
		if (event != CONTENT_END)
			return SMTP_WANT_INPUT;
		/* once more, over all of it: the answer must not depend on the pieces in which it came */
		server_find_fault(s);
		server_refuse_content(s);
		return SMTP_WANT_INPUT;
	}
	if (server_find_fault(s)) {
		server_enter(s, SMTP_REFUSED);
		if (event == CONTENT_END)
			server_refuse_content(s);
		return SMTP_WANT_DROP;
	}
	if (event == CONTENT_END) {
		server_enter(s, SMTP_COMMIT);
		return SMTP_WANT_COMMIT;
	}
	return event == CONTENT_SLICE ? SMTP_WANT_BODY : SMTP_WANT_INPUT;
}

/* ---- from outside ---- */

void smtp_server_init(struct smtp_server *s, const struct conf *conf, const struct smtp_server_host *host, void *arg,
	const struct ip *client, const struct rights *rights)
{
	*s = (struct smtp_server){.conf = conf, .host = host, .arg = arg, .client = *client, .rights = *rights};
	buf_init(&s->line, conf->limits.line);
	buf_init(&s->out, OUT_MARK + LARGEST_REPLY);
	buf_init(&s->arena, ADDRESS_TEXT + ENVID_MAX + 1 + RECEIVED_MAX);
	recipients_init(&s->recipients, (uint32_t)conf->limits.recipients);
	server_enter(s, SMTP_FRESH);
	server_greet(s);
}

void smtp_server_fini(struct smtp_server *s)
{
	buf_fini(&s->line);
	buf_fini(&s->out);
	server_forget(s);
	server_forget_origin(s);
	free(s->helo);
	s->helo = NULL;
	server_enter(s, SMTP_CLOSED);
}

enum smtp_want smtp_server_receive(struct smtp_server *s, const uint8_t *in, size_t len, size_t *used)
{
	enum smtp_want want = SMTP_WANT_INPUT;
	size_t at = 0;
	while (want == SMTP_WANT_INPUT) {
		size_t part = 0;
		if (s->drop) {
			s->drop = false;
			want = SMTP_WANT_DROP;
		} else if (s->state == SMTP_CLOSED)
			want = SMTP_WANT_CLOSE;
		else if (s->state == SMTP_OPEN)
			want = SMTP_WANT_OPEN;
		else if (s->state == SMTP_COMMIT)
			want = SMTP_WANT_COMMIT;
		else if (at == len && !chunk_is_due(s))
			break;
		else if (s->out.len >= OUT_MARK)
			want = SMTP_WANT_OUTPUT;
		else if (s->state == SMTP_CONTENT || s->state == SMTP_REFUSED)
			want = take_content(s, in + at, len - at, &part);
		else if (s->state == SMTP_CHUNK || s->state == SMTP_SKIP)
			want = chunk_take(s, in + at, len - at, &part);
		else
			take_line(s, in + at, len - at, &part);
		at += part;
	}
	*used = at;
	return want;
}

static enum smtp_refusal storage_fault(int err)
{
	return err == -ENOSPC ? SMTP_REFUSED_SPACE : SMTP_REFUSED_STORAGE;
}

static enum smtp_want next_want(const struct smtp_server *s)
{
	return s->state == SMTP_CLOSED ? SMTP_WANT_CLOSE : SMTP_WANT_INPUT;
}

/* The only recipient, if it may stand in the trace field: no one else's address is shown, and none beyond ASCII, which
 * would ask for SMTPUTF8 at each hop to come. */
static const char *shown_recipient(const struct smtp_server *s)
{
	struct recipient one;
	size_t at = 0;
	bool alone = s->recipients.count == 1 && recipients_next(&s->recipients, &at, &one);
	return alone && text_is_ascii(one.address) ? one.address : NULL;
}

enum smtp_want smtp_server_opened(struct smtp_server *s, int err, uint64_t id, const char *date)
{
	if (err == 0) {
		struct received trace = {
			.helo = s->helo,
			.client = &s->client,
			.hostname = s->conf->hostname,
			.protocol = smtp_server_protocol(s),
			.id = id,
			.priority = s->has_priority ? &s->priority : NULL,
			.for_rcpt = shown_recipient(s),
			.date = date,
		};
		err = received_append(&s->arena, &trace);
	}
	if (err != 0) {
		s->fault = (uint8_t)storage_fault(err);
		if (s->chunked)
			chunk_not_opened(s);
		else
			server_refuse_content(s);
		return next_want(s);
	}
	s->id = id;
	if (s->chunked) {
		chunk_opened(s);
	} else {
		content_init(&s->content, CONTENT_DOTTED | (s->rights.normalize ? CONTENT_NORMALIZE : 0));
		server_enter(s, SMTP_CONTENT);
		server_say(s, "354 End with CRLF.CRLF\r\n");
	}
	s->slice = s->arena.data + s->trace;
	s->slice_len = s->arena.len - s->trace;
	return s->state == SMTP_CLOSED ? SMTP_WANT_CLOSE : SMTP_WANT_BODY;
}

void smtp_server_failed(struct smtp_server *s, int err)
{
	s->fault = (uint8_t)storage_fault(err);
	if (s->chunked)
		chunk_failed(s);
	else
		server_enter(s, SMTP_REFUSED);
}

enum smtp_want smtp_server_committed(struct smtp_server *s, int err)
{
	if (err != 0) {
		s->fault = (uint8_t)storage_fault(err);
		server_refuse_content(s);
		return next_want(s);
	}
	char id[ID_TEXT];
	server_enter(s, SMTP_GREETED);
	server_say(s, "250 2.0.0 Ok: queued as %s\r\n", id_format(s->id, id));
	server_forget(s);
	server_forget_origin(s);
	s->junk = s->errors = 0;
	if (s->shutting_down && s->state != SMTP_CLOSED)
		server_refuse(s, SMTP_REFUSED_SHUTDOWN);
	return next_want(s);
}

enum smtp_want smtp_server_timed_out(struct smtp_server *s, bool whole_data)
{
	server_refuse(s, whole_data ? SMTP_REFUSED_DATA_TIMEOUT : SMTP_REFUSED_TIMEOUT);
	return SMTP_WANT_CLOSE;
}

enum smtp_want smtp_server_shutdown(struct smtp_server *s)
{
	static const unsigned busy = 1u << SMTP_OPEN | 1u << SMTP_CONTENT | 1u << SMTP_REFUSED | 1u << SMTP_CHUNK |
				     1u << SMTP_CHUNKS | 1u << SMTP_COMMIT;
	s->shutting_down = true;
	if (s->state == SMTP_CLOSED)
		return SMTP_WANT_CLOSE;
	if (busy & (1u << s->state))
		return SMTP_WANT_INPUT;
	server_refuse(s, SMTP_REFUSED_SHUTDOWN);
	return SMTP_WANT_CLOSE;
}

const char *smtp_server_sender(const struct smtp_server *s)
{
	return (const char *)s->arena.data;
}

const char *smtp_server_protocol(const struct smtp_server *s)
{
	return s->flags & ENVELOPE_SMTPUTF8 ? "UTF8SMTP" : s->extended ? "ESMTP" : "SMTP";
}

const char *smtp_server_envid(const struct smtp_server *s)
{
	const char *sender = smtp_server_sender(s);
	return sender + strlen(sender) + 1;
}
