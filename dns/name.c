/* dns/name.c: protocol. */
#include "dns/name.h"

#include <stddef.h>

static bool may_stand_in_label(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool dns_name_valid(const char *name)
{
	enum { NAME_LONGEST = 253, LABEL_LONGEST = 63 };
	size_t label = 0;
	for (size_t i = 0; i <= NAME_LONGEST; i++) {
		if (name[i] == '.' || name[i] == 0) {
			if (label == 0)
				return false;
			if (name[i] == 0)
				return true;
			label = 0;
		} else if (!may_stand_in_label(name[i]) || ++label > LABEL_LONGEST) {
			return false;
		}
	}
	return false;
}
