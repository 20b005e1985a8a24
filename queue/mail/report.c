/* queue/mail/report.c: protocol. */
#include "queue/mail/report.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "conf/clock.h"
#include "conf/id.h"
#include "queue/mail/envelope.h"
#include "queue/mail/xtext.h"

enum { DECODED = ORCPT_MAX + 1, ENCODED = ADDRESS_MAX * 5 + 16 };

/* A digit, and twice a dot and up to three digits: RFC 3463 §2. */
static bool is_status(const char *s)
{
	if (!isdigit((unsigned char)*s++))
		return false;
	for (unsigned part = 0; part < 2; part++) {
		size_t n = *s == '.' ? strspn(s + 1, "0123456789") : 0;
		if (n < 1 || n > 3)
			return false;
		s += n + 1;
	}
	return *s == '\0';
}

static const char *status_of(char out[REPLY_ENHANCED], const struct notice *in, const struct notice_rcpt *r)
{
	static const char classes[NOTICE_KINDS] = {'5', '4', '2'};
	char class = classes[in->kind];
	if (in->kind != NOTICE_RELAYED && (r->expired || r->late))
		snprintf(out, REPLY_ENHANCED, "%c.4.7", r->expired && !r->late ? '4' : class);
	else if (is_status(r->reply->enhanced))
		snprintf(out, REPLY_ENHANCED, "%c%s", class, r->reply->enhanced + 1);
	else
		snprintf(out, REPLY_ENHANCED, "%c.0.0", class);
	return out;
}

/* "Field: type; address" in the form that the report has. */
static void put_address(struct draft *d, const char *field, const char *type, const char *address)
{
	char lead[ORCPT_TYPE + 32], encoded[ENCODED];
	bool utf8 = strcmp(type, "utf-8") == 0 || (strcmp(type, "rfc822") == 0 && !text_is_ascii(address));
	snprintf(lead, sizeof lead, "%s: %s; ", field, utf8 ? "utf-8" : type);
	if (utf8 && !d->utf8 && utf8_address_encode(encoded, sizeof encoded, address) == 0)
		address = encoded;
	draft_address(d, lead, address);
}

static void put_original(struct draft *d, const struct notice_rcpt *r)
{
	char type[ORCPT_TYPE], address[DECODED];
	if (r->orcpt != NULL && r->orcpt[0] != '\0' && orcpt_decode(type, address, sizeof address, r->orcpt) == 0)
		put_address(d, "Original-Recipient", type, address);
}

static void put_remote(struct draft *d, const struct path_try *used)
{
	char at[IP_TEXT];
	const struct ip *ip = used->real.family != FAMILY_NONE ? &used->real : &used->to.ip;
	if (used->host[0] != '\0')
		draft_wrapped(d, "Remote-MTA: dns; ", " ", used->host);
	else
		draft_put(
			d, "Remote-MTA: dns; [%s%s]\r\n", ip->family == FAMILY_IPV6 ? "IPv6:" : "", ip_format(ip, at));
}

static void put_rcpt(struct draft *d, const struct notice *in, const struct notice_rcpt *r, bool full)
{
	char date[CLOCK_DATE], id[ID_TEXT], status[REPLY_ENHANCED], words[REPLY_TEXT_MAX + 32];
	const struct path_try *used = notice_path(in);
	bool remote = used != NULL && r->reply->code != 0;
	draft_put(d, "\r\n");
	put_original(d, r);
	put_address(d, "Final-Recipient", "rfc822", r->address);
	draft_put(d, "Action: %s\r\nStatus: %s\r\n", notice_word(in->kind), status_of(status, in, r));
	if (full) {
		if (remote)
			put_remote(d, used);
		draft_wrapped(d, remote ? "Diagnostic-Code: smtp; " : "Diagnostic-Code: x-relay64; ", " ",
			r->reply->code != 0 ? reply_format(r->reply, words, sizeof words) : r->reply->text);
		draft_put(d, "Last-Attempt-Date: %s\r\n",
			clock_date(in->attempt != NULL ? in->attempt->when_ms : in->now_ms, date));
		draft_put(d, "Final-Log-ID: %s\r\n", id_format(in->id, id));
	}
	if (in->kind == NOTICE_DELAYED && in->until_ms != 0)
		draft_put(d, "Will-Retry-Until: %s\r\n", clock_date(in->until_ms, date));
}

void report_write(struct draft *d, const struct notice *in)
{
	char date[CLOCK_DATE], id[ID_TEXT], envid[ENVID_MAX + 1];
	if (in->envid != NULL && in->envid[0] != '\0' && xtext_decode(envid, sizeof envid, in->envid) == 0)
		draft_wrapped(d, "Original-Envelope-Id: ", " ", envid);
	draft_wrapped(d, "Reporting-MTA: dns; ", " ", in->hostname);
	draft_put(d, "Arrival-Date: %s\r\n", clock_date(in->arrival_ms, date));
	if (in->by_ms != 0)
		draft_put(d, "Deliver-By-Date: %s\r\n", clock_date(in->by_ms, date));
	draft_put(d, "X-relay64-Queue-ID: %s\r\n", id_format(in->id, id));
	for (unsigned i = 0; i < in->rcpt_count; i++)
		put_rcpt(d, in, &in->rcpts[i], i < NOTICE_RCPTS_FULL);
}
