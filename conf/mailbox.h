/* conf/mailbox.h: how threads talk: an intrusive list, many senders, one receiver. State.
 *
 * A unit of work carries its own letters, so posting never fails, allocates or blocks. The bound is on the units, at
 * the entrance. A letter belongs to the receiver from mailbox_post() until its `open` has been called; `open` may free
 * the unit or post the same letter on.
 * The receiver is woken by the first letter that comes after it has said that it may sleep, so once per batch. */
#ifndef CONF_MAILBOX_H
#define CONF_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct letter {
	struct letter *next;
	void (*open)(struct letter *letter); /* runs on the receiving thread */
};

struct mailbox {
	_Atomic(struct letter *) head;
	struct letter *waiting; /* the receiver's: taken, not yet opened, oldest first */
	void (*wake)(void *arg);
	void *arg;
};

/* `wake` is called on a sender's thread; it must not block. The receiver counts as asleep until its first drain. */
void mailbox_init(struct mailbox *m, void (*wake)(void *arg), void *arg);
/* Any thread. Letters of one sender are opened in the order in which they were posted. */
void mailbox_post(struct mailbox *m, struct letter *letter, void (*open)(struct letter *letter));
/* The receiver's thread: opens at most `most` letters, oldest first. True if letters may be left: call again soon (no
 * wake-up will come for them). False: the box was empty and the next letter wakes. */
bool mailbox_drain(struct mailbox *m, size_t most);
/* The receiver's thread: takes one letter without opening it; NULL if there is none (and the next letter wakes). For
 * threads that batch, such as the commit thread. */
struct letter *mailbox_take(struct mailbox *m);

/* The receiver's thread, its box empty: it listens no more. Letters that come yet are kept unopened, and wake nobody.
 */
void mailbox_close(struct mailbox *m);

/* The unit that a letter is a member of. */
#define LETTER_OF(letter, type, member) ((type *)(void *)((char *)(letter)-offsetof(type, member)))

#endif
