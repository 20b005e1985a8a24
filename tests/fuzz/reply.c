/* tests/fuzz/reply.c: a peer's replies; read whole and byte by byte they must be the same. Protocol. */
#include "queue/mail/reply.h"
#include "tests/fuzz/fuzz.h"

enum { LINES = 8, BYTES = 2048 };

/* Reads one reply by pieces of at most `piece` bytes; returns how it ended and where. */
static enum reply_event read_one(struct reply_parser *p, const uint8_t *in, size_t len, size_t piece, size_t *end)
{
	enum reply_event event = REPLY_MORE;
	unsigned lines = 0;
	size_t at = 0;
	reply_parser_init(p, LINES, BYTES);
	while (at < len && (event == REPLY_MORE || event == REPLY_LINE)) {
		size_t n = len - at < piece ? len - at : piece, used = 0;
		event = reply_parser_feed(p, in + at, n, &used);
		MUST(used > 0 && used <= n);
		at += used;
		lines += event == REPLY_LINE || event == REPLY_COMPLETE;
		MUST(lines <= LINES && at <= BYTES + piece);
		if (event == REPLY_LINE || event == REPLY_COMPLETE)
			MUST(memchr(p->line, 0, sizeof p->line) != NULL);
	}
	*end = at;
	return event;
}

static void check_complete(const struct reply *r)
{
	struct reply_parser again;
	char line[REPLY_TEXT_MAX + 32];
	size_t end;
	MUST(r->code >= 200 && r->code <= 599);
	MUST(fuzz_is_printable(r->text) && strlen(r->text) < REPLY_TEXT_MAX);
	MUST(fuzz_is_printable(r->enhanced) && strlen(r->enhanced) < REPLY_ENHANCED);
	MUST(r->enhanced[0] == 0 || (unsigned)(r->enhanced[0] - '0') == reply_class(r));
	reply_is_greylisting(r);
	/* what we would say of it is a reply again, the same one */
	reply_format(r, line, sizeof line - 2);
	strncat(line, "\r\n", 3);
	MUST(read_one(&again, (const uint8_t *)line, strlen(line), SIZE_MAX, &end) == REPLY_COMPLETE);
	MUST(again.reply.code == r->code && strcmp(again.reply.enhanced, r->enhanced) == 0);
	MUST(strcmp(again.reply.text, r->text) == 0);
}

FUZZ_TARGET(reply)
{
	while (len > 0) {
		struct reply_parser whole, single;
		size_t end, single_end;
		enum reply_event event = read_one(&whole, in, len, len, &end);
		MUST(read_one(&single, in, len, 1, &single_end) == event);
		if (event != REPLY_COMPLETE)
			break;
		MUST(end == single_end && whole.reply.code == single.reply.code);
		MUST(strcmp(whole.reply.text, single.reply.text) == 0 && strcmp(whole.line, single.line) == 0);
		MUST(strcmp(whole.reply.enhanced, single.reply.enhanced) == 0);
		check_complete(&whole.reply);
		in += end;
		len -= end;
	}
	return 0;
}
