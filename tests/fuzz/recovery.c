/* tests/fuzz/recovery.c: a journal of one to three segments, with or without a checkpoint. Checksums are made to fit,
 * or nothing would be believed, unless the first byte of one is 0xff. Recovery reads whatever stands there, says the
 * same each time, and what it keeps is kept when the journal was opened, which writes the last batch again, and is read
 * once more. Plumbing.
 *
 * Input: options (bits 0-1: segments less one, bit 2: all records and their bodies, bit 3: the last segment is cut
 * short, bit 4: with a checkpoint), the checkpoint's segment, offset / 64 and batch, then the records, parted evenly.
 */
#include <errno.h>

#include <xxhash.h>

#include "queue/spool/checkpoint.h"
#include "queue/spool/journal.h"
#include "queue/spool/recovery.h"
#include "queue/spool/segment.h"
#include "tests/fuzz/folder.h"

#define SEED UINT64_C(0x5eed)
enum {
	OPTIONS = 4,
	EVERYTHING = 4,
	CUT = 8,
	MARKED = 16,
	SEGMENTS = 3,
	SIZE = 8192,
	NEW_SIZE = 16384,
	AT_META = 16,
	AT_BODY = 20,
	AT_BATCH = 24,
	AT_META_SUM = 40,
	AT_BODY_SUM = 48,
	AT_SUM = 56,
	KNOWN_MAX = 1000,
	SAID_MAX = 1 << 20
};

/* ---- the journal ---- */

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void seal_record(uint8_t *segment, uint32_t at)
{
	uint8_t *p = segment + at;
	uint64_t seed = record_seed(SEED, at), meta = get32(p + AT_META), body = get32(p + AT_BODY);
	uint64_t left = SIZE - RECORD_HEADER - at - RECORD_HEADER;
	put32(p + AT_BATCH, 0); /* so many batches are not written in the life of a disk */
	if (p[AT_META_SUM] != 0xff && meta <= left)
		fuzz_put64(p + AT_META_SUM, record_sum(seed, p + RECORD_HEADER, meta));
	if (p[AT_BODY_SUM] != 0xff && meta + body <= left)
		fuzz_put64(p + AT_BODY_SUM, record_sum(seed, p + RECORD_HEADER + meta, body));
	if (p[AT_SUM] != 0xff)
		fuzz_put64(p + AT_SUM, record_sum(seed, p, AT_SUM));
}

static void put_header(uint8_t *p, uint32_t number)
{
	memset(p, 0, RECORD_HEADER);
	put32(p, 0x72363473);
	put32(p + 4, 1);
	put32(p + 8, number);
	put32(p + 12, SIZE);
	fuzz_put64(p + 16, SEED);
	fuzz_put64(p + AT_SUM, XXH3_64bits(p, AT_SUM));
}

static void put_segment(int folder, uint32_t number, const uint8_t *records, size_t n, bool cut)
{
	static uint8_t bytes[SIZE];
	char name[SEGMENT_NAME];
	memset(bytes, 0, sizeof bytes);
	put_header(bytes, number);
	put_header(bytes + SIZE - RECORD_HEADER, number);
	memcpy(bytes + SEGMENT_FIRST, records, n);
	/* from the end, so that a record within another is part of the outer one as it is */
	for (uint32_t at = SIZE - 2 * RECORD_HEADER; at >= SEGMENT_FIRST; at -= RECORD_ALIGN)
		if (memcmp(bytes + at, "r64j", 4) == 0)
			seal_record(bytes, at);
	fuzz_write(folder, segment_name(number, name), bytes, cut ? SEGMENT_FIRST + n : SIZE);
}

static void put_checkpoint(const struct files *files, int spool, const uint8_t *options)
{
	struct checkpoint *c;
	struct checkpoint_head head = {.at = {1 + options[1] % 4u, SEGMENT_FIRST + options[2] % 128u * RECORD_ALIGN},
		.batch = options[3],
		.oldest = 1};
	struct envelope_rcpt rcpt = {.address = "to@example.org"};
	struct envelope e = {
		.id = 7, .sender = "", .client = "", .helo = "", .reason = "", .rcpts = &rcpt, .rcpt_count = 1};
	MUST(checkpoint_begin(&c, files, spool, &head) == 0);
	MUST(checkpoint_add(c, &e, (struct place){1, SEGMENT_FIRST}, (struct place){1, SEGMENT_FIRST}, true) == 0);
	MUST(checkpoint_finish(c) == 0);
}

static void put_journal(const struct files *files, int spool, const uint8_t *in, size_t len)
{
	unsigned count = in[0] % 4u % SEGMENTS + 1;
	const uint8_t *records = in + OPTIONS;
	size_t left = len - OPTIONS, part = (left / count + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
	for (unsigned i = 1; i <= count; i++) {
		size_t n = left < part ? left : part;
		put_segment(spool, i, records, n, i == count && (in[0] & CUT));
		records += n;
		left -= n;
	}
	if (in[0] & MARKED)
		put_checkpoint(files, spool, in);
}

/* Of segments and checkpoints. */
static void clear(const struct files *files, int spool)
{
	char name[SEGMENT_NAME];
	for (uint32_t i = 1; i < 16; i++)
		unlinkat(spool, segment_name(i, name), 0);
	MUST(checkpoint_drop(files, spool) == 0);
}

/* ---- what is told ---- */

struct message {
	uint64_t id;
	uint64_t state; /* made of all that was told of it, but places */
	bool live;
};

struct told {
	struct buf said; /* everything, in its order */
	struct message known[KNOWN_MAX];
	size_t count;
	uint64_t messages, damaged;
	struct store_replay replay;
};

static struct message *find(struct told *t, uint64_t id)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->known[i].id == id)
			return &t->known[i];
	return NULL;
}

static void add(struct told *t, uint64_t id, const char *what, const void *p, size_t n)
{
	struct message *m = find(t, id);
	MUST(buf_printf(&t->said, "%s %llu ", what, (unsigned long long)id) == 0);
	MUST(buf_append(&t->said, p, n) == 0);
	if (m != NULL)
		m->state = XXH3_64bits_withSeed(p, n, m->state) + XXH3_64bits(what, strlen(what));
}

static int on_message(void *arg, enum record_type type, const struct envelope *e, struct place content,
	struct place newest, bool in_file)
{
	struct told *t = arg;
	struct buf bytes;
	MUST(type == RECORD_MESSAGE || type == RECORD_MOVED);
	MUST(content.segment != 0 && newest.offset % RECORD_ALIGN == 0);
	if (find(t, e->id) == NULL) {
		MUST(t->count < KNOWN_MAX);
		t->known[t->count++] = (struct message){.id = e->id};
	}
	find(t, e->id)->live = true;
	buf_init(&bytes, ENVELOPE_ENCODED_MAX);
	MUST(envelope_encode(e, &bytes) == 0);
	add(t, e->id, in_file ? "in a file" : "message", bytes.data, bytes.len);
	buf_fini(&bytes);
	t->messages++;
	return 0;
}

static int on_outcome(void *arg, uint64_t id, const struct attempt *a, struct place newest)
{
	struct buf bytes;
	(void)newest;
	buf_init(&bytes, RECORD_META_MAX);
	MUST(attempt_encode(a, &bytes) == 0);
	add(arg, id, "outcome", bytes.data, bytes.len);
	buf_fini(&bytes);
	return 0;
}

static int on_held(void *arg, uint64_t id, bool held, const char *reason, struct place newest)
{
	(void)newest;
	MUST(strlen(reason) <= RECORD_REASON_MAX);
	add(arg, id, held ? "held" : "released", reason, strlen(reason));
	return 0;
}

static int on_redirected(void *arg, uint64_t id, const char *relay, struct place newest)
{
	(void)newest;
	add(arg, id, "redirected", relay, strlen(relay));
	return 0;
}

static int on_returned(void *arg, uint64_t id, const char *reason, struct place newest)
{
	(void)newest;
	MUST(strlen(reason) <= RECORD_REASON_MAX);
	add(arg, id, "returned", reason, strlen(reason));
	return 0;
}

static int on_removed(void *arg, uint64_t id)
{
	struct message *m = find(arg, id);
	add(arg, id, "removed", "", 0);
	if (m != NULL)
		m->live = false;
	return 0;
}

static void on_damaged(void *arg, uint64_t id, struct place where, const char *what)
{
	struct told *t = arg;
	t->damaged++;
	MUST(buf_printf(&t->said, "damaged %llu at %u %u: %s ", (unsigned long long)id, where.segment, where.offset,
		     what) == 0);
}

static void told_init(struct told *t)
{
	buf_init(&t->said, SAID_MAX);
	t->count = 0;
	t->messages = t->damaged = 0;
	t->replay = (struct store_replay){
		t, on_message, on_outcome, on_held, on_redirected, on_returned, on_removed, on_damaged};
}

/* What is live is the same; what ended may be told of or not. */
static void must_be_same(struct told *a, struct told *b)
{
	for (size_t i = 0; i < a->count; i++) {
		struct message *m = &a->known[i], *n = find(b, m->id);
		MUST(!m->live || (n != NULL && n->live && n->state == m->state));
	}
	for (size_t i = 0; i < b->count; i++) {
		struct message *m = find(a, b->known[i].id);
		MUST(!b->known[i].live || (m != NULL && m->live));
	}
}

/* ---- reading ---- */

static void check_found(const struct recovery_found *f, const struct told *t)
{
	MUST(f->damaged == t->damaged && f->messages + f->checkpoint_entries >= t->messages &&
		f->messages <= t->messages);
	for (size_t i = 1; i < f->in_file_count; i++)
		MUST(f->in_file[i - 1] < f->in_file[i]);
}

static void check_end(const struct recovery_end *e, const struct files *files, int journal)
{
	struct segment s;
	struct record head;
	MUST(e->oldest <= e->newest && e->last_batch <= e->highest);
	if (!e->settled)
		return;
	MUST(e->offset >= SEGMENT_FIRST && e->offset % RECORD_ALIGN == 0);
	MUST(segment_open(&s, files, journal, e->current, false) == 0);
	MUST(e->offset <= segment_end(&s) && s.size == s.made);
	for (uint32_t at = e->offset; at < segment_end(&s); at += RECORD_ALIGN)
		MUST(segment_read(&s, at, &head, NULL) != 0); /* nothing stands where it will be written */
	segment_close(&s);
}

static void recover(struct told *t, const struct files *files, int spool, bool everything)
{
	struct recovery *r;
	struct recovery_end end;
	struct recovery_found found;
	struct buf errors;
	struct recovery_setup setup = {.files = files, .spool = spool, .journal = spool, .everything = everything};
	buf_init(&errors, 4096);
	told_init(t);
	MUST(recovery_run(&r, &setup, &t->replay, &errors) == 0);
	recovery_end(r, &end);
	check_end(&end, files, spool);
	MUST(recovery_settle(r, NULL) == 0);
	recovery_free(r, &found);
	check_found(&found, t);
	recovery_found_fini(&found);
	buf_fini(&errors);
}

static void open_and_close(struct told *t, const struct files *files, int spool)
{
	struct journal *j;
	struct recovery_found found;
	struct buf errors;
	struct journal_setup setup = {
		.files = files, .spool = spool, .journal = spool, .segment_size = NEW_SIZE, .wall_ms = 1};
	buf_init(&errors, 4096);
	told_init(t);
	MUST(journal_open(&j, &setup, &t->replay, &found, &errors) == 0);
	check_found(&found, t);
	recovery_found_fini(&found);
	journal_close(j, 2);
	buf_fini(&errors);
}

FUZZ_TARGET(recovery)
{
	static struct told first, again, opened, afterwards;
	const struct files files = fuzz_files();
	int spool = fuzz_folder();
	if (len < OPTIONS)
		return 0;
	put_journal(&files, spool, in, len);
	bool everything = in[0] & EVERYTHING;
	recover(&first, &files, spool, everything);
	recover(&again, &files, spool, everything);
	MUST(fuzz_same(&first.said, &again.said));
	if (!everything) {
		open_and_close(&opened, &files, spool);
		must_be_same(&first, &opened);
		recover(&afterwards, &files, spool, false);
		must_be_same(&first, &afterwards);
		buf_fini(&opened.said);
		buf_fini(&afterwards.said);
	}
	buf_fini(&first.said);
	buf_fini(&again.said);
	clear(&files, spool);
	return 0;
}
