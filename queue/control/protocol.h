/* queue/control/protocol.h: what relayq and the daemon say to each other on the control socket. Protocol: pure.
 *
 * A client writes one JSON object on one line (at most CONTROL_LINE_MAX bytes with its end) and reads lines, each one
 * object, up to the one of type "end" or "error", which closes the answer; then it may ask again. Answers are ASCII:
 * all else is \u-escaped. Names that end in `_ms` are milliseconds: wall time since 1970 UTC, or a span. A client that
 * closes its side ends what it asked for. New members may come in answers at any time; others are refused in requests.
 *
 * Request: {"v":1,"command":"list", ...}
 *   list      CONDITIONS: sender rcpt site domain state reason (strings), older_ms younger_ms larger;
 *             after (ID to go on behind), limit (messages; 0: all)
 *   show      id (or its unambiguous beginning)
 *   cat       id
 *   summary   limit (sites; default 100, at most CONTROL_SITES_MAX)
 *   reasons   CONDITIONS, limit (groups; default 20)
 *   tail      id (beginning), event (words, separated by commas), sender rcpt site
 *   retry hold release remove bounce redirect
 *             ids (array of strings), or CONDITIONS, or all (true); because (why), dry_run (boolean);
 *             redirect: to (as route { relay }; "": as the routes say)
 *   suspend   site (or a shell pattern), for_ms (0: until resumed), because
 *   resume    site (or a shell pattern of what was suspended)
 *   pin       site, family ("ipv4", "ipv6"), for_ms (0: until unpinned)
 *   unpin     site
 *   pins
 *   path      site (or one of its hosts, or a domain)
 *   families  limit (of the broken ones)
 *   trace     domain, connect (boolean)
 *   config    key (KEY, BLOCK, BLOCK.KEY or a title)
 *   status
 *   version
 * Answer lines, by "type":
 *   message   id arrival_ms size sender flags (array of words) reason [redirect] rcpt_count
 *             rcpts (list: the first CONTROL_RCPTS_LISTED; show: none, they follow one a line)
 *   rcpt      index address state attempts next_ms site reason
 *   attempt   when_ms took_ms next_ms site used paths replies (code enhanced text own) waited (nothing was tried)
 *             rcpt_count rcpts (the first CONTROL_RCPTS_SHOWN: index address status, numbers of reply and path or -1)
 *   content   base64 (a piece of the message, in order)
 *   site      name recipients ages oldest_ms active connections concurrency resting probe_ms reason
 *             [suspended (why) [until_ms]]; "total" is alike
 *   suspension  site reason by since_ms [until_ms] (summary: all of them)
 *   pin       site family by [until_ms]
 *   remembered  of ("family", "address", "source") site family path [host] state ("good", "broken", "refused",
 *             "resting", "unknown") standing (the same for people) [connect_ms] [greeting_ms] successes
 *             faults refusals [last_fault last_fault_ms] [good_ms] [broken_since_ms probe_ms] [refused_ms]
 *             [refused_until_ms]; a pin comes behind them
 *   families  over ("hour", "day") family ("ipv4", "ipv6", "nat64"), a number for each count of queue/path/tally.h,
 *             delay connect greeting lead (objects of count p50 p90 p99 max, milliseconds), failovers (object of why,
 *             then of step)
 *   broken    site family state ("broken", "refused") since_ms next_ms fault refusals
 *   more_broken  count (left out)
 *   reason    site reason (folded) recipients messages id (of the oldest message) oldest_ms newest_ms
 *   others    recipients (that are in none of these groups)
 *   event     line (as in the log), fields (the same as an object)
 *   lost      lines (that a slow reader of tail did not get)
 *   done      id ok [in_transfer (it takes effect when that ends)] [code text] (one for each of `ids`, in their order,
 * or for each message that was found) setting   block [title] key value (null: not set) from ("default", or FILE:LINE)
 * help restart route     text candidate host address family preference usable why history path      as in an attempt:
 * host address family preference fault fault_text started_ms [connect_ms] [greeting_ms] total_ms reply (code enhanced
 * text own) status    version storage spool messages recipients held damaged sites resting connections dials
 *             journal_segments started_ms now_ms counters (object)
 *   version   version protocol
 *   end       v count now_ms [next (list: go on behind this ID)] [summary (trace)] [refused dry_run (actions)]
 *   error     v code text; codes: the words of CONTROL_ERRORS */
#ifndef QUEUE_CONTROL_PROTOCOL_H
#define QUEUE_CONTROL_PROTOCOL_H

enum {
	CONTROL_VERSION = 1,
	CONTROL_LINE_MAX = 16384,
	CONTROL_SITES_MAX = 10000,
	CONTROL_IDS_MAX = 1000,
	CONTROL_RCPTS_LISTED = 20,
	CONTROL_RCPTS_SHOWN = 100,
	CONTROL_STRING_MAX = 1024,
	CONTROL_PIECE = 24576, /* bytes of content in one line at the most */
};

/* X(name, word) */
#define CONTROL_ERRORS(X)                                                                                              \
	X(SYNTAX, "syntax")	  /* not one JSON object on one line */                                                \
	X(TOO_LONG, "too-long")	  /* the line is over CONTROL_LINE_MAX */                                              \
	X(VERSION, "version")	  /* "v" is not ours */                                                                \
	X(COMMAND, "command")	  /* no such command */                                                                \
	X(ARGUMENT, "argument")	  /* a member is missing, unknown or out of range */                                   \
	X(NOT_FOUND, "not-found") /* no such message */                                                                \
	X(AMBIGUOUS, "ambiguous") /* more than one ID begins so */                                                     \
	X(ALREADY, "already")	  /* held already, not held */                                                         \
	X(DENIED, "denied")	  /* this user may not ask */                                                          \
	X(BUSY, "busy")		  /* limits { control } */                                                             \
	X(FAILED, "failed")	  /* the text says why */

enum control_error {
#define X(name, word) CONTROL_ERROR_##name,
	CONTROL_ERRORS(X)
#undef X
		CONTROL_ERROR_COUNT
};
const char *control_error_word(enum control_error e);
/* Of a negative code of queue/control/inspect.h. */
enum control_error control_error_of(int err);

#endif
