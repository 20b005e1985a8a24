/* queue/mail/xtext.h: the values of ENVID and ORCPT, and the ASCII form of UTF-8 addresses. Protocol: pure.
 *
 * xtext is RFC 3461 §4: printable ASCII with "+2B" for the rest. utf-8-addr-xtext and utf-8-addr-unitext are RFC 6533
 * §3: "\x{3B4}" for what cannot stand there. */
#ifndef QUEUE_MAIL_XTEXT_H
#define QUEUE_MAIL_XTEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Decodes xtext as a text; a NUL that it stands for becomes '?'. 0; -EINVAL: no xtext; -E2BIG: longer than `size`. */
int xtext_decode(char *out, size_t size, const char *text);
/* Encodes. 0 or -E2BIG. */
int xtext_encode(char *out, size_t size, const char *text);

enum { ORCPT_TYPE = 64 };
/* Takes ORCPT apart: its address type in lower case ("rfc822", "utf-8") and its address, decoded as its type says. 0,
 * -EINVAL or -E2BIG. */
int orcpt_decode(char type[ORCPT_TYPE], char *address, size_t size, const char *orcpt);
/* The same of what a client says now, which keeps to the RFC: in utf-8-addr-xtext no bare '+' or '=', and no controls.
 * What is in the spool may be older. */
int orcpt_read(char type[ORCPT_TYPE], char *address, size_t size, const char *orcpt);

/* The ORCPT of an address, with its type: "rfc822;" and xtext if it is ASCII, else "utf-8;" and utf-8-addr-unitext
 * where `utf8` (a transaction with SMTPUTF8), utf-8-addr-xtext where not. 0; -EINVAL: it is no UTF-8; -E2BIG. */
int orcpt_encode(char *out, size_t size, const char *address, bool utf8);

/* ENVID or ORCPT that a client gave, encoded already, as the next server may hear it: without `utf8` utf-8-addr-unitext
 * becomes utf-8-addr-xtext. 0; -EINVAL: it is no UTF-8, or has what cannot stand in a command; -E2BIG. */
int xtext_pass(char *out, size_t size, const char *text, bool utf8);

/* An address in utf-8-addr-xtext. What is no UTF-8 in it stands as '?'. 0 or -E2BIG. */
int utf8_address_encode(char *out, size_t size, const char *address);

/* Are all bytes ASCII? */
bool text_is_ascii(const char *text);

#endif
