/* smtpd/recipients.c: protocol. */
#include "smtpd/recipients.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "queue/mail/address.h"
#include "queue/mail/envelope.h"

/* So many are compared one by one. */
enum { FEW = 8, FIRST_ROOM = 32 };

void recipients_init(struct recipients *r, uint32_t most)
{
	*r = (struct recipients){.most = most};
	buf_init(&r->texts, (size_t)most * (1 + ADDRESS_TEXT + ORCPT_MAX + 1));
}

void recipients_fini(struct recipients *r)
{
	buf_fini(&r->texts);
	free(r->table);
	r->table = NULL;
	r->room = r->count = 0;
}

static uint32_t hash(const struct recipients *r, const char *address)
{
	char plain[ADDRESS_TEXT];
	const char *key = address_unquoted(address, plain);
	return (uint32_t)XXH3_64bits_withSeed(key, strlen(key), (uint64_t)(uintptr_t)r->table);
}

static bool is_same(const char *a, const char *b)
{
	char plain[2][ADDRESS_TEXT];
	return strcmp(address_unquoted(a, plain[0]), address_unquoted(b, plain[1])) == 0;
}

static const char *address_at(const struct recipients *r, size_t place)
{
	return (const char *)r->texts.data + place + 1;
}

bool recipients_next(const struct recipients *r, size_t *at, struct recipient *out)
{
	if (*at >= r->texts.len)
		return false;
	out->notify = r->texts.data[*at];
	out->address = address_at(r, *at);
	out->orcpt = out->address + strlen(out->address) + 1;
	*at += 1 + strlen(out->address) + 1 + strlen(out->orcpt) + 1;
	return true;
}

/* The table's entry of the address: its own, or the free one where it belongs. */
static uint32_t *entry_of(const struct recipients *r, const char *address)
{
	uint32_t i = hash(r, address) & (r->room - 1);
	while (r->table[i] != 0 && !is_same(address_at(r, r->table[i] - 1), address))
		i = (i + 1) & (r->room - 1);
	return &r->table[i];
}

/* At most half of the table is used. */
static int make_room(struct recipients *r)
{
	if (r->count < FEW || r->count * 2 < r->room)
		return 0;
	uint32_t room = r->room ? r->room * 2 : FIRST_ROOM;
	uint32_t *table = calloc(room, sizeof *table);
	if (table == NULL)
		return -ENOMEM;
	free(r->table);
	r->table = table;
	r->room = room;
	struct recipient one;
	for (size_t at = 0, place = 0; recipients_next(r, &at, &one); place = at)
		*entry_of(r, one.address) = (uint32_t)place + 1;
	return 0;
}

static bool is_there(const struct recipients *r, const char *address)
{
	struct recipient one;
	if (r->table != NULL)
		return *entry_of(r, address) != 0;
	for (size_t at = 0; recipients_next(r, &at, &one);)
		if (is_same(one.address, address))
			return true;
	return false;
}

int recipients_add(struct recipients *r, const struct recipient *one)
{
	if (is_there(r, one->address))
		return -EEXIST;
	if (r->count >= r->most)
		return -E2BIG;
	size_t place = r->texts.len;
	int err = make_room(r);
	err = err ? err : buf_append(&r->texts, &one->notify, 1);
	err = err ? err : buf_append(&r->texts, one->address, strlen(one->address) + 1);
	err = err ? err : buf_append(&r->texts, one->orcpt, strlen(one->orcpt) + 1);
	if (err != 0) {
		r->texts.len = place;
		return err;
	}
	if (r->table != NULL)
		*entry_of(r, one->address) = (uint32_t)place + 1;
	r->count++;
	return 0;
}
