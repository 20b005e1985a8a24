/* queue/spool/store.h: the spool as the rest of the house sees it. Plumbing.
 *
 * Any thread posts commits; the commit thread writes whatever has gathered with one writev, syncs once, and posts the
 * whole batch back. Disk workers write, sync, read and unlink body files and read the journal back. No other thread
 * touches a spool file. What stands where, and what a crash leaves, is in queue/spool/journal.h. Parts of this page
 * that the floors below need as well have files of their own: places and types of records in place.h, struct
 * store_replay in replay.h, struct commit in commit.h, body_writer_*() in bodyfile.h, content_reader_*() in content.h,
 * struct store_history in history.h, store_verify() in verify.h. */
#ifndef QUEUE_SPOOL_STORE_H
#define QUEUE_SPOOL_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/body.h"
#include "conf/conf.h"
#include "conf/mailbox.h"
#include "queue/mail/attempt.h"
#include "queue/mail/envelope.h"
#include "queue/spool/bodyfile.h"
#include "queue/spool/commit.h"
#include "queue/spool/content.h"
#include "queue/spool/files.h"
#include "queue/spool/history.h"
#include "queue/spool/place.h"
#include "queue/spool/replay.h"
#include "queue/spool/sidestate.h"
#include "queue/spool/verify.h"

struct store;

/* ---- opening and recovery; one thread, before any other is started ---- */

/* Locks the spool (made if its parent exists), reads the checkpoint and the journal behind it, starts the threads. 0;
 * or a negative code with a line in `errors`: -EBUSY names the process that holds the lock. */
int store_open(struct store **out, const struct conf *conf, const struct store_replay *replay, struct buf *errors);
/* The same with other calls on files, for tests. */
int store_open_on(struct store **out, const struct conf *conf, const struct files *files,
	const struct store_replay *replay, struct buf *errors);
/* Takes over the settings of the block `storage` that may change while the daemon runs. Any thread. */
void store_configure(struct store *s, const struct conf *conf);
/* All mail threads have stopped and got their letters: writes out and syncs what was posted, ends the threads, releases
 * the lock. */
void store_close(struct store *s);

/* Milliseconds below which no new ID may lie, and the ceiling for conf/id.h (durable). store_tick() moves it. */
uint64_t store_id_floor_ms(const struct store *s);
const _Atomic uint64_t *store_id_ceiling_ms(const struct store *s);
/* Wall time of the newest record found at the start; 0 for an empty spool. */
uint64_t store_newest_ms(const struct store *s);
/* Once a second from the queue thread: asks for a new ceiling when due, measures free space (on a worker). Never
 * blocks. */
void store_tick(struct store *s, uint64_t wall_ms);

/* ---- admission; any thread ---- */

enum store_room { STORE_OK, STORE_FULL, STORE_BROKEN };
/* May a message of `size` bytes (0: unknown) come in? FULL: min_free (452 4.3.1). BROKEN: outcomes cannot be made
 * durable: new mail gets 451 4.3.0 and no new delivery starts. */
enum store_room store_room(const struct store *s, uint64_t size);

/* ---- collecting content; the session's thread ---- */

/* `id` is the message's: its body file, if it gets one, bears that name (body->file is the ID then). `home` is the
 * session's loop. `drained(arg)` runs there when back-pressure ends. NULL without memory. Then see
 * queue/spool/bodyfile.h: body_writer_append() until the end, and body_writer_finish(), or body_writer_abort() at any
 * time. */
struct body_writer *body_writer_new(
	struct store *s, uint64_t id, struct mailbox *home, void (*drained)(void *arg), void *arg);
/* Unlinks the file of a body whose message was not committed, and drops the reference. */
void store_discard_body(struct store *s, struct body *body);

/* ---- commits; any thread ---- */

/* Messages are written at once with what has gathered; other records wait at most outcome_delay (50 ms) for a batch.
 * Records other than MESSAGE are kept and tried again until they are durable (status is 0 then), except when the group
 * holds a MESSAGE (a bounce): that fails as a whole. */
void store_commit(struct store *s, struct commit *c);

/* ---- reading back; any loop ---- */

/* Keeps the segment from being reused while somebody reads from it. Queue thread only; store_unpin() any thread. */
void store_pin(struct store *s, struct place content);
void store_unpin(struct store *s, struct place content);

/* Reads the content of the MESSAGE or MOVED record at `content` (pinned by the caller until close) in order, in pieces
 * of at most 64 KiB, two ahead. `ready(arg)` runs at home whenever content_reader_piece() may have something new. NULL
 * without memory. Then see queue/spool/content.h: content_reader_piece(), _next(), and _close() at any time. */
struct content_reader *content_reader_open(
	struct store *s, struct place content, struct mailbox *home, void (*ready)(void *arg), void *arg);

/* The content of c->content's record as a body, to be moved: see struct content_body in queue/spool/content.h. */
void store_read_body(struct store *s, struct content_body *c);

/* What a message's records say: walks back from h->newest, see queue/spool/history.h. */
void store_read_history(struct store *s, struct store_history *h);

/* ---- reclaim and checkpoint; queue thread ---- */

/* The oldest segment in use, 0 if that is the one being written. One whose live messages are all gone can be freed at
 * once. */
uint32_t store_oldest_segment(struct store *s);
/* The oldest segment, if it is worth moving live messages to free it: the journal is much larger than the bytes that
 * live in it. 0 if not. The caller then moves every live message whose `content` stands in it (RECORD_MOVED), or none
 * is left, and calls store_free_segment() once the last move is durable. */
uint32_t store_reclaim_wanted(struct store *s, uint64_t live_bytes);
/* Only what one of the two above named. The file is used again when the last pin has gone, and when a checkpoint newer
 * than the segment is durable. */
void store_free_segment(struct store *s, uint32_t segment);

/* Has the journal grown by `checkpoint` bytes since the last one, or does a freed segment wait for one? */
bool store_checkpoint_wanted(struct store *s);
/* A fuzzy checkpoint in slices: begin notes the journal's place; each entry is the message as it stands when its turn
 * comes; what changes meanwhile is replayed from the journal. Between begin and done no other one begins (-EBUSY;
 * -ENOMEM). `begun(arg)` runs at `home` when every record before the noted place has been answered there: only then may
 * entries be added, or a message stored just before would be missing. All records must be answered (first_to, or
 * second_to without it) at `home`, the queue thread's mailbox. */
int store_checkpoint_begin(struct store *s, struct mailbox *home, void (*begun)(void *arg), void *arg);
/* 0; 1: not taken, the disk is behind: `begun` runs again when this entry can be tried again; negative: end it. */
int store_checkpoint_add(
	struct store *s, const struct envelope *e, struct place content, struct place newest, bool in_file);
/* After `begun`, when every live message was added. `done` runs at `home`, later. `whole` false: an entry could not be
 * added, the older checkpoint stays. */
void store_checkpoint_end(struct store *s, bool whole, void (*done)(void *arg, int err), void *arg);

/* ---- side state (sidestate.h); queue thread ---- */

/* Blocks: at start-up only. Appends what state/NAME holds. As sidestate_read(). */
int store_read_state(const struct store *s, const char *name, uint32_t version, struct buf *out);
/* Has the content written by a worker; what is set while one is at it follows. A failure is logged and stands in
 * `status`. `f` and what it holds stay until store_close(). */
void store_write_state(struct store *s, struct sidestate *f);

/* The message ended, durably: unlinks its body file. Called for messages that have one. */
void store_forget(struct store *s, uint64_t id);

#endif
