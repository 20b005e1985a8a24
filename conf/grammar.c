/* conf/grammar.c: protocol. */
#include "conf/grammar.h"

#include <errno.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/utf8.h"

enum { CHUNK = 16384 };

struct chunk {
	struct chunk *next;
	size_t used;
	size_t size;
	alignas(max_align_t) char data[];
};

struct grammar {
	struct chunk *chunks;
};

struct parser {
	struct grammar *g;
	struct grammar_errors *errors;
	const uint8_t *start, *at, *end;
	struct grammar_place place; /* of `at` */
	unsigned depth;
	bool no_memory;
};

struct grammar *grammar_new(void)
{
	return calloc(1, sizeof(struct grammar));
}

void grammar_free(struct grammar *g)
{
	if (g == NULL)
		return;
	for (struct chunk *c = g->chunks, *next; c != NULL; c = next) {
		next = c->next;
		free(c);
	}
	free(g);
}

/* Zeroed memory that lives as long as the trees; `n` is at most a little more than a file. */
static void *take(struct grammar *g, size_t n)
{
	n = (n + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
	struct chunk *c = g->chunks;
	if (c == NULL || c->size - c->used < n) {
		size_t size = n > CHUNK ? n : CHUNK;
		c = calloc(1, sizeof *c + size);
		if (c == NULL)
			return NULL;
		c->size = size;
		c->next = g->chunks;
		g->chunks = c;
	}
	void *p = c->data + c->used;
	c->used += n;
	return p;
}

void grammar_error(struct grammar_errors *e, const struct grammar_place *at, const char *format, ...)
{
	if (e->count++ >= GRAMMAR_ERRORS_MAX) {
		if (e->count == GRAMMAR_ERRORS_MAX + 1)
			buf_append_str(e->text, "more errors follow; they are not shown\n");
		return;
	}
	size_t before = e->text->len;
	va_list args;
	va_start(args, format);
	int err = at->line ? buf_printf(e->text, "%s:%u:%u: ", at->file, at->line, at->column)
			   : buf_printf(e->text, "%s: ", at->file);
	if (err == 0)
		err = buf_vprintf(e->text, format, args);
	if (err == 0)
		err = buf_append_str(e->text, "\n");
	va_end(args);
	if (err != 0 && e->text->data != NULL) { /* no half lines */
		e->text->len = before;
		e->text->data[before] = 0;
	}
}

const char *grammar_show(const char *text, char out[GRAMMAR_SHOWN])
{
	size_t n = strlen(text), most = 60;
	if (n > most)
		for (n = most; n > 0 && ((uint8_t)text[n] & 0xc0) == 0x80; n--)
			;
	snprintf(out, GRAMMAR_SHOWN, "\"%.*s%s\"", (int)n, text, text[n] ? "…" : "");
	for (char *c = out; *c != '\0'; c++)
		if ((uint8_t)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return out;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_control(uint8_t c)
{
	return (c < 0x20 && !is_blank(c)) || c == 0x7f;
}

static void step(struct parser *p)
{
	if (*p->at == '\n') {
		p->place.line++;
		p->place.column = 1;
	} else if ((*p->at & 0xc0) != 0x80) {
		p->place.column++;
	}
	p->at++;
}

static bool at_comment(const struct parser *p)
{
	return *p->at == '#' && (p->at == p->start || is_blank(p->at[-1]));
}

/* Skips blanks and comments, up to the end of the line or past it. */
static void skip(struct parser *p, bool past_line)
{
	while (p->at < p->end) {
		if (at_comment(p))
			while (p->at < p->end && *p->at != '\n')
				step(p);
		else if (is_blank(*p->at) && (past_line || *p->at != '\n'))
			step(p);
		else
			break;
	}
}

/* The byte to come; the end of the file reads as the end of a line. */
static uint8_t ahead(const struct parser *p)
{
	return p->at < p->end ? *p->at : '\n';
}

/* What stands at `at`, for an error message. */
static const char *found(const struct parser *p, char out[GRAMMAR_SHOWN])
{
	if (p->at == p->end || *p->at == '\n') {
		snprintf(out, GRAMMAR_SHOWN, "%s", p->at == p->end ? "the end of the file" : "the end of the line");
		return out;
	}
	if (memchr("=,{}", *p->at, 4) != NULL) {
		snprintf(out, GRAMMAR_SHOWN, "'%c'", *p->at);
		return out;
	}
	char word[80];
	size_t n = 0;
	for (const uint8_t *c = p->at; c < p->end && n < sizeof word - 1 && !is_blank(*c) && !memchr(",{}", *c, 3); c++)
		word[n++] = is_control(*c) ? '?' : (char)*c;
	word[n] = '\0';
	return grammar_show(word, out);
}

static char *copy(struct parser *p, const uint8_t *from, size_t n)
{
	char *text = take(p->g, n + 1);
	if (text == NULL)
		p->no_memory = true;
	else
		memcpy(text, from, n);
	return text;
}

/* After a word: is what follows allowed to stand there without a blank? */
static bool ends_word(const struct parser *p, bool name)
{
	uint8_t c = ahead(p);
	return is_blank(c) || c == ',' || c == '{' || c == '}' || (name && c == '=');
}

/* `at` is the opening quote. NULL: an error, reported. */
static const char *read_quoted(struct parser *p, bool name)
{
	struct grammar_place opening = p->place;
	step(p);
	const uint8_t *from = p->at;
	while (p->at < p->end && *p->at != '"' && *p->at != '\n') {
		if (*p->at == '\\' && p->at + 1 < p->end && (p->at[1] == '"' || p->at[1] == '\\'))
			step(p);
		else if (*p->at == '\\')
			grammar_error(p->errors, &p->place, "a lone \\ in quotes; expected \\\\ or \\\"");
		step(p);
	}
	if (p->at == p->end || *p->at == '\n') {
		grammar_error(
			p->errors, &opening, "a quote that is not closed; expected '\"' before the end of the line");
		return NULL;
	}
	char *text = copy(p, from, (size_t)(p->at - from));
	step(p);
	if (text == NULL)
		return NULL;
	char *to = text;
	for (const char *c = text; *c != '\0'; *to++ = *c++)
		if (*c == '\\' && (c[1] == '"' || c[1] == '\\'))
			c++;
	*to = '\0';
	if (!ends_word(p, name)) {
		char shown[GRAMMAR_SHOWN];
		grammar_error(p->errors, &p->place, "%s after a closing quote; expected a blank or one of , { }",
			found(p, shown));
		return NULL;
	}
	return text;
}

/* Reads a name or a value. NULL: there is none, or an error, reported in either case; `expected` says what for. */
static const char *read_word(struct parser *p, bool name, const char *expected)
{
	char shown[GRAMMAR_SHOWN];
	if (ahead(p) == '"')
		return read_quoted(p, name);
	const uint8_t *from = p->at;
	while (!ends_word(p, name) && *p->at != '"')
		step(p);
	if (p->at == from) {
		grammar_error(p->errors, &p->place, "found %s; expected %s", found(p, shown), expected);
		return NULL;
	}
	if (ahead(p) == '"') {
		grammar_error(p->errors, &p->place, "a quote inside a word; expected the whole word in quotes");
		return NULL;
	}
	return copy(p, from, (size_t)(p->at - from));
}

/* Reads values separated by commas. False: an error, reported; what was read stays in the list. */
static bool read_list(struct parser *p, struct grammar_value **list, const char *expected)
{
	for (;;) {
		struct grammar_place at = p->place;
		const char *text = read_word(p, false, expected);
		if (text == NULL)
			return false;
		struct grammar_value *v = take(p->g, sizeof *v);
		if (v == NULL) {
			p->no_memory = true;
			return false;
		}
		*v = (struct grammar_value){.text = text, .at = at};
		*list = v;
		list = &v->next;
		skip(p, false);
		if (ahead(p) != ',')
			return true;
		step(p);
		skip(p, true);
		expected = "a value after the comma";
	}
}

static void read_items(struct parser *p, struct grammar_item **items, struct grammar_item *block);

/* Passes over a block that lies too deep, without a look at what it holds. */
static void skip_block(struct parser *p)
{
	unsigned open = 0;
	do {
		if (at_comment(p)) {
			skip(p, false);
			continue;
		}
		open += *p->at == '{';
		open -= *p->at == '}';
		step(p);
	} while (open > 0 && p->at < p->end);
}

/* `at` is the '{'. */
static void read_block(struct parser *p, struct grammar_item *block)
{
	if (p->depth == GRAMMAR_DEPTH_MAX) {
		grammar_error(p->errors, &p->place, "a block inside %d others; expected no more than that",
			GRAMMAR_DEPTH_MAX);
		skip_block(p);
		return;
	}
	step(p);
	p->depth++;
	read_items(p, &block->items, block);
	p->depth--;
}

/* After an error: goes on at the next line or before the '}' of the block around. A block begun by the words that were
 * not understood is read, so that its '}' closes nothing else. */
static void recover(struct parser *p)
{
	while (p->at < p->end && *p->at != '\n' && *p->at != '}') {
		if (*p->at == '{') {
			struct grammar_item dropped = {.at = p->place, .name = "?"};
			read_block(p, &dropped);
		} else if (at_comment(p)) {
			skip(p, false);
		} else {
			step(p);
		}
	}
}

/* What comes after the name. False: an error, reported. */
static bool read_rest(struct parser *p, struct grammar_item *item)
{
	char shown[GRAMMAR_SHOWN], after[GRAMMAR_SHOWN];
	skip(p, false);
	if (strcmp(item->name, "include") == 0) {
		item->kind = GRAMMAR_INCLUDE;
		if (ahead(p) == '=' || ahead(p) == '{') {
			grammar_error(p->errors, &p->place, "found %s after include; expected a file or a pattern",
				found(p, shown));
			return false;
		}
		return read_list(p, &item->values, "a file or a pattern after include");
	}
	if (ahead(p) == '=') {
		item->kind = GRAMMAR_SETTING;
		step(p);
		skip(p, false);
		return read_list(p, &item->values, "a value after '='");
	}
	item->kind = GRAMMAR_BLOCK;
	if (ahead(p) != '{' && !is_blank(ahead(p)) && ahead(p) != '}' && ahead(p) != ',') {
		if (!read_list(p, &item->values, "a title"))
			return false;
		skip(p, false);
	}
	if (ahead(p) != '{') {
		grammar_error(p->errors, &item->at,
			"%s stands alone; expected '=' and a value, or '{', on its line (a value with blanks needs "
			"quotes)",
			grammar_show(item->name, after));
		return false;
	}
	read_block(p, item);
	return true;
}

/* Reads items up to the '}' of `block`, or the end of the file if it is NULL. */
static void read_items(struct parser *p, struct grammar_item **items, struct grammar_item *block)
{
	char shown[GRAMMAR_SHOWN];
	while (!p->no_memory) {
		skip(p, true);
		if (p->at == p->end) {
			if (block != NULL) {
				block->broken = true;
				grammar_error(p->errors, &block->at, "block %s is not closed; expected '}'",
					grammar_show(block->name, shown));
			}
			return;
		}
		if (*p->at == '}') {
			struct grammar_place at = p->place;
			step(p);
			if (block != NULL)
				return;
			grammar_error(p->errors, &at, "found '}'; expected no more of them than of '{'");
			continue;
		}
		struct grammar_item read = {.at = p->place};
		read.name = read_word(p, true, "the name of a setting or a block");
		if (read.name == NULL || !read_rest(p, &read)) {
			recover(p);
			continue;
		}
		struct grammar_item *item = take(p->g, sizeof *item);
		if (item == NULL) {
			p->no_memory = true;
			return;
		}
		*item = read;
		*items = item;
		items = &item->next;
	}
}

/* Reports every byte that may not be there; inside words they do no harm afterwards. */
static void check_bytes(struct parser *p)
{
	while (p->at < p->end) {
		uint32_t code;
		size_t n = utf8_read(p->at, (size_t)(p->end - p->at), &code);
		bool lone_return = *p->at == '\r' && (p->at + 1 == p->end || p->at[1] != '\n');
		if (n == 0) {
			grammar_error(p->errors, &p->place, "byte 0x%02x is no UTF-8; expected UTF-8 text", *p->at);
			n = 1;
		} else if (is_control(*p->at) || lone_return || (code >= 0x80 && code < 0xa0)) {
			grammar_error(p->errors, &p->place, "control character 0x%02x; expected text", (unsigned)code);
		}
		while (n-- > 0)
			step(p);
	}
}

int grammar_parse(struct grammar *g, struct grammar_item **items, const char *file, const void *text, size_t len,
	struct grammar_errors *e)
{
	unsigned before = e->count;
	struct parser p = {.g = g, .errors = e, .start = text, .at = text};
	const char *name = copy(&p, (const uint8_t *)file, strlen(file));
	if (name == NULL)
		return -ENOMEM;
	if (len > GRAMMAR_FILE_MAX) {
		grammar_error(e, &(struct grammar_place){.file = name}, "%zu bytes; expected at most %d", len,
			GRAMMAR_FILE_MAX);
		return -EINVAL;
	}
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		p.start += 3;
	p.end = (const uint8_t *)text + len;
	p.at = p.start;
	p.place = (struct grammar_place){.file = name, .line = 1, .column = 1};
	check_bytes(&p);
	p.at = p.start;
	p.place = (struct grammar_place){.file = name, .line = 1, .column = 1};
	while (*items != NULL)
		items = &(*items)->next;
	read_items(&p, items, NULL);
	return p.no_memory ? -ENOMEM : e->count == before ? 0 : -EINVAL;
}
