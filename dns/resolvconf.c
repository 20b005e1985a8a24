/* dns/resolvconf.c: plumbing. */
#include "dns/resolvconf.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { LOOK_EVERY_MS = 5000, FILE_BYTES = 16384, DNS_PORT = 53 };

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* "nameserver ADDRESS", from the first column on. */
static bool read_line(struct endpoint *out, const char *line, size_t len)
{
	static const char keyword[] = "nameserver";
	size_t at = sizeof keyword - 1, n = 0;
	char text[IP_TEXT];
	if (len <= at || memcmp(line, keyword, at) != 0 || !blank(line[at]))
		return false;
	while (at < len && blank(line[at]))
		at++;
	while (at + n < len && !blank(line[at + n]))
		n++;
	if (n >= sizeof text)
		return false;
	memcpy(text, line + at, n);
	text[n] = 0;
	out->port = DNS_PORT;
	return ip_parse(&out->ip, text) == 0;
}

size_t resolvconf_parse(const char *text, size_t len, struct endpoint out[RESOLVCONF_SERVERS])
{
	size_t count = 0;
	while (len != 0 && count < RESOLVCONF_SERVERS) {
		const char *end = memchr(text, '\n', len);
		size_t line = end != NULL ? (size_t)(end - text) : len;
		if (read_line(&out[count], text, line))
			count++;
		size_t used = line + (end != NULL);
		text += used;
		len -= used;
	}
	if (count == 0) {
		ip_parse(&out[0].ip, "127.0.0.1");
		out[0].port = DNS_PORT;
		count = 1;
	}
	return count;
}

void resolvconf_init(struct resolvconf *f, const char *path)
{
	*f = (struct resolvconf){.path = path};
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

bool resolvconf_changed(struct resolvconf *f, uint64_t now_ms)
{
	struct stat now;
	if (now_ms < f->next_look_ms)
		return false;
	f->next_look_ms = now_ms + LOOK_EVERY_MS;
	/* a file that is gone is likely being replaced: what was read last stays */
	return stat(f->path, &now) == 0 && !same_file(&now, &f->seen);
}

size_t resolvconf_read(struct resolvconf *f, struct endpoint out[RESOLVCONF_SERVERS])
{
	char text[FILE_BYTES];
	size_t len = 0;
	f->seen = (struct stat){0};
	int fd = open(f->path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (fstat(fd, &f->seen) != 0)
			f->seen = (struct stat){0};
		ssize_t n;
		while (len < sizeof text && (n = read(fd, text + len, sizeof text - len)) > 0)
			len += (size_t)n;
		close(fd);
	}
	return resolvconf_parse(text, len, out);
}
