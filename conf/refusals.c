/* conf/refusals.c: protocol. */
#include "conf/refusals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The wordings are those of real replies; where each was seen stands beside it in tests/unit/refusal_test.c. A pattern
 * has blanks where it can: what a reply repeats of us, an address or a host name, has none and cannot match by chance.
 *
 * What is no row, and why:
 * - 5.7.26, 5.7.27 and 5.7.1 alone. 5.7.26 is any failed authentication (RFC 7372 §3.4), 5.7.27 by its registration a
 *   sender with a null MX (RFC 7505 §6), though some use it for SPF, and 5.7.1 any policy: their wording decides.
 * - SPF that failed, without a word of IPv6 or of our address. Its result is a function of the client's address (RFC
 * 7208 §4.1, check_host()), so the other family may pass. But most such mail is forwarded or forged, for which no
 * address of ours is right, and each would be sent twice. Where the reply names IPv6, or the address over IPv6, a
 * record without our IPv6 address is the likely cause: the row spf-ipv6.
 * - DKIM and DMARC: they look at the message, which is the same over the other family.
 * - Rates and volumes ("too many … from your IP", "unusual rate of unsolicited mail", "exceeded permitted limits"): the
 *   mail is too much, not its address wrong; to go on from another address evades a limit. One that names IPv6 is about
 *   the family: over-ipv6.
 * - Lists of domains ("Sender address … blocked using", "domain is listed in"): the domain is the same over the other.
 */

/* what policy refuses with, by RFC 3463 or without an enhanced code */
#define POLICY                                                                                                         \
	{                                                                                                              \
		"5.7.*", "4.7.*", "none"                                                                               \
	}
#define FAMILY_ROW .kind = KIND_FAMILY
#define LISTED_ROW .kind = KIND_LISTED

/* clang-format off */
const struct refusal_preset refusal_presets[] = {
	/* the list's answer to its user was no listing: every client is refused, over any family */
	{.name = "open-resolver", .kind = KIND_NONE, .texts = {"blocked using*error: open resolver"}},

	/* RFC 7372 §3.3: the reverse DNS of the client's address failed a check */
	{.name = "reverse-dns-status", FAMILY_ROW, .statuses = {"5.7.25", "4.7.25"}},

	{.name = "google-ipv6", FAMILY_ROW, .texts = {"does not meet ipv6 sending guidelines"}},
	/* also with 4.7.0 and with 4.7.23, which is registered for SPF */
	{.name = "google-ptr", FAMILY_ROW, .statuses = POLICY, .texts = {
		"ip address sending this message does not have a ptr record",
		"sending ip address for this message doesn't have a ptr record",
		"does not match the ip address of the hostname specified in the pointer (ptr) record"}},
	{.name = "microsoft-reverse-dns", FAMILY_ROW, .texts = {"sending ipv6 address*must have*reverse dns record"}},
	{.name = "microsoft-spf-dkim", FAMILY_ROW, .texts = {"sent over ipv6*must pass either spf or dkim validation"}},
	{.name = "microsoft-no-ipv6", FAMILY_ROW, .texts = {"does not accept email over ipv6"}},
	/* GMX, web.de, 1&1, mail.com */
	{.name = "gmx-ptr", FAMILY_ROW, .texts = {"dns ptr resource record", "no ptr resource record"}},
	{.name = "freenet-ptr", FAMILY_ROW, .texts = {"inconsistent or no dns ptr record"}},
	{.name = "comcast-ptr", FAMILY_ROW, .texts = {
		"mail servers must have a ptr record with a valid reverse dns entry", "reverse dns failure"}},
	{.name = "free-reverse-dns", FAMILY_ROW, .texts = {"reverse dns entry does not resolve"}},
	{.name = "godaddy-reverse-dns", FAMILY_ROW, .texts = {"reverse dns for this ip failed"}},
	{.name = "cox-reverse-dns", FAMILY_ROW, .texts = {"rejected - no rdns"}},
	{.name = "mail-ru-ptr", FAMILY_ROW, .texts = {"dynamic ip or generic dns ptr-records"}},
	{.name = "forpsi-reverse-dns", FAMILY_ROW, .texts = {"no dns reverse for "}},
	/* Postfix: reject_unknown_client_hostname, reject_unknown_reverse_client_hostname */
	{.name = "postfix-hostname", FAMILY_ROW, .texts = {
		"client host rejected: cannot find your hostname", "client host rejected: cannot find your reverse hostname"}},
	{.name = "reverse-dns", FAMILY_ROW, .statuses = {"5.7.*", "4.7.*", "5.5.1", "none"}, .texts = {
		"no reverse dns", "missing reverse dns", "bad reverse dns", "fix reverse dns", "valid reverse dns",
		"reverse dns failed", "reverse dns lookup for host*failed", "reverse dns required",
		"reverse dns validation failed", "invalid rdns record", "ip name lookup failed"}},
	{.name = "ptr-record", FAMILY_ROW, .statuses = POLICY, .texts = {
		"no ptr record", "missing ptr record", "valid ptr record", "not have a ptr record", "no dns ptr record"}},

	{.name = "spf-ipv6", FAMILY_ROW, .over = CONF_FAMILY_IPV6, .texts = {
		"spf*ipv6 address", "ipv6 address*spf", "spf*with ip*did not pass", "fails to pass spf checks with the ip: ",
		"spf-check failed: *doesn't allow sending mails from ", "spf fail*ip=*:*:"}},
	{.name = "over-ipv6", FAMILY_ROW, .over = CONF_FAMILY_IPV6, .statuses = POLICY, .texts = {
		"over ipv6", "via ipv6", "using ipv6", "ipv6 connection", "ipv6 sending", "ipv6 address", "retry on ipv4"}},

	/* Postfix (reject_rbl_client) and all that speak like it: Spamhaus, SORBS, Barracuda, Cloudmark, Proofpoint */
	{.name = "blocked-using", LISTED_ROW, .texts = {
		"client host*blocked using", "client [*blocked using", "client host*blocked by*using"}},
	{.name = "microsoft-block-list", LISTED_ROW, .texts = {
		"part of their network is on our block list", "access denied, banned sending ip",
		"temporarily rate limited due to ip reputation"}},
	{.name = "google-reputation", LISTED_ROW, .texts = {"very low reputation of the sending ip"}},
	{.name = "gmx-block-list", LISTED_ROW, .texts = {"ip address is block listed", "ip address is black listed"}},
	{.name = "t-online", LISTED_ROW, .codes = {"554"}, .texts = {
		"ip=*none/bad reputation", "ip=*a problem occurred*(bl)", "dialup/transient ip not allowed"}},
	{.name = "yahoo-spamhaus", LISTED_ROW, .texts = {
		"because the ip is in spamhaus's list", "not accepted from ip addresses on spamhaus"}},
	{.name = "apple-proofpoint", LISTED_ROW, .texts = {
		"rejected due to listing in spamhaus", "blocked - see https://support.proofpoint.com/dnsbl-lookup"}},
	{.name = "comcast-block-list", LISTED_ROW, .codes = {"554"}, .texts = {
		"comcast block for spam*smtp-error-codes.php#bl0"}},
	{.name = "orange-block-list", LISTED_ROW, .texts = {"adresse ip source bloquee"}},
	{.name = "mimecast-reputation", LISTED_ROW, .texts = {"local ct ip reputation", "ip temporarily blacklisted"}},
	{.name = "cloudmark", LISTED_ROW, .texts = {"poor reputation on cloudmark sender intelligence", "in an rbl on csi.cloudmark.com"}},
	{.name = "spamcop", LISTED_ROW, .texts = {"www.spamcop.net/bl."}},
	{.name = "block-list", LISTED_ROW, .texts = {
		"ip address is listed in the rbl", "ip address is listed on the", "ip address blacklisted by",
		"ip address*rejected [ip reputation"}},
};
/* clang-format on */
const size_t refusal_preset_count = sizeof refusal_presets / sizeof refusal_presets[0];

bool refusals_is_name(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
	return n > 0 && n <= REFUSAL_NAME_MAX && text[n] == '\0';
}

const struct conf_refusal *refusals_find(const struct conf_refusal *rows, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

static int copy_list(struct conf_texts *to, const char *const *from)
{
	size_t count = 0;
	while (from[count] != NULL)
		count++;
	to->items = calloc(count, sizeof *to->items);
	if (count != 0 && to->items == NULL)
		return -ENOMEM;
	for (; to->count < count; to->count++)
		if ((to->items[to->count] = strdup(from[to->count])) == NULL)
			return -ENOMEM;
	return 0;
}

int refusals_preset(struct conf_refusal *row, const struct refusal_preset *preset)
{
	row->kind = preset->kind;
	row->over = preset->over;
	row->name = strdup(preset->name);
	int err = row->name ? 0 : -ENOMEM;
	if (err == 0)
		err = copy_list(&row->codes, preset->codes);
	if (err == 0)
		err = copy_list(&row->statuses, preset->statuses);
	return err ? err : copy_list(&row->texts, preset->texts);
}

bool refusals_is_off(const struct conf_refusal *row)
{
	return row->codes.count == 0 && row->statuses.count == 0 && row->texts.count == 0;
}

int refusals_complain(const struct conf_refusal *row, struct buf *why)
{
	if (!refusals_is_off(row))
		return 0;
	if (row->kind != KIND_NONE) {
		buf_append_str(why, "without a condition it matches every refusal; expected code, status or text");
		return -EINVAL;
	}
	for (size_t i = 0; i < refusal_preset_count; i++)
		if (strcmp(refusal_presets[i].name, row->name) == 0)
			return 0;
	buf_append_str(why, "there is no built-in row of that name to switch off; expected one of");
	for (size_t i = 0; i < refusal_preset_count; i++)
		buf_printf(why, "%s %s", i ? "," : "", refusal_presets[i].name);
	buf_append_str(why, ", or code, status or text");
	return -EINVAL;
}
