/* conf/titled.c: state. */
#include "conf/titled.h"

#include <stdlib.h>
#include <string.h>

/* ---- listen ---- */

static int compare_listens(const void *left, const void *right)
{
	const struct conf_listen *a = left, *b = right;
	int order = ip_compare(&a->at.ip, &b->at.ip);
	return order ? order : (a->at.port > b->at.port) - (a->at.port < b->at.port);
}

static int write_listen(const void *item, struct buf *out)
{
	char text[ENDPOINT_TEXT];
	return buf_append_str(out, endpoint_format(&((const struct conf_listen *)item)->at, text));
}

/* ---- client ---- */

/* As of an IPv6 prefix: IPv4 lies within ::ffff:0:0/96. */
static int length_of(const struct prefix *p)
{
	return p->bits + (p->ip.family == FAMILY_IPV4 ? 96 : 0);
}

static int compare_clients(const void *left, const void *right)
{
	const struct prefix *a = &((const struct conf_client *)left)->network;
	const struct prefix *b = &((const struct conf_client *)right)->network;
	int order = length_of(a) - length_of(b);
	return order ? order : ip_compare(&a->ip, &b->ip);
}

static int write_client(const void *item, struct buf *out)
{
	char text[PREFIX_TEXT];
	return buf_append_str(out, prefix_format(&((const struct conf_client *)item)->network, text));
}

/* ---- route ---- */

static int compare_routes(const void *left, const void *right)
{
	return strcmp(((const struct conf_route *)left)->pattern, ((const struct conf_route *)right)->pattern);
}

static int write_route(const void *item, struct buf *out)
{
	return buf_append_str(out, ((const struct conf_route *)item)->pattern);
}

static void free_route(void *item)
{
	free(((struct conf_route *)item)->pattern);
}

/* ---- oracle ---- */

static int compare_oracles(const void *left, const void *right)
{
	const struct conf_oracle *a = left, *b = right;
	if (a->path != NULL || b->path != NULL)
		return a->path == NULL ? -1 : b->path == NULL ? 1 : strcmp(a->path, b->path);
	int order = ip_compare(&a->at.ip, &b->at.ip);
	return order ? order : (a->at.port > b->at.port) - (a->at.port < b->at.port);
}

static int write_oracle(const void *item, struct buf *out)
{
	const struct conf_oracle *o = item;
	char text[ENDPOINT_TEXT];
	return buf_append_str(out, o->path != NULL ? o->path : endpoint_format(&o->at, text));
}

static void free_oracle(void *item)
{
	free(((struct conf_oracle *)item)->path);
}

/* ---- pool, identity, sender ---- */

static int compare_pools(const void *left, const void *right)
{
	return strcmp(((const struct conf_pool *)left)->name, ((const struct conf_pool *)right)->name);
}

static int write_pool(const void *item, struct buf *out)
{
	return buf_append_str(out, ((const struct conf_pool *)item)->name);
}

static void free_pool(void *item)
{
	free(((struct conf_pool *)item)->name);
}

static int compare_identities(const void *left, const void *right)
{
	return ip_compare(&((const struct conf_identity *)left)->at, &((const struct conf_identity *)right)->at);
}

static int write_identity(const void *item, struct buf *out)
{
	char text[IP_TEXT];
	return buf_append_str(out, ip_format(&((const struct conf_identity *)item)->at, text));
}

static int compare_senders(const void *left, const void *right)
{
	return strcmp(((const struct conf_sender *)left)->pattern, ((const struct conf_sender *)right)->pattern);
}

static int write_sender(const void *item, struct buf *out)
{
	return buf_append_str(out, ((const struct conf_sender *)item)->pattern);
}

static void free_sender(void *item)
{
	free(((struct conf_sender *)item)->pattern);
}

/* ---- refusal ---- */

static int compare_refusals(const void *left, const void *right)
{
	return strcmp(((const struct conf_refusal *)left)->name, ((const struct conf_refusal *)right)->name);
}

static int write_refusal(const void *item, struct buf *out)
{
	return buf_append_str(out, ((const struct conf_refusal *)item)->name);
}

static void free_refusal(void *item)
{
	free(((struct conf_refusal *)item)->name);
}

/* ---- all of them ---- */

const struct conf_titled conf_titled[] = {
	{
		.block = "listen",
		.many = "listeners",
		.most = CONF_LISTEN_MAX,
		.size = sizeof(struct conf_listen),
		.items = offsetof(struct conf, listen),
		.count = offsetof(struct conf, listen_count),
		.compare = compare_listens,
		.write_title = write_listen,
	},
	{
		.block = "client",
		.many = "client networks",
		.most = CONF_CLIENTS_MAX,
		.size = sizeof(struct conf_client),
		.items = offsetof(struct conf, client_blocks),
		.count = offsetof(struct conf, client_count),
		.sorted = true,
		.compare = compare_clients,
		.write_title = write_client,
	},
	{
		.block = "pool",
		.many = "pools",
		.most = CONF_POOLS_MAX,
		.size = sizeof(struct conf_pool),
		.items = offsetof(struct conf, pools),
		.count = offsetof(struct conf, pool_count),
		.compare = compare_pools,
		.write_title = write_pool,
		.free_title = free_pool,
	},
	{
		.block = "identity",
		.many = "identities",
		.most = CONF_IDENTITIES_MAX,
		.size = sizeof(struct conf_identity),
		.items = offsetof(struct conf, identities),
		.count = offsetof(struct conf, identity_count),
		.compare = compare_identities,
		.write_title = write_identity,
	},
	{
		.block = "sender",
		.many = "senders",
		.most = CONF_SENDERS_MAX,
		.size = sizeof(struct conf_sender),
		.items = offsetof(struct conf, senders),
		.count = offsetof(struct conf, sender_count),
		.sorted = true,
		.compare = compare_senders,
		.write_title = write_sender,
		.free_title = free_sender,
	},
	{
		.block = "route",
		.many = "routes",
		.most = CONF_ROUTES_MAX,
		.size = sizeof(struct conf_route),
		.items = offsetof(struct conf, routes),
		.count = offsetof(struct conf, route_count),
		.sorted = true,
		.compare = compare_routes,
		.write_title = write_route,
		.free_title = free_route,
	},
	{
		.block = "oracle",
		.many = "oracles",
		.most = CONF_ORACLES_MAX,
		.size = sizeof(struct conf_oracle),
		.items = offsetof(struct conf, oracles),
		.count = offsetof(struct conf, oracle_count),
		.compare = compare_oracles,
		.write_title = write_oracle,
		.free_title = free_oracle,
	},
	{
		.block = "refusal",
		.many = "rows of refusals",
		.most = CONF_REFUSALS_MAX,
		.size = sizeof(struct conf_refusal),
		.items = offsetof(struct conf, refusals),
		.count = offsetof(struct conf, refusal_count),
		.compare = compare_refusals,
		.write_title = write_refusal,
		.free_title = free_refusal,
	},
};
const size_t conf_titled_count = sizeof conf_titled / sizeof conf_titled[0];

_Static_assert(offsetof(struct conf_listen, origin) == 0, "the origin comes first");
_Static_assert(offsetof(struct conf_client, origin) == 0, "the origin comes first");
_Static_assert(offsetof(struct conf_route, origin) == 0, "the origin comes first");
_Static_assert(offsetof(struct conf_oracle, origin) == 0, "the origin comes first");
_Static_assert(offsetof(struct conf_pool, origin) == 0, "the origin comes first");
_Static_assert(offsetof(struct conf_identity, origin) == 0, "the origin comes first");
_Static_assert(offsetof(struct conf_sender, origin) == 0, "the origin comes first");
_Static_assert(offsetof(struct conf_refusal, origin) == 0, "the origin comes first");

const struct conf_titled *titled_find(const char *block)
{
	for (size_t i = 0; i < conf_titled_count; i++)
		if (strcmp(conf_titled[i].block, block) == 0)
			return &conf_titled[i];
	return NULL;
}

size_t titled_count(const struct conf_titled *t, const struct conf *c)
{
	size_t count;
	memcpy(&count, (const char *)c + t->count, sizeof count);
	return count;
}

void *titled_item(const struct conf_titled *t, const struct conf *c, size_t i)
{
	char *items; /* the member is a pointer to another type: read by its bytes */
	memcpy(&items, (const char *)c + t->items, sizeof items);
	return items ? items + i * t->size : NULL;
}

const struct conf_origin *titled_origin(const struct conf_titled *t, const struct conf *c, size_t i)
{
	return titled_item(t, c, i);
}

void titled_set(const struct conf_titled *t, struct conf *c, void *items, size_t count)
{
	memcpy((char *)c + t->items, &items, sizeof items);
	memcpy((char *)c + t->count, &count, sizeof count);
}
