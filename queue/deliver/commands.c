/* queue/deliver/commands.c: protocol. */
#include "queue/deliver/commands.h"

#include <stdio.h>
#include <string.h>

#include "queue/deliver/needs.h"
#include "queue/mail/envelope.h"

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

/* The code point at `p`, which is UTF-8 that was checked at the door; `*n`: its bytes. 0 if it is not. */
static unsigned code_point(const char *p, size_t *n)
{
	const unsigned char *u = (const unsigned char *)p;
	*n = u[0] >= 0xf0 ? 4 : u[0] >= 0xe0 ? 3 : 2;
	unsigned code = u[0] & (0xffu >> (*n + 1));
	for (size_t i = 1; i < *n; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (u[i] & 0x3fu);
	}
	return code;
}

enum form {
	AS_GIVEN, /* encoded already, but for bytes over 127; what cannot stand in a command is refused */
	AS_XTEXT, /* RFC 3461 §4 */
	AS_UTF8,  /* utf-8-addr-xtext, or -unitext where bytes over 127 may stand: RFC 6533 §3 */
};

/* False if the text does not fit, or is not UTF-8. `raw`: bytes over 127 may stand. */
static bool encode(char *out, size_t size, const char *text, enum form form, bool raw)
{
	size_t at = 0;
	while (*text != '\0') {
		unsigned char c = (unsigned char)*text;
		bool special = c < 33 || c == '+' || c == '=' || c == 127 || (form == AS_UTF8 && c == '\\');
		size_t n = 1;
		unsigned code = c > 127 && !raw ? code_point(text, &n) : c;
		if (code == 0 || (form == AS_GIVEN && (c < 33 || c == 127)))
			return false;
		int wrote;
		if (n > 1 || (special && form == AS_UTF8))
			wrote = snprintf(out + at, size - at, "\\x{%X}", code);
		else if (special && form == AS_XTEXT)
			wrote = snprintf(out + at, size - at, "+%02X", code);
		else
			wrote = snprintf(out + at, size - at, "%c", (int)code);
		at += (size_t)wrote;
		if (at >= size)
			return false;
		text += n;
	}
	return true;
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
	if (peer->dsn && is_given(t->envid) && encode(envid, sizeof envid, t->envid, AS_GIVEN, false))
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
	bool given = is_given(r->orcpt), eightbit = needs_is_8bit(r->address);
	if (!given && !uses_dsn(t, r))
		return;
	const char *type = given ? "" : eightbit ? "utf-8;" : "rfc822;";
	enum form form = given ? AS_GIVEN : eightbit ? AS_UTF8 : AS_XTEXT;
	if (encode(value, sizeof value - strlen(type), given ? r->orcpt : r->address, form, t->utf8))
		add(err, out, " ORCPT=%s%s", type, value);
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
