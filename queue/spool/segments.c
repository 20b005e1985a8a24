/* queue/spool/segments.c: state. */
#include "queue/spool/segments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void segments_init(struct segments *s)
{
	memset(s, 0, sizeof *s);
	pthread_mutex_init(&s->lock, NULL);
}

void segments_fini(struct segments *s)
{
	pthread_mutex_destroy(&s->lock);
	free(s->items);
}

static int make_room(struct segments *s)
{
	if (s->count < s->cap)
		return 0;
	size_t cap = s->cap ? s->cap * 2 : 16;
	struct segment_use *items = reallocarray(s->items, cap, sizeof *items);
	if (items == NULL)
		return -ENOMEM;
	s->items = items;
	s->cap = cap;
	return 0;
}

void segments_begin(struct segments *s, uint32_t oldest)
{
	s->next = oldest;
}

int segments_reach(struct segments *s, uint32_t number)
{
	int err = 0;
	pthread_mutex_lock(&s->lock);
	while (s->next <= number && (err = make_room(s)) == 0)
		s->items[s->count++] = (struct segment_use){.number = s->next++};
	pthread_mutex_unlock(&s->lock);
	return err;
}

uint32_t segments_oldest(struct segments *s)
{
	uint32_t number = 0;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i + 1 < s->count && number == 0; i++)
		if (!s->items[i].freed)
			number = s->items[i].number;
	pthread_mutex_unlock(&s->lock);
	return number;
}

/* With the lock held. */
static struct segment_use *find(struct segments *s, uint32_t number)
{
	size_t low = 0, high = s->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (s->items[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->count && s->items[low].number == number ? &s->items[low] : NULL;
}

void segments_pin(struct segments *s, uint32_t number)
{
	pthread_mutex_lock(&s->lock);
	struct segment_use *u = find(s, number);
	if (u != NULL)
		u->pins++;
	pthread_mutex_unlock(&s->lock);
}

void segments_unpin(struct segments *s, uint32_t number)
{
	pthread_mutex_lock(&s->lock);
	struct segment_use *u = find(s, number);
	if (u != NULL && u->pins > 0)
		u->pins--;
	pthread_mutex_unlock(&s->lock);
}

uint64_t segments_freed_bytes(struct segments *s)
{
	uint64_t bytes = 0;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->count && s->items[i].freed; i++)
		bytes += s->items[i].bytes;
	pthread_mutex_unlock(&s->lock);
	return bytes;
}

void segments_free(struct segments *s, uint32_t number, uint64_t bytes)
{
	pthread_mutex_lock(&s->lock);
	struct segment_use *u = find(s, number);
	if (u != NULL && u != &s->items[s->count - 1]) {
		u->freed = true;
		u->bytes = bytes;
	}
	pthread_mutex_unlock(&s->lock);
}

void segments_set_checkpoint(struct segments *s, uint32_t number)
{
	pthread_mutex_lock(&s->lock);
	s->checkpoint = number;
	pthread_mutex_unlock(&s->lock);
}

/* With the lock held. */
static bool oldest_is_done_with(const struct segments *s)
{
	return s->count > 1 && s->items[0].freed && s->items[0].pins == 0;
}

static bool behind_checkpoint(const struct segments *s)
{
	return s->checkpoint == 0 || s->items[0].number < s->checkpoint;
}

bool segments_wait_for_checkpoint(struct segments *s)
{
	pthread_mutex_lock(&s->lock);
	bool waits = oldest_is_done_with(s) && !behind_checkpoint(s);
	pthread_mutex_unlock(&s->lock);
	return waits;
}

uint32_t segments_release(struct segments *s)
{
	uint32_t number = 0;
	pthread_mutex_lock(&s->lock);
	if (oldest_is_done_with(s) && behind_checkpoint(s)) {
		number = s->items[0].number;
		s->count--;
		memmove(s->items, s->items + 1, s->count * sizeof *s->items);
	}
	pthread_mutex_unlock(&s->lock);
	return number;
}
