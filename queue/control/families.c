/* queue/control/families.c: what is asked of address families: the tally, and what is broken. State; the functions are
 * declared in queue/control/inspect.h. */
#include <stdlib.h>
#include <string.h>

#include "queue/control/inspect.h"
#include "queue/core.h"

void queue_tally(const struct queue *q, enum tally_over over, struct tally_sum *out)
{
	memset(out, 0, sizeof *out);
	if (q->tally != NULL)
		tally_sum_up(q->tally, over, core_wall(q, core_now(q)), out);
}

/* Of a family of a site: is it out of use, and how? "SITE from ADDRESS" is a source that rests there, no site. */
static bool view(const struct queue *q, const struct site_memory *s, unsigned f, struct broken_view *out)
{
	const struct track *t = &s->family[f];
	uint64_t now = core_now(q);
	bool refused = track_is_refused(t, now);
	if (strstr(s->name, " from ") != NULL || (!refused && t->since == 0))
		return false;
	*out = (struct broken_view){
		.site = s->name,
		.family = f == 0 ? FAMILY_IPV4 : FAMILY_IPV6,
		.refused = refused,
		.since_ms = core_wall(q, refused ? t->refused_at : t->since),
		.next_ms = core_wall(q, refused ? t->refused_until : t->probe_at),
		.fault = t->last_fault != FAULT_NONE ? fault_word(t->last_fault) : NULL,
		.refusals = t->refused,
	};
	return true;
}

static int latest_first(const void *left, const void *right)
{
	const struct broken_view *a = left, *b = right;
	if (a->since_ms != b->since_ms)
		return a->since_ms > b->since_ms ? -1 : 1;
	return strcmp(a->site, b->site);
}

unsigned queue_broken(
	const struct queue *q, unsigned most, void (*each)(void *arg, const struct broken_view *b), void *arg)
{
	const struct site_memory *s = NULL;
	struct broken_view one, *all = NULL;
	unsigned count = 0, room = 0;
	while ((s = memory_next_site(q->memory, s)) != NULL)
		for (unsigned f = 0; f < 2; f++) {
			if (!view(q, s, f, &one))
				continue;
			if (count == room) {
				struct broken_view *grown = reallocarray(all, room ? 2 * room : 64, sizeof *all);
				if (grown == NULL)
					break;
				all = grown;
				room = room ? 2 * room : 64;
			}
			all[count++] = one;
		}
	if (count > 0)
		qsort(all, count, sizeof *all, latest_first);
	for (unsigned i = 0; i < count && i < most; i++)
		each(arg, &all[i]);
	free(all);
	return count;
}
