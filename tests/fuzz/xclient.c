/* tests/fuzz/xclient.c: arguments of XCLIENT and XFORWARD, line after line. What is taken is clean and bounded; what is
 * not changes nothing. Protocol. */
#include "smtpd/xclient.h"
#include "tests/fuzz/fuzz.h"

static void check_text(const char *text, size_t size)
{
	MUST(memchr(text, 0, size) != NULL && fuzz_is_printable(text) && strpbrk(text, " <>()\\\";") == NULL);
}

static void check(const struct xclient *x, bool forward)
{
	MUST((x->known & ~x->said) == 0 && x->said >> XCLIENT_COUNT == 0);
	MUST(!(x->said & 1u << (forward ? XCLIENT_LOGIN : XCLIENT_IDENT)));
	check_text(x->name, sizeof x->name);
	check_text(x->reverse_name, sizeof x->reverse_name);
	check_text(x->helo, sizeof x->helo);
	check_text(x->login, sizeof x->login);
	check_text(x->ident, sizeof x->ident);
	check_text(x->proto, sizeof x->proto);
	check_text(x->source, sizeof x->source);
	MUST(xclient_has(x, XCLIENT_NAME) == (*x->name != 0) && xclient_has(x, XCLIENT_HELO) == (*x->helo != 0));
	MUST(xclient_has(x, XCLIENT_ADDR) == (x->client.ip.family != FAMILY_NONE));
}

FUZZ_TARGET(xclient)
{
	for (int forward = 0; forward < 2; forward++) {
		struct xclient x = {.said = 0};
		struct piece rest = {in, len}, line;
		while (rest.len > 0) {
			struct xclient before = x;
			piece_cut(&rest, '\n', &line);
			if (!xclient_read(&x, forward, &line))
				MUST(memcmp(&x, &before, sizeof x) == 0);
			check(&x, forward);
		}
	}
	return 0;
}
