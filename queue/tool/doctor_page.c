/* queue/tool/doctor_page.c: state. */
#include "queue/tool/doctor_page.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "queue/tool/text.h"

enum { STATUS = 7, CHECK = 12, GAP = 2, MARGIN = STATUS + GAP + CHECK + GAP, LEAST = 20, LINE_BYTES = 65536 };

static const char mend_mark[] = "> ";

/* How many bytes of `text` go into a line of `columns`: up to the last blank that fits, else as many as fit. */
static size_t line_length(const char *text, size_t columns)
{
	size_t last_blank = 0, n = 0;
	struct buf head;
	buf_init(&head, LINE_BYTES);
	for (; text[n] != '\0'; n++) {
		if (text[n] == ' ')
			last_blank = n;
		buf_append(&head, text + n, 1);
		bool whole = ((unsigned char)text[n + 1] & 0xc0) != 0x80; /* no byte of a character follows */
		if (whole && head.len != 0 && text_columns((const char *)head.data) > columns)
			break;
	}
	buf_fini(&head);
	if (text[n] == '\0')
		return n;
	while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	return last_blank != 0 ? last_blank : n > 0 ? n : 1;
}

/* Prints cleaned text in lines; the first begins where the cursor is, the others, and it if `first` is not NULL, at the
 * margin. */
static int print_wrapped(FILE *out, const char *text, const char *first, unsigned width)
{
	struct buf clean;
	size_t indent = first != NULL ? strlen(first) : 0, columns = width - MARGIN - indent;
	buf_init(&clean, LINE_BYTES);
	int err = text_clean(&clean, text, strlen(text));
	if (first != NULL)
		fprintf(out, "%*s%s", MARGIN, "", first);
	const char *at = clean.len != 0 ? (const char *)clean.data : "";
	for (bool more = err == 0; more;) {
		size_t n = line_length(at, columns);
		fprintf(out, "%.*s\n", (int)n, at);
		at += n;
		at += strspn(at, " ");
		more = *at != '\0';
		if (more)
			fprintf(out, "%*s", (int)(MARGIN + indent), "");
	}
	buf_fini(&clean);
	return err;
}

static const char *colour_of(enum finding_status s)
{
	static const char *const codes[FINDING_STATUS_COUNT] = {
		[FINDING_OK] = "\033[32m",
		[FINDING_UNKNOWN] = "",
		[FINDING_WARNING] = "\033[33m",
		[FINDING_ERROR] = "\033[31m",
	};
	return codes[s];
}

int doctor_page(const struct findings *f, FILE *out, unsigned width, bool colour)
{
	int err = 0;
	if (width < MARGIN + LEAST)
		width = MARGIN + LEAST;
	fprintf(out, "%-*s%-*sFOUND\n", STATUS + GAP, "STATUS", CHECK + GAP, "CHECK");
	for (size_t i = 0; i < f->count && err == 0; i++) {
		const struct finding *line = &f->items[i];
		const char *on = colour ? colour_of(line->status) : "";
		fprintf(out, "%s%-*s%s%*s%-*s", on, STATUS, finding_word(line->status), *on ? "\033[0m" : "", GAP, "",
			CHECK + GAP, line->check);
		err = print_wrapped(out, line->found, NULL, width);
		if (err == 0 && line->mend[0] != '\0')
			err = print_wrapped(out, line->mend, mend_mark, width);
	}
	fprintf(out, "\n%zu ok, %zu warnings, %zu errors, %zu unknown\n", findings_of(f, FINDING_OK),
		findings_of(f, FINDING_WARNING), findings_of(f, FINDING_ERROR), findings_of(f, FINDING_UNKNOWN));
	return err;
}

/* Prints `object` (taken over) on a line of its own. */
static int print_json(FILE *out, json_t *object)
{
	char *text = object != NULL ? json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	json_decref(object);
	if (text == NULL)
		return -ENOMEM;
	fprintf(out, "%s\n", text);
	free(text);
	return 0;
}

static json_t *clean_string(const char *text)
{
	struct buf clean;
	buf_init(&clean, LINE_BYTES);
	json_t *s = text_clean(&clean, text, strlen(text)) == 0
			    ? json_stringn(clean.len != 0 ? (const char *)clean.data : "", clean.len)
			    : NULL;
	buf_fini(&clean);
	return s;
}

int doctor_json(const struct findings *f, FILE *out)
{
	int err = 0;
	for (size_t i = 0; i < f->count && err == 0; i++) {
		const struct finding *line = &f->items[i];
		err = print_json(out, json_pack("{s:s,s:s,s:s,s:o,s:o}", "type", "finding", "check", line->check,
					      "status", finding_word(line->status), "found", clean_string(line->found),
					      "mend", clean_string(line->mend)));
	}
	if (err != 0)
		return err;
	return print_json(out,
		json_pack("{s:s,s:s,s:I,s:I,s:I,s:I}", "type", "end", "status", finding_word(findings_worst(f)), "ok",
			(json_int_t)findings_of(f, FINDING_OK), "warnings", (json_int_t)findings_of(f, FINDING_WARNING),
			"errors", (json_int_t)findings_of(f, FINDING_ERROR), "unknown",
			(json_int_t)findings_of(f, FINDING_UNKNOWN)));
}
