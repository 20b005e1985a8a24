/* queue/tool/commands.h: the one table of relayq's commands and options, and what they set; the help pages
 * come from it. Protocol: pure. */
#ifndef QUEUE_TOOL_COMMANDS_H
#define QUEUE_TOOL_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum command_id {
	COMMAND_LIST,
	COMMAND_SHOW,
	COMMAND_CAT,
	COMMAND_SUMMARY,
	COMMAND_REASONS,
	COMMAND_TAIL,
	COMMAND_RETRY,
	COMMAND_HOLD,
	COMMAND_RELEASE,
	COMMAND_REMOVE,
	COMMAND_BOUNCE,
	COMMAND_REDIRECT,
	COMMAND_SUSPEND,
	COMMAND_RESUME,
	COMMAND_PIN,
	COMMAND_UNPIN,
	COMMAND_PATH,
	COMMAND_FAMILIES,
	COMMAND_TRACE,
	COMMAND_CONFIG,
	COMMAND_STATUS,
	COMMAND_VERIFY,
	COMMAND_DOCTOR,
	COMMAND_SURVEY,
	COMMAND_VERSION,
	COMMAND_HELP,
	COMMAND_COUNT
};

enum { ANY_NUMBER = -1 };

struct command {
	const char *name;
	const char *usage;   /* arguments */
	const char *summary; /* one line */
	const char *details; /* further lines, each ended; "" */
	unsigned options;    /* bits of command_option's rows, besides those for all */
	bool acts;	     /* on messages: by IDs, by conditions, or on all */
	int least, most;     /* arguments; ANY_NUMBER */
};
extern const struct command commands[COMMAND_COUNT];

/* The values of an option that may be given again and again, in their order. */
enum { OPTION_VALUES_MAX = 16 };
struct option_values {
	const char *items[OPTION_VALUES_MAX];
	unsigned count;
};

enum { SURVEY_RATE = 50, SURVEY_IN_FLIGHT = 100 };

/* What a command line says. */
struct options {
	const struct command *command;
	const char *socket; /* -c; NULL */
	bool json;
	/* conditions, and which page; NULL and 0: not given */
	const char *sender, *rcpt, *site, *domain, *state, *after;
	uint64_t older_ms, younger_ms, larger, limit;
	const char *reason; /* a condition */
	/* what changes something; NULL and 0: not given */
	const char *because, *to;
	uint64_t for_ms;
	bool undo, all, dry_run;
	const char *id, *event; /* tail */
	bool connect;		/* trace */
	bool read_only;		/* verify */
	const char *config;	/* doctor, survey */
	/* doctor */
	struct option_values senders, probes;
	uint64_t timeout_ms;
	/* survey */
	struct option_values resolvers;
	uint64_t rate, in_flight; /* SURVEY_RATE, SURVEY_IN_FLIGHT if they are not given */
	const char *results;
	bool resume, csv;
	char *const *args; /* what follows, options taken out */
	int arg_count;
};

/* OPTION_TEXTS: a text, again for more (struct option_values). */
enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_TEXTS, OPTION_TIME, OPTION_SIZE, OPTION_COUNT };
/* Rows of one name are one option, which means something else to other commands: all of them take a value, or none. */
struct command_option {
	const char *name; /* with its dashes */
	enum option_kind kind;
	unsigned bit;	   /* of commands that have it; 0: all */
	bool condition;	   /* names messages */
	size_t at;	   /* in struct options */
	const char *value; /* what stands for it in help; NULL for flags */
	const char *help;
};
extern const struct command_option command_options[];
extern const unsigned command_option_count;

const struct command *command_find(const char *name);
/* The name that was probably meant, or NULL. */
const char *command_suggest(const char *name);
/* The option of the command (NULL: of any) that was probably meant, or NULL. */
const char *option_suggest(const struct command *c, const char *name);
/* A page on one command, or, with NULL, the list of all. */
void command_help(FILE *out, const struct command *c);

#endif
