/* smtpd/chunk.c: protocol. BDAT, RFC 3030.
 *
 * A chunk's bytes follow its command at once, so they must be read whatever becomes of it: those of a refused one are
 * skipped, never taken for commands. Only a command without a size cannot be survived. Once a chunk is refused, so are
 * all behind it, up to LAST or RSET. */
#include "smtpd/chunk.h"

#include "queue/mail/envelope.h"

/* "size [LAST]" */
static bool read_args(struct smtp_server *s, const struct piece *args)
{
	struct piece rest = *args, size;
	piece_cut(&rest, ' ', &size);
	piece_skip_blanks(&rest);
	s->chunk_last = piece_is(&rest, "LAST");
	return size.len <= 20 && piece_number(&size, &s->chunk_size) && s->chunk_size < UINT64_MAX / 2 &&
	       (s->chunk_last || rest.len == 0);
}

/* Why a chunk cannot be taken now; 0 if it can. */
static unsigned fault_now(const struct smtp_server *s)
{
	switch ((enum smtp_state)s->state) {
	case SMTP_FRESH:
		return SMTP_REFUSED_NEED_HELO;
	case SMTP_GREETED:
		return SMTP_REFUSED_NEED_MAIL;
	case SMTP_MAIL:
		return SMTP_REFUSED_NO_RECIPIENTS;
	default:
		if (s->spoiled)
			return SMTP_REFUSED_CHUNK_SPOILED;
		uint64_t before = s->state == SMTP_CHUNKS ? s->content.size : 0;
		return s->chunk_size > s->conf->limits.size || before + s->chunk_size > s->conf->limits.size
			       ? SMTP_REFUSED_SIZE
			       : 0;
	}
}

/* The bytes to come are read, and then `fault` is said. */
static void skip(struct smtp_server *s, unsigned fault)
{
	s->fault = (uint8_t)fault;
	s->resume = s->state;
	server_enter(s, SMTP_SKIP);
}

/* This message is lost; the chunks that come are refused. */
static void spoil(struct smtp_server *s)
{
	s->drop |= !s->spoiled && s->id != 0;
	s->spoiled = true;
	s->resume = SMTP_CHUNKS;
}

void chunk_begin(struct smtp_server *s, const struct piece *args)
{
	if (!read_args(s, args)) {
		server_refuse_what(s, SMTP_REFUSED_CHUNK_SYNTAX, args);
		server_enter(s, SMTP_CLOSED); /* what follows may be content: nobody knows how much */
		return;
	}
	s->chunk_left = s->chunk_size;
	unsigned fault = fault_now(s);
	if (fault != 0) {
		skip(s, fault);
		if (fault == SMTP_REFUSED_SIZE)
			spoil(s);
	} else if (s->state == SMTP_CHUNKS) {
		server_enter(s, SMTP_CHUNK);
	} else {
		s->chunked = true;
		s->trace = (uint32_t)s->arena.len;
		server_enter(s, SMTP_OPEN);
	}
}

void chunk_opened(struct smtp_server *s)
{
	unsigned how = s->flags & ENVELOPE_BINARY ? CONTENT_BINARY : s->rights.normalize ? CONTENT_NORMALIZE : 0;
	content_init(&s->content, how);
	server_enter(s, SMTP_CHUNK);
}

void chunk_not_opened(struct smtp_server *s)
{
	skip(s, s->fault);
	spoil(s);
}

void chunk_failed(struct smtp_server *s)
{
	s->spoiled = true;
	s->resume = SMTP_CHUNKS;
}

/* The end of a refused chunk. */
static void end_refused(struct smtp_server *s)
{
	if (s->chunk_last && s->spoiled) {
		server_refuse_content(s);
		return;
	}
	server_enter(s, s->resume);
	if (s->fault == SMTP_REFUSED_CHUNK_SPOILED)
		server_say_refusal(
			s, SMTP_REFUSED_CHUNK_SPOILED); /* what a client has sent ahead is one error, not many */
	else
		server_refuse(s, s->fault);
}

/* The end of a chunk that was read. */
static enum smtp_want end_chunk(struct smtp_server *s)
{
	if (s->spoiled) {
		/* once more, over all of it: the answer must not depend on the pieces in which it came */
		server_find_fault(s);
		end_refused(s);
		return SMTP_WANT_INPUT;
	}
	if (s->chunk_last) {
		server_enter(s, SMTP_COMMIT);
		return SMTP_WANT_COMMIT;
	}
	server_enter(s, SMTP_CHUNKS);
	server_say(s, "250 2.0.0 %llu octets received\r\n", (unsigned long long)s->chunk_size);
	return SMTP_WANT_INPUT;
}

bool chunk_is_due(const struct smtp_server *s)
{
	return (s->state == SMTP_CHUNK || s->state == SMTP_SKIP) && s->chunk_left == 0;
}

enum smtp_want chunk_take(struct smtp_server *s, const uint8_t *in, size_t len, size_t *used)
{
	size_t part = len < s->chunk_left ? len : (size_t)s->chunk_left;
	if (s->state == SMTP_SKIP) {
		*used = part;
		s->chunk_left -= part;
		if (s->chunk_left == 0)
			end_refused(s);
		return SMTP_WANT_INPUT;
	}
	enum content_event event = content_scan(&s->content, in, part, used, &s->slice, &s->slice_len);
	s->chunk_left -= *used;
	if (event == CONTENT_MORE && s->chunk_left == 0 && s->chunk_last)
		event = content_finish(&s->content, &s->slice, &s->slice_len);
	bool more = event == CONTENT_SLICE;
	if (!s->spoiled && server_find_fault(s)) {
		spoil(s);
		s->drop = false;
		if (more || s->chunk_left > 0)
			return SMTP_WANT_DROP;
		end_refused(s);
		return SMTP_WANT_DROP;
	}
	if (more)
		return s->spoiled ? SMTP_WANT_INPUT : SMTP_WANT_BODY;
	return s->chunk_left == 0 ? end_chunk(s) : SMTP_WANT_INPUT;
}
