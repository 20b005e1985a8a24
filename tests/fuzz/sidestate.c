/* tests/fuzz/sidestate.c: a file of spool/state. Its checksum is made to fit, or nothing would be believed, unless its
 * first byte is 0xff. It is read whole or not at all, and written again it is the same file. Its content is then what
 * was known of paths: what is taken comes out again and is taken again. Plumbing. */
#include <errno.h>

#include <xxhash.h>

#include "queue/path/keep.h"
#include "queue/path/memory.h"
#include "queue/spool/sidestate.h"
#include "tests/fuzz/folder.h"

enum { HEADER = 24, AT_LENGTH = 8, AT_SUM = 16, VERSION = 1, NOW_MS = 1000000000 };

static uint64_t now(void)
{
	return NOW_MS;
}

static struct conf conf = {
	.path = {.half_life = 600000, .probe_max = 3600000, .refused_max = 86400000, .sites = 20, .addresses = 20}};

/* What the memory holds, as the file has it. */
static void encode(struct queue *q, struct buf *out)
{
	int more;
	memory_walk(q->memory);
	while ((more = keep_encode(q, out, 3)) == 1)
		;
	MUST(more == 0);
}

static void queue_of(struct queue *q)
{
	*q = (struct queue){.conf = &conf, .clock = now, .shift = NOW_MS, .memory = memory_new(&conf, 1)};
	MUST(q->memory != NULL);
}

static void check_paths(const struct buf *content)
{
	static struct queue q, again;
	struct buf first, second;
	queue_of(&q);
	queue_of(&again);
	buf_init(&first, SIDESTATE_MAX);
	buf_init(&second, SIDESTATE_MAX);
	int err = keep_decode(&q, content);
	MUST(err == 0 || err == -EBADMSG);
	encode(&q, &first);
	MUST(err == 0 || first.len == 0);
	MUST(keep_decode(&again, &first) == 0);
	encode(&again, &second);
	MUST(fuzz_same(&first, &second));
	buf_fini(&first);
	buf_fini(&second);
	memory_free(q.memory);
	memory_free(again.memory);
}

static void check_again(
	const struct files *files, int spool, const struct buf *content, const uint8_t *bytes, size_t len)
{
	uint8_t back[4200];
	MUST(sidestate_write(files, spool, "x", VERSION, content->data, content->len) == 0);
	int fd = openat(spool, "state/x", O_RDONLY | O_CLOEXEC);
	MUST(fd >= 0 && len < sizeof back && pread(fd, back, sizeof back, 0) == (ssize_t)len);
	MUST(memcmp(back, bytes, len) == 0);
	close(fd);
}

FUZZ_TARGET(sidestate)
{
	const struct files files = fuzz_files();
	int spool = fuzz_folder();
	struct buf content;
	uint8_t *bytes = malloc(len + 1);
	MUST(bytes != NULL && (mkdirat(spool, "state", 0700) == 0 || errno == EEXIST));
	memcpy(bytes, in, len);
	if (len >= HEADER && bytes[AT_SUM] != 0xff) {
		uint64_t size = fuzz_get64(bytes + AT_LENGTH), left = len - HEADER;
		fuzz_put64(bytes + AT_SUM, XXH3_64bits(bytes + HEADER, size < left ? size : left));
	}
	fuzz_write(spool, "state/x", bytes, len);
	buf_init(&content, SIDESTATE_MAX + 1);
	int err = sidestate_read(&files, spool, "x", VERSION, &content);
	MUST(err == 0 || err == -EBADMSG);
	MUST(err == 0 || content.len == 0);
	if (err == 0) {
		MUST(len == HEADER + content.len && fuzz_get64(bytes + AT_LENGTH) == content.len);
		check_again(&files, spool, &content, bytes, len);
		check_paths(&content);
	}
	buf_fini(&content);
	free(bytes);
	return 0;
}
