/* dns/name.h: which texts may be asked for as names. Protocol: pure. */
#ifndef DNS_NAME_H
#define DNS_NAME_H

#include <stdbool.h>

/* True for A-labels without a dot at the end: at most 253 bytes, labels of 1 to 63, of letters, digits, `-` and `_`
 * (RFC 1035 §2.3.4; `_` for service names). The root is none. */
bool dns_name_valid(const char *name);

#endif
