/* conf/value.h: the types of configuration values: from text to a member of struct conf and back. Protocol: pure.
 *
 *   KEY_TIME            a number and ms s m h d w, in milliseconds
 *   KEY_SIZE            a number, may be with K M G (1024)
 *   KEY_COUNT           a number
 *   KEY_PERCENT         a number and %
 *   KEY_CHOICE          one of the words of `choices`; the member is its index
 *   KEY_TEXT, KEY_PATH  any text, the name of a file or socket
 *   KEY_REPLY           text of an SMTP reply: printable ASCII
 *   KEY_DOMAIN          a host's name, RFC 5321 §4.1.2, made lower case
 *   KEY_MAILBOX         LOCAL@DOMAIN
 *   KEY_PREFIXES        a list of ADDRESS or ADDRESS/BITS
 *   KEY_ENDPOINTS       a list of ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT
 *   KEY_IPV4, KEY_IPV6  one address
 *   KEY_NAT64           auto, off or a list of IPv6 prefixes, see conf/pref64.h
 *   KEY_RELAY           a list of [HOST], HOST or an address, may be with :PORT
 *   KEY_CODES           a list of reply codes of refusals, x for any digit: 550, 55x, 4xx
 *   KEY_STATUSES        a list of enhanced status codes of refusals: 5.7.25, 4.7.*, none
 *   KEY_PATTERNS        a list of texts in printable ASCII, * for anything
 *
 * Members: numbers and choices are unsigned of 1, 4 or 8 bytes; text, path, domain and mailbox are char *, NULL or on
 * the heap; the others are the structs of conf/conf.h and conf/ip.h. All zero is a valid empty member of every type. */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include "conf/conf.h"
#include "conf/grammar.h"

enum key_type {
	KEY_TIME,
	KEY_SIZE,
	KEY_COUNT,
	KEY_PERCENT,
	KEY_CHOICE,
	KEY_TEXT,
	KEY_PATH,
	KEY_REPLY,
	KEY_DOMAIN,
	KEY_MAILBOX,
	KEY_PREFIXES,
	KEY_ENDPOINTS,
	KEY_IPV4,
	KEY_IPV6,
	KEY_NAT64,
	KEY_RELAY,
	KEY_CODES,
	KEY_STATUSES,
	KEY_PATTERNS,
};

struct value_rule {
	enum key_type type;
	uint8_t size;	   /* numbers and choices: bytes of the member */
	uint64_t min, max; /* numbers: the range; text and path: max bytes; lists: max entries; 0: the type's own */
	const char *const *choices; /* KEY_CHOICE: NULL ends it */
	uint16_t port;		    /* KEY_ENDPOINTS, KEY_RELAY: if none is given */
	/* In a block with titles, what is not given is as elsewhere: numbers are empty as CONF_INHERIT (8 bytes, see
	 * value_init()), choices as their first word. */
	bool optional;
};

/* Time, size, count or share: an unsigned integer with a range. */
bool value_is_number(const struct value_rule *rule);
/* Makes a member empty whose bytes are all zero. */
void value_init(const struct value_rule *rule, void *member);
/* Reads `values` into the empty member at `to`. 0; -ENOMEM; -EINVAL: then `bad` is the value that is wrong and `why`
 * says what it is and what was expected, ready for an error message. The member is then untouched. */
int value_read(const struct value_rule *rule, const struct grammar_value *values, void *to,
	const struct grammar_value **bad, struct buf *why);
/* Appends the text that reads back as the same value; nothing if the member is empty. 0 or buf_append()'s errors. */
int value_write(const struct value_rule *rule, const void *from, struct buf *out);
bool value_equal(const struct value_rule *rule, const void *a, const void *b);
/* Into an empty member. 0 or -ENOMEM. */
int value_copy(const struct value_rule *rule, void *to, const void *from);
bool value_empty(const struct value_rule *rule, const void *from);
/* Frees what the member holds and empties it. */
void value_fini(const struct value_rule *rule, void *member);
/* Appends what is expected, for people: "a time between 100ms and 2s". */
int value_expected(const struct value_rule *rule, struct buf *out);

/* A host's name, RFC 5321 §4.1.2: letters, digits and hyphens, labels of 1 to 63 bytes, 253 in all, no address. */
bool value_is_domain(const char *text);
/* The next hops of `text`, separated by commas, in the form of a KEY_RELAY; without a port 25. 0; -EINVAL: they cannot
 * be read; -ENOMEM. */
int value_read_relay(struct conf_relay *out, const char *text);
/* Appends them in the form that reads back the same: "[mx.example]:25, 192.0.2.1:587". 0 or buf_append()'s errors. */
int value_write_relay(const struct conf_relay *relay, struct buf *out);
void value_free_relay(struct conf_relay *relay); /* empties it */
/* ADDRESS, ADDRESS:PORT, [ADDRESS] or [ADDRESS]:PORT; a bare IPv6 address has no port. 0 or -EINVAL. */
int value_read_endpoint(struct endpoint *out, const char *text, uint16_t default_port);

#endif
