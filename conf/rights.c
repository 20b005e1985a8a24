/* conf/rights.c: state. */
#include "conf/rights.h"

/* Yes or no, as a block says it; else as before. */
static bool answer(enum conf_answer said, bool before)
{
	return said == CONF_ANSWER_INHERIT ? before : said == CONF_ANSWER_YES;
}

static void apply_words(struct rights *r, enum bare_newline bare, enum early_talkers early)
{
	r->normalize = bare == BARE_INHERIT ? r->normalize : bare == BARE_NORMALIZE;
	r->early = early == EARLY_INHERIT ? r->early : early == EARLY_ALLOW;
}

static void apply_client(struct rights *r, const struct conf_client *block)
{
	apply_words(r, block->bare_newline, block->early_talkers);
	r->xclient = answer(block->xclient, r->xclient);
	r->xforward = answer(block->xforward, r->xforward);
	r->deliver_by = answer(block->deliver_by, r->deliver_by);
	r->future_release = answer(block->future_release, r->future_release);
	r->priority = answer(block->priority, r->priority);
	if (block->sessions == CONF_INHERIT)
		return;
	r->sessions = block->sessions;
	r->sessions_key = "client { sessions }";
	/* a longer network than a /64 is told from its neighbours on purpose: its limit is that of each address */
	r->sessions_bits = block->network.ip.family == FAMILY_IPV6 && block->network.bits > 64 ? 128 : 64;
}

struct rights rights_of(const struct conf *c, const struct conf_listen *listen, const struct ip *client)
{
	bool named = client->family != FAMILY_NONE;
	struct rights r = {.normalize = c->normalize, .early = c->early};
	for (size_t i = 0; named && i < c->clients.count && !r.relay; i++)
		r.relay = prefix_contains(&c->clients.items[i], client);
	r.sessions = r.relay ? c->limits.sessions_per_client : c->limits.sessions_per_other;
	r.sessions_bits = 64;
	r.sessions_key = r.relay ? "limits { sessions_per_client }" : "limits { sessions_per_other }";
	if (listen != NULL)
		apply_words(&r, listen->bare_newline, listen->early_talkers);
	/* from the widest network to the longest: what is said last holds */
	for (size_t i = 0; named && i < c->client_count; i++)
		if (prefix_contains(&c->client_blocks[i].network, client))
			apply_client(&r, &c->client_blocks[i]);
	return r;
}

const struct conf_listen *rights_listen(const struct conf *c, const struct endpoint *at)
{
	for (size_t i = 0; i < c->listen_count; i++)
		if (endpoint_equal(&c->listen[i].at, at))
			return &c->listen[i];
	return NULL;
}
