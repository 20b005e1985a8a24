/* queue/mail/compose.c: protocol. */
#include "queue/mail/compose.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conf/clock.h"
#include "conf/id.h"
#include "queue/mail/envelope.h"
#include "queue/mail/report.h"
#include "queue/mail/returned.h"
#include "queue/mail/words.h"
#include "queue/mail/xtext.h"

enum { BOUNDARY = 48 };

/* The three parts, before they are put together. */
struct parts {
	struct draft words, report, returned;
	const char *words_encoding;
	struct returned what;
	bool utf8; /* the notice goes to a UTF-8 address */
};

static bool occurs(const struct draft *d, const char *text)
{
	return d->text.len != 0 && memmem(d->text.data, d->text.len, text, strlen(text)) != NULL;
}

/* The notice's own ID and the first number with which it occurs nowhere (RFC 2046 §5.1.1). It ends: every number that
 * is taken has its place in the parts. */
static void choose_boundary(const struct parts *p, uint64_t notice_id, char out[BOUNDARY])
{
	char id[ID_TEXT];
	unsigned number = 0;
	id_format(notice_id, id);
	do
		snprintf(out, BOUNDARY, "=_relay64_%s_%u_", id, number++);
	while (occurs(&p->words, out) || occurs(&p->report, out) || occurs(&p->returned, out));
}

static const char *attached_words(const struct returned *r)
{
	bool whole = r->type == RETURNED_MESSAGE || r->type == RETURNED_GLOBAL;
	return whole ? "All of it is attached." : "Its header is attached.";
}

/* UTF-8 addresses are for people to read, whatever the way of the notice is. */
static void write_parts(struct parts *p, const struct notice *in)
{
	p->utf8 = !text_is_ascii(in->to);
	draft_init(&p->words, NOTICE_MAX, true);
	draft_init(&p->report, NOTICE_MAX, p->utf8);
	draft_init(&p->returned, NOTICE_MAX, p->utf8);
	p->what = returned_write(&p->returned, in);
	words_write(&p->words, in, attached_words(&p->what));
	report_write(&p->report, in);
	p->words_encoding = "7bit";
	if (!draft_is_8bit(&p->words))
		return;
	p->words_encoding = "8bit";
	if (p->utf8)
		return;
	struct draft plain = p->words;
	draft_init(&p->words, NOTICE_MAX, true);
	p->words.err = plain.err;
	draft_quoted(&p->words, plain.text.data, plain.text.len);
	draft_fini(&plain);
	p->words_encoding = "quoted-printable";
}

static bool any_8bit(const struct parts *p)
{
	return draft_is_8bit(&p->words) || draft_is_8bit(&p->report) || draft_is_8bit(&p->returned);
}

static const char *subject_of(const struct notice *in)
{
	static const char *const subjects[NOTICE_KINDS] = {
		"Undelivered mail returned to sender",
		"Warning: your message is delayed",
		"Your message was handed on",
	};
	return in->sender[0] == '\0' ? "Postmaster copy: undelivered notice" : subjects[in->kind];
}

static void put_header(struct draft *d, const struct parts *p, const struct notice *in, const char *boundary)
{
	char date[CLOCK_DATE], id[ID_TEXT], address[DRAFT_CLEAN];
	draft_put(d, "Date: %s\r\n", clock_date(in->now_ms, date));
	if (in->postmaster != NULL)
		draft_put(d, "From: Mail relay <%.900s>\r\n", draft_clean(d, address, in->postmaster));
	else
		draft_put(d, "From: Mail relay <MAILER-DAEMON@%.900s>\r\n", draft_clean(d, address, in->hostname));
	draft_put(d, "To: <%.900s>\r\n", draft_clean(d, address, in->to));
	draft_put(d, "Subject: %s\r\n", subject_of(in));
	draft_put(
		d, "Message-ID: <%s@%.900s>\r\n", id_format(in->notice_id, id), draft_clean(d, address, in->hostname));
	draft_put(d, "Auto-Submitted: auto-replied\r\n");
	if (in->sender[0] == '\0')
		draft_put(d, NOTICE_DOUBLE_FIELD ": %.900s\r\n", draft_clean(d, address, in->hostname));
	draft_put(d, "MIME-Version: 1.0\r\n");
	draft_put(d, "Content-Type: multipart/report; report-type=%sdelivery-status;\r\n\tboundary=\"%s\"\r\n",
		p->utf8 ? "global-" : "", boundary);
	draft_put(d, "Content-Transfer-Encoding: %s\r\n\r\n", any_8bit(p) ? "8bit" : "7bit");
	draft_put(d, "This is a delivery status notification in MIME format (RFC 3464).\r\n");
}

static void put_part(struct draft *d, const char *boundary, const char *description, const char *type,
	const char *encoding, const struct draft *part)
{
	draft_put(d, "\r\n--%s\r\nContent-Description: %s\r\nContent-Type: %s\r\n", boundary, description, type);
	if (strcmp(encoding, "7bit") != 0)
		draft_put(d, "Content-Transfer-Encoding: %s\r\n", encoding);
	draft_put(d, "\r\n");
	draft_bytes(d, part->text.data, part->text.len);
}

static void put_together(struct draft *d, const struct parts *p, const struct notice *in)
{
	char boundary[BOUNDARY];
	bool whole = p->what.type == RETURNED_MESSAGE || p->what.type == RETURNED_GLOBAL;
	choose_boundary(p, in->notice_id, boundary);
	put_header(d, p, in, boundary);
	put_part(d, boundary, "Notification",
		strcmp(p->words_encoding, "7bit") == 0 ? "text/plain; charset=us-ascii" : "text/plain; charset=utf-8",
		p->words_encoding, &p->words);
	put_part(d, boundary, "Delivery report", p->utf8 ? "message/global-delivery-status" : "message/delivery-status",
		draft_is_8bit(&p->report) ? "8bit" : "7bit", &p->report);
	put_part(d, boundary, whole ? "The message" : "Header of the message", returned_content_type(&p->what),
		p->what.encoding, &p->returned);
	draft_put(d, "\r\n--%s--\r\n", boundary);
}

int notice_write(const struct notice *in, struct buf *out, unsigned *flags)
{
	if (in->to == NULL || in->to[0] == '\0' || in->rcpt_count == 0)
		return -EINVAL;
	struct parts p;
	struct draft all;
	write_parts(&p, in);
	draft_init(&all, NOTICE_MAX, p.utf8);
	int err = p.words.err ? p.words.err : p.report.err ? p.report.err : p.returned.err;
	if (err == 0) {
		put_together(&all, &p, in);
		err = all.err ? all.err : buf_append(out, all.text.data, all.text.len);
	}
	if (err == 0)
		*flags = ENVELOPE_BOUNCE | (draft_is_8bit(&all) ? ENVELOPE_8BIT : 0u) |
			 (p.utf8 ? ENVELOPE_SMTPUTF8 | ENVELOPE_HEADER_8BIT : 0u);
	draft_fini(&p.words);
	draft_fini(&p.report);
	draft_fini(&p.returned);
	draft_fini(&all);
	return err;
}
