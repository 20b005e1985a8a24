/* queue/tool/options.c: protocol. */
#include "queue/tool/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A whole number and one of the units; a number alone is in the unit of factor 1, if there is one. */
static int read_number(uint64_t *out, const char *text, enum option_kind kind)
{
	static const struct {
		enum option_kind kind;
		const char *unit;
		uint64_t factor;
	} units[] = {
		{OPTION_TIME, "ms", 1},
		{OPTION_TIME, "s", 1000},
		{OPTION_TIME, "m", 60000},
		{OPTION_TIME, "h", 3600000},
		{OPTION_TIME, "d", 86400000},
		{OPTION_TIME, "w", 604800000},
		{OPTION_SIZE, "", 1},
		{OPTION_SIZE, "K", 1024},
		{OPTION_SIZE, "M", 1 << 20},
		{OPTION_SIZE, "G", 1 << 30},
		{OPTION_COUNT, "", 1},
	};
	char *end;
	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	if (errno != 0)
		return -EINVAL;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (units[i].kind != kind || strcmp(units[i].unit, end) != 0)
			continue;
		if (n > INT64_MAX / units[i].factor)
			return -EINVAL;
		*out = n * units[i].factor;
		return 0;
	}
	return -EINVAL;
}

static int set_text(struct options *o, const struct command_option *row, const char *value, char why[256])
{
	void *at = (char *)o + row->at;
	struct option_values *all = at;
	if (value[0] == '\0') {
		snprintf(why, 256, "%s must not be empty", row->name);
		return -EINVAL;
	}
	if (row->kind == OPTION_TEXT) {
		*(const char **)at = value;
	} else if (all->count == OPTION_VALUES_MAX) {
		snprintf(why, 256, "%s may be given %d times", row->name, OPTION_VALUES_MAX);
		return -EINVAL;
	} else {
		all->items[all->count++] = value;
	}
	return 0;
}

static int set_option(struct options *o, const struct command_option *row, const char *value, char why[256])
{
	static const char *const expected[] = {
		[OPTION_TIME] = "a time such as 30s, 5m, 4h or 2d",
		[OPTION_SIZE] = "a size such as 500, 10K or 5M",
		[OPTION_COUNT] = "a number",
	};
	void *at = (char *)o + row->at;
	if (row->kind == OPTION_FLAG) {
		*(bool *)at = true;
		return 0;
	}
	if (row->kind == OPTION_TEXT || row->kind == OPTION_TEXTS)
		return set_text(o, row, value, why);
	if (read_number(at, value, row->kind) == 0)
		return 0;
	snprintf(why, 256, "%s must be %s, not \"%.64s\"", row->name, expected[row->kind], value);
	return -EINVAL;
}

/* Every row of that name takes the value: which one is meant is known when the command is. */
static int set_options(struct options *o, const struct command_option *row, const char *value, char why[256])
{
	int err = 0;
	for (unsigned i = 0; i < command_option_count && err == 0; i++)
		if (strcmp(command_options[i].name, row->name) == 0)
			err = set_option(o, &command_options[i], value, why);
	return err;
}

/* The first row of "--name" or "--name=value"; NULL. */
static const struct command_option *find_option(const char *arg, const char **value)
{
	const char *equals = arg[1] == '-' ? strchr(arg, '=') : NULL;
	size_t n = equals != NULL ? (size_t)(equals - arg) : strlen(arg);
	for (unsigned i = 0; i < command_option_count; i++) {
		const char *name = command_options[i].name;
		if (strlen(name) == n && memcmp(name, arg, n) == 0) {
			*value = equals != NULL ? equals + 1 : NULL;
			return &command_options[i];
		}
	}
	return NULL;
}

static int refuse(char why[256], const char *format, ...) __attribute__((format(printf, 2, 3)));
static int refuse(char why[256], const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(why, 256, format, args);
	va_end(args);
	return -EINVAL;
}

/* What acts on messages needs IDs, conditions or --all, one of the three. With IDs --reason is no condition. */
static int check_acting(struct options *o, bool conditions, char why[256])
{
	const struct command *c = o->command;
	const char *to = o->to;
	if (o->arg_count != 0 && o->reason != NULL && o->because == NULL) {
		o->because = o->reason;
		o->reason = NULL;
		conditions = o->sender || o->rcpt || o->site || o->domain || o->state || o->older_ms || o->younger_ms ||
			     o->larger;
	}
	if ((o->arg_count != 0) + conditions + o->all > 1)
		return refuse(why, "%s takes IDs, conditions or --all, one of the three", c->name);
	if (o->arg_count == 0 && !conditions && !o->all)
		return refuse(why,
			"%s which messages? Give IDs, or conditions such as --site or --older, or --all for every one; "
			"relayq help %s",
			c->name, c->name);
	if (c != &commands[COMMAND_REDIRECT])
		return 0;
	if ((to != NULL) == o->undo)
		return refuse(why, "redirect needs --to RELAY, or --undo");
	o->undo = o->undo || strcmp(to, "-") == 0;
	return 0;
}

/* Has the command this option, by this row or another one of the same name? */
static bool goes_with(const struct command *c, const struct command_option *row)
{
	for (unsigned i = 0; i < command_option_count; i++) {
		const struct command_option *other = &command_options[i];
		if (strcmp(other->name, row->name) == 0 && (other->bit == 0 || (c->options & other->bit) != 0))
			return true;
	}
	return false;
}

static int check(struct options *o, uint64_t given, char why[256])
{
	const struct command *c = o->command;
	bool conditions = false;
	for (unsigned i = 0; i < command_option_count; i++) {
		const struct command_option *row = &command_options[i];
		if ((given >> i & 1) == 0)
			continue;
		if (!goes_with(c, row))
			return refuse(why, "%s does not go with %s; try: relayq help %s", row->name, c->name, c->name);
		conditions = conditions || row->condition;
	}
	if (o->arg_count < c->least || (c->most != ANY_NUMBER && o->arg_count > c->most))
		return refuse(why, "usage: relayq %s%s%s", c->name, c->usage[0] ? " " : "", c->usage);
	return c->acts ? check_acting(o, conditions, why) : 0;
}

static int find_command(struct options *o, const char *name, char why[256])
{
	o->command = command_find(name);
	if (o->command != NULL)
		return 0;
	const char *meant = command_suggest(name);
	if (meant != NULL)
		snprintf(why, 256, "no command \"%.64s\": did you mean %s?", name, meant);
	else
		snprintf(why, 256, "no command \"%.64s\"; relayq help lists them", name);
	return -EINVAL;
}

static int no_option(const struct options *o, const char *arg, char why[256])
{
	char name[64];
	snprintf(name, sizeof name, "%.*s", (int)strcspn(arg, "="), arg);
	const char *meant = option_suggest(o->command, name);
	if (meant != NULL)
		return refuse(why, "no option \"%.64s\": did you mean %s?", arg, meant);
	return refuse(why, "no option \"%.64s\"; relayq help%s%s lists them", arg, o->command ? " " : "",
		o->command ? o->command->name : "");
}

int options_parse(struct options *out, int argc, char **argv, char why[256])
{
	struct options o = {0};
	uint64_t given = 0;
	int kept = 1;
	bool all = false;
	for (int i = 1; i < argc; i++) {
		char *arg = argv[i];
		if (!all && strcmp(arg, "--") == 0) {
			all = true;
			continue;
		}
		if (!all && (strcmp(arg, "-h") == 0 || strcmp(arg, "--help") == 0)) {
			/* of the command that was named, if one was */
			*out = (struct options){.command = &commands[COMMAND_HELP], .args = argv + 1, .arg_count = 0};
			if (o.command != NULL) {
				argv[1] = (char *)(uintptr_t)o.command->name;
				out->arg_count = 1;
			}
			return 0;
		}
		if (all || arg[0] != '-' || arg[1] == '\0') {
			if (o.command == NULL) {
				if (find_command(&o, arg, why) != 0)
					return -EINVAL;
			} else {
				argv[kept++] = arg;
			}
			continue;
		}
		const char *value;
		const struct command_option *row = find_option(arg, &value);
		if (row == NULL) {
			return no_option(&o, arg, why);
		}
		if (row->kind == OPTION_FLAG ? value != NULL : value == NULL && ++i == argc) {
			snprintf(why, 256, "%s %s", row->name,
				row->kind == OPTION_FLAG ? "takes no value" : "needs a value");
			return -EINVAL;
		}
		if (set_options(&o, row, value != NULL ? value : argv[i], why) != 0)
			return -EINVAL;
		given |= UINT64_C(1) << (row - command_options);
	}
	if (o.command == NULL) {
		snprintf(why, 256, "which command? relayq help lists them");
		return -EINVAL;
	}
	o.args = argv + 1;
	o.arg_count = kept - 1;
	if (check(&o, given, why) != 0)
		return -EINVAL;
	*out = o;
	return 0;
}
