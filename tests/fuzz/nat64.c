/* tests/fuzz/nat64.c: what a resolver says of ipv4only.arpa: AAAA records of 16 bytes each. Protocol. */
#include "dns/nat64.h"
#include "tests/fuzz/fuzz.h"

enum { RECORDS_MAX = 100 };

static bool is_known(const struct ip *ip)
{
	static const uint8_t start[3] = {192, 0, 0};
	return ip->family == FAMILY_IPV4 && memcmp(ip->bytes, start, 3) == 0 &&
	       (ip->bytes[3] == 170 || ip->bytes[3] == 171);
}

static void check_prefix(const struct nat64_prefix *p, const struct dns_answer *a)
{
	struct nat64_prefix again;
	struct prefix plain = {.ip = p->ip, .bits = (uint8_t)p->bits};
	struct ip ipv4 = {FAMILY_IPV4, {8, 8, 4, 4}}, ipv6, back;
	MUST(p->bits <= 96 && nat64_prefix_check(&plain, &again) == 0 && nat64_prefix_equal(p, &again));
	MUST(nat64_synthesise(p, &ipv4, &ipv6) == 0);
	MUST(nat64_extract(p, &ipv6, &back) == 0 && ip_equal(&ipv4, &back));
	/* some record says it */
	for (size_t i = 0; i < a->count; i++)
		if (nat64_extract(p, &a->records[i].ip, &back) == 0 && is_known(&back))
			return;
	MUST(false);
}

FUZZ_TARGET(nat64)
{
	struct nat64_prefix found[NAT64_PREFIXES_MAX];
	static struct dns_record records[RECORDS_MAX];
	struct dns_answer a = {.status = DNS_OK, .records = records};
	size_t left_out;
	for (; a.count < RECORDS_MAX && len >= 16; in += 16, len -= 16)
		records[a.count++].ip = ip_from_bytes(FAMILY_IPV6, in);
	size_t count = nat64_discover(&a, found, &left_out);
	MUST(count <= NAT64_PREFIXES_MAX && count + left_out <= a.count);
	MUST(left_out == 0 || count == NAT64_PREFIXES_MAX);
	for (size_t i = 0; i < count; i++) {
		check_prefix(&found[i], &a);
		for (size_t k = 0; k < i; k++)
			MUST(!nat64_prefix_equal(&found[i], &found[k]));
	}
	return 0;
}
