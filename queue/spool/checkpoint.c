/* queue/spool/checkpoint.c: plumbing. */
#include "queue/spool/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <xxhash.h>

#include "conf/buf.h"
#include "queue/spool/segment.h"

enum {
	MAGIC = 0x72363469,
	VERSION = 1,
	HEAD = 64,
	HEAD_SUM = 56,
	BLOCK_HEAD = 16,
	NAME = 32,
	PLACES = 17,
	DIGITS = 10
};

struct checkpoint_block {
	uint32_t entries;
	struct buf bytes;
};

struct checkpoint {
	const struct files *files;
	int spool;
	/* the owner's */
	struct checkpoint_block *open;
	/* the worker's */
	struct checkpoint_head head;
	uint64_t nonce;
	uint32_t number;
	int fd; /* -1: not begun */
	uint64_t at;
	uint64_t entries;
	int err;
};

/* ---- names ---- */

static const char *final_name(uint32_t number, char out[NAME])
{
	snprintf(out, NAME, "index.%u", number);
	return out;
}

static const char *temporary_name(uint32_t number, char out[NAME])
{
	snprintf(out, NAME, "index.%u.tmp", number);
	return out;
}

static uint32_t name_parse(const char *name)
{
	char again[NAME];
	if (strncmp(name, "index.", 6) != 0 || strlen(name) > 6 + DIGITS)
		return 0;
	unsigned long number = strtoul(name + 6, NULL, 10);
	if (number > UINT32_MAX || strcmp(name, final_name((uint32_t)number, again)) != 0)
		return 0;
	return (uint32_t)number;
}

/* The highest number below `below`; 0 if there is none. */
static uint32_t highest(int spool, uint32_t below)
{
	int fd = openat(spool, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	uint32_t best = 0;
	if (!d) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	for (struct dirent *e; (e = readdir(d));) {
		uint32_t number = name_parse(e->d_name);
		if (number > best && number < below)
			best = number;
	}
	closedir(d);
	return best;
}

/* ---- the form ---- */

static int head_encode(const struct checkpoint_head *h, uint64_t nonce, struct buf *out)
{
	int err = 0;
	err |= buf_append_u32(out, MAGIC);
	err |= buf_append_u32(out, VERSION);
	err |= buf_append_u32(out, h->at.segment);
	err |= buf_append_u32(out, h->at.offset);
	err |= buf_append_u64(out, h->batch);
	err |= buf_append_u64(out, h->ceiling_ms);
	err |= buf_append_u64(out, h->newest_ms);
	err |= buf_append_u32(out, h->oldest);
	err |= buf_append_u32(out, 0);
	err |= buf_append_u64(out, nonce);
	if (err)
		return -ENOMEM;
	return buf_append_u64(out, XXH3_64bits(out->data, HEAD_SUM)) ? -ENOMEM : 0;
}

static int head_decode(struct checkpoint_head *h, uint64_t *nonce, const uint8_t *p)
{
	struct reader r;
	reader_init(&r, p, HEAD);
	if (reader_u32(&r) != MAGIC || reader_u32(&r) != VERSION)
		return -EBADMSG;
	h->at.segment = reader_u32(&r);
	h->at.offset = reader_u32(&r);
	h->batch = reader_u64(&r);
	h->ceiling_ms = reader_u64(&r);
	h->newest_ms = reader_u64(&r);
	h->oldest = reader_u32(&r);
	reader_u32(&r);
	*nonce = reader_u64(&r);
	if (reader_u64(&r) != XXH3_64bits(p, HEAD_SUM) || r.bad || h->at.segment == 0 || h->at.offset < SEGMENT_FIRST ||
		h->at.offset % RECORD_ALIGN)
		return -EBADMSG;
	return 0;
}

/* The checksum of a block's length, number of entries and bytes. */
static uint64_t block_sum(uint64_t seed, const uint8_t lengths[8], const uint8_t *bytes, size_t n)
{
	return XXH3_64bits_withSeed(bytes, n, seed ^ XXH3_64bits_withSeed(lengths, 8, seed));
}

static int write_block(struct checkpoint *c, uint32_t entries, uint32_t length, uint8_t *bytes, size_t n)
{
	struct buf head;
	buf_init(&head, BLOCK_HEAD);
	int err = -ENOMEM;
	if (buf_append_u32(&head, length) || buf_append_u32(&head, entries) ||
		buf_append_u64(&head, block_sum(c->nonce + c->at, head.data, bytes, n)))
		goto done;
	struct iovec iov[2] = {{head.data, BLOCK_HEAD}, {bytes, n}};
	err = files_write(c->files, c->fd, iov, 2, c->at);
	if (err == 0)
		c->at += BLOCK_HEAD + n;
done:
	buf_fini(&head);
	return err;
}

/* ---- writing ---- */

int checkpoint_begin(struct checkpoint **out, const struct files *files, int spool, const struct checkpoint_head *head)
{
	struct checkpoint *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->files = files;
	c->spool = spool;
	c->head = *head;
	c->fd = -1;
	if (getrandom(&c->nonce, sizeof(c->nonce), 0) != sizeof(c->nonce)) {
		free(c);
		return -EIO;
	}
	*out = c;
	return 0;
}

static void block_free(struct checkpoint_block *b)
{
	if (b)
		buf_fini(&b->bytes);
	free(b);
}

int checkpoint_add(
	struct checkpoint *c, const struct envelope *e, struct place content, struct place newest, bool in_file)
{
	if (!c->open) {
		c->open = calloc(1, sizeof(*c->open));
		if (!c->open)
			return -ENOMEM;
		buf_init(&c->open->bytes, CHECKPOINT_BLOCK);
	}
	struct buf *b = &c->open->bytes;
	size_t before = b->len;
	int err = buf_append_u32(b, 0);
	const uint32_t places[4] = {content.segment, content.offset, newest.segment, newest.offset};
	for (int i = 0; i < 4 && err == 0; i++)
		err = buf_append_u32(b, places[i]);
	if (err == 0)
		err = buf_append_u8(b, in_file);
	if (err == 0)
		err = envelope_encode(e, b);
	if (err) {
		if (b->data)
			b->data[b->len = before] = 0;
		return err;
	}
	uint32_t length = __builtin_bswap32((uint32_t)(b->len - before - 4));
	memcpy(b->data + before, &length, sizeof(length));
	c->open->entries++;
	return b->len >= CHECKPOINT_FULL;
}

struct checkpoint_block *checkpoint_cut(struct checkpoint *c)
{
	struct checkpoint_block *b = c->open;
	c->open = NULL;
	return b;
}

/* Opens the temporary file and writes the head, on the worker. */
static int start_file(struct checkpoint *c)
{
	char name[NAME];
	struct buf head;
	c->number = highest(c->spool, UINT32_MAX) + 1;
	int fd = c->files->open(
		c->files->arg, c->spool, temporary_name(c->number, name), O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0)
		return fd;
	c->fd = fd;
	buf_init(&head, HEAD);
	int err = head_encode(&c->head, c->nonce, &head);
	struct iovec iov = {head.data, HEAD};
	if (err == 0)
		err = files_write(c->files, fd, &iov, 1, 0);
	c->at = HEAD;
	buf_fini(&head);
	return err;
}

int checkpoint_write(struct checkpoint *c, struct checkpoint_block *block)
{
	if (c->err == 0 && c->fd < 0)
		c->err = start_file(c);
	if (c->err == 0 && block) {
		c->err =
			write_block(c, block->entries, (uint32_t)block->bytes.len, block->bytes.data, block->bytes.len);
		c->entries += block->entries;
	}
	block_free(block);
	return c->err;
}

static void unlink_older(struct checkpoint *c)
{
	char name[NAME];
	for (uint32_t number = c->number; (number = highest(c->spool, number));)
		if (c->files->unlink(c->files->arg, c->spool, final_name(number, name)))
			return;
}

static void free_checkpoint(struct checkpoint *c, bool unlink)
{
	char name[NAME];
	if (c->fd >= 0)
		c->files->close(c->files->arg, c->fd);
	if (c->fd >= 0 && unlink)
		c->files->unlink(c->files->arg, c->spool, temporary_name(c->number, name));
	block_free(c->open);
	free(c);
}

int checkpoint_finish(struct checkpoint *c)
{
	char from[NAME], to[NAME];
	int err = checkpoint_write(c, checkpoint_cut(c));
	uint64_t entries = __builtin_bswap64(c->entries);
	if (err == 0)
		err = write_block(c, 0, 0, (uint8_t *)&entries, sizeof(entries));
	if (err == 0)
		err = c->files->datasync(c->files->arg, c->fd);
	if (err == 0)
		err = c->files->rename(
			c->files->arg, c->spool, temporary_name(c->number, from), final_name(c->number, to));
	bool renamed = err == 0;
	if (err == 0)
		err = c->files->sync(c->files->arg, c->spool);
	if (err == 0)
		unlink_older(c);
	free_checkpoint(c, !renamed);
	return err;
}

int checkpoint_drop(const struct files *files, int spool)
{
	char name[NAME];
	int err = 0;
	for (uint32_t number; err == 0 && (number = highest(spool, UINT32_MAX));)
		err = files->unlink(files->arg, spool, final_name(number, name));
	return err ? err : files->sync(files->arg, spool);
}

void checkpoint_abort(struct checkpoint *c)
{
	if (c)
		free_checkpoint(c, true);
}

/* ---- reading ---- */

struct reading {
	const struct files *files;
	int fd;
	uint64_t at, nonce, entries;
	uint8_t *block;
	size_t cap;
	void *arg;
	int (*entry)(void *arg, const struct envelope *e, struct place content, struct place newest, bool in_file);
};

/* Reads exactly `n` bytes. */
static int take(struct reading *r, void *p, size_t n)
{
	ssize_t got = files_read(r->files, r->fd, p, n, r->at);
	if (got < 0)
		return (int)got;
	if ((size_t)got != n)
		return -EBADMSG;
	r->at += n;
	return 0;
}

static int read_entry(struct reading *r, const uint8_t *p, size_t n)
{
	struct reader in;
	struct envelope *e;
	reader_init(&in, p, n);
	struct place content = {.segment = reader_u32(&in)};
	content.offset = reader_u32(&in);
	struct place newest = {.segment = reader_u32(&in)};
	newest.offset = reader_u32(&in);
	bool in_file = reader_u8(&in);
	if (in.bad)
		return -EBADMSG;
	int err = envelope_decode(&e, in.at, in.left);
	if (err)
		return err;
	if (r->entry)
		err = r->entry(r->arg, e, content, newest, in_file);
	envelope_free(e);
	return err;
}

/* One block with its entries: 0; 1: it was the tail. */
static int read_block(struct reading *r)
{
	uint8_t head[BLOCK_HEAD];
	uint64_t seed = r->nonce + r->at;
	int err = take(r, head, sizeof(head));
	if (err)
		return err;
	struct reader in;
	reader_init(&in, head, sizeof(head));
	uint32_t length = reader_u32(&in), entries = reader_u32(&in);
	uint64_t sum = reader_u64(&in);
	bool tail = length == 0;
	if (tail)
		length = sizeof(r->entries);
	if (length > CHECKPOINT_BLOCK)
		return -EBADMSG;
	if (length > r->cap) {
		uint8_t *more = realloc(r->block, length);
		if (!more)
			return -ENOMEM;
		r->block = more;
		r->cap = length;
	}
	err = take(r, r->block, length);
	if (err == 0 && sum != block_sum(seed, head, r->block, length))
		err = -EBADMSG;
	if (err)
		return err;
	reader_init(&in, r->block, length);
	if (tail)
		return entries == 0 && reader_u64(&in) == r->entries ? 1 : -EBADMSG;
	for (; entries && err == 0; entries--) {
		size_t n;
		const uint8_t *p = reader_block(&in, CHECKPOINT_BLOCK, &n);
		err = p ? read_entry(r, p, n) : -EBADMSG;
		r->entries++;
	}
	return err == 0 && in.left ? -EBADMSG : err;
}

/* All blocks up to the tail. */
static int read_blocks(struct reading *r)
{
	int err;
	r->at = HEAD;
	r->entries = 0;
	while ((err = read_block(r)) == 0)
		;
	return err == 1 ? 0 : err;
}

/* Believed as a whole: everything is read once to check it, then again to tell it. */
static int load_one(const struct files *files, int fd, void *arg,
	int (*head)(void *arg, const struct checkpoint_head *head),
	int (*entry)(void *arg, const struct envelope *e, struct place content, struct place newest, bool in_file))
{
	uint8_t bytes[HEAD];
	struct checkpoint_head h;
	struct reading r = {.files = files, .fd = fd, .arg = arg};
	int err = take(&r, bytes, sizeof(bytes));
	if (err == 0)
		err = head_decode(&h, &r.nonce, bytes);
	if (err == 0)
		err = read_blocks(&r);
	if (err && err != -ENOMEM)
		err = -EBADMSG;
	if (err == 0) {
		r.entry = entry;
		err = head(arg, &h);
	}
	if (err == 0 && (err = read_blocks(&r)) == -EBADMSG)
		err = -EIO; /* it read otherwise a moment ago, and some of it has been told */
	free(r.block);
	return err;
}

int checkpoint_load(const struct files *files, int spool, void *arg,
	int (*head)(void *arg, const struct checkpoint_head *head),
	int (*entry)(void *arg, const struct envelope *e, struct place content, struct place newest, bool in_file))
{
	char name[NAME];
	for (uint32_t number = UINT32_MAX; (number = highest(spool, number));) {
		int fd = files->open(files->arg, spool, final_name(number, name), O_RDONLY, 0);
		if (fd < 0)
			continue;
		int err = load_one(files, fd, arg, head, entry);
		files->close(files->arg, fd);
		if (err != -EBADMSG)
			return err;
	}
	return -ENOENT;
}
