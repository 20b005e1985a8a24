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

enum command_fault command_read_path(
	struct command_path *out, const struct piece *args, const char *keyword, unsigned allowed)
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
	piece_skip_blanks(&rest); /* not in the RFC, but widespread in old clients, and it means nothing else */
	out->eight = false;
	for (size_t i = 0; i < rest.len && rest.at[i] != '>'; i++)
		out->eight |= rest.at[i] > 127;
	enum address_result result = address_read_path(out->address, rest.at, rest.len, &used, allowed);
	if (result != ADDRESS_OK)
		return out->eight ? COMMAND_8BIT : faults[result];
	drop(&rest, used);
	if (rest.len > 0 && !is_blank(rest.at[0]))
		return COMMAND_ADDRESS;
	out->rest = rest;
	return COMMAND_OK;
}
