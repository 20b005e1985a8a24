/* conf/counter.c: state. */
#include "conf/counter.h"

_Atomic uint64_t counter_values[COUNTER_COUNT];

static const struct {
	const char *name;
	const char *help;
} rows[COUNTER_COUNT] = {
#define X(name, help) {#name, help},
	COUNTERS(X)
#undef X
};

void counter_raise(enum counter which, uint64_t value)
{
	uint64_t old = atomic_load_explicit(&counter_values[which], memory_order_relaxed);
	while (old < value && !atomic_compare_exchange_weak_explicit(
				      &counter_values[which], &old, value, memory_order_relaxed, memory_order_relaxed))
		;
}

uint64_t counter_get(enum counter which)
{
	return atomic_load_explicit(&counter_values[which], memory_order_relaxed);
}

const char *counter_name(enum counter which)
{
	return rows[which].name;
}

const char *counter_help(enum counter which)
{
	return rows[which].help;
}
