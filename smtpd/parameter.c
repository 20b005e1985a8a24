/* smtpd/parameter.c: protocol. */
#include "smtpd/parameter.h"

#include <string.h>

#include "queue/mail/xtext.h"

/* ---- values ---- */

static bool read_size(void *out, const struct piece *value)
{
	struct mail_parameters *m = out;
	m->has_size = value->len <= 20 && piece_number(value, &m->size); /* RFC 1870 §3: 1*20DIGIT */
	return m->has_size;
}

struct word {
	const char *name;
	unsigned bits;
};

static bool read_word(unsigned *bits, const struct piece *value, const struct word *words)
{
	for (; words->name != NULL; words++)
		if (piece_is(value, words->name)) {
			*bits |= words->bits;
			return true;
		}
	return false;
}

static bool read_body(void *out, const struct piece *value)
{
	static const struct word words[] = {{"7BIT", 0}, {"8BITMIME", ENVELOPE_BODY_8BIT},
		{"BINARYMIME", ENVELOPE_BODY_8BIT | ENVELOPE_BINARY}, {NULL, 0}};
	return read_word(&((struct mail_parameters *)out)->flags, value, words);
}

static bool read_utf8(void *out, const struct piece *value)
{
	((struct mail_parameters *)out)->flags |= ENVELOPE_SMTPUTF8;
	return value->at == NULL; /* RFC 6531 §3.4: no value */
}

static bool read_ret(void *out, const struct piece *value)
{
	static const struct word words[] = {{"FULL", ENVELOPE_RET_FULL}, {"HDRS", ENVELOPE_RET_HDRS}, {NULL, 0}};
	return read_word(&((struct mail_parameters *)out)->flags, value, words);
}

/* Printable ASCII, blanks included (RFC 3461 §4.2, §4.4: a notice will say it in a line of its own); with `utf8` bytes
 * over 127 too. */
static bool is_graphic(const char *text, bool utf8)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' ? !utf8 || (*text & 0x80) == 0 : *text > '~')
			return false;
	return true;
}

static bool read_envid(void *out, const struct piece *value)
{
	struct mail_parameters *m = out;
	char plain[ENVID_MAX + 1];
	return value->len > 0 && piece_copy(value, m->envid, sizeof m->envid) &&
	       xtext_decode(plain, sizeof plain, m->envid) == 0 && is_graphic(plain, false);
}

/* RFC 2852 §4: by-time ";" by-mode [by-trace] */
static bool read_by(void *out, const struct piece *value)
{
	static const struct word modes[] = {{"R", ENVELOPE_BY_RETURN}, {"N", ENVELOPE_BY_NOTIFY},
		{"RT", ENVELOPE_BY_RETURN | ENVELOPE_BY_TRACE}, {"NT", ENVELOPE_BY_NOTIFY | ENVELOPE_BY_TRACE},
		{NULL, 0}};
	struct mail_parameters *m = out;
	struct piece mode = *value, time;
	uint64_t seconds;
	if (!piece_cut(&mode, ';', &time) || time.len == 0)
		return false;
	bool negative = time.at[0] == '-';
	if (negative || time.at[0] == '+')
		time = (struct piece){time.at + 1, time.len - 1};
	if (time.len > 9 || !piece_number(&time, &seconds) || !read_word(&m->flags, &mode, modes))
		return false;
	m->by_seconds = negative ? -(int32_t)seconds : (int32_t)seconds;
	/* §4.1: what is late already cannot be asked to be returned when it is late */
	return m->by_seconds > 0 || !(m->flags & ENVELOPE_BY_RETURN);
}

static bool read_hold_for(void *out, const struct piece *value)
{
	struct mail_parameters *m = out;
	m->hold_for = value->len <= 9 && piece_number(value, &m->hold_seconds); /* RFC 4865: up to 9 digits, not 0 */
	return m->hold_for && m->hold_seconds > 0 && !m->hold_until;
}

/* `digits` digits at the beginning of `p`, then the byte `behind` (0: whatever). */
static bool take_digits(struct piece *p, size_t digits, uint8_t behind, unsigned *out)
{
	struct piece number = {p->at, digits};
	uint64_t value;
	size_t used = digits + (behind != 0);
	if (p->len < used || !piece_number(&number, &value) ||
		(behind != 0 && p->at[digits] != behind && !(behind == 'T' && p->at[digits] == 't')))
		return false;
	p->at += used;
	p->len -= used;
	*out = (unsigned)value;
	return true;
}

/* Days from 1970-01-01 to a day of the Gregorian calendar (year >= 1970). */
static uint64_t days_until(unsigned year, unsigned month, unsigned day)
{
	static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	unsigned past = year - 1;
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	uint64_t days = (uint64_t)past * 365 + past / 4 - past / 100 + past / 400 - 719162;
	return days + before[month - 1] + (leap && month > 2) + day - 1;
}

static unsigned month_length(unsigned year, unsigned month)
{
	static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return lengths[month - 1] + (month == 2 && leap);
}

/* "Z" or "+hh:mm", in seconds east of Greenwich. */
static bool take_zone(struct piece *p, int *east)
{
	unsigned hours, minutes;
	if (p->len == 1 && (p->at[0] | 32) == 'z') {
		*east = 0;
		return true;
	}
	if (p->len != 6 || (p->at[0] != '+' && p->at[0] != '-'))
		return false;
	int sign = p->at[0] == '-' ? -1 : 1;
	*p = (struct piece){p->at + 1, 5};
	if (!take_digits(p, 2, ':', &hours) || !take_digits(p, 2, 0, &minutes) || hours > 23 || minutes > 59)
		return false;
	*east = sign * (int)(hours * 3600 + minutes * 60);
	return true;
}

/* RFC 3339 §5.6 date-time */
static bool read_hold_until(void *out, const struct piece *value)
{
	struct mail_parameters *m = out;
	struct piece p = *value;
	unsigned year, month, day, hour, minute, second;
	int east;
	if (!take_digits(&p, 4, '-', &year) || !take_digits(&p, 2, '-', &month) || !take_digits(&p, 2, 'T', &day) ||
		!take_digits(&p, 2, ':', &hour) || !take_digits(&p, 2, ':', &minute) || !take_digits(&p, 2, 0, &second))
		return false;
	if (p.len > 1 && p.at[0] == '.') {
		size_t n = 1;
		while (n < p.len && p.at[n] >= '0' && p.at[n] <= '9')
			n++;
		if (n == 1)
			return false;
		p = (struct piece){p.at + n, p.len - n};
	}
	if (year < 1971 || month < 1 || month > 12 || day < 1 || day > month_length(year, month) || hour > 23 ||
		minute > 59 || second > 60 || !take_zone(&p, &east))
		return false;
	int64_t seconds = (int64_t)days_until(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - east;
	m->until_ms = (uint64_t)seconds * 1000;
	m->hold_until = true;
	return !m->hold_for;
}

/* RFC 6710 §4.1: "-9" to "9" */
static bool read_priority(void *out, const struct piece *value)
{
	struct mail_parameters *m = out;
	struct piece digits = *value;
	uint64_t number;
	bool negative = value->len == 2 && value->at[0] == '-';
	if (negative)
		digits = (struct piece){value->at + 1, 1};
	if (digits.len != 1 || !piece_number(&digits, &number) || (negative && number == 0))
		return false;
	m->priority = negative ? -(int)number : (int)number;
	m->has_priority = true;
	return true;
}

/* RFC 3461 §4.1: NEVER alone, or a list of the others */
static bool read_notify(void *out, const struct piece *value)
{
	static const struct word words[] = {{"NEVER", NOTIFY_NEVER}, {"SUCCESS", NOTIFY_SUCCESS},
		{"FAILURE", NOTIFY_FAILURE}, {"DELAY", NOTIFY_DELAY}, {NULL, 0}};
	struct rcpt_parameters *r = out;
	struct piece rest = *value, word;
	unsigned bits = 0;
	bool more;
	do {
		more = piece_cut(&rest, ',', &word);
		if (!read_word(&bits, &word, words))
			return false;
	} while (more);
	r->notify = (uint8_t)bits;
	return bits == NOTIFY_NEVER || !(bits & NOTIFY_NEVER);
}

static bool read_orcpt(void *out, const struct piece *value)
{
	struct rcpt_parameters *r = out;
	char type[ORCPT_TYPE], address[ORCPT_MAX + 8];
	return piece_copy(value, r->orcpt, sizeof r->orcpt) && (r->utf8 || text_is_ascii(r->orcpt)) &&
	       orcpt_read(type, address, sizeof address, r->orcpt) == 0 && *address != '\0' &&
	       is_graphic(address, strcmp(type, "utf-8") == 0);
}

/* ---- the tables ---- */

enum right { ANYBODY, MAY_DELIVER_BY, MAY_HOLD, MAY_PRIORITY };

struct parameter {
	const char *name;
	enum right right;
	bool (*read)(void *out, const struct piece *value);
};

static const struct parameter of_mail[] = {
	{"SIZE", ANYBODY, read_size},
	{"BODY", ANYBODY, read_body},
	{"SMTPUTF8", ANYBODY, read_utf8},
	{"RET", ANYBODY, read_ret},
	{"ENVID", ANYBODY, read_envid},
	{"BY", MAY_DELIVER_BY, read_by},
	{"HOLDFOR", MAY_HOLD, read_hold_for},
	{"HOLDUNTIL", MAY_HOLD, read_hold_until},
	{"MT-PRIORITY", MAY_PRIORITY, read_priority},
	{NULL, ANYBODY, NULL},
};

static const struct parameter of_rcpt[] = {
	{"NOTIFY", ANYBODY, read_notify},
	{"ORCPT", ANYBODY, read_orcpt},
	{NULL, ANYBODY, NULL},
};

static bool has_right(const struct rights *rights, enum right right)
{
	switch (right) {
	case MAY_DELIVER_BY:
		return rights->deliver_by;
	case MAY_HOLD:
		return rights->future_release;
	case MAY_PRIORITY:
		return rights->priority;
	default:
		return true;
	}
}

/* esmtp-param = keyword ["=" value], each behind a blank (RFC 5321 §4.1.2) */
static enum parameter_fault read_all(
	void *out, uint32_t *seen, struct piece rest, const struct parameter *known, const struct rights *rights)
{
	for (;;) {
		piece_skip_blanks(&rest);
		if (rest.len == 0)
			return PARAMETER_OK;
		size_t n = 0;
		while (n < rest.len && rest.at[n] != ' ' && rest.at[n] != '\t')
			n++;
		struct piece value = {rest.at, n}, name;
		rest = (struct piece){rest.at + n, rest.len - n};
		if (!piece_cut(&value, '=', &name))
			value.at = NULL;
		const struct parameter *row = known;
		while (row->name != NULL && !piece_is(&name, row->name))
			row++;
		if (row->name == NULL || !has_right(rights, row->right))
			return PARAMETER_UNKNOWN;
		uint32_t bit = UINT32_C(1) << (row - known);
		if ((*seen & bit) || !row->read(out, &value))
			return PARAMETER_WRONG;
		*seen |= bit;
	}
}

enum parameter_fault mail_parameters_read(
	struct mail_parameters *out, const struct piece *text, const struct rights *rights)
{
	*out = (struct mail_parameters){.flags = 0};
	return read_all(out, &out->seen, *text, of_mail, rights);
}

enum parameter_fault rcpt_parameters_read(
	struct rcpt_parameters *out, const struct piece *text, bool utf8, const struct rights *rights)
{
	*out = (struct rcpt_parameters){.utf8 = utf8};
	return read_all(out, &out->seen, *text, of_rcpt, rights);
}
