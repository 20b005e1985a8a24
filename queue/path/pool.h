/* queue/path/pool.h: from which source address, and under which name, a connection for a delivery is made. State.
 *
 * The addresses of a pool (conf/sources.h) take turns. One that this host cannot use now is passed over, loudly; with
 * none left the kernel chooses, so that mail goes all the same. One that a site refuses rests at that site, as long as
 * a refused family does. Connections of different pools are not mixed: a delivery uses those of its own.
 *
 * The share of IPv6 (ipv6_share) is counted in messages: a message's ID decides for which family it is, so all of its
 * attempts are alike. It begins when the configuration first says so, which is kept in spool/state/warmup. */
#ifndef QUEUE_PATH_POOL_H
#define QUEUE_PATH_POOL_H

#include "queue/core.h"

/* The delivery's pool; NULL: none. `d` may be NULL: none. */
const struct conf_pool *pool_of(const struct queue *q, const struct delivery *d);
/* Tells pools apart; 0: none. */
uint64_t pool_key(const struct conf_pool *pool);
/* Fills the lane's source addresses and names for the next connection to the site. */
void pool_choose(struct queue *q, struct site *s, const struct conf_pool *pool, struct lane *lane);
/* A site refused mail from this address of the pool of this key. True: the pool has another one of the family that it
 * does not refuse, so it is no matter of the family there; this one rests. */
bool pool_refused(struct queue *q, const struct site *s, uint64_t key, const struct ip *source);
/* The family over which the delivery should go while both work, by the share of IPv6; FAMILY_NONE: either. */
enum family pool_family(struct queue *q, const struct delivery *d);
/* Is there any such share below the whole? */
bool pool_shares(const struct queue *q);
/* Percent of mail that goes over IPv6 now, of a share that began `since` (wall milliseconds). Pure. */
double pool_share_now(uint64_t percent, uint64_t warmup_ms, uint64_t since_ms, uint64_t now_ms);

/* Start-up, the store is open; the end. */
void pool_load(struct queue *q);
void pool_free(struct queue *q);

#endif
