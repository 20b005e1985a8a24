/* queue/mail/attempt.c: state. */
#include "queue/mail/attempt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/counter.h"
#include "dns/nat64.h"

/* Version 1 had no marks of paths and replies, no path for each row, and said nowhere that nothing was tried. Both are
 * read. */
enum {
	ATTEMPT_VERSION = 2,
	WAITED = 1, /* of the attempt */
	OWN = 1,    /* of a reply */
	NO_PATH = 255,
	ROW_BYTES = 6,
	ROW_BYTES_1 = 5,
	REPLY_BYTES = 2 + 2 + REPLY_ENHANCED + 2 + REPLY_TEXT_MAX + 1,
	PATH_BYTES = 1 + 16 + 2 + 2 + HOST_TEXT + 2 + 1 + 4 * 4 + REPLY_BYTES + 1,
	FIXED_BYTES = 1 + 8 + 4 + 8 + 1 + 2 + HOST_TEXT + 2 + 2 + 2 + 2,
};

static const struct {
	const char *word;
	const char *text;
} faults[FAULT_COUNT] = {
#define X(name, word, text) {word, text},
	FAULTS(X)
#undef X
};

const char *fault_word(enum fault f)
{
	return (unsigned)f < FAULT_COUNT ? faults[f].word : "unknown";
}

const char *fault_text(enum fault f)
{
	return (unsigned)f < FAULT_COUNT ? faults[f].text : "unknown fault";
}

bool fault_is_path(enum fault f)
{
	switch (f) {
	case FAULT_NONE:
	case FAULT_LOAD:
	case FAULT_LOCAL:
	case FAULT_SUPERSEDED:
	case FAULT_GREETING_4YZ:
	case FAULT_EHLO_4YZ:
	case FAULT_FAMILY_REFUSED:
	case FAULT_SOURCE_REFUSED:
		return false;
	default:
		return true;
	}
}

enum family way_family(const struct endpoint *to, const struct ip *real)
{
	return (enum family)(real->family != FAMILY_NONE ? real->family : to->ip.family);
}

enum family path_family(const struct path_try *p)
{
	return way_family(&p->to, &p->real);
}

const char *path_via(const struct path_try *p)
{
	return p->real.family != FAMILY_NONE ? "nat64" : NULL;
}

const char *path_format(const struct path_try *p, char out[PATH_TEXT])
{
	char to[ENDPOINT_TEXT], ip[IP_TEXT], real[IP_TEXT];
	if (p->real.family != FAMILY_NONE)
		snprintf(out, PATH_TEXT, "%s by NAT64 %s", ip_format(&p->real, real), ip_format(&p->to.ip, ip));
	else
		snprintf(out, PATH_TEXT, "%s over %s", endpoint_format(&p->to, to),
			p->to.ip.family == FAMILY_IPV6 ? "IPv6" : "IPv4");
	return out;
}

struct attempt *attempt_new(uint64_t when_ms, const char *site)
{
	struct attempt *a = calloc(1, sizeof *a);
	if (a == NULL)
		return NULL;
	a->when_ms = when_ms;
	a->used = -1;
	snprintf(a->site, sizeof a->site, "%s", site);
	return a;
}

void attempt_free(struct attempt *a)
{
	if (a == NULL)
		return;
	free(a->paths);
	free(a->replies);
	free(a->rcpts);
	free(a);
}

/* An array with room for `count` items of `size` bytes, `*room` of which it has. NULL without memory: it is as it was.
 */
static void *with_room(void *items, uint16_t *room, unsigned count, size_t size)
{
	unsigned more = *room;
	if (count <= more)
		return items;
	while (more < count)
		more = more ? more * 2 : 1;
	if (more > UINT16_MAX)
		more = UINT16_MAX;
	items = reallocarray(items, more, size);
	if (items != NULL)
		*room = (uint16_t)more;
	return items;
}

int attempt_add_path(struct attempt *a, const struct path_try *p)
{
	if (a->path_count >= ATTEMPT_PATHS_MAX)
		return -E2BIG;
	struct path_try *paths = with_room(a->paths, &a->path_room, a->path_count + 1u, sizeof *paths);
	if (paths == NULL)
		return -ENOMEM;
	a->paths = paths;
	a->paths[a->path_count++] = *p;
	return 0;
}

void attempt_use_path(struct attempt *a, const struct path_try *p)
{
	a->used = attempt_add_path(a, p) == 0 ? (int16_t)(a->path_count - 1) : -1;
}

const struct path_try *attempt_path(const struct attempt *a, const struct attempt_rcpt *row)
{
	return row->path >= 0 && row->path < a->path_count ? &a->paths[row->path] : NULL;
}

static int find_reply(const struct attempt *a, const struct reply *r)
{
	for (int i = 0; i < a->reply_count; i++)
		if (reply_equal(&a->replies[i], r))
			return i;
	return -1;
}

/* What is kept of a reply when there are so many already. */
static void shorten_reply(struct reply *r, unsigned have)
{
	bool codes = have < ATTEMPT_REPLIES_CODES;
	struct reply whole = *r;
	reply_set(r, whole.code, codes ? whole.enhanced : "", "(one of many answers in this attempt, not kept whole)");
	if (!codes)
		r->code = (uint16_t)(whole.code ? whole.code - whole.code % 100 + 50 : 0);
	r->own = whole.own;
}

/* The index of the reply as it is kept, added if it is new. */
static int place_reply(struct attempt *a, const struct reply *r)
{
	struct reply kept = *r;
	int at = find_reply(a, r);
	if (at < 0 && a->reply_count >= ATTEMPT_REPLIES_WHOLE) {
		shorten_reply(&kept, a->reply_count);
		COUNT(replies_shortened);
		at = find_reply(a, &kept);
	}
	if (at >= 0)
		return at;
	if (a->reply_count == ATTEMPT_REPLIES_MAX)
		return -E2BIG; /* cannot be: not so many classes are left */
	struct reply *replies = with_room(a->replies, &a->reply_room, a->reply_count + 1u, sizeof *replies);
	if (replies == NULL)
		return -ENOMEM;
	a->replies = replies;
	a->replies[a->reply_count] = kept;
	return a->reply_count++;
}

int attempt_reserve(struct attempt *a, unsigned rcpts, unsigned more)
{
	unsigned all = a->reply_count + more;
	struct reply *replies = with_room(
		a->replies, &a->reply_room, all < ATTEMPT_REPLIES_MAX ? all : ATTEMPT_REPLIES_MAX, sizeof *replies);
	if (replies == NULL && all > 0)
		return -ENOMEM;
	a->replies = replies;
	struct attempt_rcpt *rows =
		with_room(a->rcpts, &a->rcpt_room, rcpts < UINT16_MAX ? rcpts : UINT16_MAX, sizeof *rows);
	if (rows == NULL && rcpts > 0)
		return -ENOMEM;
	a->rcpts = rows;
	return 0;
}

size_t attempt_encoded_most(const struct attempt *a)
{
	return FIXED_BYTES + (size_t)a->path_count * PATH_BYTES + (size_t)a->reply_room * REPLY_BYTES +
	       (size_t)a->rcpt_room * ROW_BYTES;
}

int attempt_set_rcpt(struct attempt *a, uint16_t index, enum rcpt_status status, const struct reply *r)
{
	int reply = place_reply(a, r);
	if (reply < 0)
		return reply;
	struct attempt_rcpt row = {.index = index,
		.status = (uint8_t)status,
		.reply = (uint16_t)reply,
		.cause = (uint16_t)reply,
		.path = a->used};
	/* rows nearly always come in order, so an older one of the same recipient is looked for from the end */
	for (unsigned i = a->rcpt_count; i-- > 0;)
		if (a->rcpts[i].index == index) {
			a->rcpts[i] = row;
			return 0;
		} else if (a->rcpts[i].index < index) {
			break;
		}
	if (a->rcpt_count == UINT16_MAX)
		return -E2BIG;
	struct attempt_rcpt *rcpts = with_room(a->rcpts, &a->rcpt_room, a->rcpt_count + 1u, sizeof *rcpts);
	if (rcpts == NULL)
		return -ENOMEM;
	a->rcpts = rcpts;
	unsigned at = a->rcpt_count++;
	while (at > 0 && rcpts[at - 1].index > index) {
		rcpts[at] = rcpts[at - 1];
		at--;
	}
	rcpts[at] = row;
	return 0;
}

static int put_text(struct buf *out, const char *text)
{
	size_t n = strlen(text);
	int err = buf_append_u16(out, (uint16_t)n);
	return err ? err : buf_append(out, text, n);
}

static void get_text(struct reader *r, char *out, size_t size)
{
	size_t n = reader_u16(r);
	const uint8_t *p = reader_bytes(r, n);
	if (p == NULL || n >= size || memchr(p, 0, n) != NULL) {
		r->bad = 1;
		return;
	}
	memcpy(out, p, n);
	out[n] = '\0';
}

static int put_reply(struct buf *out, const struct reply *r)
{
	int err = buf_append_u16(out, r->code);
	if (err == 0)
		err = put_text(out, r->enhanced);
	err = err ? err : put_text(out, r->text);
	return err ? err : buf_append_u8(out, r->own ? OWN : 0);
}

/* Marks of which only `known` ones mean something. */
static uint8_t get_marks(struct reader *r, uint8_t known)
{
	uint8_t marks = reader_u8(r);
	if (marks & ~known)
		r->bad = 1;
	return marks;
}

static void get_reply(struct reader *r, unsigned version, struct reply *out)
{
	out->code = reader_u16(r);
	get_text(r, out->enhanced, sizeof out->enhanced);
	get_text(r, out->text, sizeof out->text);
	out->own = version > 1 && (get_marks(r, OWN) & OWN);
}

/* The mark on disk: bit 0 says that the address was synthesised, bits 1 to 3 which length of prefix it has, so that the
 * IPv4 address can be read out of it. */
enum { WAY_NAT64 = 1, WAY_KNOWN = 15 };

static const unsigned nat64_bits[] = {32, 40, 48, 56, 64, 96};

static int address_behind(const struct ip *ipv6, unsigned bits, struct ip *out)
{
	/* of the prefix nothing but its length matters: its bytes are those of the address */
	struct nat64_prefix p = {.ip = *ipv6, .bits = bits};
	memset(p.ip.bytes + bits / 8, 0, sizeof p.ip.bytes - bits / 8);
	return ipv6->family == FAMILY_IPV6 ? nat64_extract(&p, ipv6, out) : -ENOENT;
}

static uint8_t way_of(const struct path_try *p)
{
	struct ip ipv4;
	for (unsigned i = 0; p->real.family != FAMILY_NONE && i < sizeof nat64_bits / sizeof nat64_bits[0]; i++)
		if (address_behind(&p->to.ip, nat64_bits[i], &ipv4) == 0 && ip_equal(&ipv4, &p->real))
			return (uint8_t)(WAY_NAT64 | i << 1);
	return 0;
}

static int put_path(struct buf *out, const struct path_try *p)
{
	int err = buf_append_u8(out, p->to.ip.family);
	err = err ? err : buf_append(out, p->to.ip.bytes, sizeof p->to.ip.bytes);
	err = err ? err : buf_append_u16(out, p->to.port);
	err = err ? err : put_text(out, p->host);
	err = err ? err : buf_append_u16(out, p->preference);
	err = err ? err : buf_append_u8(out, (uint8_t)p->fault);
	err = err ? err : buf_append_u32(out, p->started_ms);
	err = err ? err : buf_append_u32(out, p->connect_ms);
	err = err ? err : buf_append_u32(out, p->greeting_ms);
	err = err ? err : buf_append_u32(out, p->total_ms);
	err = err ? err : put_reply(out, &p->reply);
	return err ? err : buf_append_u8(out, way_of(p));
}

static void get_way(struct reader *r, unsigned version, struct path_try *p)
{
	uint8_t way = version > 1 ? get_marks(r, WAY_KNOWN) : 0;
	unsigned length = way >> 1;
	if (way == 0)
		return;
	if (!(way & WAY_NAT64) || length >= sizeof nat64_bits / sizeof nat64_bits[0] ||
		address_behind(&p->to.ip, nat64_bits[length], &p->real) != 0)
		r->bad = 1;
}

static void get_path(struct reader *r, unsigned version, struct path_try *p)
{
	p->to.ip.family = reader_u8(r);
	const uint8_t *bytes = reader_bytes(r, sizeof p->to.ip.bytes);
	if (bytes != NULL)
		memcpy(p->to.ip.bytes, bytes, sizeof p->to.ip.bytes);
	p->to.port = reader_u16(r);
	get_text(r, p->host, sizeof p->host);
	p->preference = reader_u16(r);
	uint8_t fault = reader_u8(r);
	if (fault >= FAULT_COUNT)
		r->bad = 1;
	p->fault = (enum fault)fault;
	p->started_ms = reader_u32(r);
	p->connect_ms = reader_u32(r);
	p->greeting_ms = reader_u32(r);
	p->total_ms = reader_u32(r);
	get_reply(r, version, &p->reply);
	get_way(r, version, p);
}

int attempt_encode(const struct attempt *a, struct buf *out)
{
	int err = buf_append_u8(out, ATTEMPT_VERSION);
	err = err ? err : buf_append_u64(out, a->when_ms);
	err = err ? err : buf_append_u32(out, a->took_ms);
	err = err ? err : buf_append_u64(out, a->next_ms);
	err = err ? err : buf_append_u8(out, a->waited ? WAITED : 0);
	err = err ? err : put_text(out, a->site);
	err = err ? err : buf_append_u16(out, (uint16_t)a->used);
	err = err ? err : buf_append_u16(out, a->path_count);
	for (unsigned i = 0; err == 0 && i < a->path_count; i++)
		err = put_path(out, &a->paths[i]);
	err = err ? err : buf_append_u16(out, a->reply_count);
	for (unsigned i = 0; err == 0 && i < a->reply_count; i++)
		err = put_reply(out, &a->replies[i]);
	err = err ? err : buf_append_u16(out, a->rcpt_count);
	for (unsigned i = 0; err == 0 && i < a->rcpt_count; i++) {
		err = buf_append_u16(out, a->rcpts[i].index);
		/* one byte for both: `told` came later, and what was written before has none */
		err = err ? err : buf_append_u8(out, (uint8_t)(a->rcpts[i].status | a->rcpts[i].told << 4));
		err = err ? err : buf_append_u16(out, a->rcpts[i].reply);
		err = err ? err : buf_append_u8(out, a->rcpts[i].path < 0 ? NO_PATH : (uint8_t)a->rcpts[i].path);
	}
	return err;
}

static void get_rcpts(struct reader *r, unsigned version, struct attempt *a)
{
	for (unsigned i = 0; !r->bad && i < a->rcpt_count; i++) {
		a->rcpts[i].index = reader_u16(r);
		uint8_t both = reader_u8(r);
		a->rcpts[i].status = both & 15;
		a->rcpts[i].told = both >> 4;
		a->rcpts[i].reply = reader_u16(r);
		uint8_t path = version > 1 ? reader_u8(r) : NO_PATH;
		a->rcpts[i].path = version == 1 ? a->used : path == NO_PATH ? -1 : path;
		if (a->rcpts[i].status > RCPT_FAILED || a->rcpts[i].reply >= a->reply_count ||
			a->rcpts[i].path >= a->path_count)
			r->bad = 1;
	}
}

static int get_arrays(struct reader *r, unsigned version, struct attempt *a)
{
	a->path_count = reader_u16(r);
	if (r->bad || a->path_count > ATTEMPT_PATHS_MAX || a->used >= a->path_count || a->used < -1)
		return -EBADMSG;
	a->paths = calloc(a->path_count ? a->path_count : 1, sizeof *a->paths);
	if (a->paths == NULL)
		return -ENOMEM;
	for (unsigned i = 0; !r->bad && i < a->path_count; i++)
		get_path(r, version, &a->paths[i]);
	a->reply_count = reader_u16(r);
	if (r->bad || a->reply_count > ATTEMPT_REPLIES_MAX)
		return -EBADMSG;
	a->replies = calloc(a->reply_count ? a->reply_count : 1, sizeof *a->replies);
	if (a->replies == NULL)
		return -ENOMEM;
	for (unsigned i = 0; !r->bad && i < a->reply_count; i++)
		get_reply(r, version, &a->replies[i]);
	a->rcpt_count = reader_u16(r);
	if (r->bad || a->rcpt_count > r->left / (version == 1 ? ROW_BYTES_1 : ROW_BYTES))
		return -EBADMSG;
	a->rcpts = calloc(a->rcpt_count ? a->rcpt_count : 1u, sizeof *a->rcpts);
	if (a->rcpts == NULL)
		return -ENOMEM;
	get_rcpts(r, version, a);
	return r->bad || r->left != 0 ? -EBADMSG : 0;
}

int attempt_decode(struct attempt **out, const void *p, size_t n)
{
	struct reader r;
	reader_init(&r, p, n);
	unsigned version = reader_u8(&r);
	if (version < 1 || version > ATTEMPT_VERSION)
		return -EBADMSG;
	struct attempt *a = attempt_new(reader_u64(&r), "");
	if (a == NULL)
		return -ENOMEM;
	a->took_ms = reader_u32(&r);
	a->next_ms = reader_u64(&r);
	a->waited = version > 1 && (get_marks(&r, WAITED) & WAITED);
	get_text(&r, a->site, sizeof a->site);
	a->used = (int16_t)reader_u16(&r);
	int err = get_arrays(&r, version, a);
	if (err != 0) {
		attempt_free(a);
		return err;
	}
	*out = a;
	return 0;
}
