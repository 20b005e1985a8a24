/* tests/unit/queue_fakes.h: dialer, store and resolver of tests/unit/queue_fixture.h: they define every function of
 * those headers that the queue's core calls, so the real ones are not linked. */
#ifndef TESTS_UNIT_QUEUE_FAKES_H
#define TESTS_UNIT_QUEUE_FAKES_H

void fakes_begin(void);
void fakes_end(void);

#endif
