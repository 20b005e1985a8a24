/* tests/fuzz/dns.c: answers of DNS servers about example.org. Byte 0 is the type asked for, byte 1 the most records.
 * Protocol. */
#include "dns/answer.h"
#include "tests/fuzz/fuzz.h"

static const enum dns_type types[] = {DNS_A, DNS_AAAA, DNS_MX, DNS_CNAME, DNS_PTR, DNS_TXT, DNS_TLSA};

static void check_record(const struct dns_record *r, enum dns_type type)
{
	bool named = type == DNS_MX || type == DNS_CNAME || type == DNS_PTR;
	MUST(memchr(r->name, 0, sizeof r->name) != NULL && (named || r->name[0] == 0));
	MUST(fuzz_is_printable(r->name)); /* all else is escaped */
	for (const char *c = r->name; *c != 0; c++)
		MUST(*c < 'A' || *c > 'Z');
	if (type == DNS_A)
		MUST(r->ip.family == FAMILY_IPV4);
	else if (type == DNS_AAAA)
		MUST(r->ip.family == FAMILY_IPV6 || r->ip.family == FAMILY_IPV4); /* a mapped one */
	else
		MUST(r->ip.family == FAMILY_NONE);
	MUST((type == DNS_TXT || type == DNS_TLSA) == (r->data != NULL));
	for (size_t i = 0; i < r->len; i++) { /* ASan looks on */
		volatile uint8_t seen = r->data[i];
		(void)seen;
	}
}

FUZZ_TARGET(dns)
{
	if (len < 2)
		return 0;
	enum dns_type type = types[in[0] % (sizeof types / sizeof types[0])];
	size_t most = 1 + in[1] % 8;
	struct dns_answer a;
	/* just so many bytes, for ASan to watch */
	uint8_t *packet = malloc(len - 2 ? len - 2 : 1);
	MUST(packet != NULL);
	memcpy(packet, in + 2, len - 2);
	int err = dns_answer_parse(&a, packet, len - 2, "example.org", type, most);
	free(packet);
	MUST(err <= 0);
	if (err != 0)
		return 0;
	MUST(a.status < DNS_TIMEOUT && (a.status == DNS_OK) == (a.count > 0));
	MUST(a.count <= most && a.ttl <= INT32_MAX);
	MUST(memchr(a.detail, 0, sizeof a.detail) != NULL);
	for (size_t i = 0; i < a.count; i++)
		check_record(&a.records[i], type);
	dns_answer_fini(&a);
	return 0;
}
