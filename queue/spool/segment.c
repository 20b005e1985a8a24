/* queue/spool/segment.c: plumbing. */
#include "queue/spool/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <xxhash.h>

enum { MAGIC = 0x72363473, VERSION = 1, AT_SUM = 56, PIECE = 65536, ZEROS = 1 << 20, DIGITS = 10 };

const char *segment_name(uint32_t number, char out[SEGMENT_NAME])
{
	snprintf(out, SEGMENT_NAME, "%010u.seg", number);
	return out;
}

uint32_t segment_name_parse(const char *name)
{
	char again[SEGMENT_NAME];
	uint64_t number = 0;
	for (int i = 0; i < DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9')
			return 0;
		number = number * 10 + (uint64_t)(name[i] - '0');
	}
	if (number > UINT32_MAX)
		return 0;
	return strcmp(name, segment_name((uint32_t)number, again)) == 0 ? (uint32_t)number : 0;
}

static int header_encode(uint32_t number, uint32_t size, uint64_t seed, uint8_t out[RECORD_HEADER])
{
	static const uint8_t zeros[AT_SUM - 24];
	struct buf b;
	buf_init(&b, RECORD_HEADER);
	int err = -ENOMEM;
	if (buf_append_u32(&b, MAGIC) || buf_append_u32(&b, VERSION) || buf_append_u32(&b, number) ||
		buf_append_u32(&b, size) || buf_append_u64(&b, seed) || buf_append(&b, zeros, sizeof(zeros)) ||
		buf_append_u64(&b, XXH3_64bits(b.data, AT_SUM)))
		goto done;
	memcpy(out, b.data, RECORD_HEADER);
	err = 0;
done:
	buf_fini(&b);
	return err;
}

static int header_decode(struct segment *s, const uint8_t in[RECORD_HEADER])
{
	struct reader r;
	reader_init(&r, in, RECORD_HEADER);
	uint32_t magic = reader_u32(&r), version = reader_u32(&r), number = reader_u32(&r), size = reader_u32(&r);
	uint64_t seed = reader_u64(&r);
	reader_bytes(&r, AT_SUM - 24);
	uint64_t sum = reader_u64(&r);
	if (r.bad || magic != MAGIC || version != VERSION || sum != XXH3_64bits(in, AT_SUM) ||
		size < SEGMENT_SIZE_MIN || size % RECORD_ALIGN)
		return -EBADMSG;
	if (number != s->number)
		return -ESTALE;
	s->made = size;
	s->seed = seed;
	return 0;
}

int segment_open(struct segment *out, const struct files *files, int journal, uint32_t number, bool write)
{
	char name[SEGMENT_NAME];
	uint8_t header[RECORD_HEADER];
	struct segment s = {.files = files, .number = number};
	s.fd = files->open(files->arg, journal, segment_name(number, name), write ? O_RDWR : O_RDONLY, 0);
	if (s.fd < 0)
		return s.fd;
	int err = -EBADMSG;
	int64_t size = files_size(s.fd);
	if (size < 0 || size > UINT32_MAX) {
		err = size < 0 ? (int)size : -EBADMSG;
		goto fail;
	}
	s.size = (uint32_t)size;
	ssize_t got = files_read(files, s.fd, header, sizeof(header), 0);
	if (got == RECORD_HEADER)
		err = header_decode(&s, header);
	if (err == -EBADMSG && size >= RECORD_HEADER) {
		got = files_read(files, s.fd, header, sizeof(header), (uint64_t)size - RECORD_HEADER);
		if (got == RECORD_HEADER && (err = header_decode(&s, header)) == 0 && s.made != s.size)
			err = -EBADMSG; /* the last header stands at the file's end, or it is none */
	}
	if (got < 0)
		err = (int)got;
	if (err == 0) {
		*out = s;
		return 0;
	}
fail:
	files->close(files->arg, s.fd);
	return err;
}

void segment_close(struct segment *s)
{
	if (s->fd >= 0)
		s->files->close(s->files->arg, s->fd);
	s->fd = -1;
}

uint32_t segment_end(const struct segment *s)
{
	uint32_t end = s->made - RECORD_HEADER;
	return s->size < end ? s->size / RECORD_ALIGN * RECORD_ALIGN : end;
}

uint64_t segment_body_at(uint32_t offset, const struct record *r)
{
	return (uint64_t)offset + RECORD_HEADER + r->meta_len;
}

int segment_read(const struct segment *s, uint32_t offset, struct record *out, struct buf *meta)
{
	uint8_t header[RECORD_HEADER];
	struct record r;
	uint64_t seed = record_seed(s->seed, offset);
	if (offset < SEGMENT_FIRST || offset % RECORD_ALIGN)
		return -EBADMSG;
	ssize_t got = files_read(s->files, s->fd, header, sizeof(header), offset);
	if (got < 0)
		return (int)got;
	if (got != RECORD_HEADER || record_decode(&r, seed, header))
		return -EBADMSG;
	if (meta && r.meta_len) {
		uint8_t *p = buf_room(meta, r.meta_len);
		if (!p)
			return meta->limit - meta->len < r.meta_len ? -E2BIG : -ENOMEM;
		got = files_read(s->files, s->fd, p, r.meta_len, (uint64_t)offset + RECORD_HEADER);
		if (got < 0)
			return (int)got;
		if ((size_t)got != r.meta_len || record_sum(seed, p, r.meta_len) != r.meta_sum)
			return -EBADMSG;
		buf_grow(meta, r.meta_len);
	}
	*out = r;
	return 0;
}

int segment_check_body(const struct segment *s, uint32_t offset, const struct record *r)
{
	uint64_t at = segment_body_at(offset, r), seed = record_seed(s->seed, offset);
	XXH3_state_t *sum = XXH3_createState();
	uint8_t *piece = malloc(PIECE);
	struct record_reference ref;
	int err = -ENOMEM;
	if (!sum || !piece)
		goto done;
	XXH3_64bits_reset_withSeed(sum, seed);
	for (uint32_t left = r->body_len; left;) {
		uint32_t step = left < PIECE ? left : PIECE;
		ssize_t got = files_read(s->files, s->fd, piece, step, at);
		err = got < 0 ? (int)got : -EBADMSG;
		if (got != (ssize_t)step)
			goto done;
		XXH3_64bits_update(sum, piece, step);
		at += step;
		left -= step;
	}
	err = XXH3_64bits_digest(sum) == r->body_sum ? 0 : -EBADMSG;
	if (err == 0 && (r->flags & RECORD_IN_FILE))
		err = r->body_len == RECORD_REFERENCE ? record_reference_decode(&ref, piece, r->body_len) : -EBADMSG;
done:
	free(piece);
	XXH3_freeState(sum);
	return err;
}

/* Both headers, for a new number and seed; synced. */
static int write_headers(const struct files *files, int fd, uint32_t number, uint32_t size)
{
	uint8_t header[RECORD_HEADER];
	uint64_t seed;
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return -errno;
	int err = header_encode(number, size, seed, header);
	struct iovec first = {header, sizeof(header)}, last = first;
	if (err == 0)
		err = files_write(files, fd, &first, 1, 0);
	if (err == 0)
		err = files_write(files, fd, &last, 1, size - RECORD_HEADER);
	return err ? err : files->datasync(files->arg, fd);
}

static int write_zeros(const struct files *files, int fd, uint32_t size)
{
	uint8_t *zeros = calloc(1, ZEROS);
	if (!zeros)
		return -ENOMEM;
	int err = 0;
	for (uint32_t at = 0; at < size && err == 0;) {
		uint32_t step = size - at < ZEROS ? size - at : ZEROS;
		struct iovec iov = {zeros, step};
		err = files_write(files, fd, &iov, 1, at);
		at += step;
	}
	free(zeros);
	return err;
}

int segment_make(const struct files *files, int journal, uint32_t number, uint32_t size)
{
	char name[SEGMENT_NAME], temporary[SEGMENT_NAME];
	snprintf(temporary, sizeof(temporary), "%010u.tmp", number);
	int fd = files->open(files->arg, journal, temporary, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0)
		return fd;
	int err = write_zeros(files, fd, size);
	if (err == 0)
		err = write_headers(files, fd, number, size);
	int closed = files->close(files->arg, fd);
	if (err == 0)
		err = closed;
	if (err == 0)
		err = files->rename(files->arg, journal, temporary, segment_name(number, name));
	if (err) {
		files->unlink(files->arg, journal, temporary);
		return err;
	}
	return files->sync(files->arg, journal);
}

int segment_recycle(const struct files *files, int journal, uint32_t from, uint32_t number, uint32_t size)
{
	char old[SEGMENT_NAME], name[SEGMENT_NAME];
	int fd = files->open(files->arg, journal, segment_name(from, old), O_RDWR, 0);
	if (fd < 0)
		return fd;
	int64_t is = files_size(fd);
	int err = is < 0 ? (int)is : is != size ? -EBADMSG : 0;
	if (err == 0)
		err = write_headers(files, fd, number, size);
	int closed = files->close(files->arg, fd);
	if (err == 0)
		err = closed;
	if (err == 0)
		err = files->rename(files->arg, journal, old, segment_name(number, name));
	return err ? err : files->sync(files->arg, journal);
}
