/* conf/rights.c: state. */
#include "conf/rights.h"

/* The value of a `client` key: that of the longest network which gives it; 0 (inherit): none does. */
static unsigned value_for(const struct conf *c, const struct ip *client, size_t member)
{
	unsigned found = 0;
	int bits = -1;
	for (size_t i = 0; i < c->client_count; i++) {
		const struct conf_client *block = &c->client_blocks[i];
		unsigned value = *(const unsigned *)(const void *)((const char *)block + member);
		if (value == 0 || (int)block->network.bits <= bits || !prefix_contains(&block->network, client))
			continue;
		found = value;
		bits = block->network.bits;
	}
	return found;
}

static bool is_yes(const struct conf *c, const struct ip *client, size_t member)
{
	return value_for(c, client, member) == CONF_ANSWER_YES;
}

struct rights rights_of(const struct conf *c, const struct conf_listen *listen, const struct ip *client)
{
	struct rights r = {.relay = false};
	for (size_t i = 0; i < c->clients.count && !r.relay; i++)
		r.relay = prefix_contains(&c->clients.items[i], client);
	unsigned bare = value_for(c, client, offsetof(struct conf_client, bare_newline));
	if (bare == BARE_INHERIT && listen != NULL)
		bare = listen->bare_newline;
	r.normalize = bare == BARE_INHERIT ? c->normalize : bare == BARE_NORMALIZE;
	r.xclient = is_yes(c, client, offsetof(struct conf_client, xclient));
	r.xforward = is_yes(c, client, offsetof(struct conf_client, xforward));
	r.deliver_by = is_yes(c, client, offsetof(struct conf_client, deliver_by));
	r.future_release = is_yes(c, client, offsetof(struct conf_client, future_release));
	r.priority = is_yes(c, client, offsetof(struct conf_client, priority));
	return r;
}

const struct conf_listen *rights_listen(const struct conf *c, const struct endpoint *at)
{
	for (size_t i = 0; i < c->listen_count; i++)
		if (endpoint_equal(&c->listen[i].at, at))
			return &c->listen[i];
	return NULL;
}
