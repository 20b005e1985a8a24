/* queue/oracle/reply.c: protocol. */
#include "queue/oracle/reply.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *word;
	unsigned code;
} answers[] = {
	[ORACLE_FOUND] = {"OK", 200},
	[ORACLE_NOT_FOUND] = {"NOTFOUND", 500},
	[ORACLE_LATER] = {"TEMP", 400},
	[ORACLE_TIMED_OUT] = {"TIMEOUT", 400},
	[ORACLE_WRONG] = {"PERM", 400},
};

static bool prints(char c)
{
	return c >= ' ' && c <= '~';
}

static size_t write_netstring(char out[ORACLE_REPLY_MAX], enum oracle_answer answer, const char *text)
{
	char body[ORACLE_TEXT_MAX + 16];
	int n = snprintf(body, sizeof body, "%s %.*s", answers[answer].word, (int)ORACLE_TEXT_MAX,
		answer == ORACLE_NOT_FOUND ? "" : text);
	for (char *c = body; *c != '\0'; c++)
		*c = (char)(prints(*c) ? *c : '?');
	return (size_t)snprintf(out, ORACLE_REPLY_MAX, "%d:%s,", n, body);
}

static size_t write_line(char out[ORACLE_REPLY_MAX], enum oracle_answer answer, const char *text)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = (size_t)snprintf(out, ORACLE_REPLY_MAX, "%u ", answers[answer].code);
	for (size_t i = 0; i < ORACLE_TEXT_MAX && text[i] != '\0'; i++) {
		char c = text[i];
		if (prints(c) && c != '%' && (c != ' ' || answer != ORACLE_FOUND)) {
			out[n++] = c;
			continue;
		}
		out[n++] = '%';
		out[n++] = hex[(uint8_t)c >> 4];
		out[n++] = hex[(uint8_t)c & 15];
	}
	out[n++] = '\n';
	out[n] = '\0';
	return n;
}

_Static_assert(ORACLE_REPLY_MAX > 3 * ORACLE_TEXT_MAX + 16, "each byte may become %XX");

size_t oracle_reply_write(
	char out[ORACLE_REPLY_MAX], enum oracle_protocol protocol, enum oracle_answer answer, const char *text)
{
	return protocol == ORACLE_SOCKETMAP ? write_netstring(out, answer, text) : write_line(out, answer, text);
}
