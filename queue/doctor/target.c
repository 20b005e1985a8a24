/* queue/doctor/target.c: protocol. */
#include "queue/doctor/target.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/value.h"
#include "dns/name.h"

enum { SMTP_PORT = 25 };

static int read_port(const char *text, uint16_t *out)
{
	char *end;
	unsigned long n = isdigit((unsigned char)*text) ? strtoul(text, &end, 10) : 0;
	if (n == 0 || n > UINT16_MAX || *end != '\0')
		return -EINVAL;
	*out = (uint16_t)n;
	return 0;
}

static int read_name(char out[DNS_NAME_MAX], const char *text, size_t n)
{
	if (n > 1 && text[n - 1] == '.')
		n--;
	if (n >= DNS_NAME_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		out[i] = (char)tolower((unsigned char)text[i]);
	out[n] = '\0';
	return dns_name_valid(out) ? 0 : -EINVAL;
}

int target_read(struct target *out, const char *text)
{
	struct endpoint e;
	*out = (struct target){.port = SMTP_PORT};
	if (value_read_endpoint(&e, text, SMTP_PORT) == 0) {
		out->literal = e.ip;
		out->port = e.port;
		ip_format(&e.ip, out->name);
		return 0;
	}
	const char *colon = strchr(text, ':');
	if (colon != NULL && read_port(colon + 1, &out->port) != 0)
		return -EINVAL;
	return read_name(out->name, text, colon != NULL ? (size_t)(colon - text) : strlen(text));
}

int target_read_sender(struct target_sender *out, const char *text)
{
	const char *at = strrchr(text, '@');
	const char *domain = at != NULL ? at + 1 : text;
	size_t n = at != NULL ? (size_t)(at - text) : 0;
	*out = (struct target_sender){0};
	if (n >= sizeof out->local)
		return -EINVAL;
	memcpy(out->local, text, n);
	return read_name(out->domain, domain, strlen(domain));
}
