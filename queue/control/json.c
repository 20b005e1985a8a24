/* queue/control/json.c: protocol. */
#include "queue/control/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/counter.h"
#include "conf/id.h"
#include "conf/utf8.h"
#include "queue/path/standing.h"

/* Bytes of others as a JSON string: what is not UTF-8 becomes U+FFFD, one a byte, and so does DEL, which JSON would let
 * through to terminals. NULL without memory. */
static json_t *text_of(const char *s)
{
	size_t n = strlen(s), at = 0;
	if (memchr(s, 0x7f, n) == NULL) {
		json_t *v = json_stringn(s, n);
		if (v != NULL)
			return v;
	}
	char *fixed = malloc(n * 3 + 1);
	if (fixed == NULL)
		return NULL;
	for (size_t i = 0; i < n;) {
		uint32_t code;
		size_t length = utf8_read((const uint8_t *)s + i, n - i, &code);
		bool good = length != 0 && code != 0x7f;
		size_t bytes = good ? length : 3;
		memcpy(fixed + at, good ? s + i : "\xef\xbf\xbd", bytes);
		at += bytes;
		i += good ? length : 1;
	}
	json_t *v = json_stringn(fixed, at);
	free(fixed);
	return v;
}

static json_t *text_or_empty(const char *s)
{
	return text_of(s != NULL ? s : "");
}

static json_t *number(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

/* json_pack's "o" steals references and turns NULL into failure of the whole, so one check at the end is enough. Takes
 * over `line`; NULL is -ENOMEM. */
static int put_line(struct buf *out, json_t *line)
{
	if (line == NULL)
		return -ENOMEM;
	char *text = json_dumps(line, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(line);
	if (text == NULL)
		return -ENOMEM;
	size_t n = strlen(text);
	text[n] = '\n'; /* in place of the closing 0 */
	int err = buf_append(out, text, n + 1);
	free(text);
	return err;
}

int control_put_error(struct buf *out, enum control_error e, const char *text)
{
	return put_line(out, json_pack("{s:s,s:i,s:s,s:o}", "type", "error", "v", CONTROL_VERSION, "code",
				     control_error_word(e), "text", text_of(text)));
}

int control_put_end(struct buf *out, const struct control_end *e)
{
	char id[ID_TEXT];
	return put_line(out,
		json_pack("{s:s,s:i,s:o,s:o,s:s*,s:o*,s:o*,s:o*}", "type", "end", "v", CONTROL_VERSION, "now_ms",
			number(e->now_ms), "count", number(e->count), "next", e->next ? id_format(e->next, id) : NULL,
			"summary", e->summary != NULL ? text_of(e->summary) : NULL, "refused",
			e->acted ? number(e->refused) : NULL, "dry_run", e->acted ? json_boolean(e->dry_run) : NULL));
}

static const struct {
	unsigned bit;
	const char *word;
} flag_words[] = {
	{ENVELOPE_8BIT, "8bit"},
	{ENVELOPE_BODY_8BIT, "body-8bit"},
	{ENVELOPE_SMTPUTF8, "smtputf8"},
	{ENVELOPE_BINARY, "binary"},
	{ENVELOPE_BOUNCE, "bounce"},
	{ENVELOPE_HELD, "held"},
	{ENVELOPE_DAMAGED, "damaged"},
	{ENVELOPE_REMAINS, "remains"},
};

static json_t *flags_of(unsigned flags)
{
	json_t *list = json_array();
	for (size_t i = 0; i < sizeof flag_words / sizeof flag_words[0]; i++) {
		if ((flags & flag_words[i].bit) && json_array_append_new(list, json_string(flag_words[i].word)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *rcpt_of(const struct rcpt_view *r, const char *type)
{
	return json_pack("{s:s*,s:i,s:o,s:s,s:i,s:o,s:o,s:o}", "type", type, "index", (int)r->index, "address",
		text_or_empty(r->address), "state", rcpt_state_word(r->state), "attempts", (int)r->attempts, "next_ms",
		number(r->next_ms), "site", text_or_empty(r->site), "reason", text_or_empty(r->reason));
}

int control_put_message(struct buf *out, const struct message_view *m, bool with_rcpts)
{
	char id[ID_TEXT];
	json_t *rcpts = NULL;
	if (with_rcpts) {
		rcpts = json_array();
		for (unsigned i = 0; i < m->rcpt_count && i < CONTROL_RCPTS_LISTED; i++) {
			if (json_array_append_new(rcpts, rcpt_of(&m->rcpts[i], NULL)) != 0) {
				json_decref(rcpts);
				return -ENOMEM;
			}
		}
	}
	return put_line(out,
		json_pack("{s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o*,s:I,s:o*}", "type", "message", "id", id_format(m->id, id),
			"arrival_ms", number(m->arrival_ms), "size", number(m->size), "sender",
			text_or_empty(m->sender), "flags", flags_of(m->flags), "reason", text_or_empty(m->reason),
			"redirect", m->redirect && *m->redirect ? text_of(m->redirect) : NULL, "rcpt_count",
			(json_int_t)m->rcpt_count, "rcpts", rcpts));
}

int control_put_rcpt(struct buf *out, const struct rcpt_view *r)
{
	return put_line(out, rcpt_of(r, "rcpt"));
}

static json_t *reply_of(const struct reply *r)
{
	return json_pack("{s:i,s:o,s:o,s:b}", "code", (int)r->code, "enhanced", text_of(r->enhanced), "text",
		text_of(r->text), "own", (int)r->own);
}

static const char *family_word(enum family family)
{
	return family == FAMILY_IPV6 ? "ipv6" : "ipv4";
}

/* The IPv4 address behind NAT64; NULL: none. */
static const char *behind(const struct ip *real, char out[IP_TEXT])
{
	return real->family != FAMILY_NONE ? ip_format(real, out) : NULL;
}

static json_t *path_of(const struct path_try *p, const char *type)
{
	char at[ENDPOINT_TEXT], real[IP_TEXT];
	bool connected = p->connect_ms != UINT32_MAX, greeted = p->greeting_ms != UINT32_MAX;
	return json_pack("{s:s*,s:o,s:s,s:s,s:s*,s:s*,s:i,s:s,s:s,s:o,s:o*,s:o*,s:o,s:o}", "type", type, "host",
		text_of(p->host), "address", endpoint_format(&p->to, at), "family", family_word(path_family(p)), "via",
		path_via(p), "real", behind(&p->real, real), "preference", (int)p->preference, "fault",
		fault_word(p->fault), "fault_text", fault_text(p->fault), "started_ms", number(p->started_ms),
		"connect_ms", connected ? number(p->connect_ms) : NULL, "greeting_ms",
		greeted ? number(p->greeting_ms) : NULL, "total_ms", number(p->total_ms), "reply", reply_of(&p->reply));
}

static const char *envelope_address(const struct envelope *e, unsigned index)
{
	for (unsigned i = 0; e != NULL && i < e->rcpt_count; i++)
		if (e->rcpts[i].index == index)
			return e->rcpts[i].address;
	return "";
}

static json_t *attempt_rcpt_of(const struct attempt_rcpt *r, const struct envelope *e)
{
	static const char *const words[] = {"deferred", "delivered", "failed"};
	return json_pack("{s:i,s:o,s:s,s:i,s:i}", "index", (int)r->index, "address",
		text_of(envelope_address(e, r->index)), "status", r->status < 3 ? words[r->status] : "deferred",
		"reply", (int)r->reply, "path", (int)r->path);
}

int control_put_attempt(struct buf *out, const struct attempt *a, const struct envelope *e)
{
	json_t *paths = json_array(), *replies = json_array(), *rcpts = json_array();
	int bad = paths == NULL || replies == NULL || rcpts == NULL;
	for (unsigned i = 0; !bad && i < a->path_count; i++)
		bad = json_array_append_new(paths, path_of(&a->paths[i], NULL));
	for (unsigned i = 0; !bad && i < a->reply_count; i++)
		bad = json_array_append_new(replies, reply_of(&a->replies[i]));
	for (unsigned i = 0; !bad && i < a->rcpt_count && i < CONTROL_RCPTS_SHOWN; i++)
		bad = json_array_append_new(rcpts, attempt_rcpt_of(&a->rcpts[i], e));
	if (bad) {
		json_decref(paths);
		json_decref(replies);
		json_decref(rcpts);
		return -ENOMEM;
	}
	return put_line(out, json_pack("{s:s,s:o,s:o,s:o,s:o,s:i,s:o,s:o,s:o,s:i,s:b}", "type", "attempt", "when_ms",
				     number(a->when_ms), "took_ms", number(a->took_ms), "next_ms", number(a->next_ms),
				     "site", text_of(a->site), "used", (int)a->used, "paths", paths, "replies", replies,
				     "rcpts", rcpts, "rcpt_count", (int)a->rcpt_count, "waited", (int)a->waited));
}

int control_put_content(struct buf *out, const uint8_t *p, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static const char head[] = "{\"type\":\"content\",\"base64\":\"";
	char line[sizeof head + (CONTROL_PIECE + 2) / 3 * 4 + 4];
	if (n > CONTROL_PIECE)
		return -E2BIG;
	size_t at = sizeof head - 1;
	memcpy(line, head, at);
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16;
		if (i + 1 < n)
			v |= (uint32_t)p[i + 1] << 8;
		if (i + 2 < n)
			v |= p[i + 2];
		line[at++] = digits[v >> 18];
		line[at++] = digits[v >> 12 & 63];
		line[at++] = i + 1 < n ? digits[v >> 6 & 63] : '=';
		line[at++] = i + 2 < n ? digits[v & 63] : '=';
	}
	memcpy(line + at, "\"}\n", 3);
	return buf_append(out, line, at + 3);
}

int control_put_site(struct buf *out, const struct site_view *s, bool total)
{
	json_t *ages = json_array();
	for (unsigned i = 0; i < QUEUE_AGES; i++) {
		if (json_array_append_new(ages, number(s->ages[i])) != 0) {
			json_decref(ages);
			return -ENOMEM;
		}
	}
	return put_line(out,
		json_pack("{s:s,s:o,s:o,s:o,s:o,s:I,s:I,s:I,s:b,s:o,s:o,s:o*,s:o*}", "type", total ? "total" : "site",
			"name", text_or_empty(s->name), "recipients", number(s->recipients), "ages", ages, "oldest_ms",
			number(s->oldest_ms), "active", (json_int_t)s->active, "connections",
			(json_int_t)s->connections, "concurrency", (json_int_t)s->concurrency, "resting",
			(int)s->resting, "probe_ms", number(s->probe_ms), "reason", text_or_empty(s->reason),
			"suspended", s->suspended ? text_of(s->suspended) : NULL, "until_ms",
			s->suspended && s->until_ms ? number(s->until_ms) : NULL));
}

int control_put_suspension(struct buf *out, const struct suspension_view *s)
{
	return put_line(out, json_pack("{s:s,s:o,s:o,s:o,s:o,s:o*}", "type", "suspension", "site", text_of(s->pattern),
				     "reason", text_of(s->reason), "by", text_of(s->who), "since_ms",
				     number(s->since_ms), "until_ms", s->until_ms ? number(s->until_ms) : NULL));
}

int control_put_pin(struct buf *out, const struct pin_view *p)
{
	return put_line(out, json_pack("{s:s,s:o,s:s,s:o,s:o*}", "type", "pin", "site", text_of(p->site), "family",
				     p->family == FAMILY_IPV6 ? "ipv6" : "ipv4", "by", text_of(p->who), "until_ms",
				     p->until_ms ? number(p->until_ms) : NULL));
}

int control_put_remembered(struct buf *out, const struct path_view *v)
{
	const struct track *t = &v->track;
	char standing[STANDING_TEXT];
/* a time of the track as wall time; 0 is never */
#define WALL(at) ((at) != 0 ? number(v->wall_ms + (at)-v->now_ms) : NULL)
	json_t *line = json_pack("{s:s,s:s,s:o,s:s,s:o,s:o*,s:s,s:s,s:o*,s:o*,s:i,s:i,s:i}", "type", "remembered", "of",
		v->of, "site", text_of(v->site), "family", v->family == FAMILY_IPV6 ? "ipv6" : "ipv4", "path",
		text_of(v->path), "host", v->host[0] ? text_of(v->host) : NULL, "state", standing_word(t, v->now_ms),
		"standing", standing_text(t, v->now_ms, v->wall_ms, standing), "connect_ms",
		t->connect_ms ? number(t->connect_ms) : NULL, "greeting_ms",
		t->greeting_ms ? number(t->greeting_ms) : NULL, "successes", (int)standing_count(t->good), "faults",
		(int)standing_count(t->bad), "refusals", (int)standing_count(t->refused));
	json_t *times = json_pack("{s:s*,s:o*,s:o*,s:o*,s:o*,s:o*,s:o*}", "last_fault",
		t->last_fault != FAULT_NONE ? fault_word(t->last_fault) : NULL, "last_fault_ms", WALL(t->fault_at),
		"good_ms", WALL(t->good_at), "broken_since_ms", WALL(t->since), "probe_ms",
		t->since != 0 ? WALL(t->probe_at) : NULL, "refused_ms", WALL(t->refused_at), "refused_until_ms",
		t->refused_until > v->now_ms ? WALL(t->refused_until) : NULL);
#undef WALL
	if (times == NULL || json_object_update(line, times) != 0) {
		json_decref(line);
		line = NULL;
	}
	json_decref(times);
	return put_line(out, line);
}

static json_t *spread(const struct tally_spread *s)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:o}", "count", number(tally_spread_count(s)), "p50",
		number(tally_spread_at(s, 50)), "p90", number(tally_spread_at(s, 90)), "p99",
		number(tally_spread_at(s, 99)), "max", number(s->most));
}

static json_t *failovers(const struct tally_row *row)
{
#define X(name, word) word,
	static const char *const whys[] = {TALLY_WHYS(X)}, *const steps[] = {TALLY_STEPS(X)};
#undef X
	json_t *all = json_object();
	for (unsigned why = 0; why < TALLY_WHY_COUNT; why++) {
		json_t *one = json_object();
		for (unsigned step = 0; step < TALLY_STEP_COUNT; step++)
			json_object_set_new(one, steps[step], number(row->failover[why][step]));
		json_object_set_new(all, whys[why], one);
	}
	return all;
}

int control_put_families(struct buf *out, enum tally_over over, enum tally_family f, const struct tally_row *row)
{
	static const char *const families[TALLY_FAMILIES] = {"ipv4", "ipv6", "nat64"};
#define X(name, word) word,
	static const char *const counts[] = {TALLY_COUNTS(X)}, *const spans[] = {TALLY_SPANS(X)};
#undef X
	json_t *line = json_pack("{s:s,s:s,s:s}", "type", "families", "over", over == TALLY_HOUR ? "hour" : "day",
		"family", families[f]);
	for (unsigned i = 0; i < TALLY_COUNT_COUNT; i++)
		json_object_set_new(line, counts[i], number(row->count[i]));
	for (unsigned i = 0; i < TALLY_SPAN_COUNT; i++)
		json_object_set_new(line, spans[i], spread(&row->span[i]));
	json_object_set_new(line, "failovers", failovers(row));
	return put_line(out, line);
}

int control_put_broken(struct buf *out, const struct broken_view *b)
{
	return put_line(out, json_pack("{s:s,s:o,s:s,s:s,s:o,s:o,s:s*,s:o}", "type", "broken", "site", text_of(b->site),
				     "family", family_word(b->family), "state", b->refused ? "refused" : "broken",
				     "since_ms", number(b->since_ms), "next_ms", number(b->next_ms), "fault", b->fault,
				     "refusals", number(b->refusals)));
}

int control_put_more_broken(struct buf *out, uint64_t count)
{
	return put_line(out, json_pack("{s:s,s:o}", "type", "more_broken", "count", number(count)));
}

int control_put_reason(struct buf *out, const struct cause *c)
{
	char id[ID_TEXT];
	return put_line(out,
		json_pack("{s:s,s:o,s:o,s:o,s:o,s:s,s:o,s:o}", "type", "reason", "site", text_of(c->site), "reason",
			text_of(c->reason), "recipients", number(c->recipients), "messages", number(c->messages), "id",
			id_format(c->id, id), "oldest_ms", number(c->oldest_ms), "newest_ms", number(c->newest_ms)));
}

int control_put_others(struct buf *out, uint64_t recipients)
{
	return put_line(out, json_pack("{s:s,s:o}", "type", "others", "recipients", number(recipients)));
}

static json_t *text_in(const struct buf *b)
{
	return text_of(b->len != 0 ? (const char *)b->data : "");
}

int control_put_setting(struct buf *out, const struct setting *s)
{
	char from[CONTROL_STRING_MAX] = "default";
	if (s->file != NULL)
		snprintf(from, sizeof from, "%s:%u", s->file, s->line);
	return put_line(out, json_pack("{s:s,s:s,s:o*,s:s,s:o,s:o,s:s,s:b}", "type", "setting", "block", s->block,
				     "title", s->title.len != 0 ? text_in(&s->title) : NULL, "key", s->name, "value",
				     s->set ? text_in(&s->value) : json_null(), "from", text_of(from), "help", s->help,
				     "restart", (int)s->restart));
}

int control_put_event(struct buf *out, const char *text, const char *json)
{
	return put_line(out, json_pack("{s:s,s:o,s:o}", "type", "event", "line", text_of(text), "fields",
				     json_loads(json, 0, NULL)));
}

int control_put_lost(struct buf *out, uint64_t lines)
{
	return put_line(out, json_pack("{s:s,s:o}", "type", "lost", "lines", number(lines)));
}

int control_put_done(struct buf *out, const char *given, uint64_t id, int err)
{
	static const char *const texts[CONTROL_ERROR_COUNT] = {
		[CONTROL_ERROR_NOT_FOUND] = "no message in the queue has an ID that begins so",
		[CONTROL_ERROR_AMBIGUOUS] = "more than one message's ID begins so: give more of it",
		[CONTROL_ERROR_ARGUMENT] = "not a queue ID",
		[CONTROL_ERROR_ALREADY] = "nothing to do: it is so already",
	};
	char text[ID_TEXT];
	const char *name = id != 0 ? id_format(id, text) : given;
	if (err >= 0)
		return put_line(out, json_pack("{s:s,s:o,s:b,s:b}", "type", "done", "id", text_of(name), "ok", 1,
					     "in_transfer", err));
	enum control_error e = control_error_of(err);
	const char *why = err == -EBADMSG     ? "its content is lost: it can be read or removed, not delivered"
			  : err == -EBUSY     ? "it is held: release it first"
			  : err == -ECANCELED ? "the daemon is stopping: say it again when it runs"
					      : texts[e];
	return put_line(out, json_pack("{s:s,s:o,s:b,s:s,s:s}", "type", "done", "id", text_of(name), "ok", 0, "code",
				     control_error_word(e), "text", why != NULL ? why : strerror(-err)));
}

int control_put_route(struct buf *out, const char *text)
{
	return put_line(out, json_pack("{s:s,s:o}", "type", "route", "text", text_of(text)));
}

int control_put_candidate(struct buf *out, const struct trace_candidate *c)
{
	char at[ENDPOINT_TEXT], real[IP_TEXT];
	const char *ipv4 = behind(&c->c.real, real);
	return put_line(out, json_pack("{s:s,s:o,s:s,s:s,s:s*,s:s*,s:i,s:b,s:o,s:o}", "type", "candidate", "host",
				     text_of(c->c.host), "address", endpoint_format(&c->c.to, at), "family",
				     family_word(candidate_family(&c->c)), "via", ipv4 ? "nat64" : NULL, "real", ipv4,
				     "preference", (int)c->c.preference, "usable", (int)c->usable, "why",
				     text_of(c->why), "history", text_of(c->history)));
}

int control_put_path(struct buf *out, const struct path_try *p)
{
	return put_line(out, path_of(p, "path"));
}

int control_put_status(struct buf *out, const struct queue_status *s, const char *version, uint64_t now_ms)
{
	json_t *counters = json_object();
	for (unsigned i = 0; i < COUNTER_COUNT; i++) {
		enum counter c = (enum counter)i;
		if (json_object_set_new(counters, counter_name(c), number(counter_get(c))) != 0) {
			json_decref(counters);
			return -ENOMEM;
		}
	}
	return put_line(
		out, json_pack("{s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:{s:s,s:s,s:s}}",
			     "type", "status", "version", version, "storage", text_or_empty(s->storage), "spool",
			     text_or_empty(s->spool), "messages", number(s->messages), "recipients",
			     number(s->recipients), "held", number(s->held), "damaged", number(s->damaged), "sites",
			     number(s->sites), "resting", number(s->resting), "connections", number(s->connections),
			     "dials", number(s->dials), "journal_segments", number(s->journal_segments), "started_ms",
			     number(s->started_ms), "now_ms", number(now_ms), "counters", counters, "families", "ipv4",
			     s->ipv4, "ipv6", s->ipv6, "nat64", s->nat64));
}

int control_put_version(struct buf *out, const char *version)
{
	return put_line(
		out, json_pack("{s:s,s:s,s:i}", "type", "version", "version", version, "protocol", CONTROL_VERSION));
}
