/* conf/value.c: protocol. */
#include "conf/value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conf/pref64.h"
#include "conf/texts.h"

struct unit {
	const char *name;
	uint64_t factor;
};

/* From large to small. */
static const struct unit times[] = {
	{"w", 604800000}, {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};
static const struct unit sizes[] = {{"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"", 1}, {NULL, 0}};
static const struct unit percents[] = {{"%", 1}, {NULL, 0}};
static const struct unit counts[] = {{"", 1}, {NULL, 0}};

enum { LIST_MAX = 4096, TEXT_MAX = 1024 };

static const struct unit *units_of(enum key_type type)
{
	switch (type) {
	case KEY_TIME:
		return times;
	case KEY_SIZE:
		return sizes;
	case KEY_PERCENT:
		return percents;
	default:
		return counts;
	}
}

/* Numbers. */

static bool read_number(uint64_t *out, const char *text, const struct unit *unit)
{
	uint64_t value = 0;
	size_t n = strspn(text, "0123456789");
	if (n == 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
			return false;
	while (unit->name != NULL && strcmp(unit->name, text + n) != 0)
		unit++;
	if (unit->name == NULL && (value != 0 || text[n] != '\0')) /* 0 needs no unit */
		return false;
	return !__builtin_mul_overflow(value, unit->name ? unit->factor : 1, out);
}

static int write_number(struct buf *out, uint64_t value, const struct unit *unit)
{
	if (value == 0)
		return buf_append_str(out, "0");
	while (value % unit->factor != 0)
		unit++;
	return buf_printf(out, "%" PRIu64 "%s", value / unit->factor, unit->name);
}

static uint64_t load_number(const void *from, uint8_t size)
{
	switch (size) {
	case 1:
		return *(const uint8_t *)from;
	case 4:
		return *(const uint32_t *)from;
	default:
		return *(const uint64_t *)from;
	}
}

static void store_number(void *to, uint8_t size, uint64_t value)
{
	switch (size) {
	case 1:
		*(uint8_t *)to = (uint8_t)value;
		break;
	case 4:
		*(uint32_t *)to = (uint32_t)value;
		break;
	default:
		*(uint64_t *)to = value;
	}
}

static int parse_number(const struct value_rule *rule, const char *text, void *to)
{
	uint64_t value;
	if (!read_number(&value, text, units_of(rule->type)) || value < rule->min || value > rule->max)
		return -EINVAL;
	store_number(to, rule->size, value);
	return 0;
}

static int parse_choice(const struct value_rule *rule, const char *text, void *to)
{
	for (uint64_t i = 0; rule->choices[i] != NULL; i++)
		if (strcmp(rule->choices[i], text) == 0) {
			store_number(to, rule->size, i);
			return 0;
		}
	return -EINVAL;
}

/* Texts. */

bool value_is_domain(const char *text)
{
	size_t label = 0, length = 0;
	struct ip ip;
	for (const char *c = text; *c != '\0'; c++, length++) {
		bool edge = label == 0 || c[1] == '.' || c[1] == '\0';
		if (*c == '.') {
			if (label == 0 || c[1] == '\0')
				return false;
			label = 0;
			continue;
		}
		if (!isalnum((unsigned char)*c) && !(*c == '-' && !edge))
			return false;
		if (++label > 63)
			return false;
	}
	return length > 0 && length <= 253 && ip_parse(&ip, text) != 0;
}

static void lower(char *text)
{
	for (; *text != '\0'; text++)
		*text = (char)(*text >= 'A' && *text <= 'Z' ? *text - 'A' + 'a' : *text);
}

static bool is_mailbox(const char *text)
{
	const char *at = strrchr(text, '@');
	if (at == NULL || at == text || at - text > 64 || !value_is_domain(at + 1))
		return false;
	for (const char *c = text; c < at; c++)
		if (*c <= ' ' || *c == 0x7f || strchr("<>@\"\\(),:;", *c) != NULL)
			return false;
	return true;
}

static bool is_reply(const char *text)
{
	while (*text >= ' ' && *text <= '~')
		text++;
	return *text == '\0';
}

static int parse_text(const struct value_rule *rule, const char *text, void *to)
{
	uint64_t most = rule->max ? rule->max : TEXT_MAX;
	if (*text == '\0' || strlen(text) > most)
		return -EINVAL;
	if (rule->type == KEY_DOMAIN && !value_is_domain(text))
		return -EINVAL;
	if (rule->type == KEY_MAILBOX && !is_mailbox(text))
		return -EINVAL;
	if (rule->type == KEY_REPLY && !is_reply(text))
		return -EINVAL;
	char *copy = strdup(text);
	if (copy == NULL)
		return -ENOMEM;
	if (rule->type == KEY_DOMAIN)
		lower(copy);
	*(char **)to = copy;
	return 0;
}

/* Addresses. */

static bool read_port(uint16_t *out, const char *text)
{
	uint64_t port;
	if (!read_number(&port, text, counts) || port < 1 || port > 65535)
		return false;
	*out = (uint16_t)port;
	return true;
}

/* Splits HOST, HOST:PORT, [HOST] or [HOST]:PORT; a host with two colons is an IPv6 address without a port. */
static int split_port(const char *text, char *host, size_t size, bool *brackets, uint16_t *port)
{
	const char *end, *colon;
	*brackets = *text == '[';
	if (*brackets) {
		end = strchr(++text, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return -EINVAL;
		colon = end[1] ? end + 1 : NULL;
	} else {
		colon = strchr(text, ':');
		if (colon != NULL && strchr(colon + 1, ':') != NULL)
			colon = NULL;
		end = colon ? colon : text + strlen(text);
	}
	size_t n = (size_t)(end - text);
	if (n == 0 || n >= size || (colon != NULL && !read_port(port, colon + 1)))
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = '\0';
	return 0;
}

int value_read_endpoint(struct endpoint *out, const char *text, uint16_t default_port)
{
	char host[IP_TEXT];
	bool brackets;
	struct endpoint e = {.port = default_port};
	if (split_port(text, host, sizeof host, &brackets, &e.port) != 0 || ip_parse(&e.ip, host) != 0)
		return -EINVAL;
	if (brackets && strchr(host, ':') == NULL)
		return -EINVAL;
	*out = e;
	return 0;
}

static int parse_ip(const struct value_rule *rule, const char *text, void *to)
{
	struct ip ip;
	if (ip_parse(&ip, text) != 0 || ip.family != (rule->type == KEY_IPV4 ? FAMILY_IPV4 : FAMILY_IPV6))
		return -EINVAL;
	*(struct ip *)to = ip;
	return 0;
}

/* Next hops. */

static int parse_hop(const char *text, uint16_t default_port, struct conf_hop *out)
{
	char host[256];
	struct conf_hop hop = {.port = default_port};
	bool brackets;
	if (split_port(text, host, sizeof host, &brackets, &hop.port) != 0)
		return -EINVAL;
	if (ip_parse(&hop.literal, host) != 0 && !value_is_domain(host))
		return -EINVAL;
	hop.skip_mx = brackets || hop.literal.family != FAMILY_NONE;
	char literal[IP_TEXT];
	hop.host = strdup(hop.literal.family ? ip_format(&hop.literal, literal) : host);
	if (hop.host == NULL)
		return -ENOMEM;
	lower(hop.host);
	*out = hop;
	return 0;
}

static bool hops_equal(const struct conf_hop *a, const struct conf_hop *b)
{
	return strcmp(a->host, b->host) == 0 && a->skip_mx == b->skip_mx && a->port == b->port;
}

int value_write_relay(const struct conf_relay *relay, struct buf *out)
{
	int err = 0;
	for (size_t i = 0; err == 0 && i < relay->count; i++) {
		const struct conf_hop *hop = &relay->items[i];
		bool brackets = hop->skip_mx && hop->literal.family != FAMILY_IPV4;
		err = buf_printf(
			out, brackets ? "%s[%s]:%u" : "%s%s:%u", i ? ", " : "", hop->host, (unsigned)hop->port);
	}
	return err;
}

void value_free_relay(struct conf_relay *relay)
{
	for (size_t i = 0; i < relay->count; i++)
		free(relay->items[i].host);
	free(relay->items);
	*relay = (struct conf_relay){0};
}

static int add_hop(struct conf_relay *relay, const char *text, uint16_t default_port)
{
	int err = parse_hop(text, default_port, &relay->items[relay->count]);
	for (size_t i = 0; err == 0 && i < relay->count; i++)
		if (hops_equal(&relay->items[i], &relay->items[relay->count]))
			err = -EEXIST;
	if (err == 0)
		relay->count++;
	else if (err == -EEXIST)
		free(relay->items[relay->count].host);
	return err;
}

int value_read_relay(struct conf_relay *out, const char *text)
{
	char hop[300];
	struct conf_relay relay = {.items = calloc(CONF_HOPS_MAX, sizeof *relay.items)};
	int err = relay.items ? 0 : -ENOMEM;
	for (bool more = true; err == 0 && more;) {
		text += strspn(text, " ");
		size_t n = strcspn(text, ",");
		more = text[n] == ',';
		size_t len = n;
		while (len > 0 && text[len - 1] == ' ')
			len--;
		if (len >= sizeof hop || relay.count == CONF_HOPS_MAX) {
			err = -EINVAL;
			break;
		}
		memcpy(hop, text, len);
		hop[len] = '\0';
		err = add_hop(&relay, hop, 25);
		text += n + more;
	}
	if (err != 0)
		value_free_relay(&relay);
	else
		*out = relay;
	return err == -EEXIST ? -EINVAL : err;
}

static int parse_relay(const struct value_rule *rule, const struct grammar_value *values, void *to,
	const struct grammar_value **bad, struct buf *why)
{
	char shown[GRAMMAR_SHOWN];
	struct conf_relay relay = {.items = calloc(CONF_HOPS_MAX, sizeof *relay.items)};
	int err = relay.items ? 0 : -ENOMEM;
	for (const struct grammar_value *v = values; err == 0 && v != NULL; v = v->next) {
		*bad = v;
		if (relay.count == CONF_HOPS_MAX) {
			buf_printf(why, "more than %d next hops; expected at most so many", CONF_HOPS_MAX);
			err = -EINVAL;
		} else if ((err = add_hop(&relay, v->text, rule->port)) == -EEXIST) {
			buf_printf(
				why, "%s is there already; expected each next hop once", grammar_show(v->text, shown));
			err = -EINVAL;
		}
	}
	if (err != 0)
		value_free_relay(&relay);
	else
		*(struct conf_relay *)to = relay;
	return err;
}

/* Lists. */

/* What struct conf_prefixes and struct conf_endpoints have in common; members are read and written by memcpy(). */
struct list {
	void *items;
	size_t count;
};
_Static_assert(sizeof(struct list) == sizeof(struct conf_prefixes), "one shape");
_Static_assert(sizeof(struct list) == sizeof(struct conf_endpoints), "one shape");

static struct list load_list(const void *member)
{
	struct list list;
	memcpy(&list, member, sizeof list);
	return list;
}

static int parse_prefix(const char *text, struct prefix *out, struct buf *why)
{
	char shown[GRAMMAR_SHOWN];
	int err = prefix_parse(out, text);
	if (err == -ERANGE)
		buf_printf(why,
			"%s has bits set behind its length; expected an address with /32 or /128, or those bits 0",
			grammar_show(text, shown));
	return err ? -EINVAL : 0;
}

static int parse_list(const struct value_rule *rule, const struct grammar_value *values, void *to,
	const struct grammar_value **bad, struct buf *why)
{
	size_t count = 0, size = rule->type == KEY_PREFIXES ? sizeof(struct prefix) : sizeof(struct endpoint);
	uint64_t most = rule->max ? rule->max : LIST_MAX;
	for (const struct grammar_value *v = values; v != NULL; v = v->next)
		if (++count > most) {
			*bad = v;
			buf_printf(why, "more than %" PRIu64 " entries; expected at most so many", most);
			return -EINVAL;
		}
	struct list list = {.items = calloc(count, size), .count = count};
	if (list.items == NULL)
		return -ENOMEM;
	char *item = list.items;
	for (const struct grammar_value *v = values; v != NULL; v = v->next, item += size) {
		int err = rule->type == KEY_PREFIXES
				  ? parse_prefix(v->text, (struct prefix *)(void *)item, why)
				  : value_read_endpoint((struct endpoint *)(void *)item, v->text, rule->port);
		if (err != 0) {
			*bad = v;
			free(list.items);
			return err;
		}
	}
	memcpy(to, &list, sizeof list);
	return 0;
}

static int write_list(const struct value_rule *rule, const struct list list, struct buf *out)
{
	char text[ENDPOINT_TEXT > PREFIX_TEXT ? ENDPOINT_TEXT : PREFIX_TEXT];
	int err = 0;
	for (size_t i = 0; err == 0 && i < list.count; i++) {
		if (rule->type == KEY_PREFIXES)
			prefix_format((struct prefix *)list.items + i, text);
		else
			endpoint_format((struct endpoint *)list.items + i, text);
		err = buf_printf(out, "%s%s", i ? ", " : "", text);
	}
	return err;
}

/* All of them. */

static enum text_type texts_of(const struct value_rule *rule)
{
	return rule->type == KEY_CODES ? TEXT_CODE : rule->type == KEY_STATUSES ? TEXT_STATUS : TEXT_PATTERN;
}

int value_expected(const struct value_rule *rule, struct buf *out)
{
	static const char *const texts[] = {
		[KEY_TEXT] = "text",
		[KEY_PATH] = "the name of a file",
		[KEY_REPLY] = "text in printable ASCII",
		[KEY_DOMAIN] = "a host name of letters, digits, hyphens and dots (RFC 5321)",
		[KEY_MAILBOX] = "a mail address",
		[KEY_PREFIXES] = "ADDRESS or ADDRESS/BITS, separated by commas",
		[KEY_ENDPOINTS] = "ADDRESS, ADDRESS:PORT or [IPV6]:PORT",
		[KEY_IPV4] = "an IPv4 address",
		[KEY_IPV6] = "an IPv6 address",
		[KEY_NAT64] = "auto, off or IPv6 prefixes as 64:ff9b::/96, separated by commas",
		[KEY_RELAY] = "[HOST], HOST (by MX) or ADDRESS, then :PORT or not (IPv6 in [ ]), separated by commas",
	};
	static const char *const numbers[] = {[KEY_TIME] = "a time (ms s m h d w)",
		[KEY_SIZE] = "a size (bytes, K M G)",
		[KEY_COUNT] = "a number",
		[KEY_PERCENT] = "a share"};
	int err = 0;
	switch (rule->type) {
	case KEY_TIME:
	case KEY_SIZE:
	case KEY_COUNT:
	case KEY_PERCENT:
		err = buf_printf(out, "%s between ", numbers[rule->type]);
		if (err == 0)
			err = write_number(out, rule->min, units_of(rule->type));
		if (err == 0)
			err = buf_append_str(out, " and ");
		return err ? err : write_number(out, rule->max, units_of(rule->type));
	case KEY_CHOICE:
		for (size_t i = 0; err == 0 && rule->choices[i] != NULL; i++)
			err = buf_printf(out, "%s%s",
				i == 0		       ? ""
				: rule->choices[i + 1] ? ", "
						       : " or ",
				rule->choices[i]);
		return err;
	case KEY_TEXT:
	case KEY_PATH:
	case KEY_REPLY:
		return buf_printf(
			out, "%s of 1 to %" PRIu64 " bytes", texts[rule->type], rule->max ? rule->max : TEXT_MAX);
	case KEY_CODES:
	case KEY_STATUSES:
	case KEY_PATTERNS:
		return buf_append_str(out, texts_expected(texts_of(rule)));
	default:
		return buf_append_str(out, texts[rule->type]);
	}
}

static int parse_one(const struct value_rule *rule, const char *text, void *to)
{
	switch (rule->type) {
	case KEY_TIME:
	case KEY_SIZE:
	case KEY_COUNT:
	case KEY_PERCENT:
		return parse_number(rule, text, to);
	case KEY_CHOICE:
		return parse_choice(rule, text, to);
	case KEY_IPV4:
	case KEY_IPV6:
		return parse_ip(rule, text, to);
	default:
		return parse_text(rule, text, to);
	}
}

int value_read(const struct value_rule *rule, const struct grammar_value *values, void *to,
	const struct grammar_value **bad, struct buf *why)
{
	char shown[GRAMMAR_SHOWN];
	int err;
	*bad = values;
	if (rule->type == KEY_PREFIXES || rule->type == KEY_ENDPOINTS) {
		err = parse_list(rule, values, to, bad, why);
	} else if (rule->type == KEY_RELAY) {
		err = parse_relay(rule, values, to, bad, why);
	} else if (rule->type == KEY_NAT64) {
		err = pref64_read(values, to, bad, why);
	} else if (rule->type == KEY_CODES || rule->type == KEY_STATUSES || rule->type == KEY_PATTERNS) {
		err = texts_read(to, texts_of(rule), values, rule->max, bad, why);
	} else if (values->next != NULL) {
		*bad = values->next;
		buf_append_str(why, "a list; expected one value: ");
		value_expected(rule, why);
		return -EINVAL;
	} else {
		err = parse_one(rule, values->text, to);
	}
	if (err == -EINVAL && why->len == 0) {
		buf_printf(why, "%s; expected ", grammar_show((*bad)->text, shown));
		value_expected(rule, why);
	}
	return err;
}

int value_write(const struct value_rule *rule, const void *from, struct buf *out)
{
	char text[IP_TEXT];
	if (value_empty(rule, from))
		return 0;
	switch (rule->type) {
	case KEY_TIME:
	case KEY_SIZE:
	case KEY_COUNT:
	case KEY_PERCENT:
		return write_number(out, load_number(from, rule->size), units_of(rule->type));
	case KEY_CHOICE:
		return buf_append_str(out, rule->choices[load_number(from, rule->size)]);
	case KEY_PREFIXES:
	case KEY_ENDPOINTS:
		return write_list(rule, load_list(from), out);
	case KEY_IPV4:
	case KEY_IPV6:
		return buf_append_str(out, ip_format(from, text));
	case KEY_NAT64:
		return pref64_write(from, out);
	case KEY_CODES:
	case KEY_STATUSES:
	case KEY_PATTERNS:
		return texts_write(from, out);
	case KEY_RELAY:
		return value_write_relay(from, out);
	default:
		return text_write(*(char *const *)from, out);
	}
}

bool value_is_number(const struct value_rule *rule)
{
	return rule->type == KEY_TIME || rule->type == KEY_SIZE || rule->type == KEY_COUNT || rule->type == KEY_PERCENT;
}

void value_init(const struct value_rule *rule, void *member)
{
	if (value_is_number(rule) && rule->optional)
		store_number(member, rule->size, CONF_INHERIT);
}

bool value_empty(const struct value_rule *rule, const void *from)
{
	switch (rule->type) {
	case KEY_TIME:
	case KEY_SIZE:
	case KEY_COUNT:
	case KEY_PERCENT:
		return rule->optional && load_number(from, rule->size) == CONF_INHERIT;
	case KEY_CHOICE:
		return rule->optional && load_number(from, rule->size) == 0;
	case KEY_PREFIXES:
	case KEY_ENDPOINTS:
		return load_list(from).count == 0;
	case KEY_IPV4:
	case KEY_IPV6:
		return ((const struct ip *)from)->family == FAMILY_NONE;
	case KEY_NAT64:
		return false; /* at the least `auto` */
	case KEY_CODES:
	case KEY_STATUSES:
	case KEY_PATTERNS:
		return ((const struct conf_texts *)from)->count == 0;
	case KEY_RELAY:
		return ((const struct conf_relay *)from)->count == 0;
	default:
		return *(char *const *)from == NULL;
	}
}

void value_fini(const struct value_rule *rule, void *member)
{
	switch (rule->type) {
	case KEY_TIME:
	case KEY_SIZE:
	case KEY_COUNT:
	case KEY_PERCENT:
	case KEY_CHOICE:
		break;
	case KEY_PREFIXES:
	case KEY_ENDPOINTS:
		free(load_list(member).items);
		memset(member, 0, sizeof(struct list));
		break;
	case KEY_IPV4:
	case KEY_IPV6:
		*(struct ip *)member = (struct ip){0};
		break;
	case KEY_NAT64:
		*(struct conf_nat64 *)member = (struct conf_nat64){0};
		break;
	case KEY_CODES:
	case KEY_STATUSES:
	case KEY_PATTERNS:
		texts_free(member);
		break;
	case KEY_RELAY:
		value_free_relay(member);
		break;
	default:
		free(*(char **)member);
		*(char **)member = NULL;
	}
}

static bool text_equal(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool lists_equal(const struct value_rule *rule, struct list a, struct list b)
{
	if (a.count != b.count)
		return false;
	for (size_t i = 0; i < a.count; i++) {
		if (rule->type == KEY_ENDPOINTS) {
			if (!endpoint_equal((struct endpoint *)a.items + i, (struct endpoint *)b.items + i))
				return false;
			continue;
		}
		const struct prefix *left = (struct prefix *)a.items + i, *right = (struct prefix *)b.items + i;
		if (left->bits != right->bits || !ip_equal(&left->ip, &right->ip))
			return false;
	}
	return true;
}

static bool relays_equal(const struct conf_relay *a, const struct conf_relay *b)
{
	for (size_t i = 0; a->count == b->count && i < a->count; i++)
		if (!hops_equal(&a->items[i], &b->items[i]))
			return false;
	return a->count == b->count;
}

bool value_equal(const struct value_rule *rule, const void *a, const void *b)
{
	switch (rule->type) {
	case KEY_TIME:
	case KEY_SIZE:
	case KEY_COUNT:
	case KEY_PERCENT:
	case KEY_CHOICE:
		return load_number(a, rule->size) == load_number(b, rule->size);
	case KEY_PREFIXES:
	case KEY_ENDPOINTS:
		return lists_equal(rule, load_list(a), load_list(b));
	case KEY_IPV4:
	case KEY_IPV6:
		return ip_equal(a, b);
	case KEY_NAT64:
		return pref64_equal(a, b);
	case KEY_CODES:
	case KEY_STATUSES:
	case KEY_PATTERNS:
		return texts_equal(a, b);
	case KEY_RELAY:
		return relays_equal(a, b);
	default:
		return text_equal(*(char *const *)a, *(char *const *)b);
	}
}

static int copy_list(const struct value_rule *rule, void *to, struct list list)
{
	size_t size = rule->type == KEY_PREFIXES ? sizeof(struct prefix) : sizeof(struct endpoint);
	void *items = calloc(list.count, size);
	if (items == NULL)
		return -ENOMEM;
	memcpy(items, list.items, list.count * size);
	list.items = items;
	memcpy(to, &list, sizeof list);
	return 0;
}

static int copy_relay(struct conf_relay *to, const struct conf_relay *from)
{
	struct conf_relay relay = {.items = calloc(CONF_HOPS_MAX, sizeof *relay.items)};
	for (size_t i = 0; relay.items != NULL && i < from->count; i++) {
		relay.items[i] = from->items[i];
		relay.items[i].host = strdup(from->items[i].host);
		relay.count++;
		if (relay.items[i].host == NULL)
			value_free_relay(&relay);
	}
	*to = relay;
	return relay.items ? 0 : -ENOMEM;
}

int value_copy(const struct value_rule *rule, void *to, const void *from)
{
	char **text = to;
	if (value_empty(rule, from))
		return 0;
	switch (rule->type) {
	case KEY_TIME:
	case KEY_SIZE:
	case KEY_COUNT:
	case KEY_PERCENT:
	case KEY_CHOICE:
		store_number(to, rule->size, load_number(from, rule->size));
		return 0;
	case KEY_PREFIXES:
	case KEY_ENDPOINTS:
		return copy_list(rule, to, load_list(from));
	case KEY_IPV4:
	case KEY_IPV6:
		*(struct ip *)to = *(const struct ip *)from;
		return 0;
	case KEY_NAT64:
		*(struct conf_nat64 *)to = *(const struct conf_nat64 *)from;
		return 0;
	case KEY_CODES:
	case KEY_STATUSES:
	case KEY_PATTERNS:
		return texts_copy(to, from);
	case KEY_RELAY:
		return copy_relay(to, from);
	default:
		*text = strdup(*(char *const *)from);
		return *text ? 0 : -ENOMEM;
	}
}
