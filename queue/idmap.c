/* queue/idmap.c: state. */
#include "queue/idmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LEAF = 512 };

struct idmap_leaf {
	unsigned count;
	uint64_t ids[LEAF];
	void *things[LEAF];
};

void idmap_init(struct idmap *m)
{
	*m = (struct idmap){0};
}

void idmap_fini(struct idmap *m)
{
	for (size_t i = 0; i < m->leaf_count; i++)
		free(m->leaves[i]);
	free(m->leaves);
	idmap_init(m);
}

/* The last leaf whose first ID is at most `id`; 0 if all are above. */
static size_t find_leaf(const struct idmap *m, uint64_t id)
{
	size_t low = 0, high = m->leaf_count;
	while (low + 1 < high) {
		size_t middle = low + (high - low) / 2;
		if (m->leaves[middle]->ids[0] <= id)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* The place of the first ID in the leaf that is at least `id`. */
static unsigned find_place(const struct idmap_leaf *leaf, uint64_t id)
{
	unsigned low = 0, high = leaf->count;
	if (high > 0 && leaf->ids[high - 1] < id)
		return high;
	while (low < high) {
		unsigned middle = (low + high) / 2;
		if (leaf->ids[middle] < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* A new leaf at place `at` of the array. */
static struct idmap_leaf *add_leaf(struct idmap *m, size_t at)
{
	if (m->leaf_count == m->leaf_room) {
		size_t room = m->leaf_room ? m->leaf_room * 2 : 16;
		struct idmap_leaf **leaves = reallocarray(m->leaves, room, sizeof(struct idmap_leaf *));
		if (leaves == NULL)
			return NULL;
		m->leaves = leaves;
		m->leaf_room = room;
	}
	struct idmap_leaf *leaf = malloc(sizeof *leaf);
	if (leaf == NULL)
		return NULL;
	leaf->count = 0;
	memmove(m->leaves + at + 1, m->leaves + at, (m->leaf_count - at) * sizeof *m->leaves);
	m->leaves[at] = leaf;
	m->leaf_count++;
	return leaf;
}

/* Makes room in a full leaf: a new one behind it, empty if `id` goes there anyway, else with the upper half. */
static int split_leaf(struct idmap *m, size_t at, uint64_t id)
{
	struct idmap_leaf *new = add_leaf(m, at + 1);
	if (new == NULL)
		return -ENOMEM;
	struct idmap_leaf *old = m->leaves[at];
	unsigned keep = id > old->ids[LEAF - 1] ? LEAF : LEAF / 2;
	new->count = LEAF - keep;
	memcpy(new->ids, old->ids + keep, new->count * sizeof *new->ids);
	memcpy(new->things, old->things + keep, new->count * sizeof *new->things);
	old->count = keep;
	return 0;
}

int idmap_add(struct idmap *m, uint64_t id, void *thing)
{
	if (m->leaf_count == 0 && add_leaf(m, 0) == NULL)
		return -ENOMEM;
	size_t at = find_leaf(m, id);
	if (m->leaves[at]->count == LEAF) {
		if (idmap_get(m, id) != NULL)
			return -EEXIST;
		if (split_leaf(m, at, id) != 0)
			return -ENOMEM;
		if (m->leaves[at + 1]->count == 0 || m->leaves[at + 1]->ids[0] <= id)
			at++;
	}
	struct idmap_leaf *leaf = m->leaves[at];
	unsigned place = find_place(leaf, id);
	if (place < leaf->count && leaf->ids[place] == id)
		return -EEXIST;
	memmove(leaf->ids + place + 1, leaf->ids + place, (leaf->count - place) * sizeof *leaf->ids);
	memmove(leaf->things + place + 1, leaf->things + place, (leaf->count - place) * sizeof *leaf->things);
	leaf->ids[place] = id;
	leaf->things[place] = thing;
	leaf->count++;
	m->count++;
	return 0;
}

void *idmap_get(const struct idmap *m, uint64_t id)
{
	if (m->leaf_count == 0)
		return NULL;
	const struct idmap_leaf *leaf = m->leaves[find_leaf(m, id)];
	unsigned place = find_place(leaf, id);
	return place < leaf->count && leaf->ids[place] == id ? leaf->things[place] : NULL;
}

void *idmap_remove(struct idmap *m, uint64_t id)
{
	if (m->leaf_count == 0)
		return NULL;
	size_t at = find_leaf(m, id);
	struct idmap_leaf *leaf = m->leaves[at];
	unsigned place = find_place(leaf, id);
	if (place >= leaf->count || leaf->ids[place] != id)
		return NULL;
	void *thing = leaf->things[place];
	leaf->count--;
	memmove(leaf->ids + place, leaf->ids + place + 1, (leaf->count - place) * sizeof *leaf->ids);
	memmove(leaf->things + place, leaf->things + place + 1, (leaf->count - place) * sizeof *leaf->things);
	m->count--;
	if (leaf->count == 0) {
		free(leaf);
		m->leaf_count--;
		memmove(m->leaves + at, m->leaves + at + 1, (m->leaf_count - at) * sizeof *m->leaves);
	}
	return thing;
}

void *idmap_next(const struct idmap *m, uint64_t after, uint64_t *id)
{
	if (m->leaf_count == 0 || after == UINT64_MAX)
		return NULL;
	for (size_t at = find_leaf(m, after + 1); at < m->leaf_count; at++) {
		const struct idmap_leaf *leaf = m->leaves[at];
		unsigned place = find_place(leaf, after + 1);
		if (place < leaf->count) {
			*id = leaf->ids[place];
			return leaf->things[place];
		}
	}
	return NULL;
}

uint64_t idmap_last(const struct idmap *m)
{
	if (m->leaf_count == 0)
		return 0;
	const struct idmap_leaf *leaf = m->leaves[m->leaf_count - 1];
	return leaf->count == 0 ? 0 : leaf->ids[leaf->count - 1];
}
