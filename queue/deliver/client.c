/* queue/deliver/client.c: protocol. */
#include "queue/deliver/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "queue/mail/envelope.h"

/* Commands are written until so many bytes wait to be sent; one more always fits. */
enum { OUT_ENOUGH = 8192, OUT_LIMIT = 16384 };

const char *client_state_word(enum client_state s)
{
	static const char *const words[] = {
#define X(name, text) #name,
		CLIENT_STATES(X)
#undef X
	};
	return words[s];
}

/* The only place that sets the state. */
static void enter(struct client *c, enum client_state next)
{
	if (c->state == next)
		return;
	c->state = next;
	c->progress++;
}

void client_init(struct client *c, const char *helo, unsigned reply_lines, size_t reply_bytes)
{
	*c = (struct client){.helo = helo, .reply_lines = reply_lines, .reply_bytes = reply_bytes};
	c->ended_end = &c->ended;
	buf_init(&c->out, OUT_LIMIT);
	reply_parser_init(&c->parser, reply_lines, reply_bytes);
}

void client_fini(struct client *c)
{
	buf_fini(&c->out);
}

struct transaction *client_ended(struct client *c)
{
	struct transaction *t = c->ended;
	if (t == NULL)
		return NULL;
	c->ended = t->next;
	if (c->ended == NULL)
		c->ended_end = &c->ended;
	t->next = NULL;
	return t;
}

static void end_transaction(struct client *c, struct transaction *t, enum transaction_end end)
{
	t->end = end;
	t->next = NULL;
	*c->ended_end = t;
	c->ended_end = &t->next;
}

static void answer(struct transaction_rcpt *r, const struct reply *reply)
{
	r->answered = true;
	r->reply = *reply;
}

/* Gives `reply` to every recipient that has no answer of its own. */
static void answer_all(struct transaction *t, const struct reply *reply)
{
	t->last = *reply;
	for (unsigned i = 0; i < t->rcpt_count; i++)
		if (!t->rcpts[i].answered)
			answer(&t->rcpts[i], reply);
}

static bool all_answered(const struct transaction *t)
{
	for (unsigned i = 0; i < t->rcpt_count; i++)
		if (!t->rcpts[i].answered)
			return false;
	return true;
}

/* Ends the first transaction with what its recipients were answered. */
static void end_first_job(struct client *c)
{
	struct transaction *t = c->jobs[0].t;
	c->jobs[0] = c->jobs[1];
	c->jobs[1] = (struct client_job){0};
	c->job_count--;
	end_transaction(c, t, TRANSACTION_ANSWERED);
}

/* How a transaction ended that the end of the connection cut off. */
static enum transaction_end cut_off(const struct client *c, const struct client_job *job, enum fault why)
{
	if (all_answered(job->t))
		return TRANSACTION_ANSWERED;
	if (job->dot_sent && !job->empty && c->sent - c->unsent >= job->dot_at)
		return TRANSACTION_UNKNOWN;
	bool hung_up = why == FAULT_CLOSED || why == FAULT_RESET || why == FAULT_LOAD;
	if (!job->mail_sent || (!job->first && !job->mail_read && hung_up))
		return TRANSACTION_UNSTARTED;
	return TRANSACTION_LOST;
}

static void close_client(struct client *c, enum fault why)
{
	if (c->state == CLIENT_CLOSED)
		return;
	for (unsigned i = 0; i < c->job_count; i++) {
		struct transaction *t = c->jobs[i].t;
		enum transaction_end end = cut_off(c, &c->jobs[i], why);
		t->fault = why;
		if (end != TRANSACTION_ANSWERED)
			t->last = c->last;
		end_transaction(c, t, end);
	}
	c->job_count = 0;
	c->fault = why;
	c->piece_left = 0;
	c->slice_count = 0;
	buf_reset(&c->out);
	enter(c, CLIENT_CLOSED);
}

void client_lost(struct client *c, enum fault why, uint64_t unsent)
{
	c->unsent = unsent < c->sent ? unsent : c->sent;
	if (c->state == CLIENT_QUIT)
		why = FAULT_NONE;
	reply_set(&c->last, 0, "", "%s", why == FAULT_NONE ? "this relay is stopping" : fault_text(why));
	close_client(c, why);
}

static void write_text(struct client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void write_text(struct client *c, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int err = buf_vprintf(&c->out, format, args);
	va_end(args);
	if (err == 0)
		return;
	reply_set(&c->last, 0, "", "%s", strerror(-err));
	close_client(c, FAULT_LOCAL);
}

static void write_command(struct client *c, const char *verb)
{
	c->unanswered++;
	write_text(c, "%s\r\n", verb);
}

/* ---- writing transactions ---- */

static void write_mail(struct client *c, struct client_job *job)
{
	const struct transaction *t = job->t;
	bool eightbit = c->eightbit && (t->flags & (ENVELOPE_8BIT | ENVELOPE_BODY_8BIT)) != 0;
	job->mail_sent = true;
	c->unanswered++;
	write_text(c, "MAIL FROM:<%s>", t->sender);
	if (c->has_size)
		write_text(c, " SIZE=%llu", (unsigned long long)t->size);
	write_text(c, "%s\r\n", eightbit ? " BODY=8BITMIME" : "");
}

static void skip_answered(const struct transaction *t, unsigned *at)
{
	while (*at < t->rcpt_count && t->rcpts[*at].answered)
		++*at;
}

/* Writes the next command of a transaction; false if there is none to write now. */
static bool write_next(struct client *c, struct client_job *job)
{
	if (!job->mail_sent) {
		if (c->needs_rset) {
			c->needs_rset = false;
			job->rset_unread = true;
			write_command(c, "RSET");
			return true;
		}
		write_mail(c, job);
		return true;
	}
	if (job->data_sent || (job->mail_read && !job->mail_ok))
		return false;
	skip_answered(job->t, &job->rcpts_sent);
	if (job->rcpts_sent < job->t->rcpt_count) {
		job->unread++;
		c->unanswered++;
		write_text(c, "RCPT TO:<%s>\r\n", job->t->rcpts[job->rcpts_sent++].address);
		return true;
	}
	if (job->mail_read && job->unread == 0 && job->accepted == 0)
		return false;
	job->data_sent = true;
	write_command(c, "DATA");
	return true;
}

/* The end of the content, once all of it has been taken: RFC 5321 §4.1.1.4. */
static void write_dot(struct client *c, struct client_job *job)
{
	job->dot_sent = true;
	c->unanswered++;
	write_text(c, "%s.\r\n", job->given == 0 || c->ends_crlf ? "" : "\r\n");
	job->dot_at = c->sent + c->out.len;
}

/* Writes what may be sent now: at most a window of commands, one at a time to a peer that does not pipeline. */
static void write_commands(struct client *c)
{
	for (unsigned i = 0; i < c->job_count && c->state != CLIENT_CLOSED; i++) {
		struct client_job *job = &c->jobs[i];
		/* without pipelining the dot, unanswered, fills the window */
		if (i > 0 && !c->jobs[0].dot_sent)
			return;
		if (job->content && job->given_all && !job->dot_sent && c->piece_left == 0 && c->slice_count == 0)
			write_dot(c, job);
		while (c->out.len < OUT_ENOUGH && c->unanswered < (c->pipelining ? CLIENT_WINDOW : 1u) &&
			c->state != CLIENT_CLOSED && write_next(c, job))
			;
	}
}

/* The state is that of the first transaction. */
static void settle(struct client *c)
{
	if (c->state < CLIENT_READY || c->state >= CLIENT_QUIT)
		return;
	write_commands(c);
	const struct client_job *job = &c->jobs[0];
	if (c->state == CLIENT_CLOSED)
		return;
	if (c->job_count == 0)
		enter(c, CLIENT_READY);
	else if (job->dot_sent)
		enter(c, CLIENT_DOT);
	else if (job->content)
		enter(c, CLIENT_CONTENT);
	else if (job->data_sent && job->mail_read && job->unread == 0)
		enter(c, CLIENT_DATA);
	else
		enter(c, CLIENT_ENVELOPE);
}

/* ---- beginning ---- */

/* What may stand between < and > without harm: the sessions check more, but this is the last gate before the wire. */
static bool is_sendable(const char *address)
{
	size_t n = strlen(address);
	for (size_t i = 0; i < n; i++)
		if (address[i] < 32 || address[i] > 126)
			return false;
	return n <= ADDRESS_MAX;
}

/* Refuses for the peer what it could not take. True: all recipients have their answer. */
static bool refuse_ourselves(const struct client *c, struct transaction *t)
{
	struct reply own;
	for (unsigned i = 0; i < t->rcpt_count; i++) {
		if (is_sendable(t->rcpts[i].address))
			continue;
		reply_set(&own, 553, "5.6.7", "the next hop cannot take this recipient's address");
		answer(&t->rcpts[i], &own);
		t->last = own;
	}
	if (!is_sendable(t->sender)) {
		reply_set(&own, 553, "5.6.7", "the next hop cannot take the sender's address");
		answer_all(t, &own);
	} else if ((t->flags & ENVELOPE_8BIT) != 0 && !c->eightbit) {
		reply_set(
			&own, 554, "5.6.3", "the message has 8-bit content and the next hop takes 7-bit content only");
		answer_all(t, &own);
	} else if (c->size_limit != 0 && t->size > c->size_limit) {
		reply_set(&own, 552, "5.3.4", "the message has %llu bytes, the next hop takes %llu",
			(unsigned long long)t->size, (unsigned long long)c->size_limit);
		answer_all(t, &own);
	}
	return all_answered(t);
}

int client_begin(struct client *c, struct transaction *t)
{
	if (c->state < CLIENT_READY || c->state >= CLIENT_QUIT)
		return -ENOTCONN;
	if (c->job_count == 2)
		return -EBUSY;
	t->error = 0;
	t->fault = FAULT_NONE;
	t->last = (struct reply){0};
	for (unsigned i = 0; i < t->rcpt_count; i++)
		t->rcpts[i].answered = false;
	if (refuse_ourselves(c, t)) {
		end_transaction(c, t, TRANSACTION_ANSWERED);
		return 0;
	}
	c->jobs[c->job_count++] = (struct client_job){.t = t, .first = c->begun == 0};
	c->begun++;
	settle(c);
	return 0;
}

void client_hello(struct client *c)
{
	if (c->state != CLIENT_GREETED)
		return;
	enter(c, CLIENT_EHLO);
	write_text(c, "EHLO %s\r\n", c->helo);
}

void client_quit(struct client *c)
{
	if (c->state >= CLIENT_QUIT || c->job_count > 0)
		return;
	enter(c, CLIENT_QUIT);
	write_text(c, "QUIT\r\n");
}

/* ---- replies ---- */

static void on_greeting(struct client *c)
{
	const struct reply *r = &c->last;
	if (r->code == 220)
		enter(c, CLIENT_GREETED);
	else if (r->code == 421)
		close_client(c, FAULT_LOAD);
	else if (reply_class(r) == 4)
		close_client(c, FAULT_GREETING_4YZ);
	else if (reply_class(r) == 5)
		close_client(c, FAULT_GREETING_5YZ);
	else
		close_client(c, FAULT_GARBAGE);
}

static void on_hello(struct client *c)
{
	const struct reply *r = &c->last;
	if (reply_class(r) == 2) {
		enter(c, CLIENT_READY);
	} else if (r->code == 421) {
		close_client(c, FAULT_LOAD);
	} else if (reply_class(r) == 4) {
		close_client(c, FAULT_EHLO_4YZ);
	} else if (reply_class(r) == 5 && c->state == CLIENT_EHLO) {
		/* RFC 5321 §3.2: an old server knows HELO alone */
		c->pipelining = c->eightbit = c->has_size = false;
		c->size_limit = 0;
		enter(c, CLIENT_HELO);
		write_text(c, "HELO %s\r\n", c->helo);
	} else {
		close_client(c, reply_class(r) == 5 ? FAULT_EHLO_5YZ : FAULT_GARBAGE);
	}
}

/* One keyword of the answer to EHLO. */
static void on_keyword(struct client *c, const char *line)
{
	size_t n = strcspn(line, " ");
	if (n == 10 && strncasecmp(line, "PIPELINING", n) == 0)
		c->pipelining = true;
	else if (n == 8 && strncasecmp(line, "8BITMIME", n) == 0)
		c->eightbit = true;
	else if (n == 4 && strncasecmp(line, "SIZE", n) == 0) {
		c->has_size = true;
		line += n + strspn(line + n, " ");
		if (*line >= '0' && *line <= '9')
			c->size_limit = strtoull(line, NULL, 10);
	}
}

static void on_mail_reply(struct client *c, struct client_job *job)
{
	job->mail_read = true;
	job->mail_ok = reply_class(&c->last) == 2;
	if (!job->mail_ok)
		answer_all(job->t, &c->last);
}

static void on_rcpt_reply(struct client *c, struct client_job *job)
{
	job->unread--;
	if (!job->mail_ok)
		return;
	skip_answered(job->t, &job->rcpts_read);
	struct transaction_rcpt *r = &job->t->rcpts[job->rcpts_read++];
	if (reply_class(&c->last) == 2) {
		job->accepted++;
		return;
	}
	answer(r, &c->last);
	job->t->last = c->last;
}

static void on_data_reply(struct client *c, struct client_job *job)
{
	job->data_read = true;
	if (c->last.code == 354) {
		job->content = true;
		c->line_start = true;
		c->doubled = c->after_cr = c->ends_crlf = false;
		job->empty = job->accepted == 0;
		job->given_all = job->empty;
		return;
	}
	if (reply_class(&c->last) < 4) {
		close_client(c, FAULT_GARBAGE);
		return;
	}
	if (job->accepted > 0)
		answer_all(job->t, &c->last);
}

/* The reply to the final dot, or one that came before it. */
static void on_dot_reply(struct client *c, struct client_job *job)
{
	bool whole = job->dot_sent && c->sent - c->unsent >= job->dot_at;
	unsigned kind = reply_class(&c->last);
	if (kind == 3 || (kind == 2 && !whole)) {
		/* nobody can have taken what was not sent yet */
		close_client(c, FAULT_GARBAGE);
		return;
	}
	if (c->last.code == 421 && !whole) {
		close_client(c, FAULT_LOAD);
		return;
	}
	if (!job->empty)
		answer_all(job->t, &c->last);
	if (!whole) {
		/* refused in the midst of it: there is no way to another transaction but through the rest */
		close_client(c, FAULT_CLOSED);
		return;
	}
	if (c->last.code == 421) {
		close_client(c, FAULT_LOAD);
		return;
	}
	end_first_job(c);
}

/* Has the first transaction come to its end before any content? */
static void end_if_refused(struct client *c)
{
	struct client_job *job = &c->jobs[0];
	if (c->job_count == 0 || !job->mail_read || job->unread > 0 || job->content ||
		(job->data_sent && !job->data_read))
		return;
	if (!all_answered(job->t))
		return;
	/* MAIL was taken, so the peer still is in a transaction: RFC 5321 §4.1.1.5 */
	c->needs_rset = c->needs_rset || job->mail_ok;
	end_first_job(c);
}

static void on_job_reply(struct client *c)
{
	struct client_job *job = &c->jobs[0];
	unsigned kind = reply_class(&c->last);
	if (c->unanswered > 0)
		c->unanswered--;
	if (job->content) {
		on_dot_reply(c, job);
		return;
	}
	if (c->last.code == 421) {
		close_client(c, FAULT_LOAD);
		return;
	}
	if (kind == 3 && c->last.code != 354) {
		close_client(c, FAULT_GARBAGE);
		return;
	}
	if (job->rset_unread) {
		job->rset_unread = false;
		if (kind != 2)
			close_client(c, FAULT_GARBAGE);
	} else if (!job->mail_read || job->unread > 0) {
		if (kind == 3)
			close_client(c, FAULT_GARBAGE);
		else if (!job->mail_read)
			on_mail_reply(c, job);
		else
			on_rcpt_reply(c, job);
	} else if (job->data_sent && !job->data_read) {
		on_data_reply(c, job);
	} else {
		close_client(c, FAULT_GARBAGE);
	}
	if (c->state != CLIENT_CLOSED)
		end_if_refused(c);
}

static void on_reply(struct client *c)
{
	c->last = c->parser.reply;
	c->progress++;
	switch (c->state) {
	case CLIENT_GREETING:
		on_greeting(c);
		break;
	case CLIENT_EHLO:
	case CLIENT_HELO:
		on_hello(c);
		break;
	case CLIENT_GREETED:
	case CLIENT_READY:
		close_client(c, c->last.code == 421 ? FAULT_LOAD : FAULT_GARBAGE);
		break;
	case CLIENT_QUIT:
		close_client(c, FAULT_NONE);
		break;
	case CLIENT_CLOSED:
		break;
	default:
		on_job_reply(c);
		break;
	}
	settle(c);
}

void client_receive(struct client *c, const void *in, size_t len, uint64_t unsent)
{
	const uint8_t *at = in;
	c->unsent = unsent < c->sent ? unsent : c->sent;
	while (len > 0 && c->state != CLIENT_CLOSED) {
		size_t used = 0;
		enum reply_event event = reply_parser_feed(&c->parser, at, len, &used);
		at += used;
		len -= used;
		if (event == REPLY_BAD || event == REPLY_TOO_LONG) {
			reply_set(&c->last, 0, "", "%s",
				event == REPLY_BAD ? c->parser.line : fault_text(FAULT_TOO_LONG));
			close_client(c, event == REPLY_BAD ? FAULT_GARBAGE : FAULT_TOO_LONG);
			return;
		}
		const char *line = c->parser.line;
		if (c->state == CLIENT_GREETING && !c->greeting_begun)
			c->greeting_begun =
				(event == REPLY_LINE && c->parser.reply.code == 220) ||
				(event == REPLY_MORE && c->parser.line_length >= 4 && memcmp(line, "220-", 4) == 0);
		if (event == REPLY_MORE)
			continue;
		if (c->state == CLIENT_EHLO && c->hello_lines++ > 0)
			on_keyword(c, line);
		if (event == REPLY_COMPLETE) {
			on_reply(c);
			reply_parser_init(&c->parser, c->reply_lines, c->reply_bytes);
		}
	}
}

/* ---- output and content ---- */

static void add_slice(struct client *c, const uint8_t *p, size_t n)
{
	c->slices[c->slice_count++] = (struct client_slice){p, n, false};
}

/* Cuts the piece into slices: a line that begins with a dot begins with it twice (RFC 5321 §4.5.2). The second dot is
 * the same byte sent again, so nothing is copied. A bare LF counts as a line's end, for there are servers that believe
 * so. */
static void cut_slices(struct client *c)
{
	if (c->slice_count == 0)
		c->slice_first = 0;
	while (c->piece_left > 0 && c->slice_count < CLIENT_SLICES) {
		const uint8_t *from = c->piece, *end = from + c->piece_left;
		if (c->line_start && !c->doubled && *from == '.') {
			add_slice(c, from, 1);
			c->doubled = true;
			continue;
		}
		const uint8_t *newline = from;
		while ((newline = memchr(newline, '\n', (size_t)(end - newline))) != NULL) {
			newline++;
			if (newline == end || *newline == '.')
				break;
		}
		if (newline == NULL || newline == end) {
			add_slice(c, from, c->piece_left);
			c->piece_left = 0;
			c->line_start = newline != NULL;
			c->doubled = false;
			return;
		}
		add_slice(c, from, (size_t)(newline + 1 - from));
		c->piece = newline;
		c->piece_left = (size_t)(end - newline);
		c->line_start = c->doubled = true;
	}
}

unsigned client_output(struct client *c, struct client_slice out[CLIENT_SLICES + 1])
{
	unsigned n = 0;
	if (c->out.len > 0)
		out[n++] = (struct client_slice){c->out.data, c->out.len, true};
	if (c->slice_count == 0)
		cut_slices(c);
	for (unsigned i = 0; i < c->slice_count; i++)
		out[n++] = c->slices[c->slice_first + i];
	return n;
}

void client_sent(struct client *c, size_t n)
{
	c->sent += n;
	size_t part = n < c->out.len ? n : c->out.len;
	buf_consume(&c->out, part);
	n -= part;
	while (n > 0 && c->slice_count > 0) {
		struct client_slice *s = &c->slices[c->slice_first];
		part = n < s->n ? n : s->n;
		s->p = (const uint8_t *)s->p + part;
		s->n -= part;
		n -= part;
		if (s->n == 0) {
			c->slice_first++;
			c->slice_count--;
		}
	}
	settle(c);
}

bool client_wants_content(const struct client *c)
{
	const struct client_job *job = &c->jobs[0];
	return c->state == CLIENT_CONTENT && !job->given_all && c->piece_left == 0 && c->slice_count == 0;
}

void client_content(struct client *c, const void *p, size_t n)
{
	const uint8_t *in = p;
	c->piece = in;
	c->piece_left = n;
	c->jobs[0].given += n;
	bool cr_before = n > 1 ? in[n - 2] == '\r' : c->after_cr;
	c->ends_crlf = cr_before && in[n - 1] == '\n';
	c->after_cr = in[n - 1] == '\r';
}

void client_content_end(struct client *c)
{
	struct client_job *job = &c->jobs[0];
	if (c->state != CLIENT_CONTENT)
		return;
	if (job->given != job->t->size) {
		client_content_failed(c, -EBADMSG);
		return;
	}
	job->given_all = true;
	settle(c);
}

void client_content_failed(struct client *c, int error)
{
	struct transaction *t = c->jobs[0].t;
	if (c->state != CLIENT_CONTENT)
		return;
	t->error = error;
	reply_set(&c->last, 0, "", "the message could not be read from the spool: %s", strerror(-error));
	t->last = c->last;
	c->jobs[0] = c->jobs[1];
	c->job_count--;
	end_transaction(c, t, TRANSACTION_LOCAL);
	close_client(c, FAULT_LOCAL);
}
