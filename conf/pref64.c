/* conf/pref64.c: protocol. */
#include "conf/pref64.h"

#include <errno.h>
#include <string.h>

static const char *const words[] = {[CONF_NAT64_AUTO] = "auto", [CONF_NAT64_OFF] = "off"};

/* Set aside for other things (RFC 4291 §2.4). */
static const struct prefix others[] = {
	{.ip = {.family = FAMILY_IPV6}, .bits = 32},
	{.ip = {.family = FAMILY_IPV6, .bytes = {0xfe, 0x80}}, .bits = 10},
	{.ip = {.family = FAMILY_IPV6, .bytes = {0xff}}, .bits = 8},
};

static bool is_length(unsigned bits)
{
	static const unsigned lengths[] = {32, 40, 48, 56, 64, 96};
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
		if (lengths[i] == bits)
			return true;
	return false;
}

const char *pref64_fault(const struct prefix *p)
{
	static const uint8_t zero[16];
	if (p->ip.family != FAMILY_IPV6)
		return "is no IPv6 prefix; expected one, as 64:ff9b::/96";
	if (!is_length(p->bits))
		return "has another length; expected 32, 40, 48, 56, 64 or 96 bits (RFC 6052)";
	if (memcmp(p->ip.bytes + p->bits / 8, zero, 16 - p->bits / 8) != 0)
		return "has bits set behind its length; expected those 0";
	if (p->ip.bytes[8] != 0)
		return "has some of the bits 64 to 71 set; expected those 0 (RFC 6052)";
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (prefix_contains(&others[i], &p->ip))
			return "is set aside for other things (RFC 4291); expected a prefix of a translator";
	return NULL;
}

static bool same_prefix(const struct prefix *a, const struct prefix *b)
{
	return a->bits == b->bits && ip_equal(&a->ip, &b->ip);
}

/* One prefix of the list. 0; -EINVAL: with a reason, if it can be read at all. */
static int add(struct conf_nat64 *to, const char *text, struct buf *why)
{
	char shown[GRAMMAR_SHOWN];
	struct prefix p;
	int err = prefix_parse(&p, text);
	if (err == -EINVAL)
		return -EINVAL;
	const char *fault = err == -ERANGE		? "has bits set behind its length; expected those 0"
			    : strchr(text, '/') == NULL ? "has no length; expected /32, /40, /48, /56, /64 or /96"
							: pref64_fault(&p);
	for (unsigned i = 0; fault == NULL && i < to->count; i++)
		if (same_prefix(&to->items[i], &p))
			fault = "is there already; expected each prefix once";
	if (fault != NULL) {
		buf_printf(why, "%s %s", grammar_show(text, shown), fault);
		return -EINVAL;
	}
	to->items[to->count++] = p;
	return 0;
}

static bool is_word(const char *text, enum conf_nat64_mode *mode)
{
	for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(words[i], text) == 0) {
			*mode = i;
			return true;
		}
	return false;
}

int pref64_read(
	const struct grammar_value *values, struct conf_nat64 *out, const struct grammar_value **bad, struct buf *why)
{
	struct conf_nat64 read = {.mode = CONF_NAT64_GIVEN};
	for (const struct grammar_value *v = values; v != NULL; v = v->next) {
		enum conf_nat64_mode word;
		*bad = v;
		if (is_word(v->text, &word)) {
			if (v == values && v->next == NULL) {
				*out = (struct conf_nat64){.mode = word};
				return 0;
			}
			buf_printf(why, "%s stands in a list; expected it alone, or prefixes alone", v->text);
			return -EINVAL;
		}
		if (read.count == CONF_NAT64_MAX) {
			buf_printf(why, "more than %d prefixes; expected at most so many", CONF_NAT64_MAX);
			return -EINVAL;
		}
		int err = add(&read, v->text, why);
		if (err != 0)
			return err;
	}
	*out = read;
	return 0;
}

int pref64_write(const struct conf_nat64 *from, struct buf *out)
{
	char text[PREFIX_TEXT];
	int err = 0;
	if (from->mode != CONF_NAT64_GIVEN)
		return buf_append_str(out, words[from->mode]);
	for (unsigned i = 0; err == 0 && i < from->count; i++)
		err = buf_printf(out, "%s%s", i ? ", " : "", prefix_format(&from->items[i], text));
	return err;
}

bool pref64_equal(const struct conf_nat64 *a, const struct conf_nat64 *b)
{
	for (unsigned i = 0; a->count == b->count && i < a->count; i++)
		if (!same_prefix(&a->items[i], &b->items[i]))
			return false;
	return a->mode == b->mode && a->count == b->count;
}
