/* queue/memory.h: what is known of remote addresses: how long they usually take, how they failed last. State; time is
 * an argument (steady milliseconds). Bounded: the least recently used address is forgotten.
 *
 * An address that failed is doubtful: others are tried before it. The doubt lasts longer with each failure in a row and
 * ends by itself; then one single dial probes it (memory_fill) while all others still hold it doubtful. */
#ifndef QUEUE_MEMORY_H
#define QUEUE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "queue/mail/attempt.h"
#include "queue/deliver/path.h"

struct memory;

/* `most` addresses; `seed`: random, keys the table. NULL without memory. */
struct memory *memory_new(unsigned most, uint64_t seed);
void memory_free(struct memory *m);

/* Fills the candidate's history: doubtful, usual times. With `may_probe`, an address whose doubt is over is not
 * doubtful, and the caller's dial is its probe: it counts as doubtful for everybody else until the dial reports or a
 * minute has passed. */
void memory_fill(struct memory *m, struct candidate *c, bool may_probe, uint64_t now_ms);
/* Does what a race saw speak against the path? Its own fault does, and being beaten by one that began later although
 * there was time enough: 100 ms to connect, or a second to greet once connected. Being turned away for now (load, 4yz)
 * does not. */
bool memory_doubts(const struct path_try *p);
/* What a race learned of one path. */
void memory_note(struct memory *m, const struct path_try *p, uint64_t now_ms);
void memory_note_fault(struct memory *m, const struct endpoint *to, enum fault fault, uint64_t now_ms);
/* Connections open to the address now, and dials that may come to it, all sites together. */
void memory_opened(struct memory *m, const struct endpoint *to, int change);
unsigned memory_open(const struct memory *m, const struct endpoint *to);
/* One line for people: "connect 12 ms, greeting 30 ms, last fault refused 5m ago, doubtful for 2m"; "no history". */
const char *memory_describe(const struct memory *m, const struct endpoint *to, uint64_t now_ms, char *out, size_t size);

#endif
