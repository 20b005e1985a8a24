/* queue/mail/notice.c: protocol. */
#include "queue/mail/notice.h"

const char *notice_word(enum notice_kind kind)
{
	static const char *const words[] = {
#define X(name, word) [name] = (word),
		NOTICES(X)
#undef X
	};
	return words[kind];
}

const struct path_try *notice_path(const struct notice *in, const struct notice_rcpt *r)
{
	const struct attempt *a = in->attempt;
	if (r->reply->own || r->reply->code == 0)
		return NULL;
	if (in->paths != NULL)
		return in->paths[r - in->rcpts];
	return a != NULL && a->used >= 0 && (unsigned)a->used < a->path_count ? &a->paths[a->used] : NULL;
}

uint64_t notice_tried_ms(const struct notice *in)
{
	if (in->tried_ms != 0 || in->attempt == NULL || in->attempt->waited)
		return in->tried_ms;
	return in->attempt->when_ms;
}
