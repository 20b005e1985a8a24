/* tests/fuzz/spf.c: an SPF record from anybody: read, expanded, evaluated. Every check ends within its limits, and what
 * it asks for is a name. The bytes are the record; behind the first NUL stand further ones, which every other name has.
 * Protocol. */
#include "dns/name.h"
#include "queue/doctor/spf.h"
#include "tests/fuzz/fuzz.h"

enum { QUESTIONS_MAX = 4096 };

struct zone {
	struct dns_record txt[8], hosts[2];
	struct dns_answer answers[3]; /* TXT of the domain, TXT of the rest, addresses */
	unsigned questions;
};

static const struct dns_answer *look(void *arg, const char *name, enum dns_type type)
{
	struct zone *z = arg;
	MUST(dns_name_valid(name) && ++z->questions < QUESTIONS_MAX);
	if (type == DNS_TXT)
		return &z->answers[strcmp(name, "d.example") != 0];
	return &z->answers[2];
}

/* Strings of at most 255 bytes. */
static void fill(struct dns_record *r, const uint8_t *in, size_t len)
{
	r->data = malloc(len + len / 255 + 1);
	MUST(r->data != NULL);
	for (size_t done = 0; done < len || r->len == 0;) {
		size_t piece = len - done < 255 ? len - done : 255;
		r->data[r->len++] = (uint8_t)piece;
		memcpy(r->data + r->len, in + done, piece);
		r->len += piece;
		done += piece;
	}
}

FUZZ_TARGET(spf)
{
	static const char *const addresses[] = {"192.0.2.3", "2001:db8::cb01"};
	struct zone z = {.questions = 0};
	size_t count = 0;
	while (count < 8) {
		const uint8_t *end = memchr(in, 0, len);
		size_t n = end ? (size_t)(end - in) : len;
		fill(&z.txt[count++], in, n);
		if (end == NULL)
			break;
		in += n + 1;
		len -= n + 1;
	}
	for (unsigned i = 0; i < 2; i++) {
		ip_parse(&z.hosts[i].ip, addresses[i]);
		snprintf(z.hosts[i].name, sizeof z.hosts[i].name, "h%u.example", i);
	}
	z.answers[0] = (struct dns_answer){.status = DNS_OK, .records = z.txt, .count = 1};
	z.answers[1] = (struct dns_answer){
		.status = count > 1 ? DNS_OK : DNS_NXDOMAIN, .records = z.txt + 1, .count = count - 1};
	z.answers[2] = (struct dns_answer){.status = DNS_OK, .records = z.hosts, .count = 2};
	for (unsigned i = 0; i < 2; i++) {
		struct spf_verdict v;
		const struct spf_sender from = {.domain = "d.example", .local = i == 0 ? "strong-bad" : NULL};
		struct ip ip;
		ip_parse(&ip, addresses[i]);
		z.questions = 0;
		spf_check(&v, &from, &ip, look, &z);
		MUST(v.result <= SPF_UNTOLD && v.lookups <= SPF_LOOKUPS_MAX + 1 && v.voids <= SPF_VOIDS_MAX + 1);
		MUST(memchr(v.why, 0, sizeof v.why) != NULL);
	}
	for (size_t i = 0; i < count; i++)
		free(z.txt[i].data);
	return 0;
}
