/* conf/texts.h: texts as values of a configuration, one and in lists: reply codes, enhanced status codes and patterns
 * of replies' texts. Protocol: pure. */
#ifndef CONF_TEXTS_H
#define CONF_TEXTS_H

#include "conf/buf.h"
#include "conf/conf.h"
#include "conf/grammar.h"

enum text_type {
	TEXT_CODE,    /* "550", "55x", "4xx": RFC 5321 §4.2, of refusals only */
	TEXT_STATUS,  /* "5.7.25", "4.7.*": RFC 3463 §2, of refusals only; "none": the reply has none */
	TEXT_PATTERN, /* printable ASCII, 3 to CONF_PATTERN_MAX bytes beside its `*`, which stand for anything */
};

/* Reads `values`, at most `most`, into the empty list `out`. 0; -ENOMEM; -EINVAL: then `bad` is the value that is
 * wrong, and `why` says what is wrong, or nothing if it is not of the type. */
int texts_read(struct conf_texts *out, enum text_type type, const struct grammar_value *values, size_t most,
	const struct grammar_value **bad, struct buf *why);
/* Is it one of the type? */
bool text_is(enum text_type type, const char *text);
/* What is expected, for people. */
const char *texts_expected(enum text_type type);
/* Appends the list as it would stand in a file. 0 or buf_append()'s errors. */
int texts_write(const struct conf_texts *list, struct buf *out);
/* The same of one text: in quotes if the grammar needs them. */
int text_write(const char *text, struct buf *out);
bool texts_equal(const struct conf_texts *a, const struct conf_texts *b);
/* Into an empty list. 0; -ENOMEM: it stays empty. */
int texts_copy(struct conf_texts *to, const struct conf_texts *from);
void texts_free(struct conf_texts *list); /* empties it */

#endif
