/* queue/deliver/needs.c: protocol. */
#include "queue/deliver/needs.h"

#include <string.h>

#include "queue/mail/envelope.h"

bool needs_is_8bit(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text > 127)
			return true;
	return false;
}

/* What may stand between < and > without harm: the sessions check more, but this is the last gate before the wire. */
static bool is_sendable(const char *address, bool utf8)
{
	size_t n = strlen(address);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)address[i];
		if (c < 32 || c == 127 || (c > 127 && !utf8))
			return false;
	}
	return n <= ADDRESS_MAX;
}

static void answer(struct transaction *t, struct transaction_rcpt *r, const struct reply *reply)
{
	r->answered = true;
	r->reply = *reply;
	t->last = *reply;
}

/* Each recipient whose address the peer cannot take is refused alone: RFC 6531 §3.5, RFC 5248 for the codes. */
static void refuse_recipients(struct transaction *t, bool utf8)
{
	struct reply own;
	for (unsigned i = 0; i < t->rcpt_count; i++) {
		struct transaction_rcpt *r = &t->rcpts[i];
		if (is_sendable(r->address, utf8))
			continue;
		if (is_sendable(r->address, true))
			reply_set(&own, 553, "5.6.7",
				"the recipient's address is not in ASCII, and the next hop has no SMTPUTF8");
		else
			reply_set(&own, 553, "5.1.3", "no mail server could take this recipient's address");
		answer(t, r, &own);
	}
}

/* RFC 2852 §4: a message that must be there in time goes to no server that does not promise it. */
static bool misses_its_time(const struct capabilities *peer, const struct transaction *t, struct reply *own)
{
	if (!t->has_by || (t->flags & ENVELOPE_BY_RETURN) == 0)
		return false;
	if (t->by_s <= 0)
		reply_set(own, 554, "5.4.7", "the time in which the message had to be delivered is over");
	else if (!peer->deliver_by)
		reply_set(own, 554, "5.4.7",
			"the message must be delivered in time or returned, and the next hop has no DELIVERBY");
	else if (t->by_s < (int64_t)peer->by_least)
		reply_set(own, 554, "5.4.7", "%lld seconds are left to deliver the message, the next hop wants %lu",
			(long long)t->by_s, (unsigned long)peer->by_least);
	else
		return false;
	return true;
}

/* Reasons that concern the message as a whole. */
static bool refuse_message(const struct capabilities *peer, const struct transaction *t, struct reply *own)
{
	bool utf8 = (t->flags & ENVELOPE_SMTPUTF8) != 0;
	if (!is_sendable(t->sender, utf8))
		reply_set(own, 553, "5.1.7", "no mail server could take the sender's address");
	else if (utf8 && !peer->utf8 && needs_is_8bit(t->sender))
		reply_set(own, 553, "5.6.7", "the sender's address is not in ASCII, and the next hop has no SMTPUTF8");
	else if (utf8 && !peer->utf8 && (t->flags & ENVELOPE_HEADER_8BIT) != 0)
		reply_set(own, 554, "5.6.9", "the message's header is in UTF-8, and the next hop has no SMTPUTF8");
	else if ((t->flags & ENVELOPE_BINARY) != 0 && !(peer->binary && peer->chunking))
		reply_set(
			own, 554, "5.6.3", "the message has binary content and the next hop takes lines of text only");
	else if ((t->flags & ENVELOPE_8BIT) != 0 && !peer->eightbit)
		reply_set(own, 554, "5.6.3", "the message has 8-bit content and the next hop takes 7-bit content only");
	else if (peer->size != 0 && t->size > peer->size)
		reply_set(own, 552, "5.3.4", "the message has %llu bytes, the next hop takes %llu",
			(unsigned long long)t->size, (unsigned long long)peer->size);
	else
		return misses_its_time(peer, t, own);
	return true;
}

bool needs_refuse(const struct capabilities *peer, struct transaction *t)
{
	struct reply own;
	bool declared = (t->flags & ENVELOPE_SMTPUTF8) != 0, left = false;
	bool all = t->for_message = refuse_message(peer, t, &own);
	refuse_recipients(t, declared && peer->utf8);
	t->utf8 = declared && ((t->flags & ENVELOPE_HEADER_8BIT) != 0 || needs_is_8bit(t->sender));
	for (unsigned i = 0; i < t->rcpt_count; i++) {
		struct transaction_rcpt *r = &t->rcpts[i];
		if (r->answered)
			continue;
		if (all)
			answer(t, r, &own);
		left |= !r->answered;
		t->utf8 |= declared && needs_is_8bit(r->address);
	}
	if (all)
		t->last = own;
	return !left;
}

bool needs_conversion(const struct capabilities *peer, const struct transaction *t, enum mime_target *target)
{
	bool binary = (t->flags & ENVELOPE_BINARY) != 0 && !(peer->binary && peer->chunking);
	bool eight = (t->flags & ENVELOPE_8BIT) != 0 && !peer->eightbit;
	*target = peer->eightbit ? MIME_TO_8BIT : MIME_TO_7BIT;
	/* a header in UTF-8 has a refusal of its own */
	bool header = (t->flags & ENVELOPE_SMTPUTF8) != 0 && (t->flags & ENVELOPE_HEADER_8BIT) != 0 && !peer->utf8;
	return (binary || eight) && !header;
}

void needs_refuse_content(struct transaction *t, const char *why)
{
	struct reply own;
	reply_set(&own, 554, "5.6.3", "the next hop cannot take the message as it is, and it cannot be converted: %s",
		why);
	t->for_message = true;
	for (unsigned i = 0; i < t->rcpt_count; i++)
		if (!t->rcpts[i].answered)
			answer(t, &t->rcpts[i], &own);
	t->last = own;
}
