/* queue/tool/survey_page.c: state. */
#include "queue/tool/survey_page.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "queue/survey/tally.h"
#include "queue/tool/table.h"

enum { NUMBER = 24, KIND_COLUMNS = 6, LOST_COLUMNS = 5, WITHOUT_MAIL = 2 };

static const char *const titles[SURVEY_KIND_COUNT] = {
	[SURVEY_UNASKED] = "not asked yet",
	[SURVEY_BOTH] = "both families",
	[SURVEY_IPV4] = "IPv4 only",
	[SURVEY_IPV6] = "IPv6 only",
	[SURVEY_NULL_MX] = "null MX: takes no mail",
	[SURVEY_DANGLING] = "dangling MX: no address",
	[SURVEY_NOWHERE] = "no such domain, no host",
	[SURVEY_NO_ANSWER] = "no answer of the DNS",
};
/* In the order of the page. */
static const enum survey_kind order[] = {SURVEY_BOTH, SURVEY_IPV4, SURVEY_IPV6, SURVEY_NULL_MX, SURVEY_DANGLING,
	SURVEY_NOWHERE, SURVEY_NO_ANSWER, SURVEY_UNASKED};

/* ---- for people ---- */

static const char *number(uint64_t n, char out[NUMBER])
{
	snprintf(out, NUMBER, "%llu", (unsigned long long)n);
	return out;
}

static int kind_row(struct table *t, const char *title, const struct survey_count *c, const struct survey_count *all)
{
	char domains[NUMBER], implicit[NUMBER], mail[NUMBER], share[SURVEY_SHARE], mail_share[SURVEY_SHARE];
	const char *cells[KIND_COLUMNS] = {title, number(c->domains, domains),
		survey_share(c->domains, all->domains, share), number(c->implicit, implicit), number(c->mail, mail),
		survey_share(c->mail, all->mail, mail_share)};
	return table_row(t, cells);
}

static int print_kinds(const struct survey_tally *t, FILE *out, unsigned width, bool weighted)
{
	static const struct column columns[KIND_COLUMNS] = {{"MAIL SERVERS HAVE", false, 0}, {"DOMAINS", true, 0},
		{"SHARE", true, 0}, {"WITHOUT MX", true, 0}, {"MAIL", true, 0}, {"SHARE", true, 0}};
	struct table *table = table_new(columns, KIND_COLUMNS - (weighted ? 0 : WITHOUT_MAIL));
	int err = table != NULL ? 0 : -ENOMEM;
	for (unsigned i = 0; i < sizeof order / sizeof order[0] && err == 0; i++)
		if (order[i] != SURVEY_UNASKED || t->kinds[SURVEY_UNASKED].domains != 0)
			err = kind_row(table, titles[order[i]], &t->kinds[order[i]], &t->all);
	if (err == 0)
		err = kind_row(table, "together", &t->all, &t->all);
	if (err == 0)
		err = table_print(table, out, width);
	table_free(table);
	return err;
}

static int print_lost(const struct survey_tally *t, FILE *out, unsigned width, bool weighted)
{
	static const struct column columns[LOST_COLUMNS] = {{"A SERVER THAT HAS", false, 0},
		{"CANNOT SEND TO", true, 0}, {"SHARE", true, 0}, {"MAIL", true, 0}, {"SHARE", true, 0}};
	static const char *const who[2] = {"IPv4 only", "IPv6 only"};
	struct table *table = table_new(columns, LOST_COLUMNS - (weighted ? 0 : WITHOUT_MAIL));
	int err = table != NULL ? 0 : -ENOMEM;
	for (unsigned i = 0; i < 2 && err == 0; i++) {
		const struct survey_count *c = &t->lost[i];
		char domains[NUMBER], mail[NUMBER], share[SURVEY_SHARE], mail_share[SURVEY_SHARE];
		const char *cells[LOST_COLUMNS] = {who[i], number(c->domains, domains),
			survey_share(c->domains, t->taking.domains, share), number(c->mail, mail),
			survey_share(c->mail, t->taking.mail, mail_share)};
		err = table_row(table, cells);
	}
	fprintf(out, "\nOf %llu domains that take mail:\n", (unsigned long long)t->taking.domains);
	if (err == 0)
		err = table_print(table, out, width);
	table_free(table);
	return err;
}

int survey_page(const struct survey_list *l, FILE *out, unsigned width)
{
	struct survey_tally t;
	survey_tally_list(&t, l);
	int err = print_kinds(&t, out, width, l->weighted);
	return err != 0 ? err : print_lost(&t, out, width, l->weighted);
}

/* ---- for programs ---- */

/* Can a server that has `own` alone send to it? -1: that is not known. */
static int can_send(enum survey_kind k, enum survey_kind own)
{
	if (k == SURVEY_UNASKED || k == SURVEY_NO_ANSWER)
		return -1;
	return k == SURVEY_BOTH || k == own;
}

static const char *host_word(const struct survey_domain *d)
{
	return survey_domain_kind(d) == SURVEY_UNASKED ? "" : survey_domain_implicit(d) ? "implicit" : "mx";
}

void survey_csv(const struct survey_list *l, FILE *out)
{
	static const char *const answers[] = {"", "no", "yes"};
	fputs("domain,mail,kind,host,ipv4_only_can_send,ipv6_only_can_send,reason\n", out);
	for (size_t i = 0; i < l->count; i++) {
		const struct survey_domain *d = l->items[i];
		enum survey_kind k = survey_domain_kind(d);
		const char *reason = survey_domain_reason(d);
		fprintf(out, "%s,%llu,%s,%s,%s,%s,", survey_domain_name(d), (unsigned long long)survey_domain_weight(d),
			survey_word(k), host_word(d), answers[can_send(k, SURVEY_IPV4) + 1],
			answers[can_send(k, SURVEY_IPV6) + 1]);
		if (*reason != '\0')
			putc('"', out);
		for (const char *c = reason; *c != '\0'; c++) {
			if (*c == '"')
				putc('"', out);
			putc(*c, out);
		}
		fputs(*reason != '\0' ? "\"\n" : "\n", out);
	}
}

/* Prints `object` (taken over) on a line of its own. */
static int print_json(FILE *out, json_t *object)
{
	char *text = object != NULL ? json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	json_decref(object);
	if (text == NULL)
		return -ENOMEM;
	fprintf(out, "%s\n", text);
	free(text);
	return 0;
}

static json_t *can_json(int can)
{
	return can < 0 ? json_null() : json_boolean(can);
}

static json_t *domain_json(const struct survey_domain *d)
{
	enum survey_kind k = survey_domain_kind(d);
	return json_pack("{s:s,s:s,s:I,s:s,s:s,s:o,s:o,s:s}", "type", "domain", "domain", survey_domain_name(d), "mail",
		(json_int_t)survey_domain_weight(d), "kind", survey_word(k), "host", host_word(d), "ipv4_only_can_send",
		can_json(can_send(k, SURVEY_IPV4)), "ipv6_only_can_send", can_json(can_send(k, SURVEY_IPV6)), "reason",
		survey_domain_reason(d));
}

static json_t *count_json(const struct survey_count *c)
{
	return json_pack("{s:I,s:I,s:I}", "domains", (json_int_t)c->domains, "mail", (json_int_t)c->mail, "without_mx",
		(json_int_t)c->implicit);
}

/* NULL for a share of nothing. */
static json_t *share_json(uint64_t part, uint64_t whole)
{
	return whole != 0 ? json_real((double)part / (double)whole) : json_null();
}

static json_t *lost_json(const struct survey_count *lost, const struct survey_count *taking)
{
	return json_pack("{s:I,s:o,s:I,s:o}", "domains", (json_int_t)lost->domains, "share",
		share_json(lost->domains, taking->domains), "mail", (json_int_t)lost->mail, "mail_share",
		share_json(lost->mail, taking->mail));
}

int survey_json(const struct survey_list *l, size_t skipped, FILE *out)
{
	struct survey_tally t;
	json_t *kinds = json_object();
	int err = kinds != NULL ? 0 : -ENOMEM;
	survey_tally_list(&t, l);
	for (size_t i = 0; i < l->count && err == 0; i++)
		err = print_json(out, domain_json(l->items[i]));
	for (unsigned i = 0; i < sizeof order / sizeof order[0] && err == 0; i++)
		if (json_object_set_new(kinds, survey_word(order[i]), count_json(&t.kinds[order[i]])) != 0)
			err = -ENOMEM;
	if (err != 0) {
		json_decref(kinds);
		return err;
	}
	return print_json(
		out, json_pack("{s:s,s:b,s:I,s:o,s:o,s:o,s:o,s:o}", "type", "end", "weighted", l->weighted, "skipped",
			     (json_int_t)skipped, "all", count_json(&t.all), "kinds", kinds, "taking_mail",
			     count_json(&t.taking), "ipv4_only_cannot_send", lost_json(&t.lost[0], &t.taking),
			     "ipv6_only_cannot_send", lost_json(&t.lost[1], &t.taking)));
}
