/* queue/tool/commands.c: protocol. */
#include "queue/tool/commands.h"

#include <string.h>

enum { FILTER = 1, REASON = 2, PAGE = 4, CONNECT = 8, READ_ONLY = 16 };

const struct command commands[COMMAND_COUNT] = {
	[COMMAND_LIST] = {"list", "[OPTIONS]", "list the messages in the queue",
		"On a terminal: pages of its height (Enter: next page, q: end). Into a pipe: every\n"
		"message on one line, fields separated by tabs: ID, sender, recipients, state,\n"
		"arrival, size, site, reason. All conditions given must hold.\n"
		"Exits 1 if conditions were given and no message met them.\n",
		FILTER | REASON | PAGE, 0, 0},
	[COMMAND_SHOW] = {"show", "ID...", "show a message, each attempt to deliver it, and its next try",
		"An ID may be shortened to any beginning that is unambiguous.\n", 0, 1, ANY_NUMBER},
	[COMMAND_CAT] = {"cat", "ID", "print a message as it will be sent",
		"Into a pipe: the exact bytes. On a terminal control bytes are escaped.\n", 0, 1, 1},
	[COMMAND_SUMMARY] = {"summary", "[--limit N]", "count the waiting recipients by destination and age",
		"The fullest destinations come first; --limit is how many (default 100).\n", PAGE, 0, 0},
	[COMMAND_RETRY] = {"retry", "ID... | -", "make messages due now",
		"Also ends the rest of their destinations, by one probe. With - the IDs are the first\n"
		"words of the lines of standard input: relayq list --site X | relayq retry -\n",
		0, 1, ANY_NUMBER},
	[COMMAND_HOLD] = {"hold", "[--reason TEXT] ID... | -", "hold messages: they are not tried until released",
		"A message in transfer is held when the transfer ends. - reads IDs from standard input.\n", REASON, 1,
		ANY_NUMBER},
	[COMMAND_RELEASE] = {"release", "ID... | -", "release messages that were held",
		"- reads IDs from standard input.\n", 0, 1, ANY_NUMBER},
	[COMMAND_REMOVE] = {"remove", "[--reason TEXT] ID... | -", "remove messages for good, without a bounce",
		"A message in transfer is removed when the transfer ends. - reads IDs from standard input.\n", REASON,
		1, ANY_NUMBER},
	[COMMAND_TRACE] = {"trace", "DOMAIN [--connect]",
		"show the route to a domain and the addresses that would be tried",
		"With each address comes what is remembered of it. --connect tries them now, sends no mail\n"
		"and shows how each path fared.\n",
		CONNECT, 1, 1},
	[COMMAND_STATUS] = {"status", "", "show the daemon's state and what it has counted", "", 0, 0, 0},
	[COMMAND_VERIFY] = {"verify", "DIR [--read-only]", "check every record and body of a spool that is not in use",
		"Needs no daemon. A spool in use is refused unless --read-only; then what is being written\n"
		"meanwhile may be reported as torn. Exits 65 if something is damaged.\n",
		READ_ONLY, 1, 1},
	[COMMAND_VERSION] = {"version", "", "show the versions of relayq and of the daemon", "", 0, 0, 0},
	[COMMAND_HELP] = {"help", "[COMMAND]", "show all commands, or the page of one", "", 0, 0, 1},
};

#define AT(member) offsetof(struct options, member)
const struct command_option command_options[] = {
	{"-c", OPTION_TEXT, 0, AT(socket), "SOCKET",
		"control socket of the daemon (else RELAY64_CONTROL, else the usual places)"},
	{"--json", OPTION_FLAG, 0, AT(json), NULL, "one JSON object a line"},
	{"--sender", OPTION_TEXT, FILTER, AT(sender), "ADDRESS", "of this sender; @DOMAIN; <> is the null sender"},
	{"--rcpt", OPTION_TEXT, FILTER, AT(rcpt), "ADDRESS", "with this unfinished recipient; or @DOMAIN"},
	{"--site", OPTION_TEXT, FILTER, AT(site), "SITE", "waiting for this destination (see summary)"},
	{"--domain", OPTION_TEXT, FILTER, AT(domain), "DOMAIN", "with an unfinished recipient in this domain"},
	{"--state", OPTION_TEXT, FILTER, AT(state), "STATE", "active, ready, routing, resting, deferred or held"},
	{"--older", OPTION_TIME, FILTER, AT(older_ms), "TIME", "in the queue for longer than 30s, 5m, 4h, 2d, 1w"},
	{"--younger", OPTION_TIME, FILTER, AT(younger_ms), "TIME", "in the queue for less than that"},
	{"--larger", OPTION_SIZE, FILTER, AT(larger), "SIZE", "larger than 500, 10K, 5M bytes"},
	{"--reason", OPTION_TEXT, REASON, AT(reason), "TEXT",
		"list: the reason for waiting contains this; else: why, for log and show"},
	{"--after", OPTION_TEXT, FILTER, AT(after), "ID", "only messages behind this one"},
	{"--limit", OPTION_COUNT, PAGE, AT(limit), "N", "at most so many"},
	{"--connect", OPTION_FLAG, CONNECT, AT(connect), NULL, "connect now and show how each path fared"},
	{"--read-only", OPTION_FLAG, READ_ONLY, AT(read_only), NULL, "also look at a spool that a daemon uses"},
};
const unsigned command_option_count = sizeof command_options / sizeof command_options[0];

const struct command *command_find(const char *name)
{
	for (unsigned i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

enum { NAME = 16 };

/* How many letters must be put in, taken out, changed or swapped with the next to turn one into the other. */
static unsigned distance(const char *a, const char *b)
{
	unsigned d[NAME + 1][NAME + 1];
	size_t n = strlen(a), m = strlen(b);
	if (n > NAME || m > NAME)
		return NAME;
	for (size_t i = 0; i <= n; i++) {
		for (size_t k = 0; k <= m; k++) {
			if (i == 0 || k == 0) {
				d[i][k] = (unsigned)(i + k);
				continue;
			}
			unsigned best = d[i - 1][k - 1] + (a[i - 1] != b[k - 1]);
			if (d[i - 1][k] + 1 < best)
				best = d[i - 1][k] + 1;
			if (d[i][k - 1] + 1 < best)
				best = d[i][k - 1] + 1;
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] &&
				d[i - 2][k - 2] + 1 < best)
				best = d[i - 2][k - 2] + 1;
			d[i][k] = best;
		}
	}
	return d[n][m];
}

const char *command_suggest(const char *name)
{
	/* what other mail systems call it */
	static const char *const others[][2] = {{"ls", "list"}, {"queue", "list"}, {"mailq", "list"},
		{"flush", "retry"}, {"kick", "retry"}, {"delete", "remove"}, {"rm", "remove"}, {"del", "remove"},
		{"unhold", "release"}, {"freeze", "hold"}, {"thaw", "release"}, {"stats", "status"},
		{"check", "verify"}, {"fsck", "verify"}};
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (strcmp(others[i][0], name) == 0)
			return others[i][1];
	const char *best = NULL;
	unsigned least = 3;
	for (unsigned i = 0; i < COMMAND_COUNT; i++) {
		unsigned d = distance(name, commands[i].name);
		if (d < least && d < strlen(commands[i].name)) {
			least = d;
			best = commands[i].name;
		}
	}
	return best;
}

static void option_line(FILE *out, const struct command_option *o)
{
	char left[40];
	snprintf(left, sizeof left, "%s%s%s", o->name, o->value != NULL ? " " : "", o->value != NULL ? o->value : "");
	fprintf(out, "  %-18s  %s\n", left, o->help);
}

void command_help(FILE *out, const struct command *c)
{
	if (c != NULL)
		fprintf(out, "usage: relayq [-c SOCKET] [--json] %s%s%s\n\n%c%s.\n%s", c->name, c->usage[0] ? " " : "",
			c->usage, c->summary[0] - 'a' + 'A', c->summary + 1, c->details);
	else
		fprintf(out, "usage: relayq [-c SOCKET] [--json] COMMAND ...\n\nLooks into the queue of relay64 and "
			     "acts on it.\n\n"
			     "Commands:\n");
	for (unsigned i = 0; c == NULL && i < COMMAND_COUNT; i++)
		fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].summary);
	fprintf(out, "\nOptions:\n");
	for (unsigned i = 0; i < command_option_count; i++)
		if (command_options[i].bit == 0 || (c != NULL && (c->options & command_options[i].bit)))
			option_line(out, &command_options[i]);
	if (c == NULL)
		fprintf(out, "\nrelayq help COMMAND shows the page of a command; relayq(1) has examples and the exit "
			     "codes.\n");
}
