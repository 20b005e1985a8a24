/* queue/tool/verify.c: plumbing. */
#include "queue/tool/verify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "queue/spool/store.h"
#include "queue/tool/client.h"
#include "queue/tool/text.h"

enum { ERRORS = 65536 };

static void on_finding(void *arg, const char *line)
{
	struct tool *t = arg;
	struct buf clean;
	buf_init(&clean, ERRORS);
	text_clean(&clean, line, strcspn(line, "\n"));
	const char *text = clean.len ? (char *)clean.data : "";
	json_t *object = t->options->json ? json_pack("{s:s,s:s}", "type", "finding", "text", text) : NULL;
	char *dumped = object != NULL ? json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	fprintf(t->out, "%s\n", dumped != NULL ? dumped : text);
	free(dumped);
	json_decref(object);
	buf_fini(&clean);
}

static void print_counts(struct tool *t, const struct store_check *c)
{
#define N(member) (unsigned long long)c->member
#define ALL N(segments), N(records), N(messages), N(live), N(damaged), N(torn), N(orphans)
	if (t->options->json)
		fprintf(t->out,
			"{\"type\":\"verify\",\"segments\":%llu,\"records\":%llu,\"messages\":%llu,\"live\":%llu,"
			"\"damaged\":%llu,\"torn\":%llu,\"orphans\":%llu}\n",
			ALL);
	else
		fprintf(t->out,
			"%llu segments, %llu records, %llu messages, of which %llu still queued; %llu damaged, "
			"%llu torn at the end, %llu body files without a message\n",
			ALL);
#undef ALL
#undef N
}

enum tool_exit run_verify(struct tool *t)
{
	struct store_check check = {0};
	struct buf errors;
	buf_init(&errors, ERRORS);
	int err = store_verify(t->options->args[0], t->options->read_only, &check, on_finding, t, &errors);
	enum tool_exit code = check.damaged != 0 ? TOOL_DAMAGED : TOOL_OK;
	if (err != 0) {
		const char *text = errors.len ? (char *)errors.data : strerror(-err);
		code = tool_fail(t, TOOL_UNAVAILABLE, "%.*s%s", (int)strcspn(text, "\n"), text,
			err == -EBUSY ? "; stop the daemon, or look with --read-only" : "");
	} else {
		print_counts(t, &check);
	}
	buf_fini(&errors);
	return code;
}
