/* queue/mail/attempt.c: state. */
#include "queue/mail/attempt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ATTEMPT_VERSION = 1 };

static const struct {
	const char *word;
	const char *text;
} faults[FAULT_COUNT] = {
#define X(name, word, text) {word, text},
	FAULTS(X)
#undef X
};

const char *fault_word(enum fault f)
{
	return (unsigned)f < FAULT_COUNT ? faults[f].word : "unknown";
}

const char *fault_text(enum fault f)
{
	return (unsigned)f < FAULT_COUNT ? faults[f].text : "unknown fault";
}

bool fault_is_path(enum fault f)
{
	switch (f) {
	case FAULT_NONE:
	case FAULT_LOAD:
	case FAULT_LOCAL:
	case FAULT_SUPERSEDED:
	case FAULT_GREETING_4YZ:
	case FAULT_EHLO_4YZ:
	case FAULT_FAMILY_REFUSED:
	case FAULT_SOURCE_REFUSED:
		return false;
	default:
		return true;
	}
}

struct attempt *attempt_new(uint64_t when_ms, const char *site)
{
	struct attempt *a = calloc(1, sizeof *a);
	if (a == NULL)
		return NULL;
	a->when_ms = when_ms;
	a->used = -1;
	snprintf(a->site, sizeof a->site, "%s", site);
	return a;
}

void attempt_free(struct attempt *a)
{
	if (a == NULL)
		return;
	free(a->paths);
	free(a->replies);
	free(a->rcpts);
	free(a);
}

/* Grows an array of `count` items of `size` bytes by one, in powers of two. NULL without memory. */
static void *grown(void *items, size_t count, size_t size)
{
	if (count != 0 && (count & (count - 1)) != 0)
		return items;
	return reallocarray(items, count ? count * 2 : 1, size);
}

int attempt_add_path(struct attempt *a, const struct path_try *p)
{
	if (a->path_count >= ATTEMPT_PATHS_MAX)
		return -E2BIG;
	struct path_try *paths = grown(a->paths, a->path_count, sizeof *paths);
	if (paths == NULL)
		return -ENOMEM;
	a->paths = paths;
	a->paths[a->path_count++] = *p;
	return 0;
}

static bool same_reply(const struct reply *a, const struct reply *b)
{
	return a->code == b->code && strcmp(a->enhanced, b->enhanced) == 0 && strcmp(a->text, b->text) == 0;
}

/* The index of a reply like `r`, added if it is new. Past the limit the last place is overwritten. */
static int place_reply(struct attempt *a, const struct reply *r)
{
	for (int i = 0; i < a->reply_count; i++)
		if (same_reply(&a->replies[i], r))
			return i;
	if (a->reply_count == ATTEMPT_REPLIES_MAX) {
		a->replies[ATTEMPT_REPLIES_MAX - 1] = *r;
		return ATTEMPT_REPLIES_MAX - 1;
	}
	struct reply *replies = grown(a->replies, a->reply_count, sizeof *replies);
	if (replies == NULL)
		return -ENOMEM;
	a->replies = replies;
	a->replies[a->reply_count] = *r;
	return a->reply_count++;
}

int attempt_set_rcpt(struct attempt *a, uint16_t index, enum rcpt_status status, const struct reply *r)
{
	int reply = place_reply(a, r);
	if (reply < 0)
		return reply;
	struct attempt_rcpt row = {
		.index = index, .status = (uint8_t)status, .reply = (uint16_t)reply, .cause = (uint16_t)reply};
	/* rows nearly always come in order, so an older one of the same recipient is looked for from the end */
	for (unsigned i = a->rcpt_count; i-- > 0;)
		if (a->rcpts[i].index == index) {
			a->rcpts[i] = row;
			return 0;
		} else if (a->rcpts[i].index < index) {
			break;
		}
	if (a->rcpt_count == UINT16_MAX)
		return -E2BIG;
	struct attempt_rcpt *rcpts = grown(a->rcpts, a->rcpt_count, sizeof *rcpts);
	if (rcpts == NULL)
		return -ENOMEM;
	a->rcpts = rcpts;
	unsigned at = a->rcpt_count++;
	while (at > 0 && rcpts[at - 1].index > index) {
		rcpts[at] = rcpts[at - 1];
		at--;
	}
	rcpts[at] = row;
	return 0;
}

static int put_text(struct buf *out, const char *text)
{
	size_t n = strlen(text);
	int err = buf_append_u16(out, (uint16_t)n);
	return err ? err : buf_append(out, text, n);
}

static void get_text(struct reader *r, char *out, size_t size)
{
	size_t n = reader_u16(r);
	const uint8_t *p = reader_bytes(r, n);
	if (p == NULL || n >= size || memchr(p, 0, n) != NULL) {
		r->bad = 1;
		return;
	}
	memcpy(out, p, n);
	out[n] = '\0';
}

static int put_reply(struct buf *out, const struct reply *r)
{
	int err = buf_append_u16(out, r->code);
	if (err == 0)
		err = put_text(out, r->enhanced);
	return err ? err : put_text(out, r->text);
}

static void get_reply(struct reader *r, struct reply *out)
{
	out->code = reader_u16(r);
	get_text(r, out->enhanced, sizeof out->enhanced);
	get_text(r, out->text, sizeof out->text);
}

static int put_path(struct buf *out, const struct path_try *p)
{
	int err = buf_append_u8(out, p->to.ip.family);
	err = err ? err : buf_append(out, p->to.ip.bytes, sizeof p->to.ip.bytes);
	err = err ? err : buf_append_u16(out, p->to.port);
	err = err ? err : put_text(out, p->host);
	err = err ? err : buf_append_u16(out, p->preference);
	err = err ? err : buf_append_u8(out, (uint8_t)p->fault);
	err = err ? err : buf_append_u32(out, p->started_ms);
	err = err ? err : buf_append_u32(out, p->connect_ms);
	err = err ? err : buf_append_u32(out, p->greeting_ms);
	err = err ? err : buf_append_u32(out, p->total_ms);
	return err ? err : put_reply(out, &p->reply);
}

static void get_path(struct reader *r, struct path_try *p)
{
	p->to.ip.family = reader_u8(r);
	const uint8_t *bytes = reader_bytes(r, sizeof p->to.ip.bytes);
	if (bytes != NULL)
		memcpy(p->to.ip.bytes, bytes, sizeof p->to.ip.bytes);
	p->to.port = reader_u16(r);
	get_text(r, p->host, sizeof p->host);
	p->preference = reader_u16(r);
	uint8_t fault = reader_u8(r);
	if (fault >= FAULT_COUNT)
		r->bad = 1;
	p->fault = (enum fault)fault;
	p->started_ms = reader_u32(r);
	p->connect_ms = reader_u32(r);
	p->greeting_ms = reader_u32(r);
	p->total_ms = reader_u32(r);
	get_reply(r, &p->reply);
}

int attempt_encode(const struct attempt *a, struct buf *out)
{
	int err = buf_append_u8(out, ATTEMPT_VERSION);
	err = err ? err : buf_append_u64(out, a->when_ms);
	err = err ? err : buf_append_u32(out, a->took_ms);
	err = err ? err : buf_append_u64(out, a->next_ms);
	err = err ? err : put_text(out, a->site);
	err = err ? err : buf_append_u16(out, (uint16_t)a->used);
	err = err ? err : buf_append_u16(out, a->path_count);
	for (unsigned i = 0; err == 0 && i < a->path_count; i++)
		err = put_path(out, &a->paths[i]);
	err = err ? err : buf_append_u16(out, a->reply_count);
	for (unsigned i = 0; err == 0 && i < a->reply_count; i++)
		err = put_reply(out, &a->replies[i]);
	err = err ? err : buf_append_u16(out, a->rcpt_count);
	for (unsigned i = 0; err == 0 && i < a->rcpt_count; i++) {
		err = buf_append_u16(out, a->rcpts[i].index);
		/* one byte for both: `told` came later, and what was written before has none */
		err = err ? err : buf_append_u8(out, (uint8_t)(a->rcpts[i].status | a->rcpts[i].told << 4));
		err = err ? err : buf_append_u16(out, a->rcpts[i].reply);
	}
	return err;
}

static void get_rcpts(struct reader *r, struct attempt *a)
{
	for (unsigned i = 0; !r->bad && i < a->rcpt_count; i++) {
		a->rcpts[i].index = reader_u16(r);
		uint8_t both = reader_u8(r);
		a->rcpts[i].status = both & 15;
		a->rcpts[i].told = both >> 4;
		a->rcpts[i].reply = reader_u16(r);
		if (a->rcpts[i].status > RCPT_FAILED || a->rcpts[i].reply >= a->reply_count)
			r->bad = 1;
	}
}

static int get_arrays(struct reader *r, struct attempt *a)
{
	a->path_count = reader_u16(r);
	if (r->bad || a->path_count > ATTEMPT_PATHS_MAX || a->used >= a->path_count || a->used < -1)
		return -EBADMSG;
	a->paths = calloc(a->path_count ? a->path_count : 1, sizeof *a->paths);
	if (a->paths == NULL)
		return -ENOMEM;
	for (unsigned i = 0; !r->bad && i < a->path_count; i++)
		get_path(r, &a->paths[i]);
	a->reply_count = reader_u16(r);
	if (r->bad || a->reply_count > ATTEMPT_REPLIES_MAX)
		return -EBADMSG;
	a->replies = calloc(a->reply_count ? a->reply_count : 1, sizeof *a->replies);
	if (a->replies == NULL)
		return -ENOMEM;
	for (unsigned i = 0; !r->bad && i < a->reply_count; i++)
		get_reply(r, &a->replies[i]);
	a->rcpt_count = reader_u16(r);
	if (r->bad || a->rcpt_count > r->left / 5)
		return -EBADMSG;
	a->rcpts = calloc(a->rcpt_count ? a->rcpt_count : 1u, sizeof *a->rcpts);
	if (a->rcpts == NULL)
		return -ENOMEM;
	get_rcpts(r, a);
	return r->bad || r->left != 0 ? -EBADMSG : 0;
}

int attempt_decode(struct attempt **out, const void *p, size_t n)
{
	struct reader r;
	reader_init(&r, p, n);
	if (reader_u8(&r) != ATTEMPT_VERSION)
		return -EBADMSG;
	struct attempt *a = attempt_new(reader_u64(&r), "");
	if (a == NULL)
		return -ENOMEM;
	a->took_ms = reader_u32(&r);
	a->next_ms = reader_u64(&r);
	get_text(&r, a->site, sizeof a->site);
	a->used = (int16_t)reader_u16(&r);
	int err = get_arrays(&r, a);
	if (err != 0) {
		attempt_free(a);
		return err;
	}
	*out = a;
	return 0;
}
