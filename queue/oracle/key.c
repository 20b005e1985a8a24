/* queue/oracle/key.c: protocol. */
#include "queue/oracle/key.h"

#include <errno.h>
#include <string.h>

#include "dns/name.h"
#include "queue/mail/address.h"
#include "queue/mail/idn.h"

static bool is_ascii(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] > 127)
			return false;
	return true;
}

static int read_domain(char out[DNS_NAME_MAX], const char *text, size_t len)
{
	if (len > 0 && text[len - 1] == '.')
		len--;
	if (!is_ascii(text, len)) {
		int err = idn_to_ascii(out, DNS_NAME_MAX, text, len);
		if (err != 0)
			return err;
	} else {
		if (len >= DNS_NAME_MAX || memchr(text, 0, len) != NULL)
			return -EINVAL;
		for (size_t i = 0; i < len; i++)
			out[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
		out[len] = '\0';
	}
	return domain_is_valid(out, strlen(out)) && dns_name_valid(out) ? 0 : -EINVAL;
}

int oracle_key_read(struct oracle_key *out, const char *key, size_t len)
{
	const char *at = memrchr(key, '@', len);
	const char *text = at != NULL ? at + 1 : key;
	len -= (size_t)(text - key);
	*out = (struct oracle_key){0};
	return len > 0 && *text == '[' ? literal_read(&out->literal, text, len) : read_domain(out->domain, text, len);
}
