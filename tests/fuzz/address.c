/* tests/fuzz/address.c: paths of MAIL and RCPT, domains, literals. What was read reads the same again. Protocol. */
#include "queue/mail/address.h"
#include "tests/fuzz/fuzz.h"

static void check_domain(const char *domain)
{
	struct ip ip;
	char text[LITERAL_TEXT];
	if (!domain_is_literal(domain)) {
		MUST(domain_is_valid(domain, strlen(domain)));
		for (const char *c = domain; *c != 0; c++)
			MUST(*c < 'A' || *c > 'Z');
		return;
	}
	MUST(literal_read(&ip, domain, strlen(domain)) == 0);
	MUST(strcmp(literal_format(&ip, text), domain) == 0);
}

static void check_address(const char *address, unsigned allowed)
{
	char path[ADDRESS_TEXT + 2], again[ADDRESS_TEXT];
	size_t used, n = strlen(address), at = n;
	MUST(n < ADDRESS_TEXT && fuzz_is_printable(address));
	while (at > 0 && address[at - 1] != '@')
		at--;
	if (at == 0)
		MUST(n == 0 ? (allowed & ADDRESS_NULL) : (allowed & ADDRESS_POSTMASTER));
	else
		MUST(at > 1 && at - 1 <= ADDRESS_LOCAL_MAX && address + at == address_domain(address));
	if (at > 0)
		check_domain(address_domain(address));
	if (at > 0 && address[0] != '"')
		MUST(strpbrk(address, " <>,:;\\\"()") == NULL || strpbrk(address, " <>,:;\\\"()") > address + at);
	snprintf(path, sizeof path, "<%s>", address);
	MUST(address_read_path(again, (const uint8_t *)path, n + 2, &used, allowed) == ADDRESS_OK);
	MUST(used == n + 2 && strcmp(again, address) == 0);
}

FUZZ_TARGET(address)
{
	char out[ADDRESS_TEXT];
	struct ip ip;
	for (unsigned allowed = 0; allowed <= (ADDRESS_NULL | ADDRESS_POSTMASTER); allowed++) {
		size_t used = SIZE_MAX;
		enum address_result result = address_read_path(out, in, len, &used, allowed);
		MUST(result <= ADDRESS_8BIT);
		if (result != ADDRESS_OK) {
			MUST(used == SIZE_MAX);
			continue;
		}
		MUST(used >= 2 && used <= len && used <= ADDRESS_PATH_MAX && in[0] == '<' && in[used - 1] == '>');
		check_address(out, allowed);
	}
	domain_is_valid((const char *)in, len);
	if (literal_read(&ip, (const char *)in, len) == 0) {
		char text[LITERAL_TEXT];
		check_domain(literal_format(&ip, text));
	}
	return 0;
}
