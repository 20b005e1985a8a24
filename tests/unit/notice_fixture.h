/* tests/unit/notice_fixture.h: notices read back: cut into their parts, and the report's fields taken apart, for the
 * tests of what they say. */
#ifndef TESTS_UNIT_NOTICE_FIXTURE_H
#define TESTS_UNIT_NOTICE_FIXTURE_H

#include "conf/clock.h"
#include "queue/mail/compose.h"
#include "queue/mail/envelope.h"

#define ARRIVED UINT64_C(1795000000000)
#define DAY UINT64_C(86400000)

/* A notice taken apart: the header and three parts, each with its own header and content, 0-terminated. */
struct parsed {
	char *text;
	char *head;
	struct {
		char *head, *content;
	} part[3];
};

struct field {
	char name[64], value[2048];
};

struct reply reply_of(unsigned code, const char *enhanced, const char *text);
/* A path of an attempt; `at`: "192.0.2.1:25". */
struct path_try path_of(const char *at, const char *host, enum fault fault, struct reply reply);

/* A notice of failure to alice@example.org, five days after the message came. */
struct notice input_of(const struct notice_rcpt *rcpts, unsigned n);
/* Writes the notice, checks its lines and takes it apart; `p->text` is the caller's to free. */
void write_and_parse(struct parsed *p, const struct notice *in, unsigned expected_flags);

/* ---- the report, read as RFC 3464 writes it ---- */

/* Reads one block of fields, unfolded; stands behind its empty line afterwards. Every line is a field's or goes on with
 * one. */
unsigned read_fields(const char **at, struct field *out, unsigned most);
/* The one field of that name; NULL if there is none. */
const char *value_of(const struct field *f, unsigned n, const char *name);

#define HAS(text, what) assert_non_null(strstr((text), (what)))
#define HAS_NOT(text, what) assert_null(strstr((text), (what)))
#define IS(name, text) assert_string_equal(value_of(f, n, name), text)

#endif
