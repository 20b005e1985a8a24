/* conf/tap.c: state. */
#include "conf/tap.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "conf/clock.h"

enum { LINE_SIZE = 16384 };

/* Before each pair of lines in the buffer. */
struct pair {
	uint32_t text, json; /* bytes, with the closing 0 */
	uint64_t lost;	     /* lines, just before */
};

struct tap {
	LIST_ENTRY(tap) next;
	struct tap_setup setup;
	struct letter letter;
	/* under `lock` */
	bool told;    /* that something came; until it finds nothing more */
	bool in_mail; /* the letter is on its way */
	bool closed;
	uint64_t lost; /* since the last one that found room */
	size_t len;    /* bytes in `filling` */
	char *filling; /* TAP_BUFFER bytes */
	char *taken;   /* the owner's: what tap_take() gives out */
	size_t taken_len, taken_at;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, tap) taps = LIST_HEAD_INITIALIZER(taps);
static atomic_uint open_taps;

static void destroy(struct tap *t)
{
	free(t->filling);
	free(t->taken);
	free(t);
}

bool tap_any(void)
{
	return atomic_load_explicit(&open_taps, memory_order_relaxed) != 0;
}

static void on_letter(struct letter *letter)
{
	struct tap *t = LETTER_OF(letter, struct tap, letter);
	pthread_mutex_lock(&lock);
	bool closed = t->closed;
	t->in_mail = false;
	pthread_mutex_unlock(&lock);
	if (closed)
		destroy(t);
	else
		t->setup.ready(t->setup.arg);
}

static void post(struct tap *t)
{
	if (t->told)
		return;
	t->told = t->in_mail = true;
	mailbox_post(t->setup.home, &t->letter, on_letter);
}

static void put(struct tap *t, const char *text, const struct pair *lengths, const char *json)
{
	struct pair p = *lengths;
	size_t need = sizeof p + p.text + p.json;
	if (need > TAP_BUFFER - t->len) {
		t->lost++;
		post(t);
		return;
	}
	p.lost = t->lost;
	t->lost = 0;
	memcpy(t->filling + t->len, &p, sizeof p);
	memcpy(t->filling + t->len + sizeof p, text, p.text);
	memcpy(t->filling + t->len + sizeof p + p.text, json, p.json);
	t->len += need;
	post(t);
}

/* With a 0 in place of the line's end. */
static uint32_t make_line(char line[LINE_SIZE], enum log_format format, uint64_t now, enum log_level level,
	const char *event, const struct log_field *fields)
{
	size_t n = log_format_line(line, LINE_SIZE, format, now, level, event, fields);
	line[n - 1] = '\0';
	return (uint32_t)n;
}

static void feed(enum log_level level, const char *event, const struct log_field *fields)
{
	char text[LINE_SIZE], json[LINE_SIZE];
	struct pair lengths = {0};
	struct tap *t;
	pthread_mutex_lock(&lock);
	LIST_FOREACH (t, &taps, next) {
		if (t->setup.wanted != NULL && !t->setup.wanted(t->setup.wanted_arg, event, fields))
			continue;
		if (lengths.text == 0) {
			uint64_t now = clock_wall_ms();
			lengths.text = make_line(text, LOG_FORMAT_TEXT, now, level, event, fields);
			lengths.json = make_line(json, LOG_FORMAT_JSON, now, level, event, fields);
		}
		put(t, text, &lengths, json);
	}
	pthread_mutex_unlock(&lock);
}

int tap_open(struct tap **out, const struct tap_setup *setup)
{
	struct tap *t = calloc(1, sizeof *t);
	if (t != NULL) {
		t->filling = malloc(TAP_BUFFER);
		t->taken = malloc(TAP_BUFFER);
	}
	if (t == NULL || t->filling == NULL || t->taken == NULL) {
		if (t != NULL)
			destroy(t);
		return -ENOMEM;
	}
	t->setup = *setup;
	pthread_mutex_lock(&lock);
	bool full = atomic_load(&open_taps) >= setup->most;
	if (!full) {
		LIST_INSERT_HEAD(&taps, t, next);
		if (atomic_fetch_add(&open_taps, 1) == 0)
			log_look_on(feed);
	}
	pthread_mutex_unlock(&lock);
	if (full) {
		destroy(t);
		return -EBUSY;
	}
	*out = t;
	return 0;
}

/* What has gathered becomes what is given out. False: nothing has. */
static bool change_over(struct tap *t, uint64_t *lost)
{
	pthread_mutex_lock(&lock);
	char *empty = t->taken;
	t->taken = t->filling;
	t->taken_len = t->len;
	t->taken_at = 0;
	t->filling = empty;
	t->len = 0;
	if (t->taken_len == 0) {
		*lost = t->lost;
		t->lost = 0;
		t->told = false;
	}
	pthread_mutex_unlock(&lock);
	return t->taken_len != 0;
}

bool tap_take(struct tap *t, const char **text, const char **json, uint64_t *lost)
{
	struct pair p;
	*lost = 0;
	if (t->taken_at == t->taken_len && !change_over(t, lost))
		return false;
	memcpy(&p, t->taken + t->taken_at, sizeof p);
	*text = t->taken + t->taken_at + sizeof p;
	*json = *text + p.text;
	*lost = p.lost;
	t->taken_at += sizeof p + p.text + p.json;
	return true;
}

void tap_close(struct tap *t)
{
	pthread_mutex_lock(&lock);
	LIST_REMOVE(t, next);
	if (atomic_fetch_sub(&open_taps, 1) == 1)
		log_look_on(NULL);
	t->closed = true;
	bool in_mail = t->in_mail;
	pthread_mutex_unlock(&lock);
	if (!in_mail)
		destroy(t); /* else the letter does that */
}
