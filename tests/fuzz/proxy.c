/* tests/fuzz/proxy.c: PROXY headers. In pieces the same as whole; a line that was read can be written and read again.
 * Protocol. */
#include "smtpd/proxy.h"
#include "tests/fuzz/fuzz.h"

static enum proxy_result read_pieces(struct proxy *p, const uint8_t *in, size_t len, size_t piece, size_t *at)
{
	enum proxy_result result = PROXY_MORE;
	proxy_init(p);
	for (*at = 0; *at < len && result == PROXY_MORE;) {
		size_t n = piece < len - *at ? piece : len - *at, used = SIZE_MAX;
		result = proxy_read(p, in + *at, n, &used);
		MUST(used <= n && (result != PROXY_MORE || used == n));
		*at += used;
	}
	return result;
}

FUZZ_TARGET(proxy)
{
	struct proxy whole, parts;
	size_t used, at;
	enum proxy_result result = read_pieces(&whole, in, len, SIZE_MAX, &used);
	for (size_t piece = 1; piece < 8; piece += 3) {
		MUST(read_pieces(&parts, in, len, piece, &at) == result);
		MUST(result == PROXY_WRONG || at == used);
	}
	if (result != PROXY_CLIENT)
		return 0;
	MUST(endpoint_equal(&whole.client, &parts.client) && endpoint_equal(&whole.listener, &parts.listener));
	if (whole.client.ip.family != whole.listener.ip.family) /* one of them was mapped: no line can say both */
		return 0;
	char text[PROXY_LINE + 1], from[IP_TEXT], to[IP_TEXT];
	int n = snprintf(text, sizeof text, "PROXY TCP%u %s %s %u %u\r\n", whole.client.ip.family,
		ip_format(&whole.client.ip, from), ip_format(&whole.listener.ip, to), whole.client.port,
		whole.listener.port);
	MUST(n > 0 && n <= PROXY_LINE);
	MUST(read_pieces(&parts, (const uint8_t *)text, (size_t)n, SIZE_MAX, &at) == PROXY_CLIENT && at == (size_t)n);
	MUST(endpoint_equal(&whole.client, &parts.client) && endpoint_equal(&whole.listener, &parts.listener));
	return 0;
}
