/* queue/mail/redirect.c: protocol. */
#include "queue/mail/redirect.h"

#include <errno.h>
#include <string.h>

#include "conf/value.h"

int redirect_read(const char *text, char out[REDIRECT_MAX + 1])
{
	struct conf_relay relay = {0};
	struct buf canonical;
	int err = value_read_relay(&relay, text);
	if (err != 0)
		return err;
	buf_init(&canonical, REDIRECT_MAX);
	err = value_write_relay(&relay, &canonical);
	if (err == 0 && canonical.len == 0)
		err = -EINVAL;
	if (err == 0) {
		memcpy(out, canonical.data, canonical.len);
		out[canonical.len] = '\0';
	}
	buf_fini(&canonical);
	value_free_relay(&relay);
	return err == -E2BIG ? -EINVAL : err;
}
