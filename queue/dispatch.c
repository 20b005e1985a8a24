/* queue/dispatch.c: state. */
#include "queue/dispatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/clock.h"
#include "conf/counter.h"
#include "queue/batch.h"
#include "queue/choose.h"
#include "queue/deadline.h"
#include "queue/dialling.h"
#include "queue/index.h"
#include "queue/link.h"
#include "queue/notifier.h"
#include "queue/pace.h"
#include "queue/path/account.h"
#include "queue/path/failover.h"
#include "queue/path/prober.h"
#include "queue/retry.h"
#include "queue/settle.h"
#include "queue/site.h"
#include "queue/soft.h"
#include "queue/suspension.h"
#include "queue/telling.h"

enum {
	SWEEP_SLICE = 200,
	SWEEP_BUSY_MS = 20, /* while many notices are being made */
	PARTIAL_MS = 1000,  /* the rest of a site whose better addresses had no room */
	LOCAL_MS = 5000,    /* … where no path could be tried for want of something here */
	BESIDE_MS = 60000,  /* after a failed dial: one more is tried beside the connections that live */
};

static bool start_dial(struct queue *q, struct site *s, struct delivery *picky);
static void go_other_way(struct queue *q, struct site *s, struct delivery *d, struct work *w);

/* ---- who may start ---- */

/* Room for one more connection of this site, by its own limits. */
static bool site_has_room(const struct queue *q, struct site *s)
{
	unsigned taken = s->links + s->dial_count;
	bool full = taken >= site_connections(q, s);
	if (full && !s->at_limit)
		COUNT(limit_site_connections);
	s->at_limit = full;
	if (full)
		return false;
	if (!s->known && s->dial_count > s->picky_count)
		return false; /* one race for all at a time until a path is known */
	return taken == 0 || taken < pace_window(s);
}

/* It goes on when some connection closes, or at the next second. */
static void wait_for_turn(struct queue *q, struct site *s)
{
	if (s->in_turn)
		return;
	s->in_turn = true;
	TAILQ_INSERT_TAIL(&q->sites_in_turn, s, turn);
}

/* All places, with the reserve for sites that have nothing yet. */
static uint64_t places_in_all(const struct queue *q)
{
	uint64_t most = q->conf->limits.connections;
	return most + most / 4 + 1;
}

/* Room by the limits of all; a site that has nothing yet draws on a reserve. A site that finds none waits for its
 * turn. */
static bool all_have_room(struct queue *q, struct site *s)
{
	uint64_t most = q->conf->limits.connections;
	uint64_t taken = q->links + q->dials;
	bool nothing_yet = s->links + s->dial_count == 0;
	if (nothing_yet ? taken < places_in_all(q) : taken < most && q->dials < most / 2 + 1)
		return true;
	COUNT(limit_connections);
	wait_for_turn(q, s);
	return false;
}

static bool may_begin(const struct queue *q)
{
	return !q->draining && store_room(q->store, 0) != STORE_BROKEN;
}

/* ---- transactions ---- */

/* An address of the other family may still be on its way from the DNS: as good as a path that is left. Who was refused
 * for the family has one session more. */
static bool other_path_left(const struct queue *q, const struct site *s, const struct delivery *d, unsigned sessions)
{
	enum family refused = d->tries->refused;
	if (sessions >= q->conf->race.sessions_per_attempt + (refused != FAMILY_NONE))
		return false;
	if (dialling_answers_come(s, d))
		return true;
	for (unsigned i = 0; i < s->candidate_count; i++)
		if (!site_was_tried(d, &s->candidates[i].to) && candidate_family(&s->candidates[i]) != refused)
			return true;
	return false;
}

static void on_transaction(struct transaction *t);

/* The attempt's first use of a connection carries what the race tried; a connection in use already is one path without
 * a race. */
static void note_paths(struct queue *q, struct link *l, struct delivery *d)
{
	const struct connection_info *info = connection_info(l->connection);
	struct tries *t = d->tries;
	if (l->paths != NULL) {
		settle_paths(q, d, l->paths, l->path_count, l->used);
		t->race_ms += l->race_ms;
		free(l->paths);
		l->paths = NULL;
	} else {
		struct path_try p = {
			.to = info->to, .real = info->real, .preference = info->preference, .fault = FAULT_NONE};
		snprintf(p.host, sizeof p.host, "%s", info->host);
		settle_paths(q, d, &p, 1, 0);
	}
	if (t->tried_count < sizeof t->tried / sizeof t->tried[0])
		t->tried[t->tried_count++] = info->to;
}

/* With `again` the delivery goes on over the connection that has just had it. */
static void send_work(struct queue *q, struct link *l, struct delivery *d, bool again)
{
	struct message *m = d->message;
	struct work *w = settle_begin(q, d) == 0 ? batch_new(q, d, l) : NULL;
	if (w != NULL && !again)
		note_paths(q, l, d);
	/* behind the dot it would be too late to find out that there is no memory for what the peer answers */
	if (w != NULL && settle_reserve(q, d, w->transaction.rcpt_count) != 0) {
		free(w);
		w = NULL;
	}
	if (w == NULL) {
		struct reply r;
		reply_set(&r, 451, "4.3.0", "not enough memory here");
		if (d->tries != NULL)
			settle_end(q, d, &r, 0);
		else
			settle_all(q, d, &r);
		return;
	}
	struct transaction *t = &w->transaction;
	t->done = on_transaction;
	if (m->body != NULL) {
		t->body = body_ref(m->body);
	} else {
		t->content = w->pinned = m->content;
		store_pin(q->store, w->pinned);
		COUNT(bodies_read);
	}
	d->state = DELIVERY_ACTIVE;
	link_take(l, w);
	bool last = l->site->slow_mail || !other_path_left(q, l->site, d, d->tries->sessions + 1);
	connection_send(l->connection, t, last);
	prober_look(q, l->site);
}

/* The next attempt begins where the server asked to come again, whether it said so to the recipient or, with 421, to
 * all. */
static void note_4yz(struct tries *tries, const struct endpoint *via, const struct reply *r)
{
	if (reply_class(r) != 4 || r->own || tries->first_4yz.ip.family != FAMILY_NONE)
		return;
	tries->first_4yz = *via;
	tries->greylisted = reply_is_greylisting(r);
}

/* A row for what one recipient was answered (NULL: nothing). */
static void take_answer(struct queue *q, struct work *w, uint16_t index, const struct reply *r, bool too_many)
{
	struct delivery *d = w->delivery;
	struct tries *tries = d->tries;
	struct reply soft;
	unsigned class = r != NULL ? reply_class(r) : 0;
	enum rcpt_status status = class == 2 ? RCPT_DELIVERED : class == 5 && !too_many ? RCPT_FAILED : RCPT_QUEUED;
	const struct endpoint *via = &connection_info(w->link->connection)->to;
	bool refused = class >= 4 && !too_many && failover_refused(q, w->link, d, r, &soft);
	if (refused)
		status = RCPT_QUEUED;
	tries->left |= status == RCPT_QUEUED;
	if (refused || (status == RCPT_FAILED && soft_bounce(q, d, r, &soft))) {
		status = RCPT_QUEUED;
		r = &soft;
	}
	settle_rcpt(q, d, index, status, r != NULL ? r : &w->transaction.last);
	if (status == RCPT_DELIVERED)
		telling_relayed(d, index, connection_info(w->link->connection)->peer.dsn);
	if (!refused)
		note_4yz(tries, via, r != NULL ? r : &w->transaction.last);
}

/* Rows for what the peer answered. Sets tries->left if somebody has no final answer. */
static void take_answers(struct queue *q, struct work *w)
{
	const struct delivery *d = w->delivery;
	const struct transaction *t = &w->transaction;
	for (unsigned i = 0; i < t->rcpt_count; i++) {
		const struct transaction_rcpt *r = &t->rcpts[i];
		if (!batch_is_rest(t, r))
			take_answer(q, w, r->index, r->answered ? &r->reply : NULL, r->too_many);
	}
	for (uint32_t i = d->first; w->part && t->for_message && i < d->first + d->count; i++)
		if (batch_is_due(d, i))
			take_answer(q, w, d->message->rcpts[i].index, &t->last, false);
}

/* The content cannot be read: nothing is delivered in part, nothing is dropped. */
static void on_unreadable(struct queue *q, struct delivery *d, struct work *w)
{
	struct message *m = d->message;
	int error = w->transaction.error;
	struct reply *r = &w->transaction.last;
	reply_set(r, 451, "4.3.0", "the content could not be read here: %s", strerror(-error));
	LOG_ERR("unreadable", LF_ID("id", m->id), LF_STR("error", strerror(-error)));
	take_answers(q, w);
	if (error == -EBADMSG || error == -ENOENT)
		index_hold(q, m, ENVELOPE_DAMAGED, r->text, false);
	settle_end(q, d, r, 0);
}

/* The family that the peer at the address sees. */
static enum family family_of(const struct site *s, const struct endpoint *to)
{
	for (unsigned i = 0; i < s->candidate_count; i++)
		if (endpoint_equal(&s->candidates[i].to, to))
			return candidate_family(&s->candidates[i]);
	return (enum family)to->ip.family;
}

/* Every path of the attempt is slow at the same step: none is broken, and the next attempt has the RFC's times. */
static void note_slow(struct queue *q, struct site *s, const struct tries *tries)
{
	s->slow_mail = true;
	for (unsigned i = 0; i < tries->tried_count; i++)
		memory_forgive(q->memory, s->lane.site, &tries->tried[i], family_of(s, &tries->tried[i]), core_now(q));
	LOG_INFO("site-slow", LF_STR("site", s->lane.site),
		LF_STR("what", "every path is slow behind MAIL: the next attempt waits for one"));
}

/* What the end of a transaction says of its path. */
static void note_end(struct queue *q, struct site *s, const struct delivery *d, const struct transaction *t,
	const struct connection_info *via, bool refused)
{
	struct tries *tries = d->tries;
	uint64_t now = core_now(q);
	enum family family = connection_family(via);
	bool slow = t->fault == FAULT_SILENT_LATER ||
		    (t->end == TRANSACTION_ANSWERED && t->slowest_ms > q->conf->race.patience_mail);
	tries->slow += slow;
	if (t->end == TRANSACTION_ANSWERED) {
		pace_success(s, site_connections(q, s), now);
		s->slow_mail = slow;
		if (!refused && t->accepted > 0 && reply_class(&t->last) == 2) {
			memory_note_taken(q->memory, s->lane.site, family, now);
			account_content(q, via, d->message->size);
		}
	} else if (t->fault != FAULT_NONE) {
		memory_note_fault(q->memory, s->lane.site, &via->to, family, t->fault, now);
		prober_changed(s);
	}
	if (slow && tries->slow > 1 && tries->slow == tries->sessions)
		note_slow(q, s, tries);
}

/* Does the delivery still belong to this site? Its message may have been withdrawn or redirected since it began. */
static bool is_wanted(const struct delivery *d)
{
	return !index_withdrawn(d->message) && !d->again;
}

/* Where a delivery goes on whose transaction is over. True: it has recipients for another one at once, over the same
 * connection if that is reusable. */
static bool after_transaction(struct queue *q, struct site *s, struct delivery *d, struct work *w)
{
	const struct transaction *t = &w->transaction;
	const struct connection_info via = *connection_info(w->link->connection);
	uint64_t now = core_now(q);
	struct reply ended;
	if (t->end == TRANSACTION_LOCAL) {
		on_unreadable(q, d, w);
		return false;
	}
	d->tries->refusal_row = NULL;
	take_answers(q, w);
	bool refused = d->tries->refusal_row != NULL;
	note_end(q, s, d, t, &via, refused);
	if (t->fault == FAULT_LOAD && !refused)
		pace_load(s, s->links, now);
	bool goes_on = is_wanted(d) && may_begin(q);
	int more = t->end == TRANSACTION_ANSWERED && !t->for_message ? batch_note(s, d, w) : 0;
	if (more == 1 && goes_on) {
		settle_interim(q, d);
		return true;
	}
	if (d->tries->left && t->end != TRANSACTION_UNKNOWN && goes_on && s->suspension == NULL &&
		other_path_left(q, s, d, d->tries->sessions)) {
		settle_interim(q, d);
		d->tries->other = connection_family(&via) == FAMILY_IPV6 ? FAMILY_IPV4 : FAMILY_IPV6;
		failover_begin(q, s, d, t, &via);
		go_other_way(q, s, d, w);
		return false;
	}
	reply_set(&ended, 451, "4.4.2", "the attempt was ended here before all recipients had their turn");
	settle_end(q, d, more != 0 ? &ended : &t->last, 0);
	return false;
}

/* Nothing was tried yet: the delivery waits for the site as before, or goes to where its message is now. */
static void put_back(struct queue *q, struct site *s, struct delivery *d)
{
	if (!is_wanted(d)) {
		settle_cancel(q, d);
		return;
	}
	d->state = DELIVERY_READY;
	ready_add_first(&s->ready, d);
}

/* The dial that a delivery alone wanted came to nothing: its attempt is over, or, if it only wanted the path where it
 * was greylisted, any other will do. */
static void no_other_path(struct queue *q, struct site *s, struct delivery *d, const struct reply *why)
{
	if (d->tries->sessions == 0) {
		free(d->greylisted);
		d->greylisted = NULL;
		put_back(q, s, d);
		return;
	}
	struct reply r;
	reply_set(&r, 451, "4.4.1", "no other path could be tried now");
	settle_end(q, d, why ? why : &r, 0);
}

/* The connection closed before MAIL: no attempt at all, unless it happens again and again. */
static void after_unstarted(struct queue *q, struct site *s, struct delivery *d, struct work *w)
{
	struct tries *t = d->tries;
	const struct connection_info *via = connection_info(w->link->connection);
	bool again = ++t->unstarted < 3;
	if (w->link->sent == 1) /* it never took mail: others before this path */
		memory_note_fault(
			q->memory, s->lane.site, &via->to, connection_family(via), w->transaction.fault, core_now(q));
	if (t->tried_count > 0)
		t->tried_count--; /* it was put there last */
	if (t->sessions == 0 && (again || q->draining || !is_wanted(d))) {
		t->tried_count = 0;
		put_back(q, s, d);
	} else if (t->sessions > 0 && again && may_begin(q) && s->suspension == NULL && is_wanted(d)) {
		go_other_way(q, s, d, w);
	} else {
		struct reply r;
		reply_set(&r, 451, "4.4.2", "the site closes its connections before mail can be sent");
		settle_end(q, d, &r, 0);
	}
}

/* The rest of the recipients goes at once: that is no attempt and no session of its own. */
static void send_rest(struct queue *q, struct link *l, struct delivery *d)
{
	struct tries *t = d->tries;
	t->sessions--;
	if (!l->closing) {
		send_work(q, l, d, true);
		return;
	}
	if (t->tried_count > 0)
		t->tried_count--; /* its address may well have the rest too */
	put_back(q, l->site, d);
}

static void on_transaction(struct transaction *t)
{
	struct work *w = t->arg;
	struct link *l = w->link;
	struct site *s = l->site;
	struct queue *q = s->queue;
	struct delivery *d = w->delivery;
	bool rest = false;
	if (w->pinned.segment != 0)
		store_unpin(q->store, w->pinned);
	body_unref(t->body);
	d->tries->transfer_ms += t->transfer_ms;
	if (t->end == TRANSACTION_UNSTARTED) {
		after_unstarted(q, s, d, w);
	} else {
		d->tries->sessions++;
		rest = after_transaction(q, s, d, w);
	}
	if (t->reusable && pace_surplus(s, core_now(q))) {
		connection_quit(l->connection);
		t->reusable = false;
	}
	link_put_back(l, t->reusable);
	free(w);
	if (rest)
		send_rest(q, l, d);
	dispatch_pump(q, s);
}

/* ---- dials ---- */

static void on_link_closed(struct queue *q, struct site *s)
{
	if (s->links == 0)
		s->known = false; /* paths change meanwhile: the next race is alone again */
	/* who waited for a place has it before the site that had it */
	dispatch_turns(q);
	dispatch_pump(q, s);
}

static void end_rest(struct queue *q, struct site *s)
{
	s->failures = 0;
	s->probe_due = false;
	attempt_free(s->fault);
	s->fault = NULL;
	intern_drop(&q->reasons, s->reason);
	s->reason = NULL;
	if (!s->resting)
		return;
	s->resting = false;
	q->resting--;
	due_clear(&q->due, &s->due);
	pace_restart(s);
	LOG_INFO("site-back", LF_STR("site", s->lane.site), LF_NUM("waiting", s->ready.count));
}

static void dial_won(struct queue *q, struct site *s, struct dial *dial, const struct dialling *w)
{
	struct delivery *picky = w->picky;
	struct link *l = link_new(q, s, dial, on_link_closed);
	if (l != NULL) {
		l->pool = w->pool;
		l->share = w->share;
	}
	s->known = true;
	s->slow = s->untried = false;
	end_rest(q, s);
	if (l == NULL) {
		LOG_ERR("no-memory", LF_STR("site", s->lane.site), LF_STR("what", "a connection was given up"));
		connection_on_closed(dial->connection, connection_release);
		connection_quit(dial->connection);
	}
	if (picky == NULL)
		return;
	if (l != NULL && !q->draining && is_wanted(picky)) {
		send_work(q, l, picky, false);
	} else if (picky->tries->sessions == 0) {
		put_back(q, s, picky);
	} else {
		struct reply r;
		reply_set(&r, 451, "4.4.2", "the attempt was ended here");
		settle_end(q, picky, &r, 0);
	}
}

static void log_waiting(const struct site *s, struct delivery *d)
{
	if (d->told)
		return;
	d->told = true;
	LOG_INFO("waiting", LF_ID("id", d->message->id), LF_ADDRESS("to", d->message->rcpts[d->first].address),
		LF_NUM("recipients", d->count), LF_STR("site", s->lane.site),
		LF_STR("reason", s->suspension ? s->suspension->text : s->reason));
}

/* No path works: the site rests, and all that waits for it waits with it; for `brief` (0: by retry's times) if
 * that was not the paths' fault. */
static void begin_rest(struct queue *q, struct site *s, const struct dial *dial, const struct reply *r, uint64_t brief)
{
	uint64_t now = core_now(q);
	attempt_free(s->fault);
	s->fault = attempt_new(core_wall(q, now), s->lane.site);
	for (unsigned i = 0; s->fault != NULL && i < dial->path_count; i++)
		attempt_add_path(s->fault, &dial->paths[i]);
	intern_drop(&q->reasons, s->reason);
	s->reason = intern_take(&q->reasons, r->text);
	if (!s->resting)
		q->resting++;
	s->resting = true;
	s->probe_due = false;
	s->known = false;
	s->failures += brief == 0;
	const struct delivery *first = ready_first(&s->ready);
	struct retry_times times = first ? retry_of(q, first) : policy_of(q->conf, NULL).retry;
	uint64_t probe = now + (brief ? brief : retry_delay(&times, s->failures, false, q->chance()));
	due_set(&q->due, &s->due, probe);
	char stamp[CLOCK_STAMP];
	LOG_WARN("site-rests", LF_STR("site", s->lane.site), LF_NUM("failures", s->failures),
		LF_NUM("waiting", s->ready.count), LF_STR("probe", clock_stamp(core_wall(q, probe), stamp)),
		LF_STR("reason", r->text));
	dispatch_sweep(q, s);
}

/* No descriptor, no memory, or a source address that is not welcome: that says nothing of the site. */
static bool nothing_tried(const struct dial *dial)
{
	for (unsigned i = 0; i < dial->path_count; i++)
		if (dial->paths[i].fault != FAULT_LOCAL && dial->paths[i].fault != FAULT_SOURCE_REFUSED)
			return false;
	return true;
}

static void dial_lost(struct queue *q, struct site *s, const struct dial *dial, const struct dialling *w)
{
	struct delivery *picky = w->picky;
	struct reply r;
	dialling_reply(dial, &r);
	if (picky != NULL) {
		settle_paths(q, picky, dial->paths, dial->path_count, -1);
		no_other_path(q, s, picky, &r);
		return;
	}
	/* of several dials that fail together one alone counts */
	if (q->draining || (s->resting && !w->probe))
		return;
	s->untried = s->suspension != NULL;
	s->slow = dial->slow;
	if (s->links > 0) {
		/* some connections live: no rest, but no more of them for now either */
		pace_hold(s);
		due_set(&q->due, &s->due, core_now(q) + BESIDE_MS);
		return;
	}
	uint64_t brief = w->partial ? PARTIAL_MS : nothing_tried(dial) ? LOCAL_MS : 0;
	begin_rest(q, s, dial, &r, brief);
	struct delivery *d = ready_first(&s->ready);
	if (d == NULL || brief != 0)
		return;
	index_detach(q, d);
	if (settle_begin(q, d) != 0) {
		dispatch_enqueue(q, s, d);
		return;
	}
	settle_paths(q, d, dial->paths, dial->path_count, -1);
	d->tries->race_ms = dial->took_ms;
	settle_end_at_rest(q, d, &r, s->due.at);
}

static void on_dial(struct dial *dial)
{
	struct dialling *w = dial->arg;
	struct site *s = w->site;
	struct queue *q = s->queue;
	struct delivery *picky = w->picky;
	TAILQ_REMOVE(&s->dials, w, next);
	dialling_count(q, w, -1);
	s->dial_count--;
	s->picky_count -= picky != NULL;
	q->dials--;
	failover_look_at_paths(q, s, dial, w->pool);
	account_race(q, dial);
	memory_note(q->memory, s->lane.site, dial->paths, dial->path_count, core_now(q));
	prober_changed(s);
	for (unsigned i = 0; i < dial->path_count; i++)
		if (dial->paths[i].fault == FAULT_LOAD && s->links > 0)
			pace_load(s, s->links + 1, core_now(q));
	if (dial->connection != NULL)
		dial_won(q, s, dial, w);
	else
		dial_lost(q, s, dial, w);
	dial_free(dial);
	free(w);
	dispatch_pump(q, s);
	dispatch_turns(q);
}

/* For a delivery that must have another path, or for whoever is first. False if none was started: then the site waits
 * for its turn. */
static bool start_dial(struct queue *q, struct site *s, struct delivery *picky)
{
	struct delivery *first = picky ? picky : ready_first(&s->ready);
	struct dialling *w = calloc(1, sizeof *w);
	struct dial *dial = w ? dialling_build(q, s, first, w) : NULL;
	if (dial == NULL) {
		free(w);
		if (picky != NULL)
			no_other_path(q, s, picky, NULL);
		else
			wait_for_turn(q, s); /* every address has limits { address_connections } */
		return false;
	}
	dialling_count(q, w, 1);
	w->dial = dial;
	w->site = s;
	w->picky = picky;
	w->probe = s->resting;
	s->picky_count += picky != NULL;
	if (picky != NULL)
		picky->state = DELIVERY_DIALLING;
	dial->patient = s->slow;
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): without `picky` somebody is ready */
	dial->more = dialling_answers_come(s, first);
	dial->done = on_dial;
	dial->arg = w;
	TAILQ_INSERT_TAIL(&s->dials, w, next);
	s->dial_count++;
	q->dials++;
	dial_start(dial);
	return true;
}

/* ---- the site's turn ---- */

/* The attempt goes on over another path than those it has tried: an idle connection, or a new one. At the limits the
 * connection that it had makes room. */
static void go_other_way(struct queue *q, struct site *s, struct delivery *d, struct work *w)
{
	struct link *l = choose_link(q, s, d);
	batch_restart(d);
	if (l != NULL) {
		send_work(q, l, d, false);
		return;
	}
	if (w->transaction.reusable && (s->links + s->dial_count >= site_connections(q, s) ||
					       q->links + q->dials >= q->conf->limits.connections)) {
		connection_quit(w->link->connection);
		w->transaction.reusable = false;
	}
	start_dial(q, s, d);
}

/* Is the delivery to go where it was greylisted, and no idle connection leads there, but there is room for one? Not if
 * the race for this connection has just tried that path. */
static bool wants_own_path(struct queue *q, struct site *s, const struct delivery *d, const struct link *l)
{
	if (d->greylisted == NULL || d->tries != NULL)
		return false;
	for (unsigned i = 0; l->paths != NULL && i < l->path_count; i++)
		if (endpoint_equal(d->greylisted, &l->paths[i].to))
			return false;
	return !endpoint_equal(d->greylisted, &connection_info(l->connection)->to) && site_has_room(q, s) &&
	       all_have_room(q, s);
}

void dispatch_pump(struct queue *q, struct site *s)
{
	if (!may_begin(q)) {
		q->stalled = true;
		return;
	}
	if (s->suspension != NULL)
		return;
	if (s->resting) {
		if (s->probe_due && s->dial_count == 0 && s->ready.count > 0) {
			s->probe_due = !start_dial(q, s, NULL);
		}
		return;
	}
	struct delivery *d;
	while ((d = ready_first(&s->ready)) != NULL) {
		struct link *l = choose_link(q, s, d);
		if (l == NULL)
			break;
		struct delivery *fresh = choose_fresh(q, s, d);
		struct link *other = fresh ? choose_link(q, s, fresh) : NULL;
		if (other != NULL) {
			d = fresh;
			l = other;
		}
		bool own = wants_own_path(q, s, d, l);
		ready_chosen(&s->ready);
		index_detach(q, d);
		if (own && settle_begin(q, d) == 0)
			start_dial(q, s, d);
		else
			send_work(q, l, d, false);
	}
	if (d != NULL)
		choose_room(q, s, d);
	while (s->dial_count - s->picky_count < s->ready.count && site_has_room(q, s) && all_have_room(q, s)) {
		if (!start_dial(q, s, NULL))
			break;
	}
}

void dispatch_enqueue(struct queue *q, struct site *s, struct delivery *d)
{
	index_set_site(q, d, s);
	d->state = DELIVERY_READY;
	ready_add(&s->ready, d);
	if ((s->resting && !s->probe_due) || s->suspension != NULL)
		log_waiting(s, d);
	dispatch_pump(q, s);
}

void dispatch_probe(struct queue *q, struct site *s)
{
	if (!s->resting) {
		/* the connections that it has may be busy for long: one more again */
		uint64_t later = pace_probe(s, core_now(q));
		if (later != 0)
			due_set(&q->due, &s->due, later);
		dispatch_pump(q, s);
		return;
	}
	if (s->ready.count == 0) {
		s->resting = false;
		q->resting--;
		return;
	}
	s->probe_due = true;
	dispatch_pump(q, s);
}

void dispatch_refresh(struct queue *q, struct site *s, bool complete)
{
	if (TAILQ_EMPTY(&s->dials))
		return;
	struct candidate *candidates = calloc(CANDIDATES_MAX, sizeof *candidates);
	struct dialling *w;
	TAILQ_FOREACH (w, &s->dials, next) {
		if (candidates != NULL)
			dialling_refresh(q, w, candidates);
		if (complete)
			dial_complete(w->dial);
	}
	free(candidates);
}

void dispatch_sweep(struct queue *q, struct site *s)
{
	ready_sweep(&s->ready);
	if (s->ready.count > 0)
		due_set(&q->due, &s->sweep_due, core_now(q));
}

void dispatch_sweep_slice(struct queue *q, struct site *s)
{
	struct delivery *d = NULL;
	bool busy = false;
	for (unsigned n = 0; n < SWEEP_SLICE; n++) {
		if ((busy = deadline_busy(q)) || (d = ready_sweep_next(&s->ready)) == NULL)
			break;
		d->state = DELIVERY_IDLE;
		if (d->domain != NULL && d->domain->site != NULL && d->domain->site != s) {
			dispatch_enqueue(q, d->domain->site, d);
		} else if (d->domain != NULL && (d->domain->refused || d->domain->unreached)) {
			d->state = DELIVERY_DEFERRED; /* each is told so on its way */
			d->due.kind = DUE_DELIVERY;
			due_set(&q->due, &d->due, core_now(q));
		} else if (!deadline_at_rest(q, d)) {
			d->state = DELIVERY_READY;
			ready_add(&s->ready, d);
			if (s->resting || s->suspension != NULL)
				log_waiting(s, d);
		}
	}
	if (d != NULL || busy)
		due_set(&q->due, &s->sweep_due, core_now(q) + (busy && !notifier_slice_full(q) ? SWEEP_BUSY_MS : 1));
	dispatch_pump(q, s);
}

void dispatch_turns(struct queue *q)
{
	for (int n = 0; n < 16; n++) {
		struct site *s = TAILQ_FIRST(&q->sites_in_turn);
		if (s == NULL || q->links + q->dials >= places_in_all(q))
			return;
		TAILQ_REMOVE(&q->sites_in_turn, s, turn);
		s->in_turn = false;
		dispatch_pump(q, s);
	}
}

void dispatch_resume(struct queue *q)
{
	if (!q->stalled || !may_begin(q))
		return;
	q->stalled = false;
	struct site *s;
	TAILQ_FOREACH (s, &q->sites_by_use, use) {
		dispatch_pump(q, s);
	}
}

void dispatch_drain(struct queue *q)
{
	q->draining = true;
	struct site *s;
	TAILQ_FOREACH (s, &q->sites_by_use, use) {
		struct dialling *w;
		TAILQ_FOREACH (w, &s->dials, next)
			dial_cancel(w->dial);
	}
	prober_drain(q);
}
