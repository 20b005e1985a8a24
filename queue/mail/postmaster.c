/* queue/mail/postmaster.c: protocol. */
#include "queue/mail/postmaster.h"

#include <string.h>

#include "queue/mail/xtext.h"

const char *postmaster_for(const struct conf *c, const char *address)
{
	static const char local[] = "postmaster@";
	size_t n = sizeof local - 1;
	if (c->postmaster == NULL || strncasecmp(address, local, n) != 0 || strcasecmp(address + n, c->hostname) != 0)
		return address;
	return c->postmaster;
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
