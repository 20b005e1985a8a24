/* smtpd/xclient.c: protocol. */
#include "smtpd/xclient.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "queue/mail/xtext.h"

#define UNAVAILABLE "[UNAVAILABLE]"
#define TEMPORARILY "[TEMPUNAVAIL]"

/* ---- values ---- */

/* What would mean something in a log line or a header field (RFC 5322 §3.2.3: comments, quotes) stands as '?'. */
static bool read_text(void *to, size_t size, const char *value)
{
	size_t n = strlen(value);
	char *out = to;
	if (n == 0 || n >= size)
		return false;
	for (size_t i = 0; i < n; i++)
		out[i] = (char)(value[i] <= ' ' || value[i] > '~' || strchr("<>()\\\";", value[i]) ? '?' : value[i]);
	out[n] = '\0';
	return true;
}

/* An IPv6 address has "IPV6:" before it, as in address literals; bare ones are let pass, for nothing else has colons.
 */
static bool read_address(void *to, size_t size, const char *value)
{
	(void)size;
	bool marked = strncasecmp(value, "IPV6:", 5) == 0;
	return ip_parse(to, marked ? value + 5 : value) == 0 && (!marked || strchr(value + 5, ':') != NULL);
}

static bool read_port(void *to, size_t size, const char *value)
{
	struct piece digits = {(const uint8_t *)value, strlen(value)};
	uint64_t port;
	(void)size;
	if (!piece_number(&digits, &port) || port > UINT16_MAX)
		return false;
	*(uint16_t *)to = (uint16_t)port;
	return true;
}

static bool read_proto(void *to, size_t size, const char *value)
{
	return (strcasecmp(value, "SMTP") == 0 || strcasecmp(value, "ESMTP") == 0) && read_text(to, size, value);
}

static bool read_source(void *to, size_t size, const char *value)
{
	return (strcasecmp(value, "LOCAL") == 0 || strcasecmp(value, "REMOTE") == 0) && read_text(to, size, value);
}

#define AT(member) offsetof(struct xclient, member), sizeof(((struct xclient *)NULL)->member)

static const struct attribute {
	size_t at, size;
	bool (*read)(void *to, size_t size, const char *value);	     /* of XCLIENT, and of XFORWARD */
	bool (*forwarded)(void *to, size_t size, const char *value); /* … if that is another */
} attributes[XCLIENT_COUNT] = {
	[XCLIENT_NAME] = {AT(name), read_text, NULL},
	[XCLIENT_ADDR] = {AT(client.ip), read_address, NULL},
	[XCLIENT_PORT] = {AT(client.port), read_port, NULL},
	[XCLIENT_PROTO] = {AT(proto), read_proto, read_text},
	[XCLIENT_HELO] = {AT(helo), read_text, NULL},
	[XCLIENT_LOGIN] = {AT(login), read_text, NULL},
	[XCLIENT_DESTADDR] = {AT(listener.ip), read_address, NULL},
	[XCLIENT_DESTPORT] = {AT(listener.port), read_port, NULL},
	[XCLIENT_REVERSE_NAME] = {AT(reverse_name), read_text, NULL},
	[XCLIENT_IDENT] = {AT(ident), read_text, NULL},
	[XCLIENT_SOURCE] = {AT(source), read_source, NULL},
};

static const struct {
	const char *name;
	bool in[2]; /* XCLIENT, XFORWARD */
} names[XCLIENT_COUNT] = {
#define X(name, client, forward) {#name, {client, forward}},
	XCLIENT_ATTRIBUTES(X)
#undef X
};

/* ---- the list ---- */

/* One "NAME=value". */
static bool read_one(struct xclient *x, bool forward, struct piece word)
{
	struct piece name;
	char coded[3 * XCLIENT_VALUE_MAX + 1], value[XCLIENT_VALUE_MAX + 1];
	unsigned which = 0;
	if (!piece_cut(&word, '=', &name) || !piece_copy(&word, coded, sizeof coded) ||
		xtext_decode(value, sizeof value, coded) != 0)
		return false;
	while (which < XCLIENT_COUNT && !(names[which].in[forward] && piece_is(&name, names[which].name)))
		which++;
	if (which == XCLIENT_COUNT)
		return false;
	const struct attribute *a = &attributes[which];
	char *to = (char *)x + a->at;
	x->said |= 1u << which;
	x->known &= ~(1u << which);
	memset(to, 0, a->size);
	if (strcasecmp(value, UNAVAILABLE) == 0 || strcasecmp(value, TEMPORARILY) == 0)
		return true;
	x->known |= 1u << which;
	return (forward && a->forwarded != NULL ? a->forwarded : a->read)(to, a->size, value);
}

bool xclient_read(struct xclient *x, bool forward, const struct piece *args)
{
	struct xclient next = *x;
	struct piece rest = *args, word;
	unsigned count = 0;
	for (piece_skip_blanks(&rest); rest.len > 0; piece_skip_blanks(&rest), count++) {
		piece_cut(&rest, ' ', &word);
		if (!read_one(&next, forward, word))
			return false;
	}
	if (count == 0)
		return false;
	*x = next;
	return true;
}
