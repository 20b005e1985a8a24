/* queue/control/normalise.h: what is equal in reasons that differ: why mail waits, without what is each message's own.
 * Protocol: pure.
 *
 *   450 4.2.0 <bob@example.com>: too many from [192.0.2.7], see https://x.example/?id=7 (a1b2c3d4)
 *   450 4.2.0 <address>: too many from <ip>, see <url> (<id>)
 *
 * Folded: mail addresses, IP addresses with their ports, URLs, words that look like identifiers (letters and digits
 * mixed, or very long), names of days and months beside numbers; of any other number each run of digits becomes "#",
 * and each run of blanks one. A reply code at the beginning or behind "(", with its enhanced code, stays as it is. */
#ifndef QUEUE_CONTROL_NORMALISE_H
#define QUEUE_CONTROL_NORMALISE_H

#include <stddef.h>

enum { NORMALISED = 256 };

/* Writes the folded text, at most NORMALISED - 1 bytes and whole characters of it; returns its length. */
size_t normalise(const char *text, char out[NORMALISED]);

#endif
