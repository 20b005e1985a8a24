/* queue/control/socket.c: plumbing. */
#include "queue/control/socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 64, GROUPS_MAX = 1024 };

static int address_of(struct sockaddr_un *sa, const char *path, const char *suffix)
{
	*sa = (struct sockaddr_un){.sun_family = AF_UNIX};
	int n = snprintf(sa->sun_path, sizeof sa->sun_path, "%s%s", path, suffix);
	return n < 0 || (size_t)n >= sizeof sa->sun_path ? -ENAMETOOLONG : 0;
}

/* Is somebody listening there? 0 no (nothing, or a stale socket); -EADDRINUSE; -EEXIST; else negative. */
static int look(const char *path)
{
	struct stat st;
	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	struct sockaddr_un sa;
	int err = address_of(&sa, path, "");
	if (err != 0)
		return err;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0 ? -EADDRINUSE : -errno;
	close(fd);
	if (err == -EAGAIN) /* alive, with a full queue */
		return -EADDRINUSE;
	return err == -ECONNREFUSED || err == -ENOENT ? 0 : err;
}

/* Makes the last folder of the path if its parent exists. */
static int make_folder(const char *path)
{
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
	const char *slash = strrchr(path, '/');
	if (slash == NULL || slash == path)
		return 0;
	snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
	return mkdir(folder, 0755) == 0 || errno == EEXIST ? 0 : -errno;
}

/* Bound under another name, then renamed: the path never names a socket that nobody may open or nobody answers. */
static int bind_beside(int fd, ino_t *inode, const char *path, mode_t mode)
{
	struct sockaddr_un beside;
	int err = address_of(&beside, path, ".new");
	if (err != 0)
		return err;
	if (unlink(beside.sun_path) != 0 && errno != ENOENT)
		return -errno;
	if (bind(fd, (struct sockaddr *)&beside, sizeof beside) != 0)
		return -errno;
	struct stat st;
	if (chmod(beside.sun_path, mode) != 0 || listen(fd, BACKLOG) != 0 || lstat(beside.sun_path, &st) != 0 ||
		rename(beside.sun_path, path) != 0) {
		err = -errno;
		unlink(beside.sun_path);
		return err;
	}
	*inode = st.st_ino;
	return 0;
}

static const struct {
	const char *what;
	mode_t mode;
} kinds[] = {[CONTROL_SOCKET_OWN] = {"control socket", 0660}, [CONTROL_SOCKET_ALL] = {"oracle", 0666}};

static int explain(struct buf *errors, enum control_socket kind, const char *path, int err)
{
	static const struct {
		int err;
		const char *mend;
	} rows[] = {
		{-EADDRINUSE, "another daemon answers there; stop it, or set another path"},
		{-EEXIST, "what stands there is no socket; move it away, or set another path"},
		{-ENAMETOOLONG, "the path is too long for a socket; set a shorter one"},
		{-ENOENT, "make its folder first, or set another path"},
		{-EACCES, "this user may not write there; change the folder's owner, or set another path"},
	};
	const char *mend = strerror(-err);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].err == err)
			mend = rows[i].mend;
	buf_printf(errors, "%s %s: %s\n", kinds[kind].what, path, mend);
	return err;
}

int control_socket_make(int *out, ino_t *inode, const char *path, enum control_socket kind, struct buf *errors)
{
	int err = look(path);
	if (err == 0)
		err = make_folder(path);
	if (err != 0)
		return explain(errors, kind, path, err);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return explain(errors, kind, path, -errno);
	err = bind_beside(fd, inode, path, kinds[kind].mode);
	if (err != 0) {
		close(fd);
		return explain(errors, kind, path, err);
	}
	*out = fd;
	return 0;
}

void control_socket_remove(const char *path, ino_t inode)
{
	struct stat st;
	if (lstat(path, &st) == 0 && st.st_ino == inode)
		unlink(path);
}

bool control_may(uid_t uid, gid_t gid, const gid_t *groups, size_t group_count, uid_t own_uid, gid_t own_gid)
{
	if (uid == 0 || uid == own_uid || gid == own_gid)
		return true;
	for (size_t i = 0; i < group_count; i++)
		if (groups[i] == own_gid)
			return true;
	return false;
}

bool control_socket_peer(int fd, char *who, size_t size)
{
	struct ucred cred;
	socklen_t len = sizeof cred;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0) {
		snprintf(who, size, "unknown");
		return false;
	}
	snprintf(who, size, "uid=%u pid=%d", cred.uid, cred.pid);
	/* as they were when the peer connected; older kernels do not know SO_PEERGROUPS */
	gid_t groups[GROUPS_MAX];
	len = sizeof groups;
	size_t count = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == 0 ? len / sizeof groups[0] : 0;
	return control_may(cred.uid, cred.gid, groups, count, geteuid(), getegid());
}
