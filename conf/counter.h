/* conf/counter.h: what the process counts, one row each, shown by `relayq status`. State, any thread.
 *
 * A counter only grows; a gauge is set or moved both ways. Every limit of the configuration has a counter of the times
 * that it was reached. */
#ifndef CONF_COUNTER_H
#define CONF_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

/* X(name, help); names are as users see them */
#define COUNTERS(X)                                                                                                    \
	X(sessions_accepted, "client connections accepted")                                                            \
	X(sessions_refused_all, "client connections refused: limits { sessions }")                                     \
	X(sessions_refused_client,                                                                                     \
		"client connections refused: limits { sessions_per_client } or { sessions_per_other }")                \
	X(early_talkers, "client connections refused: the client spoke before it was greeted")                         \
	X(proxy_foreign, "connections closed: not from a balancer of listen { proxy }")                                \
	X(proxy_wrong, "connections of balancers closed: no valid PROXY header")                                       \
	X(proxy_timeouts, "connections of balancers closed: limits { proxy_time }")                                    \
	X(accept_failures, "pauses in accepting: no descriptors or memory left")                                       \
	X(sessions_open, "client sessions open now")                                                                   \
	X(messages_received, "messages accepted for delivery")                                                         \
	X(bytes_received, "bytes of messages accepted")                                                                \
	X(relay_denied, "recipients refused: client may not relay")                                                    \
	X(refused_size, "messages refused: limits { size }")                                                           \
	X(refused_route, "recipients refused: route { reject }")                                                       \
	X(refused_range, "messages refused: limits { future_release } or { deliver_by }")                              \
	X(refused_recipients, "recipients refused: limits { recipients }")                                             \
	X(refused_hops, "messages refused: limits { hops }")                                                           \
	X(refused_line, "commands refused: limits { line }")                                                           \
	X(refused_bare, "messages refused: a bare CR or LF, or a dot behind NULs (smuggling)")                         \
	X(refused_queue, "messages refused: limits { messages }")                                                      \
	X(refused_space, "messages refused: storage { min_free }")                                                     \
	X(refused_storage, "messages refused: the spool could not be written")                                         \
	X(timeouts_command, "sessions ended: limits { command_time }")                                                 \
	X(timeouts_data, "sessions ended: limits { data_time }")                                                       \
	X(sessions_errors, "sessions ended: limits { errors }")                                                        \
	X(refused_junk, "commands refused: limits { junk }")                                                           \
	X(messages_queued, "messages in the queue now")                                                                \
	X(messages_held, "messages held now")                                                                          \
	X(messages_damaged, "messages held as damaged now")                                                            \
	X(recipients_delivered, "recipients delivered")                                                                \
	X(recipients_deferred, "recipients deferred (attempts)")                                                       \
	X(recipients_failed, "recipients failed")                                                                      \
	X(recipients_expired, "recipients failed: retry { give_up }")                                                  \
	X(recipients_discarded, "recipients whose route discards")                                                     \
	X(soft_bounces, "failures that were deferred: soft_bounce")                                                    \
	X(suspensions, "sites or patterns of sites suspended now")                                                     \
	X(bounces_sent, "bounces written to the queue")                                                                \
	X(bounces_cut, "bounces with the header alone: limits { bounce_size }")                                        \
	X(bounces_double, "double bounces written to the queue")                                                       \
	X(notices_delayed, "warnings of delay written to the queue")                                                   \
	X(notices_relayed, "notices of success written to the queue: mail was handed on")                              \
	X(bounces_dropped, "failed recipients of whom nobody is told: no sender, or NOTIFY")                           \
	X(connections_open, "outbound connections open now")                                                           \
	X(connections_made, "outbound connections that were greeted")                                                  \
	X(connections_reused, "messages sent over a connection already used")                                          \
	X(messages_converted, "messages converted for a next hop that could not take them as they are")                \
	X(races_started, "races for a connection")                                                                     \
	X(races_failed, "races without a winner")                                                                      \
	X(probes_started, "connections that tried a doubtful path, without mail")                                      \
	X(probes_greeted, "of these, those that found that it works")                                                  \
	X(path_limit_addresses, "times that path { addresses } was reached")                                           \
	X(path_limit_sites, "times that path { sites } was reached")                                                   \
	X(pins, "sites whose family an operator has pinned now")                                                       \
	X(sources_unusable, "times that a source address was told to be none of this host's")                          \
	X(sources_none_usable, "connections for which no source address of the pool could be used")                    \
	X(failovers_policy, "messages sent over the other family because one was refused for its family")              \
	X(failovers_listed, "messages sent over the other family because an address was on a block list")              \
	X(failovers_fault, "messages sent over another path because one broke under them")                             \
	X(attempts_ipv4, "connection attempts over IPv4")                                                              \
	X(attempts_ipv6, "connection attempts over IPv6")                                                              \
	X(wins_ipv4, "races won over IPv4")                                                                            \
	X(wins_ipv6, "races won over IPv6")                                                                            \
	X(delivered_ipv4, "recipients delivered over IPv4")                                                            \
	X(delivered_ipv6, "recipients delivered over IPv6")                                                            \
	X(replies_oversized, "peers' replies over limits { reply_lines } or { reply_bytes }")                          \
	X(batches_split, "transactions whose rest of recipients went at once in another: too many at a time")          \
	X(limit_connections, "times that limits { connections } was reached")                                          \
	X(limit_site_connections, "times that limits { site_connections } was reached")                                \
	X(limit_address_connections, "times that limits { address_connections } was reached")                          \
	X(dns_queries, "DNS queries sent")                                                                             \
	X(dns_cache_hits, "DNS answers from the cache")                                                                \
	X(dns_failures, "DNS queries that failed (SERVFAIL, time-out)")                                                \
	X(dns_limit_cache, "times that dns { cache } was reached")                                                     \
	X(dns_limit_queries, "times that dns { queries } was reached")                                                 \
	X(nat64_prefixes, "NAT64 prefixes in use now")                                                                 \
	X(nat64_failures, "questions for the NAT64 prefix that failed")                                                \
	X(nat64_not_believed, "NAT64 prefixes that were offered by resolvers which may not")                           \
	X(journal_batches, "batches written to the journal")                                                           \
	X(journal_records, "records written to the journal")                                                           \
	X(journal_bytes, "bytes written to the journal")                                                               \
	X(journal_failures, "batches that could not be made durable")                                                  \
	X(journal_segments, "segments of the journal in use now")                                                      \
	X(journal_moved, "messages copied forward to free a segment")                                                  \
	X(checkpoints, "index checkpoints written")                                                                    \
	X(bodies_spilled, "bodies written to a file of their own")                                                     \
	X(bodies_dropped, "accepted bodies dropped from memory: storage { body_memory }")                              \
	X(bodies_read, "bodies read back from the spool")                                                              \
	X(log_dropped, "log lines dropped: log { buffer }")                                                            \
	X(control_refused, "control connections refused: limits { control }")                                          \
	X(oracle_open, "connections to the oracles open now")                                                          \
	X(oracle_refused_all, "connections to the oracles refused: limits { oracle }")                                 \
	X(oracle_refused_stranger, "connections to the oracles refused: not in oracle { clients }")                    \
	X(oracle_questions, "questions to the oracles answered")                                                       \
	X(oracle_relayed, "of these, answered with oracle { answer }: the other family is needed")                     \
	X(oracle_deferred, "of these, answered with \"later\": the DNS did not say")                                   \
	X(oracle_timeouts, "questions to the oracles answered because of limits { oracle_time }")                      \
	X(oracle_oversized, "questions to the oracles over limits { line }: answered with \"not found\"")              \
	X(oracle_malformed, "connections to the oracles closed: what was said is no question")                         \
	X(oracle_idle, "connections to the oracles closed: limits { command_time }")                                   \
	X(queue_slice_longest_us, "longest task of the queue thread, microseconds")

enum counter {
#define X(name, help) COUNTER_##name,
	COUNTERS(X)
#undef X
		COUNTER_COUNT
};

extern _Atomic uint64_t counter_values[COUNTER_COUNT];

#define COUNT(name) atomic_fetch_add_explicit(&counter_values[COUNTER_##name], 1, memory_order_relaxed)
#define COUNT_N(name, n) atomic_fetch_add_explicit(&counter_values[COUNTER_##name], (uint64_t)(n), memory_order_relaxed)
#define COUNT_DOWN(name) atomic_fetch_sub_explicit(&counter_values[COUNTER_##name], 1, memory_order_relaxed)
#define COUNT_SET(name, n) atomic_store_explicit(&counter_values[COUNTER_##name], (uint64_t)(n), memory_order_relaxed)

/* Raises a counter to `value` if that is more. */
void counter_raise(enum counter which, uint64_t value);
uint64_t counter_get(enum counter which);
const char *counter_name(enum counter which);
const char *counter_help(enum counter which);

#endif
