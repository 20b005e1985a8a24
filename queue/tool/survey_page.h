/* queue/tool/survey_page.h: what a survey found, for people or for programs. State. */
#ifndef QUEUE_TOOL_SURVEY_PAGE_H
#define QUEUE_TOOL_SURVEY_PAGE_H

#include <stdio.h>

#include "queue/survey/list.h"

/* How many domains are of each kind, and what servers of one family cannot send; with their mail if the list came with
 * weights. Fits 80 columns. 0 or -ENOMEM. */
int survey_page(const struct survey_list *l, FILE *out, unsigned width);
/* A line a domain, in the order of the list, under a line of titles (RFC 4180, but for LF as the lines' end). */
void survey_csv(const struct survey_list *l, FILE *out);
/* An object of type "domain" each; then one of type "end" with the counts. `skipped`: lines that named no domain. 0 or
 * -ENOMEM. */
int survey_json(const struct survey_list *l, size_t skipped, FILE *out);

#endif
