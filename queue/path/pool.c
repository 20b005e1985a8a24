/* queue/path/pool.c: state. */
#include "queue/path/pool.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "conf/counter.h"
#include "conf/sources.h"
#include "queue/path/binding.h"

enum { VERSION = 1, SHARES_MAX = CONF_POOLS_MAX + 1, WHOLE = 100 };

const struct conf_pool *pool_of(const struct queue *q, const struct delivery *d)
{
	if (d == NULL || q->conf->pool_count == 0)
		return NULL;
	return sources_of(q->conf, core_route(q, d), address_domain_of(d->message->sender));
}

uint64_t pool_key(const struct conf_pool *pool)
{
	return pool ? XXH3_64bits(pool->name, strlen(pool->name)) | 1 : 0;
}

/* ---- which address ---- */

/* The `i`-th address of the family; FAMILY_NONE behind the last. */
static struct ip address_at(const struct queue *q, const struct conf_pool *pool, enum family family, unsigned i)
{
	const struct ip single = family == FAMILY_IPV4 ? q->conf->source.ipv4 : q->conf->source.ipv6;
	if (pool == NULL)
		return i == 0 ? single : (struct ip){.family = FAMILY_NONE};
	for (size_t k = 0; k < pool->addresses.count; k++)
		if ((enum family)pool->addresses.items[k].ip.family == family && i-- == 0)
			return pool->addresses.items[k].ip;
	return (struct ip){.family = FAMILY_NONE};
}

static unsigned count_of(const struct queue *q, const struct conf_pool *pool, enum family family)
{
	unsigned n = 0;
	while (address_at(q, pool, family, n).family != FAMILY_NONE)
		n++;
	return n;
}

/* The next one in turn that can be used and does not rest at the site; else one that rests; else none. */
static struct ip choose(struct queue *q, const struct site *s, const struct conf_pool *pool, enum family family)
{
	unsigned count = count_of(q, pool, family), turn = s->next_source;
	struct ip found = {.family = FAMILY_NONE};
	for (unsigned i = 0; i < count; i++) {
		struct ip ip = address_at(q, pool, family, (turn + i) % count);
		if (!binding_usable(q, &ip))
			continue;
		if (!memory_source_rests(q->memory, s->lane.site, &ip, core_now(q)))
			return ip;
		if (found.family == FAMILY_NONE)
			found = ip;
	}
	if (count > 0 && found.family == FAMILY_NONE)
		COUNT(sources_none_usable);
	return found;
}

void pool_choose(struct queue *q, struct site *s, const struct conf_pool *pool, struct lane *lane)
{
	lane->source_ipv4 = choose(q, s, pool, FAMILY_IPV4);
	lane->source_ipv6 = choose(q, s, pool, FAMILY_IPV6);
	s->next_source++;
	snprintf(lane->helo_ipv4, sizeof lane->helo_ipv4, "%s", sources_helo(q->conf, &lane->source_ipv4, FAMILY_IPV4));
	snprintf(lane->helo_ipv6, sizeof lane->helo_ipv6, "%s", sources_helo(q->conf, &lane->source_ipv6, FAMILY_IPV6));
}

/* NULL: it has gone from the configuration. */
static const struct conf_pool *find_pool(const struct queue *q, uint64_t key)
{
	for (size_t i = 0; key != 0 && i < q->conf->pool_count; i++)
		if (pool_key(&q->conf->pools[i]) == key)
			return &q->conf->pools[i];
	return NULL;
}

bool pool_refused(struct queue *q, const struct site *s, uint64_t key, const struct ip *source)
{
	enum family family = (enum family)source->family;
	const struct conf_pool *pool = find_pool(q, key);
	if (pool == NULL || family == FAMILY_NONE)
		return false;
	char text[IP_TEXT];
	memory_note_source_refused(q->memory, s->lane.site, source, core_now(q));
	unsigned count = count_of(q, pool, family);
	for (unsigned i = 0; i < count; i++) {
		struct ip ip = address_at(q, pool, family, i);
		if (!binding_usable(q, &ip) || memory_source_rests(q->memory, s->lane.site, &ip, core_now(q)))
			continue;
		LOG_INFO("source-rests", LF_STR("site", s->lane.site), LF_STR("source", ip_format(source, text)));
		return true;
	}
	return false;
}

/* ---- the share of IPv6 ---- */

double pool_share_now(uint64_t percent, uint64_t warmup_ms, uint64_t since_ms, uint64_t now_ms)
{
	if (percent >= WHOLE || percent == 0 || warmup_ms == 0 || now_ms <= since_ms)
		return (double)percent;
	/* by the same factor each day: who receives the mail sees it grow evenly */
	double part = (double)(now_ms - since_ms) / (double)warmup_ms;
	return part >= 1 ? WHOLE : (double)percent * pow((double)WHOLE / (double)percent, part);
}

static void save(struct queue *q)
{
	struct buf *out = &q->shares_file.content;
	int err = 0;
	buf_reset(out);
	for (unsigned i = 0; err == 0 && i < q->share_count; i++) {
		err = buf_append_u64(out, q->shares[i].pool);
		err = err ? err : buf_append_u64(out, q->shares[i].percent);
		err = err ? err : buf_append_u64(out, q->shares[i].since);
	}
	if (err == 0)
		store_write_state(q->store, &q->shares_file);
	else
		LOG_ERR("no-memory", LF_STR("what", "the begin of a share of IPv6 could not be written"));
}

/* When the pool's share of so many percent began: now, if it is new. */
static uint64_t since(struct queue *q, uint64_t key, uint64_t percent)
{
	uint64_t now = core_wall(q, core_now(q));
	struct share *s = NULL;
	for (unsigned i = 0; i < q->share_count && s == NULL; i++)
		if (q->shares[i].pool == key)
			s = &q->shares[i];
	if (s != NULL && s->percent == percent)
		return s->since < now ? s->since : now;
	if (s == NULL) {
		struct share *grown =
			q->share_count < SHARES_MAX ? reallocarray(q->shares, q->share_count + 1, sizeof *grown) : NULL;
		if (grown == NULL)
			return now;
		q->shares = grown;
		s = &q->shares[q->share_count++];
	}
	*s = (struct share){.pool = key, .percent = percent, .since = now};
	save(q);
	return now;
}

enum family pool_family(struct queue *q, const struct delivery *d)
{
	uint64_t percent, warmup;
	const struct conf_pool *pool = pool_of(q, d);
	sources_share(q->conf, pool, &percent, &warmup);
	if (percent >= WHOLE)
		return FAMILY_NONE;
	double share = warmup && percent ? pool_share_now(percent, warmup, since(q, pool_key(pool), percent),
						   core_wall(q, core_now(q)))
					 : (double)percent;
	if (share >= WHOLE)
		return FAMILY_NONE;
	uint64_t id = d->message->id;
	return (double)(XXH3_64bits(&id, sizeof id) % 10000) < share * 100 ? FAMILY_IPV6 : FAMILY_IPV4;
}

bool pool_shares(const struct queue *q)
{
	bool some = q->conf->source.ipv6_share < WHOLE;
	for (size_t i = 0; !some && i < q->conf->pool_count; i++)
		some = q->conf->pools[i].ipv6_share < WHOLE; /* CONF_INHERIT is more */
	return some;
}

static int take(struct queue *q, const struct buf *b)
{
	struct reader r;
	reader_init(&r, b->data, b->len);
	uint64_t count = b->len / 24;
	if (b->len % 24 != 0 || count > SHARES_MAX)
		return -EBADMSG;
	q->shares = calloc(count ? count : 1, sizeof *q->shares);
	if (q->shares == NULL)
		return -ENOMEM;
	for (uint64_t i = 0; i < count; i++) {
		struct share *s = &q->shares[q->share_count++];
		s->pool = reader_u64(&r);
		s->percent = reader_u64(&r);
		s->since = reader_u64(&r);
	}
	return 0;
}

void pool_load(struct queue *q)
{
	struct buf content;
	buf_init(&content, SIDESTATE_MAX + 1);
	q->shares_file = (struct sidestate){.name = "warmup", .version = VERSION, .home = q->mailbox};
	buf_init(&q->shares_file.content, SIDESTATE_MAX);
	buf_init(&q->shares_file.writing, SIDESTATE_MAX);
	int err = store_read_state(q->store, "warmup", VERSION, &content);
	if (err == 0)
		err = take(q, &content);
	if (err != 0 && err != -ENOENT)
		LOG_ERR("state-unreadable", LF_STR("file", "warmup"), LF_STR("error", strerror(-err)),
			LF_STR("what", "shares of IPv6 begin anew"));
	buf_fini(&content);
}

void pool_free(struct queue *q)
{
	free(q->shares);
	q->shares = NULL;
	q->share_count = 0;
	sidestate_fini(&q->shares_file);
	binding_free(q);
}
