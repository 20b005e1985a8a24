/* tests/unit/dialogue.h: dialogues in files, replayed to a protocol machine whole, byte by byte, and in random pieces
 * both ways, with the same result. Plumbing of tests.
 *
 * A file holds dialogues. Each line begins with a mark and a blank:
 *	==  a new dialogue; its name follows          ?   what the machine is to be set up with (before all others)
 *	C:  the client says this, and CRLF            S:  the server does
 *	C|  … without CRLF                            S|  likewise
 *	!   something else happens to the machine     =   what must have come of it at the end
 *	@   the lines of a part come here; a part is a dialogue of the same file whose name is in parentheses
 *	#   a remark
 * \r \n \t \\ \0 and \xHH stand for bytes. Lines of the machine's peer that follow each other are one piece when the
 * dialogue is replayed whole. The machine may say nothing but what its lines say. */
#ifndef TESTS_UNIT_DIALOGUE_H
#define TESTS_UNIT_DIALOGUE_H

#include <stddef.h>

struct dialogue_machine {
	char peer; /* 'S' for a client machine, 'C' for a server machine */
	void *(*open)(void);
	void (*set)(void *m, char *text);		/* a "?" line; bytes are decoded */
	void (*hear)(void *m, const void *p, size_t n); /* … from the peer */
	/* Takes at most `most` bytes of what the machine says now; 0: nothing (more). */
	size_t (*say)(void *m, void *p, size_t most);
	void (*act)(void *m, const char *text); /* a "!" line */
	void (*outcome)(void *m, char *out, size_t size);
	void (*close)(void *m);
};

/* Replays all dialogues of all files NAME.txt in the folder; fails the test at the first that goes wrong. Returns how
 * many there were. */
unsigned dialogue_run(const char *folder, const struct dialogue_machine *machine);
/* Bytes that the machine may take at a time from its own side now: content, for example. */
size_t dialogue_portion(size_t n);

#endif
