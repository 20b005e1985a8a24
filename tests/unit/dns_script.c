/* tests/unit/dns_script.c: for tests. */
#include "tests/unit/dns_script.h"

#include <arpa/nameser.h>
#include <assert.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/unit/dns_packet.h"

/* An answer on its way, over either protocol. */
struct sending {
	uv_timer_t delay;
	struct script *script;
	struct sockaddr_storage to;
	uv_tcp_t *tcp; /* NULL: UDP */
	struct packet packet;
};

struct connection {
	uv_tcp_t tcp;
	struct script *script;
	uint8_t in[1024];
	size_t len;
};

static void free_data(uv_handle_t *h)
{
	free(h->data);
}

static void send_now(struct sending *s)
{
	uv_buf_t whole = uv_buf_init((char *)s->packet.bytes, (unsigned)s->packet.len);
	if (s->tcp == NULL) {
		uv_udp_try_send(&s->script->udp, &whole, 1, (struct sockaddr *)&s->to);
		return;
	}
	uint8_t length[2] = {(uint8_t)(s->packet.len >> 8), (uint8_t)s->packet.len};
	uv_buf_t parts[2] = {uv_buf_init((char *)length, 2), whole};
	/* loopback takes a whole answer at once */
	int n = uv_try_write((uv_stream_t *)s->tcp, parts, 2);
	assert(n == (int)s->packet.len + 2);
}

static void on_delay(uv_timer_t *t)
{
	struct sending *s = t->data;
	send_now(s);
	uv_close((uv_handle_t *)t, free_data);
}

/* A question has one name, and an OPT record or not, in the additional section. */
static bool read_question(const uint8_t *query, size_t len, char name[NS_MAXDNAME], unsigned *type, bool *edns)
{
	ns_msg m;
	ns_rr rr;
	if (ns_initparse(query, (int)len, &m) != 0 || ns_parserr(&m, ns_s_qd, 0, &rr) != 0)
		return false;
	strcpy(name, ns_rr_name(rr));
	*type = ns_rr_type(rr);
	*edns = ns_msg_count(m, ns_s_ar) != 0;
	return true;
}

/* False: say nothing. */
static bool write_answer(struct packet *p, const struct script_row *row, const uint8_t *query, bool tcp, bool edns)
{
	unsigned id = (unsigned)(query[0] << 8 | query[1]);
	unsigned flags = PACKET_QR | PACKET_RD | PACKET_RA | (row->secure ? PACKET_AD : 0);
	enum script_act act = row->act;
	if ((act == SAY_FORMERR && !edns) || (act == SAY_TRUNCATED && tcp))
		act = SAY_ANSWER;
	const char *name = act == SAY_WRONG_QUESTION ? "other.example" : row->name;
	packet_begin(p, act == SAY_WRONG_ID ? id ^ 1 : id, flags, name, row->type);
	switch (act) {
	case SAY_NOTHING:
		return false;
	case SAY_ANSWER:
	case SAY_WRONG_ID:
	case SAY_WRONG_QUESTION:
		packet_records(p, name, row->records);
		break;
	case SAY_NXDOMAIN:
		p->bytes[3] |= ns_r_nxdomain;
		packet_soa(p, row->ttl, row->ttl);
		break;
	case SAY_NODATA:
		packet_soa(p, row->ttl, row->ttl);
		break;
	case SAY_SERVFAIL:
		p->bytes[3] |= ns_r_servfail;
		break;
	case SAY_REFUSED:
		p->bytes[3] |= ns_r_refused;
		break;
	case SAY_FORMERR:
		p->bytes[3] |= ns_r_formerr;
		break;
	case SAY_TRUNCATED:
		p->bytes[2] |= PACKET_TC >> 8;
		break;
	case SAY_GARBAGE:
		memset(p->bytes + 2, 0xc0, 40);
		p->len = 42;
		break;
	case SAY_CUT:
		packet_records(p, name, row->records);
		p->bytes[7]++;
		break;
	}
	return true;
}

static void on_query(struct script *s, const uint8_t *query, size_t len, const struct sockaddr *from, uv_tcp_t *tcp)
{
	char name[NS_MAXDNAME];
	unsigned type;
	bool edns;
	if (!read_question(query, len, name, &type, &edns))
		return;
	if (!(query[2] & 1) || !(query[3] & PACKET_AD))
		s->without_ad++;
	struct script_row stranger = {.name = name, .type = (enum dns_type)type, .act = SAY_REFUSED}, *row = NULL;
	for (size_t i = 0; i < s->count && row == NULL; i++)
		if (strcasecmp(s->rows[i].name, name) == 0 && (unsigned)s->rows[i].type == type)
			row = &s->rows[i];
	if (row == NULL) {
		row = &stranger;
		s->strangers++;
	}
	row->asked_udp += tcp == NULL;
	row->asked_tcp += tcp != NULL;
	struct sending *out = calloc(1, sizeof *out);
	assert(out != NULL);
	if (!write_answer(&out->packet, row, query, tcp != NULL, edns)) {
		free(out);
		return;
	}
	out->script = s;
	out->tcp = tcp;
	if (from != NULL)
		memcpy(&out->to, from,
			from->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
	uv_timer_init(s->loop, &out->delay);
	out->delay.data = out;
	uv_timer_start(&out->delay, on_delay, row->delay_ms, 0);
}

static void on_udp_room(uv_handle_t *h, size_t hint, uv_buf_t *buf)
{
	static char room[4096];
	(void)h;
	(void)hint;
	*buf = uv_buf_init(room, sizeof room);
}

static void on_udp(uv_udp_t *u, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from, unsigned flags)
{
	(void)flags;
	if (n > 0 && from != NULL)
		on_query(u->data, (const uint8_t *)buf->base, (size_t)n, from, NULL);
}

static void on_tcp_room(uv_handle_t *h, size_t hint, uv_buf_t *buf)
{
	struct connection *c = h->data;
	(void)hint;
	*buf = uv_buf_init((char *)c->in + c->len, (unsigned)(sizeof c->in - c->len));
}

static void on_tcp(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct connection *c = stream->data;
	(void)buf;
	if (n < 0) {
		uv_close((uv_handle_t *)stream, free_data);
		return;
	}
	c->len += (size_t)n;
	while (c->len >= 2) {
		size_t want = (size_t)(c->in[0] << 8 | c->in[1]);
		if (c->len < want + 2)
			return;
		on_query(c->script, c->in + 2, want, NULL, &c->tcp);
		c->len -= want + 2;
		memmove(c->in, c->in + want + 2, c->len);
	}
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct script *s = listener->data;
	struct connection *c = calloc(1, sizeof *c);
	assert(status == 0 && c != NULL);
	uv_tcp_init(s->loop, &c->tcp);
	c->tcp.data = c;
	c->script = s;
	assert(uv_accept(listener, (uv_stream_t *)&c->tcp) == 0);
	uv_read_start((uv_stream_t *)&c->tcp, on_tcp_room, on_tcp);
}

void script_start(struct script *s, uv_loop_t *loop, const char *address, struct script_row *rows, size_t count)
{
	struct sockaddr_storage at;
	int len = sizeof at;
	*s = (struct script){.loop = loop, .rows = rows, .count = count};
	assert(ip_parse(&s->at.ip, address) == 0);
	/* TCP gets a free port, as many more of its ports are taken; that UDP gets the same one is as good as certain
	 */
	endpoint_to_sockaddr(&s->at, &at);
	uv_tcp_init(loop, &s->tcp);
	s->tcp.data = s;
	assert(uv_tcp_bind(&s->tcp, (struct sockaddr *)&at, 0) == 0);
	assert(uv_listen((uv_stream_t *)&s->tcp, 16, on_connection) == 0);
	assert(uv_tcp_getsockname(&s->tcp, (struct sockaddr *)&at, &len) == 0);
	assert(endpoint_from_sockaddr(&s->at, (struct sockaddr *)&at) == 0);
	uv_udp_init(loop, &s->udp);
	s->udp.data = s;
	assert(uv_udp_bind(&s->udp, (struct sockaddr *)&at, 0) == 0);
	assert(uv_udp_recv_start(&s->udp, on_udp_room, on_udp) == 0);
}

void script_stop(struct script *s)
{
	uv_close((uv_handle_t *)&s->udp, NULL);
	uv_close((uv_handle_t *)&s->tcp, NULL);
}
