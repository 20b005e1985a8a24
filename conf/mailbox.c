/* conf/mailbox.c: state.
 *
 * `head` is a stack that the receiver takes whole and turns round. Two values are no letters: NULL, empty and the
 * receiver may sleep; &awake, empty and the receiver is at work and will look again before it sleeps. */
#include "conf/mailbox.h"

static struct letter awake;

void mailbox_init(struct mailbox *m, void (*wake)(void *arg), void *arg)
{
	atomic_init(&m->head, NULL);
	m->waiting = NULL;
	m->wake = wake;
	m->arg = arg;
}

void mailbox_post(struct mailbox *m, struct letter *letter, void (*open)(struct letter *letter))
{
	letter->open = open;
	struct letter *old = atomic_load_explicit(&m->head, memory_order_relaxed);
	do {
		letter->next = old;
	} while (!atomic_compare_exchange_weak_explicit(
		&m->head, &old, letter, memory_order_acq_rel, memory_order_relaxed));
	if (old == NULL)
		m->wake(m->arg);
}

/* Fills `waiting` from `head`. False if there was nothing and the receiver now counts as asleep. */
static bool refill(struct mailbox *m)
{
	for (;;) {
		struct letter *taken = atomic_exchange_explicit(&m->head, &awake, memory_order_acq_rel);
		if (taken == NULL || taken == &awake) {
			struct letter *expected = &awake;
			if (atomic_compare_exchange_strong_explicit(
				    &m->head, &expected, NULL, memory_order_acq_rel, memory_order_relaxed))
				return false;
			continue;
		}
		struct letter *oldest = NULL;
		while (taken != NULL && taken != &awake) {
			struct letter *next = taken->next;
			taken->next = oldest;
			oldest = taken;
			taken = next;
		}
		m->waiting = oldest;
		return true;
	}
}

struct letter *mailbox_take(struct mailbox *m)
{
	if (m->waiting == NULL && !refill(m))
		return NULL;
	struct letter *letter = m->waiting;
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): refill() found at least one */
	m->waiting = letter->next;
	return letter;
}

bool mailbox_drain(struct mailbox *m, size_t most)
{
	for (size_t opened = 0; opened < most; opened++) {
		struct letter *letter = mailbox_take(m);
		if (letter == NULL)
			return false;
		letter->open(letter);
	}
	return true;
}

void mailbox_close(struct mailbox *m)
{
	struct letter *expected = NULL; /* anything else wakes nobody already */
	atomic_compare_exchange_strong_explicit(
		&m->head, &expected, &awake, memory_order_acq_rel, memory_order_relaxed);
}
