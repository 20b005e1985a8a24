/* smtpd/verbs.h: the commands of RFC 5321. Protocol: pure. */
#ifndef SMTPD_VERBS_H
#define SMTPD_VERBS_H

#include "smtpd/machine.h"

/* Obeys one command line, without its end. */
void verbs_run(struct smtp_server *s, const uint8_t *line, size_t len);

#endif
