/* dns/resolver.h: questions to DNS servers, answered through a cache, on the queue thread's loop. Plumbing.
 *
 * c-ares by ares_send(); answers are parsed by dns/answer.c. One question for the same name and type is under way at a
 * time, however many ask. Names are A-labels without a dot at the end; comparison ignores case. What cannot be a name
 * is answered with NXDOMAIN, without asking.
 *
 * The servers are tried in their order, beginning with the first that was not silent within the last dns { failure }.
 * SERVFAIL, REFUSED and nonsense lead to the next one at once, silence after dns { timeout }; silent ones are tried
 * again, up to dns { tries } rounds. Without dns { servers } those of /etc/resolv.conf are used, which is looked at
 * again at most every 5 s, when something is asked. No more than 64 servers are used.
 *
 * The AD bit is believed only if all servers are on loopback addresses.
 *
 * Answers about ipv4only.arpa (dns/nat64.h) are not kept: each question goes to a server.
 *
 * A callback never comes before the call that asked returns; never twice; never after dns_cancel(). It may ask, cancel
 * (other questions), configure and close. */
#ifndef DNS_RESOLVER_H
#define DNS_RESOLVER_H

#include <uv.h>

#include "conf/conf.h"
#include "dns/answer.h"

struct resolver;
struct dns_question;

/* 0 or a negative code, with a line in `errors`. */
int resolver_open(struct resolver **out, uv_loop_t *loop, const struct conf *conf, struct buf *errors);
/* Takes up another configuration (servers, limits); the cache stays; what is under way is asked anew if the servers
 * changed. Without memory the old servers stay (logged). */
void resolver_configure(struct resolver *r, const struct conf *conf);
/* Drops all questions without calling back, closes all handles; `closed` is called when the loop holds none of them.
 * The questions are gone with it: mx_free() and dns_cancel() come before, not after. */
void resolver_close(struct resolver *r, void (*closed)(void *arg), void *arg);

/* `answer` is lent until the return; its TTL is what is left of it (the limits of dns { } applied; of failures: until
 * it is worth asking again). `now_ms` is monotonic. The question is gone: it must not be cancelled any more. */
typedef void dns_done(void *arg, const struct dns_answer *answer, uint64_t now_ms);

/* Asks; the callback always comes later, from the loop, also for what the cache knows. NULL without memory or past
 * dns { queries } different questions to servers (counted); the cache answers and equal questions join beyond that. */
struct dns_question *dns_ask(struct resolver *r, const char *name, enum dns_type type, dns_done *done, void *arg);
/* The answer is still waited for, for the cache. */
void dns_cancel(struct dns_question *q);

#endif
