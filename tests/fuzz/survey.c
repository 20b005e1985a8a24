/* tests/fuzz/survey.c: a line of a list of domains, and the same bytes as a line of a results file. What is read is a
 * name that can be asked for; what is written is read back the same. Protocol. */
#include "dns/name.h"
#include "queue/survey/line.h"
#include "queue/survey/record.h"
#include "tests/fuzz/fuzz.h"

static void check_line(const char *text, size_t len)
{
	struct survey_line line, again;
	char why[SURVEY_WHY] = "";
	int err = survey_line_read(&line, text, len, why);
	MUST(err == 0 || line.domain[0] == '\0');
	MUST(err == 0 || (strlen(why) > 0 && strlen(why) < SURVEY_WHY - 1 && fuzz_is_printable(why)));
	if (line.domain[0] == '\0')
		return;
	MUST(dns_name_valid(line.domain) && line.weight <= 999999999999);
	MUST(survey_line_read(&again, line.domain, strlen(line.domain), why) == 0);
	MUST(strcmp(line.domain, again.domain) == 0 && !again.weighted && again.weight == 1);
}

static void check_record(const char *text, size_t len)
{
	struct survey_record r, again;
	struct survey_list l = {0};
	char line[SURVEY_RECORD_MAX];
	if (survey_record_read(&r, text, len) != 0)
		return;
	MUST(dns_name_valid(r.domain) && r.kind != SURVEY_UNASKED && r.kind < SURVEY_KIND_COUNT);
	MUST(survey_list_add(&l, r.domain, 1) == 0);
	MUST(survey_list_put(&l, l.items[0], r.kind, r.implicit, r.reason) == 0);
	size_t n = survey_record_write(l.items[0], line);
	MUST(n < sizeof line && line[n - 1] == '\n' && survey_record_read(&again, line, n - 1) == 0);
	MUST(strcmp(r.domain, again.domain) == 0 && strcmp(r.reason, again.reason) == 0);
	MUST(r.kind == again.kind && r.implicit == again.implicit);
	survey_list_free(&l);
}

FUZZ_TARGET(survey)
{
	char text[SURVEY_LINE_MAX];
	size_t n = len < sizeof text ? len : sizeof text;
	memcpy(text, in, n);
	check_line(text, n);
	check_record(text, n);
	return 0;
}
