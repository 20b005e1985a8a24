/* queue/doctor/host.c: plumbing. */
#include "queue/doctor/host.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The attributes of a message by type; those past `most` are left out. */
static void read_attributes(const struct rtattr **out, unsigned most, const struct rtattr *at, size_t n)
{
	memset(out, 0, (most + 1) * sizeof *out);
	int left = (int)n;
	for (; RTA_OK(at, left); at = RTA_NEXT(at, left))
		if ((at->rta_type & NLA_TYPE_MASK) <= most)
			out[at->rta_type & NLA_TYPE_MASK] = at;
}

static uint32_t number_of(const struct rtattr *a, uint32_t otherwise)
{
	uint32_t n = otherwise;
	if (a != NULL && RTA_PAYLOAD(a) >= sizeof n)
		memcpy(&n, RTA_DATA(a), sizeof n);
	return n;
}

static enum family family_of(unsigned char af)
{
	return af == AF_INET ? FAMILY_IPV4 : af == AF_INET6 ? FAMILY_IPV6 : FAMILY_NONE;
}

static void name_interface(char out[IF_NAMESIZE], uint32_t index)
{
	if (if_indextoname(index, out) == NULL)
		snprintf(out, IF_NAMESIZE, "#%u", index);
}

static void take_address(struct facts *f, const struct nlmsghdr *m)
{
	const struct ifaddrmsg *head = NLMSG_DATA(m);
	const struct rtattr *attributes[IFA_FLAGS + 1];
	enum family family = family_of(head->ifa_family);
	size_t bytes = family == FAMILY_IPV4 ? 4 : 16;
	read_attributes(attributes, IFA_FLAGS, IFA_RTA(head), IFA_PAYLOAD(m));
	/* of a point-to-point link IFA_ADDRESS is the other end's */
	const struct rtattr *own = attributes[IFA_LOCAL] != NULL ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
	if (family == FAMILY_NONE || own == NULL || RTA_PAYLOAD(own) < bytes || f->address_count == FACT_ADDRESSES)
		return;
	uint32_t flags = number_of(attributes[IFA_FLAGS], head->ifa_flags);
	struct fact_address *a = &f->addresses[f->address_count++];
	*a = (struct fact_address){
		.ip = ip_from_bytes(family, RTA_DATA(own)),
		.global = head->ifa_scope == RT_SCOPE_UNIVERSE,
		.tentative = (flags & IFA_F_TENTATIVE) != 0 && (flags & IFA_F_OPTIMISTIC) == 0,
		.duplicate = (flags & IFA_F_DADFAILED) != 0,
		.deprecated = (flags & IFA_F_DEPRECATED) != 0,
		/* of an IPv4 address the same bit says that it is not the first on its interface */
		.temporary = family == FAMILY_IPV6 && (flags & IFA_F_TEMPORARY) != 0,
	};
	name_interface(a->interface, head->ifa_index);
}

static void take_route(struct facts *f, const struct nlmsghdr *m)
{
	const struct rtmsg *head = NLMSG_DATA(m);
	const struct rtattr *attributes[RTA_TABLE + 1];
	enum family family = family_of(head->rtm_family);
	read_attributes(attributes, RTA_TABLE, RTM_RTA(head), RTM_PAYLOAD(m));
	uint32_t table = number_of(attributes[RTA_TABLE], head->rtm_table),
		 interface = number_of(attributes[RTA_OIF], 0);
	const struct rtattr *several = attributes[RTA_MULTIPATH];
	if (several != NULL && RTA_PAYLOAD(several) >= sizeof(struct rtnexthop))
		interface = (uint32_t)((const struct rtnexthop *)RTA_DATA(several))->rtnh_ifindex;
	if (family == FAMILY_NONE || head->rtm_dst_len != 0 || head->rtm_type != RTN_UNICAST ||
		table != RT_TABLE_MAIN || (head->rtm_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) != 0 ||
		f->route_count == FACT_ROUTES)
		return;
	struct fact_route *r = &f->routes[f->route_count++];
	*r = (struct fact_route){.family = family, .advertised = head->rtm_protocol == RTPROT_RA};
	name_interface(r->interface, interface);
}

int host_take(struct facts *f, const void *datagram, size_t n)
{
	const struct nlmsghdr *m = datagram;
	unsigned left = (unsigned)n;
	for (; NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) {
		if (m->nlmsg_type == NLMSG_DONE)
			return 0;
		if (m->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *e = NLMSG_DATA(m);
			return m->nlmsg_len >= NLMSG_LENGTH(sizeof *e) && e->error < 0 ? e->error : -EPROTO;
		}
		if (m->nlmsg_type == RTM_NEWADDR && m->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifaddrmsg)))
			take_address(f, m);
		if (m->nlmsg_type == RTM_NEWROUTE && m->nlmsg_len >= NLMSG_LENGTH(sizeof(struct rtmsg)))
			take_route(f, m);
	}
	return 1;
}

/* One dump: what = RTM_GETADDR or RTM_GETROUTE. */
static int dump(int fd, struct facts *f, uint16_t what)
{
	struct {
		struct nlmsghdr head;
		struct rtmsg body; /* as long as that of addresses needs, and more */
	} request = {.head = {.nlmsg_len = sizeof request,
			     .nlmsg_type = what,
			     .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			     .nlmsg_seq = what}};
	_Alignas(struct nlmsghdr) char datagram[32768];
	if (send(fd, &request, sizeof request, 0) < 0)
		return -errno;
	for (;;) {
		ssize_t n = recv(fd, datagram, sizeof datagram, 0);
		if (n < 0 && errno == EINTR)
			continue;
		int more = n < 0 ? -errno : host_take(f, datagram, (size_t)n);
		if (more <= 0)
			return more;
	}
}

static int read_sysctl(const char *interface, const char *key)
{
	char path[128], text[16] = "";
	snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/%s", interface, key);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return -1;
	char *got = fgets(text, sizeof text, file);
	fclose(file);
	return got != NULL && text[0] >= '0' && text[0] <= '9' ? text[0] - '0' : -1;
}

void host_read(struct facts *f)
{
	const struct timeval patience = {.tv_sec = 1};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	f->host_err = fd < 0 ? -errno : 0;
	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	f->host_err = dump(fd, f, RTM_GETADDR);
	if (f->host_err == 0)
		f->host_err = dump(fd, f, RTM_GETROUTE);
	close(fd);
	for (size_t i = 0; i < f->route_count; i++) {
		struct fact_route *r = &f->routes[i];
		/* with 0 a program takes the advertisements in the kernel's place, with 2 the kernel takes them anyway
		 */
		r->lapses = r->family == FAMILY_IPV6 && r->advertised && read_sysctl(r->interface, "forwarding") == 1 &&
			    read_sysctl(r->interface, "accept_ra") == 1;
	}
}

void host_choose(struct fact_source *out)
{
	static const char *const far[] = {"198.41.0.4", "2001:503:ba3e::2:30"};
	bool v6 = out->family == FAMILY_IPV6;
	struct endpoint to = {.port = 53}, own;
	struct sockaddr_storage sa;
	ip_parse(&to.ip, far[v6]);
	socklen_t n = endpoint_to_sockaddr(&to, &sa);
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, n) != 0) {
		out->err = -errno;
	} else {
		n = sizeof sa;
		out->err = getsockname(fd, (struct sockaddr *)&sa, &n) != 0
				   ? -errno
				   : endpoint_from_sockaddr(&own, (struct sockaddr *)&sa);
		if (out->err == 0)
			out->ip = own.ip;
	}
	if (fd >= 0)
		close(fd);
}
