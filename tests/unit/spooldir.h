/* tests/unit/spooldir.h: a spool directory of a test's own, and file calls that fail when told to. */
#ifndef TESTS_UNIT_SPOOLDIR_H
#define TESTS_UNIT_SPOOLDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/spool/files.h"
#include "queue/spool/layout.h"

struct spooldir {
	char path[64];
};

void spooldir_make(struct spooldir *d);
void spooldir_remove(struct spooldir *d);
/* How many body files there are. */
unsigned spooldir_bodies(const struct spooldir *d);
/* The whole file of a body, to be freed; NULL if there is none. */
uint8_t *spooldir_read_body(const struct spooldir *d, uint64_t id, size_t *n);
/* Turns one bit of the byte at `at` of the file round; `at` < 0: from its end. */
void spooldir_damage(const struct spooldir *d, const char *name, long at);
/* The name of a file (relative) that holds `text`, and where; false if none does. */
bool spooldir_find(const struct spooldir *d, const char *folder, const char *text, char name[128], long *at);

enum fault_call { FAULT_WRITE, FAULT_DATASYNC, FAULT_SYNC, FAULT_OPEN, FAULT_CALLS };
/* The system's calls; any of them fails with `error` from the `after`th call on, `times` times. Any thread. */
extern const struct files faulty_files;
void faults_set(enum fault_call call, int error, unsigned after, unsigned times);
/* Only calls from threads of this name fail ("commit", "disk"); NULL: from all. */
void faults_on(const char *thread);
void faults_clear(void);
/* Calls of this kind that failed since they were set. */
unsigned faults_seen(enum fault_call call);

#endif
