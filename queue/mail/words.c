/* queue/mail/words.c: protocol. */
#include "queue/mail/words.h"

#include <stdio.h>
#include <string.h>

#include "conf/clock.h"
#include "conf/id.h"

enum { LINE = HOST_TEXT + ENDPOINT_TEXT + 160 };

/* What an answer means in plain words. The first row that fits: `status` is the enhanced code without its class, or the
 * beginning of it with a dot at its end; `code` stands in for it where the peer gave none; 0 and "": whatever it is. */
static const struct explanation {
	const char *status;
	uint16_t code;
	const char *failed, *delayed;
} explanations[] = {
	{"1.1", 551,
		"There is no mailbox of this name. Please look for a mistake in the address; if there is none, ask "
		"the recipient in another way which address is right.",
		"The recipient's mail server does not know this mailbox at the moment."},
	{"1.10", 556, "This domain takes no mail at all: its owner says so. Please look for a mistake in the address.",
		NULL},
	{"1.2", 0,
		"There is no mail server for what stands behind the @ of this address. Please look for a mistake "
		"there.",
		NULL},
	{"4.4", 0, "The mail server for this address cannot be found: what its domain says about it is wrong.", NULL},
	{"1.6", 0, "The recipient has moved and left no new address.", NULL},
	{"1.", 553,
		"The recipient's mail server cannot do anything with this address. Please look for a mistake in it.",
		NULL},
	{"2.1", 0, "This mailbox is closed. The recipient has to ask the people who run it.",
		"This mailbox takes no mail at the moment."},
	{"2.2", 552,
		"The recipient's mailbox is full. Please tell the recipient in another way, and send the message "
		"again "
		"when there is room.",
		"The recipient's mailbox is full at the moment."},
	{"2.3", 0, "The message is larger than this recipient may receive. Please send a smaller one.", NULL},
	{"3.4", 0,
		"The message is too large for the recipient's mail server. Please send a smaller one, or hand over "
		"its attachments in another way.",
		NULL},
	{"3.2", 521, "The recipient's mail server takes no mail.",
		"The recipient's mail server takes no mail at the moment."},
	{"3.1", 452, "The recipient's mail server has no room.",
		"The recipient's mail server has no room at the moment."},
	{"4.6", 0, "The message went in a circle between mail servers. Only their postmasters can mend that.", NULL},
	{"4.7", 0, "The recipient's mail server gave the message up because it had waited for too long.", NULL},
	{"4.3", 0, "The mail server for this address could not be looked up.",
		"The mail server for this address cannot be looked up at the moment."},
	{"4.", 421, "The recipient's mail server could not be reached.",
		"The recipient's mail server cannot be reached at the moment."},
	{"6.", 0,
		"The recipient's mail server cannot take this kind of message (its characters, its format or its "
		"attachments). Please send it in a simpler form, as plain text.",
		NULL},
	{"7.1", 0,
		"The recipient's mail server does not want this message. Its rules forbid it; its own words stand "
		"below, and often say why. Please ask the recipient, or the people who run that server.",
		"The recipient's mail server wants to see this message again later. Many do so with senders whom "
		"they do not know yet."},
	{"7.", 554,
		"The recipient's mail server refused this message for its rules; its own words stand below, and often "
		"say why. Please ask the recipient, or the people who run that server.",
		"The recipient's mail server does not take this message for now, for its rules."},
	{"3.", 0, "The recipient's mail server cannot take this message.",
		"The recipient's mail server has a fault at the moment."},
	{"", 0, "The recipient's mail server refused this message; its own words stand below, and often say why.",
		"The recipient's mail server does not take this message at the moment; its own words stand below."},
};

static bool fits(const struct explanation *e, const struct reply *r)
{
	size_t n = strlen(e->status);
	if (n == 0)
		return true;
	if (r->enhanced[0] == '\0' || r->enhanced[1] != '.')
		return e->code != 0 && e->code == r->code;
	const char *own = r->enhanced + 2;
	return e->status[n - 1] == '.' ? strncmp(own, e->status, n) == 0 : strcmp(own, e->status) == 0;
}

const char *words_explain(const struct reply *r, enum notice_kind kind)
{
	static const struct reply unreachable = {.code = 451, .enhanced = "4.4.1"};
	const struct explanation *e = explanations;
	if (r->code == 0)
		r = &unreachable; /* what happened to a connection */
	while (!fits(e, r) || (kind == NOTICE_DELAYED && e->delayed == NULL))
		e++;
	return kind == NOTICE_DELAYED ? e->delayed : e->failed;
}

/* ---- plain words ---- */

static bool same_reply(const struct reply *a, const struct reply *b)
{
	return a == b || (a->code == b->code && strcmp(a->enhanced, b->enhanced) == 0 && strcmp(a->text, b->text) == 0);
}

/* Do the recipient and the next one share an explanation? */
static bool goes_on(const struct notice *in, unsigned i)
{
	const struct notice_rcpt *r = &in->rcpts[i], *next = r + 1;
	return i + 1 < in->rcpt_count && i + 1 < NOTICE_RCPTS_FULL && r->expired == next->expired &&
	       r->late == next->late && same_reply(r->reply, next->reply);
}

static void put_addresses(struct draft *d, const struct notice *in, unsigned from, unsigned to, const char *lead)
{
	char open[16], address[DRAFT_CLEAN];
	snprintf(open, sizeof open, "%s<", lead);
	for (unsigned i = from; i <= to; i++)
		draft_put(d, "%s%.900s>\r\n", open, draft_clean(d, address, in->rcpts[i].address));
}

/* Words of ours, wrapped. */
static void put_paragraph(struct draft *d, const char *text)
{
	enum { COLUMNS = 76 };
	while (*text != '\0') {
		size_t n = strlen(text);
		if (n > COLUMNS)
			for (n = COLUMNS; text[n] != ' ';)
				n--;
		draft_bytes(d, text, n);
		draft_put(d, "\r\n");
		text += n + (text[n] == ' ');
	}
}

static void put_explained(struct draft *d, const struct notice *in, const struct notice_rcpt *r)
{
	char span[CLOCK_SPAN];
	if (in->kind == NOTICE_RELAYED)
		return;
	if (in->kind == NOTICE_FAILED && r->late) {
		put_paragraph(
			d, "The message could not be delivered within the time that was asked for. Why it waited:");
	} else if (in->kind == NOTICE_FAILED && r->expired) {
		draft_put(
			d, "It was tried for %s, without success. Why it waited:\r\n", clock_span(in->waited_ms, span));
	}
	bool waited = in->kind == NOTICE_DELAYED || r->late || r->expired;
	/* a reason of policy that no server gave is this relay's own */
	if (!waited && notice_path(in) == NULL && strncmp(r->reply->enhanced, "5.7.", 4) == 0)
		put_paragraph(d,
			"This relay did not pass the message on, because its operators decided so. Their reason stands "
			"below; they are the ones to ask.");
	else
		put_paragraph(d, words_explain(r->reply, waited ? NOTICE_DELAYED : NOTICE_FAILED));
}

static void put_opening(struct draft *d, const struct notice *in)
{
	const char *them = in->rcpt_count == 1 ? "this recipient" : "these recipients";
	char span[CLOCK_SPAN], date[CLOCK_DATE], name[DRAFT_CLEAN];
	draft_put(d, "This is the mail relay %.900s.\r\n", draft_clean(d, name, in->hostname));
	draft_put(d, "A program wrote this message; nobody reads what is sent in reply.\r\n\r\n");
	if (in->sender[0] == '\0') {
		put_paragraph(d,
			"You are told as the postmaster: mail that has no sender, most often a notice that mail could "
			"not be delivered, could not be delivered itself. Nobody else is told.");
		draft_put(d, "\r\n");
	}
	if (in->kind == NOTICE_DELAYED)
		draft_put(d, "This is a warning only. You need not send your message again.\r\n\r\n");
	draft_put(d, "%s of %s\r\n", in->sender[0] != '\0' ? "Your message" : "The mail",
		clock_date(in->arrival_ms, date));
	if (in->kind == NOTICE_FAILED)
		draft_put(d, "could not be delivered to %s:\r\n\r\n", them);
	else if (in->kind == NOTICE_RELAYED)
		draft_put(d, "has been handed on to the next mail server for %s:\r\n\r\n", them);
	else
		draft_put(d, "could not be delivered for %s to %s:\r\n\r\n", clock_span(in->waited_ms, span), them);
}

static void put_closing(struct draft *d, const struct notice *in)
{
	char date[CLOCK_DATE];
	if (in->kind == NOTICE_RELAYED) {
		put_paragraph(d,
			"You asked to be told of success. The next server does not confirm deliveries, so this is the "
			"last that you hear if all goes well; if it cannot deliver the message, it should tell you.");
	} else if (in->kind == NOTICE_FAILED) {
		put_paragraph(d,
			"It will not be tried again. If you do not know what to do, pass this whole message on to your "
			"postmaster.");
	} else {
		draft_put(d, "It is tried again until %s;\r\n", clock_date(in->until_ms, date));
		put_paragraph(d, "you are told if it cannot be delivered till then.");
	}
}

/* ---- details ---- */

/* "550 5.1.1 No such user", whole. */
static const char *reply_words(char out[DRAFT_CLEAN], const struct reply *r)
{
	if (r->code == 0)
		snprintf(out, DRAFT_CLEAN, "%s", r->text);
	else
		reply_format(r, out, DRAFT_CLEAN);
	return out;
}

static void put_answer(struct draft *d, const struct notice *in, const struct notice_rcpt *r)
{
	char words[DRAFT_CLEAN], at[PATH_TEXT];
	draft_wrapped(d, "    ", "    ", reply_words(words, r->reply));
	const struct path_try *used = notice_path(in);
	if (used != NULL && r->reply->code != 0) {
		draft_wrapped(d, "    (answer of ", "    ", used->host[0] ? used->host : "the server");
		draft_put(d, "    at %s)\r\n", path_format(used, at));
	}
}

static void put_path(struct draft *d, const struct path_try *t)
{
	char at[PATH_TEXT], line[LINE], span[CLOCK_SPAN], words[DRAFT_CLEAN];
	snprintf(line, sizeof line, "%s%s%s: %s (%s)", t->host, t->host[0] ? " at " : "", path_format(t, at),
		t->fault == FAULT_NONE ? "connected, ready for mail" : fault_text(t->fault),
		clock_span(t->total_ms, span));
	draft_wrapped(d, "  - ", "    ", line);
	if (t->reply.code != 0 || t->reply.text[0] != '\0')
		draft_wrapped(d, "      ", "      ", reply_words(words, &t->reply));
}

/* Replies that no recipient of this notice shows: what another path or another recipient was told. */
static void put_other_replies(struct draft *d, const struct notice *in)
{
	const struct attempt *a = in->attempt;
	bool any = false;
	for (unsigned i = 0; i < a->reply_count; i++) {
		bool shown = false;
		for (unsigned k = 0; k < in->rcpt_count && k < NOTICE_RCPTS_FULL && !shown; k++)
			shown = same_reply(&a->replies[i], in->rcpts[k].reply);
		if (shown || a->replies[i].code < 400)
			continue;
		if (!any)
			draft_put(d, "\r\nOther answers in this attempt:\r\n");
		any = true;
		char words[DRAFT_CLEAN];
		draft_wrapped(d, "  - ", "    ", reply_words(words, &a->replies[i]));
	}
}

static void put_details(struct draft *d, const struct notice *in)
{
	char date[CLOCK_DATE];
	const struct attempt *a = in->attempt;
	unsigned shown = in->rcpt_count < NOTICE_RCPTS_FULL ? in->rcpt_count : NOTICE_RCPTS_FULL, from = 0;
	for (unsigned i = 0; i < shown; i++) {
		if (goes_on(in, i))
			continue;
		put_addresses(d, in, from, i, "");
		put_answer(d, in, &in->rcpts[i]);
		draft_put(d, "\r\n");
		from = i + 1;
	}
	if (a != NULL && a->path_count != 0) {
		draft_put(d, "What was tried last, on %s:\r\n", clock_date(a->when_ms, date));
		for (unsigned i = 0; i < a->path_count; i++)
			put_path(d, &a->paths[i]);
	} else {
		draft_put(d, "No connection was tried: the reason above came before that.\r\n");
	}
	if (a != NULL)
		put_other_replies(d, in);
}

/* ---- together ---- */

void words_write(struct draft *d, const struct notice *in, const char *attached)
{
	char id[ID_TEXT], date[CLOCK_DATE];
	unsigned shown = in->rcpt_count < NOTICE_RCPTS_FULL ? in->rcpt_count : NOTICE_RCPTS_FULL, from = 0;
	put_opening(d, in);
	for (unsigned i = 0; i < shown; i++) {
		if (goes_on(in, i))
			continue;
		put_addresses(d, in, from, i, "  ");
		draft_put(d, "\r\n");
		put_explained(d, in, &in->rcpts[i]);
		if (in->kind != NOTICE_RELAYED)
			draft_put(d, "\r\n");
		from = i + 1;
	}
	if (in->rcpt_count > shown)
		draft_put(d, "and to %u more, whom the attached report names.\r\n\r\n", in->rcpt_count - shown);
	put_closing(d, in);
	draft_put(d, "\r\nDetails for the postmaster:\r\n\r\n");
	put_details(d, in);
	draft_put(d, "\r\nThe message came to this relay on %s;\r\n", clock_date(in->arrival_ms, date));
	draft_put(d, "its queue ID here is %s. %s\r\n", id_format(in->id, id), attached);
}
