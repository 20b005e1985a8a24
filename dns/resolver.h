/* dns/resolver.h: questions to DNS servers, answered through a cache, on the queue thread's loop. Plumbing.
 *
 * c-ares by ares_send(); answers are parsed by dns/answer.c. One question for the same name and type is under way at a
 * time, however many ask. Names are A-labels without a dot at the end; comparison ignores case.
 * A callback may come before the call that asked returns only as the return value says; never twice; never after
 * dns_cancel(). */
#ifndef DNS_RESOLVER_H
#define DNS_RESOLVER_H

#include <uv.h>

#include "conf/conf.h"
#include "dns/answer.h"

struct resolver;
struct dns_question;

/* `now_ms`-less: the plumbing reads the clock. 0 or a negative code, with a line in `errors`. */
int resolver_open(struct resolver **out, uv_loop_t *loop, const struct conf *conf, struct buf *errors);
/* Takes up another configuration (servers, limits); the cache stays. */
void resolver_configure(struct resolver *r, const struct conf *conf);
/* Drops all questions without calling back, closes all handles; `closed` is called when the loop holds none of them. */
void resolver_close(struct resolver *r, void (*closed)(void *arg), void *arg);

typedef void dns_done(void *arg, const struct dns_answer *answer); /* `answer` is lent until the return */

/* Asks; the callback always comes later, from the loop, also for what the cache knows. NULL without memory or past
 * dns { queries } (counted). */
struct dns_question *dns_ask(struct resolver *r, const char *name, enum dns_type type, dns_done *done, void *arg);
void dns_cancel(struct dns_question *q);

#endif
