/* conf/clock.c: plumbing. */
#include "conf/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t read_clock(clockid_t which)
{
	struct timespec t;
	clock_gettime(which, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t clock_wall_ms(void)
{
	return read_clock(CLOCK_REALTIME);
}

uint64_t clock_mono_ms(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

const char *clock_date(uint64_t wall_ms, char out[CLOCK_DATE])
{
	/* strftime's names follow the locale; the daemon never sets one, but RFC 5322 wants English whatever happens */
	static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm = {0};
	localtime_r(&seconds, &tm);
	long offset = tm.tm_gmtoff / 60;
	char sign = offset < 0 ? '-' : '+';
	if (offset < 0)
		offset = -offset;
	snprintf(out, CLOCK_DATE, "%s, %d %s %d %02d:%02d:%02d %c%02ld%02ld", days[tm.tm_wday % 7], tm.tm_mday,
		months[tm.tm_mon % 12], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec, sign, offset / 60 % 100,
		offset % 60);
	return out;
}

const char *clock_stamp(uint64_t wall_ms, char out[CLOCK_STAMP])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm = {0};
	gmtime_r(&seconds, &tm);
	size_t n = strftime(out, CLOCK_STAMP, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, CLOCK_STAMP - n, ".%03uZ", (unsigned)(wall_ms % 1000));
	return out;
}

const char *clock_span(uint64_t ms, char out[CLOCK_SPAN])
{
	static const struct {
		uint64_t ms;
		const char *name;
	} units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}};
	enum { UNITS = sizeof units / sizeof units[0] };

	for (unsigned i = 0; i < UNITS; i++) {
		if (ms < units[i].ms)
			continue;
		unsigned long long whole = ms / units[i].ms;
		unsigned long long rest = i + 1 < UNITS ? ms % units[i].ms / units[i + 1].ms : 0;
		if (rest != 0)
			snprintf(out, CLOCK_SPAN, "%llu%s%llu%s", whole, units[i].name, rest, units[i + 1].name);
		else
			snprintf(out, CLOCK_SPAN, "%llu%s", whole, units[i].name);
		return out;
	}
	snprintf(out, CLOCK_SPAN, "%llums", (unsigned long long)ms);
	return out;
}
