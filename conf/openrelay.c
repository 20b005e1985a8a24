/* conf/openrelay.c: protocol. */
#include "conf/openrelay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static unsigned shortest(const struct prefix *p)
{
	return p->ip.family == FAMILY_IPV4 ? OPENRELAY_BITS_IPV4 : OPENRELAY_BITS_IPV6;
}

/* A block that contains another sorts before it. */
static int compare(const void *a, const void *b)
{
	const struct prefix *left = a, *right = b;
	int order = ip_compare(&left->ip, &right->ip);
	return order ? order : (int)left->bits - (int)right->bits;
}

static bool contains(const struct prefix *outer, const struct prefix *inner)
{
	return outer->ip.family == inner->ip.family && outer->bits <= inner->bits && prefix_contains(outer, &inner->ip);
}

/* If `a` and `b`, in this order, are the halves of one block, makes that block of `a`. */
static bool join(struct prefix *a, const struct prefix *b)
{
	if (a->bits == 0 || a->bits != b->bits || a->ip.family != b->ip.family || contains(a, b))
		return false;
	struct prefix whole = {.ip = a->ip, .bits = (uint8_t)(a->bits - 1)};
	uint8_t half = (uint8_t)(0x80u >> (whole.bits % 8));
	if ((a->ip.bytes[whole.bits / 8] & half) != 0 || !contains(&whole, b))
		return false;
	*a = whole;
	return true;
}

/* Merges sorted prefixes in place; returns how many are left. */
static size_t merge(struct prefix *items, size_t count)
{
	size_t top = 0;
	for (size_t i = 0; i < count; i++) {
		if (top > 0 && contains(&items[top - 1], &items[i]))
			continue;
		items[top++] = items[i];
		while (top > 1 && join(&items[top - 2], &items[top - 1]))
			top--;
	}
	return top;
}

/* How much of a block of the shortest allowed length `p` is, in 2^-40ths; what is smaller than that is nothing. */
static uint64_t share(const struct prefix *p)
{
	unsigned below = p->bits - shortest(p);
	return below > 40 ? 0 : UINT64_C(1) << (40 - below);
}

int openrelay_check(const struct prefix *clients, size_t count, struct buf *why)
{
	static const struct ip first_mapped = {.family = FAMILY_IPV6, .bytes = {[10] = 0xff, [11] = 0xff}};
	char text[PREFIX_TEXT];
	buf_reset(why);
	struct prefix *items = calloc(count + 1, sizeof *items);
	if (items == NULL)
		return -ENOMEM;
	if (count > 0)
		memcpy(items, clients, count * sizeof *items);
	const struct prefix *mapped = NULL;
	for (size_t i = 0; i < count && mapped == NULL; i++)
		if (clients[i].ip.family == FAMILY_IPV6 && clients[i].bits <= 96 &&
			prefix_contains(&clients[i], &first_mapped))
			mapped = &clients[i];
	qsort(items, count, sizeof *items, compare);
	size_t left = merge(items, count);
	int open = 0;
	uint64_t total[2] = {0};
	for (size_t i = 0; i < left && !open; i++) {
		bool is_ipv6 = items[i].ip.family == FAMILY_IPV6;
		if (items[i].bits < shortest(&items[i])) {
			open = 1;
			buf_printf(why,
				"%s, alone or put together, would make this an open relay; expected no block shorter "
				"than /%u",
				prefix_format(&items[i], text), shortest(&items[i]));
		} else if ((total[is_ipv6] += share(&items[i])) > UINT64_C(1) << 43) {
			open = 1;
			buf_printf(why,
				"more %s addresses in all than %d blocks of /%u hold would make this an open relay; "
				"expected fewer",
				is_ipv6 ? "IPv6" : "IPv4", OPENRELAY_BLOCKS, shortest(&items[i]));
		}
	}
	if (!open && mapped != NULL) {
		open = 1;
		buf_printf(why,
			"%s contains all of IPv4 (::ffff:0:0/96) and would make this an open relay; expected a longer "
			"prefix",
			prefix_format(mapped, text));
	}
	free(items);
	return open;
}

int openrelay_check_speakers(const struct conf *c, struct buf *why)
{
	size_t count = 0, most = c->client_count;
	for (size_t i = 0; i < c->listen_count; i++)
		most += c->listen[i].proxy.count;
	struct prefix *all = calloc(most + 1, sizeof *all);
	if (all == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < c->client_count; i++)
		if (c->client_blocks[i].xclient == CONF_ANSWER_YES)
			all[count++] = c->client_blocks[i].network;
	for (size_t i = 0; i < c->listen_count; i++)
		for (size_t k = 0; k < c->listen[i].proxy.count; k++)
			all[count++] = c->listen[i].proxy.items[k];
	int open = openrelay_check(all, count, why);
	free(all);
	return open;
}
