/* smtpd/chunk.h: the command BDAT (RFC 3030) and the bytes that follow it. Protocol: pure. */
#ifndef SMTPD_CHUNK_H
#define SMTPD_CHUNK_H

#include "smtpd/machine.h"

/* The command, in any state between commands. */
void chunk_begin(struct smtp_server *s, const struct piece *args);
/* The first chunk has its place: its bytes come. */
void chunk_opened(struct smtp_server *s);
/* … or has none (s->fault): they are skipped. */
void chunk_not_opened(struct smtp_server *s);
/* What came of it could not be stored (s->fault): it is lost, and dropped already. */
void chunk_failed(struct smtp_server *s);
/* CHUNK and SKIP: reads on. To be called with no bytes too if chunk_is_due(). */
enum smtp_want chunk_take(struct smtp_server *s, const uint8_t *in, size_t len, size_t *used);
/* Is there something to do without further bytes? */
bool chunk_is_due(const struct smtp_server *s);

#endif
