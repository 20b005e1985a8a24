/* queue/hops.h: the next hops of a domain's mail, looked up together: the hosts of all of them as one list. State.
 *
 * The hosts of the first hop go before those of the second, as if their preferences were better: a later hop is tried
 * when no path to those before it works. Answers of later hops join when they come; a hop whose look-up fails does not
 * hold up the others, and its fault counts only if no other has a host.
 *
 * A hop that the configuration or an operator names and that is not found is a fault of theirs and not of the mail: it
 * is deferred with 4.3.5. One that is this relay itself ends the list, as among MX hosts (RFC 5321 §5.1); with none
 * left before it mail fails with 5.4.6, or it would run in circles. */
#ifndef QUEUE_HOPS_H
#define QUEUE_HOPS_H

#include "conf/policy.h"
#include "queue/core.h"

enum { HOP_PREFERENCES = 1000 }; /* between the best of one hop and the best of the next */

struct hop_host {
	const struct mx_host *host;
	uint16_t preference; /* one hop: its own; several: the hop's number × HOP_PREFERENCES + its order there */
	uint16_t port;
};

struct hops {
	/* read these in the callback and after; do not write */
	enum mx_state state;	/* MX_HOSTS: the hosts of some hop are known; the rest may still come */
	int code;		/* MX_FAILED, MX_DEFERRED: reply code, */
	char enhanced[12];	/* enhanced status code */
	char reason[512];	/* and a text for people, with the names */
	bool complete;		/* no question is under way any more */
	uint64_t expires_ms;	/* monotonic: ask again after this; set once complete */
	struct hop_host *hosts; /* sorted by preference */
	size_t count;
	struct hop_lookup {
		struct hops *hops;
		struct mx *mx; /* NULL: behind the end of the list */
		uint16_t port;
	} items[CONF_HOPS_MAX]; /* in their order */
	size_t item_count;

	struct policy policy; /* in force for their site */
	const char *route;    /* the pattern of the route whose own site this is; NULL: shared by all */
	char *name, *key;     /* several hops: what their site is called, and its key; else NULL */

	/* private */
	struct conf *conf;
	bool named; /* by the configuration or an operator */
	void (*changed)(void *arg, struct hops *h);
	void *arg;
};

struct hops_wanted {
	const char *domain;		/* lower case A-labels, or an address literal "[…]" */
	const struct conf_route *route; /* NULL: by MX */
	const char *redirect;		/* not NULL: these next hops and no route */
	const struct conf_relay *relay; /* not NULL: these next hops in place of the route's; it outlives the call */
};

/* Starts the look-ups by q->conf. 0; -EINVAL: the domain is an address literal that cannot be read; -EBADMSG:
 * `redirect` cannot be read; -ENOMEM. `changed` is called whenever something new is known, never from within this
 * function; it may free the hops. What needs no question is known at the return already. */
int hops_start(struct hops **out, struct queue *q, const struct hops_wanted *wanted,
	void (*changed)(void *arg, struct hops *h), void *arg);
void hops_free(struct hops *h); /* cancels what is under way; NULL is fine */
/* When the race may start: as mx_ready_at() of the first hop that has hosts, once those before it have failed. */
uint64_t hops_ready_at(const struct hops *h, uint64_t now_ms);

#endif
