/* smtpd/command.c: protocol. */
#include "smtpd/command.h"

#include <string.h>
#include <strings.h>

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static void skip_blanks(struct piece *p)
{
	while (p->len > 0 && is_blank(p->at[0])) {
		p->at++;
		p->len--;
	}
}

static void drop(struct piece *p, size_t n)
{
	p->at += n;
	p->len -= n;
}

void command_split(const uint8_t *line, size_t len, struct piece *verb, struct piece *args)
{
	size_t n = 0;
	while (n < len && !is_blank(line[n]))
		n++;
	*verb = (struct piece){line, n};
	*args = (struct piece){line + n, len - n};
	skip_blanks(args);
	while (args->len > 0 && is_blank(args->at[args->len - 1]))
		args->len--;
}

bool piece_is(const struct piece *p, const char *word)
{
	return strlen(word) == p->len && (p->len == 0 || strncasecmp((const char *)p->at, word, p->len) == 0);
}

static enum command_fault read_size(struct command_path *out, const struct piece *value)
{
	if (out->has_size || value->len == 0 || value->len > 20) /* RFC 1870 §3: 1*20DIGIT */
		return COMMAND_VALUE;
	uint64_t size = 0;
	for (size_t i = 0; i < value->len; i++) {
		unsigned digit = (unsigned)value->at[i] - '0';
		if (digit > 9)
			return COMMAND_VALUE;
		if (size > (UINT64_MAX - digit) / 10)
			size = UINT64_MAX;
		else
			size = size * 10 + digit;
	}
	out->has_size = true;
	out->size = size;
	return COMMAND_OK;
}

static enum command_fault read_body(struct command_path *out, const struct piece *value)
{
	bool eight = piece_is(value, "8BITMIME");
	if (out->has_body || (!eight && !piece_is(value, "7BIT")))
		return COMMAND_VALUE;
	out->has_body = true;
	out->body_8bit = eight;
	return COMMAND_OK;
}

struct parameter {
	const char *name;
	enum command_fault (*read)(struct command_path *out, const struct piece *value);
};

static const struct parameter mail_parameters[] = {{"SIZE", read_size}, {"BODY", read_body}, {NULL, NULL}};
static const struct parameter rcpt_parameters[] = {{NULL, NULL}};

/* esmtp-param = keyword ["=" value], each behind a blank */
static enum command_fault read_parameters(struct command_path *out, struct piece rest, const struct parameter *known)
{
	while (rest.len > 0) {
		if (!is_blank(rest.at[0]))
			return COMMAND_ADDRESS;
		skip_blanks(&rest);
		size_t word = 0;
		while (word < rest.len && !is_blank(rest.at[word]))
			word++;
		const uint8_t *equals = memchr(rest.at, '=', word);
		struct piece name = {rest.at, equals ? (size_t)(equals - rest.at) : word};
		struct piece value = {rest.at + word, 0};
		if (equals != NULL)
			value = (struct piece){equals + 1, word - name.len - 1};
		const struct parameter *row = known;
		while (row->name != NULL && !piece_is(&name, row->name))
			row++;
		enum command_fault fault = row->name ? row->read(out, &value) : COMMAND_PARAMETER;
		if (fault != COMMAND_OK)
			return fault;
		drop(&rest, word);
	}
	return COMMAND_OK;
}

static enum command_fault read_path(struct command_path *out, const struct piece *args, const char *keyword,
	unsigned allowed, const struct parameter *known)
{
	static const enum command_fault faults[] = {
		[ADDRESS_OK] = COMMAND_OK,
		[ADDRESS_SYNTAX] = COMMAND_ADDRESS,
		[ADDRESS_TOO_LONG] = COMMAND_LONG,
		[ADDRESS_8BIT] = COMMAND_8BIT,
	};
	*out = (struct command_path){.size = 0};
	struct piece rest = *args;
	size_t n = strlen(keyword);
	if (rest.len < n || strncasecmp((const char *)rest.at, keyword, n) != 0)
		return COMMAND_SYNTAX;
	drop(&rest, n);
	skip_blanks(&rest); /* not in the RFC, but widespread in old clients, and it means nothing else */
	size_t used = 0;
	enum address_result result = address_read_path(out->address, rest.at, rest.len, &used, allowed);
	if (result != ADDRESS_OK)
		return faults[result];
	drop(&rest, used);
	return read_parameters(out, rest, known);
}

enum command_fault command_read_mail(struct command_path *out, const struct piece *args)
{
	return read_path(out, args, "FROM:", ADDRESS_NULL, mail_parameters);
}

enum command_fault command_read_rcpt(struct command_path *out, const struct piece *args)
{
	return read_path(out, args, "TO:", ADDRESS_POSTMASTER, rcpt_parameters);
}
