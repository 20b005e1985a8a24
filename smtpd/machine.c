/* smtpd/machine.c: protocol. */
#include "smtpd/machine.h"

#include <stdlib.h>

static const struct {
	uint16_t code;
	const char *enhanced, *text;
} refusals[SMTP_REFUSAL_COUNT] = {
#define X(name, code, enhanced, text) {code, enhanced, text},
	SMTP_REFUSALS(X)
#undef X
};

void server_enter(struct smtp_server *s, enum smtp_state next)
{
	s->state = (uint8_t)next;
}

void server_say(struct smtp_server *s, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (buf_vprintf(&s->out, format, args) != 0)
		server_enter(s, SMTP_CLOSED);
	va_end(args);
}

void server_greet(struct smtp_server *s)
{
	server_say(s, "220 %s ESMTP relay64\r\n", s->conf->hostname);
}

void server_forget(struct smtp_server *s)
{
	s->drop |= s->state == SMTP_CHUNKS && !s->spoiled;
	buf_fini(&s->arena);
	recipients_fini(&s->recipients);
	s->trace = s->flags = 0;
	s->by_ms = s->release_ms = 0;
	s->priority = 0;
	s->has_priority = false;
	s->told_recipients = s->chunked = s->spoiled = false;
	s->id = 0;
	s->slice = NULL;
	s->slice_len = 0;
}

void server_forget_origin(struct smtp_server *s)
{
	free(s->forward);
	s->forward = NULL;
}

/* `words`: in place of the refusal's own. */
static void say_in_words(struct smtp_server *s, enum smtp_refusal why, const char *words)
{
	const char *enhanced = refusals[why].enhanced, *blank = enhanced[0] ? " " : "";
	if (refusals[why].code == 421) /* RFC 5321 §4.2.2: with our name */
		server_say(s, "421 %s %s: %s\r\n", enhanced, s->conf->hostname, words);
	else
		server_say(s, "%u %s%s%s\r\n", (unsigned)refusals[why].code, enhanced, blank, words);
}

void server_say_refusal(struct smtp_server *s, enum smtp_refusal why)
{
	say_in_words(s, why, refusals[why].text);
}

void server_refuse_in_words(struct smtp_server *s, enum smtp_refusal why, const struct piece *what, const char *words)
{
	s->host->refused(s->arg, why, what ? (const char *)what->at : NULL, what ? what->len : 0);
	say_in_words(s, why, words);
	if (refusals[why].code == 421)
		server_enter(s, SMTP_CLOSED);
	/* of what a route refuses the client knows nothing before: it may relay, and is no worse for it */
	bool error = refusals[why].code >= 500 && why != SMTP_REFUSED_ROUTE;
	if (s->state == SMTP_CLOSED || !error || ++s->errors < s->conf->limits.errors)
		return;
	s->host->refused(s->arg, SMTP_REFUSED_ERRORS, NULL, 0);
	server_say_refusal(s, SMTP_REFUSED_ERRORS);
	server_enter(s, SMTP_CLOSED);
}

void server_refuse_what(struct smtp_server *s, enum smtp_refusal why, const struct piece *what)
{
	server_refuse_in_words(s, why, what, refusals[why].text);
}

void server_refuse(struct smtp_server *s, enum smtp_refusal why)
{
	server_refuse_what(s, why, NULL);
}

void server_refuse_content(struct smtp_server *s)
{
	server_enter(s, SMTP_GREETED);
	server_refuse(s, s->fault);
	server_forget(s);
	server_forget_origin(s);
	if (s->shutting_down && s->state != SMTP_CLOSED)
		server_refuse(s, SMTP_REFUSED_SHUTDOWN);
}

bool server_find_fault(struct smtp_server *s)
{
	if (s->content.bare)
		s->fault = SMTP_REFUSED_BARE;
	else if (s->content.veiled)
		s->fault = SMTP_REFUSED_VEILED;
	else if (s->content.size > s->conf->limits.size)
		s->fault = SMTP_REFUSED_SIZE;
	else if (s->content.received > s->conf->limits.hops)
		s->fault = SMTP_REFUSED_HOPS;
	else
		return false;
	return true;
}
