/* smtpd/received.c: protocol. */
#include "smtpd/received.h"

#include <string.h>

#include "conf/id.h"
#include "queue/mail/address.h"

enum {
	HELO_SHOWN = 64,
	/* what "\tby ", " with ESMTP", " id ", an ID and ";" leave of a line of 78 (RFC 5322 §2.1.1) */
	HOSTNAME_ROOM = 78 - (4 + 11 + 4 + 13 + 1),
};

/* What may stand in a comment without a second thought; all else becomes "?". */
static const char *comment_text(const char *text, char out[HELO_SHOWN + 1])
{
	size_t n = strnlen(text, HELO_SHOWN);
	for (size_t i = 0; i < n; i++)
		out[i] = (char)(text[i] < ' ' || text[i] > '~' || strchr("()\\", text[i]) != NULL ? '?' : text[i]);
	out[n] = '\0';
	return out;
}

int received_append(struct buf *out, const struct received *r)
{
	char literal[LITERAL_TEXT], shown[HELO_SHOWN + 1], id[ID_TEXT];
	struct ip named;
	size_t before = out->len, helo_len = strlen(r->helo);
	literal_format(r->client, literal);
	int err;
	if (domain_is_valid(r->helo, helo_len) || literal_read(&named, r->helo, helo_len) == 0)
		err = buf_printf(out, "Received: from %s (%s)\r\n", r->helo, literal);
	else
		err = buf_printf(out, "Received: from %s (%s)\r\n\t(HELO %s)\r\n", literal, literal,
			comment_text(r->helo, shown));
	if (err == 0)
		err = buf_printf(out, "\tby %s%swith %s id %s", r->hostname,
			strlen(r->hostname) > HOSTNAME_ROOM ? "\r\n\t" : " ", r->protocol, id_format(r->id, id));
	if (err == 0 && r->for_rcpt != NULL)
		err = buf_printf(out, "\r\n\tfor <%s>", r->for_rcpt);
	if (err == 0 && r->priority != NULL)
		err = buf_printf(out, "\r\n\tPRIORITY %d", *r->priority);
	if (err == 0)
		err = buf_printf(out, ";\r\n\t%s\r\n", r->date);
	if (err != 0)
		out->len = before;
	return err;
}
