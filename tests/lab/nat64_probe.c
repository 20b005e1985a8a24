/* tests/lab/nat64_probe.c: the finder of NAT64 prefixes on a loop, alone: `nat64_probe -f FILE` reads a configuration
 * as relay64 does, logs what is found, reads the file again at HUP and ends at TERM. Plumbing. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "conf/clock.h"
#include "conf/log.h"
#include "dns/nat64_finder.h"

enum { TICK_MS = 100 };

static struct {
	uv_loop_t loop;
	uv_timer_t tick;
	uv_signal_t hup, term;
	const char *file;
	struct conf *conf;
	struct resolver *resolver;
	struct nat64_finder *finder;
} p;

static struct conf *load(void)
{
	struct conf *conf = NULL;
	struct buf errors;
	buf_init(&errors, 10000);
	if (conf_load(&conf, p.file, &errors) != 0)
		fprintf(stderr, "%.*s", (int)errors.len, (char *)errors.data);
	buf_fini(&errors);
	return conf;
}

static void on_tick(uv_timer_t *t)
{
	(void)t;
	nat64_finder_tick(p.finder, clock_mono_ms());
}

static void on_hup(uv_signal_t *s, int number)
{
	struct conf *fresh = load();
	(void)s;
	(void)number;
	if (fresh == NULL)
		return;
	conf_unref(p.conf);
	p.conf = fresh;
	resolver_configure(p.resolver, p.conf);
	nat64_finder_configure(p.finder, p.conf);
}

static void on_closed(void *arg)
{
	(void)arg;
}

static void on_term(uv_signal_t *s, int number)
{
	(void)number;
	nat64_finder_close(p.finder);
	resolver_close(p.resolver, on_closed, NULL);
	uv_close((uv_handle_t *)&p.tick, NULL);
	uv_close((uv_handle_t *)&p.hup, NULL);
	uv_close((uv_handle_t *)s, NULL);
}

int main(int argc, char **argv)
{
	struct buf errors;
	if (argc != 3 || strcmp(argv[1], "-f") != 0) {
		fprintf(stderr, "usage: nat64_probe -f FILE\n");
		return 64;
	}
	p.file = argv[2];
	p.conf = load();
	buf_init(&errors, 1000);
	uv_loop_init(&p.loop);
	if (p.conf == NULL || resolver_open(&p.resolver, &p.loop, p.conf, &errors) != 0 ||
		nat64_finder_open(&p.finder, p.resolver, p.conf, NULL, NULL) != 0)
		return 78;
	uv_timer_init(&p.loop, &p.tick);
	uv_timer_start(&p.tick, on_tick, 0, TICK_MS);
	uv_signal_init(&p.loop, &p.hup);
	uv_signal_start(&p.hup, on_hup, SIGHUP);
	uv_signal_init(&p.loop, &p.term);
	uv_signal_start(&p.term, on_term, SIGTERM);
	LOG_INFO("ready", LF_STR("file", p.file));
	uv_run(&p.loop, UV_RUN_DEFAULT);
	uv_loop_close(&p.loop);
	conf_unref(p.conf);
	buf_fini(&errors);
	return 0;
}
