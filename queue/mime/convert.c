/* queue/mime/convert.c: protocol. */
#include "queue/mime/convert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "queue/mime/encode.h"
#include "queue/mime/walk.h"

enum { LINE_LONGEST = 998 }; /* RFC 5321 §4.5.3.1.6, without its CRLF */

/* What is done to an entity; one byte each in the plan, in their order. */
enum action { KEEP, RELABEL, TO_QP, TO_BASE64 };

/* What bytes were seen. */
struct seen {
	bool eight, nul, bare, long_line;
	bool after_cr;
	uint32_t line;
};

struct mime {
	enum mime_target target;
	bool converting;
	struct mime_walk walk;
	struct buf plan; /* one byte an entity */
	size_t at;	 /* the next one */
	const char *reason;
	int err;
	struct mime_sink sink;
	uint64_t planned;
	unsigned changed;
	bool touched;	     /* a part or a label changes */
	bool dkim, broken;   /* signed; and what was signed changes */
	unsigned in_signed;  /* 1 + the depth of the multipart/signed that we are in; 0: none */
	struct seen outside; /* boundary lines, and text that is in no part */
	/* the leaf at hand */
	struct mime_fields fields;
	struct buf header;
	bool top;
	enum action action;
	struct seen seen;
	uint64_t bytes;
	struct mime_qp qp;
	struct mime_base64 base64;
	struct mime_sink counted; /* as quoted-printable */
};

static void look(struct seen *s, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t c = p[i];
		s->eight |= c > 127;
		s->nul |= c == 0;
		if (c == '\n') {
			s->bare |= !s->after_cr;
			s->line = 0;
			s->after_cr = false;
			continue;
		}
		s->bare |= s->after_cr;
		s->after_cr = c == '\r';
		if (!s->after_cr && ++s->line > LINE_LONGEST)
			s->long_line = true;
	}
}

static bool fits(const struct mime *m, const struct seen *s)
{
	return !s->nul && !s->bare && !s->after_cr && !s->long_line && (m->target == MIME_TO_8BIT || !s->eight);
}

static void cannot(struct mime *m, const char *reason)
{
	if (m->reason == NULL)
		m->reason = reason;
}

/* ---- headers ---- */

static const char *label_of(const struct mime *m, enum action action)
{
	switch (action) {
	case TO_QP:
		return "quoted-printable";
	case TO_BASE64:
		return "base64";
	default:
		return m->target == MIME_TO_7BIT ? "7bit" : "8bit";
	}
}

static void put_text(struct mime *m, const char *text)
{
	mime_put(&m->sink, text, strlen(text));
}

static void put_label(struct mime *m, enum action action)
{
	put_text(m, "Content-Transfer-Encoding: ");
	put_text(m, label_of(m, action));
	put_text(m, "\r\n");
}

/* Fields that a header must have once its entity is encoded. */
static void put_missing(struct mime *m, const struct mime_fields *f, bool top, enum action action)
{
	if (action != TO_QP && action != TO_BASE64)
		return;
	if (top && !f->version)
		put_text(m, "MIME-Version: 1.0\r\n");
	if (!f->type)
		put_text(m, "Content-Type: text/plain; charset=unknown-8bit\r\n");
	if (f->encoding == MIME_UNLABELLED)
		put_label(m, action);
}

/* The header, with its label made true. */
static void put_header(
	struct mime *m, const struct mime_fields *f, bool top, const uint8_t *p, size_t n, enum action action)
{
	bool labelled = false, ended = false;
	if (action == KEEP) {
		mime_put(&m->sink, p, n);
		return;
	}
	while (n > 0) {
		struct mime_field field = mime_field_at(p, n);
		ended = field.len == 2 && p[0] == '\r';
		if (ended)
			put_missing(m, f, top, action);
		if (!mime_field_is(&field, "Content-Transfer-Encoding"))
			mime_put(&m->sink, p, field.len);
		else if (!labelled)
			put_label(m, action);
		labelled |= mime_field_is(&field, "Content-Transfer-Encoding");
		p += field.len;
		n -= field.len;
	}
}

/* Headers are left alone: what stands in them must pass as it is. */
static void look_at_header(struct mime *m, const struct mime_entity *e)
{
	struct seen s = {.line = 0};
	look(&s, e->header, e->header_len);
	if (s.nul || s.bare || s.long_line)
		cannot(m, "a header holds NUL, CR or LF, or a line that is too long");
	else if (s.eight && m->target == MIME_TO_7BIT)
		cannot(m, "a header holds 8-bit characters");
}

/* ---- the plan ---- */

static void plan(struct mime *m, enum action action)
{
	if (m->err == 0 && m->plan.len == MIME_PARTS_MAX)
		cannot(m, "it has too many parts");
	else if (m->err == 0)
		m->err = buf_append_u8(&m->plan, (uint8_t)action);
}

static enum action planned(struct mime *m)
{
	if (m->at == m->plan.len) {
		m->err = -EBADMSG;
		return KEEP;
	}
	return (enum action)m->plan.data[m->at++];
}

/* Must the label change although the bytes stay? */
static bool is_mislabelled(const struct mime *m, enum mime_encoding e)
{
	return e == MIME_BINARY || (e == MIME_8BIT && m->target == MIME_TO_7BIT);
}

/* A part changes, maybe where a signature covers it. */
static void note_change(struct mime *m)
{
	m->touched = true;
	m->broken |= m->dkim || m->in_signed > 0;
}

static enum action decide(struct mime *m, bool last)
{
	const struct mime_fields *f = &m->fields;
	/* DATA would add the line end that binary content lacks at its end */
	bool cut = last && f->encoding == MIME_BINARY && m->seen.line != 0;
	if (fits(m, &m->seen) && !cut)
		return is_mislabelled(m, f->encoding) ? RELABEL : KEEP;
	if (f->encoding == MIME_ENCODED || f->encoding == MIME_UNKNOWN)
		cannot(m, "a part that says it is encoded holds raw bytes");
	else if (strcmp(f->main, "multipart") == 0)
		cannot(m, "a multipart has no boundary, or lies too deep");
	else if (strcmp(f->main, "message") == 0 && strncmp(f->sub, "global", 6) != 0)
		cannot(m, "it has a part of a kind that may not be encoded");
	uint64_t lines = (m->bytes + 56) / 57, base64 = (m->bytes + 2) / 3 * 4 + 2 * lines;
	bool text = strcmp(f->main, "text") == 0;
	/* text stays readable unless that makes it much longer */
	return text && m->counted.size <= base64 + base64 / 4 + 64 ? TO_QP : TO_BASE64;
}

/* ---- as the walk goes ---- */

static void enter_signed(struct mime *m, const struct mime_entity *e)
{
	if (m->in_signed > 0 && e->depth < m->in_signed)
		m->in_signed = 0;
	if (m->in_signed == 0 && e->kind == MIME_MULTIPART && strcmp(e->fields->sub, "signed") == 0)
		m->in_signed = e->depth + 1;
}

static void on_header(void *arg, const struct mime_entity *e)
{
	struct mime *m = arg;
	enum action action = is_mislabelled(m, e->fields->encoding) ? RELABEL : KEEP;
	m->outside = (struct seen){.line = 0};
	if (!m->converting) {
		look_at_header(m, e);
		enter_signed(m, e);
		m->dkim |= e->top && m->plan.len == 0 && e->fields->dkim;
	}
	if (e->kind == MIME_LEAF) {
		m->fields = *e->fields;
		m->top = e->top;
		m->seen = (struct seen){.line = 0};
		m->bytes = 0;
		m->qp = (struct mime_qp){.n = 0};
		m->base64 = (struct mime_base64){.n = 0};
		m->counted = (struct mime_sink){.size = 0};
		if (!m->converting) { /* what becomes of it shows at its end */
			buf_reset(&m->header);
			int err = buf_append(&m->header, e->header, e->header_len);
			m->err = m->err ? m->err : err;
			return;
		}
		action = m->action = planned(m);
	} else if (!m->converting) {
		plan(m, action);
		if (action != KEEP)
			note_change(m);
	} else {
		action = planned(m);
	}
	put_header(m, e->fields, e->top, e->header, e->header_len, action);
}

static void on_body(void *arg, const uint8_t *p, size_t n)
{
	struct mime *m = arg;
	if (!m->converting) {
		look(&m->seen, p, n);
		m->bytes += n;
		mime_qp_put(&m->qp, &m->counted, p, n);
	} else if (m->action == TO_QP) {
		mime_qp_put(&m->qp, &m->sink, p, n);
	} else if (m->action == TO_BASE64) {
		mime_base64_put(&m->base64, &m->sink, p, n);
	} else {
		mime_put(&m->sink, p, n);
	}
}

/* The survey of a leaf: how long will it be? */
static void settle_leaf(struct mime *m, bool last)
{
	mime_qp_end(&m->qp, &m->counted, last);
	m->action = decide(m, last);
	plan(m, m->action);
	if (m->action != KEEP)
		note_change(m);
	put_header(m, &m->fields, m->top, m->header.data, m->header.len, m->action);
	uint64_t lines = (m->bytes + 56) / 57;
	if (m->action == TO_QP)
		m->sink.size += m->counted.size;
	else if (m->action == TO_BASE64)
		m->sink.size += (m->bytes + 2) / 3 * 4 + (lines > 0 ? 2 * (lines - 1 + last) : 0);
	else
		m->sink.size += m->bytes;
	m->changed += m->action == TO_QP || m->action == TO_BASE64;
}

static void on_end(void *arg, bool last)
{
	struct mime *m = arg;
	if (!m->converting)
		settle_leaf(m, last);
	else if (m->action == TO_QP)
		mime_qp_end(&m->qp, &m->sink, last);
	else if (m->action == TO_BASE64)
		mime_base64_end(&m->base64, &m->sink, last);
}

static void on_copy(void *arg, const uint8_t *p, size_t n)
{
	struct mime *m = arg;
	if (!m->converting) {
		look(&m->outside, p, n);
		if (m->outside.nul || m->outside.bare || m->outside.long_line ||
			(m->outside.eight && m->target == MIME_TO_7BIT))
			cannot(m, "there is text between its parts that may not be encoded");
	}
	mime_put(&m->sink, p, n);
}

static const struct mime_walk_calls calls = {on_header, on_body, on_end, on_copy};

/* ---- from outside ---- */

struct mime *mime_new(enum mime_target target)
{
	struct mime *m = calloc(1, sizeof *m);
	if (m == NULL)
		return NULL;
	m->target = target;
	mime_walk_init(&m->walk, &calls, m);
	buf_init(&m->plan, MIME_PARTS_MAX);
	buf_init(&m->header, MIME_HEADER_MAX);
	return m;
}

void mime_free(struct mime *m)
{
	if (m == NULL)
		return;
	mime_walk_fini(&m->walk);
	buf_fini(&m->plan);
	buf_fini(&m->header);
	free(m);
}

static void note(struct mime *m, int err)
{
	if (err == -E2BIG)
		cannot(m, "a header is too long");
	else if (m->err == 0)
		m->err = err;
}

int mime_survey(struct mime *m, const uint8_t *p, size_t n)
{
	if (m->reason == NULL && m->err == 0)
		note(m, mime_walk(&m->walk, p, n));
	return m->err;
}

int mime_survey_end(struct mime *m)
{
	if (m->reason == NULL && m->err == 0)
		note(m, mime_walk_end(&m->walk));
	if (m->walk.doubt && m->touched) /* what is a part here may be text to others */
		cannot(m, "a line in it begins with a boundary and goes on");
	if (m->reason != NULL) /* it ended early, wherever the piece did */
		m->changed = 0;
	m->planned = m->reason != NULL ? 0 : m->sink.size;
	m->sink = (struct mime_sink){.size = 0};
	m->converting = true;
	m->at = 0;
	mime_walk_fini(&m->walk);
	mime_walk_init(&m->walk, &calls, m);
	return m->err ? m->err : m->reason ? -EILSEQ : 0;
}

const char *mime_reason(const struct mime *m)
{
	return m->reason ? m->reason : "";
}

uint64_t mime_size(const struct mime *m)
{
	return m->planned;
}

unsigned mime_changed(const struct mime *m)
{
	return m->changed;
}

bool mime_breaks_signature(const struct mime *m)
{
	return m->broken;
}

/* The first thing that went wrong. */
static int fault(struct mime *m, int err)
{
	if (m->err == 0)
		m->err = err ? err : m->sink.err;
	if (m->err == 0 && m->sink.size > m->planned)
		m->err = -EBADMSG;
	return m->err == -E2BIG ? -EBADMSG : m->err;
}

int mime_convert(struct mime *m, const uint8_t *p, size_t n, struct buf *out)
{
	if (m->err != 0 || m->reason != NULL)
		return m->err ? m->err : -EBADMSG;
	m->sink.out = out;
	return fault(m, mime_walk(&m->walk, p, n));
}

int mime_convert_end(struct mime *m, struct buf *out)
{
	if (m->err != 0 || m->reason != NULL)
		return m->err ? m->err : -EBADMSG;
	m->sink.out = out;
	int err = fault(m, mime_walk_end(&m->walk));
	return err ? err : m->sink.size == m->planned ? 0 : -EBADMSG;
}
