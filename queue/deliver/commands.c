/* queue/deliver/commands.c: protocol. */
#include "queue/deliver/commands.h"

#include <stdio.h>
#include <string.h>

#include "queue/mail/envelope.h"
#include "queue/mail/xtext.h"

/* Appends unless something before went wrong. */
static void add(int *err, struct buf *out, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void add(int *err, struct buf *out, const char *format, ...)
{
	if (*err != 0)
		return;
	va_list args;
	va_start(args, format);
	*err = buf_vprintf(out, format, args);
	va_end(args);
}

static bool is_given(const char *text)
{
	return text != NULL && *text != '\0';
}

static const char *body_of(const struct capabilities *peer, const struct transaction *t)
{
	if ((t->flags & ENVELOPE_BINARY) != 0)
		return " BODY=BINARYMIME";
	if (peer->eightbit && (t->flags & (ENVELOPE_8BIT | ENVELOPE_BODY_8BIT)) != 0)
		return " BODY=8BITMIME";
	return "";
}

int commands_mail(struct buf *out, const struct capabilities *peer, const struct transaction *t)
{
	enum { BY_MOST = 999999999 };
	char envid[ENVID_MAX + 1];
	int err = 0;
	add(&err, out, "MAIL FROM:<%s>", t->sender);
	if (peer->has_size)
		add(&err, out, " SIZE=%llu", (unsigned long long)t->size);
	add(&err, out, "%s%s", body_of(peer, t), t->utf8 ? " SMTPUTF8" : "");
	if (peer->dsn && (t->flags & (ENVELOPE_RET_FULL | ENVELOPE_RET_HDRS)) != 0)
		add(&err, out, " RET=%s", t->flags & ENVELOPE_RET_FULL ? "FULL" : "HDRS");
	if (peer->dsn && is_given(t->envid) && xtext_pass(envid, sizeof envid, t->envid, false) == 0)
		add(&err, out, " ENVID=%s", envid);
	if (peer->deliver_by && t->has_by) {
		int64_t left = t->by_s < -BY_MOST ? -BY_MOST : t->by_s > BY_MOST ? BY_MOST : t->by_s;
		add(&err, out, " BY=%lld;%s%s", (long long)left, t->flags & ENVELOPE_BY_RETURN ? "R" : "N",
			t->flags & ENVELOPE_BY_TRACE ? "T" : "");
	}
	if (peer->priority && t->priority != 0)
		add(&err, out, " MT-PRIORITY=%d", t->priority);
	add(&err, out, "\r\n");
	return err;
}

static void add_notify(int *err, struct buf *out, unsigned notify)
{
	static const struct {
		unsigned bit;
		const char *word;
	} rows[] = {{NOTIFY_NEVER, "NEVER"}, {NOTIFY_SUCCESS, "SUCCESS"}, {NOTIFY_FAILURE, "FAILURE"},
		{NOTIFY_DELAY, "DELAY"}};
	const char *before = " NOTIFY=";
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if ((notify & rows[i].bit) == 0)
			continue;
		add(err, out, "%s%s", before, rows[i].word);
		before = ",";
	}
}

/* Does the sender of the message use DSN? */
static bool uses_dsn(const struct transaction *t, const struct transaction_rcpt *r)
{
	return r->notify != 0 || is_given(t->envid) || (t->flags & (ENVELOPE_RET_FULL | ENVELOPE_RET_HDRS)) != 0;
}

/* RFC 3461 §5.2.1: what the client gave is passed on; where it gave none, the address that this relay was given is the
 * original one. One that is too long for RFC 3461 §4.2 once encoded is left out. */
static void add_orcpt(int *err, struct buf *out, const struct transaction *t, const struct transaction_rcpt *r)
{
	char value[ORCPT_MAX + 1];
	bool given = is_given(r->orcpt);
	if (!given && !uses_dsn(t, r))
		return;
	int unfit = given ? xtext_pass(value, sizeof value, r->orcpt, t->utf8)
			  : orcpt_encode(value, sizeof value, r->address, t->utf8);
	if (unfit == 0)
		add(err, out, " ORCPT=%s", value);
}

/* RFC 2852 §4.1.4.2: a next hop that knows nothing of the time of BY;N is asked to tell of delays in its place. */
static unsigned notify_of(
	const struct capabilities *peer, const struct transaction *t, const struct transaction_rcpt *r)
{
	bool told = peer->deliver_by || !t->has_by || (t->flags & ENVELOPE_BY_NOTIFY) == 0;
	if (told || (r->notify & NOTIFY_NEVER))
		return r->notify;
	return (r->notify != 0 ? r->notify : (unsigned)NOTIFY_FAILURE) | NOTIFY_DELAY;
}

int commands_rcpt(
	struct buf *out, const struct capabilities *peer, const struct transaction *t, const struct transaction_rcpt *r)
{
	int err = 0;
	add(&err, out, "RCPT TO:<%s>", r->address);
	if (peer->dsn) {
		add_notify(&err, out, notify_of(peer, t, r));
		add_orcpt(&err, out, t, r);
	}
	add(&err, out, "\r\n");
	return err;
}
