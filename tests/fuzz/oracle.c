/* tests/fuzz/oracle.c: questions to an oracle, in both protocols. What is read does not depend on how the bytes come
 * in; every question gets one reply in its own protocol, and that is one frame. Protocol. */
#include "dns/name.h"
#include "queue/oracle/key.h"
#include "queue/oracle/reply.h"
#include "tests/fuzz/fuzz.h"

enum { MOST = 300, HEARD_MAX = 1 << 20 };

/* A reply is one netstring, or one line that decodes to what was to be said. */
static void check_reply(enum oracle_protocol protocol, enum oracle_answer answer, const char *text)
{
	char out[ORACLE_REPLY_MAX];
	size_t n = oracle_reply_write(out, protocol, answer, text);
	MUST(n > 0 && n < sizeof out && out[n] == '\0' && strlen(out) == n);
	if (protocol == ORACLE_SOCKETMAP) {
		char *body;
		unsigned long len = strtoul(out, &body, 10);
		MUST(*body == ':' && body + 1 + len == out + n - 1 && out[n - 1] == ',');
		out[n - 1] = '\0';
		MUST(fuzz_is_printable(out));
	} else {
		MUST(out[n - 1] == '\n' && out[3] == ' ');
		out[n - 1] = '\0';
		MUST(fuzz_is_printable(out) && (answer != ORACLE_FOUND || strchr(out + 4, ' ') == NULL));
	}
}

static void check_key(const struct oracle_request *r)
{
	struct oracle_key k;
	if (oracle_key_read(&k, r->key, r->key_len) != 0)
		return;
	MUST(memchr(k.domain, 0, sizeof k.domain) != NULL);
	MUST((k.domain[0] != '\0') == (k.literal.family == FAMILY_NONE));
	MUST(k.domain[0] == '\0' || dns_name_valid(k.domain));
	check_reply(r->protocol, ORACLE_NOT_FOUND, k.domain);
}

/* Notes in `heard` what is read from the bytes, given in pieces. */
static void hear(struct buf *heard, const uint8_t *in, size_t len, size_t piece)
{
	struct oracle_request r;
	enum oracle_event event = ORACLE_MORE;
	oracle_request_init(&r, MOST);
	for (size_t at = 0; at < len && event != ORACLE_MALFORMED;) {
		size_t give = len - at < piece ? len - at : piece;
		size_t used = oracle_request_take(&r, in + at, give, &event);
		MUST(used > 0 && used <= give && (event != ORACLE_MORE || used == give));
		MUST(r.protocol != ORACLE_UNKNOWN && r.text.len <= MOST);
		at += used;
		if (event == ORACLE_MORE)
			continue;
		MUST(buf_printf(heard, "%d %d %zu\n", (int)r.protocol, (int)event, at) == 0);
		if (event == ORACLE_ASKED) {
			MUST(buf_append_block(heard, r.map, r.map_len) == 0);
			MUST(buf_append_block(heard, r.key, r.key_len) == 0);
			check_key(&r);
			for (enum oracle_answer a = ORACLE_FOUND; a <= ORACLE_WRONG; a++) {
				char text[MOST + 1];
				struct reader from;
				reader_init(&from, r.key, r.key_len);
				check_reply(r.protocol, a, fuzz_text(&from, text, sizeof text));
			}
		} else if (event == ORACLE_MALFORMED) {
			MUST(r.why != NULL && fuzz_is_printable(r.why));
			check_reply(r.protocol, ORACLE_WRONG, r.why);
		}
	}
	oracle_request_fini(&r);
}

FUZZ_TARGET(oracle)
{
	struct buf whole, pieces;
	buf_init(&whole, HEARD_MAX);
	buf_init(&pieces, HEARD_MAX);
	hear(&whole, in, len, len > 0 ? len : 1);
	hear(&pieces, in, len, 1);
	MUST(fuzz_same(&whole, &pieces));
	buf_reset(&pieces);
	hear(&pieces, in, len, 7);
	MUST(fuzz_same(&whole, &pieces));
	buf_fini(&whole);
	buf_fini(&pieces);
	return 0;
}
