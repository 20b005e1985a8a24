/* queue/path/account.c: state. */
#include "queue/path/account.h"

#include <errno.h>
#include <string.h>

enum { VERSION = 1, SAVE_MS = 60000 };

static enum tally_family column_of(const struct ip *real, const struct endpoint *to)
{
	return real->family != FAMILY_NONE ? TALLY_NAT64 : to->ip.family == FAMILY_IPV6 ? TALLY_IPV6 : TALLY_IPV4;
}

static void add(struct queue *q, enum tally_family f, enum tally_count c, uint64_t n)
{
	q->tally_new = true;
	if (q->tally != NULL)
		tally_add(q->tally, f, c, n, core_wall(q, core_now(q)));
}

static void note(struct queue *q, enum tally_family f, enum tally_span s, uint64_t ms)
{
	q->tally_new = true;
	if (q->tally != NULL)
		tally_note_span(q->tally, f, s, ms, core_wall(q, core_now(q)));
}

/* ---- races ---- */

/* At which step a path ended, and whether by silence. */
static const struct {
	enum fault fault;
	enum tally_why why;
	enum tally_step step;
} ends[] = {
	{FAULT_REFUSED, TALLY_FAULT, TALLY_CONNECTING},
	{FAULT_UNREACHABLE, TALLY_FAULT, TALLY_CONNECTING},
	{FAULT_CONNECT_TIMEOUT, TALLY_SILENT, TALLY_CONNECTING},
	{FAULT_SILENT_GREETING, TALLY_SILENT, TALLY_GREETED},
	{FAULT_GREETING_4YZ, TALLY_FAULT, TALLY_GREETED},
	{FAULT_GREETING_5YZ, TALLY_FAULT, TALLY_GREETED},
	{FAULT_SILENT_EHLO, TALLY_SILENT, TALLY_EHLO},
	{FAULT_EHLO_4YZ, TALLY_FAULT, TALLY_EHLO},
	{FAULT_EHLO_5YZ, TALLY_FAULT, TALLY_EHLO},
	{FAULT_SILENT_LATER, TALLY_SILENT, TALLY_ENVELOPE},
	{FAULT_STALLED, TALLY_SILENT, TALLY_CONTENT},
	{FAULT_SILENT_DOT, TALLY_SILENT, TALLY_CONTENT},
};

static void failover(struct queue *q, enum tally_family from, enum tally_why why, enum tally_step step)
{
	q->tally_new = true;
	if (q->tally != NULL)
		tally_failover(q->tally, from, why, step, core_wall(q, core_now(q)));
}

/* Left for a fault that may come at any step: `otherwise` says how far it was. */
static void failover_for_fault(struct queue *q, enum tally_family from, enum fault fault, enum tally_step otherwise)
{
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
		if (ends[i].fault == fault) {
			failover(q, from, ends[i].why, ends[i].step);
			return;
		}
	failover(q, from, TALLY_FAULT, otherwise);
}

static bool is_known(uint32_t ms)
{
	return ms != UINT32_MAX;
}

static enum tally_step step_of(const struct path_try *p)
{
	return is_known(p->greeting_ms) ? TALLY_EHLO : is_known(p->connect_ms) ? TALLY_GREETED : TALLY_CONNECTING;
}

static void count_path(struct queue *q, const struct path_try *p, bool used)
{
	enum tally_family f = column_of(&p->real, &p->to);
	add(q, f, TALLY_ATTEMPTS, 1);
	if (is_known(p->connect_ms)) {
		note(q, f, TALLY_CONNECT, p->connect_ms);
		if (!used)
			add(q, f, TALLY_UNUSED, 1);
	}
	if (is_known(p->greeting_ms))
		note(q, f, TALLY_GREETING, p->greeting_ms);
}

/* How much longer than the winner the other one took to be connected, each from its own start, or at the least if it
 * never was; milliseconds. */
static uint64_t lead_over(const struct path_try *winner, const struct path_try *other)
{
	uint64_t won = is_known(winner->connect_ms) ? winner->connect_ms : 0;
	uint64_t lost = is_known(other->connect_ms) ? other->connect_ms : other->total_ms;
	return lost > won ? lost - won : 0;
}

/* A path of the other family: 2: still on its way when the race was over; 1: it failed. */
static unsigned see_loser(struct queue *q, const struct dial *dial, const struct path_try *p)
{
	const struct path_try *winner = &dial->paths[dial->used];
	enum tally_family f = column_of(&p->real, &p->to);
	if (p->fault == FAULT_SUPERSEDED || p->fault == FAULT_NONE) {
		note(q, column_of(&winner->real, &winner->to), TALLY_LEAD, lead_over(winner, p));
		return 2;
	}
	if (p->fault == FAULT_FAMILY_REFUSED || p->fault == FAULT_SOURCE_REFUSED)
		failover(q, f, TALLY_POLICY, step_of(p));
	else if (p->fault != FAULT_LOCAL && p->fault != FAULT_LOAD)
		failover_for_fault(q, f, p->fault, step_of(p));
	return 1;
}

void account_race(struct queue *q, const struct dial *dial)
{
	unsigned other = 0;
	for (unsigned i = 0; i < dial->path_count; i++)
		count_path(q, &dial->paths[i], (int)i == dial->used);
	if (dial->used < 0)
		return;
	const struct path_try *winner = &dial->paths[dial->used];
	enum tally_family f = column_of(&winner->real, &winner->to);
	for (unsigned i = 0; i < dial->path_count; i++) {
		const struct path_try *p = &dial->paths[i];
		unsigned seen = column_of(&p->real, &p->to) != f ? see_loser(q, dial, p) : 0;
		other = seen > other ? seen : other;
	}
	add(q, f, TALLY_WON, 1);
	add(q, f, other == 0 ? TALLY_WON_ALONE : other == 1 ? TALLY_WON_FAILED : TALLY_WON_SLOWER, 1);
}

void account_probe(struct queue *q, const struct dial *dial)
{
	if (dial->path_count == 0)
		return;
	enum tally_family f = column_of(&dial->paths[0].real, &dial->paths[0].to);
	add(q, f, TALLY_PROBES, 1);
	if (dial->used >= 0)
		add(q, f, TALLY_PROBES_GOOD, 1);
}

/* ---- mail ---- */

void account_outcome(struct queue *q, enum rcpt_status status, const struct path_try *used, uint64_t delay_ms)
{
	if (used == NULL)
		return;
	enum tally_family f = column_of(&used->real, &used->to);
	add(q, f,
		status == RCPT_DELIVERED ? TALLY_DELIVERED
		: status == RCPT_FAILED	 ? TALLY_FAILED
					 : TALLY_DEFERRED,
		1);
	if (status == RCPT_DELIVERED)
		note(q, f, TALLY_DELAY, delay_ms);
}

void account_content(struct queue *q, const struct connection_info *via, uint64_t bytes)
{
	add(q, column_of(&via->real, &via->to), TALLY_BYTES, bytes);
}

void account_failover(
	struct queue *q, const struct connection_info *from, enum refusal refusal, const struct transaction *t)
{
	enum tally_family f = column_of(&from->real, &from->to);
	enum tally_step step = t->for_message ? TALLY_CONTENT : TALLY_ENVELOPE;
	if (refusal == REFUSAL_NONE)
		failover_for_fault(q, f, t->fault, step);
	else
		failover(q, f, refusal == REFUSAL_LISTED ? TALLY_LISTED : TALLY_POLICY, step);
}

/* ---- kept ---- */

void account_keep(struct queue *q)
{
	struct buf *out = &q->families_file.content;
	if (q->tally == NULL)
		return;
	buf_reset(out);
	q->tally_new = false;
	q->tally_kept_at = core_now(q);
	if (tally_encode(q->tally, out) == 0)
		store_write_state(q->store, &q->families_file);
	else
		LOG_ERR("no-memory", LF_STR("what", "what went over which family could not be written"));
}

void account_tick(struct queue *q)
{
	if (q->tally_new && core_now(q) >= q->tally_kept_at + SAVE_MS)
		account_keep(q);
}

void account_load(struct queue *q)
{
	struct buf content;
	q->tally = tally_new();
	q->families_file = (struct sidestate){.name = "families", .version = VERSION, .home = q->mailbox};
	buf_init(&q->families_file.content, SIDESTATE_MAX);
	buf_init(&q->families_file.writing, SIDESTATE_MAX);
	q->tally_kept_at = core_now(q);
	if (q->tally == NULL)
		return;
	buf_init(&content, SIDESTATE_MAX + 1);
	int err = store_read_state(q->store, "families", VERSION, &content);
	if (err == 0)
		err = tally_decode(q->tally, &content);
	if (err != 0 && err != -ENOENT)
		LOG_ERR("state-unreadable", LF_STR("file", "families"), LF_STR("error", strerror(-err)),
			LF_STR("what", "what went over which family is counted anew"));
	buf_fini(&content);
}

void account_free(struct queue *q)
{
	tally_free(q->tally);
	q->tally = NULL;
	sidestate_fini(&q->families_file);
}
