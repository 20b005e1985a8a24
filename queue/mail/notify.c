/* queue/mail/notify.c: protocol. */
#include "queue/mail/notify.h"

#include "queue/mail/envelope.h"

bool notify_wants(uint8_t notify, unsigned flags, enum notify_event event)
{
	if (notify & NOTIFY_NEVER)
		return false;
	switch (event) {
	case NOTIFY_OF_FAILURE:
		return notify == 0 || (notify & NOTIFY_FAILURE);
	case NOTIFY_OF_DELAY:
		return notify == 0 || (notify & NOTIFY_DELAY);
	case NOTIFY_OF_BY_TIME:
		return (flags & ENVELOPE_BY_NOTIFY) != 0;
	case NOTIFY_OF_RELAY:
		return (notify & NOTIFY_SUCCESS) || (flags & ENVELOPE_BY_TRACE);
	}
	return false;
}
