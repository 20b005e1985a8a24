/* dns/answer.c: protocol. */
#include "dns/answer.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Longer chains are loops or jokes; resolvers follow 8 to 16. */
enum { CHAIN_MAX = 16 };

/* Stands for a name whose escaped text is too long: never valid, and not the root. */
static const char unspeakable[] = "\\";

static const char *rcode_text(int rcode, char out[24])
{
	static const char *const names[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};
	if (rcode < (int)(sizeof names / sizeof names[0]))
		return names[rcode];
	snprintf(out, 24, "rcode %d", rcode);
	return out;
}

/* RFC 2181 §8: a TTL with the highest bit set is 0. */
static void shorten(uint32_t *ttl, uint32_t other)
{
	if (other > INT32_MAX)
		other = 0;
	if (other < *ttl)
		*ttl = other;
}

/* Reads the name that fills `len` bytes of rdata exactly. */
static int read_name(char out[DNS_NAME_MAX], const ns_msg *m, const uint8_t *at, size_t len)
{
	char text[NS_MAXDNAME];
	int used = ns_name_uncompress(ns_msg_base(*m), ns_msg_end(*m), at, text, sizeof text);
	if (used < 0 || (size_t)used != len)
		return -EBADMSG;
	size_t n = strlen(text);
	if (strcmp(text, ".") == 0)
		n = 0;
	const char *from = n < DNS_NAME_MAX ? text : unspeakable;
	if (from == unspeakable)
		n = sizeof unspeakable - 1;
	for (size_t i = 0; i < n; i++)
		out[i] = from[i] >= 'A' && from[i] <= 'Z' ? (char)(from[i] - 'A' + 'a') : from[i];
	out[n] = 0;
	return 0;
}

/* Reads the rdata of a record of the type wanted. `out->data` is allocated for the types that keep their rdata. */
static int read_record(struct dns_record *out, const ns_msg *m, const ns_rr *rr)
{
	const uint8_t *at = ns_rr_rdata(*rr);
	size_t len = ns_rr_rdlen(*rr);
	*out = (struct dns_record){0};
	switch ((enum dns_type)ns_rr_type(*rr)) {
	case DNS_A:
		if (len != 4)
			return -EBADMSG;
		out->ip.family = FAMILY_IPV4;
		memcpy(out->ip.bytes, at, 4);
		return 0;
	case DNS_AAAA: {
		/* by way of a sockaddr, so that a mapped address becomes the IPv4 address that it is */
		struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6};
		struct endpoint e;
		if (len != 16)
			return -EBADMSG;
		memcpy(&sin6.sin6_addr, at, 16);
		if (endpoint_from_sockaddr(&e, (const struct sockaddr *)&sin6) != 0)
			return -EBADMSG;
		out->ip = e.ip;
		return 0;
	}
	case DNS_MX:
		if (len < 3)
			return -EBADMSG;
		out->preference = (uint16_t)(at[0] << 8 | at[1]);
		return read_name(out->name, m, at + 2, len - 2);
	case DNS_CNAME:
	case DNS_PTR:
		return read_name(out->name, m, at, len);
	case DNS_TXT:
	case DNS_TLSA:
		out->data = malloc(len ? len : 1);
		if (out->data == NULL)
			return -ENOMEM;
		memcpy(out->data, at, len);
		out->len = len;
		return 0;
	}
	return -EBADMSG;
}

static bool is_of(const ns_rr *rr, const char *owner, enum dns_type type)
{
	return ns_rr_class(*rr) == ns_c_in && ns_rr_type(*rr) == (unsigned)type &&
	       strcasecmp(ns_rr_name(*rr), owner) == 0;
}

/* How many records of `owner` have the type, and where its CNAME leads to ("" if it has none). */
static int survey(ns_msg *m, const char *owner, enum dns_type type, size_t *matches, char cname[DNS_NAME_MAX],
	uint32_t *cname_ttl)
{
	*matches = 0;
	cname[0] = 0;
	for (int i = 0; i < ns_msg_count(*m, ns_s_an); i++) {
		ns_rr rr;
		if (ns_parserr(m, ns_s_an, i, &rr) != 0)
			return -EBADMSG;
		if (is_of(&rr, owner, type)) {
			++*matches;
		} else if (cname[0] == 0 && is_of(&rr, owner, DNS_CNAME)) {
			if (read_name(cname, m, ns_rr_rdata(rr), ns_rr_rdlen(rr)) != 0 || cname[0] == 0)
				return -EBADMSG;
			*cname_ttl = ns_rr_ttl(rr);
		}
	}
	return 0;
}

/* Past `most`, an MX of a better preference takes the place of the worst; of all other types the first ones stay. */
static void keep(struct dns_answer *out, struct dns_record *fresh, size_t most)
{
	if (out->count == most) {
		size_t worst = 0;
		for (size_t i = 1; i < out->count; i++)
			if (out->records[i].preference >= out->records[worst].preference)
				worst = i;
		if (fresh->preference >= out->records[worst].preference) {
			free(fresh->data);
			return;
		}
		free(out->records[worst].data);
		memmove(&out->records[worst], &out->records[worst + 1],
			(out->count - worst - 1) * sizeof out->records[0]);
		out->count--;
	}
	out->records[out->count++] = *fresh;
}

static int collect(
	struct dns_answer *out, ns_msg *m, const char *owner, enum dns_type type, size_t matches, size_t most)
{
	size_t room = matches < most ? matches : most;
	out->records = calloc(room ? room : 1, sizeof out->records[0]);
	if (out->records == NULL)
		return -ENOMEM;
	for (int i = 0; room != 0 && i < ns_msg_count(*m, ns_s_an); i++) {
		ns_rr rr;
		if (ns_parserr(m, ns_s_an, i, &rr) != 0)
			return -EBADMSG;
		if (!is_of(&rr, owner, type))
			continue;
		struct dns_record fresh;
		int err = read_record(&fresh, m, &rr);
		if (err != 0)
			return err;
		shorten(&out->ttl, ns_rr_ttl(rr));
		keep(out, &fresh, room);
	}
	return 0;
}

/* RFC 2308 §5: a negative answer lives for the lesser of the SOA's TTL and its MINIMUM; without SOA not at all. */
static int read_soa(struct dns_answer *out, ns_msg *m, bool *found)
{
	*found = false;
	for (int i = 0; i < ns_msg_count(*m, ns_s_ns); i++) {
		ns_rr rr;
		if (ns_parserr(m, ns_s_ns, i, &rr) != 0)
			return -EBADMSG;
		if (ns_rr_type(rr) != ns_t_soa || ns_rr_class(rr) != ns_c_in)
			continue;
		const uint8_t *at = ns_rr_rdata(rr), *end = at + ns_rr_rdlen(rr);
		if (ns_name_skip(&at, end) != 0 || ns_name_skip(&at, end) != 0 || end - at != 20)
			return -EBADMSG;
		shorten(&out->ttl, ns_rr_ttl(rr));
		shorten(&out->ttl, (uint32_t)ns_get32(at + 16));
		*found = true;
		return 0;
	}
	out->ttl = 0;
	return 0;
}

/* RFC 6891 §6.1.3: the upper bits of the rcode stand in the OPT record. */
static int full_rcode(ns_msg *m, int *rcode)
{
	*rcode = (int)ns_msg_getflag(*m, ns_f_rcode);
	for (int i = 0; i < ns_msg_count(*m, ns_s_ar); i++) {
		ns_rr rr;
		if (ns_parserr(m, ns_s_ar, i, &rr) != 0)
			return -EBADMSG;
		if (ns_rr_type(rr) == ns_t_opt) {
			*rcode |= (int)(ns_rr_ttl(rr) >> 24) << 4;
			return 0;
		}
	}
	return 0;
}

static bool answers_question(ns_msg *m, const char *name, enum dns_type type)
{
	ns_rr question;
	return ns_msg_getflag(*m, ns_f_qr) && !ns_msg_getflag(*m, ns_f_tc) && ns_msg_getflag(*m, ns_f_opcode) == 0 &&
	       ns_msg_count(*m, ns_s_qd) == 1 && ns_parserr(m, ns_s_qd, 0, &question) == 0 &&
	       is_of(&question, name, type);
}

static int follow(struct dns_answer *out, ns_msg *m, const char *name, enum dns_type type, size_t most, int rcode)
{
	char owner[DNS_NAME_MAX], cname[DNS_NAME_MAX];
	if (snprintf(owner, sizeof owner, "%s", name) >= (int)sizeof owner)
		return -EBADMSG;
	out->ttl = INT32_MAX;
	for (unsigned links = 0;; links++) {
		size_t matches;
		uint32_t cname_ttl = 0;
		if (links > CHAIN_MAX || survey(m, owner, type, &matches, cname, &cname_ttl) != 0)
			return -EBADMSG;
		if (matches != 0) {
			out->status = DNS_OK;
			return collect(out, m, owner, type, matches, most);
		}
		if (cname[0] == 0)
			break;
		shorten(&out->ttl, cname_ttl);
		memcpy(owner, cname, sizeof owner);
	}
	bool soa;
	int err = read_soa(out, m, &soa);
	if (err != 0)
		return err;
	out->status = rcode == ns_r_nxdomain ? DNS_NXDOMAIN : DNS_NODATA;
	if (out->status == DNS_NODATA && !soa && !ns_msg_getflag(*m, ns_f_ra)) {
		/* a referral, or a chain that leads out of an authoritative server's zones: it says nothing of the
		 * name */
		out->status = DNS_SERVFAIL;
		snprintf(out->detail, sizeof out->detail, "incomplete answer without recursion");
	}
	return 0;
}

int dns_answer_parse(
	struct dns_answer *out, const uint8_t *packet, size_t len, const char *name, enum dns_type type, size_t most)
{
	ns_msg m;
	int rcode;
	if (len > NS_MAXMSG || ns_initparse(packet, (int)len, &m) != 0 || !answers_question(&m, name, type) ||
		full_rcode(&m, &rcode) != 0)
		return -EBADMSG;
	struct dns_answer a = {.status = DNS_SERVFAIL, .secure = ns_msg_getflag(m, ns_f_ad)};
	char text[24];
	if (rcode != ns_r_noerror)
		snprintf(a.detail, sizeof a.detail, "%s", rcode_text(rcode, text));
	if (rcode == ns_r_noerror || rcode == ns_r_nxdomain) {
		int err = follow(&a, &m, name, type, most, rcode);
		if (err != 0) {
			dns_answer_fini(&a);
			return err;
		}
	}
	*out = a;
	return 0;
}

void dns_answer_fini(struct dns_answer *a)
{
	for (size_t i = 0; i < a->count; i++)
		free(a->records[i].data);
	free(a->records);
	*a = (struct dns_answer){0};
}
