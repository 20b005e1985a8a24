/* queue/deliver/conversion.c: plumbing. */
#include "queue/deliver/conversion.h"

#include <errno.h>
#include <stdlib.h>

#include "conf/counter.h"
#include "conf/log.h"
#include "queue/deliver/needs.h"
#include "queue/deliver/source.h"
#include "queue/mail/envelope.h"

struct conversion {
	struct transaction *of;
	enum mime_target target;
	struct store *store;
	struct mailbox *home;
	void (*done)(struct transaction *t, int status);
	struct source source;
	struct mime *mime;
	struct buf out;
	const uint8_t *piece; /* what of it is not converted yet */
	size_t left;
	bool ended;
};

void conversion_free(struct conversion *c)
{
	if (c == NULL)
		return;
	source_close(&c->source);
	mime_free(c->mime);
	buf_fini(&c->out);
	free(c);
}

/* The transaction is one of the converted content from now on. */
static void take_over(struct conversion *c)
{
	struct transaction *t = c->of;
	bool seven = c->target == MIME_TO_7BIT;
	t->size = mime_size(c->mime);
	t->flags &= ~(unsigned)ENVELOPE_BINARY;
	if (seven)
		t->flags &= ~(unsigned)(ENVELOPE_8BIT | ENVELOPE_BODY_8BIT | ENVELOPE_HEADER_8BIT);
	COUNT(messages_converted);
	LOG_INFO("converted", LF_ID("id", t->id), LF_STR("target", seven ? "7bit" : "8bit"),
		LF_NUM("parts", mime_changed(c->mime)), LF_NUM("size", t->size),
		LF_STR("signature", mime_breaks_signature(c->mime) ? "broken" : NULL));
}

/* 1: to its end; 0: `ready` will come. */
static int survey(struct conversion *c)
{
	const uint8_t *p;
	size_t n;
	int status;
	while ((status = source_next(&c->source, &p, &n)) == 1) {
		int err = mime_survey(c->mime, p, n);
		if (err != 0)
			return err;
	}
	if (status != 2)
		return status;
	source_close(&c->source);
	int err = mime_survey_end(c->mime);
	return err ? err : 1;
}

static void on_ready(void *arg)
{
	struct conversion *c = arg;
	struct transaction *t = c->of;
	int status = survey(c);
	if (status == 0)
		return;
	if (status == 1)
		take_over(c);
	else if (status == -EILSEQ)
		needs_refuse_content(t, mime_reason(c->mime));
	c->done(t, status == 1 ? 0 : status);
}

int conversion_start(struct transaction *t, enum mime_target target, struct store *store, struct mailbox *home,
	void (*done)(struct transaction *t, int status))
{
	struct conversion *c = calloc(1, sizeof *c);
	if (c == NULL)
		return -ENOMEM;
	*c = (struct conversion){.of = t, .target = target, .store = store, .home = home, .done = done};
	buf_init(&c->out, MIME_OUT_MAX);
	c->mime = mime_new(target);
	if (c->mime == NULL || source_open(&c->source, t, store, home, on_ready, c) != 0) {
		conversion_free(c);
		return -ENOMEM;
	}
	t->conversion = c;
	on_ready(c);
	return 0;
}

int conversion_begin(struct conversion *c, void (*ready)(void *arg), void *arg)
{
	source_close(&c->source);
	return source_open(&c->source, c->of, c->store, c->home, ready, arg);
}

/* Converts some of the content into the empty `out`. 1: some was; otherwise as source_next(). */
static int convert_some(struct conversion *c)
{
	if (c->left == 0) {
		int status = source_next(&c->source, &c->piece, &c->left);
		if (status == 2 && !c->ended) {
			c->ended = true;
			int err = mime_convert_end(c->mime, &c->out);
			return err ? err : 1;
		}
		if (status != 1) {
			c->left = 0;
			return status;
		}
	}
	size_t part = c->left < MIME_PIECE_MAX ? c->left : MIME_PIECE_MAX;
	int err = mime_convert(c->mime, c->piece, part, &c->out);
	c->piece += part;
	c->left -= part;
	return err ? err : 1;
}

int conversion_next(struct conversion *c, const uint8_t **p, size_t *n)
{
	buf_reset(&c->out); /* what was lent is given back */
	while (c->out.len == 0) {
		int status = convert_some(c);
		if (status != 1)
			return status;
	}
	*p = c->out.data;
	*n = c->out.len;
	return 1;
}
