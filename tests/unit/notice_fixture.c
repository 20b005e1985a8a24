/* tests/unit/notice_fixture.c: see notice_fixture.h. */
#include "tests/unit/notice_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reply reply_of(unsigned code, const char *enhanced, const char *text)
{
	struct reply r = {.code = (uint16_t)code};
	snprintf(r.enhanced, sizeof r.enhanced, "%s", enhanced);
	snprintf(r.text, sizeof r.text, "%s", text);
	return r;
}

struct path_try path_of(const char *at, const char *host, enum fault fault, struct reply reply)
{
	struct path_try p = {.preference = 10, .fault = fault, .total_ms = 1500, .reply = reply};
	snprintf(p.host, sizeof p.host, "%s", host);
	assert_int_equal(endpoint_parse(&p.to, at), 0);
	return p;
}

/* Every line ends in CRLF, is short enough and holds no NUL. */
static void check_lines(const struct buf *b)
{
	size_t line = 0;
	for (size_t i = 0; i < b->len; i++) {
		assert_int_not_equal(b->data[i], 0);
		if (b->data[i] == '\r') {
			assert_true(i + 1 < b->len && b->data[i + 1] == '\n');
		} else if (b->data[i] == '\n') {
			assert_true(i > 0 && b->data[i - 1] == '\r');
			assert_true(line <= 998);
			line = 0;
			continue;
		} else {
			line++;
		}
	}
	assert_int_equal(line, 0);
}

/* Cuts at the first empty line. */
static char *split_head(char *text)
{
	char *end = strstr(text, "\r\n\r\n");
	assert_non_null(end);
	end[2] = '\0';
	return end + 4;
}

static void parse(struct parsed *p, const struct buf *b)
{
	check_lines(b);
	p->text = strdup((const char *)b->data);
	assert_int_equal(strlen(p->text), b->len);
	p->head = p->text;
	char *body = split_head(p->text);
	const char *at = strstr(p->head, "boundary=\"");
	assert_non_null(at);
	char mark[80];
	snprintf(mark, sizeof mark, "\r\n--%.*s", (int)strcspn(at + 10, "\""), at + 10);
	char *next = strstr(body, mark);
	for (int i = 0; i < 3; i++) {
		assert_non_null(next);
		char *part = next + strlen(mark);
		assert_memory_equal(part, "\r\n", 2);
		*next = '\0';
		next = strstr(part, mark);
		assert_non_null(next);
		*next = '\0';
		p->part[i].head = part + 2;
		p->part[i].content = split_head(part + 2);
	}
	assert_string_equal(next + strlen(mark), "--\r\n");
}

struct notice input_of(const struct notice_rcpt *rcpts, unsigned n)
{
	static const char header[] = "From: a@example.org\r\nSubject: x\r\n\r\nbody is not shown\r\n";
	return (struct notice){.hostname = "relay.example.net",
		.notice_id = 77,
		.now_ms = ARRIVED + 5 * DAY,
		.id = UINT64_C(0x123456789abcdef),
		.arrival_ms = ARRIVED,
		.sender = "alice@example.org",
		.to = "alice@example.org",
		.waited_ms = 5 * DAY,
		.rcpts = rcpts,
		.rcpt_count = n,
		.content = (const uint8_t *)header,
		.content_len = sizeof header - 1};
}

void write_and_parse(struct parsed *p, const struct notice *in, unsigned expected_flags)
{
	struct buf out;
	buf_init(&out, NOTICE_MAX);
	unsigned flags = 0;
	assert_int_equal(notice_write(in, &out, &flags), 0);
	assert_int_equal(flags, expected_flags);
	parse(p, &out);
	buf_fini(&out);
}

unsigned read_fields(const char **at, struct field *out, unsigned most)
{
	unsigned n = 0;
	while (**at != '\0' && strncmp(*at, "\r\n", 2) != 0) {
		size_t line = strcspn(*at, "\r");
		if (**at == ' ' || **at == '\t') {
			assert_true(n > 0);
			size_t have = strlen(out[n - 1].value);
			snprintf(out[n - 1].value + have, sizeof out->value - have, "%.*s", (int)line, *at);
		} else {
			size_t name = strcspn(*at, ":");
			assert_true(name > 0 && name < line && n < most);
			for (size_t i = 0; i < name; i++)
				assert_true((*at)[i] > ' ' && (*at)[i] < 0x7f);
			snprintf(out[n].name, sizeof out->name, "%.*s", (int)name, *at);
			size_t gap = name + 1 + strspn(*at + name + 1, " ");
			snprintf(out[n].value, sizeof out->value, "%.*s", (int)(line - gap), *at + gap);
			n++;
		}
		*at += line + 2;
	}
	if (**at != '\0')
		*at += 2;
	return n;
}

const char *value_of(const struct field *f, unsigned n, const char *name)
{
	const char *found = NULL;
	for (unsigned i = 0; i < n; i++)
		if (strcasecmp(f[i].name, name) == 0) {
			assert_null(found);
			found = f[i].value;
		}
	return found;
}
