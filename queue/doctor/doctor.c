/* queue/doctor/doctor.c: plumbing.
 *
 * Everything that comes in sets `wake`; on_wake() has the rows judge what is known so far, only to learn which names
 * they want, and asks for these. When nothing is open any more, or the time is over, all is closed, and the rows judge
 * for good. */
#include "queue/doctor/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/clock.h"
#include "conf/log.h"
#include "dns/resolvconf.h"
#include "dns/resolver.h"
#include "queue/doctor/checks.h"
#include "queue/doctor/disk.h"
#include "queue/doctor/dns_probe.h"
#include "queue/doctor/host.h"
#include "queue/doctor/inquiry.h"
#include "queue/doctor/machine.h"
#include "queue/doctor/outgoing.h"
#include "queue/doctor/settings.h"
#include "queue/doctor/smtp_probe.h"
#include "queue/doctor/target.h"
#include "queue/path/binding.h"

enum {
	ERRORS_MAX = 65536,
	/* more than relay64 itself uses: an SPF record may be the last of many TXT records, and its limits are its own
	 */
	MOST_HOSTS = 100,
	MOST_ADDRESSES = 200,
	DAEMON_SHARE = 3, /* without a file the daemon has this part of the time to say its settings */
};

struct asked {
	struct doctor *doctor;
	int number;
	struct dns_question *question;
};

struct doctor {
	struct facts facts;
	struct names *names;
	struct findings draft;
	struct conf *conf, *in_force, *built_in;
	struct conf dns; /* the shell of a copy, for the resolver */
	struct target_sender senders[FACT_SENDERS];
	struct target targets[FACT_PROBES];
	unsigned target_count;
	uv_loop_t loop;
	uv_timer_t deadline, wake, settings_time;
	struct resolver *resolver;
	struct inquiry inquiry;
	struct disk_look *disk;
	bool inquiring, begun, over, begin_failed;
	struct asked asked[NAMES_MAX];
	struct dns_probe dns_probes[FACT_SERVERS * 2];
	struct smtp_probe paths[FACT_PROBES * FAMILIES], *listeners;
	size_t open; /* probes, the inquiry, the disk */
	uint64_t timeout_ms;
};

static void on_wake(uv_timer_t *t);

static void wake(struct doctor *d)
{
	if (!d->over)
		uv_timer_start(&d->wake, on_wake, 0, 0);
}

static void on_probe(void *arg)
{
	struct doctor *d = arg;
	d->open--;
	wake(d);
}

/* ---- the end ---- */

static void time_out(struct fact_path *p, const struct smtp_probe *probe)
{
	if (!probe->over && (p->stage == PATH_NO_CONNECTION || p->stage == PATH_NO_GREETING))
		p->err = -ETIMEDOUT;
	if (p->stage == PATH_WAITING) {
		p->stage = PATH_NO_LOOKUP;
		snprintf(p->text, sizeof p->text, "no answer in time");
	}
}

static void on_resolver_closed(void *arg)
{
	struct doctor *d = arg;
	d->resolver = NULL;
}

static void close_names(struct doctor *d)
{
	for (size_t i = 0; i < NAMES_MAX; i++)
		if (d->asked[i].question != NULL)
			dns_cancel(d->asked[i].question);
	if (d->resolver != NULL)
		resolver_close(d->resolver, on_resolver_closed, d);
	char span[CLOCK_SPAN], why[96];
	snprintf(why, sizeof why, "no answer in %s", clock_span(d->timeout_ms, span));
	names_settle(d->names, why);
}

static void end(struct doctor *d)
{
	if (d->over)
		return;
	d->over = true;
	for (size_t i = 0; i < d->facts.server_count * 2; i++) {
		struct fact_exchange *x = d->dns_probes[i].out;
		if (x != NULL && !x->done)
			x->err = -ETIMEDOUT;
		dns_probe_close(&d->dns_probes[i]);
	}
	for (size_t i = 0; i < d->facts.path_count; i++) {
		time_out(&d->facts.paths[i], &d->paths[i]);
		smtp_probe_close(&d->paths[i]);
	}
	for (size_t i = 0; i < d->facts.listener_count; i++) {
		time_out(&d->facts.listeners[i], &d->listeners[i]);
		smtp_probe_close(&d->listeners[i]);
	}
	if (d->inquiring && !d->inquiry.over && !d->facts.daemon.answered)
		d->facts.daemon.err = -ETIMEDOUT;
	inquiry_close(&d->inquiry);
	disk_leave(d->disk);
	close_names(d);
	uv_close((uv_handle_t *)&d->deadline, NULL);
	uv_close((uv_handle_t *)&d->wake, NULL);
	uv_close((uv_handle_t *)&d->settings_time, NULL);
}

static void on_deadline(uv_timer_t *t)
{
	end(t->data);
}

/* ---- names ---- */

static void on_answer(void *arg, const struct dns_answer *answer, uint64_t now_ms)
{
	struct asked *a = arg;
	(void)now_ms;
	a->question = NULL;
	names_put(a->doctor->names, a->number, answer);
	wake(a->doctor);
}

static void ask_names(struct doctor *d)
{
	static const struct dns_answer none = {.status = DNS_SERVFAIL, .detail = "too many questions at once"};
	const char *name;
	enum dns_type type;
	int number;
	while (d->resolver != NULL && (number = names_wanted(d->names, &name, &type)) >= 0) {
		struct asked *a = &d->asked[number];
		*a = (struct asked){.doctor = d, .number = number};
		a->question = dns_ask(d->resolver, name, type, on_answer, a);
		if (a->question == NULL) {
			names_put(d->names, number, &none);
			wake(d);
		}
	}
}

/* ---- probe hosts ---- */

static void connect_path(struct doctor *d, size_t i)
{
	struct fact_path *p = &d->facts.paths[i];
	const struct fact_source *s = outgoing_first(&d->facts, p->family);
	const struct ip any = {0};
	if (s == NULL || s->ip.family == FAMILY_NONE)
		p->stage = PATH_NO_SOURCE;
	else if (smtp_probe_start(&d->paths[i], &d->loop, p, s->configured ? &s->ip : &any, on_probe, d) == 0)
		d->open++;
}

/* Connects to those whose address is known by now. */
static void follow_paths(struct doctor *d)
{
	for (size_t i = 0; i < d->facts.path_count; i++) {
		struct fact_path *p = &d->facts.paths[i];
		if (p->stage != PATH_WAITING)
			continue;
		if (p->at.ip.family == FAMILY_NONE) {
			const struct dns_answer *a = names_get(d->names, p->host, names_type_of(p->family));
			if (a == NULL)
				continue;
			if (a->count != 0) {
				p->at = (struct endpoint){.ip = a->records[0].ip, .port = p->port};
			} else {
				bool failed = a->status == DNS_SERVFAIL || a->status == DNS_TIMEOUT;
				p->stage = failed ? PATH_NO_LOOKUP : PATH_NO_ADDRESS;
				snprintf(p->text, sizeof p->text, "%s", a->detail);
				continue;
			}
		}
		connect_path(d, i);
	}
}

static void add_path(struct doctor *d, const struct target *t, enum family family)
{
	if (t->literal.family != FAMILY_NONE && t->literal.family != family)
		return;
	d->facts.paths[d->facts.path_count++] = (struct fact_path){
		.host = t->name, .port = t->port, .family = family, .at = {.ip = t->literal, .port = t->port}};
}

/* ---- the start ---- */

static void start_servers(struct doctor *d)
{
	struct facts *f = &d->facts;
	const struct conf_endpoints *listed = &f->conf.conf->dns.servers;
	struct resolvconf file;
	struct endpoint found[RESOLVCONF_SERVERS];
	const struct endpoint *servers = found;
	f->servers_from_file = listed->count == 0;
	if (f->servers_from_file) {
		resolvconf_init(&file, "/etc/resolv.conf");
		f->server_count = resolvconf_read(&file, found);
	} else {
		servers = listed->items;
		f->server_count = listed->count < FACT_SERVERS ? listed->count : FACT_SERVERS;
	}
	for (size_t i = 0; i < f->server_count; i++) {
		struct fact_server *s = &f->servers[i];
		s->at = servers[i];
		for (unsigned k = 0; k < 2; k++)
			d->open += dns_probe_start(&d->dns_probes[i * 2 + k], &d->loop, &s->at, k == 1,
					   k == 1 ? &s->tcp : &s->udp, on_probe, d) == 0;
	}
}

static int start_resolver(struct doctor *d)
{
	struct buf errors;
	d->dns = *d->facts.conf.conf; /* lent: only its limits are others */
	d->dns.dns.hosts = MOST_HOSTS;
	d->dns.dns.addresses = MOST_ADDRESSES;
	buf_init(&errors, ERRORS_MAX);
	int err = resolver_open(&d->resolver, &d->loop, &d->dns, &errors);
	buf_fini(&errors);
	return err;
}

static bool is_unspecified(const struct ip *ip)
{
	static const uint8_t zero[16];
	return memcmp(ip->bytes, zero, sizeof zero) == 0;
}

static int start_listeners(struct doctor *d)
{
	struct facts *f = &d->facts;
	const struct conf *c = f->conf.conf;
	const struct ip any = {0};
	size_t count = c->listen_count;
	f->listeners = calloc(count ? count : 1, sizeof *f->listeners);
	d->listeners = calloc(count ? count : 1, sizeof *d->listeners);
	if (f->listeners == NULL || d->listeners == NULL)
		return -ENOMEM;
	for (; f->listener_count < count; f->listener_count++) {
		const struct conf_listen *l = &c->listen[f->listener_count];
		struct fact_path *p = &f->listeners[f->listener_count];
		*p = (struct fact_path){.port = l->at.port,
			.family = (enum family)l->at.ip.family,
			.at = l->at,
			.proxied = l->proxy.count != 0};
		if (is_unspecified(&p->at.ip))
			ip_parse(&p->at.ip, p->family == FAMILY_IPV4 ? "127.0.0.1" : "::1");
		d->open += smtp_probe_start(&d->listeners[f->listener_count], &d->loop, p, &any, on_probe, d) == 0;
	}
	return 0;
}

static void know_sources(struct facts *f)
{
	outgoing_list(f);
	for (size_t i = 0; i < f->source_count; i++) {
		struct fact_source *s = &f->sources[i];
		if (s->configured)
			s->err = binding_try(&s->ip);
		else if (s->used)
			host_choose(s);
	}
}

/* All that needs the configuration, which is known now. */
static void begin(struct doctor *d)
{
	struct facts *f = &d->facts;
	if (d->begun)
		return;
	d->begun = true;
	if (f->conf.conf == NULL) {
		f->conf.conf = d->built_in;
		f->conf.place = PLACE_BUILT_IN;
	}
	machine_read_clock(&f->clock);
	machine_read_files(&f->files, f->conf.conf);
	host_read(f);
	know_sources(f);
	start_servers(d);
	for (unsigned i = 0; i < d->target_count; i++) {
		add_path(d, &d->targets[i], FAMILY_IPV4);
		add_path(d, &d->targets[i], FAMILY_IPV6);
	}
	if (start_resolver(d) != 0 || start_listeners(d) != 0) {
		d->begin_failed = true;
		end(d);
		return;
	}
	d->open += disk_start(&d->disk, &d->loop, f->conf.conf->spool, f->conf.conf->user, &f->spool, on_probe, d) == 0;
	wake(d);
}

static void on_settings_time(uv_timer_t *t)
{
	begin(t->data);
}

/* What the daemon has in force: it is judged if there is no file, else the file is compared with it. */
static void take_settings(struct doctor *d)
{
	struct facts *f = &d->facts;
	struct inquiry *q = &d->inquiry;
	struct buf errors;
	buf_init(&errors, ERRORS_MAX);
	if (q->settings_whole && q->settings.len != 0)
		conf_parse(&d->in_force, "the daemon", (const char *)q->settings.data, q->settings.len, &errors);
	buf_fini(&errors);
	if (d->in_force == NULL)
		return;
	if (d->conf != NULL) {
		settings_compare(d->conf, d->in_force, f->conf.differs);
		f->conf.compared = true;
	} else if (!d->begun) {
		f->conf.conf = d->in_force;
		f->conf.place = PLACE_DAEMON;
	}
}

static void on_inquired(void *arg)
{
	struct doctor *d = arg;
	d->open--;
	machine_read_daemon(&d->facts.daemon);
	take_settings(d);
	begin(d);
	wake(d);
}

static void on_wake(uv_timer_t *t)
{
	struct doctor *d = t->data;
	if (!d->begun || d->over)
		return;
	follow_paths(d);
	doctor_examine(&d->facts, d->names, &d->draft);
	ask_names(d);
	if (d->open == 0 && names_open(d->names) == 0)
		end(d);
}

/* ---- the whole ---- */

static const char *socket_of(const struct doctor *d, const struct doctor_wanted *w)
{
	static const char installed[] = "/run/relay64/control.sock", tried_out[] = "./var/control.sock";
	if (w->socket != NULL)
		return w->socket;
	if (d->conf != NULL)
		return d->conf->control;
	return access(installed, F_OK) != 0 && access(tried_out, F_OK) == 0 ? tried_out : installed;
}

static int read_wanted(struct doctor *d, const struct doctor_wanted *w, char why[DOCTOR_WHY])
{
	d->timeout_ms = w->timeout_ms;
	for (unsigned i = 0; i < w->sender_count; i++) {
		struct target_sender *s = &d->senders[i];
		if (target_read_sender(s, w->senders[i]) != 0) {
			snprintf(why, DOCTOR_WHY, "--sender \"%.64s\" is no DOMAIN and no LOCAL@DOMAIN", w->senders[i]);
			return -EINVAL;
		}
		d->facts.senders[d->facts.sender_count++] =
			(struct fact_sender){.domain = s->domain, .local = s->local[0] != '\0' ? s->local : NULL};
	}
	for (; d->target_count < w->probe_count; d->target_count++)
		if (target_read(&d->targets[d->target_count], w->probes[d->target_count]) != 0) {
			snprintf(why, DOCTOR_WHY, "--probe \"%.64s\" is no HOST, HOST:PORT, ADDRESS or [ADDRESS]:PORT",
				w->probes[d->target_count]);
			return -EINVAL;
		}
	return 0;
}

static int prepare(struct doctor *d, const struct doctor_wanted *w, char why[DOCTOR_WHY])
{
	struct facts *f = &d->facts;
	struct buf errors;
	int err = read_wanted(d, w, why);
	if (err != 0)
		return err;
	f->addresses = calloc(FACT_ADDRESSES, sizeof *f->addresses);
	d->names = names_new();
	if (f->addresses == NULL || d->names == NULL)
		return -ENOMEM;
	settings_read(w->config, &d->conf, &f->conf.file, f->conf.errors);
	f->conf.conf = d->conf;
	f->conf.place = w->config != NULL ? PLACE_NAMED : PLACE_DEFAULT;
	buf_init(&errors, ERRORS_MAX);
	err = conf_parse(&d->built_in, "the built-in defaults", "", 0, &errors);
	buf_fini(&errors);
	if (err == -EINVAL) { /* a machine whose name is none */
		static const char text[] = "hostname = localhost\n";
		buf_init(&errors, ERRORS_MAX);
		err = conf_parse(&d->built_in, "the built-in defaults", text, sizeof text - 1, &errors);
		buf_fini(&errors);
	}
	return err;
}

static int run(struct doctor *d, const struct doctor_wanted *w)
{
	int err = uv_loop_init(&d->loop);
	if (err != 0)
		return err;
	uv_timer_init(&d->loop, &d->deadline);
	uv_timer_init(&d->loop, &d->wake);
	uv_timer_init(&d->loop, &d->settings_time);
	d->deadline.data = d->wake.data = d->settings_time.data = d;
	uv_timer_start(&d->deadline, on_deadline, d->timeout_ms, 0);
	d->facts.daemon.socket = socket_of(d, w);
	d->inquiring = inquiry_start(&d->inquiry, &d->loop, &d->facts.daemon, on_inquired, d) == 0;
	d->open += d->inquiring;
	if (d->conf != NULL || !d->inquiring)
		begin(d);
	else
		uv_timer_start(&d->settings_time, on_settings_time, d->timeout_ms / DAEMON_SHARE, 0);
	uv_run(&d->loop, UV_RUN_DEFAULT);
	uv_loop_close(&d->loop);
	return d->begin_failed ? -ENOMEM : 0;
}

static void doctor_free(struct doctor *d)
{
	free(d->facts.addresses);
	free(d->facts.listeners);
	free(d->listeners);
	findings_fini(&d->draft);
	names_free(d->names);
	inquiry_fini(&d->inquiry);
	conf_unref(d->conf);
	conf_unref(d->in_force);
	conf_unref(d->built_in);
	free(d);
}

int doctor_run(const struct doctor_wanted *w, struct findings *out, char why[DOCTOR_WHY])
{
	struct doctor *d = calloc(1, sizeof *d);
	if (d == NULL)
		return -ENOMEM;
	log_set(LOG_FORMAT_TEXT, LOG_LEVEL_ERROR); /* what the resolver has to log is no finding */
	int err = prepare(d, w, why);
	if (err == 0)
		err = run(d, w);
	if (err == 0) {
		doctor_examine(&d->facts, d->names, out);
		err = out->lost ? -ENOMEM : 0;
	}
	doctor_free(d);
	return err;
}
