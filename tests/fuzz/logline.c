/* tests/fuzz/logline.c: lines of the log with hostile values: one line each, with no more fields than were given.
 * Byte 0: format and level; bytes 1 and 2: room for the line; then fields, each a kind and a text up to a 0. Protocol.
 */
#include "conf/log.h"
#include "conf/utf8.h"
#include "tests/fuzz/fuzz.h"

enum { FIELDS = 6, TEXT = 1500 };
static const char *const names[FIELDS] = {"a", "b", "c", "d", "e", "f"};

static void check_json(const char *line)
{
	json_t *v = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	MUST(json_is_object(v) && json_is_string(json_object_get(v, "event")));
	MUST(json_object_size(v) <= 3 + FIELDS + 1);
	json_decref(v);
}

/* stamp level event, then name=value in the order given. */
static void check_text(const char *line)
{
	unsigned next = 0;
	const char *at = line;
	for (unsigned word = 0; *at != 0; word++) {
		const char *start = at;
		for (bool quoted = false; *at != 0 && (quoted || *at != ' '); at++) {
			if (*at == '"')
				quoted = !quoted;
			if (quoted && *at == '\\' && at[1] != 0)
				at++;
		}
		if (word >= 3 && strcmp(start, "cut") != 0) {
			while (next < FIELDS && strncmp(start, names[next], 1) != 0)
				next++;
			MUST(next < FIELDS && start[1] == '=' && at - start > 2);
			next++;
		}
		at += *at == ' ';
	}
}

FUZZ_TARGET(logline)
{
	static char texts[FIELDS][TEXT];
	struct log_field fields[FIELDS + 1] = {{.name = NULL}};
	struct ip ip = {.family = FAMILY_IPV6};
	struct endpoint to = {.ip = ip, .port = 25};
	struct reader r;
	reader_init(&r, in, len);
	uint8_t how = reader_u8(&r);
	size_t size = reader_u16(&r) % 20000;
	enum log_format format = how & 1 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
	for (unsigned i = 0; i < FIELDS && r.left > 0; i++) {
		fields[i] = (struct log_field){.name = names[i], .kind = reader_u8(&r) % (LOG_FAMILY + 1)};
		fuzz_text(&r, texts[i], TEXT);
		fields[i].text = fields[i].kind == LOG_IP	  ? (void *)&ip
				 : fields[i].kind == LOG_ENDPOINT ? (void *)&to
								  : texts[i];
		fields[i].len = strlen(texts[i]);
		memcpy(&fields[i].number, texts[i], sizeof fields[i].number);
	}
	char *out = malloc(size + 1);
	MUST(out != NULL);
	size_t n = log_format_line(out, size, format, 1795000000000, (enum log_level)(how >> 1 & 3), "event", fields);
	MUST(n <= size && (size == 0 || (n > 0 && out[n - 1] == '\n')));
	for (size_t i = 0, step; i + 1 < n; i += step) {
		uint32_t code;
		step = utf8_read((const uint8_t *)out + i, n - i, &code);
		MUST(step > 0 && code >= ' ' && (code < 0x7f || code > 0x9f) && code != 0x2028 && code != 0x2029);
	}
	if (n > 1) {
		out[n - 1] = 0;
		if (format == LOG_FORMAT_JSON)
			check_json(out);
		else
			check_text(out);
	}
	free(out);
	return 0;
}
