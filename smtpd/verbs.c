/* smtpd/verbs.c: protocol. */
#include "smtpd/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/clock.h"
#include "conf/policy.h"
#include "queue/mail/address.h"
#include "queue/mail/envelope.h"
#include "queue/mail/postmaster.h"
#include "smtpd/behalf.h"
#include "smtpd/chunk.h"
#include "smtpd/command.h"
#include "smtpd/parameter.h"

enum { HELO_MAX = 255 }; /* RFC 5321 §4.5.3.1.2 */

/* ---- HELO, EHLO ---- */

static void size_value(const struct smtp_server *s, char out[64])
{
	snprintf(out, 64, " %llu", (unsigned long long)s->conf->limits.size);
}

static void limits_value(const struct smtp_server *s, char out[64])
{
	snprintf(out, 64, " RCPTMAX=%u", s->recipients.most);
}

/* RFC 2852 §3: the least time, in seconds */
static void by_value(const struct smtp_server *s, char out[64])
{
	snprintf(out, 64, " %llu", (unsigned long long)(s->conf->limits.deliver_by / 1000));
}

/* RFC 4865 §3: the longest hold in seconds, and the latest time */
static void release_value(const struct smtp_server *s, char out[64])
{
	char stamp[CLOCK_STAMP];
	uint64_t most = s->conf->limits.future_release / 1000 * 1000;
	snprintf(out, 64, " %llu %s", (unsigned long long)(most / 1000),
		clock_stamp((s->host->wall(s->arg) + most) / 1000 * 1000, stamp));
}

static bool anybody(const struct rights *r)
{
	(void)r;
	return true;
}

static bool may_deliver_by(const struct rights *r)
{
	return r->deliver_by;
}

static bool may_hold(const struct rights *r)
{
	return r->future_release;
}

static bool may_priority(const struct rights *r)
{
	return r->priority;
}

static bool may_name(const struct rights *r)
{
	return r->xclient;
}

static bool may_forward(const struct rights *r)
{
	return r->xforward;
}

/* What EHLO offers; the last row to everybody. */
static const struct {
	const char *keyword;
	bool (*to)(const struct rights *r);
	void (*value)(const struct smtp_server *s, char out[64]);
} offers[] = {
	{"PIPELINING", anybody, NULL},
	{"SIZE", anybody, size_value},
	{"8BITMIME", anybody, NULL},
	{"CHUNKING", anybody, NULL},
	{"BINARYMIME", anybody, NULL},
	{"SMTPUTF8", anybody, NULL},
	{"DSN", anybody, NULL},
	{"LIMITS", anybody, limits_value},
	{"DELIVERBY", may_deliver_by, by_value},
	{"FUTURERELEASE", may_hold, release_value},
	{"MT-PRIORITY", may_priority, NULL},
	{"XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT REVERSE_NAME", may_name, NULL},
	{"XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE", may_forward, NULL},
	{"ENHANCEDSTATUSCODES", anybody, NULL},
};

static void say_offers(struct smtp_server *s)
{
	const size_t count = sizeof offers / sizeof offers[0];
	server_say(s, "250-%s\r\n", s->conf->hostname);
	for (size_t i = 0; i < count; i++) {
		char value[64] = "";
		if (!offers[i].to(&s->rights))
			continue;
		if (offers[i].value != NULL)
			offers[i].value(s, value);
		server_say(s, "250%c%s%s\r\n", i + 1 < count ? '-' : ' ', offers[i].keyword, value);
	}
}

/* A client that may relay may call itself anything printable, as old devices do; a stranger gives a domain or an
 * address literal (RFC 5321 §4.1.1.1). */
static bool helo_is_fine(const struct piece *name, bool lenient)
{
	bool fine = name->len > 0 && name->len <= HELO_MAX;
	for (size_t i = 0; fine && i < name->len; i++)
		fine = name->at[i] >= ' ' && name->at[i] <= '~' && (lenient || name->at[i] != '_');
	struct ip ip;
	char text[HELO_MAX + 1];
	if (!fine || lenient)
		return fine;
	/* a bare IPv4 address has the form of a domain, and is none */
	return piece_copy(name, text, sizeof text) &&
	       (literal_read(&ip, text, name->len) == 0 ||
		       (domain_is_valid(text, name->len) && ip_parse(&ip, text) != 0));
}

static void set_helo(struct smtp_server *s, const struct piece *args, bool extended)
{
	if (!helo_is_fine(args, s->rights.relay)) {
		server_refuse_what(s, SMTP_REFUSED_HELO_SYNTAX, args);
		return;
	}
	char *helo = strndup((const char *)args->at, args->len);
	if (helo == NULL) {
		server_refuse(s, SMTP_REFUSED_MEMORY);
		return;
	}
	free(s->helo);
	s->helo = helo;
	s->extended = extended;
	server_forget(s); /* RFC 5321 §4.1.4 */
	server_forget_origin(s);
	server_enter(s, SMTP_GREETED);
	if (extended)
		say_offers(s);
	else
		server_say(s, "250 %s\r\n", s->conf->hostname);
}

static void on_ehlo(struct smtp_server *s, const struct piece *args)
{
	set_helo(s, args, true);
}

static void on_helo(struct smtp_server *s, const struct piece *args)
{
	set_helo(s, args, false);
}

/* ---- MAIL ---- */

static const uint8_t mail_faults[] = {
	[COMMAND_SYNTAX] = SMTP_REFUSED_SYNTAX,
	[COMMAND_ADDRESS] = SMTP_REFUSED_SENDER,
	[COMMAND_LONG] = SMTP_REFUSED_SENDER_LONG,
	[COMMAND_8BIT] = SMTP_REFUSED_ADDRESS_8BIT,
};

static const uint8_t rcpt_faults[] = {
	[COMMAND_SYNTAX] = SMTP_REFUSED_SYNTAX,
	[COMMAND_ADDRESS] = SMTP_REFUSED_RECIPIENT,
	[COMMAND_LONG] = SMTP_REFUSED_RECIPIENT_LONG,
	[COMMAND_8BIT] = SMTP_REFUSED_ADDRESS_8BIT,
};

static const uint8_t parameter_faults[] = {
	[PARAMETER_UNKNOWN] = SMTP_REFUSED_PARAMETER,
	[PARAMETER_WRONG] = SMTP_REFUSED_VALUE,
};

static const uint8_t no_room[] = {
	[SMTP_ROOM_QUEUE] = SMTP_REFUSED_QUEUE,
	[SMTP_ROOM_SPACE] = SMTP_REFUSED_SPACE,
	[SMTP_ROOM_BROKEN] = SMTP_REFUSED_STORAGE,
};

/* Times that the client wants, from spans to wall time. False: out of what EHLO offers. */
static bool take_times(struct smtp_server *s, const struct mail_parameters *p)
{
	const uint64_t longest = s->conf->limits.future_release;
	int64_t by = (int64_t)p->by_seconds * 1000;
	if (!p->hold_for && !p->hold_until && !(p->flags & (ENVELOPE_BY_RETURN | ENVELOPE_BY_NOTIFY)))
		return true;
	uint64_t now = s->host->wall(s->arg);
	if (p->hold_for)
		s->release_ms = now + p->hold_seconds * 1000;
	else if (p->hold_until && p->until_ms > now)
		s->release_ms = p->until_ms;
	if (p->flags & (ENVELOPE_BY_RETURN | ENVELOPE_BY_NOTIFY))
		s->by_ms = (uint64_t)((int64_t)now + by);
	bool too_soon = (p->flags & ENVELOPE_BY_RETURN) != 0 && by < (int64_t)s->conf->limits.deliver_by;
	/* what is to be returned before it may be tried can only be returned */
	bool too_late = (p->flags & ENVELOPE_BY_RETURN) != 0 && s->release_ms > s->by_ms;
	return !too_soon && !too_late && s->release_ms <= now + longest;
}

/* Why this MAIL cannot be taken; 0: it is. */
static unsigned read_mail(struct smtp_server *s, const struct piece *args, struct command_path *path)
{
	struct mail_parameters p;
	/* the path stands before the parameter that allows it to be UTF-8 */
	enum command_fault fault = command_read_path(path, args, "FROM:", ADDRESS_NULL | ADDRESS_UTF8, s->rights.relay);
	if (fault != COMMAND_OK)
		return mail_faults[fault];
	enum parameter_fault wrong = mail_parameters_read(&p, &path->rest, &s->rights);
	if (wrong != PARAMETER_OK)
		return parameter_faults[wrong];
	if (path->eight && !(p.flags & ENVELOPE_SMTPUTF8))
		return SMTP_REFUSED_ADDRESS_8BIT;
	if (p.size > s->conf->limits.size)
		return SMTP_REFUSED_SIZE;
	if (!take_times(s, &p))
		return SMTP_REFUSED_RANGE;
	enum smtp_room room = s->host->room(s->arg, p.size);
	if (room != SMTP_ROOM_OK)
		return no_room[room];
	int err = buf_append(&s->arena, path->address, strlen(path->address) + 1);
	if (err != 0 || buf_append(&s->arena, p.envid, strlen(p.envid) + 1) != 0)
		return SMTP_REFUSED_MEMORY;
	s->flags = p.flags;
	s->priority = (int8_t)p.priority;
	s->has_priority = p.has_priority;
	return 0;
}

static void on_mail(struct smtp_server *s, const struct piece *args)
{
	struct command_path path;
	unsigned fault = read_mail(s, args, &path);
	if (fault != 0) {
		server_forget(s);
		server_refuse_what(s, (enum smtp_refusal)fault, fault == SMTP_REFUSED_MEMORY ? NULL : args);
		return;
	}
	server_enter(s, SMTP_MAIL);
	server_say(s, "250 2.1.0 Ok\r\n");
}

/* ---- RCPT ---- */

static void refuse_too_many(struct smtp_server *s, const struct piece *args)
{
	/* The client goes on with the rest in its next transaction (RFC 5321 §4.5.3.1.10): one line in the log is
	 * enough. */
	if (s->told_recipients)
		server_say_refusal(s, SMTP_REFUSED_RECIPIENTS);
	else
		server_refuse_what(s, SMTP_REFUSED_RECIPIENTS, args);
	s->told_recipients = true;
}

/* A recipient: as it was said, then as it goes on. */
struct rcpt {
	struct command_path path;
	struct rcpt_parameters p;
	char ours[ADDRESS_TEXT + DOMAIN_MAX + 1];
	char orcpt[ORCPT_MAX + 1];
	struct envelope_rcpt to;
};

/* Makes `to` of a recipient. Mail for our postmaster (RFC 5321 §4.5.1) goes where the configuration says, and ORCPT
 * tells for whom it was. Is it such mail? */
static bool address_rcpt(const struct smtp_server *s, struct rcpt *r)
{
	const char *said = r->path.address;
	if (address_domain(said)[0] == '\0') {
		snprintf(r->ours, sizeof r->ours, "%s@%s", said, s->conf->hostname);
		said = r->ours;
	}
	r->to = (struct envelope_rcpt){.address = said, .orcpt = r->p.orcpt, .notify = r->p.notify};
	postmaster_rewrite(s->conf, &r->to, r->orcpt);
	return postmaster_is_ours(s->conf, said);
}

/* Why this RCPT cannot be taken; 0: it can. */
static unsigned read_rcpt(struct smtp_server *s, const struct piece *args, struct rcpt *r)
{
	unsigned allowed = ADDRESS_POSTMASTER | (s->flags & ENVELOPE_SMTPUTF8 ? ADDRESS_UTF8 : 0);
	enum command_fault fault = command_read_path(&r->path, args, "TO:", allowed, s->rights.relay);
	if (fault != COMMAND_OK)
		return rcpt_faults[fault];
	enum parameter_fault wrong =
		rcpt_parameters_read(&r->p, &r->path.rest, (s->flags & ENVELOPE_SMTPUTF8) != 0, &s->rights);
	if (wrong != PARAMETER_OK)
		return parameter_faults[wrong];
	bool ours = address_rcpt(s, r);
	if (s->rights.relay || (ours && s->conf->postmaster != NULL))
		return 0;
	return ours ? SMTP_REFUSED_POSTMASTER : SMTP_REFUSED_RELAY;
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
	struct rcpt r;
	unsigned fault = read_rcpt(s, args, &r);
	if (fault != 0) {
		server_refuse_what(s, (enum smtp_refusal)fault, args);
		return;
	}
	bool soft;
	const char *reject = rejected(s, r.to.address, &soft);
	if (reject != NULL) {
		server_refuse_in_words(s, soft ? SMTP_REFUSED_ROUTE_SOFT : SMTP_REFUSED_ROUTE, args, reject);
		return;
	}
	struct recipient one = {.address = r.to.address, .orcpt = r.to.orcpt, .notify = r.to.notify};
	int err = recipients_add(&s->recipients, &one);
	if (err == -E2BIG) {
		refuse_too_many(s, args);
		return;
	}
	if (err != 0 && err != -EEXIST) {
		server_refuse(s, SMTP_REFUSED_MEMORY);
		return;
	}
	server_enter(s, SMTP_RCPT);
	server_say(s, "250 2.1.5 Ok\r\n");
}

/* ---- the others ---- */

static void on_data(struct smtp_server *s, const struct piece *args)
{
	(void)args;
	if (s->flags & ENVELOPE_BINARY) { /* RFC 3030 §3 */
		server_refuse(s, SMTP_REFUSED_BINARY_DATA);
		return;
	}
	s->trace = (uint32_t)s->arena.len;
	server_enter(s, SMTP_OPEN);
}

static void on_rset(struct smtp_server *s, const struct piece *args)
{
	(void)args;
	server_forget(s);
	server_forget_origin(s);
	if (s->state != SMTP_FRESH)
		server_enter(s, SMTP_GREETED);
	server_say(s, "250 2.0.0 Ok\r\n");
}

static void on_noop(struct smtp_server *s, const struct piece *args)
{
	(void)args;
	server_say(s, "250 2.0.0 Ok\r\n");
}

static void on_vrfy(struct smtp_server *s, const struct piece *args)
{
	(void)args;
	server_say(s, "252 2.1.5 Addresses are not verified here; mail for them will be tried\r\n");
}

static void on_quit(struct smtp_server *s, const struct piece *args)
{
	(void)args;
	server_say(s, "221 2.0.0 %s closes\r\n", s->conf->hostname);
	server_enter(s, SMTP_CLOSED);
}

static void on_expn(struct smtp_server *s, const struct piece *args)
{
	(void)args;
	server_refuse(s, SMTP_REFUSED_NOT_HERE);
}

/* A browser was made to talk to us (cross-protocol attack): whatever it says next is not meant for a mail server. */
static void on_foreign(struct smtp_server *s, const struct piece *args)
{
	server_refuse_what(s, SMTP_REFUSED_FOREIGN, args);
}

static void on_help(struct smtp_server *s, const struct piece *args);

#define IN(state) (1u << SMTP_##state)
#define ANY (IN(FRESH) | IN(GREETED) | IN(MAIL) | IN(RCPT) | IN(CHUNKS))

enum { NO_ARGS = 1, NEEDS_ARGS = 2, HIDDEN = 4, JUNK = 8 }; /* JUNK: does nothing for a message */

static const struct verb {
	const char *name;
	unsigned states;
	unsigned flags;
	enum smtp_refusal fresh;     /* said before HELO if that is not one of the states */
	enum smtp_refusal otherwise; /* said in any other wrong state */
	void (*run)(struct smtp_server *s, const struct piece *args);
} verbs[] = {
	{"EHLO", ANY, JUNK, 0, 0, on_ehlo}, {"HELO", ANY, JUNK, 0, 0, on_helo},
	{"MAIL", IN(GREETED), 0, SMTP_REFUSED_NEED_HELO, SMTP_REFUSED_NESTED, on_mail},
	{"RCPT", IN(MAIL) | IN(RCPT), 0, SMTP_REFUSED_NEED_HELO, SMTP_REFUSED_NEED_MAIL, on_rcpt},
	{"DATA", IN(RCPT), NO_ARGS, SMTP_REFUSED_NEED_HELO, SMTP_REFUSED_NO_RECIPIENTS, on_data},
	{"BDAT", ANY, 0, 0, 0, chunk_begin}, {"RSET", ANY, NO_ARGS | JUNK, 0, 0, on_rset},
	{"NOOP", ANY, JUNK, 0, 0, on_noop}, {"QUIT", ANY, NO_ARGS, 0, 0, on_quit},
	{"VRFY", ANY, NEEDS_ARGS | JUNK, 0, 0, on_vrfy}, {"HELP", ANY, JUNK, 0, 0, on_help},
	{"XCLIENT", ANY, HIDDEN | JUNK, 0, 0, behalf_xclient}, {"XFORWARD", ANY, HIDDEN | JUNK, 0, 0, behalf_xforward},
	{"EXPN", ANY, HIDDEN, 0, 0, on_expn}, {"GET", ANY, HIDDEN, 0, 0, on_foreign},
	{"HEAD", ANY, HIDDEN, 0, 0, on_foreign}, {"POST", ANY, HIDDEN, 0, 0, on_foreign},
	{"PUT", ANY, HIDDEN, 0, 0, on_foreign}, {"DELETE", ANY, HIDDEN, 0, 0, on_foreign},
	{"OPTIONS", ANY, HIDDEN, 0, 0, on_foreign}, {"CONNECT", ANY, HIDDEN, 0, 0, on_foreign},
	{"PRI", ANY, HIDDEN, 0, 0, on_foreign}, /* HTTP/2 */
};

static void on_help(struct smtp_server *s, const struct piece *args)
{
	char list[256] = "";
	size_t n = 0;
	(void)args;
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (!(verbs[i].flags & HIDDEN))
			n += (size_t)snprintf(list + n, sizeof list - n, " %s", verbs[i].name);
	server_say(s, "214 2.0.0%s\r\n", list);
}

void verbs_run(struct smtp_server *s, const uint8_t *line, size_t len)
{
	struct piece verb, args;
	command_split(line, len, &verb, &args);
	const struct verb *row = NULL;
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0] && row == NULL; i++)
		if (piece_is(&verb, verbs[i].name))
			row = &verbs[i];
	if (row == NULL)
		server_refuse_what(s, SMTP_REFUSED_UNKNOWN, &verb);
	else if (!(row->states & (1u << s->state)))
		server_refuse_what(s,
			s->state == SMTP_FRESH	  ? row->fresh
			: s->state == SMTP_CHUNKS ? SMTP_REFUSED_IN_CHUNKS
						  : row->otherwise,
			&verb);
	else if ((row->flags & NO_ARGS) && args.len > 0)
		server_refuse_what(s, SMTP_REFUSED_NO_ARGUMENT, &verb);
	else if ((row->flags & NEEDS_ARGS) && args.len == 0)
		server_refuse_what(s, SMTP_REFUSED_ARGUMENT, &verb);
	else if ((row->flags & JUNK) && ++s->junk > s->conf->limits.junk)
		server_refuse_what(s, SMTP_REFUSED_JUNK, &verb);
	else
		row->run(s, &args);
}
