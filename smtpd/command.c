/* smtpd/command.c: protocol. */
#include "smtpd/command.h"

#include <string.h>
#include <strings.h>

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
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
	piece_skip_blanks(args);
	while (args->len > 0 && is_blank(args->at[args->len - 1]))
		args->len--;
}

/* Ends at the first blank outside of quotes. */
static size_t length_of_bare(const struct piece *p)
{
	bool quoted = false;
	size_t n = 0;
	for (; n < p->len && (quoted || !is_blank(p->at[n])); n++) {
		if (quoted && p->at[n] == '\\' && n + 1 < p->len)
			n++;
		else if (p->at[n] == '"')
			quoted = !quoted;
	}
	return n;
}

/* An address without brackets is read as if it had them. */
static enum address_result read_bare(char out[ADDRESS_TEXT], const struct piece *p, size_t *used, unsigned allowed)
{
	uint8_t path[ADDRESS_PATH_MAX];
	size_t n = length_of_bare(p), read = 0;
	if (n == 0)
		return ADDRESS_SYNTAX;
	if (n + 2 > sizeof path)
		return ADDRESS_TOO_LONG;
	path[0] = '<';
	memcpy(path + 1, p->at, n);
	path[n + 1] = '>';
	enum address_result result = address_read_path(out, path, n + 2, &read, allowed);
	if (result == ADDRESS_OK && read != n + 2)
		return ADDRESS_SYNTAX;
	*used = n;
	return result;
}

enum command_fault command_read_path(
	struct command_path *out, const struct piece *args, const char *keyword, unsigned allowed, bool lenient)
{
	static const enum command_fault faults[] = {
		[ADDRESS_OK] = COMMAND_OK,
		[ADDRESS_SYNTAX] = COMMAND_ADDRESS,
		[ADDRESS_TOO_LONG] = COMMAND_LONG,
		[ADDRESS_8BIT] = COMMAND_8BIT,
	};
	struct piece rest = *args;
	size_t n = strlen(keyword), used = 0;
	if (rest.len < n || strncasecmp((const char *)rest.at, keyword, n) != 0)
		return COMMAND_SYNTAX;
	drop(&rest, n);
	if (lenient)
		piece_skip_blanks(&rest);
	bool bare = lenient && rest.len > 0 && rest.at[0] != '<';
	size_t path = bare ? length_of_bare(&rest) : rest.len;
	out->eight = false;
	for (size_t i = 0; i < path && rest.at[i] != '>'; i++)
		out->eight |= rest.at[i] > 127;
	enum address_result result = bare ? read_bare(out->address, &rest, &used, allowed)
					  : address_read_path(out->address, rest.at, rest.len, &used, allowed);
	if (result != ADDRESS_OK)
		return out->eight ? COMMAND_8BIT : faults[result];
	drop(&rest, used);
	if (rest.len > 0 && !is_blank(rest.at[0]))
		return COMMAND_ADDRESS;
	out->rest = rest;
	return COMMAND_OK;
}
