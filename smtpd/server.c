/* smtpd/server.c: protocol. */
#include "smtpd/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/id.h"
#include "conf/policy.h"
#include "queue/mail/address.h"
#include "queue/mail/envelope.h"
#include "smtpd/command.h"
#include "smtpd/received.h"

enum {
	OUT_MARK = 4096,      /* replies gathered before they must be sent */
	LARGEST_REPLY = 2048, /* EHLO */
	HELO_MAX = 255,	      /* RFC 5321 §4.5.3.1.2 */
};

static const struct {
	uint16_t code;
	const char *enhanced, *text;
} refusals[SMTP_REFUSAL_COUNT] = {
#define X(name, code, enhanced, text) {code, enhanced, text},
	SMTP_REFUSALS(X)
#undef X
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

static void enter(struct smtp_server *s, enum smtp_state next)
{
	s->state = (uint8_t)next;
}

/* A reply of one line or many; without memory for it the session cannot go on. */
static void say(struct smtp_server *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct smtp_server *s, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (buf_vprintf(&s->out, format, args) != 0)
		enter(s, SMTP_CLOSED);
	va_end(args);
}

static void forget_transaction(struct smtp_server *s)
{
	buf_fini(&s->arena);
	s->rcpt_count = s->trace = 0;
	s->body_8bit = s->told_recipients = false;
	s->id = 0;
	s->slice = NULL;
	s->slice_len = 0;
}

/* `words`: in place of the refusal's own. */
static void say_in_words(struct smtp_server *s, enum smtp_refusal why, const char *words)
{
	const char *enhanced = refusals[why].enhanced, *blank = enhanced[0] ? " " : "";
	if (refusals[why].code == 421) /* RFC 5321 §4.2.2: with our name */
		say(s, "421 %s %s: %s\r\n", enhanced, s->conf->hostname, words);
	else
		say(s, "%u %s%s%s\r\n", (unsigned)refusals[why].code, enhanced, blank, words);
}

static void say_refusal(struct smtp_server *s, enum smtp_refusal why)
{
	say_in_words(s, why, refusals[why].text);
}

static void refuse_in_words(struct smtp_server *s, enum smtp_refusal why, const struct piece *what, const char *words)
{
	s->host->refused(s->arg, why, what ? (const char *)what->at : NULL, what ? what->len : 0);
	say_in_words(s, why, words);
	if (refusals[why].code == 421)
		enter(s, SMTP_CLOSED);
	if (s->state == SMTP_CLOSED || refusals[why].code < 500 || ++s->errors < s->conf->limits.errors)
		return;
	s->host->refused(s->arg, SMTP_REFUSED_ERRORS, NULL, 0);
	say_refusal(s, SMTP_REFUSED_ERRORS);
	enter(s, SMTP_CLOSED);
}

static void refuse_what(struct smtp_server *s, enum smtp_refusal why, const struct piece *what)
{
	refuse_in_words(s, why, what, refusals[why].text);
}

static void refuse(struct smtp_server *s, enum smtp_refusal why)
{
	refuse_what(s, why, NULL);
}

/* ---- commands ---- */

static void set_helo(struct smtp_server *s, const struct piece *args, bool extended)
{
	bool clean = args->len > 0 && args->len <= HELO_MAX;
	for (size_t i = 0; clean && i < args->len; i++)
		clean = args->at[i] >= ' ' && args->at[i] <= '~';
	if (!clean) {
		refuse_what(s, SMTP_REFUSED_HELO_SYNTAX, args);
		return;
	}
	char *helo = strndup((const char *)args->at, args->len);
	if (helo == NULL) {
		refuse(s, SMTP_REFUSED_MEMORY);
		return;
	}
	free(s->helo);
	s->helo = helo;
	s->extended = extended;
	forget_transaction(s); /* RFC 5321 §4.1.4 */
	enter(s, SMTP_GREETED);
	if (!extended)
		say(s, "250 %s\r\n", s->conf->hostname);
	else
		say(s, "250-%s\r\n250-PIPELINING\r\n250-SIZE %llu\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n",
			s->conf->hostname, (unsigned long long)s->conf->limits.size);
}

static void on_ehlo(struct smtp_server *s, const struct piece *args)
{
	set_helo(s, args, true);
}

static void on_helo(struct smtp_server *s, const struct piece *args)
{
	set_helo(s, args, false);
}

static const uint8_t mail_faults[] = {
	[COMMAND_SYNTAX] = SMTP_REFUSED_SYNTAX,
	[COMMAND_ADDRESS] = SMTP_REFUSED_SENDER,
	[COMMAND_LONG] = SMTP_REFUSED_SENDER_LONG,
	[COMMAND_8BIT] = SMTP_REFUSED_ADDRESS_8BIT,
	[COMMAND_PARAMETER] = SMTP_REFUSED_PARAMETER,
	[COMMAND_VALUE] = SMTP_REFUSED_VALUE,
};

static const uint8_t rcpt_faults[] = {
	[COMMAND_SYNTAX] = SMTP_REFUSED_SYNTAX,
	[COMMAND_ADDRESS] = SMTP_REFUSED_RECIPIENT,
	[COMMAND_LONG] = SMTP_REFUSED_RECIPIENT_LONG,
	[COMMAND_8BIT] = SMTP_REFUSED_ADDRESS_8BIT,
	[COMMAND_PARAMETER] = SMTP_REFUSED_PARAMETER,
	[COMMAND_VALUE] = SMTP_REFUSED_VALUE,
};

static const uint8_t no_room[] = {
	[SMTP_ROOM_QUEUE] = SMTP_REFUSED_QUEUE,
	[SMTP_ROOM_SPACE] = SMTP_REFUSED_SPACE,
	[SMTP_ROOM_BROKEN] = SMTP_REFUSED_STORAGE,
};

static void on_mail(struct smtp_server *s, const struct piece *args)
{
	struct command_path path;
	enum command_fault fault = command_read_mail(&path, args);
	if (fault != COMMAND_OK) {
		refuse_what(s, mail_faults[fault], args);
		return;
	}
	if (path.size > s->conf->limits.size) {
		refuse_what(s, SMTP_REFUSED_SIZE, args);
		return;
	}
	enum smtp_room room = s->host->room(s->arg, path.size);
	if (room != SMTP_ROOM_OK) {
		refuse_what(s, no_room[room], args);
		return;
	}
	if (buf_append(&s->arena, path.address, strlen(path.address) + 1) != 0) {
		refuse(s, SMTP_REFUSED_MEMORY);
		return;
	}
	s->body_8bit = path.body_8bit;
	enter(s, SMTP_MAIL);
	say(s, "250 2.1.0 Ok\r\n");
}

static bool too_many_recipients(const struct smtp_server *s)
{
	return s->rcpt_count >= s->conf->limits.recipients || s->rcpt_count >= ENVELOPE_RCPTS_MAX;
}

/* What a route's `reject` says to the recipients of its domain; NULL: it has none. */
static const char *rejected(const struct smtp_server *s, const char *address, bool *soft)
{
	const struct conf_route *r = conf_route(s->conf, address_domain(address));
	*soft = r != NULL && policy_of(s->conf, r).soft_bounce;
	return r != NULL ? r->reject : NULL;
}

static void on_rcpt(struct smtp_server *s, const struct piece *args)
{
	struct command_path path;
	enum command_fault fault = command_read_rcpt(&path, args);
	if (fault != COMMAND_OK) {
		refuse_what(s, rcpt_faults[fault], args);
		return;
	}
	if (!s->may_relay) {
		refuse_what(s, SMTP_REFUSED_RELAY, args);
		return;
	}
	if (too_many_recipients(s)) {
		/* The client goes on with the rest in its next transaction (RFC 5321 §4.5.3.1.10): one line in the log
		 * is enough. */
		if (s->told_recipients)
			say_refusal(s, SMTP_REFUSED_RECIPIENTS);
		else
			refuse_what(s, SMTP_REFUSED_RECIPIENTS, args);
		s->told_recipients = true;
		return;
	}
	bool soft;
	const char *reject = rejected(s, path.address, &soft);
	if (reject != NULL) {
		refuse_in_words(s, soft ? SMTP_REFUSED_ROUTE_SOFT : SMTP_REFUSED_ROUTE, args, reject);
		return;
	}
	/* A bare postmaster is ours (RFC 5321 §4.5.1). */
	bool whole = address_domain(path.address)[0] != '\0';
	size_t before = s->arena.len;
	int err = buf_printf(&s->arena, "%s%s%s", path.address, whole ? "" : "@", whole ? "" : s->conf->hostname);
	err = err ? err : buf_append(&s->arena, "", 1);
	if (err != 0) {
		s->arena.len = before;
		refuse(s, SMTP_REFUSED_MEMORY);
		return;
	}
	s->rcpt_count++;
	enter(s, SMTP_RCPT);
	say(s, "250 2.1.5 Ok\r\n");
}

static void on_data(struct smtp_server *s, const struct piece *args)
{
	(void)args;
	s->trace = (uint32_t)s->arena.len;
	enter(s, SMTP_OPEN);
}

static void on_rset(struct smtp_server *s, const struct piece *args)
{
	(void)args;
	forget_transaction(s);
	if (s->state != SMTP_FRESH)
		enter(s, SMTP_GREETED);
	say(s, "250 2.0.0 Ok\r\n");
}

static void on_noop(struct smtp_server *s, const struct piece *args)
{
	(void)args;
	say(s, "250 2.0.0 Ok\r\n");
}

static void on_vrfy(struct smtp_server *s, const struct piece *args)
{
	(void)args;
	say(s, "252 2.1.5 Addresses are not verified here; mail for them will be tried\r\n");
}

static void on_help(struct smtp_server *s, const struct piece *args)
{
	(void)args;
	say(s, "214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT\r\n");
}

static void on_quit(struct smtp_server *s, const struct piece *args)
{
	(void)args;
	say(s, "221 2.0.0 %s closes\r\n", s->conf->hostname);
	enter(s, SMTP_CLOSED);
}

static void on_expn(struct smtp_server *s, const struct piece *args)
{
	(void)args;
	refuse(s, SMTP_REFUSED_NOT_HERE);
}

/* A browser was made to talk to us (cross-protocol attack): whatever it says next is not meant for a mail server. */
static void on_foreign(struct smtp_server *s, const struct piece *args)
{
	refuse_what(s, SMTP_REFUSED_FOREIGN, args);
}

#define IN(state) (1u << SMTP_##state)
#define ANY (IN(FRESH) | IN(GREETED) | IN(MAIL) | IN(RCPT))

enum { NO_ARGS = 1, NEEDS_ARGS = 2 };

static const struct verb {
	const char *name;
	unsigned states;
	unsigned flags;
	enum smtp_refusal fresh;     /* said before HELO if that is not one of the states */
	enum smtp_refusal otherwise; /* said in any other wrong state */
	void (*run)(struct smtp_server *s, const struct piece *args);
} verbs[] = {
	{"EHLO", ANY, 0, 0, 0, on_ehlo},
	{"HELO", ANY, 0, 0, 0, on_helo},
	{"MAIL", IN(GREETED), 0, SMTP_REFUSED_NEED_HELO, SMTP_REFUSED_NESTED, on_mail},
	{"RCPT", IN(MAIL) | IN(RCPT), 0, SMTP_REFUSED_NEED_HELO, SMTP_REFUSED_NEED_MAIL, on_rcpt},
	{"DATA", IN(RCPT), NO_ARGS, SMTP_REFUSED_NEED_HELO, SMTP_REFUSED_NO_RECIPIENTS, on_data},
	{"RSET", ANY, NO_ARGS, 0, 0, on_rset},
	{"NOOP", ANY, 0, 0, 0, on_noop},
	{"QUIT", ANY, NO_ARGS, 0, 0, on_quit},
	{"VRFY", ANY, NEEDS_ARGS, 0, 0, on_vrfy},
	{"HELP", ANY, 0, 0, 0, on_help},
	{"EXPN", ANY, 0, 0, 0, on_expn},
	{"GET", ANY, 0, 0, 0, on_foreign},
	{"POST", ANY, 0, 0, 0, on_foreign},
	{"PUT", ANY, 0, 0, 0, on_foreign},
	{"CONNECT", ANY, 0, 0, 0, on_foreign},
};

static void run_command(struct smtp_server *s, const uint8_t *line, size_t len)
{
	struct piece verb, args;
	command_split(line, len, &verb, &args);
	const struct verb *row = NULL;
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0] && row == NULL; i++)
		if (piece_is(&verb, verbs[i].name))
			row = &verbs[i];
	if (row == NULL)
		refuse_what(s, SMTP_REFUSED_UNKNOWN, &verb);
	else if (!(row->states & (1u << s->state)))
		refuse_what(s, s->state == SMTP_FRESH ? row->fresh : row->otherwise, &verb);
	else if ((row->flags & NO_ARGS) && args.len > 0)
		refuse_what(s, SMTP_REFUSED_NO_ARGUMENT, &verb);
	else if ((row->flags & NEEDS_ARGS) && args.len == 0)
		refuse_what(s, SMTP_REFUSED_ARGUMENT, &verb);
	else
		row->run(s, &args);
}

/* ---- lines ---- */

static void run_line(struct smtp_server *s, const uint8_t *line, size_t len)
{
	if (len < 2 || line[len - 2] != '\r' || memchr(line, '\r', len - 2) != NULL)
		refuse(s, SMTP_REFUSED_LINE_END);
	else
		run_command(s, line, len - 2);
}

static void take_line(struct smtp_server *s, const uint8_t *in, size_t len, size_t *used)
{
	const uint8_t *lf = memchr(in, '\n', len);
	size_t part = lf != NULL ? (size_t)(lf + 1 - in) : len;
	*used = part;
	if (s->skip_line || part > s->conf->limits.line - s->line.len) {
		s->skip_line = lf == NULL;
		buf_fini(&s->line);
		if (lf != NULL)
			refuse(s, SMTP_REFUSED_LINE_LONG);
		return;
	}
	if (lf != NULL && s->line.len == 0) {
		run_line(s, in, part);
		return;
	}
	if (buf_append(&s->line, in, part) != 0) {
		enter(s, SMTP_CLOSED); /* no memory */
		return;
	}
	if (lf != NULL) {
		run_line(s, s->line.data, s->line.len);
		buf_fini(&s->line);
	}
}

/* ---- content ---- */

static void refuse_content(struct smtp_server *s)
{
	enter(s, SMTP_GREETED);
	refuse(s, s->fault);
	forget_transaction(s);
	if (s->shutting_down && s->state != SMTP_CLOSED)
		refuse(s, SMTP_REFUSED_SHUTDOWN);
}

static bool find_fault(struct smtp_server *s)
{
	if (s->content.bare)
		s->fault = SMTP_REFUSED_BARE;
	else if (s->content.size > s->conf->limits.size)
		s->fault = SMTP_REFUSED_SIZE;
	else if (s->content.received > s->conf->limits.hops)
		s->fault = SMTP_REFUSED_HOPS;
	else
		return false;
	return true;
}

static enum smtp_want take_content(struct smtp_server *s, const uint8_t *in, size_t len, size_t *used)
{
	enum content_event event = content_scan(&s->content, in, len, used, &s->slice, &s->slice_len);
	if (s->state == SMTP_REFUSED) {
		if (event != CONTENT_END)
			return SMTP_WANT_INPUT;
		/* once more, over all of it: the answer must not depend on the pieces in which it came */
		find_fault(s);
		refuse_content(s);
		return SMTP_WANT_INPUT;
	}
	if (find_fault(s)) {
		enter(s, SMTP_REFUSED);
		if (event == CONTENT_END)
			refuse_content(s);
		return SMTP_WANT_DROP;
	}
	if (event == CONTENT_END) {
		enter(s, SMTP_COMMIT);
		return SMTP_WANT_COMMIT;
	}
	return event == CONTENT_SLICE ? SMTP_WANT_BODY : SMTP_WANT_INPUT;
}

/* ---- from outside ---- */

void smtp_server_init(struct smtp_server *s, const struct conf *conf, const struct smtp_server_host *host, void *arg,
	const struct ip *client, bool may_relay)
{
	*s = (struct smtp_server){.conf = conf, .host = host, .arg = arg, .client = *client, .may_relay = may_relay};
	buf_init(&s->line, conf->limits.line);
	buf_init(&s->out, OUT_MARK + LARGEST_REPLY);
	buf_init(&s->arena, ((size_t)conf->limits.recipients + 1) * ADDRESS_TEXT + RECEIVED_MAX);
	enter(s, SMTP_FRESH);
	say(s, "220 %s ESMTP relay64\r\n", conf->hostname);
}

void smtp_server_fini(struct smtp_server *s)
{
	buf_fini(&s->line);
	buf_fini(&s->out);
	forget_transaction(s);
	free(s->helo);
	s->helo = NULL;
	enter(s, SMTP_CLOSED);
}

enum smtp_want smtp_server_receive(struct smtp_server *s, const uint8_t *in, size_t len, size_t *used)
{
	enum smtp_want want = SMTP_WANT_INPUT;
	size_t at = 0;
	while (want == SMTP_WANT_INPUT) {
		size_t part = 0;
		if (s->state == SMTP_CLOSED)
			want = SMTP_WANT_CLOSE;
		else if (s->state == SMTP_OPEN)
			want = SMTP_WANT_OPEN;
		else if (s->state == SMTP_COMMIT)
			want = SMTP_WANT_COMMIT;
		else if (at == len)
			break;
		else if (s->out.len >= OUT_MARK)
			want = SMTP_WANT_OUTPUT;
		else if (s->state == SMTP_CONTENT || s->state == SMTP_REFUSED)
			want = take_content(s, in + at, len - at, &part);
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

enum smtp_want smtp_server_opened(struct smtp_server *s, int err, uint64_t id, const char *date)
{
	if (err == 0) {
		/* A copy, because the arena may move while it is written to. */
		char only[ADDRESS_TEXT + DOMAIN_MAX + 1] = "";
		if (s->rcpt_count == 1)
			snprintf(only, sizeof only, "%s", smtp_server_next(smtp_server_sender(s)));
		struct received trace = {
			.helo = s->helo,
			.client = &s->client,
			.hostname = s->conf->hostname,
			.extended = s->extended,
			.id = id,
			.for_rcpt = s->rcpt_count == 1 ? only : NULL,
			.date = date,
		};
		err = received_append(&s->arena, &trace);
	}
	if (err != 0) {
		s->fault = (uint8_t)storage_fault(err);
		refuse_content(s);
		return next_want(s);
	}
	s->id = id;
	content_init(&s->content);
	enter(s, SMTP_CONTENT);
	say(s, "354 End with CRLF.CRLF\r\n");
	s->slice = s->arena.data + s->trace;
	s->slice_len = s->arena.len - s->trace;
	return s->state == SMTP_CLOSED ? SMTP_WANT_CLOSE : SMTP_WANT_BODY;
}

void smtp_server_failed(struct smtp_server *s, int err)
{
	s->fault = (uint8_t)storage_fault(err);
	enter(s, SMTP_REFUSED);
}

enum smtp_want smtp_server_committed(struct smtp_server *s, int err)
{
	if (err != 0) {
		s->fault = (uint8_t)storage_fault(err);
		refuse_content(s);
		return next_want(s);
	}
	char id[ID_TEXT];
	enter(s, SMTP_GREETED);
	say(s, "250 2.0.0 Ok: queued as %s\r\n", id_format(s->id, id));
	forget_transaction(s);
	if (s->shutting_down && s->state != SMTP_CLOSED)
		refuse(s, SMTP_REFUSED_SHUTDOWN);
	return next_want(s);
}

enum smtp_want smtp_server_timed_out(struct smtp_server *s, bool whole_data)
{
	refuse(s, whole_data ? SMTP_REFUSED_DATA_TIMEOUT : SMTP_REFUSED_TIMEOUT);
	return SMTP_WANT_CLOSE;
}

enum smtp_want smtp_server_shutdown(struct smtp_server *s)
{
	static const unsigned busy = IN(OPEN) | IN(CONTENT) | IN(REFUSED) | IN(COMMIT);
	if (s->state == SMTP_CLOSED)
		return SMTP_WANT_CLOSE;
	s->shutting_down = true;
	if (busy & (1u << s->state))
		return SMTP_WANT_INPUT;
	refuse(s, SMTP_REFUSED_SHUTDOWN);
	return SMTP_WANT_CLOSE;
}

const char *smtp_server_sender(const struct smtp_server *s)
{
	return (const char *)s->arena.data;
}

const char *smtp_server_next(const char *text)
{
	return text + strlen(text) + 1;
}
