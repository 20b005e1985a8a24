/* conf/load.c: reads the configuration's files; the front of conf/conf.h. Plumbing. */
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "conf/apply.h"
#include "conf/grammar.h"
#include "conf/value.h"

enum { INCLUDE_DEPTH_MAX = 8, INCLUDE_FILES_MAX = 256 };

/* The files that are being read, innermost first. */
struct opened {
	const struct opened *by;
	dev_t device;
	ino_t inode;
	unsigned depth;
};

struct load {
	struct grammar *tree;
	struct grammar_errors errors;
	unsigned files;
};

/* Reads all of FILE, at most one byte more than may be parsed. */
static int read_file(const char *file, struct buf *text, struct opened *opened)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	struct stat st;
	int err = fstat(fd, &st) < 0 ? -errno : 0;
	opened->device = st.st_dev;
	opened->inode = st.st_ino;
	while (err == 0 && text->len <= GRAMMAR_FILE_MAX) {
		size_t room = GRAMMAR_FILE_MAX + 1 - text->len;
		if (room > 65536)
			room = 65536;
		uint8_t *to = buf_room(text, room);
		ssize_t n = to ? read(fd, to, room) : -1;
		if (n == 0)
			break;
		if (n > 0)
			buf_grow(text, (size_t)n);
		else if (to == NULL || errno != EINTR)
			err = to ? -errno : -ENOMEM;
	}
	close(fd);
	return err;
}

static int expand(struct load *l, struct grammar_item **items, const struct opened *by);

/* Adds the items of a file, and of what it includes, to `items`. `at`: what included it; NULL: it is the first. */
static int read_into(struct load *l, const char *file, struct grammar_item **items, const struct opened *by,
	const struct grammar_place *at)
{
	const struct grammar_place self = {.file = file};
	struct opened opened = {.by = by, .depth = by ? by->depth + 1 : 0};
	if (opened.depth > INCLUDE_DEPTH_MAX || l->files == INCLUDE_FILES_MAX) {
		grammar_error(&l->errors, at, "include of %s; expected at most %d files, at most %d deep", file,
			INCLUDE_FILES_MAX, INCLUDE_DEPTH_MAX);
		return -EINVAL;
	}
	l->files++;
	struct buf text;
	buf_init(&text, GRAMMAR_FILE_MAX + 65536);
	int err = read_file(file, &text, &opened);
	if (err != 0 && err != -ENOMEM && at != NULL)
		grammar_error(
			&l->errors, at, "include of %s: %s; expected a file that can be read", file, strerror(-err));
	else if (err != 0 && err != -ENOMEM)
		grammar_error(&l->errors, &self, "%s; expected a file that can be read", strerror(-err));
	for (const struct opened *o = by; err == 0 && o != NULL; o = o->by)
		if (o->device == opened.device && o->inode == opened.inode) {
			grammar_error(&l->errors, at, "%s includes itself; expected no circle", file);
			err = -EINVAL;
		}
	if (err == 0) {
		err = grammar_parse(
			l->tree, items, file, text.data ? text.data : (const uint8_t *)"", text.len, &l->errors);
		if (err != -ENOMEM) {
			int inner = expand(l, items, &opened);
			err = inner ? inner : err;
		}
	}
	buf_fini(&text);
	return err;
}

/* The path of an included file or pattern, on the heap; NULL without memory. In a pattern the directory of the
 * including file stands for itself, whatever characters it has. */
static char *beside(const char *including, const char *name, bool pattern)
{
	const char *slash = strrchr(including, '/');
	size_t n = *name == '/' || slash == NULL ? 0 : (size_t)(slash - including) + 1;
	char *path = malloc(2 * n + strlen(name) + 1), *to = path;
	if (path == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (pattern && strchr("*?[]\\", including[i]) != NULL)
			*to++ = '\\';
		*to++ = including[i];
	}
	memcpy(to, name, strlen(name) + 1);
	return path;
}

/* The items of all files that `pattern` names. */
static int include(
	struct load *l, const struct grammar_value *pattern, struct grammar_item **items, const struct opened *by)
{
	bool magic = strpbrk(pattern->text, "*?[") != NULL;
	char *path = beside(pattern->at.file, pattern->text, magic);
	if (path == NULL)
		return -ENOMEM;
	int err = 0;
	glob_t found = {0};
	int result = magic ? glob(path, GLOB_ERR, NULL, &found) : 0;
	if (!magic)
		err = read_into(l, path, items, by, &pattern->at);
	else if (result == GLOB_NOSPACE)
		err = -ENOMEM;
	else if (result == GLOB_ABORTED)
		grammar_error(&l->errors, &pattern->at, "include of %s: %s; expected a directory that can be read",
			path, strerror(errno));
	for (size_t i = 0; err != -ENOMEM && result == 0 && i < found.gl_pathc; i++)
		err = read_into(l, found.gl_pathv[i], items, by, &pattern->at);
	if (magic)
		globfree(&found);
	free(path);
	return err == -ENOMEM ? err : 0; /* other errors are in the list */
}

/* Replaces every include in `items` by what it names. Items of included files are expanded already. */
static int expand(struct load *l, struct grammar_item **items, const struct opened *by)
{
	int err = 0;
	while (*items != NULL && err == 0) {
		struct grammar_item *item = *items, *included = NULL;
		if (item->kind == GRAMMAR_BLOCK)
			err = expand(l, &item->items, by);
		if (item->kind != GRAMMAR_INCLUDE) {
			items = &item->next;
			continue;
		}
		for (const struct grammar_value *v = item->values; v != NULL && err == 0; v = v->next)
			err = include(l, v, &included, by);
		*items = included;
		while (*items != NULL)
			items = &(*items)->next;
		*items = item->next;
	}
	return err;
}

static void ask_machine(char *hostname, size_t size, struct conf_machine *machine)
{
	if (gethostname(hostname, size - 1) != 0)
		hostname[0] = '\0';
	hostname[size - 1] = '\0';
	*machine = (struct conf_machine){.hostname = hostname, .processors = uv_available_parallelism()};
}

/* From the tree to the configuration; `file` is what errors and the configuration name. */
static int finish(
	struct load *l, struct conf **out, const char *file, const char *name, const struct grammar_item *items)
{
	char hostname[256];
	struct conf_machine machine;
	ask_machine(hostname, sizeof hostname, &machine);
	if (file == NULL && !value_is_domain(hostname)) /* a first try shall not fail for a name */
		machine.hostname = "localhost";
	struct conf *c = conf_new();
	if (c == NULL)
		return -ENOMEM;
	int err = conf_apply(c, name, items, &machine, &l->errors);
	if (err == 0 && l->errors.count > 0)
		err = -EINVAL;
	if (err == 0 && file != NULL && (c->file = strdup(file)) == NULL)
		err = -ENOMEM;
	if (err == 0)
		*out = c;
	else
		conf_free(c);
	return err;
}

int conf_load(struct conf **out, const char *file, struct buf *errors)
{
	struct load l = {.tree = grammar_new(), .errors = {.text = errors}};
	struct grammar_item *items = NULL;
	int err = l.tree ? read_into(&l, file, &items, NULL, NULL) : -ENOMEM;
	if (err == 0 || err == -EINVAL)
		err = finish(&l, out, file, file, items);
	grammar_free(l.tree);
	return err;
}

static int parse(
	struct conf **out, const char *file, const char *name, const char *text, size_t len, struct buf *errors)
{
	struct load l = {.tree = grammar_new(), .errors = {.text = errors}};
	struct grammar_item *items = NULL;
	int err = l.tree ? grammar_parse(l.tree, &items, name, text, len, &l.errors) : -ENOMEM;
	if (err != -ENOMEM) {
		struct opened opened = {0};
		err = expand(&l, &items, &opened);
	}
	if (err == 0)
		err = finish(&l, out, file, name, items);
	grammar_free(l.tree);
	return err;
}

int conf_parse(struct conf **out, const char *name, const char *text, size_t len, struct buf *errors)
{
	return parse(out, name, name, text, len, errors);
}

/* Appends `text` as the inside of a quoted value. */
static int append_quoted(struct buf *out, const char *text)
{
	int err = 0;
	for (; err == 0 && *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			err = buf_append(out, "\\", 1);
		if (err == 0)
			err = buf_append(out, text, 1);
	}
	return err;
}

int conf_try(struct conf **out, const char *dir, struct buf *errors)
{
	struct buf text;
	buf_init(&text, 65536);
	int err = buf_append_str(&text, "spool = \"");
	if (err == 0)
		err = append_quoted(&text, dir);
	if (err == 0)
		err = buf_append_str(&text, "/spool\"\ncontrol = \"");
	if (err == 0)
		err = append_quoted(&text, dir);
	if (err == 0)
		err = buf_append_str(&text, "/control.sock\"\nlisten 127.0.0.1:2525, [::1]:2525 { }\n");
	if (err == 0)
		err = parse(out, NULL, "--try", (const char *)text.data, text.len, errors);
	else if (err == -E2BIG)
		buf_printf(errors, "--try: %zu bytes of directory name; expected fewer\n", strlen(dir));
	buf_fini(&text);
	return err;
}

static int compare_pattern(const void *key, const void *route)
{
	return strcmp(key, ((const struct conf_route *)route)->pattern);
}

static const struct conf_route *find_route(const struct conf *c, const char *pattern)
{
	if (c->route_count == 0)
		return NULL;
	return bsearch(pattern, c->routes, c->route_count, sizeof *c->routes, compare_pattern);
}

const struct conf_route *conf_route(const struct conf *c, const char *domain)
{
	const struct conf_route *route = find_route(c, domain);
	for (const char *dot = strchr(domain, '.'); route == NULL && dot != NULL; dot = strchr(dot + 1, '.'))
		route = find_route(c, dot);
	return route ? route : find_route(c, "*");
}

struct conf *conf_ref(struct conf *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void conf_unref(struct conf *c)
{
	if (c != NULL && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
		conf_free(c);
}
