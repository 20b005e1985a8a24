/* smtpd/admission.c: state. */
#include "smtpd/admission.h"

#include "conf/counter.h"
#include "conf/log.h"

enum census_result admission_enter(struct guest *g, struct census *census, const struct conf *c,
	const struct conf_listen *listen, const struct endpoint *client, bool known)
{
	static const struct ip nobody = {.family = FAMILY_NONE};
	*g = (struct guest){
		.client = *client, .via = *client, .rights = rights_of(c, listen, known ? &client->ip : &nobody)};
	enum census_result result = census_enter(
		census, &client->ip, g->rights.sessions_bits, g->rights.sessions, c->limits.sessions, &g->place);
	if (result == CENSUS_ALL) {
		COUNT(sessions_refused_all);
		LOG_INFO("connection-refused", LF_ENDPOINT("client", client), LF_STR("reason", "limits { sessions }"));
	} else if (result == CENSUS_CLIENT) {
		COUNT(sessions_refused_client);
		LOG_INFO("connection-refused", LF_ENDPOINT("client", client), LF_STR("reason", g->rights.sessions_key));
	}
	return result;
}

enum smtp_refusal admission_refusal(enum census_result result)
{
	return result == CENSUS_ALL ? SMTP_REFUSED_SESSIONS : SMTP_REFUSED_CLIENT_SESSIONS;
}
