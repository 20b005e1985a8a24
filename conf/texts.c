/* conf/texts.c: protocol. */
#include "conf/texts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PATTERN_MIN = 3 }; /* fewer letters stand in nearly every text */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_code(const char *text)
{
	bool any = false;
	if (text[0] != '4' && text[0] != '5')
		return false;
	for (size_t i = 1; i < 3; i++) {
		if (text[i] != 'x' && (any || !is_digit(text[i])))
			return false;
		any = text[i] == 'x';
	}
	return text[3] == '\0';
}

/* The length of one to three digits; 0: there are none, or more. */
static size_t number(const char *text)
{
	size_t n = strspn(text, "0123456789");
	return n <= 3 ? n : 0;
}

static bool is_status(const char *text)
{
	if (strcmp(text, "none") == 0)
		return true;
	if ((text[0] != '4' && text[0] != '5') || text[1] != '.')
		return false;
	text += 2;
	size_t n = number(text);
	if (n == 0 || text[n] != '.')
		return false;
	text += n + 1;
	n = number(text);
	return strcmp(text, "*") == 0 || (n != 0 && text[n] == '\0');
}

static bool is_pattern(const char *text)
{
	size_t length = 0, letters = 0;
	for (; text[length] != '\0'; length++) {
		if (text[length] < ' ' || text[length] > '~')
			return false;
		letters += text[length] != '*' && text[length] != ' ';
	}
	return length <= CONF_PATTERN_MAX && letters >= PATTERN_MIN;
}

bool text_is(enum text_type type, const char *text)
{
	return type == TEXT_CODE ? is_code(text) : type == TEXT_STATUS ? is_status(text) : is_pattern(text);
}

const char *texts_expected(enum text_type type)
{
	static const char *const texts[] = {
		[TEXT_CODE] = "reply codes of refusals (550, 55x, 4xx), separated by commas",
		[TEXT_STATUS] = "enhanced status codes of refusals (5.7.25, 4.7.*) or none, separated by commas",
		[TEXT_PATTERN] =
			("texts in printable ASCII of at most 200 bytes, 3 letters or more beside *, separated "
			 "by commas"),
	};
	return texts[type];
}
_Static_assert(CONF_PATTERN_MAX == 200 && PATTERN_MIN == 3, "as texts_expected() says");

static int add(struct conf_texts *list, const char *text)
{
	char *copy = strdup(text);
	if (copy == NULL)
		return -ENOMEM;
	list->items[list->count++] = copy;
	return 0;
}

int texts_read(struct conf_texts *out, enum text_type type, const struct grammar_value *values, size_t most,
	const struct grammar_value **bad, struct buf *why)
{
	size_t count = 0;
	for (const struct grammar_value *v = values; v != NULL; v = v->next) {
		*bad = v;
		if (++count > most) {
			buf_printf(why, "more than %zu entries; expected at most so many", most);
			return -EINVAL;
		}
		if (!text_is(type, v->text))
			return -EINVAL;
	}
	struct conf_texts list = {.items = calloc(count, sizeof *list.items)};
	int err = list.items ? 0 : -ENOMEM;
	for (const struct grammar_value *v = values; err == 0 && v != NULL; v = v->next)
		err = add(&list, v->text);
	if (err != 0)
		texts_free(&list);
	else
		*out = list;
	return err;
}

int text_write(const char *text, struct buf *out)
{
	if (*text != '\0' && *text != '#' && strpbrk(text, " \t,{}\"\\") == NULL)
		return buf_append_str(out, text);
	int err = buf_append(out, "\"", 1);
	for (; err == 0 && *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			err = buf_append(out, "\\", 1);
		if (err == 0)
			err = buf_append(out, text, 1);
	}
	return err ? err : buf_append(out, "\"", 1);
}

int texts_write(const struct conf_texts *list, struct buf *out)
{
	int err = 0;
	for (size_t i = 0; err == 0 && i < list->count; i++) {
		err = i > 0 ? buf_append_str(out, ", ") : 0;
		if (err == 0)
			err = text_write(list->items[i], out);
	}
	return err;
}

bool texts_equal(const struct conf_texts *a, const struct conf_texts *b)
{
	for (size_t i = 0; a->count == b->count && i < a->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return a->count == b->count;
}

int texts_copy(struct conf_texts *to, const struct conf_texts *from)
{
	struct conf_texts list = {.items = calloc(from->count, sizeof *list.items)};
	int err = list.items || from->count == 0 ? 0 : -ENOMEM;
	for (size_t i = 0; err == 0 && i < from->count; i++)
		err = add(&list, from->items[i]);
	if (err != 0)
		texts_free(&list);
	else
		*to = list;
	return err;
}

void texts_free(struct conf_texts *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct conf_texts){0};
}
