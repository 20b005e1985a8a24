/* smtpd/piece.h: a run of bytes within a command line. Protocol: pure. */
#ifndef SMTPD_PIECE_H
#define SMTPD_PIECE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct piece {
	const uint8_t *at;
	size_t len;
};

/* Without regard to case. */
bool piece_is(const struct piece *p, const char *word);
/* As text; false if it has a NUL or is longer than `size` with the closing 0. */
bool piece_copy(const struct piece *p, char *out, size_t size);
/* Digits alone, at least one; saturates at UINT64_MAX. */
bool piece_number(const struct piece *p, uint64_t *out);
/* Takes what comes before the first `mark` from `p` and drops it with the mark; all of it if there is none (then false:
 * no mark). */
bool piece_cut(struct piece *p, uint8_t mark, struct piece *before);
/* Takes off blanks at its beginning. */
void piece_skip_blanks(struct piece *p);

#endif
