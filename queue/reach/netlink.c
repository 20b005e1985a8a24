/* queue/reach/netlink.c: protocol. */
#include "queue/reach/netlink.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

const int netlink_groups[NETLINK_GROUPS] = {
	RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE};

/* ---- attributes ---- */

struct attribute {
	uint16_t type;
	const uint8_t *data;
	size_t len;
};

/* Takes the next attribute off the front. False: none is left, or it is cut. */
static bool next_attribute(const uint8_t **at, size_t *left, struct attribute *out)
{
	struct rtattr head;
	if (*left < sizeof head)
		return false;
	memcpy(&head, *at, sizeof head);
	if (head.rta_len < sizeof head || head.rta_len > *left)
		return false;
	*out = (struct attribute){
		.type = head.rta_type & NLA_TYPE_MASK, .data = *at + sizeof head, .len = head.rta_len - sizeof head};
	size_t step = RTA_ALIGN(head.rta_len);
	step = step < *left ? step : *left;
	*at += step;
	*left -= step;
	return true;
}

static uint32_t number_of(const struct attribute *a, uint32_t otherwise)
{
	uint32_t n = otherwise;
	if (a->len >= sizeof n)
		memcpy(&n, a->data, sizeof n);
	return n;
}

/* An address of the family; longer or shorter ones are none. */
static bool address_of(const struct attribute *a, enum family family, struct ip *out)
{
	if (a->len != (family == FAMILY_IPV4 ? 4u : 16u))
		return false;
	*out = (struct ip){.family = (uint8_t)family};
	memcpy(out->bytes, a->data, a->len);
	return true;
}

static enum family family_of(uint8_t af)
{
	return af == AF_INET ? FAMILY_IPV4 : af == AF_INET6 ? FAMILY_IPV6 : FAMILY_NONE;
}

/* ---- messages ---- */

static int read_address(const uint8_t *at, size_t left, struct netlink_item *out)
{
	struct ifaddrmsg head;
	struct attribute a;
	if (left < sizeof head)
		return -EBADMSG;
	memcpy(&head, at, sizeof head);
	enum family family = family_of(head.ifa_family);
	if (family == FAMILY_NONE)
		return 0;
	at += NLMSG_ALIGN(sizeof head);
	left -= NLMSG_ALIGN(sizeof head);
	uint32_t flags = head.ifa_flags;
	bool local = false;
	while (next_attribute(&at, &left, &a)) {
		if (a.type == IFA_FLAGS)
			flags = number_of(&a, flags);
		else if (a.type == IFA_LOCAL) /* of two ends the own one */
			local = address_of(&a, family, &out->address.ip) || local;
		else if (a.type == IFA_ADDRESS && !local)
			address_of(&a, family, &out->address.ip);
	}
	if (out->address.ip.family == FAMILY_NONE)
		return 0;
	bool tentative = (flags & IFA_F_TENTATIVE) && !(flags & IFA_F_OPTIMISTIC);
	out->address.usable =
		head.ifa_scope < RT_SCOPE_LINK && !tentative && !(flags & (IFA_F_DADFAILED | IFA_F_DEPRECATED));
	out->kind = NETLINK_IS_ADDRESS;
	return 0;
}

/* Does any of several next hops live? */
static bool any_alive(const struct attribute *a)
{
	const uint8_t *at = a->data;
	size_t left = a->len;
	struct rtnexthop hop;
	while (left >= sizeof hop) {
		memcpy(&hop, at, sizeof hop);
		if (hop.rtnh_len < sizeof hop || hop.rtnh_len > left)
			return false;
		if (!(hop.rtnh_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)))
			return true;
		size_t step = RTNH_ALIGN(hop.rtnh_len);
		step = step < left ? step : left;
		at += step;
		left -= step;
	}
	return false;
}

static void clear_host_bits(struct prefix *p)
{
	for (unsigned i = 0; i < sizeof p->ip.bytes; i++) {
		unsigned kept = p->bits > i * 8 ? p->bits - i * 8 : 0;
		if (kept < 8)
			p->ip.bytes[i] &= (uint8_t)(0xff00u >> kept);
	}
}

static int read_route(const uint8_t *at, size_t left, struct netlink_item *out)
{
	struct rtmsg head;
	struct attribute a;
	if (left < sizeof head)
		return -EBADMSG;
	memcpy(&head, at, sizeof head);
	enum family family = family_of(head.rtm_family);
	bool leads = head.rtm_type == RTN_UNICAST || head.rtm_type == RTN_LOCAL;
	bool refuses = head.rtm_type == RTN_UNREACHABLE || head.rtm_type == RTN_BLACKHOLE ||
		       head.rtm_type == RTN_PROHIBIT || head.rtm_type == RTN_THROW;
	if (family == FAMILY_NONE || (head.rtm_flags & RTM_F_CLONED) || (!leads && !refuses))
		return 0;
	if (head.rtm_dst_len > (family == FAMILY_IPV4 ? 32 : 128))
		return -EBADMSG;
	at += NLMSG_ALIGN(sizeof head);
	left -= NLMSG_ALIGN(sizeof head);
	bool dead = head.rtm_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN), to = head.rtm_dst_len == 0;
	struct netlink_route *r = &out->route;
	r->to = (struct prefix){.ip.family = (uint8_t)family, .bits = head.rtm_dst_len};
	r->table = head.rtm_table;
	while (next_attribute(&at, &left, &a)) {
		if (a.type == RTA_DST)
			to = address_of(&a, family, &r->to.ip) || to;
		else if (a.type == RTA_TABLE)
			r->table = number_of(&a, r->table);
		else if (a.type == RTA_PRIORITY)
			r->metric = number_of(&a, 0);
		else if (a.type == RTA_MULTIPATH)
			dead = !any_alive(&a);
	}
	if (!to)
		return -EBADMSG;
	clear_host_bits(&r->to);
	r->leads = leads && !dead;
	out->kind = NETLINK_IS_ROUTE;
	return 0;
}

/* The code behind NLMSG_ERROR and NLMSG_DONE; 0 where none stands. */
static int code_of(const uint8_t *at, size_t left)
{
	int32_t code = 0;
	if (left >= sizeof code)
		memcpy(&code, at, sizeof code);
	return code < 0 && code > -4096 ? code : 0;
}

static int read_message(uint16_t type, const uint8_t *at, size_t left, struct netlink_item *out)
{
	switch (type) {
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return read_address(at, left, out);
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return read_route(at, left, out);
	case RTM_NEWLINK:
	case RTM_DELLINK:
		out->kind = NETLINK_IS_LINK;
		return 0;
	case NLMSG_DONE:
		out->kind = NETLINK_IS_DONE;
		out->error = code_of(at, left);
		return 0;
	case NLMSG_ERROR:
	case NLMSG_OVERRUN:
		out->kind = NETLINK_IS_ERROR;
		out->error = type == NLMSG_ERROR ? code_of(at, left) : -ENOBUFS;
		return 0;
	default:
		return 0;
	}
}

int netlink_next(struct netlink_reader *r, struct netlink_item *out)
{
	struct nlmsghdr head;
	if (r->left == 0)
		return 0;
	*out = (struct netlink_item){0};
	if (r->left < sizeof head)
		return -EBADMSG;
	memcpy(&head, r->at, sizeof head);
	if (head.nlmsg_len < sizeof head || head.nlmsg_len > r->left)
		return -EBADMSG;
	out->sequence = head.nlmsg_seq;
	out->torn = head.nlmsg_flags & NLM_F_DUMP_INTR;
	int err = read_message(head.nlmsg_type, r->at + sizeof head, head.nlmsg_len - sizeof head, out);
	size_t step = NLMSG_ALIGN((size_t)head.nlmsg_len);
	step = step < r->left ? step : r->left;
	r->at += step;
	r->left -= step;
	return err != 0 ? err : 1;
}

size_t netlink_ask(uint8_t out[NETLINK_REQUEST], enum netlink_dump what, uint32_t sequence)
{
	bool routes = what != DUMP_ADDRESSES;
	size_t body = routes ? sizeof(struct rtmsg) : sizeof(struct ifaddrmsg);
	struct nlmsghdr head = {
		.nlmsg_len = (uint32_t)(sizeof head + body),
		.nlmsg_type = routes ? RTM_GETROUTE : RTM_GETADDR,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		.nlmsg_seq = sequence,
	};
	memset(out, 0, NETLINK_REQUEST);
	memcpy(out, &head, sizeof head);
	/* both bodies begin with the family; AF_UNSPEC: all */
	out[sizeof head] = what == DUMP_IPV4_ROUTES ? AF_INET : what == DUMP_IPV6_ROUTES ? AF_INET6 : AF_UNSPEC;
	return sizeof head + body;
}
