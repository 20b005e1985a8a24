/* smtpd/main.c: relay64, the daemon: command line, start, signals, stop. Plumbing.
 *
 * The main thread owns nothing but signals. Start: configuration, spool (under its lock), listeners, then the threads.
 * Stop (TERM, INT): listeners and sessions first, deliveries beside them; when both are done the queue writes its last
 * outcomes and its checkpoint, then threads and spool are closed. */
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "conf/clock.h"
#include "conf/conf.h"
#include "conf/ioloop.h"
#include "conf/keys.h"
#include "conf/log.h"
#include "queue/queue.h"
#include "smtpd/listener.h"

static const char default_file[] = "/etc/relay64/relay64.conf";
static const char default_dir[] = "./var";

enum { ERRORS_MAX = 65536 };

struct options {
	const char *file;
	const char *try_dir; /* NULL: no --try */
	bool check;
};

struct loop_end {
	struct letter letter;
	struct ioloop *loop;
};

struct daemon {
	struct options options;
	struct conf *conf;
	struct ioloop *loops;
	struct loop_end *ends; /* one a loop: there is no memory to be asked for when the end comes */
	unsigned loop_count;
	struct queue_thread *queue;
	struct smtpd *smtpd;
	uv_loop_t uv; /* the main thread's */
	uv_signal_t term, interrupt, hup;
	uv_async_t smtpd_done, queue_done;
	unsigned terms;
};

static void usage(FILE *out)
{
	fputs("relay64 " RELAY64_VERSION ", an SMTP relay between IPv4 and IPv6\n"
	      "\n"
	      "usage: relay64 [-f FILE] [-t]     run on the configuration FILE (default: /etc/relay64/relay64.conf)\n"
	      "       relay64 --try [DIR]        run on safe defaults: loopback clients only, port 2525, all in DIR "
	      "(./var)\n"
	      "       relay64 -V | -h            version, this help\n"
	      "\n"
	      "  -t   check the configuration and exit\n"
	      "\n"
	      "It stays in the foreground and logs to standard error. TERM stops it, HUP reads the configuration "
	      "again.\n"
	      "`relayq` looks into its queue. See relay64(8), relay64.conf(5), relayq(1).\n",
		out);
}

/* Returns -1 to go on, else the exit code. */
static int read_options(struct options *o, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];
		if (strcmp(a, "-V") == 0 || strcmp(a, "--version") == 0) {
			puts("relay64 " RELAY64_VERSION);
			return EX_OK;
		}
		if (strcmp(a, "-h") == 0 || strcmp(a, "--help") == 0) {
			usage(stdout);
			return EX_OK;
		}
		if (strcmp(a, "-t") == 0) {
			o->check = true;
		} else if (strcmp(a, "-f") == 0 && i + 1 < argc) {
			o->file = argv[++i];
		} else if (strcmp(a, "--try") == 0) {
			o->try_dir = i + 1 < argc && argv[i + 1][0] != '-' ? argv[++i] : default_dir;
		} else {
			fprintf(stderr, "relay64: %s %s; see relay64 -h\n",
				strcmp(a, "-f") == 0 ? "a file is missing behind" : "unknown option", a);
			return EX_USAGE;
		}
	}
	if (o->try_dir != NULL && o->file != NULL) {
		fputs("relay64: -f and --try exclude each other: --try has a configuration of its own\n", stderr);
		return EX_USAGE;
	}
	return -1;
}

static void print_text(struct buf *text)
{
	if (text->len > 0)
		fprintf(stderr, "%s%s", text->data, text->data[text->len - 1] == '\n' ? "" : "\n");
	buf_reset(text);
}

static int load(const struct options *o, struct conf **conf, struct buf *errors)
{
	if (o->try_dir != NULL) {
		if (mkdir(o->try_dir, 0700) != 0 && errno != EEXIST) {
			buf_printf(errors, "relay64: cannot make %s: %s\n", o->try_dir, strerror(errno));
			return -errno;
		}
		return conf_try(conf, o->try_dir, errors);
	}
	if (o->file == NULL && access(default_file, F_OK) != 0) {
		buf_printf(errors,
			"relay64: there is no %s\n"
			"  write one (relay64.conf(5) and relay64.conf.sample show how), or name another: relay64 -f "
			"FILE\n"
			"  or try it on safe defaults: relay64 --try\n",
			default_file);
		return -ENOENT;
	}
	return conf_load(conf, o->file ? o->file : default_file, errors);
}

/* ---- start ---- */

/* Descriptors for all sessions and connections that the configuration allows; fewer lower the limits, loudly. */
static void raise_file_limit(struct conf *c)
{
	struct rlimit limit;
	const uint64_t own = 200 + c->limits.oracle;
	uint64_t wanted = c->limits.sessions * 2 + c->limits.connections * 2 + own;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	if (limit.rlim_cur < wanted) {
		limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
		if (geteuid() == 0 && limit.rlim_max < wanted)
			limit.rlim_cur = limit.rlim_max = wanted;
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
			getrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur >= wanted)
		return;
	uint64_t have = limit.rlim_cur > own ? limit.rlim_cur - own : 1;
	c->limits.sessions = c->limits.sessions * have / (wanted - own);
	c->limits.connections = c->limits.connections * have / (wanted - own);
	if (c->limits.sessions == 0)
		c->limits.sessions = 1;
	if (c->limits.connections == 0)
		c->limits.connections = 1;
	LOG_WARN("few-descriptors", LF_NUM("have", limit.rlim_cur), LF_NUM("wanted", wanted),
		LF_NUM("sessions", c->limits.sessions), LF_NUM("connections", c->limits.connections),
		LF_STR("what", "limits { sessions } and { connections } are lowered; raise the limit of open files"));
}

/* Folders that root makes for the user of the configuration, if they are missing. */
static void make_folder(const char *path, const struct passwd *p)
{
	if (mkdir(path, 0755) == 0 && chown(path, p->pw_uid, p->pw_gid) != 0)
		fprintf(stderr, "relay64: cannot give %s to %s: %s\n", path, p->pw_name, strerror(errno));
}

/* Started as root with `user`: everything but binding the listeners is done as that user, and root is given up for good
 * once they are bound. NULL: nothing to do. */
static const struct passwd *find_user(const struct conf *c, int *code)
{
	if (c->user == NULL && geteuid() == 0)
		LOG_WARN("runs-as-root", LF_STR("what", "set `user` in the configuration to run as somebody else"));
	if (c->user == NULL || geteuid() != 0)
		return NULL;
	const struct passwd *p = getpwnam(c->user);
	if (p == NULL) {
		fprintf(stderr, "relay64: user %s does not exist\n", c->user);
		*code = EX_NOUSER;
		return NULL;
	}
	make_folder(c->spool, p);
	char folder[PATH_MAX];
	snprintf(folder, sizeof folder, "%s", c->control);
	char *slash = strrchr(folder, '/');
	if (slash != NULL && slash != folder) {
		*slash = '\0';
		make_folder(folder, p);
	}
	if (initgroups(c->user, p->pw_gid) != 0 || setegid(p->pw_gid) != 0 || seteuid(p->pw_uid) != 0) {
		fprintf(stderr, "relay64: cannot become user %s: %s\n", c->user, strerror(errno));
		*code = EX_NOPERM;
	}
	return p;
}

static int give_up_root(const struct passwd *p)
{
	if (p == NULL)
		return EX_OK;
	if (setgid(p->pw_gid) != 0 || setuid(p->pw_uid) != 0) {
		fprintf(stderr, "relay64: cannot become user %s: %s\n", p->pw_name, strerror(errno));
		return EX_NOPERM;
	}
	return EX_OK;
}

static int open_loops(struct daemon *d)
{
	d->loops = calloc(d->conf->loops, sizeof *d->loops);
	d->ends = calloc(d->conf->loops, sizeof *d->ends);
	if (d->loops == NULL || d->ends == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < d->conf->loops; i++) {
		char name[16];
		snprintf(name, sizeof name, "io%u", i);
		int err = ioloop_init(&d->loops[i], name, i);
		if (err != 0)
			return err;
		d->loop_count++;
	}
	return 0;
}

/* Loops that never got their thread: what was opened on them is closed and waits to be told so. */
static void drop_loops(struct daemon *d)
{
	for (unsigned i = 0; i < d->loop_count; i++) {
		ioloop_finish(&d->loops[i]);
		uv_run(&d->loops[i].uv, UV_RUN_DEFAULT);
		ioloop_join(&d->loops[i]);
	}
}

/* What a newcomer wants to know. */
static void tell(const struct daemon *d)
{
	const struct conf *c = d->conf;
	char at[ENDPOINT_TEXT], client[PREFIX_TEXT];
	struct buf text;
	if (d->options.try_dir == NULL)
		return;
	buf_init(&text, ERRORS_MAX);
	buf_append_str(&text, "relay64 " RELAY64_VERSION " is running.\n  listens on   ");
	for (size_t i = 0; i < c->listen_count; i++)
		buf_printf(&text, "%s%s", i ? ", " : "", endpoint_format(&c->listen[i].at, at));
	buf_append_str(&text, "\n  relays for   ");
	for (size_t i = 0; i < c->clients.count; i++)
		buf_printf(&text, "%s%s", i ? ", " : "", prefix_format(&c->clients.items[i], client));
	buf_printf(&text, "\n  spool        %s (%llu messages)\n", c->spool,
		(unsigned long long)queue_message_count(d->queue));
	const char *port = c->listen_count ? strrchr(endpoint_format(&c->listen[0].at, at), ':') + 1 : "2525";
	buf_printf(&text,
		"Send a first message:   swaks --server 127.0.0.1:%s --from you@example.org --to "
		"'someone@[192.0.2.1]'\n"
		"Look at the queue:      build/relayq -c %s list\n"
		"Nobody lives at 192.0.2.1: the mail waits, and relayq says why. Mail to real addresses is delivered.\n"
		"Ctrl-C stops it.\n",
		port, c->control);
	print_text(&text); /* one write: the log thread writes there, too */
	buf_fini(&text);
}

/* ---- signals ---- */

static void on_smtpd_stopped(void *arg)
{
	struct daemon *d = arg;
	uv_async_send(&d->smtpd_done);
}

static void on_queue_stopped(void *arg)
{
	struct daemon *d = arg;
	uv_async_send(&d->queue_done);
}

/* No session is left: what they posted is with the queue by now. */
static void on_smtpd_done(uv_async_t *async)
{
	struct daemon *d = async->data;
	queue_finish(d->queue);
}

static void close_signals(struct daemon *d)
{
	uv_handle_t *all[] = {(uv_handle_t *)&d->term, (uv_handle_t *)&d->interrupt, (uv_handle_t *)&d->hup,
		(uv_handle_t *)&d->smtpd_done, (uv_handle_t *)&d->queue_done};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (!uv_is_closing(all[i]))
			uv_close(all[i], NULL);
}

static void on_queue_done(uv_async_t *async)
{
	close_signals(async->data);
}

static void on_term(uv_signal_t *signal, int number)
{
	struct daemon *d = signal->data;
	d->terms++;
	uint64_t drain = d->terms == 1 ? d->conf->limits.drain : 0;
	LOG_INFO("stopping", LF_STR("signal", number == SIGINT ? "INT" : "TERM"), LF_MS("drain", drain));
#ifdef HAVE_SYSTEMD
	sd_notify(0, "STOPPING=1");
#endif
	smtpd_stop(d->smtpd, drain, on_smtpd_stopped, d);
	queue_drain(d->queue, drain, on_queue_stopped, d);
}

static void on_hup(uv_signal_t *signal, int number)
{
	struct daemon *d = signal->data;
	(void)number;
	if (d->terms > 0)
		return;
	struct buf errors, names;
	struct conf *fresh;
	buf_init(&errors, ERRORS_MAX);
	buf_init(&names, ERRORS_MAX);
	if (load(&d->options, &fresh, &errors) != 0) {
		LOG_ERR("reload-failed", LF_STR("what", "the old configuration stays in force"),
			LF_STR("errors", errors.data ? (char *)errors.data : ""));
	} else {
		raise_file_limit(fresh);
		conf_restart_keys(d->conf, fresh, &names);
		if (names.len > 0)
			LOG_WARN("restart-needed", LF_STR("keys", (char *)names.data));
		conf_keep_restart_keys(fresh, d->conf);
		log_set(fresh->log.format, fresh->log.level);
		if (smtpd_reload(d->smtpd, fresh, &errors) != 0)
			LOG_ERR("listen-failed", LF_STR("errors", errors.data ? (char *)errors.data : ""));
		if (queue_reload(d->queue, fresh) != 0)
			LOG_ERR("no-memory", LF_STR("what", "the queue stays with the old configuration"));
		conf_unref(d->conf);
		d->conf = fresh;
		LOG_INFO("reloaded", LF_STR("file", fresh->file));
	}
	buf_fini(&errors);
	buf_fini(&names);
}

static int watch_signals(struct daemon *d)
{
	int err = uv_loop_init(&d->uv);
	if (err != 0)
		return err;
	uv_signal_init(&d->uv, &d->term);
	uv_signal_init(&d->uv, &d->interrupt);
	uv_signal_init(&d->uv, &d->hup);
	uv_async_init(&d->uv, &d->smtpd_done, on_smtpd_done);
	uv_async_init(&d->uv, &d->queue_done, on_queue_done);
	d->term.data = d->interrupt.data = d->hup.data = d->smtpd_done.data = d->queue_done.data = d;
	uv_signal_start(&d->term, on_term, SIGTERM);
	uv_signal_start(&d->interrupt, on_term, SIGINT);
	uv_signal_start(&d->hup, on_hup, SIGHUP);
	return 0;
}

/* ---- the whole ---- */

static void on_finish_loop(struct letter *letter)
{
	ioloop_finish(LETTER_OF(letter, struct loop_end, letter)->loop);
}

static void end_loops(struct daemon *d)
{
	for (unsigned i = 0; i < d->loop_count; i++) {
		d->ends[i].loop = &d->loops[i];
		mailbox_post(&d->loops[i].mailbox, &d->ends[i].letter, on_finish_loop);
	}
	for (unsigned i = 0; i < d->loop_count; i++)
		if (ioloop_join(&d->loops[i]) != 0)
			LOG_ERR("handles-left", LF_NUM("loop", i));
}

static int serve(struct daemon *d)
{
	int err = queue_start(d->queue);
	for (unsigned i = 0; err == 0 && i < d->loop_count; i++)
		err = ioloop_start(&d->loops[i]);
	if (err != 0) {
		fprintf(stderr, "relay64: cannot start a thread: %s\n", uv_strerror(err));
		return EX_OSERR;
	}
	LOG_INFO("ready", LF_STR("version", RELAY64_VERSION), LF_STR("hostname", d->conf->hostname),
		LF_STR("spool", d->conf->spool), LF_NUM("messages", queue_message_count(d->queue)),
		LF_NUM("loops", d->loop_count));
	tell(d);
#ifdef HAVE_SYSTEMD
	sd_notify(0, "READY=1");
#endif
	uv_run(&d->uv, UV_RUN_DEFAULT);
	uv_loop_close(&d->uv);
	end_loops(d);
	return EX_OK;
}

static int open_all(struct daemon *d, struct buf *errors)
{
	int code = EX_OK;
	if (open_loops(d) != 0) {
		buf_append_str(errors, "relay64: not enough memory\n");
		return EX_OSERR;
	}
	const struct passwd *user = find_user(d->conf, &code);
	if (code != EX_OK)
		return code;
	int err = queue_open(&d->queue, d->conf, d->loops, d->loop_count, errors);
	if (err != 0)
		return err == -EBUSY || err == -EADDRINUSE ? EX_TEMPFAIL : EX_CANTCREAT;
	struct smtpd_setup setup = {
		.loops = d->loops,
		.loop_count = d->loop_count,
		.conf = d->conf,
		.desk = queue_desk(d->queue),
		.id_floor_ms = queue_id_floor_ms(d->queue),
		.id_ceiling_ms = queue_id_ceiling_ms(d->queue),
		.skip_missing = d->options.try_dir != NULL,
	};
	if (user != NULL && seteuid(0) != 0)
		return EX_NOPERM;
	if (smtpd_open(&d->smtpd, &setup, errors) != 0 || queue_listen(d->queue, errors) != 0)
		return EX_UNAVAILABLE;
	print_text(errors);
	code = give_up_root(user);
	return code != EX_OK ? code : watch_signals(d) == 0 ? EX_OK : EX_OSERR;
}

int main(int argc, char **argv)
{
	static struct daemon d;
	int code = read_options(&d.options, argc, argv);
	if (code >= 0)
		return code;
	struct buf errors;
	buf_init(&errors, ERRORS_MAX);
	signal(SIGPIPE, SIG_IGN);
	umask(077);
	if (load(&d.options, &d.conf, &errors) != 0) {
		print_text(&errors);
		buf_fini(&errors);
		return EX_CONFIG;
	}
	if (d.options.check) {
		printf("%s: ok\n", d.conf->file ? d.conf->file : "built-in defaults");
		conf_unref(d.conf);
		buf_fini(&errors);
		return EX_OK;
	}
	raise_file_limit(d.conf);
	log_start(STDERR_FILENO, d.conf->log.format, d.conf->log.level, d.conf->log.buffer);
	code = open_all(&d, &errors);
	bool opened = code == EX_OK;
	if (opened)
		code = serve(&d);
	print_text(&errors);
	smtpd_free(d.smtpd);
	if (d.queue != NULL)
		queue_close(d.queue);
	if (!opened)
		drop_loops(&d);
	LOG_INFO("stopped", LF_NUM("exit", code));
	log_stop();
	free(d.loops);
	free(d.ends);
	conf_unref(d.conf);
	buf_fini(&errors);
	return code;
}
