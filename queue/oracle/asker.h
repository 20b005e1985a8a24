/* queue/oracle/asker.h: one connection to an oracle: its questions, one after the other. Plumbing; the queue thread's
 * loop.
 *
 * While a question is looked up or its answer not yet taken by the peer, nothing is read: a connection has one question
 * and one answer at most, however many are sent ahead. Each is answered within limits { oracle_time } of its turn. A
 * peer that neither asks nor reads for limits { command_time } is disconnected. */
#ifndef QUEUE_ORACLE_ASKER_H
#define QUEUE_ORACLE_ASKER_H

#include <sys/queue.h>
#include <uv.h>

#include "conf/conf.h"
#include "dns/resolver.h"

struct asker;
LIST_HEAD(asker_list, asker);

/* What all askers share. It outlives them. */
struct asker_home {
	uv_loop_t *loop;
	struct resolver *resolver;
	struct conf *conf;			   /* in force; each question is judged by the one of its time */
	unsigned count;				   /* of askers that are not closed */
	unsigned handles;			   /* of them and others, not yet closed */
	void (*released)(struct asker_home *home); /* one of them is */
};

/* One place where they come in. */
struct asker_door {
	const struct conf_oracle *block; /* in the home's configuration */
	struct asker_list askers;
};

/* A connection that is to be accepted by uv_accept() into asker_stream(). NULL without memory. */
struct asker *asker_new(struct asker_home *home, struct asker_door *door);
uv_stream_t *asker_stream(struct asker *a);
/* Accepted. Begins to read; or closes it, if it may not ask: its address is not among the block's clients. */
void asker_begin(struct asker *a);
/* Ends what is under way; the memory goes with the last handle. */
void asker_close(struct asker *a);

#endif
