/* queue/mail/envelope.c: protocol. */
#include "queue/mail/envelope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Version 1 ended each part before what came with version 2; it is still read. */
enum { ENVELOPE_VERSION = 2, HELO_MAX = 512, CLIENT_MAX = 64, REASON_MAX = 1024, RCPT_LEAST = 4 + 2 + 1 + 2 + 8 };

static int put_text(struct buf *out, const char *text)
{
	return buf_append_block(out, text != NULL ? text : "", text != NULL ? strlen(text) : 0);
}

int envelope_encode(const struct envelope *e, struct buf *out)
{
	int err = buf_append_u8(out, ENVELOPE_VERSION);
	err = err ? err : buf_append_u64(out, e->id);
	err = err ? err : buf_append_u64(out, e->arrival_ms);
	err = err ? err : buf_append_u64(out, e->size);
	err = err ? err : buf_append_u32(out, e->flags);
	err = err ? err : buf_append_block(out, e->sender, strlen(e->sender));
	err = err ? err : buf_append_block(out, e->client, strlen(e->client));
	err = err ? err : buf_append_block(out, e->helo, strlen(e->helo));
	err = err ? err : buf_append_block(out, e->reason, strlen(e->reason));
	err = err ? err : put_text(out, e->envid);
	err = err ? err : put_text(out, e->redirect);
	err = err ? err : buf_append_u64(out, e->by_ms);
	err = err ? err : buf_append_u64(out, e->release_ms);
	err = err ? err : buf_append_u8(out, (uint8_t)(e->priority + PRIORITY_MAX));
	err = err ? err : buf_append_u32(out, e->rcpt_count);
	for (unsigned i = 0; err == 0 && i < e->rcpt_count; i++) {
		const struct envelope_rcpt *r = &e->rcpts[i];
		err = buf_append_block(out, r->address, strlen(r->address));
		err = err ? err : buf_append_u16(out, r->index);
		err = err ? err : buf_append_u8(out, r->status);
		err = err ? err : buf_append_u16(out, r->attempts);
		err = err ? err : buf_append_u64(out, r->next_ms);
		err = err ? err : buf_append_u8(out, r->notify);
		err = err ? err : buf_append_u8(out, r->told);
		err = err ? err : put_text(out, r->orcpt);
	}
	return err;
}

/* Reads a block into the memory at `*at`, with a closing 0. */
static const char *get_text(struct reader *r, size_t max, char **at)
{
	size_t n;
	const uint8_t *p = reader_block(r, max, &n);
	if (p == NULL || memchr(p, 0, n) != NULL) {
		r->bad = 1;
		return "";
	}
	char *text = *at;
	memcpy(text, p, n);
	text[n] = '\0';
	*at += n + 1;
	return text;
}

static void get_rcpt(struct reader *r, struct envelope_rcpt *rcpt, unsigned version, char **at)
{
	*rcpt = (struct envelope_rcpt){.orcpt = ""};
	rcpt->address = get_text(r, ADDRESS_MAX, at);
	rcpt->index = reader_u16(r);
	rcpt->status = reader_u8(r);
	rcpt->attempts = reader_u16(r);
	rcpt->next_ms = reader_u64(r);
	if (version > 1) {
		rcpt->notify = reader_u8(r);
		rcpt->told = reader_u8(r);
		rcpt->orcpt = get_text(r, ORCPT_MAX, at);
	}
	if (rcpt->status > RCPT_FAILED || *rcpt->address == '\0')
		r->bad = 1;
}

/* What version 2 has between the reason and the recipients. */
static void get_extensions(struct reader *r, struct envelope *e, char **at)
{
	e->envid = get_text(r, ENVID_MAX, at);
	e->redirect = get_text(r, REDIRECT_MAX, at);
	e->by_ms = reader_u64(r);
	e->release_ms = reader_u64(r);
	e->priority = reader_u8(r) - PRIORITY_MAX;
	if (e->priority > PRIORITY_MAX)
		r->bad = 1;
}

/* One block: the envelope, its recipients, then all texts. Each text takes one byte more than on disk, where its length
 * takes four, so the bytes on disk are room enough for them. */
int envelope_decode(struct envelope **out, const void *p, size_t n)
{
	struct reader r;
	reader_init(&r, p, n);
	unsigned version = reader_u8(&r);
	if (n > ENVELOPE_ENCODED_MAX || version < 1 || version > ENVELOPE_VERSION)
		return -EBADMSG;
	struct envelope e = {.envid = "", .redirect = ""};
	e.id = reader_u64(&r);
	e.arrival_ms = reader_u64(&r);
	e.size = reader_u64(&r);
	e.flags = reader_u32(&r);

	struct reader ahead = r;
	size_t skipped;
	reader_block(&ahead, ADDRESS_MAX, &skipped);
	reader_block(&ahead, CLIENT_MAX, &skipped);
	reader_block(&ahead, HELO_MAX, &skipped);
	reader_block(&ahead, REASON_MAX, &skipped);
	if (version > 1) {
		reader_block(&ahead, ENVID_MAX, &skipped);
		reader_block(&ahead, REDIRECT_MAX, &skipped);
		reader_bytes(&ahead, 8 + 8 + 1);
	}
	e.rcpt_count = reader_u32(&ahead);
	if (ahead.bad || e.rcpt_count > ENVELOPE_RCPTS_MAX || e.rcpt_count > ahead.left / RCPT_LEAST)
		return -EBADMSG;

	size_t rcpts_size = e.rcpt_count * sizeof(struct envelope_rcpt);
	struct envelope *whole = malloc(sizeof *whole + rcpts_size + n);
	if (whole == NULL)
		return -ENOMEM;
	struct envelope_rcpt *rcpts = (struct envelope_rcpt *)(whole + 1);
	char *at = (char *)rcpts + rcpts_size;
	e.sender = get_text(&r, ADDRESS_MAX, &at);
	e.client = get_text(&r, CLIENT_MAX, &at);
	e.helo = get_text(&r, HELO_MAX, &at);
	e.reason = get_text(&r, REASON_MAX, &at);
	if (version > 1)
		get_extensions(&r, &e, &at);
	reader_u32(&r);
	for (unsigned i = 0; i < e.rcpt_count; i++)
		get_rcpt(&r, &rcpts[i], version, &at);
	if (r.bad || r.left != 0) {
		free(whole);
		return -EBADMSG;
	}
	e.rcpts = rcpts;
	*whole = e;
	*out = whole;
	return 0;
}

void envelope_free(struct envelope *e)
{
	free(e);
}
