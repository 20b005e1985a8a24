/* tests/unit/server_dialogue.h: what a client says, and what the server's machine must answer and take. Each dialogue
 * is run whole, byte by byte and in odd pieces: replies and messages must be the same. */
#ifndef TESTS_SERVER_DIALOGUE_H
#define TESTS_SERVER_DIALOGUE_H

#include "smtpd/server.h"

/* The wall clock of the tests: 2026-11-23T14:15:40Z. */
#define DIALOGUE_NOW UINT64_C(1795443340000)

#define DATE "Mon, 23 Nov 2026 14:15:40 +0000"
#define G "220 r.example ESMTP relay64\r\n"
#define EHLO "EHLO c.example\r\n"
#define HI_LEAD                                                                                                        \
	"250-r.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-CHUNKING\r\n250-BINARYMIME\r\n"       \
	"250-SMTPUTF8\r\n250-DSN\r\n250-LIMITS RCPTMAX=3\r\n"
#define HI HI_LEAD "250 ENHANCEDSTATUSCODES\r\n"
#define M "MAIL FROM:<a@b>\r\n"
#define R "RCPT TO:<c@d>\r\n"
#define MOK "250 2.1.0 Ok\r\n"
#define ROK "250 2.1.5 Ok\r\n"
#define OK "250 2.0.0 Ok\r\n"
#define GO "354 End with CRLF.CRLF\r\n"
#define Q1 "250 2.0.0 Ok: queued as 0000000000001\r\n"
#define Q2 "250 2.0.0 Ok: queued as 0000000000002\r\n"
#define BYE "221 2.0.0 r.example closes\r\n"
#define TRACE1                                                                                                         \
	"Received: from c.example ([192.0.2.1])\r\n\tby r.example with ESMTP id 0000000000001\r\n\tfor "               \
	"<c@d>;\r\n\t" DATE "\r\n"
#define TRACE2                                                                                                         \
	"Received: from c.example ([192.0.2.1])\r\n\tby r.example with ESMTP id 0000000000002\r\n\tfor "               \
	"<c@d>;\r\n\t" DATE "\r\n"
#define BARE "550 5.5.2 The message has a CR or LF that is not part of a CRLF\r\n"
#define ENDS "500 5.5.2 A line must end in CRLF, and CR and LF stand nowhere else\r\n"
#define NO_RCPT "554 5.5.1 No valid recipients\r\n"
#define SYNTAX "501 5.5.4 Syntax: MAIL FROM:<address> or RCPT TO:<address>\r\n"
#define UNKNOWN "500 5.5.1 Command not known\r\n"
#define NEED_HELO "503 5.5.1 Say EHLO or HELO first\r\n"
#define NEED_MAIL "503 5.5.1 Say MAIL first\r\n"
#define NESTED "503 5.5.1 A transaction is open already: RSET ends it\r\n"
#define DENIED "550 5.7.1 Relaying denied: your address is not in `clients`\r\n"
#define BIG "552 5.3.4 Message too big\r\n"
#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

/* What the driver answers and notes. */
struct world {
	enum smtp_room room;
	int open_err, commit_err, body_err;
	uint64_t next_id;
	struct buf said, body, messages; /* messages: "sender|rcpt|rcpt|8?\n" and content */
	unsigned refused[SMTP_REFUSAL_COUNT];
	unsigned visited;
	size_t largest_out;
	bool closed;
};

struct dialogue {
	const char *in, *said, *messages;
	bool stranger;	 /* may not relay */
	bool postmaster; /* mail for postmaster goes to pat@p.example */
	bool xclient, xforward;
	bool normalize, deliver_by, future_release, priority; /* rights */
	bool closed;
	enum smtp_room room;
	int open_err, commit_err, body_err;
};

struct conf dialogue_test_conf(void);
void dialogue_world_init(struct world *w);
void dialogue_world_fini(struct world *w);
void dialogue_start(struct world *w, struct smtp_server *s, const struct conf *c, const struct rights *rights);
/* Does what the machine wants until it wants input. */
void dialogue_obey(struct world *w, struct smtp_server *s, enum smtp_want want);
void dialogue_feed(struct world *w, struct smtp_server *s, const char *in, size_t len);
/* Fails, showing `in`, if `got` is not `want`. */
void dialogue_same(const struct buf *got, const char *want, const char *in);
/* Returns the states that were visited, a bit each. */
unsigned dialogue_run_all(const struct dialogue *rows, size_t count);
#define RUN(rows) dialogue_run_all(rows, sizeof(rows) / sizeof(rows)[0])

extern uint32_t dialogue_seed;

#endif
