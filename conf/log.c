/* conf/log.c: plumbing. The lines themselves are made in conf/logline.c. */
#include "conf/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/clock.h"
#include "conf/counter.h"

/* A line is made on the caller's stack. A pipe that poll() calls writable takes PIECE bytes without blocking
 * (PIPE_BUF). At the end the reader has STOP_WAIT_MS for each piece. */
enum { LINE_SIZE = 16384, PIECE = 4096, STOP_WAIT_MS = 1000 };

static atomic_int current_level = LOG_LEVEL_INFO;
static atomic_int current_format = LOG_FORMAT_TEXT;

/* Under `lock`. The ring holds whole lines from `tail` on, `used` bytes; only the thread moves `tail`. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	pthread_t thread;
	bool running, stopping, sleeping;
	int fd;
	bool is_file, is_socket;
	char *ring;
	size_t size, tail, used;
	uint64_t dropped; /* lines, since the last line that said so */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};

static _Atomic(log_feed *) looks_on;

static log_feed *onlooker(void)
{
	return atomic_load_explicit(&looks_on, memory_order_acquire);
}

void log_look_on(log_feed *feed)
{
	atomic_store_explicit(&looks_on, feed, memory_order_release);
}

static bool is_logged(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
	return is_logged(level) || (level <= LOG_LEVEL_INFO && onlooker() != NULL);
}

void log_set(enum log_format format, enum log_level level)
{
	atomic_store_explicit(&current_format, (int)format, memory_order_relaxed);
	atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

static size_t make_line(char *line, enum log_level level, const char *event, const struct log_field *fields)
{
	enum log_format format = (enum log_format)atomic_load_explicit(&current_format, memory_order_relaxed);
	return log_format_line(line, LINE_SIZE, format, clock_wall_ms(), level, event, fields);
}

static void put(const char *line, size_t n)
{
	size_t head = (state.tail + state.used) % state.size;
	size_t first = state.size - head < n ? state.size - head : n;
	memcpy(state.ring + head, line, first);
	memcpy(state.ring, line + first, n - first);
	state.used += n;
}

static void drop(uint64_t lines)
{
	state.dropped += lines;
	COUNT_N(log_dropped, lines);
}

/* Puts the line that tells of dropped ones if it leaves room for `more` bytes; false if it does not. */
static bool tell_dropped(size_t more)
{
	char line[256];
	if (state.dropped == 0)
		return true;
	enum log_format format = (enum log_format)atomic_load_explicit(&current_format, memory_order_relaxed);
	const struct log_field fields[] = {LF_NUM("lines", state.dropped), {.name = NULL}};
	size_t n =
		log_format_line(line, sizeof line, format, clock_wall_ms(), LOG_LEVEL_WARNING, "log-dropped", fields);
	if (n + more > state.size - state.used)
		return false;
	put(line, n);
	state.dropped = 0;
	return true;
}

void log_emit(enum log_level level, const char *event, const struct log_field *fields)
{
	char line[LINE_SIZE];
	log_feed *feed = level <= LOG_LEVEL_INFO ? onlooker() : NULL;
	if (feed != NULL)
		feed(level, event, fields);
	if (!is_logged(level))
		return;
	size_t n = make_line(line, level, event, fields);
	pthread_mutex_lock(&state.lock);
	bool direct = !state.running;
	if (!direct) {
		if (n <= state.size - state.used && tell_dropped(n))
			put(line, n);
		else
			drop(1);
		if (state.sleeping) {
			state.sleeping = false;
			pthread_cond_signal(&state.filled);
		}
	}
	pthread_mutex_unlock(&state.lock);
	if (direct && write(STDERR_FILENO, line, n) < 0)
		COUNT(log_dropped);
}

/* Writes some of what waits, without the lock. Returns how much; 0: the reader takes nothing now; -1: it never will. */
static ssize_t write_piece(const char *from, size_t n)
{
	if (!state.is_file) {
		struct pollfd p = {.fd = state.fd, .events = POLLOUT};
		int ready = poll(&p, 1, STOP_WAIT_MS);
		if (ready == 0 || (ready < 0 && errno == EINTR))
			return 0;
		if (n > PIECE)
			n = PIECE;
	}
	ssize_t written =
		state.is_socket ? send(state.fd, from, n, MSG_DONTWAIT | MSG_NOSIGNAL) : write(state.fd, from, n);
	if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return 0;
	return written;
}

static uint64_t lines_in(const char *from, size_t n)
{
	uint64_t lines = 0;
	for (size_t i = 0; i < n; i++)
		lines += from[i] == '\n';
	return lines;
}

static void *run(void *arg)
{
	(void)arg;
	bool lost = false; /* the reader took nothing after the end was asked for */
	pthread_mutex_lock(&state.lock);
	for (;;) {
		if (state.used == 0 && !lost)
			tell_dropped(0);
		if (state.used == 0 && state.stopping)
			break;
		if (state.used == 0) {
			state.sleeping = true;
			while (state.sleeping && !state.stopping)
				pthread_cond_wait(&state.filled, &state.lock);
			state.sleeping = false;
			continue;
		}
		const char *from = state.ring + state.tail;
		size_t n = state.size - state.tail < state.used ? state.size - state.tail : state.used;
		bool stopping = state.stopping;
		pthread_mutex_unlock(&state.lock);
		ssize_t written = lost ? -1 : write_piece(from, n);
		pthread_mutex_lock(&state.lock);
		if (written < 0 || (written == 0 && stopping)) {
			/* nothing of this gets out, and it shall not hold up what comes later */
			COUNT_N(log_dropped, lines_in(from, n));
			lost = lost || stopping;
			written = (ssize_t)n;
		}
		state.tail = (state.tail + (size_t)written) % state.size;
		state.used -= (size_t)written;
	}
	pthread_mutex_unlock(&state.lock);
	return NULL;
}

int log_start(int fd, enum log_format format, enum log_level level, size_t buffer)
{
	struct stat st;
	if (buffer == 0)
		return -EINVAL;
	if (fstat(fd, &st) != 0)
		return -errno;
	char *ring = malloc(buffer);
	if (ring == NULL)
		return -ENOMEM;
	log_set(format, level);
	pthread_mutex_lock(&state.lock);
	int err = state.running ? -EALREADY : 0;
	if (err == 0) {
		state.fd = fd;
		state.is_file = S_ISREG(st.st_mode);
		state.is_socket = S_ISSOCK(st.st_mode);
		state.ring = ring;
		state.size = buffer;
		state.tail = state.used = 0;
		state.dropped = 0;
		state.stopping = state.sleeping = false;
		/* the thread takes no signals; SIGPIPE of its own writes stays pending and ends with it */
		sigset_t all, before;
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		err = -pthread_create(&state.thread, NULL, run, NULL);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		state.running = err == 0;
	}
	if (err != 0) {
		free(ring);
	} else {
		pthread_setname_np(state.thread, "log");
	}
	pthread_mutex_unlock(&state.lock);
	return err;
}

void log_stop(void)
{
	pthread_mutex_lock(&state.lock);
	bool running = state.running;
	state.running = false; /* later lines go to standard error */
	state.stopping = true;
	pthread_cond_signal(&state.filled);
	pthread_mutex_unlock(&state.lock);
	if (!running)
		return;
	pthread_join(state.thread, NULL);
	free(state.ring);
	state.ring = NULL;
}
