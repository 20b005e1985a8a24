/* queue/deliver/client.c: protocol. */
#include "queue/deliver/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "queue/deliver/commands.h"
#include "queue/deliver/needs.h"
#include "queue/mail/envelope.h"

/* Commands are written until so many bytes wait to be sent; one more always fits. */
enum { OUT_ENOUGH = 8192, OUT_LIMIT = OUT_ENOUGH + 2 * COMMAND_MOST };

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
	wire_drop(&c->wire);
	buf_reset(&c->out);
	c->out_lines = 0;
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

/* Counts one command that was appended to c->out, or the failure to do so. */
static void wrote(struct client *c, int err)
{
	c->unanswered++;
	c->out_lines++;
	if (err == 0)
		return;
	reply_set(&c->last, 0, "", "%s", strerror(-err));
	close_client(c, FAULT_LOCAL);
}

static void write_command(struct client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void write_command(struct client *c, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int err = buf_vprintf(&c->out, format, args);
	va_end(args);
	wrote(c, err != 0 ? err : buf_append_str(&c->out, "\r\n"));
}

/* How many commands may wait for their answers. */
static unsigned window(const struct client *c)
{
	return c->peer.pipelining ? CLIENT_WINDOW : 1;
}

/* ---- writing transactions ---- */

static void skip_answered(const struct transaction *t, unsigned *at)
{
	while (*at < t->rcpt_count && t->rcpts[*at].answered)
		++*at;
}

/* The content of the first transaction may go out. */
static void begin_content(struct client *c, struct client_job *job)
{
	enum wire_form form = !job->bdat ? WIRE_DATA : job->t->flags & ENVELOPE_BINARY ? WIRE_BINARY : WIRE_BDAT;
	wire_init(&c->wire, form, job->t->size);
	job->content = true;
}

/* Writes the next command of a transaction up to DATA; false if there is none to write now. */
static bool write_next(struct client *c, struct client_job *job)
{
	struct transaction *t = job->t;
	if (!job->mail_sent) {
		if (c->needs_rset) {
			c->needs_rset = false;
			job->rset_unread = true;
			write_command(c, "RSET");
			return true;
		}
		job->mail_sent = true;
		wrote(c, commands_mail(&c->out, &c->peer, t));
		return true;
	}
	if (job->data_sent || (job->mail_read && !job->mail_ok))
		return false;
	skip_answered(t, &job->rcpts_sent);
	if (job->rcpts_sent < t->rcpt_count) {
		job->unread++;
		wrote(c, commands_rcpt(&c->out, &c->peer, t, &t->rcpts[job->rcpts_sent++]));
		return true;
	}
	bool read = job->mail_read && job->unread == 0;
	if (read && t->accepted == 0)
		return false;
	if (job->bdat && !read)
		return false;
	job->data_sent = true;
	job->data_read = job->bdat;
	if (job->bdat)
		begin_content(c, job);
	else
		write_command(c, "DATA");
	return !job->bdat;
}

/* The end of the content, once all of it has been taken: RFC 5321 §4.1.1.4, RFC 3030 §2. */
static void write_dot(struct client *c, struct client_job *job)
{
	bool lacks = !job->empty && wire_lacks_crlf(&c->wire);
	job->dot_sent = true;
	if (job->bdat)
		write_command(c, lacks ? "BDAT 2 LAST\r\n" : "BDAT 0 LAST");
	else
		write_command(c, lacks ? "\r\n." : ".");
	c->out_lines += lacks;
	job->dot_at = c->sent + c->out.len;
}

/* What comes behind 354, or behind the answers to RCPT: the next chunk's command, or the end. */
static void write_around_content(struct client *c, struct client_job *job)
{
	size_t n = wire_next_chunk(&c->wire);
	if (job->dot_sent || job->refused || c->unanswered >= window(c))
		return;
	if (n > 0) {
		write_command(c, "BDAT %zu", n);
		wire_open_chunk(&c->wire, n);
		job->chunks_unread++;
		job->chunk_at = c->sent + c->out.len + n;
	} else if (job->given_all && wire_idle(&c->wire)) {
		write_dot(c, job);
	}
}

/* Writes what may be sent now: at most a window of commands, one at a time to a peer that does not pipeline. */
static void write_commands(struct client *c)
{
	for (unsigned i = 0; i < c->job_count && c->state != CLIENT_CLOSED; i++) {
		struct client_job *job = &c->jobs[i];
		/* without pipelining the dot, unanswered, fills the window */
		if (i > 0 && (!c->jobs[0].dot_sent || c->jobs[0].bdat))
			return;
		while (c->out.len < OUT_ENOUGH && c->unanswered < window(c) && c->state != CLIENT_CLOSED &&
			write_next(c, job))
			;
		if (job->content)
			write_around_content(c, job);
	}
}

/* Are chunks out, as many as may be without an answer? */
static bool waits_for_chunks(const struct client *c)
{
	const struct client_job *job = &c->jobs[0];
	return job->chunks_unread > 0 && c->unanswered >= window(c) && c->sent >= job->chunk_at;
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
		enter(c, job->refused || waits_for_chunks(c) ? CLIENT_CHUNK : CLIENT_CONTENT);
	else if (job->data_sent && job->mail_read && job->unread == 0)
		enter(c, CLIENT_DATA);
	else
		enter(c, CLIENT_ENVELOPE);
}

/* ---- beginning ---- */

int client_begin(struct client *c, struct transaction *t)
{
	if (c->state < CLIENT_READY || c->state >= CLIENT_QUIT)
		return -ENOTCONN;
	if (c->job_count == 2)
		return -EBUSY;
	t->error = 0;
	t->fault = FAULT_NONE;
	t->last = (struct reply){0};
	t->accepted = 0;
	t->for_message = false;
	for (unsigned i = 0; i < t->rcpt_count; i++)
		t->rcpts[i].answered = t->rcpts[i].too_many = false;
	if (needs_refuse(&c->peer, t)) {
		end_transaction(c, t, TRANSACTION_ANSWERED);
		return 0;
	}
	bool bdat = (t->flags & ENVELOPE_BINARY) != 0 || (c->bdat == CLIENT_BDAT_ALWAYS && c->peer.chunking);
	c->jobs[c->job_count++] = (struct client_job){.t = t, .first = c->begun == 0, .bdat = bdat};
	c->begun++;
	settle(c);
	return 0;
}

void client_hello(struct client *c)
{
	if (c->state != CLIENT_GREETED)
		return;
	enter(c, CLIENT_EHLO);
	write_command(c, "EHLO %s", c->helo);
}

void client_quit(struct client *c)
{
	if (c->state >= CLIENT_QUIT || c->job_count > 0)
		return;
	enter(c, CLIENT_QUIT);
	write_command(c, "QUIT");
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
		c->peer.chunking = c->peer.chunking && c->bdat != CLIENT_BDAT_NEVER;
		enter(c, CLIENT_READY);
	} else if (r->code == 421) {
		close_client(c, FAULT_LOAD);
	} else if (reply_class(r) == 4) {
		close_client(c, FAULT_EHLO_4YZ);
	} else if (reply_class(r) == 5 && c->state == CLIENT_EHLO) {
		/* RFC 5321 §3.2: an old server knows HELO alone */
		c->peer = (struct capabilities){0};
		enter(c, CLIENT_HELO);
		write_command(c, "HELO %s", c->helo);
	} else {
		close_client(c, reply_class(r) == 5 ? FAULT_EHLO_5YZ : FAULT_GARBAGE);
	}
}

static void on_mail_reply(struct client *c, struct client_job *job)
{
	job->mail_read = true;
	job->mail_ok = reply_class(&c->last) == 2;
	if (!job->mail_ok) {
		job->t->for_message = true;
		answer_all(job->t, &c->last);
	}
}

static void on_rcpt_reply(struct client *c, struct client_job *job)
{
	job->unread--;
	if (!job->mail_ok)
		return;
	skip_answered(job->t, &job->rcpts_read);
	struct transaction_rcpt *r = &job->t->rcpts[job->rcpts_read++];
	if (reply_class(&c->last) == 2) {
		job->t->accepted++;
		return;
	}
	answer(r, &c->last);
	r->too_many = reply_is_too_many(&c->last);
	job->t->last = c->last;
}

static void on_data_reply(struct client *c, struct client_job *job)
{
	job->data_read = true;
	if (c->last.code == 354) {
		begin_content(c, job);
		job->empty = job->t->accepted == 0;
		job->given_all = job->empty;
		return;
	}
	if (reply_class(&c->last) < 4) {
		close_client(c, FAULT_GARBAGE);
		return;
	}
	if (job->t->accepted > 0)
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
	/* there are servers for which a refused last chunk ends nothing */
	c->needs_rset = job->bdat && kind != 2;
	end_first_job(c);
}

/* The reply to a chunk that is not the last. RFC 3030 §2: after a refusal nothing counts until RSET. */
static void on_chunk_reply(struct client *c, struct client_job *job)
{
	unsigned kind = reply_class(&c->last);
	bool whole = job->chunks_unread > 1 || c->sent - c->unsent >= job->chunk_at;
	job->chunks_unread--;
	if (c->last.code == 421) {
		close_client(c, FAULT_LOAD);
	} else if (kind == 3 || (kind == 2 && !whole)) {
		close_client(c, FAULT_GARBAGE);
	} else if (kind != 2) {
		answer_all(job->t, &c->last);
		job->refused = true;
		wire_drop(&c->wire);
		/* the rest of a chunk would be taken for commands by a server that does not wait for it */
		if (c->sent < job->chunk_at)
			close_client(c, FAULT_CLOSED);
	}
}

/* Replies to chunks, and to the dot behind them. */
static void on_bdat_reply(struct client *c, struct client_job *job)
{
	if (job->refused)
		job->chunks_unread -= job->chunks_unread > 0;
	else if (job->chunks_unread > 0)
		on_chunk_reply(c, job);
	else
		on_dot_reply(c, job);
	if (c->state == CLIENT_CLOSED || !job->refused || c->unanswered > 0)
		return;
	c->needs_rset = true;
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
	if (job->content && job->bdat) {
		on_bdat_reply(c, job);
		return;
	}
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

/* Was the command sent that this would be the answer to? What is said before that is no SMTP; 421 may come any time. */
static bool is_answer(const struct client *c)
{
	bool asked = c->state == CLIENT_EHLO || c->state == CLIENT_HELO ||
		     (c->state >= CLIENT_ENVELOPE && c->state <= CLIENT_DATA);
	return !asked || c->last.code == 421 || c->unanswered > c->out_lines;
}

static void on_reply(struct client *c)
{
	c->last = c->parser.reply;
	c->progress++;
	if (!is_answer(c)) {
		close_client(c, FAULT_GARBAGE);
		return;
	}
	if (c->unanswered > 0)
		c->unanswered--;
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
		if (c->state == CLIENT_EHLO && c->hello_lines++ > 0 && !c->parser.cut)
			capabilities_take(&c->peer, line);
		if (event == REPLY_COMPLETE) {
			on_reply(c);
			reply_parser_init(&c->parser, c->reply_lines, c->reply_bytes);
		}
	}
}

/* ---- output and content ---- */

unsigned client_output(struct client *c, struct wire_slice out[CLIENT_SLICES + 1])
{
	unsigned n = 0;
	if (c->out.len > 0)
		out[n++] = (struct wire_slice){c->out.data, c->out.len, true};
	wire_cut(&c->wire);
	for (unsigned i = 0; i < c->wire.count; i++)
		out[n++] = c->wire.slices[c->wire.first + i];
	return n;
}

void client_sent(struct client *c, size_t n)
{
	size_t part = n < c->out.len ? n : c->out.len;
	c->sent += n;
	for (size_t i = 0; i < part; i++)
		c->out_lines -= c->out.data[i] == '\n';
	buf_consume(&c->out, part);
	wire_sent(&c->wire, n - part);
	settle(c);
}

bool client_wants_content(const struct client *c)
{
	return c->state == CLIENT_CONTENT && !c->jobs[0].given_all && wire_idle(&c->wire);
}

/* Ends the first transaction; the connection must be closed, for content that was begun has no other way out. */
static void give_up_content(struct client *c, enum transaction_end end)
{
	struct transaction *t = c->jobs[0].t;
	c->jobs[0] = c->jobs[1];
	c->job_count--;
	end_transaction(c, t, end);
	close_client(c, FAULT_LOCAL);
}

static void refuse_content(struct client *c, int error)
{
	if (error != -EILSEQ) {
		client_content_failed(c, error);
		return;
	}
	reply_set(&c->last, 554, "5.6.0", "the content holds CR or LF alone, which must not be sent");
	answer_all(c->jobs[0].t, &c->last);
	give_up_content(c, TRANSACTION_ANSWERED);
}

void client_content(struct client *c, const void *p, size_t n)
{
	int error = wire_give(&c->wire, p, n);
	if (error != 0)
		refuse_content(c, error);
	else
		settle(c);
}

void client_content_end(struct client *c)
{
	if (c->state != CLIENT_CONTENT)
		return;
	int error = wire_end(&c->wire);
	if (error != 0) {
		refuse_content(c, error);
		return;
	}
	c->jobs[0].given_all = true;
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
	give_up_content(c, TRANSACTION_LOCAL);
}
