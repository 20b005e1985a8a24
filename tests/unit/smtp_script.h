/* tests/unit/smtp_script.h: a server on loopback that does what its script says, for tests of connections. Plumbing.
 *
 * A script is lines:
 *	S text  sends text and CRLF           C verb  reads a line, which must begin so
 *	D       reads content up to its dot   W 50    waits for 50 ms
 *	E       reads until QUIT or the end   R       closes with a reset
 *	H       holds on, reading nothing, until the server is stopped
 * At its end the connection is closed. The first connection gets the first script, and so on; the last one serves for
 *all further ones. Connections are served at the same time. */
#ifndef TESTS_UNIT_SMTP_SCRIPT_H
#define TESTS_UNIT_SMTP_SCRIPT_H

#include "conf/ip.h"

enum { SMTP_SCRIPTS_MAX = 4 };

struct smtp_script;
/* Listens on the loopback address of `family`. `scripts` ends with NULL; with none of them the port refuses
 * connections. */
struct smtp_script *smtp_script_start(uint8_t family, const char *const *scripts);
/* A port that does not answer a SYN: its queue is full. */
struct smtp_script *smtp_script_deaf(uint8_t family);
struct endpoint smtp_script_at(const struct smtp_script *s);
/* Ends everything and waits for it. Afterwards what was seen may be asked. */
void smtp_script_stop(struct smtp_script *s);
unsigned smtp_script_connections(const struct smtp_script *s);
/* "" or what did not go by the script. */
const char *smtp_script_trouble(const struct smtp_script *s);
/* All content, as it came over the wire, dots included. */
const char *smtp_script_content(const struct smtp_script *s, size_t *n);
void smtp_script_free(struct smtp_script *s);

#endif
