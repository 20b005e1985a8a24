/* queue/mail/idn.c: protocol. */
#include "queue/mail/idn.h"

#include <errno.h>
#include <idn2.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 1024 };

int idn_to_ascii(char *out, size_t size, const char *domain, size_t len)
{
	char name[NAME_MAX_BYTES];
	uint8_t *ascii = NULL;
	if (len == 0 || len >= sizeof name || memchr(domain, 0, len) != NULL)
		return -EINVAL;
	memcpy(name, domain, len);
	name[len] = '\0';
	/* without IDN2_USE_STD3_ASCII_RULES, which drops underscores silently */
	int err = idn2_lookup_u8((const uint8_t *)name, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (err != IDN2_OK)
		return err == IDN2_MALLOC ? -ENOMEM : -EINVAL;
	int n = snprintf(out, size, "%s", (const char *)ascii);
	idn2_free(ascii);
	if (n < 0 || (size_t)n >= size)
		return -EINVAL;
	for (char *c = out; *c != '\0'; c++)
		*c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
	return 0;
}
