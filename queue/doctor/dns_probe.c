/* queue/doctor/dns_probe.c: plumbing. */
#include "queue/doctor/dns_probe.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "conf/clock.h"

enum { AGAIN_MS = 2000, HEADER = 12, FLAG_QR = 0x80, FLAG_RD = 0x01, FLAG_AD = 0x20, RCODE = 0x0f, TYPE_SOA = 6 };

void dns_probe_query(uint8_t out[DNS_PROBE_QUERY], uint16_t id)
{
	memset(out, 0, DNS_PROBE_QUERY);
	out[0] = (uint8_t)(id >> 8);
	out[1] = (uint8_t)id;
	out[2] = FLAG_RD;
	out[3] = FLAG_AD;
	out[5] = 1; /* one question: the root (byte 12 is 0), SOA, IN */
	out[HEADER + 2] = TYPE_SOA;
	out[HEADER + 4] = 1;
}

bool dns_probe_read(const uint8_t query[DNS_PROBE_QUERY], const uint8_t *p, size_t n, struct fact_exchange *out)
{
	if (n < DNS_PROBE_QUERY || memcmp(p, query, 2) != 0 || (p[2] & FLAG_QR) == 0 ||
		memcmp(p + HEADER, query + HEADER, DNS_PROBE_QUERY - HEADER) != 0 || p[4] != 0 || p[5] != 1)
		return false;
	out->rcode = p[3] & RCODE;
	out->authentic = (p[3] & FLAG_AD) != 0 && out->rcode == 0 && (p[6] | p[7]) != 0;
	return true;
}

static void finish(struct dns_probe *p, int err)
{
	if (p->out->done)
		return;
	p->out->done = true;
	p->out->err = err;
	p->out->ms = clock_mono_ms() - p->started;
	dns_probe_close(p);
	p->done(p->arg);
}

void dns_probe_close(struct dns_probe *p)
{
	if (p->open && !uv_is_closing(&p->socket.handle))
		uv_close(&p->socket.handle, NULL);
	if (p->timed && !uv_is_closing((uv_handle_t *)&p->again))
		uv_close((uv_handle_t *)&p->again, NULL);
}

/* ---- UDP ---- */

static void on_room(uv_handle_t *h, size_t suggested, uv_buf_t *out)
{
	struct dns_probe *p = h->data;
	(void)suggested;
	*out = uv_buf_init((char *)p->in + p->in_len, (unsigned)(sizeof p->in - p->in_len));
}

static void on_datagram(uv_udp_t *udp, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from, unsigned flags)
{
	struct dns_probe *p = udp->data;
	(void)buf, (void)flags;
	if (n < 0)
		finish(p, (int)n);
	else if (from != NULL && dns_probe_read(p->query + 2, p->in, (size_t)n, p->out))
		finish(p, 0);
}

static void on_sent(uv_udp_send_t *send, int status)
{
	struct dns_probe *p = send->data;
	p->sending = false;
	if (status < 0 && status != UV_ECANCELED)
		finish(p, status);
}

static void send_query(struct dns_probe *p)
{
	uv_buf_t b = uv_buf_init((char *)p->query + 2, DNS_PROBE_QUERY);
	p->send.data = p;
	if (!p->sending)
		p->sending = uv_udp_send(&p->send, &p->socket.udp, &b, 1, NULL, on_sent) == 0;
}

static void on_again(uv_timer_t *t)
{
	send_query(t->data);
}

static int start_udp(struct dns_probe *p, const struct sockaddr *to)
{
	int err = uv_udp_connect(&p->socket.udp, to);
	if (err == 0)
		err = uv_udp_recv_start(&p->socket.udp, on_room, on_datagram);
	if (err == 0) {
		send_query(p);
		err = uv_timer_start(&p->again, on_again, AGAIN_MS, AGAIN_MS);
	}
	return err;
}

/* ---- TCP ---- */

static void on_bytes(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct dns_probe *p = s->data;
	(void)buf;
	if (n < 0) {
		finish(p, (int)n == UV_EOF ? -ECONNRESET : (int)n);
		return;
	}
	p->in_len += (size_t)n;
	size_t whole = p->in_len >= 2 ? (size_t)(p->in[0] << 8 | p->in[1]) + 2 : sizeof p->in;
	if (whole > sizeof p->in || (p->in_len >= whole && !dns_probe_read(p->query + 2, p->in + 2, whole - 2, p->out)))
		finish(p, -EPROTO);
	else if (p->in_len >= whole)
		finish(p, 0);
}

static void on_written(uv_write_t *w, int status)
{
	if (status < 0 && status != UV_ECANCELED)
		finish(w->data, status);
}

static void on_connected(uv_connect_t *c, int status)
{
	struct dns_probe *p = c->data;
	uv_buf_t b = uv_buf_init((char *)p->query, sizeof p->query);
	if (status == UV_ECANCELED)
		return;
	p->write.data = p;
	if (status == 0)
		status = uv_write(&p->write, (uv_stream_t *)&p->socket.tcp, &b, 1, on_written);
	if (status == 0)
		status = uv_read_start((uv_stream_t *)&p->socket.tcp, on_room, on_bytes);
	if (status < 0)
		finish(p, status);
}

int dns_probe_start(struct dns_probe *p, uv_loop_t *loop, const struct endpoint *at, bool tcp,
	struct fact_exchange *out, void (*done)(void *arg), void *arg)
{
	struct sockaddr_storage sa;
	uint16_t id = 0;
	*p = (struct dns_probe){.out = out, .done = done, .arg = arg, .started = clock_mono_ms()};
	endpoint_to_sockaddr(at, &sa);
	int err = getrandom(&id, sizeof id, 0) == sizeof id ? 0 : -errno;
	dns_probe_query(p->query + 2, id);
	p->query[1] = DNS_PROBE_QUERY;
	if (err == 0)
		err = tcp ? uv_tcp_init(loop, &p->socket.tcp) : uv_udp_init(loop, &p->socket.udp);
	p->open = err == 0;
	p->socket.handle.data = p;
	if (err == 0 && !tcp) {
		p->timed = uv_timer_init(loop, &p->again) == 0;
		p->again.data = p;
		err = start_udp(p, (struct sockaddr *)&sa);
	} else if (err == 0) {
		p->connect.data = p;
		err = uv_tcp_connect(&p->connect, &p->socket.tcp, (struct sockaddr *)&sa, on_connected);
	}
	if (err != 0) {
		*out = (struct fact_exchange){.done = true, .err = err};
		dns_probe_close(p);
	}
	return err;
}
