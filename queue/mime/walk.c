/* queue/mime/walk.c: protocol. */
#include "queue/mime/walk.h"

#include <string.h>

/* Where the bytes to come belong. DELIMITER: the rest of a boundary line; then PART (a header) or OUTSIDE. */
enum { HEADER, BODY, OUTSIDE, DELIMITER_PART, DELIMITER_LAST };

enum { NOTHING, HELD_CR, HELD_CRLF };

void mime_walk_init(struct mime_walk *w, const struct mime_walk_calls *calls, void *arg)
{
	*w = (struct mime_walk){.calls = calls, .arg = arg, .at = HEADER, .top = true, .line_start = true};
	buf_init(&w->header, MIME_HEADER_MAX);
}

void mime_walk_fini(struct mime_walk *w)
{
	buf_fini(&w->header);
}

/* ---- entities ---- */

static enum mime_kind kind_of(const struct mime_walk *w, const struct mime_fields *f, bool whole)
{
	bool plain = f->encoding <= MIME_BINARY;
	if (!whole || !plain)
		return MIME_LEAF;
	if (strcmp(f->main, "multipart") == 0 && f->boundary[0] != '\0' && w->depth < MIME_DEPTH)
		return MIME_MULTIPART;
	if (strcmp(f->main, "message") == 0 && (strcmp(f->sub, "rfc822") == 0 || strcmp(f->sub, "global") == 0))
		return MIME_MESSAGE;
	return MIME_LEAF;
}

static void push(struct mime_walk *w, const struct mime_fields *f)
{
	struct mime_level *l = &w->levels[w->depth++];
	l->len = (unsigned)strlen(f->boundary);
	memcpy(l->boundary, f->boundary, l->len + 1);
	l->digest = strcmp(f->sub, "digest") == 0;
}

/* The header has come to its end; not `whole`: a boundary or the end of the message cut it off. */
static void end_header(struct mime_walk *w, bool whole)
{
	struct mime_fields f;
	mime_fields_read(&f, w->header.data, w->header.len);
	if (!f.type && !w->top && w->depth > 0 && w->levels[w->depth - 1].digest) {
		memcpy(f.main, "message", sizeof "message");
		memcpy(f.sub, "rfc822", sizeof "rfc822");
	}
	struct mime_entity e = {.kind = kind_of(w, &f, whole),
		.top = w->top,
		.depth = w->depth,
		.fields = &f,
		.header = w->header.data,
		.header_len = w->header.len};
	w->calls->header(w->arg, &e);
	buf_reset(&w->header);
	w->line_start = true;
	w->end_held = NOTHING;
	w->top = e.kind == MIME_MESSAGE;
	w->at = e.kind == MIME_LEAF ? BODY : e.kind == MIME_MULTIPART ? OUTSIDE : HEADER;
	if (e.kind == MIME_MULTIPART)
		push(w, &f);
}

static void emit(struct mime_walk *w, const uint8_t *p, size_t n)
{
	if (n == 0)
		return;
	if (w->at == BODY)
		w->calls->body(w->arg, p, n);
	else
		w->calls->copy(w->arg, p, n);
}

static void flush_end(struct mime_walk *w)
{
	static const uint8_t crlf[] = {'\r', '\n'};
	emit(w, crlf, w->end_held);
	w->end_held = NOTHING;
}

/* ---- boundaries ---- */

enum match { NO, MAYBE, YES };

/* A boundary line as far as it is held. */
struct delimiter {
	unsigned level, len; /* with "--" in front of it, and behind it if it closes */
	bool closing;
	bool ends; /* the line ends behind it, or goes on with a blank */
	bool doubt;
};

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static enum match match_level(const struct mime_walk *w, unsigned level, bool final, struct delimiter *d)
{
	const struct mime_level *l = &w->levels[level];
	unsigned whole = l->len + 2, n = w->held < whole ? w->held : whole, dashes = 0;
	if (memcmp(w->line, "--", n < 2 ? n : 2) != 0 || (n > 2 && memcmp(w->line + 2, l->boundary, n - 2) != 0))
		return NO;
	if (w->held < whole)
		return final ? NO : MAYBE;
	while (dashes < 2 && whole + dashes < w->held && w->line[whole + dashes] == '-')
		dashes++;
	if (whole + dashes == w->held && !final)
		return MAYBE;
	d->level = level;
	d->closing = dashes == 2;
	d->len = whole + (d->closing ? 2 : 0);
	d->ends = d->len == w->held || is_blank(w->line[d->len]);
	d->doubt = !d->ends;
	return YES;
}

/* Does the held line begin with a boundary? `final`: no more of it comes. One boundary may begin with another: that
 * which is the whole line is meant. */
static enum match match(const struct mime_walk *w, bool final, struct delimiter *d)
{
	enum match found = NO;
	for (unsigned i = w->depth; i-- > 0;) {
		struct delimiter one;
		switch (match_level(w, i, final, &one)) {
		case MAYBE:
			return MAYBE;
		case YES:
			if (found == NO || (one.ends && (!d->ends || one.len > d->len)))
				*d = one;
			else if (one.ends && one.len == d->len && one.closing != d->closing)
				d->doubt = true; /* "--b--" closes "b", and begins a part of "b--" */
			found = YES;
			break;
		case NO:
			break;
		}
	}
	return found;
}

static void end_leaf(struct mime_walk *w, bool last)
{
	if (w->at == HEADER)
		end_header(w, false);
	if (w->at == BODY)
		w->calls->end(w->arg, last);
}

/* RFC 2046 §5.1.1 has a line that begins with a boundary as one, its grammar only if nothing but blanks follows:
 * readers differ. */
static void look_behind(struct mime_walk *w, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		w->doubt |= !is_blank(p[i]);
}

static void cross(struct mime_walk *w, const struct delimiter *d)
{
	static const uint8_t crlf[] = {'\r', '\n'};
	unsigned before = w->end_held;
	w->end_held = NOTHING;
	end_leaf(w, false);
	if (before > 0)
		w->calls->copy(w->arg, crlf, before);
	w->calls->copy(w->arg, w->line, w->held);
	w->doubt |= d->doubt;
	look_behind(w, w->line + d->len, w->held - d->len);
	bool ended = w->line[w->held - 1] == '\n';
	w->held = 0;
	w->depth = d->closing ? d->level : d->level + 1;
	w->at = d->closing ? DELIMITER_LAST : DELIMITER_PART;
	w->line_start = false;
	w->top = false;
	if (ended) {
		w->at = d->closing ? OUTSIDE : HEADER;
		w->line_start = true;
	}
}

/* ---- bytes ---- */

/* The rest of a boundary line. Returns bytes taken. */
static size_t take_delimiter(struct mime_walk *w, const uint8_t *p, size_t n)
{
	const uint8_t *lf = memchr(p, '\n', n);
	size_t used = lf != NULL ? (size_t)(lf + 1 - p) : n;
	w->calls->copy(w->arg, p, used);
	look_behind(w, p, used);
	if (lf != NULL) {
		w->at = w->at == DELIMITER_LAST ? OUTSIDE : HEADER;
		w->line_start = true;
	}
	return used;
}

static int take_header(struct mime_walk *w, const uint8_t *p, size_t n, size_t *used)
{
	const uint8_t *lf = memchr(p, '\n', n);
	*used = lf != NULL ? (size_t)(lf + 1 - p) : n;
	int err = buf_append(&w->header, p, *used);
	if (err != 0 || lf == NULL) {
		w->line_start = false;
		return err;
	}
	const uint8_t *end = w->header.data + w->header.len;
	bool empty = w->header.len >= 2 && end[-2] == '\r' && (w->header.len == 2 || end[-3] == '\n');
	w->line_start = true;
	if (empty)
		end_header(w, true);
	return 0;
}

/* Bytes behind the beginning of a line, up to its end. */
static size_t take_text(struct mime_walk *w, const uint8_t *p, size_t n)
{
	if (w->depth == 0) { /* no boundary can come: nothing needs to be held back */
		emit(w, p, n);
		return n;
	}
	if (w->end_held == HELD_CR && *p == '\n') {
		w->end_held = HELD_CRLF;
		w->line_start = true;
		return 1;
	}
	flush_end(w);
	const uint8_t *cr = memchr(p, '\r', n);
	size_t run = cr != NULL ? (size_t)(cr - p) : n;
	emit(w, p, run);
	if (cr == NULL)
		return n;
	w->end_held = HELD_CR;
	return run + 1;
}

static int take(struct mime_walk *w, const uint8_t *p, size_t n, size_t *used)
{
	switch (w->at) {
	case DELIMITER_PART:
	case DELIMITER_LAST:
		*used = take_delimiter(w, p, n);
		return 0;
	case HEADER:
		return take_header(w, p, n, used);
	default:
		*used = take_text(w, p, n);
		return 0;
	}
}

/* The held line is no boundary. */
static int let_go(struct mime_walk *w)
{
	uint8_t line[sizeof w->line];
	size_t n = w->held, used;
	memcpy(line, w->line, n);
	w->held = 0;
	w->line_start = false;
	if (w->at != HEADER)
		flush_end(w);
	for (size_t at = 0; at < n; at += used) {
		int err = take(w, line + at, n - at, &used);
		if (err != 0)
			return err;
		/* a line of less than a boundary's length is whole: the next begins behind it */
	}
	return 0;
}

int mime_walk(struct mime_walk *w, const uint8_t *p, size_t n)
{
	while (n > 0) {
		size_t used = 1;
		int err = 0;
		if (w->line_start && w->depth > 0 && w->at <= OUTSIDE) {
			struct delimiter d;
			w->line[w->held++] = *p;
			enum match m = match(w, *p == '\n', &d);
			if (m == YES)
				cross(w, &d);
			else if (m == NO)
				err = let_go(w);
		} else {
			err = take(w, p, n, &used);
		}
		if (err != 0)
			return err;
		p += used;
		n -= used;
	}
	return 0;
}

int mime_walk_end(struct mime_walk *w)
{
	struct delimiter d;
	if (w->held > 0 && match(w, true, &d) == YES) {
		cross(w, &d);
	} else if (w->held > 0) {
		int err = let_go(w);
		if (err != 0)
			return err;
	}
	if (w->at != HEADER)
		flush_end(w);
	end_leaf(w, true);
	return 0;
}
