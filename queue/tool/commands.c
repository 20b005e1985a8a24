/* queue/tool/commands.c: protocol. */
#include "queue/tool/commands.h"

#include <string.h>

enum {
	FILTER = 1,
	REASON = 2,
	PAGE = 4,
	CONNECT = 8,
	READ_ONLY = 16,
	AFTER = 32,
	ACT = 64,
	REDIRECT = 128,
	SUSPEND = 256,
	FOLLOW = 512,
	DOCTOR = 1024,
	SURVEY = 2048,
	PIN = 4096,
	CONDITIONS = FILTER | REASON,
};

#define ACT_USAGE "[OPTIONS] ID... | - | CONDITIONS | --all"
#define ACT_DETAILS                                                                                                    \
	"Which messages: by their IDs (with - they are the first words of the lines of standard\n"                     \
	"input), or all that meet the conditions given, as in list; --all in so many words means\n"                    \
	"every message. --dry-run says what would be done, and does nothing.\n"

const struct command commands[COMMAND_COUNT] = {
	[COMMAND_LIST] = {"list", "[OPTIONS]", "list the messages in the queue",
		"On a terminal: pages of its height (Enter: next page, q: end). Into a pipe: every\n"
		"message on one line, fields separated by tabs: ID, sender, recipients, state,\n"
		"arrival, size, site, reason, and the next hops if it was redirected. All conditions\n"
		"given must hold. Exits 1 if conditions were given and no message met them.\n",
		CONDITIONS | AFTER | PAGE, false, 0, 0},
	[COMMAND_SHOW] = {"show", "ID...", "show a message, each attempt to deliver it, and its next try",
		"An ID may be shortened to any beginning that is unambiguous.\n", 0, false, 1, ANY_NUMBER},
	[COMMAND_CAT] = {"cat", "ID", "print a message as it will be sent",
		"Into a pipe: the exact bytes. On a terminal control bytes are escaped.\n", 0, false, 1, 1},
	[COMMAND_SUMMARY] = {"summary", "[--limit N]", "count the waiting recipients by destination and age",
		"The fullest destinations come first; --limit is how many (default 100). Suspended\n"
		"destinations are listed below.\n",
		PAGE, false, 0, 0},
	[COMMAND_REASONS] = {"reasons", "[OPTIONS]", "count the waiting recipients by destination and reason",
		"Reasons that differ only in addresses, numbers, times, identifiers and the like are one.\n"
		"The most frequent come first; --limit is how many (default 20). With each comes the ID\n"
		"of the oldest message. Into a pipe: recipients, messages, site, ID, reason, separated by\n"
		"tabs.\n",
		CONDITIONS | PAGE, false, 0, 0},
	[COMMAND_TAIL] = {"tail", "[OPTIONS]", "show what happens, as it happens",
		"Each event is a line as in the log, from level info on, whatever the log's own level.\n"
		"Who reads too slowly loses lines and is told how many. Ctrl-C ends it.\n",
		FOLLOW, false, 0, 0},
	[COMMAND_RETRY] = {"retry", ACT_USAGE, "make messages due now",
		"Also ends the rest of their destinations, by one probe.\n" ACT_DETAILS, CONDITIONS | ACT, true, 0,
		ANY_NUMBER},
	[COMMAND_HOLD] = {"hold", ACT_USAGE, "hold messages: they are not tried until released",
		"A message in transfer is held when the transfer ends.\n" ACT_DETAILS, CONDITIONS | ACT, true, 0,
		ANY_NUMBER},
	[COMMAND_RELEASE] = {"release", ACT_USAGE, "release messages that were held", ACT_DETAILS, CONDITIONS | ACT,
		true, 0, ANY_NUMBER},
	[COMMAND_REMOVE] = {"remove", ACT_USAGE, "remove messages for good, without a bounce",
		"A message in transfer is removed when the transfer ends.\n" ACT_DETAILS, CONDITIONS | ACT, true, 0,
		ANY_NUMBER},
	[COMMAND_BOUNCE] = {"bounce", ACT_USAGE, "return messages to their senders now",
		"All recipients that are not finished fail, held ones too, and the sender gets a bounce\n"
		"with your --because. A message in transfer is returned when the transfer ends.\n" ACT_DETAILS,
		CONDITIONS | ACT, true, 0, ANY_NUMBER},
	[COMMAND_REDIRECT] = {"redirect", "--to RELAY | --undo ID... | - | CONDITIONS | --all",
		"send messages to another next hop",
		"RELAY is what route { relay } takes: HOST, [HOST] or an address, may be with :PORT, or\n"
		"several of them separated by commas. It holds until --undo (or --to -), across restarts.\n"
		"The messages are due now.\n" ACT_DETAILS,
		CONDITIONS | ACT | REDIRECT, true, 0, ANY_NUMBER},
	[COMMAND_SUSPEND] = {"suspend", "SITE [--for TIME] [--because TEXT]",
		"make no new connections to a destination",
		"SITE is as in summary, or a shell pattern of sites ('*.example.com'); it need not exist\n"
		"yet. Its mail waits, and says so; it is not given up before it was tried again. Deliveries\n"
		"under way end. It holds until resumed or for the time of --for, across restarts.\n",
		SUSPEND | REASON, false, 1, 1},
	[COMMAND_RESUME] = {"resume", "SITE", "let mail flow to a suspended destination again",
		"SITE is as it was suspended, or a shell pattern: '*' resumes all.\n", 0, false, 1, 1},
	[COMMAND_PIN] = {"pin", "[SITE ipv4|ipv6 [--for TIME]]", "send mail to a destination over one family first",
		"The other family is used only where no path of this one works. SITE is as in summary; it\n"
		"holds until unpin or for the time of --for, across restarts. Without SITE: what is\n"
		"pinned; into a pipe site, family, end, who, separated by tabs.\n",
		PIN, false, 0, 2},
	[COMMAND_UNPIN] = {"unpin", "SITE", "let what is remembered decide again which family goes first", "", 0, false,
		1, 1},
	[COMMAND_PATH] = {"path", "SITE", "show what is remembered of the paths to a destination",
		"Of each address family there, of each address of its mail servers, and of own source\n"
		"addresses that rest there: how it stands, usual times from the start to connection and\n"
		"greeting, counts (they fade), the last fault; and a pin. SITE is as in summary, or one of\n"
		"its hosts, or a domain. Into a pipe, separated by tabs: what it is (family, address,\n"
		"source), the path, good, broken, refused, resting or unknown, both times in milliseconds,\n"
		"successes, faults, refusals, the last fault and its time, and how it stands in words.\n",
		0, false, 1, 1},
	[COMMAND_FAMILIES] = {"families", "[--limit N]",
		"what went over IPv4 and IPv6, and where one of them is broken",
		"The last hour and the last day: mail, delays, bytes; races, who won them and by how much;\n"
		"connections that were not needed; mail that left a family and why. Below it the sites at\n"
		"which a family is out of use now; --limit is how many (default 50). The page to show to\n"
		"those who run the network.\n",
		PAGE, false, 0, 0},
	[COMMAND_TRACE] = {"trace", "DOMAIN [--connect]",
		"show the route to a domain and the addresses that would be tried",
		"With each address comes what is remembered of it. --connect tries them now, sends no mail\n"
		"and shows how each path fared.\n",
		CONNECT, false, 1, 1},
	[COMMAND_CONFIG] = {"config", "[KEY | BLOCK | BLOCK.KEY]",
		"show the settings in force and where each comes from",
		"A route or listener may be named by its title, too.\n", 0, false, 0, 1},
	[COMMAND_STATUS] = {"status", "", "show the daemon's state and what it has counted", "", 0, false, 0, 0},
	[COMMAND_VERIFY] = {"verify", "DIR [--read-only]", "check every record and body of a spool that is not in use",
		"Needs no daemon. A spool in use is refused unless --read-only; then what is being written\n"
		"meanwhile may be reported as torn. Exits 65 if something is damaged.\n",
		READ_ONLY, false, 1, 1},
	[COMMAND_DOCTOR] = {"doctor", "[--sender DOMAIN]... [--probe HOST[:PORT]]... [OPTIONS]",
		"find what is wrong with this host as a sender over both families",
		"Looks at addresses, routes, PTR records, names in EHLO, SPF, port 25, DNS servers,\n"
		"listeners, clock, files and the spool. Each line says ok, warning or error, or unknown\n"
		"where it cannot be told, and > how to mend it. relayq(1) lists the checks.\n"
		"Needs no daemon and, but for some lines, not root. No mail is sent.\n"
		"Exits 0: no warning, no error; 1: warnings; 2: errors.\n",
		DOCTOR, false, 0, 0},
	[COMMAND_SURVEY] = {"survey", "FILE | - [OPTIONS]",
		"count which families the mail servers of many domains have",
		"FILE has a domain a line, and behind it, if it is known, how much mail goes there; # begins\n"
		"a comment. The DNS is asked for MX, A and AAAA. The table says how many domains have mail\n"
		"servers with both families or with one, and what share of them, and of the mail, a server\n"
		"that has one family only cannot send to.\n"
		"With --results each answer is kept as it comes; with --resume, too, it goes on behind them.\n"
		"Needs no daemon. Exits 1 if a line named no domain or a domain got no answer.\n",
		SURVEY, false, 1, 1},
	[COMMAND_VERSION] = {"version", "", "show the versions of relayq and of the daemon", "", 0, false, 0, 0},
	[COMMAND_HELP] = {"help", "[COMMAND]", "show all commands, or the page of one", "", 0, false, 0, 1},
};

#define AT(member) offsetof(struct options, member)
const struct command_option command_options[] = {
	{"-c", OPTION_TEXT, 0, false, AT(socket), "SOCKET",
		"control socket of the daemon (else RELAY64_CONTROL, else the usual places)"},
	{"--json", OPTION_FLAG, 0, false, AT(json), NULL, "one JSON object a line"},
	{"--sender", OPTION_TEXT, FILTER | FOLLOW, true, AT(sender), "ADDRESS",
		"of this sender; @DOMAIN; <> is the null sender"},
	{"--sender", OPTION_TEXTS, DOCTOR, false, AT(senders), "DOMAIN",
		"whose SPF record is to let this host pass (or LOCAL@DOMAIN); again for more"},
	{"--rcpt", OPTION_TEXT, FILTER | FOLLOW, true, AT(rcpt), "ADDRESS",
		"with this unfinished recipient; or @DOMAIN"},
	{"--site", OPTION_TEXT, FILTER | FOLLOW, true, AT(site), "SITE", "waiting for this destination (see summary)"},
	{"--domain", OPTION_TEXT, FILTER, true, AT(domain), "DOMAIN", "with an unfinished recipient in this domain"},
	{"--state", OPTION_TEXT, FILTER, true, AT(state), "STATE",
		"active, ready, routing, resting, suspended, deferred or held"},
	{"--older", OPTION_TIME, FILTER, true, AT(older_ms), "TIME",
		"in the queue for longer than 30s, 5m, 4h, 2d, 1w"},
	{"--younger", OPTION_TIME, FILTER, true, AT(younger_ms), "TIME", "in the queue for less than that"},
	{"--larger", OPTION_SIZE, FILTER, true, AT(larger), "SIZE", "larger than 500, 10K, 5M bytes"},
	{"--reason", OPTION_TEXT, REASON, true, AT(reason), "TEXT",
		"the reason for waiting contains this; with IDs, and of suspend: as --because"},
	{"--after", OPTION_TEXT, AFTER, true, AT(after), "ID", "only messages behind this one"},
	{"--limit", OPTION_COUNT, PAGE, false, AT(limit), "N", "at most so many"},
	{"--because", OPTION_TEXT, ACT | SUSPEND, false, AT(because), "TEXT", "why, for log, show and bounce"},
	{"--all", OPTION_FLAG, ACT, false, AT(all), NULL, "every message in the queue"},
	{"--dry-run", OPTION_FLAG, ACT, false, AT(dry_run), NULL, "say what would be done, change nothing"},
	{"--to", OPTION_TEXT, REDIRECT, false, AT(to), "RELAY", "the next hop; - is as --undo"},
	{"--undo", OPTION_FLAG, REDIRECT, false, AT(undo), NULL, "back to what its routes say"},
	{"--for", OPTION_TIME, SUSPEND | PIN, false, AT(for_ms), "TIME", "end by itself after that, such as 30m, 2h"},
	{"--id", OPTION_TEXT, FOLLOW, false, AT(id), "ID", "of messages whose ID begins so, and bounces of them"},
	{"--event", OPTION_TEXT, FOLLOW, false, AT(event), "WORD,...", "only these: delivered, deferred, failed, ..."},
	{"--connect", OPTION_FLAG, CONNECT, false, AT(connect), NULL, "connect now and show how each path fared"},
	{"--read-only", OPTION_FLAG, READ_ONLY, false, AT(read_only), NULL, "also look at a spool that a daemon uses"},
	{"--config", OPTION_TEXT, DOCTOR, false, AT(config), "FILE",
		"configuration (else that of the usual place, else what the daemon says)"},
	{"--probe", OPTION_TEXTS, DOCTOR, false, AT(probes), "HOST",
		"mail server (or HOST:PORT) to connect to over both families; again for more"},
	{"--config", OPTION_TEXT, SURVEY, false, AT(config), "FILE",
		"configuration, for its dns { } and nat64 (else that of the usual place)"},
	{"--resolver", OPTION_TEXTS, SURVEY, false, AT(resolvers), "ADDRESS",
		"DNS server (or ADDRESS:PORT) in place of the configuration's; again for more"},
	{"--rate", OPTION_COUNT, SURVEY, false, AT(rate), "N", "domains a second at most (50)"},
	{"--in-flight", OPTION_COUNT, SURVEY, false, AT(in_flight), "N", "domains asked about at a time (100)"},
	{"--results", OPTION_TEXT, SURVEY, false, AT(results), "FILE", "keep each answer there as it comes"},
	{"--resume", OPTION_FLAG, SURVEY, false, AT(resume), NULL, "ask only about what --results does not have yet"},
	{"--csv", OPTION_FLAG, SURVEY, false, AT(csv), NULL, "a line a domain, fields separated by commas"},
	{"--timeout", OPTION_TIME, DOCTOR, false, AT(timeout_ms), "TIME", "for all of it together (10s)"},
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
		{"return", "bounce"}, {"fail", "bounce"}, {"reroute", "redirect"}, {"pause", "suspend"},
		{"stop", "suspend"}, {"start", "resume"}, {"continue", "resume"}, {"watch", "tail"}, {"follow", "tail"},
		{"log", "tail"}, {"qshape", "summary"}, {"why", "reasons"}, {"conf", "config"}, {"settings", "config"},
		{"check", "verify"}, {"fsck", "verify"}, {"census", "survey"}};
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

static bool has_option(const struct command *c, const struct command_option *o)
{
	return o->bit == 0 || c == NULL || (c->options & o->bit) != 0;
}

const char *option_suggest(const struct command *c, const char *name)
{
	const char *best = NULL;
	unsigned least = 3;
	for (unsigned i = 0; i < command_option_count; i++) {
		const struct command_option *o = &command_options[i];
		unsigned d = has_option(c, o) ? distance(name, o->name) : NAME;
		if (d < least && d + 2 < strlen(o->name)) {
			least = d;
			best = o->name;
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
