/* tests/unit/dialogue.c: plumbing of tests. */
#include "tests/unit/dialogue.h"

#include <stdarg.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/buf.h"

enum { SEEDS = 20, LINE_MOST = 8192, LINES_MOST = 400, PARTS_MOST = 16, OUTCOME_MOST = 1000 };

struct line {
	char mark[3];
	char *text; /* decoded, and a 0 behind it */
	size_t len;
};

struct dialogue {
	char *name;
	struct line lines[LINES_MOST];
	unsigned count;
};

/* The one that is replayed now. */
static struct {
	const char *file, *name;
	const struct dialogue_machine *machine;
	void *m;
	size_t most; /* bytes at a time; 0: random */
	unsigned random;
	struct buf said; /* and not yet compared */
} now;

size_t dialogue_portion(size_t n)
{
	size_t most = now.most != 0 ? now.most : (size_t)rand_r(&now.random) % 7 + 1;
	return n < most ? n : most;
}

static size_t decode(char *text)
{
	char *out = text;
	for (const char *in = text; *in != '\0'; in++) {
		static const char names[] = "rnt\\0", bytes[] = "\r\n\t\\\0";
		const char *name = in[0] == '\\' && in[1] != '\0' ? strchr(names, in[1]) : NULL;
		unsigned byte;
		if (name != NULL) {
			*out++ = bytes[name - names];
			in++;
		} else if (in[0] == '\\' && in[1] == 'x' && sscanf(in + 2, "%2x", &byte) == 1) {
			*out++ = (char)byte;
			in += 3;
		} else {
			*out++ = *in;
		}
	}
	*out = '\0';
	return (size_t)(out - text);
}

static void go_wrong(const char *what, const char *expected, size_t n)
{
	const char *said = now.said.data != NULL ? (const char *)now.said.data : "";
	if (now.most == 0)
		fail_msg("%s: %s (seed %u): %s\n  should %.*s\n  is     %s", now.file, now.name, now.random, what,
			(int)n, expected, said);
	else
		fail_msg("%s: %s (by %zu): %s\n  should %.*s\n  is     %s", now.file, now.name, now.most, what, (int)n,
			expected, said);
}

static void listen_to(void)
{
	char piece[4096];
	size_t n;
	while ((n = now.machine->say(now.m, piece, dialogue_portion(sizeof piece))) > 0)
		assert_int_equal(buf_append(&now.said, piece, n), 0);
}

static void tell(const struct line *l, unsigned count)
{
	struct buf all;
	buf_init(&all, 1 << 20);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(buf_append(&all, l[i].text, l[i].len), 0);
		assert_int_equal(buf_append(&all, "\r\n", l[i].mark[1] == ':' ? 2 : 0), 0);
	}
	listen_to();
	if (now.said.len > 0)
		go_wrong("said too early, or too much", "", 0);
	for (size_t at = 0, n; at < all.len; at += n) {
		n = dialogue_portion(all.len - at);
		/* a copy of just this size, for ASan to watch */
		char *piece = malloc(n);
		assert_non_null(piece);
		memcpy(piece, all.data + at, n);
		now.machine->hear(now.m, piece, n);
		free(piece);
		listen_to();
	}
	buf_fini(&all);
}

static void expect(const struct line *l)
{
	size_t end = l->mark[1] == ':' ? 2 : 0;
	listen_to();
	const uint8_t *data = now.said.data;
	if (now.said.len < l->len + end || memcmp(data, l->text, l->len) != 0 ||
		memcmp(data + l->len, "\r\n", end) != 0)
		go_wrong("says something else", l->text, l->len);
	buf_consume(&now.said, l->len + end);
}

static void check_outcome(const char *should)
{
	char is[OUTCOME_MOST] = "";
	listen_to();
	if (now.said.len > 0)
		go_wrong("said too much", "", 0);
	now.machine->outcome(now.m, is, sizeof is);
	if (strcmp(is, should) == 0)
		return;
	assert_int_equal(buf_append_str(&now.said, is), 0);
	go_wrong("comes to something else", should, strlen(should));
}

static void replay(const struct dialogue *d, size_t most, unsigned seed)
{
	bool ended = false;
	now.name = d->name;
	now.most = most;
	now.random = seed;
	now.m = now.machine->open();
	buf_init(&now.said, 1 << 20);
	for (unsigned i = 0; i < d->count; i++) {
		const struct line *l = &d->lines[i];
		if (l->mark[0] == '?') {
			char *copy = strdup(l->text);
			assert_non_null(copy);
			now.machine->set(now.m, copy);
			free(copy);
		} else if (l->mark[0] == '!') {
			listen_to();
			now.machine->act(now.m, l->text);
			listen_to();
		} else if (l->mark[0] == '=') {
			check_outcome(l->text);
			ended = true;
		} else if (l->mark[0] == now.machine->peer) {
			unsigned n = 1;
			while (i + n < d->count && l[n].mark[0] == l->mark[0])
				n++;
			tell(l, n);
			i += n - 1;
		} else {
			expect(l);
		}
	}
	if (!ended)
		go_wrong("has no outcome", "", 0);
	buf_fini(&now.said);
	now.machine->close(now.m);
}

static void forget(struct dialogue *d)
{
	for (unsigned i = 0; i < d->count; i++)
		free(d->lines[i].text);
	free(d->name);
	d->count = 0;
	d->name = NULL;
}

static void replay_in_all_ways(const struct dialogue *d)
{
	replay(d, SIZE_MAX, 0);
	replay(d, 1, 0);
	for (unsigned seed = 1; seed <= SEEDS; seed++)
		replay(d, 0, seed);
}

/* What one file holds. */
static struct {
	struct dialogue parts[PARTS_MOST], now;
	unsigned part_count, dialogues;
} file;

/* The dialogue read so far is whole. */
static void end_dialogue(void)
{
	if (file.now.name == NULL)
		return;
	if (file.now.name[0] == '(') {
		assert_true(file.part_count < PARTS_MOST);
		file.parts[file.part_count++] = file.now;
		file.now = (struct dialogue){0};
		return;
	}
	file.dialogues++;
	replay_in_all_ways(&file.now);
	forget(&file.now);
}

static void add_line(const char *mark, size_t n, const char *text)
{
	struct dialogue *d = &file.now;
	char *copy = strdup(text);
	assert_true(copy != NULL && d->name != NULL && d->count < LINES_MOST);
	struct line *l = &d->lines[d->count++];
	*l = (struct line){.text = copy, .len = decode(copy)};
	memcpy(l->mark, mark, n);
}

static void add_part(const char *path, const char *name)
{
	for (unsigned i = 0; i < file.part_count; i++) {
		const struct dialogue *p = &file.parts[i];
		if (strncmp(p->name + 1, name, strlen(name)) != 0 || strcmp(p->name + 1 + strlen(name), ")") != 0)
			continue;
		for (unsigned k = 0; k < p->count; k++) {
			add_line(p->lines[k].mark, 2, "");
			struct line *l = &file.now.lines[file.now.count - 1];
			free(l->text);
			l->len = p->lines[k].len;
			l->text = malloc(l->len + 1);
			assert_non_null(l->text);
			memcpy(l->text, p->lines[k].text, l->len + 1);
		}
		return;
	}
	fail_msg("%s: there is no part %s", path, name);
}

static void read_line(const char *path, unsigned number, const char *text)
{
	const char *body = strchr(text, ' ');
	size_t mark = body != NULL ? (size_t)(body - text) : strlen(text);
	body = body != NULL ? body + 1 : "";
	if (mark > 2 || strchr("=?!@CS", text[0]) == NULL)
		fail_msg("%s:%u: what is \"%s\"?", path, number, text);
	if (strncmp(text, "==", 2) == 0) {
		end_dialogue();
		file.now.name = strdup(body);
		assert_non_null(file.now.name);
	} else if (text[0] == '@') {
		add_part(path, body);
	} else {
		add_line(text, mark, body);
	}
}

static unsigned run_file(const char *path)
{
	static char text[LINE_MOST];
	unsigned number = 0;
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	now.file = path;
	file.part_count = file.dialogues = 0;
	while (fgets(text, sizeof text, f) != NULL) {
		text[strcspn(text, "\n")] = '\0';
		number++;
		if (text[0] != '\0' && text[0] != '#')
			read_line(path, number, text);
	}
	end_dialogue();
	while (file.part_count > 0)
		forget(&file.parts[--file.part_count]);
	fclose(f);
	return file.dialogues;
}

unsigned dialogue_run(const char *folder, const struct dialogue_machine *machine)
{
	unsigned dialogues = 0;
	struct dirent **files;
	int n = scandir(folder, &files, NULL, alphasort);
	if (n < 0)
		fail_msg("%s cannot be read", folder);
	now.machine = machine;
	for (int i = 0; i < n; i++) {
		char path[512];
		snprintf(path, sizeof path, "%s/%s", folder, files[i]->d_name);
		if (strlen(path) > 4 && strcmp(path + strlen(path) - 4, ".txt") == 0)
			dialogues += run_file(path);
		free(files[i]);
	}
	free(files);
	return dialogues;
}
