/* tests/fuzz/netlink.c: datagrams of rtnetlink: whatever stands in them, reading ends, and what is read is an address
 * or a route; what this host could reach with it can be asked and told. Protocol. */
#include "queue/reach/reach.h"
#include "tests/fuzz/fuzz.h"

FUZZ_TARGET(netlink)
{
	struct netlink_reader reader = {.at = in, .left = len};
	struct netlink_item item;
	struct picture p = {.most = 64};
	struct reach *r = reach_new();
	char text[3 * REACH_TEXT];
	int more;
	MUST(r != NULL);
	for (size_t left = len; (more = netlink_next(&reader, &item)) == 1; left = reader.left) {
		MUST(reader.left < left);
		if (item.kind == NETLINK_IS_ADDRESS)
			MUST(item.address.ip.family == FAMILY_IPV4 || item.address.ip.family == FAMILY_IPV6);
		if (item.kind == NETLINK_IS_ROUTE)
			MUST(item.route.to.bits <= (item.route.to.ip.family == FAMILY_IPV4 ? 32 : 128));
		MUST(picture_add(&p, &item) == 0 && p.count <= p.most);
	}
	MUST(more <= 0 && (more == 0) == (reader.left == 0));
	reach_take(r, &p);
	static const char *const asked[] = {"192.0.2.1", "2001:db8::1", "127.0.0.1", "fe80::1", "fd00::1"};
	for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
		struct ip ip;
		ip_parse(&ip, asked[i]);
		bool direct = reach_direct(r, &ip);
		MUST(!direct || i == 2 || reach_has(r, (enum family)ip.family) || p.overflow);
	}
	reach_describe(r, text);
	MUST(memchr(text, 0, sizeof text) != NULL);
	reach_free(r);
	picture_free(&p);
	return 0;
}
