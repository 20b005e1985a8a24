/* queue/tool/doctor_page.h: findings as a table for people or as lines for programs. State. */
#ifndef QUEUE_TOOL_DOCTOR_PAGE_H
#define QUEUE_TOOL_DOCTOR_PAGE_H

#include <stdio.h>

#include "queue/doctor/finding.h"

/* A line a finding, wrapped at `width` columns, with how to mend it below; the counts last. With `colour`: green,
 * yellow, red. 0 or -ENOMEM. */
int doctor_page(const struct findings *f, FILE *out, unsigned width, bool colour);
/* One object a finding: type "finding", check, status, found, mend ("": nothing to do); then one of type "end" with the
 * worst status and the counts. 0 or -ENOMEM. */
int doctor_json(const struct findings *f, FILE *out);

#endif
