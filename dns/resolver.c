/* dns/resolver.c: plumbing.
 *
 * A lookup is one name and type: who waits for it, and how far the search has come. Everything that happens to it,
 * sending and calling back, is done from the loop's idle handle, never inside c-ares and never inside a caller's call:
 * so callbacks may do what they like. A lookup is on the list `ready` while there is something to do, else an exchange
 * is under way. */
#include "dns/resolver.h"

#include <ares.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(lookup) ((lookup)->lost = true)
#include <uthash.h>

#include "conf/clock.h"
#include "conf/counter.h"
#include "conf/log.h"
#include "dns/cache.h"
#include "dns/name.h"
#include "dns/nat64.h"
#include "dns/resolvconf.h"
#include "dns/server.h"

enum { SERVERS_MAX = 64 }; /* bits of `failed` below */

struct dns_question {
	TAILQ_ENTRY(dns_question) all;
	struct lookup *lookup;
	dns_done *done;
	void *arg;
};

struct lookup {
	UT_hash_handle hh; /* in `lookups` while it may be joined, which is while it counts against the limit */
	TAILQ_ENTRY(lookup) ready;
	TAILQ_HEAD(, dns_question) questions;
	struct resolver *resolver;
	struct dns_exchange exchange;
	bool listed, lost;
	bool done; /* the answer is in `shared`; NULL: there was no memory for it */
	struct dns_shared *shared;
	uint64_t started_ms;
	unsigned generation; /* of the servers that the following is about */
	size_t first;	     /* the server asked first */
	size_t turn;	     /* of servers × tries */
	uint64_t failed;     /* a bit for each server that said so: it is not asked again */
	bool plain;	     /* this server knows no EDNS */
	char detail[96];     /* the first failure, or the last silence */
	struct dns_key key;
	enum dns_type type;
};

struct slot {
	struct dns_server *server;
	struct endpoint at;
	uint64_t rests_until_ms; /* it was silent */
};

struct resolver {
	uv_loop_t *loop;
	uv_idle_t idle; /* runs while `ready` is not empty */
	struct slot *slots;
	size_t slot_count;
	unsigned generation;
	bool trusted; /* with the AD bit: all servers are on this machine */
	uint64_t timeout_ms;

	struct dns_cache_limits limits;
	uint64_t tries, queries, hosts, addresses;
	bool from_file;
	struct resolvconf file;

	uint64_t seed;
	struct dns_cache *cache;
	struct lookup *lookups;
	TAILQ_HEAD(ready, lookup) ready;
	size_t ready_count;
	struct lookup *delivering;

	size_t handles; /* servers and the idle handle that are not closed yet */
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

static void finish_close(struct resolver *r)
{
	if (!r->closing || r->handles != 0)
		return;
	void (*closed)(void *arg) = r->closed;
	void *arg = r->closed_arg;
	free(r);
	ares_library_cleanup();
	closed(arg);
}

static void on_server_closed(void *arg)
{
	struct resolver *r = arg;
	r->handles--;
	finish_close(r);
}

static void on_idle(uv_idle_t *idle);

static void make_ready(struct lookup *l)
{
	struct resolver *r = l->resolver;
	TAILQ_INSERT_TAIL(&r->ready, l, ready);
	r->ready_count++;
	uv_idle_start(&r->idle, on_idle);
}

/* ---- servers ---- */

static void close_slots(struct slot *slots, size_t count)
{
	for (size_t i = 0; i < count; i++)
		dns_server_close(slots[i].server);
	free(slots);
}

/* Puts these servers in the place of the old ones; without memory the old ones stay. */
static int use_servers(struct resolver *r, const struct endpoint *servers, size_t count)
{
	struct slot *fresh = calloc(count, sizeof *fresh), *old = r->slots;
	size_t made = 0, old_count = r->slot_count;
	bool trusted = true;
	int err = fresh != NULL ? 0 : -ENOMEM;
	for (; err == 0 && made < count; made += err == 0) {
		fresh[made].at = servers[made];
		trusted = trusted && ip_is_loopback(&servers[made].ip);
		err = dns_server_new(&fresh[made].server, r->loop, &servers[made], r->timeout_ms, on_server_closed, r);
		r->handles += err == 0;
	}
	if (err != 0) {
		close_slots(fresh, made);
		return err;
	}
	r->slots = fresh;
	r->slot_count = count;
	r->trusted = trusted;
	r->generation++;
	close_slots(old, old_count); /* what was under way there is ready again now */
	return 0;
}

static bool same_servers(const struct resolver *r, const struct endpoint *servers, size_t count)
{
	if (count != r->slot_count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!endpoint_equal(&servers[i], &r->slots[i].at))
			return false;
	return true;
}

/* The servers that are to be used, from the configuration or the file. */
static int update_servers(struct resolver *r, const struct conf *conf, bool other_timeout)
{
	const struct conf_endpoints *listed = &conf->dns.servers;
	struct endpoint found[RESOLVCONF_SERVERS];
	const struct endpoint *servers = found;
	size_t count;
	r->from_file = listed->count == 0;
	if (r->from_file) {
		count = resolvconf_read(&r->file, found);
	} else {
		servers = listed->items;
		count = listed->count < SERVERS_MAX ? listed->count : SERVERS_MAX;
	}
	return !other_timeout && same_servers(r, servers, count) ? 0 : use_servers(r, servers, count);
}

static int take_conf(struct resolver *r, const struct conf *conf)
{
	bool other_timeout = r->timeout_ms != conf->dns.timeout;
	r->limits = (struct dns_cache_limits){
		.entries = conf->dns.cache,
		.ttl_max = conf->dns.ttl_max,
		.negative_max = conf->dns.negative_max,
		.failure = conf->dns.failure,
	};
	r->timeout_ms = conf->dns.timeout;
	r->tries = conf->dns.tries;
	r->queries = conf->dns.queries;
	r->hosts = conf->dns.hosts;
	r->addresses = conf->dns.addresses;
	return update_servers(r, conf, other_timeout);
}

static void log_servers(const struct resolver *r, int err)
{
	if (err != 0)
		LOG_WARN("dns-servers", LF_STR("problem", strerror(-err)), LF_STR("kept", "the servers used so far"));
	else
		LOG_INFO("dns-servers", LF_NUM("count", r->slot_count), LF_ENDPOINT("first", &r->slots[0].at),
			LF_STR("from", r->from_file ? r->file.path : "configuration"));
}

/* Reads the file again if it is another one. */
static void look_at_file(struct resolver *r)
{
	struct endpoint found[RESOLVCONF_SERVERS];
	if (!r->from_file || !resolvconf_changed(&r->file, clock_mono_ms()))
		return;
	size_t count = resolvconf_read(&r->file, found);
	if (!same_servers(r, found, count))
		log_servers(r, use_servers(r, found, count));
}

/* ---- the search ---- */

/* The first server that was not silent lately; if all were, the first. */
static size_t first_server(const struct resolver *r, uint64_t now_ms)
{
	for (size_t i = 0; i < r->slot_count; i++)
		if (r->slots[i].rests_until_ms <= now_ms)
			return i;
	return 0;
}

static size_t current(const struct lookup *l)
{
	return (l->first + l->turn) % l->resolver->slot_count;
}

/* What it tells are the resolvers' own words, not the world's (RFC 8880 §7): whoever asks wants to hear those that are
 * asked now. */
static bool of_this_network(const struct dns_key *k)
{
	return strcmp(dns_key_name(k), NAT64_NAME) == 0;
}

static void conclude(struct lookup *l, struct dns_answer *answer)
{
	struct resolver *r = l->resolver;
	l->done = true;
	l->shared = dns_shared_new(answer);
	if (l->shared == NULL)
		return;
	if (l->shared->answer.status == DNS_SERVFAIL || l->shared->answer.status == DNS_TIMEOUT)
		COUNT(dns_failures);
	if (of_this_network(&l->key))
		dns_cache_stamp(r->cache, l->shared, clock_mono_ms());
	else
		dns_cache_put(r->cache, &l->key, l->shared, clock_mono_ms());
}

/* The server failed, by its own word or by nonsense. */
static void note_failure(struct lookup *l, const char *what)
{
	if (l->failed == 0)
		snprintf(l->detail, sizeof l->detail, "%.30s from %s", what,
			dns_server_text(l->resolver->slots[current(l)].server));
	l->failed |= (uint64_t)1 << current(l);
	l->turn++;
	l->plain = false;
}

static void read_packet(struct lookup *l, const uint8_t *packet, size_t len)
{
	struct resolver *r = l->resolver;
	struct dns_answer answer;
	size_t most = (size_t)(l->type == DNS_MX ? r->hosts : r->addresses);
	int err = dns_answer_parse(&answer, packet, len, dns_key_name(&l->key), l->type, most);
	r->slots[current(l)].rests_until_ms = 0;
	if (err != 0) {
		note_failure(l, err == -ENOMEM ? "out of memory at the answer" : "nonsense");
	} else if (answer.status != DNS_SERVFAIL) {
		answer.secure = answer.secure && r->trusted;
		answer.local = r->trusted;
		conclude(l, &answer);
	} else if (strcmp(answer.detail, "FORMERR") == 0 && !l->plain) {
		l->plain = true; /* RFC 6891 §7: the same server once more */
	} else {
		note_failure(l, answer.detail);
	}
}

static void on_reply(void *arg, enum dns_reply what, const uint8_t *packet, size_t len, const char *why)
{
	struct lookup *l = arg;
	struct resolver *r = l->resolver;
	if (r->closing)
		return;
	switch (what) {
	case DNS_REPLY_PACKET:
		read_packet(l, packet, len);
		break;
	case DNS_REPLY_NONE:
		r->slots[current(l)].rests_until_ms = clock_mono_ms() + r->limits.failure;
		if (l->failed == 0)
			snprintf(l->detail, sizeof l->detail, "%.30s", why);
		l->turn++;
		l->plain = false;
		break;
	case DNS_REPLY_CLOSED: /* other servers: search() begins anew */
		break;
	}
	make_ready(l);
}

static void give_up(struct lookup *l, uint64_t now_ms)
{
	struct dns_answer answer = {.status = l->failed ? DNS_SERVFAIL : DNS_TIMEOUT};
	if (l->failed) {
		memcpy(answer.detail, l->detail, sizeof answer.detail);
	} else {
		char span[CLOCK_SPAN];
		size_t n = l->resolver->slot_count;
		snprintf(answer.detail, sizeof answer.detail, "%.30s after %s (%zu server%s)", l->detail,
			clock_span(now_ms - l->started_ms, span), n, n == 1 ? "" : "s");
	}
	conclude(l, &answer);
}

/* Asks the next server, or finds that none is left. */
static void search(struct lookup *l)
{
	struct resolver *r = l->resolver;
	uint64_t now = clock_mono_ms();
	if (l->generation != r->generation) {
		l->generation = r->generation;
		l->first = first_server(r, now);
		l->turn = 0;
		l->failed = 0;
		l->plain = false;
	}
	while (l->turn < r->slot_count * r->tries && l->failed >> current(l) & 1)
		l->turn++;
	if (l->turn >= r->slot_count * r->tries) {
		give_up(l, now);
		make_ready(l);
		return;
	}
	COUNT(dns_queries);
	dns_server_ask(r->slots[current(l)].server, dns_key_name(&l->key), l->type, !l->plain, &l->exchange);
}

/* ---- questions ---- */

static void unlist(struct lookup *l)
{
	if (l->listed)
		HASH_DEL(l->resolver->lookups, l);
	l->listed = false;
}

static void drop_questions(struct lookup *l)
{
	struct dns_question *q;
	while ((q = TAILQ_FIRST(&l->questions)) != NULL) {
		TAILQ_REMOVE(&l->questions, q, all);
		free(q);
	}
}

static void lookup_free(struct lookup *l)
{
	unlist(l);
	drop_questions(l);
	dns_shared_unref(l->shared);
	free(l);
}

static void deliver(struct lookup *l)
{
	struct resolver *r = l->resolver;
	uint64_t now = clock_mono_ms();
	/* the records are shared, what is left of the TTL is not */
	struct dns_answer lent = {.status = DNS_SERVFAIL, .detail = "out of memory"};
	if (l->shared != NULL) {
		uint64_t left = l->shared->expires_ms > now ? (l->shared->expires_ms - now + 999) / 1000 : 0;
		lent = l->shared->answer;
		lent.ttl = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
	}
	unlist(l);
	r->delivering = l;
	struct dns_question *q;
	while ((q = TAILQ_FIRST(&l->questions)) != NULL) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): TAILQ_REMOVE took the freed one out */
		dns_done *done = q->done;
		void *arg = q->arg;
		TAILQ_REMOVE(&l->questions, q, all);
		free(q);
		done(arg, &lent, now);
	}
	r->delivering = NULL;
	lookup_free(l);
}

static void on_idle(uv_idle_t *idle)
{
	struct resolver *r = idle->data;
	/* what becomes ready meanwhile waits for the next turn of the loop */
	for (size_t n = r->ready_count; n != 0 && !r->closing; n--) {
		struct lookup *l = TAILQ_FIRST(&r->ready);
		TAILQ_REMOVE(&r->ready, l, ready);
		r->ready_count--;
		if (l->done)
			deliver(l);
		else
			search(l);
	}
	if (!r->closing && r->ready_count == 0)
		uv_idle_stop(idle);
}

static struct lookup *lookup_new(struct resolver *r, const struct dns_key *key, enum dns_type type)
{
	struct lookup *l = calloc(1, sizeof *l);
	if (l == NULL)
		return NULL;
	TAILQ_INIT(&l->questions);
	l->resolver = r;
	l->exchange = (struct dns_exchange){.reply = on_reply, .arg = l};
	l->key = *key;
	l->type = type;
	return l;
}

/* A new lookup that goes to servers and may be joined. NULL without memory or past the limit. */
static struct lookup *lookup_list(struct resolver *r, const struct dns_key *key, enum dns_type type, uint64_t now_ms)
{
	if (HASH_COUNT(r->lookups) >= r->queries) {
		COUNT(dns_limit_queries);
		return NULL;
	}
	struct lookup *l = lookup_new(r, key, type);
	if (l == NULL)
		return NULL;
	l->started_ms = now_ms;
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, r->lookups, l->key.bytes, l->key.len, l->key.hash, l);
	if (l->lost) {
		free(l);
		return NULL;
	}
	l->listed = true;
	make_ready(l);
	return l;
}

/* The lookup that a question joins. */
static struct lookup *lookup_get(struct resolver *r, const char *name, enum dns_type type)
{
	uint64_t now = clock_mono_ms();
	struct dns_key key;
	struct lookup *l = NULL;
	struct dns_shared *shared = NULL;
	bool valid = dns_name_valid(name);
	if (dns_key_make(&key, valid ? name : "", type, r->seed) != 0)
		return NULL;
	if (valid) {
		HASH_FIND_BYHASHVALUE(hh, r->lookups, key.bytes, key.len, key.hash, l);
		if (l != NULL)
			return l;
		shared = dns_cache_find(r->cache, &key, now);
		if (shared == NULL)
			return lookup_list(r, &key, type, now);
		COUNT(dns_cache_hits);
		dns_shared_ref(shared);
	} else {
		struct dns_answer answer = {.status = DNS_NXDOMAIN, .detail = "not a domain name"};
		shared = dns_shared_new(&answer);
	}
	l = lookup_new(r, &key, type);
	if (l == NULL) {
		dns_shared_unref(shared);
		return NULL;
	}
	l->shared = shared;
	l->done = true;
	make_ready(l);
	return l;
}

struct dns_question *dns_ask(struct resolver *r, const char *name, enum dns_type type, dns_done *done, void *arg)
{
	struct dns_question *q = calloc(1, sizeof *q);
	if (q == NULL)
		return NULL;
	look_at_file(r);
	q->lookup = lookup_get(r, name, type);
	if (q->lookup == NULL) {
		free(q);
		return NULL;
	}
	q->done = done;
	q->arg = arg;
	TAILQ_INSERT_TAIL(&q->lookup->questions, q, all);
	return q;
}

void dns_cancel(struct dns_question *q)
{
	TAILQ_REMOVE(&q->lookup->questions, q, all);
	free(q);
}

/* ---- open, configure, close ---- */

int resolver_open(struct resolver **out, uv_loop_t *loop, const struct conf *conf, struct buf *errors)
{
	int err = -ENOMEM;
	struct resolver *r = NULL;
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS || (r = calloc(1, sizeof *r)) == NULL)
		goto fail;
	r->loop = loop;
	TAILQ_INIT(&r->ready);
	resolvconf_init(&r->file, "/etc/resolv.conf");
	if (getrandom(&r->seed, sizeof r->seed, 0) != sizeof r->seed)
		goto fail;
	err = take_conf(r, conf);
	if (err != 0)
		goto fail;
	err = -ENOMEM;
	r->cache = dns_cache_new(&r->limits);
	if (r->cache == NULL)
		goto fail;
	uv_idle_init(loop, &r->idle);
	r->idle.data = r;
	r->handles++;
	*out = r;
	return 0;
fail:
	/* no question was asked, so the servers hold no handle of the loop */
	if (r != NULL)
		close_slots(r->slots, r->slot_count);
	free(r);
	ares_library_cleanup();
	buf_printf(errors, "the DNS resolver does not start: %s\n", strerror(-err));
	return err;
}

void resolver_configure(struct resolver *r, const struct conf *conf)
{
	unsigned before = r->generation;
	int err = take_conf(r, conf);
	dns_cache_limit(r->cache, &r->limits);
	if (err != 0 || r->generation != before)
		log_servers(r, err);
}

static void idle_closed(uv_handle_t *h)
{
	on_server_closed(h->data);
}

void resolver_close(struct resolver *r, void (*closed)(void *arg), void *arg)
{
	r->closing = true;
	r->closed = closed;
	r->closed_arg = arg;
	uv_close((uv_handle_t *)&r->idle, idle_closed);
	close_slots(r->slots, r->slot_count);
	r->slots = NULL;
	r->slot_count = 0;

	struct lookup *l, *next;
	while ((l = TAILQ_FIRST(&r->ready)) != NULL) {
		TAILQ_REMOVE(&r->ready, l, ready);
		lookup_free(l);
	}
	for (l = r->lookups; l != NULL; l = next) {
		next = l->hh.next;
		lookup_free(l);
	}
	if (r->delivering != NULL)
		drop_questions(r->delivering);
	dns_cache_free(r->cache);
	r->cache = NULL;
}
