/* queue/mail/message.c: state. */
#include "queue/mail/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *address_domain_of(const char *address)
{
	const char *at = strrchr(address, '@');
	return at ? at + 1 : "";
}

static bool has_text(const char *text)
{
	return text != NULL && *text != '\0';
}

static int by_domain(const void *a, const void *b)
{
	const struct envelope_rcpt *x = *(const struct envelope_rcpt *const *)a;
	const struct envelope_rcpt *y = *(const struct envelope_rcpt *const *)b;
	int order = strcmp(address_domain_of(x->address), address_domain_of(y->address));
	return order ? order : (x->index > y->index) - (x->index < y->index);
}

static const char *put_text(char **at, const char *text)
{
	size_t n = strlen(text) + 1;
	char *here = *at;
	memcpy(here, text, n);
	*at += n;
	return here;
}

/* The unfinished recipients sorted by domain; `*text` grows by the length of their addresses. */
static unsigned sort_rcpts(
	const struct envelope *e, const struct envelope_rcpt **sorted, size_t *text, unsigned *domains)
{
	unsigned count = 0;
	for (unsigned i = 0; i < e->rcpt_count; i++) {
		if (e->rcpts[i].status != RCPT_QUEUED)
			continue;
		sorted[count++] = &e->rcpts[i];
		*text += strlen(e->rcpts[i].address) + 1;
		if (has_text(e->rcpts[i].orcpt))
			*text += strlen(e->rcpts[i].orcpt) + 1;
	}
	if (count > 1)
		qsort(sorted, count, sizeof(const struct envelope_rcpt *), by_domain);
	*domains = 0;
	for (unsigned i = 0; i < count; i++)
		if (i == 0 ||
			strcmp(address_domain_of(sorted[i]->address), address_domain_of(sorted[i - 1]->address)) != 0)
			++*domains;
	return count;
}

static void fill(struct message *m, const struct envelope_rcpt *const *sorted, char *at)
{
	struct delivery *d = NULL;
	for (unsigned i = 0; i < m->rcpt_count; i++) {
		/* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign): sort_rcpts() gave rcpt_count */
		const struct envelope_rcpt *r = sorted[i];
		m->rcpts[i] = (struct rcpt){.address = put_text(&at, r->address),
			.index = r->index,
			.status = RCPT_QUEUED,
			.notify = r->notify,
			.told = r->told,
			.has_orcpt = has_text(r->orcpt)};
		if (m->rcpts[i].has_orcpt)
			put_text(&at, r->orcpt);
		if (i == 0 || strcmp(address_domain_of(r->address), address_domain_of(sorted[i - 1]->address)) != 0) {
			d = d ? d + 1 : m->deliveries;
			*d = (struct delivery){.message = m, .first = i};
		}
		d->count++;
		if (r->attempts > d->attempts)
			d->attempts = r->attempts;
		if (r->next_ms > d->since)
			d->since = r->next_ms;
	}
}

/* 0 or -ENOMEM. */
static int fill_extra(struct message *m, const struct envelope *e)
{
	if (!has_text(e->envid) && !has_text(e->redirect) && e->by_ms == 0 && e->release_ms == 0 && e->priority == 0)
		return 0;
	size_t n = has_text(e->envid) ? strlen(e->envid) : 0;
	struct message_extra *x = calloc(1, sizeof *x + n + 1);
	if (x == NULL)
		return -ENOMEM;
	if (n > 0)
		memcpy(x->envid, e->envid, n);
	x->message = m;
	x->by_ms = e->by_ms;
	x->release_ms = e->release_ms;
	x->priority = (int8_t)e->priority;
	m->extra = x;
	return has_text(e->redirect) ? message_set_redirect(m, e->redirect) : 0;
}

struct message *message_new(const struct envelope *e, bool *empty)
{
	const struct envelope_rcpt *few[16], **sorted = few;
	*empty = false;
	if (e->rcpt_count > 16 && (sorted = calloc(e->rcpt_count, sizeof(const struct envelope_rcpt *))) == NULL)
		return NULL;
	size_t text = strlen(e->sender) + strlen(e->client) + strlen(e->helo) + 3;
	unsigned domains;
	unsigned count = sort_rcpts(e, sorted, &text, &domains);
	struct message *m = NULL;
	*empty = count == 0;
	if (count > 0)
		m = calloc(1, sizeof *m + domains * sizeof(struct delivery) + count * sizeof(struct rcpt) + text);
	if (m != NULL) {
		m->id = e->id;
		m->arrival_ms = e->arrival_ms;
		m->size = e->size;
		m->flags = e->flags;
		m->deliveries = (struct delivery *)(m + 1);
		m->delivery_count = domains;
		m->rcpts = (struct rcpt *)(m->deliveries + domains);
		m->rcpt_count = m->open = count;
		char *at = (char *)(m->rcpts + count);
		m->sender = put_text(&at, e->sender);
		m->client = put_text(&at, e->client);
		m->helo = put_text(&at, e->helo);
		fill(m, sorted, at);
		if (fill_extra(m, e) != 0) {
			message_free(m);
			m = NULL;
		}
	}
	if (sorted != few)
		free(sorted);
	return m;
}

void message_free(struct message *m)
{
	body_unref(m->body);
	if (m->extra != NULL)
		free(m->extra->redirect);
	free(m->extra);
	free(m);
}

const char *rcpt_orcpt(const struct rcpt *r)
{
	return r->has_orcpt ? r->address + strlen(r->address) + 1 : "";
}

const char *message_envid(const struct message *m)
{
	return m->extra ? m->extra->envid : "";
}

const char *message_redirect(const struct message *m)
{
	return m->extra && m->extra->redirect ? m->extra->redirect : "";
}

int message_priority(const struct message *m)
{
	return m->extra ? m->extra->priority : 0;
}

uint64_t message_by_ms(const struct message *m)
{
	return m->extra ? m->extra->by_ms : 0;
}

uint64_t message_release_ms(const struct message *m)
{
	return m->extra ? m->extra->release_ms : 0;
}

int message_set_redirect(struct message *m, const char *relay)
{
	char *copy = *relay ? strdup(relay) : NULL;
	if (m->extra == NULL)
		m->extra = calloc(1, sizeof *m->extra + 1);
	if (m->extra == NULL || (*relay && copy == NULL)) {
		free(copy);
		return -ENOMEM;
	}
	m->extra->message = m;
	free(m->extra->redirect);
	m->extra->redirect = copy;
	return 0;
}

void message_envelope(const struct message *m, struct envelope *out, struct envelope_rcpt *rcpts,
	uint64_t (*next)(void *arg, const struct delivery *d), void *arg)
{
	unsigned n = 0;
	for (unsigned i = 0; i < m->delivery_count; i++) {
		const struct delivery *d = &m->deliveries[i];
		for (unsigned j = d->first; j < d->first + d->count; j++) {
			if (m->rcpts[j].status != RCPT_QUEUED)
				continue;
			rcpts[n++] = (struct envelope_rcpt){
				.address = m->rcpts[j].address,
				.index = m->rcpts[j].index,
				.status = RCPT_QUEUED,
				.attempts = d->attempts,
				.next_ms = next(arg, d),
				.notify = m->rcpts[j].notify,
				.told = m->rcpts[j].told,
				.orcpt = rcpt_orcpt(&m->rcpts[j]),
			};
		}
	}
	*out = (struct envelope){
		.id = m->id,
		.arrival_ms = m->arrival_ms,
		.size = m->size,
		.flags = m->flags,
		.sender = m->sender,
		.client = m->client,
		.helo = m->helo,
		.reason = m->reason && (m->flags & (ENVELOPE_HELD | ENVELOPE_DAMAGED | ENVELOPE_RETURNING)) ? m->reason : "",
		.envid = message_envid(m),
		.redirect = message_redirect(m),
		.by_ms = message_by_ms(m),
		.release_ms = message_release_ms(m),
		.priority = message_priority(m),
		.rcpts = rcpts,
		.rcpt_count = n,
	};
}

struct rcpt *message_rcpt(struct message *m, uint16_t index, struct delivery **d)
{
	for (unsigned i = 0; i < m->delivery_count; i++)
		for (unsigned j = m->deliveries[i].first; j < m->deliveries[i].first + m->deliveries[i].count; j++)
			if (m->rcpts[j].index == index) {
				*d = &m->deliveries[i];
				return &m->rcpts[j];
			}
	return NULL;
}

bool delivery_open(const struct delivery *d)
{
	for (unsigned i = d->first; i < d->first + d->count; i++)
		if (d->message->rcpts[i].status == RCPT_QUEUED)
			return true;
	return false;
}
