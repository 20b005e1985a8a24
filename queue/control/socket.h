/* queue/control/socket.h: making the control socket, and who is at its other end; the socket of an oracle is made the
 * same way. Plumbing; blocks for no longer than a file operation. */
#ifndef QUEUE_CONTROL_SOCKET_H
#define QUEUE_CONTROL_SOCKET_H

#include <stdbool.h>
#include <sys/types.h>

#include "conf/buf.h"

enum control_socket {
	CONTROL_SOCKET_OWN, /* mode 0660: relayq's */
	CONTROL_SOCKET_ALL, /* mode 0666: an oracle's; who may enter its folder may ask */
};

/* A listening, non-blocking socket at `path`: see control_open(). 0, with the file's inode; or negative. */
int control_socket_make(int *fd, ino_t *inode, const char *path, enum control_socket kind, struct buf *errors);
/* Removes the path unless somebody else's socket stands there now. */
void control_socket_remove(const char *path, ino_t inode);
/* May the peer of a connected socket ask (control_may())? `who` becomes "uid=0 pid=123". */
bool control_socket_peer(int fd, char *who, size_t size);

/* Who may ask: root, the daemon's own user, members of its group. `groups` are those of the peer besides `gid`.
 * Pure. */
bool control_may(uid_t uid, gid_t gid, const gid_t *groups, size_t group_count, uid_t own_uid, gid_t own_gid);

#endif
