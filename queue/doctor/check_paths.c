/* queue/doctor/check_paths.c: protocol. */
#include "queue/doctor/check_paths.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const family_words[FAMILIES] = {"IPv4", "IPv6"};

/* ---- port 25 outward ---- */

static bool is_greeting(const struct fact_path *p)
{
	return p->stage == PATH_GREETED && p->text[0] == '2';
}

/* Does anybody greet over the family? Then what fails elsewhere is not the whole family's fault. */
static bool any_greets(const struct facts *f, enum family family)
{
	for (size_t i = 0; i < f->path_count; i++)
		if (f->paths[i].family == family && f->paths[i].stage == PATH_GREETED)
			return true;
	return false;
}

static bool has_route(const struct facts *f, enum family family)
{
	for (size_t i = 0; i < f->route_count; i++)
		if (f->routes[i].family == family)
			return true;
	return false;
}

static void judge_unreached(const struct facts *f, const struct fact_path *p, const char *at, struct findings *out)
{
	bool others = any_greets(f, p->family);
	const char *word = family_words[p->family == FAMILY_IPV6];
	if (p->err == -ENETUNREACH && f->host_err == 0 && !has_route(f, p->family)) {
		findings_add(out, FINDING_UNKNOWN, "%s over %s: no way there (see routes)", p->host, word);
		return;
	}
	findings_add(out, others ? FINDING_WARNING : FINDING_ERROR, "%s over %s: %s %s: %s", p->host, word, at,
		p->stage == PATH_NO_CONNECTION ? "is not reached" : "is connected, but does not greet",
		p->err != 0	     ? strerror(-p->err)
		: p->text[0] != '\0' ? p->text
				     : "it closed the connection");
	if (others)
		findings_mend(out, "Another probe host is reached over %s: ask those who run %s.", word, p->host);
	else
		findings_mend(out,
			"No probe host is reached over %s. Many providers block port 25 until they are asked; look at "
			"this host's firewall too. If it stays so, mail goes by a next hop: route * { relay = … }.",
			word);
}

static void judge_path(const struct facts *f, const struct fact_path *p, struct findings *out)
{
	const char *word = family_words[p->family == FAMILY_IPV6];
	char at[ENDPOINT_TEXT];
	endpoint_format(&p->at, at);
	switch (p->stage) {
	case PATH_WAITING:
		break;
	case PATH_NO_LOOKUP:
		findings_add(out, FINDING_UNKNOWN, "%s over %s: its name could not be looked up: %s", p->host, word,
			p->text);
		break;
	case PATH_NO_ADDRESS:
		findings_add(out, FINDING_UNKNOWN, "%s over %s: it has no %s address", p->host, word, word);
		findings_mend(out, "Name a probe host that has both families.");
		break;
	case PATH_NO_SOURCE:
		findings_add(out, FINDING_UNKNOWN, "%s over %s: not tried without a source address (see source)",
			p->host, word);
		break;
	case PATH_NO_CONNECTION:
	case PATH_NO_GREETING:
		judge_unreached(f, p, at, out);
		break;
	case PATH_GREETED:
		findings_add(out, is_greeting(p) ? FINDING_OK : FINDING_WARNING,
			"%s over %s: connected in %llu ms, greeted after %llu ms, %s QUIT: %s", p->host, word,
			(unsigned long long)p->connect_ms, (unsigned long long)p->greeting_ms,
			p->quit_ms != 0 ? "answers" : "no answer to", p->text);
		if (!is_greeting(p))
			findings_mend(out, "The path is free, but this host is not welcome there: the reply says why.");
		break;
	}
}

void check_port25(const struct facts *f, struct names *n, struct findings *out)
{
	(void)n;
	if (f->path_count == 0) {
		findings_add(out, FINDING_UNKNOWN, "no probe host was given");
		findings_mend(out,
			"Name a mail server of both families that may be connected to: relayq doctor --probe "
			"HOST[:PORT]. It is greeted and left; no mail is sent.");
	}
	for (size_t i = 0; i < f->path_count; i++)
		judge_path(f, &f->paths[i], out);
}

/* ---- DNS servers ---- */

static const char *rcode_word(unsigned rcode)
{
	static const char *const words[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};
	return rcode < sizeof words / sizeof words[0] ? words[rcode] : "an odd answer";
}

static bool answers(const struct fact_exchange *x)
{
	return x->done && x->err == 0;
}

static bool is_good(const struct fact_exchange *x)
{
	return answers(x) && x->rcode == 0;
}

static void say_exchange(const struct fact_exchange *x, char out[80])
{
	if (!answers(x))
		snprintf(out, 80, "%.70s", x->err != 0 ? strerror(-x->err) : "no answer");
	else if (x->rcode != 0)
		snprintf(out, 80, "%s", rcode_word(x->rcode));
	else
		snprintf(out, 80, "%llu ms", (unsigned long long)x->ms);
}

void check_resolver(const struct facts *f, struct names *n, struct findings *out)
{
	const char *where = f->servers_from_file ? "/etc/resolv.conf" : "dns { servers }";
	bool any = false;
	(void)n;
	for (size_t i = 0; i < f->server_count; i++)
		any = any || answers(&f->servers[i].udp) || answers(&f->servers[i].tcp);
	for (size_t i = 0; i < f->server_count; i++) {
		const struct fact_server *s = &f->servers[i];
		char at[ENDPOINT_TEXT], udp[80], tcp[80];
		bool udp_good = is_good(&s->udp), tcp_good = is_good(&s->tcp);
		say_exchange(&s->udp, udp);
		say_exchange(&s->tcp, tcp);
		findings_add(out,
			udp_good && tcp_good ? FINDING_OK
			: any		     ? FINDING_WARNING
					     : FINDING_ERROR,
			"%s: UDP %s, TCP %s", endpoint_format(&s->at, at), udp, tcp);
		if (!udp_good && !tcp_good)
			findings_mend(out, "Start that server, open the way to it, or name another one in %s.", where);
		else if (!tcp_good)
			findings_mend(out, "Open TCP port %u to it: large answers come by TCP alone.", s->at.port);
		else if (!udp_good)
			findings_mend(out, "Open UDP port %u to it: each look-up begins there.", s->at.port);
	}
}

void check_dnssec(const struct facts *f, struct names *n, struct findings *out)
{
	(void)n;
	for (size_t i = 0; i < f->server_count; i++) {
		const struct fact_server *s = &f->servers[i];
		const struct fact_exchange *x = is_good(&s->udp) ? &s->udp : &s->tcp;
		char at[ENDPOINT_TEXT];
		endpoint_format(&s->at, at);
		if (!is_good(x)) {
			findings_add(out, FINDING_UNKNOWN, "%s: cannot be told without an answer (see resolver)", at);
		} else if (!x->authentic) {
			findings_add(
				out, FINDING_WARNING, "%s does not validate: no AD on the signed SOA of the root", at);
			findings_mend(out,
				"Run a validating resolver on this machine, such as unbound, and name it in dns { "
				"servers } or /etc/resolv.conf.");
		} else if (!ip_is_loopback(&s->at.ip)) {
			findings_add(out, FINDING_WARNING,
				"%s says that it validates, but its word can be forged on the way: relay64 does not "
				"believe it",
				at);
			findings_mend(out,
				"Run a validating resolver on this machine, such as unbound, which may ask that "
				"one.");
		} else {
			findings_add(out, FINDING_OK, "%s validates, and is on this machine", at);
		}
	}
}

/* ---- listeners ---- */

static void judge_listener(const struct fact_path *p, struct findings *out)
{
	char at[ENDPOINT_TEXT];
	endpoint_format(&p->at, at);
	if (p->stage == PATH_NO_CONNECTION || p->stage == PATH_NO_GREETING) {
		findings_add(out, FINDING_ERROR, "%s %s: %s", at,
			p->stage == PATH_NO_CONNECTION ? "is not open" : "does not greet",
			p->err != 0 ? strerror(-p->err) : "it closed the connection");
		findings_mend(
			out, "See that relay64 runs with this configuration, and what its log says of that address.");
	} else if (p->stage == PATH_GREETED && p->proxied) {
		findings_add(out, FINDING_OK, "%s is open in %llu ms; it greets its balancers alone", at,
			(unsigned long long)p->connect_ms);
	} else if (p->stage == PATH_GREETED && is_greeting(p)) {
		findings_add(out, FINDING_OK, "%s greets after %llu ms: %s", at, (unsigned long long)p->greeting_ms,
			p->text);
	} else if (p->stage == PATH_GREETED) {
		findings_add(out, FINDING_WARNING, "%s does not welcome this host: %s", at, p->text);
		findings_mend(out, "The reply says why; limits { } and clients say who is welcome.");
	}
}

void check_listeners(const struct facts *f, struct names *n, struct findings *out)
{
	(void)n;
	for (unsigned i = 0; i < FAMILIES; i++) {
		bool any = false;
		for (size_t k = 0; k < f->listener_count; k++)
			any = any || f->listeners[k].family == family_at(i);
		if (any)
			continue;
		findings_add(out, FINDING_ERROR,
			"nobody listens over %s: servers that have %s alone cannot hand mail in", family_words[i],
			family_words[i]);
		findings_mend(out, "Add a block: listen %s { }", i == 0 ? "0.0.0.0:25" : "[::]:25");
	}
	for (size_t k = 0; k < f->listener_count; k++)
		judge_listener(&f->listeners[k], out);
}
