/* queue/mail/postmaster.c: protocol. */
#include "queue/mail/postmaster.h"

#include <string.h>

#include "queue/mail/address.h"
#include "queue/mail/xtext.h"

bool postmaster_is_ours(const struct conf *c, const char *address)
{
	static const char local[] = "postmaster@";
	size_t n = sizeof local - 1;
	char plain[ADDRESS_TEXT];
	const char *key = address_unquoted(address, plain);
	return strncasecmp(key, local, n) == 0 && strcasecmp(key + n, c->hostname) == 0;
}

const char *postmaster_for(const struct conf *c, const char *address)
{
	return c->postmaster != NULL && postmaster_is_ours(c, address) ? c->postmaster : address;
}

void postmaster_rewrite(const struct conf *c, struct envelope_rcpt *r, char orcpt[ORCPT_MAX + 1])
{
	const char *to = postmaster_for(c, r->address);
	if (to == r->address)
		return;
	bool given = r->orcpt != NULL && r->orcpt[0] != '\0';
	if (!given && orcpt_encode(orcpt, ORCPT_MAX + 1, r->address, false) == 0)
		r->orcpt = orcpt;
	r->address = to;
}
