/* smtpd/behalf.c: protocol. */
#include "smtpd/behalf.h"

#include <stdlib.h>
#include <string.h>

/* Neither of the two stands inside a transaction. */
static bool may_say(struct smtp_server *s, bool right)
{
	static const unsigned between = 1u << SMTP_FRESH | 1u << SMTP_GREETED;
	if (!right)
		server_refuse(s, SMTP_REFUSED_BEHALF);
	else if (!(between & 1u << s->state))
		server_refuse(s, s->state == SMTP_CHUNKS ? SMTP_REFUSED_IN_CHUNKS : SMTP_REFUSED_NESTED);
	else
		return true;
	return false;
}

void behalf_xclient(struct smtp_server *s, const struct piece *args)
{
	struct xclient x = {.said = 0};
	struct rights rights = s->rights;
	if (!may_say(s, s->rights.xclient))
		return;
	if (!xclient_read(&x, false, args)) {
		server_refuse_what(s, SMTP_REFUSED_BEHALF_SYNTAX, args);
		return;
	}
	enum smtp_refusal why = s->host->named(s->arg, &x, &rights);
	char *helo = xclient_has(&x, XCLIENT_HELO) ? strdup(x.helo) : NULL;
	if (why == 0 && xclient_has(&x, XCLIENT_HELO) && helo == NULL)
		why = SMTP_REFUSED_NO_MEMORY;
	if (why != 0) {
		free(helo);
		server_refuse(s, why);
		return;
	}
	rights.xclient = s->rights.xclient;
	rights.xforward = s->rights.xforward;
	s->rights = rights;
	if (xclient_has(&x, XCLIENT_ADDR))
		s->client = x.client.ip;
	free(s->helo);
	s->helo = helo;
	s->extended = false;
	server_forget_origin(s);
	server_forget(s);
	server_enter(s, SMTP_FRESH);
	server_greet(s);
}

void behalf_xforward(struct smtp_server *s, const struct piece *args)
{
	static const struct xclient nothing;
	if (!may_say(s, s->rights.xforward))
		return;
	struct xclient x = s->forward ? *s->forward : nothing;
	if (!xclient_read(&x, true, args)) {
		server_refuse_what(s, SMTP_REFUSED_BEHALF_SYNTAX, args);
		return;
	}
	if (s->forward == NULL)
		s->forward = malloc(sizeof *s->forward);
	if (s->forward == NULL) {
		server_refuse(s, SMTP_REFUSED_MEMORY);
		return;
	}
	*s->forward = x;
	server_say(s, "250 2.0.0 Ok\r\n");
}
