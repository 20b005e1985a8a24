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

const struct path_try *notice_path(const struct notice *in)
{
	const struct attempt *a = in->attempt;
	return a != NULL && a->used >= 0 && (unsigned)a->used < a->path_count ? &a->paths[a->used] : NULL;
}
