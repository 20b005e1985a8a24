/* queue/deliver/connection.h: one connection to another server, on its I/O loop: socket, SMTP client, timer. Plumbing.
 *
 * The race opens it as an attempt and hears of it through `connection_owner`, until it is adopted: from then on it
 * belongs to the queue thread, which uses it through queue/deliver/dialer.h. All calls here are made on the loop's
 * thread. */
#ifndef QUEUE_DELIVER_CONNECTION_H
#define QUEUE_DELIVER_CONNECTION_H

#include "queue/deliver/dialer.h"

/* How the attempt goes. From within any of these connection_drop() may be called, for this connection or another
 * one. */
struct connection_owner {
	void (*connected)(struct connection *c, void *arg);
	void (*greeting_begun)(struct connection *c, void *arg);
	/* 220: answer with connection_hello() or connection_drop(). `reply` is the greeting. */
	void (*greeted)(struct connection *c, void *arg, const struct reply *reply);
	/* EHLO or HELO was answered: answer with connection_adopt() or connection_drop(). */
	void (*ready)(struct connection *c, void *arg);
	/* It is over; the connection closes and frees itself. */
	void (*failed)(struct connection *c, void *arg, enum fault fault, const struct reply *why);
};

struct connection_setup {
	struct ioloop *loop;
	struct mailbox *home;
	const struct conf *conf;
	struct store *store;
	const struct lane *lane;
	const struct candidate *candidate;
	const struct connection_owner *owner;
	void *arg;
	size_t attempt; /* for the owner, see connection_attempt() */
};

/* Begins to connect. 0; or a negative code with `fault` and `why` filled, and no event comes. */
int connection_open(
	struct connection **out, const struct connection_setup *setup, enum fault *fault, struct reply *why);
size_t connection_attempt(const struct connection *c);
/* Says EHLO. */
void connection_hello(struct connection *c);
/* Not wanted any more: QUIT if a greeting came or began, then closed. No event comes any more. */
void connection_drop(struct connection *c);
/* Ready: hands it over to the queue thread. */
void connection_adopt(struct connection *c);
/* TERM: see dialer_drain(). */
void connection_drain(struct connection *c);
/* The next one of the loop's list; NULL: the last. */
struct connection *connection_next(const struct connection *c);

#endif
