/* queue/control/protocol.c: protocol. */
#include "queue/control/protocol.h"

#include <errno.h>
#include <stddef.h>

static const char *const error_words[CONTROL_ERROR_COUNT] = {
#define X(name, word) word,
	CONTROL_ERRORS(X)
#undef X
};

const char *control_error_word(enum control_error e)
{
	return (unsigned)e < CONTROL_ERROR_COUNT ? error_words[e] : "failed";
}

enum control_error control_error_of(int err)
{
	static const struct {
		int err;
		enum control_error e;
	} rows[] = {
		{-ENOENT, CONTROL_ERROR_NOT_FOUND},
		{-EEXIST, CONTROL_ERROR_AMBIGUOUS},
		{-EINVAL, CONTROL_ERROR_ARGUMENT},
		{-EALREADY, CONTROL_ERROR_ALREADY},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].err == err)
			return rows[i].e;
	return CONTROL_ERROR_FAILED;
}
