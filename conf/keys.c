/* conf/keys.c: state. */
#include "conf/keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "conf/titled.h"

#define MS UINT64_C(1)
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

enum { RELOAD = false, RESTART = true };

static const char *const open_relay_words[] = {"no", "i-know-that-everybody-may-relay", NULL};
static const char *const bare_words[] = {"reject", "normalize", NULL};
static const char *const early_words[] = {"reject", "allow", NULL};
static const char *const early_here_words[] = {"inherit", "reject", "allow", NULL};
static const char *const bare_here_words[] = {"inherit", "reject", "normalize", NULL};
static const char *const format_words[] = {"text", "json", NULL};
static const char *const chunking_words[] = {"binary", "always", "never", NULL};
static const char *const yes_words[] = {"no", "yes", NULL};
static const char *const answer_words[] = {"inherit", "no", "yes", NULL};
static const char *const prefer_words[] = {"auto", "ipv6", "ipv4", NULL};
static const char *const only_words[] = {"any", "ipv6", "ipv4", NULL};
static const char *const refusal_words[] = {"none", "family", "listed", NULL};
static const char *const level_words[] = {"error", "warning", "info", "debug", NULL};

const struct conf_block conf_blocks[] = {
	{"", NULL, "the top level"},
	{"listen", "ADDRESS:PORT", "an address at which mail is received"},
	{"client", "NETWORK", "what the clients of a network may do beside relaying"},
	{"source", NULL, "the addresses and names that this relay shows to other servers"},
	{"dns", NULL, "how names are looked up"},
	{"retry", NULL, "when mail that could not be delivered is tried again, and when it is given up"},
	{"race", NULL, "how a connection is made over IPv4 and IPv6 at once"},
	{"path", NULL, "what is remembered of paths: which address and which family worked"},
	{"limits", NULL, "how much is taken, held and sent at once"},
	{"storage", NULL, "how the spool is written"},
	{"log", NULL, "what is logged, and in which form"},
	{"pool", "NAME", "source addresses that belong together"},
	{"identity", "ADDRESS", "what a source address calls itself"},
	{"sender", "DOMAIN or .DOMAIN (its subdomains)", "what holds for mail from a domain"},
	{"route", "DOMAIN, .DOMAIN (its subdomains) or *", "where a domain's mail goes, and how"},
	{"refusal", "NAME", "a row of the table of refusals that another address may not share"},
	{"oracle", "ADDRESS:PORT or /PATH",
		"where servers that have one family only ask which mail they cannot deliver themselves"},
};
const size_t conf_block_count = sizeof conf_blocks / sizeof conf_blocks[0];

#define MEMBER(m) sizeof(((struct conf *)NULL)->m)
#define ROW(block, name, type, min, max, member, preset, when, help)                                                   \
	{                                                                                                              \
		block, name, {type, MEMBER(member), min, max, NULL, 0, false}, preset, when,                           \
			offsetof(struct conf, member), help                                                            \
	}
#define WORDS(block, name, words, member, preset, when, help)                                                          \
	{                                                                                                              \
		block, name, {KEY_CHOICE, MEMBER(member), 0, 0, words, 0, false}, preset, when,                        \
			offsetof(struct conf, member), help                                                            \
	}
#define ROUTE_NUMBER(name, type, min, max, member, help)                                                               \
	{                                                                                                              \
		"route", name, {type, sizeof(uint64_t), min, max, NULL, 0, true}, NULL, RELOAD,                        \
			offsetof(struct conf_route, member), help                                                      \
	}
#define ROUTE_WORDS(name, words, member, help)                                                                         \
	{                                                                                                              \
		"route", name, {KEY_CHOICE, sizeof(((struct conf_route *)NULL)->member), 0, 0, words, 0, true}, NULL,  \
			RELOAD, offsetof(struct conf_route, member), help                                              \
	}
#define ENTRY_WORDS(block, type, name, words, member, help)                                                            \
	{                                                                                                              \
		block, name, {KEY_CHOICE, sizeof(((type *)NULL)->member), 0, 0, words, 0, true}, NULL, RELOAD,         \
			offsetof(type, member), help                                                                   \
	}
#define CLIENT_WORDS(name, words, member, help) ENTRY_WORDS("client", struct conf_client, name, words, member, help)
#define REFUSAL_LIST(name, type, member, help)                                                                         \
	{                                                                                                              \
		"refusal", name, {type, 0, 0, CONF_REFUSAL_LIST_MAX, NULL, 0, false}, NULL, RELOAD,                    \
			offsetof(struct conf_refusal, member), help                                                    \
	}
#define TIME(block, name, min, max, member, preset, when, help)                                                        \
	ROW(block, name, KEY_TIME, min, max, member, preset, when, help)
#define SIZE(block, name, min, max, member, preset, when, help)                                                        \
	ROW(block, name, KEY_SIZE, min, max, member, preset, when, help)
#define COUNT(block, name, min, max, member, preset, when, help)                                                       \
	ROW(block, name, KEY_COUNT, min, max, member, preset, when, help)

/* clang-format off */
const struct conf_key conf_keys[] = {
	ROW("", "hostname", KEY_DOMAIN, 0, 0, hostname, NULL, RELOAD,
		"name of this relay, in greeting, EHLO and Received; without it the machine's own"),
	ROW("", "spool", KEY_PATH, 0, 1000, spool, "/var/spool/relay64", RESTART,
		"directory of the queue; made if the one above exists"),
	ROW("", "control", KEY_PATH, 0, sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1, control,
		"/run/relay64/control.sock", RESTART, "socket of relayq"),
	ROW("", "user", KEY_TEXT, 0, 32, user, NULL, RESTART, "account to run as when started as root"),
	ROW("", "postmaster", KEY_MAILBOX, 0, 0, postmaster, NULL, RELOAD,
		"where mail for postmaster at `hostname` goes, and From of notices; without it that is MAILER-DAEMON"),
	ROW("", "double_bounces", KEY_MAILBOX, 0, 0, double_bounces, NULL, RELOAD,
		"where notices go that mail without a sender failed; without it they are dropped"),
	ROW("", "clients", KEY_PREFIXES, 0, 4096, clients, "127.0.0.0/8, ::1/128", RELOAD,
		"networks that may relay without credentials, in place of the default"),
	ROW("", "nat64", KEY_NAT64, 0, 0, nat64, "auto", RELOAD,
		"prefix of the NAT64 translator of this network: asked for (RFC 7050), off, or given"),
	WORDS("", "bare_newline", bare_words, normalize, "reject", RELOAD,
		"a CR or LF alone in mail or commands: refused, or made a CRLF (LF) and a blank (CR)"),
	WORDS("", "chunking", chunking_words, chunking, "binary", RELOAD,
		"which content goes by BDAT to next hops that offer CHUNKING: binary content, any, none"),
	WORDS("", "early_talkers", early_words, early, "reject", RELOAD,
		"a client that speaks before it is greeted is refused, or let pass"),
	WORDS("", "soft_bounce", yes_words, soft_bounce, "no", RELOAD,
		"what would fail for good is deferred, until `give_up`: the net for the first day of a migration"),
	WORDS("", "policy_failover", yes_words, policy_failover, "yes", RELOAD,
		"a refusal that is about the address family sends the message over the other one at once"),
	WORDS("", "open_relay", open_relay_words, open_relay, "no", RELOAD,
		"allows `clients` so wide that everybody may relay"),
	COUNT("", "loops", 0, 63, loops, NULL, RESTART, "threads for connections; 0: one per processor"),
	COUNT("", "disk_workers", 1, 64, disk_workers, "4", RESTART, "threads for the files of large messages"),

	ENTRY_WORDS("listen", struct conf_listen, "bare_newline", bare_here_words, bare_newline,
		"as `bare_newline` at the top level, for this listener"),
	ENTRY_WORDS("listen", struct conf_listen, "early_talkers", early_here_words, early_talkers,
		"as `early_talkers` at the top level, for this listener"),
	{"listen", "proxy", {KEY_PREFIXES, 0, 0, 256, NULL, 0, false}, NULL, RELOAD, offsetof(struct conf_listen, proxy),
		"balancers that name their client by the PROXY protocol, version 1 or 2; nobody else is served there"},

	CLIENT_WORDS("bare_newline", bare_here_words, bare_newline, "as `bare_newline` at the top level, for these clients"),
	CLIENT_WORDS("early_talkers", early_here_words, early_talkers, "as `early_talkers` at the top level, for these clients"),
	CLIENT_WORDS("xclient", answer_words, xclient, "may say for whom they speak (XCLIENT): whatever client they name"),
	CLIENT_WORDS("xforward", answer_words, xforward, "may say for the log whose mail they forward (XFORWARD)"),
	CLIENT_WORDS("deliver_by", answer_words, deliver_by, "may set a time for delivery (DELIVERBY, RFC 2852)"),
	CLIENT_WORDS("future_release", answer_words, future_release, "may hold mail for later (FUTURERELEASE, RFC 4865)"),
	CLIENT_WORDS("priority", answer_words, priority, "may set priorities (MT-PRIORITY, RFC 6710)"),
	{"client", "sessions", {KEY_COUNT, sizeof(uint64_t), 1, 1000000, NULL, 0, true}, NULL, RELOAD,
		offsetof(struct conf_client, sessions),
		"connections of one address at once; without it limits { sessions_per_client } or { sessions_per_other }"},

	ROW("source", "ipv4", KEY_IPV4, 0, 0, source.ipv4, NULL, RELOAD, "address of outgoing IPv4 connections"),
	ROW("source", "ipv6", KEY_IPV6, 0, 0, source.ipv6, NULL, RELOAD, "address of outgoing IPv6 connections"),
	ROW("source", "helo", KEY_DOMAIN, 0, 0, source.helo, NULL, RELOAD, "name in EHLO; without it `hostname`"),
	ROW("source", "helo_ipv4", KEY_DOMAIN, 0, 0, source.helo_ipv4, NULL, RELOAD,
		"name in EHLO over IPv4; without it `helo`"),
	ROW("source", "helo_ipv6", KEY_DOMAIN, 0, 0, source.helo_ipv6, NULL, RELOAD,
		"name in EHLO over IPv6; without it `helo`"),
	ROW("source", "ipv6_share", KEY_PERCENT, 0, 100, source.ipv6_share, "100%", RELOAD,
		"share of the mail that goes over IPv6 where both families work; less for an address that is new to others"),
	TIME("source", "ipv6_warmup", 0, 364 * DAY, source.ipv6_warmup, "0", RELOAD,
		"time in which that share grows to 100%; 0: it stays"),

	{"dns", "servers", {KEY_ENDPOINTS, 0, 0, 8, NULL, 53, false}, NULL, RELOAD, offsetof(struct conf, dns.servers),
		"resolvers, best a validating one on this machine; without it those of /etc/resolv.conf"},
	TIME("dns", "timeout", 100 * MS, 30 * SECOND, dns.timeout, "2s", RELOAD, "wait for one answer of one server"),
	COUNT("dns", "tries", 1, 10, dns.tries, "3", RELOAD, "rounds over all servers"),
	COUNT("dns", "cache", 0, 1000000, dns.cache, "20000", RELOAD, "answers kept"),
	COUNT("dns", "queries", 1, 100000, dns.queries, "1000", RELOAD, "questions under way at once"),
	COUNT("dns", "hosts", 1, 100, dns.hosts, "20", RELOAD, "MX hosts of one domain that are used"),
	COUNT("dns", "addresses", 1, 100, dns.addresses, "16", RELOAD, "addresses of one host and family that are used"),
	TIME("dns", "ttl_max", 1 * SECOND, 7 * DAY, dns.ttl_max, "1d", RELOAD, "an answer is kept no longer"),
	TIME("dns", "negative_max", 0, 1 * DAY, dns.negative_max, "5m", RELOAD,
		"an answer that there is nothing is kept no longer"),
	TIME("dns", "failure", 0, 5 * MINUTE, dns.failure, "5s", RELOAD, "a failed look-up is not repeated for so long"),
	TIME("dns", "nat64_min", 1 * SECOND, 1 * HOUR, dns.nat64_min, "1m", RELOAD,
		"the NAT64 prefix is not asked for again sooner, however short its TTL"),
	TIME("dns", "nat64_max", 1 * MINUTE, 1 * DAY, dns.nat64_max, "1h", RELOAD,
		"the NAT64 prefix is asked for again after so long, however long its TTL"),

	TIME("retry", "first", 1 * SECOND, 1 * DAY, retry.first, "5m", RELOAD, "wait before the second attempt"),
	TIME("retry", "max", 1 * SECOND, 7 * DAY, retry.max, "1h", RELOAD, "longest wait between attempts"),
	TIME("retry", "give_up", 1 * SECOND, 30 * DAY, retry.give_up, "5d", RELOAD,
		"mail that could not be delivered for so long is returned"),
	TIME("retry", "warn", 0, 30 * DAY, retry.warn, "4h", RELOAD, "age at which the sender is told of a delay, once; 0: never"),
	TIME("retry", "greylist", 1 * SECOND, 1 * HOUR, retry.greylist, "1m", RELOAD,
		"wait after a refusal that looks like greylisting; never longer than `first`"),

	TIME("race", "attempt_delay", 10 * MS, 2 * SECOND, race.attempt_delay, "250ms", RELOAD,
		"head start of one connection attempt over the next (RFC 8305)"),
	TIME("race", "resolution_delay", 0, 2 * SECOND, race.resolution_delay, "50ms", RELOAD,
		"wait for IPv6 addresses when the IPv4 ones came first (RFC 8305)"),
	COUNT("race", "width", 1, 8, race.width, "3", RELOAD, "attempts under way at once to one site"),
	TIME("race", "greeting_delay", 100 * MS, 1 * MINUTE, race.greeting_delay, "5s", RELOAD,
		"head start of a connected attempt that waits for its greeting"),
	TIME("race", "patience", 100 * MS, 5 * MINUTE, race.patience, "8s", RELOAD,
		"wait for greeting, EHLO and TLS while another path is left"),
	TIME("race", "patience_mail", 100 * MS, 5 * MINUTE, race.patience_mail, "30s", RELOAD,
		"wait for replies to MAIL, RCPT and DATA while another path is left"),
	TIME("race", "stall", 1 * SECOND, 3 * MINUTE, race.stall, "15s", RELOAD,
		"a path that acknowledges no byte of a message for so long is given up while another is left"),
	COUNT("race", "sessions_per_attempt", 1, 10, race.sessions_per_attempt, "2", RELOAD,
		"sessions of one delivery attempt that get as far as MAIL"),
	TIME("race", "connect_time", 1 * SECOND, 5 * MINUTE, race.connect_time, "30s", RELOAD,
		"wait for a connection over the last path"),

	COUNT("path", "addresses", 100, 1000000, path.addresses, "20000", RELOAD, "addresses of servers that are remembered"),
	COUNT("path", "sites", 100, 1000000, path.sites, "10000", RELOAD, "sites that are remembered"),
	TIME("path", "probe_first", 1 * SECOND, 1 * DAY, path.probe_first, "2m", RELOAD,
		"a path that failed is tried again after so long, by one connection without mail"),
	TIME("path", "probe_max", 1 * SECOND, 7 * DAY, path.probe_max, "15m", RELOAD,
		"longest wait between two such tries; each failure in a row doubles it"),
	TIME("path", "probe_time", 100 * MS, 1 * MINUTE, path.probe_time, "900ms", RELOAD,
		"wait for the answer to such a connection attempt; below 1s its SYN is sent once"),
	TIME("path", "refused_first", 1 * MINUTE, 7 * DAY, path.refused_first, "1h", RELOAD,
		"a family for which a site refused mail goes last there for so long"),
	TIME("path", "refused_max", 1 * MINUTE, 30 * DAY, path.refused_max, "1d", RELOAD,
		"longest such time; each refusal in a row doubles it"),
	TIME("path", "half_life", 1 * MINUTE, 30 * DAY, path.half_life, "1d", RELOAD,
		"what was counted of a path weighs half after so long"),
	COUNT("path", "mss_ipv6", 0, 9000, path.mss_ipv6, "0", RELOAD,
		"largest segment of outgoing IPv6 connections in bytes, as 1220; 0: what the kernel finds"),

	SIZE("limits", "size", 1 * KIB, 4 * GIB, limits.size, "50M", RELOAD, "largest message"),
	COUNT("limits", "recipients", 1, 100000, limits.recipients, "1000", RELOAD, "recipients of a message"),
	COUNT("limits", "hops", 1, 1000, limits.hops, "100", RELOAD, "Received fields; more are a loop"),
	COUNT("limits", "messages", 1, 100000000, limits.messages, "1000000", RELOAD, "messages in the queue"),
	COUNT("limits", "sessions", 1, 1000000, limits.sessions, "10000", RELOAD, "clients' connections in all"),
	COUNT("limits", "sessions_per_client", 1, 1000000, limits.sessions_per_client, "2000", RELOAD,
		"connections of one address in `clients`"),
	COUNT("limits", "sessions_per_other", 1, 1000000, limits.sessions_per_other, "50", RELOAD,
		"connections of any other address (IPv6: /64)"),
	COUNT("limits", "errors", 1, 1000, limits.errors, "20", RELOAD, "refused commands before a session is ended"),
	COUNT("limits", "junk", 1, 100000, limits.junk, "100", RELOAD,
		"commands that do nothing (NOOP, RSET, VRFY, HELP, EHLO and the like) before a message; more are errors"),
	SIZE("limits", "line", 1000, 64 * KIB, limits.line, "2K", RELOAD, "longest command line"),
	TIME("limits", "command_time", 1 * SECOND, 1 * HOUR, limits.command_time, "5m", RELOAD,
		"wait for a client's next command or data"),
	TIME("limits", "data_time", 1 * SECOND, 1 * DAY, limits.data_time, "1h", RELOAD, "time for one whole message"),
	TIME("limits", "proxy_time", 100 * MS, 1 * MINUTE, limits.proxy_time, "5s", RELOAD,
		"wait for a balancer's PROXY header"),
	TIME("limits", "greet_wait", 0, 1 * MINUTE, limits.greet_wait, "0", RELOAD,
		"clients that are not in `clients` are greeted so much later, to find early talkers"),
	TIME("limits", "drain", 0, 10 * MINUTE, limits.drain, "10s", RELOAD,
		"time that deliveries and receptions under way have at the end"),
	COUNT("limits", "connections", 1, 1000000, limits.connections, "2000", RELOAD, "outgoing connections in all"),
	COUNT("limits", "site_connections", 1, 10000, limits.site_connections, "20", RELOAD,
		"outgoing connections to one site"),
	COUNT("limits", "address_connections", 1, 10000, limits.address_connections, "40", RELOAD,
		"outgoing connections to one address, of all sites"),
	COUNT("limits", "connection_messages", 1, 1000000, limits.connection_messages, "100", RELOAD,
		"messages over one outgoing connection"),
	TIME("limits", "connection_idle", 0, 5 * MINUTE, limits.connection_idle, "5s", RELOAD,
		"an idle outgoing connection is kept"),
	COUNT("limits", "reply_lines", 1, 10000, limits.reply_lines, "100", RELOAD, "lines of one reply of a server"),
	SIZE("limits", "reply_bytes", 512, 1 * MIB, limits.reply_bytes, "64K", RELOAD, "bytes of one reply of a server"),
	TIME("limits", "future_release", 1 * MINUTE, 364 * DAY, limits.future_release, "1w", RELOAD,
		"longest time for which a client may hold mail (FUTURERELEASE)"),
	TIME("limits", "deliver_by", 0, 1 * DAY, limits.deliver_by, "1m", RELOAD,
		"shortest time that a client may set for delivery (DELIVERBY, mode R)"),
	COUNT("limits", "control", 1, 1000, limits.control, "16", RELOAD, "connections of relayq at once"),
	COUNT("limits", "oracle", 1, 10000, limits.oracle, "100", RELOAD, "connections to the oracles at once"),
	TIME("limits", "oracle_time", 100 * MS, 1 * MINUTE, limits.oracle_time, "2s", RELOAD,
		"an oracle answers \"later\" to what it does not know by then"),
	SIZE("limits", "bounce_size", 0, 1 * MIB, limits.bounce_size, "50K", RELOAD,
		"a message up to this size goes back whole in its bounce, of a larger one the header"),

	SIZE("storage", "inline_limit", 4 * KIB, 4 * MIB, spool_io.inline_limit, "256K", RELOAD,
		"larger messages get a file of their own"),
	SIZE("storage", "body_memory", 1 * MIB, 1024 * GIB, spool_io.body_memory, "128M", RELOAD,
		"memory for messages being received and sent"),
	SIZE("storage", "batch_limit", 64 * KIB, 64 * MIB, spool_io.batch_limit, "4M", RESTART,
		"bytes of the journal written and synced at once"),
	SIZE("storage", "segment_size", 1 * MIB, 1 * GIB, spool_io.segment_size, "16M", RESTART,
		"one file of the journal"),
	SIZE("storage", "min_free", 0, 1024 * GIB, spool_io.min_free, "100M", RELOAD,
		"free space below which no mail is accepted"),
	SIZE("storage", "checkpoint", 1 * MIB, 64 * GIB, spool_io.checkpoint, "64M", RELOAD,
		"bytes of the journal between two checkpoints of the index"),
	TIME("storage", "outcome_delay", 0, 5 * SECOND, spool_io.outcome_delay, "50ms", RELOAD,
		"longest wait of an outcome for a batch of the journal"),

	WORDS("log", "format", format_words, log.format, "text", RELOAD, "key=value text or JSON"),
	WORDS("log", "level", level_words, log.level, "info", RELOAD, "the least that is logged"),
	SIZE("log", "buffer", 64 * KIB, 1 * GIB, log.buffer, "1M", RESTART, "lines that wait to be written; more are dropped"),

	{"pool", "addresses", {KEY_PREFIXES, 0, 0, 256, NULL, 0, false}, NULL, RELOAD, offsetof(struct conf_pool, addresses),
		"addresses of outgoing connections, of both families or one; they take turns"},
	{"pool", "ipv6_share", {KEY_PERCENT, sizeof(uint64_t), 0, 100, NULL, 0, true}, NULL, RELOAD,
		offsetof(struct conf_pool, ipv6_share), "as source { ipv6_share }, for mail from this pool"},
	{"pool", "ipv6_warmup", {KEY_TIME, sizeof(uint64_t), 0, 364 * DAY, NULL, 0, true}, NULL, RELOAD,
		offsetof(struct conf_pool, ipv6_warmup), "as source { ipv6_warmup }, for mail from this pool"},
	{"identity", "helo", {KEY_DOMAIN, 0, 0, 0, NULL, 0, false}, NULL, RELOAD, offsetof(struct conf_identity, helo),
		"name in EHLO over connections from this address"},
	{"sender", "pool", {KEY_TEXT, 0, 0, 32, NULL, 0, false}, NULL, RELOAD, offsetof(struct conf_sender, pool),
		"pool of source addresses for this mail, unless its route names one"},

	{"route", "relay", {KEY_RELAY, 0, 0, 0, NULL, 25, false}, NULL, RELOAD, offsetof(struct conf_route, relay),
		"next hops, the preferred one first: [HOST] and addresses as they are, HOST by its MX; without it the domain's own MX"},
	ROUTE_NUMBER("connections", KEY_COUNT, 1, 10000, connections,
		"outgoing connections to one site; without it limits { site_connections }"),
	ROUTE_NUMBER("messages", KEY_COUNT, 1, 1000000, messages,
		"messages over one outgoing connection; without it limits { connection_messages }"),
	ROUTE_NUMBER("recipients", KEY_COUNT, 1, 100000, recipients,
		"recipients of one transaction; without it as many as the next hop takes"),
	ROUTE_NUMBER("first", KEY_TIME, 1 * SECOND, 1 * DAY, first,
		"wait before the second attempt; without it retry { first }"),
	ROUTE_NUMBER("max", KEY_TIME, 1 * SECOND, 7 * DAY, max,
		"longest wait between attempts; without it retry { max }"),
	ROUTE_NUMBER("give_up", KEY_TIME, 1 * SECOND, 30 * DAY, give_up,
		"age at which mail is returned; without it retry { give_up }"),
	ROUTE_NUMBER("warn", KEY_TIME, 0, 30 * DAY, warn,
		"age at which the sender is told of a delay; without it retry { warn }"),
	ROUTE_WORDS("prefer", prefer_words, prefer,
		"family that goes first among the addresses of one preference; auto: the one that works, IPv6 at first"),
	ROUTE_WORDS("only", only_words, only,
		"family of the addresses that are used at all; mail for which none is left waits"),
	ROUTE_WORDS("soft_bounce", answer_words, soft_bounce, "as `soft_bounce` at the top level, for this route"),
	ROUTE_WORDS("policy_failover", answer_words, policy_failover, "as `policy_failover` at the top level, for this route"),
	ROUTE_WORDS("discard", yes_words, discard, "mail is accepted and dropped, without a notice to anybody"),
	{"route", "reject", {KEY_REPLY, 0, 0, 300, NULL, 0, false}, NULL, RELOAD, offsetof(struct conf_route, reject),
		"recipients are refused with 550 5.7.1 and this text"},
	{"route", "pool", {KEY_TEXT, 0, 0, 32, NULL, 0, false}, NULL, RELOAD, offsetof(struct conf_route, pool),
		"pool of source addresses; without it that of the sender's domain"},

	{"refusal", "kind", {KEY_CHOICE, sizeof(enum conf_refusal_kind), 0, 0, refusal_words, 0, false}, NULL, RELOAD,
		offsetof(struct conf_refusal, kind), "what it is about: the family, the address as a block list says, neither"},
	REFUSAL_LIST("code", KEY_CODES, codes, "reply codes; without them any of a refusal"),
	REFUSAL_LIST("status", KEY_STATUSES, statuses, "enhanced status codes; none: the reply has none; without them any"),
	REFUSAL_LIST("text", KEY_PATTERNS, texts, "what the text contains, * for anything between; without it any"),
	ENTRY_WORDS("refusal", struct conf_refusal, "over", only_words, over, "the family of the connection"),

	ENTRY_WORDS("oracle", struct conf_oracle, "family", prefer_words, family,
		"the one family of those who ask; auto: the one over which they ask"),
	{"oracle", "answer", {KEY_REPLY, 0, 0, 300, NULL, 0, false}, NULL, RELOAD, offsetof(struct conf_oracle, answer),
		"what is found for mail that they cannot deliver themselves; without it relay:[hostname]"},
	{"oracle", "clients", {KEY_PREFIXES, 0, 0, 4096, NULL, 0, false}, NULL, RELOAD, offsetof(struct conf_oracle, askers),
		"networks that may ask; without it `clients` of the top level"},
};
/* clang-format on */
const size_t conf_key_count = sizeof conf_keys / sizeof conf_keys[0];

const struct conf_key *keys_find(const char *block, const char *name)
{
	for (size_t i = 0; i < conf_key_count; i++)
		if (strcmp(conf_keys[i].name, name) == 0 && strcmp(conf_keys[i].block, block) == 0)
			return &conf_keys[i];
	return NULL;
}

const struct conf_block *keys_find_block(const char *name)
{
	for (size_t i = 1; i < conf_block_count; i++)
		if (strcmp(conf_blocks[i].name, name) == 0)
			return &conf_blocks[i];
	return NULL;
}

/* Names of keys and blocks are shorter; longer unknown ones are near to nothing. */
enum { NAME_MAX_LENGTH = 40 };

/* Letters to add, drop, change or swap with the next one to make `a` of `b` (optimal string alignment). */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][NAME_MAX_LENGTH + 1];
	size_t n = strlen(a), m = strlen(b);
	if (n > NAME_MAX_LENGTH || m > NAME_MAX_LENGTH)
		return SIZE_MAX;
	size_t *before = rows[0], *last = rows[1], *now = rows[2];
	for (size_t j = 0; j <= m; j++)
		last[j] = before[j] = j;
	for (size_t i = 1; i <= n; i++) {
		now[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
		size_t *spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[m];
}

struct nearest {
	const char *name;
	const char *block; /* NULL: it is a block itself */
	size_t distance;
};

static void consider(struct nearest *n, const char *wanted, const char *name, const char *block)
{
	size_t d = distance(wanted, name);
	if (d < n->distance)
		*n = (struct nearest){.name = name, .block = block, .distance = d};
}

static void list_names(const char *block, bool is_block, struct buf *out)
{
	const char *comma = "expected one of ";
	for (size_t i = 0; !is_block && i < conf_key_count; i++)
		if (strcmp(conf_keys[i].block, block) == 0) {
			buf_printf(out, "%s%s", comma, conf_keys[i].name);
			comma = ", ";
		}
	for (size_t i = 1; is_block && i < conf_block_count; i++) {
		buf_printf(out, "%s%s", comma, conf_blocks[i].name);
		comma = ", ";
	}
}

void keys_suggest(const char *block, const char *name, bool is_block, struct buf *out)
{
	/* a third of the letters may be wrong; what stands where it would be valid is nearest */
	struct nearest n = {.distance = strlen(name) / 3 + 1};
	for (size_t i = 0; !is_block && i < conf_key_count; i++)
		if (strcmp(conf_keys[i].block, block) == 0)
			consider(&n, name, conf_keys[i].name, conf_keys[i].block);
	for (size_t i = 1; is_block && i < conf_block_count; i++)
		consider(&n, name, conf_blocks[i].name, NULL);
	for (size_t i = 0; i < conf_key_count; i++)
		consider(&n, name, conf_keys[i].name, conf_keys[i].block);
	for (size_t i = 1; i < conf_block_count && *block == '\0'; i++)
		consider(&n, name, conf_blocks[i].name, NULL);
	if (n.name == NULL)
		list_names(block, is_block, out);
	else if (n.block == NULL)
		buf_printf(out, "did you mean the block %s { }?", n.name);
	else if (strcmp(n.block, block) == 0)
		buf_printf(out, "did you mean \"%s\"%s?", n.name, is_block ? ", a setting" : "");
	else
		buf_printf(
			out, "did you mean \"%s\" %s%s?", n.name, *n.block ? "in block " : "at the top level", n.block);
}

/* Dump. */

enum { COMMENT_COLUMN = 48 };

/* Ends the line that began at `start` with a comment that says where it comes from. */
static int end_line(const struct conf *c, const struct conf_origin *origin, size_t start, struct buf *out)
{
	size_t width = out->len - start + (out->data[start] == '\t' ? 7 : 0);
	int pad = width < COMMENT_COLUMN ? (int)(COMMENT_COLUMN - width) : 1;
	if (origin->file == 0)
		return buf_printf(out, "%*s# default\n", pad, "");
	return buf_printf(out, "%*s# %s:%u\n", pad, "", c->files[origin->file - 1], (unsigned)origin->line);
}

static int dump_key(const struct conf *c, const struct conf_key *key, struct buf *out)
{
	const char *member = (const char *)c + key->at;
	const char *indent = *key->block ? "\t" : "";
	size_t start = out->len;
	int err = value_empty(&key->rule, member) ? buf_printf(out, "%s# %s is not set", indent, key->name)
						  : buf_printf(out, "%s%s = ", indent, key->name);
	if (err == 0)
		err = value_write(&key->rule, member, out);
	return err ? err : end_line(c, &c->origins[key - conf_keys], start, out);
}

static int dump_block(const struct conf *c, const struct conf_block *block, struct buf *out)
{
	int err = *block->name ? buf_printf(out, "\n%s {\n", block->name) : 0;
	for (size_t i = 0; err == 0 && i < conf_key_count; i++)
		if (strcmp(conf_keys[i].block, block->name) == 0)
			err = dump_key(c, &conf_keys[i], out);
	return err == 0 && *block->name ? buf_append_str(out, "}\n") : err;
}

/* One instance of a block with titles, on one line. */
static int dump_titled(const struct conf *c, const struct conf_titled *t, size_t which, struct buf *out)
{
	const char *base = titled_item(t, c, which);
	size_t start = out->len;
	int err = buf_printf(out, "%s ", t->block);
	if (err == 0)
		err = t->write_title(base, out);
	if (err == 0)
		err = buf_append_str(out, " { ");
	for (size_t i = 0; err == 0 && i < conf_key_count; i++) {
		const struct conf_key *key = &conf_keys[i];
		const char *member = base + key->at;
		if (strcmp(key->block, t->block) != 0 || value_empty(&key->rule, member))
			continue;
		err = buf_printf(out, "%s = ", key->name);
		if (err == 0)
			err = value_write(&key->rule, member, out);
		if (err == 0)
			err = buf_append_str(out, " ");
	}
	if (err == 0)
		err = buf_append_str(out, "}");
	return err ? err : end_line(c, titled_origin(t, c, which), start, out);
}

int conf_dump(const struct conf *c, struct buf *out)
{
	int err = 0;
	for (size_t i = 0; err == 0 && i < conf_block_count; i++)
		if (conf_blocks[i].title == NULL)
			err = dump_block(c, &conf_blocks[i], out);
	if (err == 0)
		err = buf_append_str(out, "\n");
	for (size_t i = 0; err == 0 && i < conf_titled_count; i++)
		for (size_t k = 0; err == 0 && k < titled_count(&conf_titled[i], c); k++)
			err = dump_titled(c, &conf_titled[i], k, out);
	return err;
}

/* Restart. */

int conf_restart_keys(const struct conf *running, const struct conf *fresh, struct buf *names)
{
	int err = 0;
	size_t before = names->len;
	for (size_t i = 0; err == 0 && i < conf_key_count; i++) {
		const struct conf_key *key = &conf_keys[i];
		int same = key->restart ? value_equal(&key->rule, (const char *)running + key->at,
						  (const char *)fresh + key->at)
					: 1;
		if (!same)
			err = buf_printf(names, "%s%s%s%s", names->len > before ? ", " : "", key->block,
				*key->block ? "." : "", key->name);
	}
	return err;
}

int conf_keep_restart_keys(struct conf *fresh, const struct conf *running)
{
	int err = 0;
	for (size_t i = 0; err == 0 && i < conf_key_count; i++) {
		const struct conf_key *key = &conf_keys[i];
		if (!key->restart)
			continue;
		value_fini(&key->rule, (char *)fresh + key->at);
		err = value_copy(&key->rule, (char *)fresh + key->at, (const char *)running + key->at);
	}
	return err;
}
