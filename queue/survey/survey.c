/* queue/survey/survey.c: plumbing.
 *
 * First a question about NAT64_NAME: behind a DNS64 server every domain would seem to have IPv6. Then a timer starts as
 * many domains as pace and places allow. */
#include "queue/survey/survey.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "conf/clock.h"
#include "conf/log.h"
#include "dns/resolver.h"
#include "queue/survey/throttle.h"

enum { PUMP_MS = 10, TICK_MS = 250, ERRORS_MAX = 65536, QUERIES_MAX = 100000 };

struct survey;

/* A domain that is asked about. */
struct place {
	struct survey *survey;
	struct survey_domain *domain; /* NULL: free */
	struct mx *mx;
};

struct survey {
	const struct survey_wanted *wanted;
	struct survey_list *list;
	struct conf conf; /* the shell of a copy, for the resolver */
	struct survey_synthesis synthesis;
	struct throttle throttle;
	uv_loop_t loop;
	uv_timer_t pump, tick;
	uv_signal_t signals[2];
	struct resolver *resolver;
	struct dns_question *nat64;
	struct place *places;
	size_t next; /* in the list */
	unsigned busy;
	int result;
	bool begun, over;
};

/* ---- the end ---- */

static void on_resolver_closed(void *arg)
{
	struct survey *s = arg;
	s->resolver = NULL;
}

static void end(struct survey *s, int result)
{
	if (s->over)
		return;
	s->over = true;
	s->result = result;
	for (unsigned i = 0; i < s->wanted->in_flight; i++)
		mx_free(s->places[i].mx);
	if (s->nat64 != NULL)
		dns_cancel(s->nat64);
	if (s->resolver != NULL)
		resolver_close(s->resolver, on_resolver_closed, s);
	uv_close((uv_handle_t *)&s->pump, NULL);
	uv_close((uv_handle_t *)&s->tick, NULL);
	for (unsigned i = 0; i < 2; i++)
		uv_close((uv_handle_t *)&s->signals[i], NULL);
}

static void on_signal(uv_signal_t *handle, int number)
{
	(void)number;
	end(handle->data, -ECANCELED);
}

/* ---- domains ---- */

/* Frees the place; the survey may be over behind it. */
static void take_answer(struct place *p)
{
	struct survey *s = p->survey;
	struct survey_domain *d = p->domain;
	enum survey_kind kind = survey_judge(p->mx, &s->synthesis);
	bool said = kind != SURVEY_BOTH && kind != SURVEY_IPV4 && kind != SURVEY_IPV6;
	int err = survey_list_put(s->list, d, kind, p->mx->implicit, said ? p->mx->reason : "");
	mx_free(p->mx);
	*p = (struct place){.survey = s};
	s->busy--;
	if (err == 0)
		err = s->wanted->answered(s->wanted->arg, d);
	if (err != 0)
		end(s, err);
}

static void on_pump(uv_timer_t *t);

/* The place is free for the next one at once. */
static void on_mx(void *arg, struct mx *mx)
{
	struct place *p = arg;
	struct survey *s = p->survey;
	if (!mx->complete)
		return;
	take_answer(p);
	if (!s->over)
		uv_timer_start(&s->pump, on_pump, 0, PUMP_MS);
}

static struct place *free_place(struct survey *s)
{
	for (unsigned i = 0; s->busy < s->wanted->in_flight && i < s->wanted->in_flight; i++)
		if (s->places[i].domain == NULL)
			return &s->places[i];
	return NULL;
}

static struct survey_domain *next_domain(struct survey *s)
{
	while (s->next < s->list->count && survey_domain_kind(s->list->items[s->next]) != SURVEY_UNASKED)
		s->next++;
	return s->next < s->list->count ? s->list->items[s->next] : NULL;
}

static void ask(struct survey *s, struct place *p, struct survey_domain *d)
{
	const struct mx_wanted wanted = {.name = survey_domain_name(d)};
	*p = (struct place){.survey = s, .domain = d};
	p->mx = mx_start(s->resolver, &s->conf, &wanted, NULL, clock_mono_ms(), on_mx, p);
	s->next++;
	s->busy++;
	if (p->mx == NULL)
		end(s, -ENOMEM);
	else if (p->mx->complete)
		take_answer(p);
}

static void on_pump(uv_timer_t *t)
{
	struct survey *s = t->data;
	struct survey_domain *d;
	struct place *p;
	while (s->begun && !s->over && (d = next_domain(s)) != NULL && (p = free_place(s)) != NULL &&
		throttle_take(&s->throttle, clock_mono_ms()))
		ask(s, p, d);
	if (s->begun && !s->over && s->busy == 0 && next_domain(s) == NULL)
		end(s, 0);
}

static void on_tick(uv_timer_t *t)
{
	struct survey *s = t->data;
	if (s->wanted->tick != NULL)
		s->wanted->tick(s->wanted->arg);
}

/* ---- the start ---- */

static void begin(struct survey *s)
{
	s->begun = true;
	throttle_init(&s->throttle, s->wanted->rate, clock_mono_ms());
}

static void on_nat64(void *arg, const struct dns_answer *answer, uint64_t now_ms)
{
	struct survey *s = arg;
	(void)now_ms;
	s->nat64 = NULL;
	survey_synthesis_learn(&s->synthesis, answer);
	begin(s);
}

static int open_resolver(struct survey *s)
{
	const struct survey_wanted *w = s->wanted;
	struct buf errors;
	s->conf = *w->conf; /* lent: only its servers and limits are others */
	if (w->server_count != 0)
		s->conf.dns.servers =
			(struct conf_endpoints){(struct endpoint *)(uintptr_t)w->servers, w->server_count};
	s->conf.dns.queries = QUERIES_MAX; /* `in_flight` is the limit here */
	buf_init(&errors, ERRORS_MAX);
	int err = resolver_open(&s->resolver, &s->loop, &s->conf, &errors);
	buf_fini(&errors);
	return err;
}

static void start(struct survey *s)
{
	static const int numbers[2] = {SIGINT, SIGTERM};
	uv_timer_init(&s->loop, &s->pump);
	uv_timer_init(&s->loop, &s->tick);
	s->pump.data = s->tick.data = s;
	uv_timer_start(&s->pump, on_pump, 0, PUMP_MS);
	uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
	for (unsigned i = 0; i < 2; i++) {
		uv_signal_init(&s->loop, &s->signals[i]);
		s->signals[i].data = s;
		uv_signal_start(&s->signals[i], on_signal, numbers[i]);
	}
	int err = open_resolver(s);
	if (err != 0) {
		end(s, err);
		return;
	}
	s->nat64 = dns_ask(s->resolver, NAT64_NAME, DNS_AAAA, on_nat64, s);
	if (s->nat64 == NULL)
		begin(s);
}

int survey_run(const struct survey_wanted *w, struct survey_list *l)
{
	struct survey s = {.wanted = w, .list = l};
	s.places = calloc(w->in_flight, sizeof *s.places);
	if (s.places == NULL)
		return -ENOMEM;
	log_set(LOG_FORMAT_TEXT, LOG_LEVEL_ERROR); /* what the resolver has to log is in the results */
	survey_synthesis_init(&s.synthesis, &w->conf->nat64);
	int err = uv_loop_init(&s.loop);
	if (err == 0) {
		start(&s);
		uv_run(&s.loop, UV_RUN_DEFAULT);
		uv_loop_close(&s.loop);
		err = s.result;
	}
	free(s.places);
	return err;
}
