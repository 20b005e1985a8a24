/* smtpd/census.h: how many sessions there are, in all and from each client. State, any thread, without locks.
 *
 * A table of counters found by a seeded hash of the address, so that a client cannot aim at its neighbours. One word a
 * counter: 44 bits of the hash, 20 of the count; free when 0. Concurrent entries of one client may come to stand in two
 * places of one window: all of them are summed, so a limit is never exceeded. */
#ifndef SMTPD_CENSUS_H
#define SMTPD_CENSUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/ip.h"

struct census;

enum census_result { CENSUS_OK, CENSUS_ALL, CENSUS_CLIENT };

/* Room for `sessions` different clients or more; CENSUS_ALL is said if a limit given later lets in more than that. NULL
 * without memory. */
struct census *census_new(size_t sessions, uint64_t seed);
void census_free(struct census *c);
/* Counts one session of `client`. `bits`: the prefix that is one client (IPv6: 64 or 128; IPv4 is always whole).
 * `*place` is to be given back to census_leave(), if CENSUS_OK. */
enum census_result census_enter(struct census *c, const struct ip *client, unsigned bits, uint64_t limit_client,
	uint64_t limit_all, uint32_t *place);
void census_leave(struct census *c, uint32_t place);
uint64_t census_count(const struct census *c);

#endif
