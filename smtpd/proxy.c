/* smtpd/proxy.c: protocol. */
#include "smtpd/proxy.h"

#include <string.h>

static const uint8_t signature[12] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};
static const uint8_t line_start[6] = {'P', 'R', 'O', 'X', 'Y', ' '};

enum { STAGE_START, STAGE_LINE, STAGE_FIXED, STAGE_ADDRESSES, STAGE_VALUES };

enum { COMMAND_LOCAL = 0x20, COMMAND_PROXY = 0x21 };
enum { AF_PROXY_UNSPEC, AF_PROXY_INET, AF_PROXY_INET6, AF_PROXY_UNIX, AF_PROXY_COUNT };
enum { TRANSPORT_STREAM = 1, TRANSPORT_COUNT = 3 };
enum { TYPE_CRC32C = 3 };

/* Bytes of both addresses and ports of each family. */
static const uint8_t address_bytes[AF_PROXY_COUNT] = {0, 12, 36, 216};

void proxy_init(struct proxy *p)
{
	*p = (struct proxy){.result = PROXY_MORE, .crc = UINT32_MAX};
}

/* ---- version 1 ---- */

/* The next word of the line up to its blank or end; false: it is empty or does not fit. */
static bool next_word(const char **at, char *word, size_t size)
{
	size_t n = strcspn(*at, " ");
	if (n == 0 || n >= size)
		return false;
	memcpy(word, *at, n);
	word[n] = '\0';
	*at += n + ((*at)[n] == ' ');
	return true;
}

static bool read_port(const char *text, uint16_t *port)
{
	unsigned value = 0;
	if (*text == '\0' || strlen(text) > 5 || (*text == '0' && text[1] != '\0'))
		return false;
	for (; *text >= '0' && *text <= '9'; text++)
		value = value * 10 + (unsigned)(*text - '0');
	*port = (uint16_t)value;
	return *text == '\0' && value <= UINT16_MAX;
}

static bool is_of(const char *address, enum family family)
{
	return (strchr(address, ':') != NULL) == (family == FAMILY_IPV6);
}

/* "TCP4 SOURCE DESTINATION PORT PORT", as `text`. */
static enum proxy_result read_tcp(struct proxy *p, const char *text)
{
	char word[IP_TEXT], ips[2][IP_TEXT], ports[2][6];
	struct endpoint *const ends[2] = {&p->client, &p->listener};
	if (!next_word(&text, word, sizeof word))
		return PROXY_WRONG;
	if (strcmp(word, "UNKNOWN") == 0)
		return PROXY_UNKNOWN;
	enum family family = strcmp(word, "TCP4") == 0 ? FAMILY_IPV4 : FAMILY_IPV6;
	if (family == FAMILY_IPV6 && strcmp(word, "TCP6") != 0)
		return PROXY_WRONG;
	if (!next_word(&text, ips[0], sizeof ips[0]) || !next_word(&text, ips[1], sizeof ips[1]) ||
		!next_word(&text, ports[0], sizeof ports[0]) || text[-1] != ' ' || strlen(text) >= sizeof ports[1])
		return PROXY_WRONG;
	strncpy(ports[1], text, sizeof ports[1]);
	for (size_t i = 0; i < 2; i++)
		if (!is_of(ips[i], family) || ip_parse(&ends[i]->ip, ips[i]) != 0 ||
			!read_port(ports[i], &ends[i]->port))
			return PROXY_WRONG;
	return PROXY_CLIENT;
}

static size_t take_line(struct proxy *p, const uint8_t *in, size_t len)
{
	const uint8_t *lf = memchr(in, '\n', len);
	size_t part = lf != NULL ? (size_t)(lf + 1 - in) : len;
	if (part > sizeof p->head - p->head_len) {
		p->result = PROXY_WRONG;
		return 0;
	}
	memcpy(p->head + p->head_len, in, part);
	p->head_len = (uint8_t)(p->head_len + part);
	size_t known = p->head_len < sizeof line_start ? p->head_len : sizeof line_start;
	if (memcmp(p->head, line_start, known) != 0 || (lf == NULL && p->head_len == sizeof p->head)) {
		p->result = PROXY_WRONG;
	} else if (lf != NULL) {
		char text[PROXY_LINE];
		size_t n = (size_t)p->head_len - 2;
		memcpy(text, p->head, n);
		text[n] = '\0';
		bool whole = p->head[n] == '\r' && strlen(text) == n && n >= sizeof line_start;
		p->result = whole ? read_tcp(p, text + sizeof line_start) : PROXY_WRONG;
	}
	return part;
}

/* ---- version 2 ---- */

/* Castagnoli's polynomial, reflected. A header is short: bit by bit is fast enough. */
static void crc_add(struct proxy *p, uint8_t byte)
{
	p->crc ^= byte;
	for (int bit = 0; bit < 8; bit++)
		p->crc = p->crc >> 1 ^ (p->crc & 1 ? 0x82f63b78u : 0);
}

static void read_addresses(struct proxy *p, unsigned family)
{
	const uint8_t *at = p->head + PROXY_FIXED;
	size_t n = family == AF_PROXY_INET ? 4 : 16;
	struct endpoint *const ends[2] = {&p->client, &p->listener};
	for (size_t i = 0; i < 2; i++) {
		ends[i]->ip = ip_from_bytes(family == AF_PROXY_INET ? FAMILY_IPV4 : FAMILY_IPV6, at + i * n);
		ends[i]->port = (uint16_t)(at[2 * n + 2 * i] << 8 | at[2 * n + 2 * i + 1]);
	}
}

/* All is there: what it says, if it was sent whole. */
static void finish(struct proxy *p)
{
	unsigned family = p->head[13] >> 4;
	bool local = p->head[12] == COMMAND_LOCAL;
	if (p->tlv_len > 0 || p->value_left > 0 || (p->has_crc && p->told != ~p->crc)) {
		p->result = PROXY_WRONG;
	} else if (local) {
		p->result = PROXY_LOCAL;
	} else if ((family == AF_PROXY_INET || family == AF_PROXY_INET6) && (p->head[13] & 15) == TRANSPORT_STREAM) {
		read_addresses(p, family);
		p->result = PROXY_CLIENT;
	} else {
		p->result = PROXY_UNKNOWN;
	}
}

/* Of these the rest means nothing, not even where its values begin (§2.2). */
static bool is_opaque(const struct proxy *p)
{
	return p->head[12] == COMMAND_LOCAL || p->head[13] >> 4 == AF_PROXY_UNSPEC;
}

static void take_fixed(struct proxy *p, uint8_t byte)
{
	p->head[p->head_len++] = byte;
	crc_add(p, byte);
	size_t known = p->head_len < sizeof signature ? p->head_len : sizeof signature;
	if (memcmp(p->head, signature, known) != 0) {
		p->result = PROXY_WRONG;
		return;
	}
	if (p->head_len < PROXY_FIXED)
		return;
	unsigned family = p->head[13] >> 4, transport = p->head[13] & 15;
	p->left = (uint32_t)p->head[14] << 8 | p->head[15];
	bool local = p->head[12] == COMMAND_LOCAL;
	if (!local && (p->head[12] != COMMAND_PROXY || family >= AF_PROXY_COUNT || transport >= TRANSPORT_COUNT ||
			      p->left < address_bytes[family])) {
		p->result = PROXY_WRONG;
		return;
	}
	p->value_left = is_opaque(p) ? 0 : address_bytes[family];
	p->stage = p->value_left > 0 ? STAGE_ADDRESSES : STAGE_VALUES;
}

static void take_address(struct proxy *p, uint8_t byte)
{
	if (p->head_len < PROXY_FIXED + PROXY_ADDRESSES)
		p->head[p->head_len++] = byte;
	crc_add(p, byte);
	p->left--;
	if (--p->value_left == 0)
		p->stage = STAGE_VALUES;
}

static void take_value(struct proxy *p, uint8_t byte)
{
	p->left--;
	if (is_opaque(p))
		return;
	if (p->value_left > 0) {
		bool crc = p->tlv[0] == TYPE_CRC32C;
		if (crc)
			p->told = p->told << 8 | byte;
		crc_add(p, crc ? 0 : byte); /* the sum is made with zeros in its own place */
		p->value_left--;
		return;
	}
	crc_add(p, byte);
	p->tlv[p->tlv_len++] = byte;
	if (p->tlv_len < sizeof p->tlv)
		return;
	p->tlv_len = 0;
	p->value_left = (uint16_t)(p->tlv[1] << 8 | p->tlv[2]);
	if (p->tlv[0] != TYPE_CRC32C)
		return;
	if (p->has_crc || p->value_left != sizeof p->told)
		p->result = PROXY_WRONG;
	p->has_crc = true;
}

static size_t take_binary(struct proxy *p, const uint8_t *in, size_t len)
{
	size_t at = 0;
	while (at < len && p->result == PROXY_MORE) {
		uint8_t byte = in[at++];
		if (p->stage == STAGE_FIXED)
			take_fixed(p, byte);
		else if (p->stage == STAGE_ADDRESSES)
			take_address(p, byte);
		else
			take_value(p, byte);
		if (p->result == PROXY_MORE && p->stage != STAGE_FIXED && p->left == 0)
			finish(p);
	}
	return at;
}

enum proxy_result proxy_read(struct proxy *p, const uint8_t *in, size_t len, size_t *used)
{
	*used = 0;
	if (len == 0)
		return p->result;
	if (p->stage == STAGE_START)
		p->stage = in[0] == signature[0] ? STAGE_FIXED : STAGE_LINE;
	*used = p->stage == STAGE_LINE ? take_line(p, in, len) : take_binary(p, in, len);
	return p->result;
}
