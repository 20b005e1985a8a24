/* tests/unit/refusal_test.c: which refusals are about the address family or the address: replies of real servers, the
 * rows of the configuration, and the manual's list of the built-in ones.
 *
 * Addresses and names in the replies are replaced by ones for documentation. Where a wording was seen stands above it:
 *   Sisimai  lib/Sisimai/{Rhost,Reason}/ and set-of-emails/ of github.com/sisimai/p5-sisimai, a library that reads
 * bounces Field    data/codes/ of github.com/ActiveCampaign/smtp-field-manual, replies collected by a provider of mail
 * services NAME#N   an issue of that project on github.com */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/keys.h"
#include "conf/policy.h"
#include "conf/refusals.h"
#include "conf/settings.h"
#include "conf/texts.h"
#include "queue/path/refusal.h"

#define HOST "hostname = relay.example.net\n"
#define V6 FAMILY_IPV6
#define V4 FAMILY_IPV4

static struct conf *good(const char *text)
{
	struct conf *c = NULL;
	struct buf errors;
	buf_init(&errors, 100000);
	int err = conf_parse(&c, "t", text, strlen(text), &errors);
	if (err != 0)
		fail_msg("%s\ngave %d\n%s", text, err, errors.data ? (char *)errors.data : "");
	buf_fini(&errors);
	return c;
}

static struct reply reply_of(const char *wire)
{
	struct reply_parser p;
	enum reply_event event = REPLY_MORE;
	size_t len = strlen(wire), used = 0;
	reply_parser_init(&p, 100, 65536);
	for (size_t at = 0; at < len; at += used)
		event = reply_parser_feed(&p, (const uint8_t *)wire + at, len - at, &used);
	if (event != REPLY_COMPLETE)
		fail_msg("no whole reply: %s", wire);
	return p.reply;
}

static void expect(const struct conf *c, const char *wire, enum family via, enum refusal kind, const char *row)
{
	static const char *const kinds[] = {"none", "family", "listed"};
	struct reply r = reply_of(wire);
	struct refusal_match m = refusal_of(c, &r, via);
	if (m.kind != kind || (m.row == NULL) != (row == NULL) || (row != NULL && strcmp(row, m.row) != 0))
		fail_msg("%s\nis %s by row %s; expected %s by row %s", wire, kinds[m.kind], m.row ? m.row : "-",
			kinds[kind], row ? row : "-");
}

/* ---- replies of real servers ---- */

struct row {
	const char *wire;
	enum family via;
	enum refusal kind;
	const char *row;
};

/* clang-format off */
static const struct row about_the_family[] = {
	/* RFC 7372 §3.3, its own text */
	{"550 5.7.25 Reverse DNS validation failed\n", V6, REFUSAL_FAMILY, "reverse-dns-status"},
	{"450 4.7.25 Reverse DNS validation failed\n", V4, REFUSAL_FAMILY, "reverse-dns-status"},
	/* mailcow/mailcow#238 */
	{"550-5.7.1 [2001:db8::25] Our system has detected that\n550-5.7.1 this message does not meet IPv6 sending guidelines regarding PTR\n"
	 "550-5.7.1 records and authentication. Please review\n550-5.7.1  https://support.google.com/mail/?p=ipv6_authentication_error for more\n"
	 "550 5.7.1 information. z186si39663674wmz.15 - gsmtp\n", V6, REFUSAL_FAMILY, "google-ipv6"},
	/* mail-in-a-box/mailinabox#1746 */
	{"550-5.7.25 [2001:db8::25] The IP address sending this message does not\n550-5.7.25 have a PTR record setup. As a policy, Gmail does not accept\n"
	 "550-5.7.25 messages from IPs with missing PTR records. Please visit\n550-5.7.25  https://support.google.com/mail/answer/81126#authentication for\n"
	 "550 5.7.25 more information. s12si10692358edy.381 - gsmtp\n", V6, REFUSAL_FAMILY, "reverse-dns-status"},
	/* jeboehm/docker-mailserver#234 */
	{"550-5.7.25 [203.0.113.7] The IP address sending this message does not have a\n550-5.7.25 PTR record setup, or the corresponding forward DNS entry does not\n"
	 "550 5.7.25 point to the sending IP. As a policy, Gmail does not accept messages from IPs with missing PTR records.\n", V4, REFUSAL_FAMILY, "reverse-dns-status"},
	/* Sisimai: Rhost/Google.pm */
	{"421-4.7.0 The IP address sending this message does not have a PTR record, or the\n421 4.7.0 corresponding forward DNS entry does not point to the sending IP.\n",
	 V6, REFUSAL_FAMILY, "google-ptr"},
	{"421 4.7.23 The sending IP address for this message doesn't have a PTR record, or the PTR record's forward DNS entry doesn't match the "
	 "sending IP address.\n", V6, REFUSAL_FAMILY, "google-ptr"},
	{"550 5.7.25 The sending IP does not match the IP address of the hostname specified in the pointer (PTR) record.\n", V6, REFUSAL_FAMILY,
	 "reverse-dns-status"},
	/* YunoHost/issues#2517 */
	{"550-5.7.26 Your email has been blocked because the sender is unauthenticated.\n550-5.7.26 Gmail requires all senders to authenticate with either SPF or DKIM.\n"
	 "550-5.7.26  \n550-5.7.26  Authentication results:\n550-5.7.26  DKIM = did not pass\n550-5.7.26  SPF [example.org] with ip: [2001:db8::25] = did\n"
	 "550-5.7.26 not pass\n550 5.7.26  https://support.google.com/mail/answer/81126#authentication\n", V6, REFUSAL_FAMILY, "spf-ipv6"},
	/* Sisimai: Rhost/Google.pm */
	{"421 4.7.27 Your email has been rate limited because SPF authentication didn't pass for this message. Authentication results: SPF example.org "
	 "with IP address: 2001:db8::25 = Did not pass.\n", V6, REFUSAL_FAMILY, "spf-ipv6"},
	{"550 5.7.26 The MAIL FROM domain [example.org] has an SPF record with a hard fail policy (-all) but it fails to pass SPF checks with the "
	 "ip: [2001:db8::25].\n", V6, REFUSAL_FAMILY, "spf-ipv6"},
	/* wordtothewise.com/2015/04/office365eop-ipv6-changes-starting-today, and Microsoft's own announcement of 2015-04-18 */
	{"550 5.7.25 Service unavailable, sending IPv6 address [2001:db8::25] must have reverse DNS record\n", V6, REFUSAL_FAMILY, "reverse-dns-status"},
	{"554 5.7.26 Service unavailable, message sent over IPv6 must pass either SPF or DKIM validation\n", V6, REFUSAL_FAMILY, "microsoft-spf-dkim"},
	{"450 4.7.26 Service unavailable, message sent over IPv6 must pass either SPF or DKIM validation\n", V6, REFUSAL_FAMILY, "microsoft-spf-dkim"},
	/* Sisimai: Rhost/Microsoft.pm, from Microsoft's table of NDR codes; 5.7.1 so that the wording alone decides */
	{"450 4.7.26 Access denied, a message sent over IPv6 [2001:db8::25] must pass either SPF or DKIM validation, this message is not signed\n", V6,
	 REFUSAL_FAMILY, "microsoft-spf-dkim"},
	{"550 5.7.1 Access denied, the sending IPv6 address [2001:db8::25] must have a reverse DNS record\n", V6, REFUSAL_FAMILY, "microsoft-reverse-dns"},
	{"550 5.7.510 Access denied, example.com does not accept email over IPv6\n", V6, REFUSAL_FAMILY, "microsoft-no-ipv6"},
	/* akriga.com/email-error-554; Sisimai: set-of-emails */
	{"554-gmx.net (mxgmx110) Nemesis ESMTP Service not available\n554-No SMTP service\n554-Bad DNS PTR resource record.\n"
	 "554 For explanation visit http://postmaster.gmx.com/en/error-messages?ip=192.0.2.22&c=rdns\n", V4, REFUSAL_FAMILY, "gmx-ptr"},
	/* Field: 550 */
	{"550 <example@example.com>: Bad DNS PTR resource record\n", V6, REFUSAL_FAMILY, "gmx-ptr"},
	/* openhatch/oh-mainline#509, BigAndini/ers#363 */
	{"550 inconsistent or no DNS PTR record for 2001:db8:849:9800::aa:ef7d (see RFC 1912 2.1)\n", V6, REFUSAL_FAMILY, "freenet-ptr"},
	{"550-inconsistent or no DNS PTR record for 2001:db8:849:9800::aa:ef7d (see RFC\n550 1912 2.1)\n", V6, REFUSAL_FAMILY, "freenet-ptr"},
	/* Field: 554; Sisimai: set-of-emails */
	{"554 mta1.comcast.net comcast 203.0.113.2 Comcast requires that all mail servers must have a PTR record with a valid Reverse DNS entry. "
	 "Currently your mail server does not fill that requirement.\n", V4, REFUSAL_FAMILY, "comcast-ptr"},
	/* postmaster.comcast.net, table of error codes */
	{"421 Reverse DNS failure : Try again later\n", V6, REFUSAL_FAMILY, "comcast-ptr"},
	/* iredmail/iRedMail#156 */
	{"421 Refused. Your reverse DNS entry does not resolve to an IP.\n", V4, REFUSAL_FAMILY, "free-reverse-dns"},
	/* Sisimai: Rhost/GoDaddy.pm, Rhost/Cox.pm (in part), Reason/RequirePTR.pm */
	{"421 Temporarily rejected. Reverse DNS for this IP failed. IB108\n", V4, REFUSAL_FAMILY, "godaddy-reverse-dns"},
	{"554 rejected - no rDNS\n", V4, REFUSAL_FAMILY, "cox-reverse-dns"},
	{"550 We do not accept mail from hosts with dynamic IP or generic dns PTR-records\n", V4, REFUSAL_FAMILY, "mail-ru-ptr"},
	/* support.forpsi.com/kb/a3303 */
	{"554 cmg1.fe.forpsi.com bizsmtp 0bcW1i00G0jifNx01bcmHa no DNS reverse for 2001:db8::25\n", V6, REFUSAL_FAMILY, "forpsi-reverse-dns"},
	/* anonaddy/anonaddy#713, mailcow/mailcow-dockerized#2282, docker-mailserver#2970, math.fel.cvut.cz/0misc/undelivered.html */
	{"554 5.7.1 Client host rejected: cannot find your reverse hostname, [2001:db8::25]\n", V6, REFUSAL_FAMILY, "postfix-hostname"},
	{"450 4.7.1 Client host rejected: cannot find your reverse hostname, [2001:db8::25]\n", V6, REFUSAL_FAMILY, "postfix-hostname"},
	{"450 4.7.25 Client host rejected: cannot find your hostname, [2001:db8::25]\n", V6, REFUSAL_FAMILY, "reverse-dns-status"},
	{"550 Client host rejected: cannot find your hostname, [203.0.113.7]\n", V4, REFUSAL_FAMILY, "postfix-hostname"},
	/* it-support-servicestatus.web.cern.ch, SMTP-040527 */
	{"550 5.7.1 Relaying denied. No reverse DNS configured for IP.\n", V6, REFUSAL_FAMILY, "reverse-dns"},
	/* Sisimai: set-of-emails */
	{"554 5.7.1 [C14] Missing reverse DNS for 203.0.113.2\n", V4, REFUSAL_FAMILY, "reverse-dns"},
	{"554 5.7.1 Reverse DNS failed.\n", V6, REFUSAL_FAMILY, "reverse-dns"},
	{"554 5.7.1 Reverse DNS lookup for host 203.0.113.22 failed permanently.\n", V4, REFUSAL_FAMILY, "reverse-dns"},
	{"550 5.7.1 Connections not accepted from servers without a valid sender domain. Fix reverse DNS for 203.0.113.2\n", V4, REFUSAL_FAMILY, "reverse-dns"},
	{"550-Your message was rejected by this system and was not delivered.\n550-Reason: This system will not accept messages from servers/devices with no reverse DNS. IP=[203.0.113.2]\n"
	 "550-Protection provided by: MagicMail version 2.0\n"
	 "550 or contact your ISP or mail server operator.\n", V4, REFUSAL_FAMILY, "reverse-dns"},
	{"551 Server access mta.example.org forbidden by invalid RDNS record of your mail server (203.0.113.2).\n", V4, REFUSAL_FAMILY, "reverse-dns"},
	{"571 No PTR Record found. Reverse DNS required: 203.0.113.2\n", V4, REFUSAL_FAMILY, "reverse-dns"},
	{"550 Access denied. IP name lookup failed\n", V6, REFUSAL_FAMILY, "reverse-dns"},
	/* pastebin.com/hCTTkwRT, hardwaresecrets.com/understanding-email-bounce-messages, pastebin.com/hHKz6nru */
	{"550-5.5.1 Your server IP address [203.0.113.154] does not have a valid\n550 reverse DNS entry [203-0-113-154.static.example].\n", V4, REFUSAL_FAMILY, "reverse-dns"},
	{"451 Bad reverse DNS.\n", V6, REFUSAL_FAMILY, "reverse-dns"},
	{"550 5.7.1 Fix reverse DNS for 2001:db8::25\n", V6, REFUSAL_FAMILY, "reverse-dns"},
	/* support.toast.net/KB/a75 */
	{"554 Connecting IP must have valid PTR record for 203.0.113.7\n", V4, REFUSAL_FAMILY, "ptr-record"},
	/* draft-martin-smtp-ipv6-to-ipv4-fallback-00 names its code so */
	{"451 4.7.1 Retry on IPv4\n", V6, REFUSAL_FAMILY, "over-ipv6"},
	/* Field: 550, Exim's text; docker-mailserver/docker-mailserver#1202, a policy service of Postfix */
	{"550-SPF-check failed:\n550 example.com doesn't allow sending mails from 2001:db8::25\n", V6, REFUSAL_FAMILY, "spf-ipv6"},
	{"550 5.7.23 <info@example.com>: Recipient address rejected: Message rejected due to: SPF fail - not authorized. Please see "
	 "http://www.openspf.net/Why?s=helo;id=mx.example.org;ip=2001:db8::25;r=<UNKNOWN>\n", V6, REFUSAL_FAMILY, "spf-ipv6"},
};

static const struct row about_a_list[] = {
	/* support.onesystems.ch, Sisimai, sendgrid/docs#6275, Field, thunderbird/mailstrom#162, hardwaresecrets.com */
	{"554 5.7.1 Service unavailable; Client host [2001:db8::25] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/2001:db8::25\n", V6,
	 REFUSAL_LISTED, "blocked-using"},
	{"554 Service unavailable; Client host [203.0.113.7] blocked using dnsbl.sorbs.net; See: http://www.dnsbl.sorbs.net/lookup.shtml\n", V4, REFUSAL_LISTED,
	 "blocked-using"},
	{"521-5.7.1 Service unavailable; client [203.0.113.225] blocked using dnsbl.sorbs.net\n521 5.7.1 Please see http://support.mailhostbox.com/email-administrators-guide-error-codes/ for "
	 "explanation of the problem.\n", V4, REFUSAL_LISTED, "blocked-using"},
	{"550 5.7.1 Service unavailable, Client host [203.0.113.41] blocked using Spamhaus. To request removal from this list see "
	 "https://www.spamhaus.org/query/ip/203.0.113.41 (AS3130). [VE1EUR01FT062.eop-EUR01.prod.protection.outlook.com]\n", V4, REFUSAL_LISTED, "blocked-using"},
	{"550 Service unavailable; Client host [smtp001.example.com] blocked using Barracuda Reputation; "
	 "http://www.barracudanetworks.com/reputation/?r=1&ip=203.0.113.9 (b@example.com:blocked)\n", V6, REFUSAL_LISTED, "blocked-using"},
	{"550 5.7.1 Service unavailable; client [203.0.113.7] blocked using prs.proofpoint.com\n", V4, REFUSAL_LISTED, "blocked-using"},
	{"550 5.7.1 Service unavailable; client [203.0.113.7] blocked using Cloudmark Sender Intelligence (Visit http://csi.cloudmark.com/reset-request/ if "
	 "you feel this is in error)\n", V4, REFUSAL_LISTED, "blocked-using"},
	{"554 5.7.1 <mx.ipv6.example.com[203.0.113.22]>: Client host rejected: blocked using mail.neko.example.org; Please see "
	 "http://mail.neko.example.org/rbl/?ip=203.0.113.22\n", V6, REFUSAL_LISTED, "blocked-using"},
	/* Sisimai: Rhost/Microsoft.pm */
	{"550 5.7.513 Service unavailable, Client host [203.0.113.7] blocked by example.com using Customer Block list (AS16012607)\n", V4, REFUSAL_LISTED,
	 "blocked-using"},
	{"550 5.7.606 Access denied, banned sending IP [203.0.113.7]. To request removal from this list please visit https://sender.office.com/\n", V4,
	 REFUSAL_LISTED, "microsoft-block-list"},
	/* virtbiz.com knowledge base, article 71; Field */
	{"550 5.7.1 Unfortunately, messages from [203.0.113.44] weren't sent. Please contact your Internet service provider since part of their network is on "
	 "our block list (S3140).\n", V4, REFUSAL_LISTED, "microsoft-block-list"},
	{"451 4.7.650 The mail server [203.0.113.138] has been temporarily rate limited due to IP reputation. For e-mail delivery information, see "
	 "https://postmaster.live.com (S3113)\n", V4, REFUSAL_LISTED, "microsoft-block-list"},
	/* Sisimai: Rhost/Google.pm and set-of-emails */
	{"550-5.7.1 [2001:db8::25] Our system has detected that this message is\n550-5.7.1 likely suspicious due to the very low reputation of the sending IP\n"
	 "550 5.7.1 address. To best protect our users from spam, the message has been blocked.\n", V6, REFUSAL_LISTED, "google-reputation"},
	/* postmaster.gmx.com/en/error-messages, marmaro.de/lue/txt/2013-10-24.txt */
	{"554-gmx.net (mxgmx104) Nemesis ESMTP Service not available\n554-No SMTP service\n554-IP address is block listed.\n"
	 "554 For explanation visit https://postmaster.gmx.net/en/case?c=r0201&i=ip&v=198.51.100.42\n", V4, REFUSAL_LISTED, "gmx-block-list"},
	{"554-gmx.net (mxgmx007) Nemesis ESMTP Service not available\n554-No SMTP service\n554-IP address is black listed.\n554 For explanation visit\n", V6,
	 REFUSAL_LISTED, "gmx-block-list"},
	/* bllmnn.de/2024/05, spamresource.com/2020/06, help.creoline.com */
	{"554 IP=198.51.100.5 - None/bad reputation. Ask your postmaster for help or to contact tobr@rx.t-online.de for reset. (NOWL)\n", V4, REFUSAL_LISTED, "t-online"},
	{"554 IP=198.51.100.5 - A problem occurred. (Ask your postmaster for help or to contact tosa@rx.t-online.de to clarify.) (BL)\n", V4, REFUSAL_LISTED, "t-online"},
	{"554 IP=198.51.100.5 - Dialup/transient IP not allowed. Use a mailgateway or contact toda@rx.t-online.de if obsolete. (DIAL)\n", V4, REFUSAL_LISTED, "t-online"},
	/* Field: 553; Sisimai: Rhost/YahooInc.pm */
	{"553 5.7.1 [BL21] Connections will not be accepted from 203.0.113.7, because the ip is in Spamhaus's list; see "
	 "http://postmaster.yahoo.com/550-bl23.html\n", V4, REFUSAL_LISTED, "yahoo-spamhaus"},
	{"553 Mail from 203.0.113.7 not allowed - 5.7.1 [BL23] Connections not accepted from IP addresses on Spamhaus XBL\n", V4, REFUSAL_LISTED, "yahoo-spamhaus"},
	/* sendgrid/docs#6275; Sisimai: Rhost/Apple.pm */
	{"550 5.7.1 Mail from IP 203.0.113.41 was rejected due to listing in Spamhaus SBL. For details please see "
	 "http://www.spamhaus.org/query/bl?ip=203.0.113.41\n", V4, REFUSAL_LISTED, "apple-proofpoint"},
	{"550 5.7.0 Blocked - see https://support.proofpoint.com/dnsbl-lookup.cgi?ip=192.0.2.2\n", V4, REFUSAL_LISTED, "apple-proofpoint"},
	/* Field: 554 and 550 */
	{"554 resimta-po.comcast.net comcast 203.0.113.7 Comcast block for spam. Please see http://postmaster.comcast.net/smtp-error-codes.php#BL000000\n", V4,
	 REFUSAL_LISTED, "comcast-block-list"},
	{"550 mwinf5c14 ME Adresse IP source bloquee pour incident de spam. Client host blocked for spamming issues. OFR006_102 Ref "
	 "http://csi.cloudmark.com/reset-request/?ip=203.0.113.7 [102]\n", V4, REFUSAL_LISTED, "orange-block-list"},
	/* Sisimai: Rhost/Mimecast.pm */
	{"550 Local CT IP Reputation - (reject)\n", V4, REFUSAL_LISTED, "mimecast-reputation"},
	{"451 IP temporarily blacklisted\n", V4, REFUSAL_LISTED, "mimecast-reputation"},
	/* jstanden/cerb#1628, pastebin.com/ZR4Gcwca */
	{"554 p3plibsmtp03-07.prod.phx3.secureserver.net CMGW IB103. Connection refused. 203.0.113.198 has a poor reputation on Cloudmark Sender Intelligence (CSI).\n",
	 V4, REFUSAL_LISTED, "cloudmark"},
	{"550-\"JunkMail rejected - pluto.example.org [203.0.113.40]:40598 is in an RBL\n550-on csi.cloudmark.com/reset-request/?ip=203.0.113.40 , see Poor Reputation\n"
	 "550 Sender\"\n", V4, REFUSAL_LISTED, "cloudmark"},
	/* pastebin.com/FreqNBvG; Sisimai: Rhost/GoDaddy.pm, Reason/Blocked.pm, set-of-emails, p5-sisimai#469 */
	{"554 Refused. Your IP address is listed in the RBL at b.barracudacentral.org\n", V4, REFUSAL_LISTED, "block-list"},
	{"554 Connection refused. This IP address is listed on the Spamhaus Block List (SBL). IB104\n", V4, REFUSAL_LISTED, "block-list"},
	{"550 5.7.1 IP address blacklisted by recipient\n", V4, REFUSAL_LISTED, "block-list"},
	{"554 IP address 198.51.100.5 rejected [IP reputation fail]\n", V4, REFUSAL_LISTED, "block-list"},
	{"554 5.7.1 Blocked - see http://www.spamcop.net/bl.shtml?203.0.113.7\n", V4, REFUSAL_LISTED, "spamcop"},
};

static const struct row about_neither[] = {
	/* the recipient. Field: 550, 540 */
	{"550 5.1.1 <email@example.com>: Recipient address rejected: User unknown\n", V6, REFUSAL_NONE, NULL},
	{"550-5.1.1 The email account that you tried to reach does not exist. Please try\n550-5.1.1 double-checking the recipient's email address for typos\n"
	 "550 5.1.1 https://support.google.com/mail/?p=NoSuchUser - gsmtp\n", V6, REFUSAL_NONE, NULL},
	{"550 5.2.1 This mailbox has been blocked due to inactivity\n", V6, REFUSAL_NONE, NULL},
	{"554 5.7.1 <kijitora@icloud.com>: Relay access denied\n", V6, REFUSAL_NONE, NULL},
	{"540 5.7.1 <example@rambler.ru>: recipient address rejected: Blocked\n", V6, REFUSAL_NONE, NULL},
	/* its address or our name has the words */
	{"550 5.1.1 <ipv6@ptr-record.example>: Recipient address rejected: User unknown\n", V6, REFUSAL_NONE, NULL},
	{"550 5.7.1 <spf@ipv6-address.example>: Recipient address rejected: Access denied\n", V6, REFUSAL_NONE, NULL},
	{"550 <no-reverse-dns@over-ipv6.example>: user unknown\n", V6, REFUSAL_NONE, NULL},
	/* full boxes. Field: 552, 452, 554 */
	{"552 5.2.2 The email account that you tried to reach is over quota. Please direct the recipient to https://support.google.com/mail/?p=OverQuotaPerm - gsmtp\n",
	 V6, REFUSAL_NONE, NULL},
	{"452 4.1.1 <example@comcast.net> user over quota\n", V6, REFUSAL_NONE, NULL},
	{"554 5.2.2 <example@free.fr>: Recipient address rejected: Quota exceeded (mailbox for user is full)\n", V6, REFUSAL_NONE, NULL},
	/* content. Field: 550, 554, 421 */
	{"550 5.7.1 Message considered as SPAM\n", V6, REFUSAL_NONE, NULL},
	{"554 5.7.1 [1] Message rejected under suspicion of SPAM; https://ya.cc/1IrBc\n", V6, REFUSAL_NONE, NULL},
	{"550-5.7.1 [2001:db8::25] Our system has detected that this message is likely unsolicited mail.\n550 5.7.1 To reduce the amount of spam sent to Gmail, this "
	 "message has been blocked. - gsmtp\n", V6, REFUSAL_NONE, NULL},
	{"554 rejected due to spam URL in content\n", V6, REFUSAL_NONE, NULL},
	{"552 5.7.0 This message was blocked because its content presents a potential security issue.\n", V6, REFUSAL_NONE, NULL},
	/* greylisting. Field: 450, 451 */
	{"450 4.2.0 <email@example.com>: Recipient address rejected: example.com greylisted for 60 seconds by ZEROSPAM\n", V6, REFUSAL_NONE, NULL},
	{"451 4.7.1 <email@example.com>: Recipient address rejected: Greylisted for 5 minutes\n", V6, REFUSAL_NONE, NULL},
	{"451 Internal resources are temporarily unavailable - https://community.mimecast.com/docs/DOC-1369#451\n", V6, REFUSAL_NONE, NULL},
	/* SPF without a word of the family or the address, and over IPv4. RFC 7208 §8.4; Field: 550; Sisimai: Rhost/FrancePTT.pm, Rhost/Mimecast.pm */
	{"550-5.7.1 SPF MAIL FROM check failed:\n550-5.7.1 The domain example.com explains:\n550 5.7.1 Please see http://www.example.com/mailpolicy.html\n", V6,
	 REFUSAL_NONE, NULL},
	{"550 5.7.23 SPF validation failed\n", V6, REFUSAL_NONE, NULL},
	{"550 <example@example.com>: Reject due to SPF policy. The originating IP of the message is not permitted by the domain owner\n", V6, REFUSAL_NONE, NULL},
	{"550 5.5.0 SPF: example.org is not allowed to send mail. LPN004_401\n", V6, REFUSAL_NONE, NULL},
	{"550 SPF Sender Invalid - envelope rejected\n", V6, REFUSAL_NONE, NULL},
	{"550-SPF-check failed:\n550 example.com doesn't allow sending mails from 203.0.113.7\n", V4, REFUSAL_NONE, NULL},
	{"550 5.7.23 <info@example.com>: Recipient address rejected: Message rejected due to: SPF fail - not authorized. Please see "
	 "http://www.openspf.net/Why?s=helo;id=mx.example.org;ip=203.0.113.7;r=<UNKNOWN>\n", V4, REFUSAL_NONE, NULL},
	/* authentication of the message. Sisimai: Rhost/YahooInc.pm, Rhost/Google.pm, Rhost/Apple.pm; Field: 550 */
	{"550 5.7.9 This mail has been blocked because the sender is unauthenticated. Yahoo requires all senders to authenticate with either SPF or DKIM.\n", V6,
	 REFUSAL_NONE, NULL},
	{"550 5.7.26 This message does not have authentication information or fails to pass authentication checks (SPF or DKIM).\n", V6, REFUSAL_NONE, NULL},
	{"550 5.7.30 This mail has been blocked because DKIM does not pass.\n", V6, REFUSAL_NONE, NULL},
	{"550 5.7.26 Unauthenticated email from example.com is not accepted due to domain's DMARC policy.\n", V6, REFUSAL_NONE, NULL},
	{"550 5.2.0 Message rejected due to DMARC. Please see http://postmaster.comcast.net/smtp-error-codes.php#DM000001\n", V6, REFUSAL_NONE, NULL},
	{"554 5.7.1 Your message was rejected due to example.jp's DMARC policy. See https://support.apple.com/en-us/HT204137 for info\n", V6, REFUSAL_NONE, NULL},
	/* RFC 7505 §4.2: a null MX, with the code that others use for SPF */
	{"550 5.7.27 Sender address has null MX\n", V6, REFUSAL_NONE, NULL},
	/* domains that are listed, not addresses. mailserver2/mailserver#90; Field: 550, 551 */
	{"554 5.7.1 Service unavailable; Sender address [user@gmail.com] blocked using dbl.spamhaus.org\n", V6, REFUSAL_NONE, NULL},
	{"550 5.7.1 Service unavailable, MailFrom domain is listed in Spamhaus. To request removal from this list see https://www.spamhaus.org/query/lookup/ (S8002)\n",
	 V6, REFUSAL_NONE, NULL},
	{"550 5.7.1 Your email was rejected due to having a domain present in the Spamhaus DBL -- see https://www.spamhaus.org/dbl/\n", V6, REFUSAL_NONE, NULL},
	{"551 5.7.1 Due to the very low reputation of the sending domain, this message has been blocked (Code 2).\n", V6, REFUSAL_NONE, NULL},
	/* simple-login/app#2675: the list refuses its user, who then refuses everybody */
	{"554 5.7.1 Service unavailable; Client host [2001:db8::25] blocked using zen.spamhaus.org; Error: open resolver; "
	 "https://check.spamhaus.org/returnc/pub/192.0.2.230/\n", V6, REFUSAL_NONE, "open-resolver"},
	/* rates. Field: 421, 452; Sisimai: Rhost/Microsoft.pm, Rhost/YahooInc.pm, Reason/Blocked.pm */
	{"421-4.7.28 [2001:db8::25] Our system has detected an unusual rate of unsolicited mail originating from your IP address.\n421 4.7.28 To protect our users from "
	 "spam, mail sent from your IP address has been temporarily rate limited.\n", V6, REFUSAL_NONE, NULL},
	{"550 5.7.508 Access denied, [2001:db8::25] has exceeded permitted limits within 2001:db8::/64 range\n", V6, REFUSAL_NONE, NULL},
	{"421 4.7.0 [TSS04] Messages from 203.0.113.25 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1\n", V4, REFUSAL_NONE, NULL},
	{"550 Too many spams from your IP\n", V4, REFUSAL_NONE, NULL},
	{"452 4.5.3 rate limit exceeded\n", V6, REFUSAL_NONE, NULL},
	{"421 mwinf5c79 ME Trop de connexions, veuillez verifier votre configuration. Too many connections, slow down. OFR005_104 [104]\n", V6, REFUSAL_NONE, NULL},
	/* wording about IPv6, but the connection was not over it; and no refusals at all */
	{"451 4.7.1 Retry on IPv4\n", V4, REFUSAL_NONE, NULL},
	{"250 2.0.0 Ok, although you have no reverse DNS\n", V6, REFUSAL_NONE, NULL},
	{"354 No PTR record, go ahead\n", V6, REFUSAL_NONE, NULL},
};
/* clang-format on */

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
_Static_assert(
	COUNT_OF(about_the_family) + COUNT_OF(about_a_list) + COUNT_OF(about_neither) >= 60, "a table worth its name");

static void check_rows(const struct row *rows, size_t count)
{
	struct conf *c = good(HOST);
	for (size_t i = 0; i < count; i++)
		expect(c, rows[i].wire, rows[i].via, rows[i].kind, rows[i].row);
	conf_unref(c);
}

static void test_about_the_family(void **state)
{
	(void)state;
	check_rows(about_the_family, COUNT_OF(about_the_family));
}

static void test_about_a_list(void **state)
{
	(void)state;
	check_rows(about_a_list, COUNT_OF(about_a_list));
}

static void test_about_neither(void **state)
{
	(void)state;
	check_rows(about_neither, COUNT_OF(about_neither));
}

/* Each built-in row decides at least one reply of the tables, or nobody would see it break. */
static void test_each_row_is_seen(void **state)
{
	static const struct {
		const struct row *rows;
		size_t count;
	} tables[] = {{about_the_family, COUNT_OF(about_the_family)}, {about_a_list, COUNT_OF(about_a_list)},
		{about_neither, COUNT_OF(about_neither)}};
	(void)state;
	for (size_t i = 0; i < refusal_preset_count; i++) {
		bool seen = false;
		for (size_t t = 0; t < COUNT_OF(tables); t++)
			for (size_t k = 0; k < tables[t].count; k++) {
				const char *row = tables[t].rows[k].row;
				seen = seen || (row != NULL && strcmp(row, refusal_presets[i].name) == 0);
			}
		if (!seen)
			fail_msg("no reply is decided by %s", refusal_presets[i].name);
	}
}

static void test_no_reply(void **state)
{
	struct conf *c = good(HOST "refusal any { kind = family status = none }\n");
	struct reply r = {0};
	(void)state;
	assert_int_equal(refusal_of(c, &r, V6).kind, REFUSAL_NONE);
	assert_null(refusal_of(c, &r, V6).row);
	conf_unref(c);
}

/* The wording of a late line is seen, as far as struct reply keeps it. */
static void test_late_lines(void **state)
{
	struct conf *c = good(HOST);
	char wire[1024] = "";
	(void)state;
	for (unsigned i = 0; i < 20; i++)
		strncat(wire, "550-5.7.1 twenty bytes of text\n", sizeof wire - strlen(wire) - 1);
	wire[15 * strlen("550-5.7.1 twenty bytes of text\n")] = '\0';
	strncat(wire, "550 5.7.1 no reverse DNS\n", sizeof wire - strlen(wire) - 1);
	expect(c, wire, V4, REFUSAL_FAMILY, "reverse-dns");
	conf_unref(c);
}

/* ---- conditions ---- */

static void test_conditions(void **state)
{
	struct conf *c = good(HOST "refusal code   { kind = family code = 557, 44x, 56x }\n"
				   "refusal class  { kind = listed code = 5xx status = 5.6.7, 5.8.* }\n"
				   "refusal bare   { kind = family code = 558 status = none }\n"
				   "refusal parts  { kind = listed text = \"One*two*three\" }\n"
				   "refusal apart  { kind = family text = \"abc*bcd\" }\n"
				   "refusal over4  { kind = family code = 559 over = ipv4 }\n"
				   "refusal over6  { kind = listed code = 559 over = ipv6 }\n");
	(void)state;
	expect(c, "557 x\n", V6, REFUSAL_FAMILY, "code");
	expect(c, "447 x\n", V6, REFUSAL_FAMILY, "code");
	expect(c, "569 x\n", V4, REFUSAL_FAMILY, "code");
	expect(c, "457 x\n", V6, REFUSAL_NONE, NULL);
	expect(c, "550 5.6.7 x\n", V6, REFUSAL_LISTED, "class");
	expect(c, "550 5.6.77 x\n", V6, REFUSAL_NONE, NULL);
	expect(c, "550 5.8.123 x\n", V6, REFUSAL_LISTED, "class");
	expect(c, "550 5.80.1 x\n", V6, REFUSAL_NONE, NULL);
	expect(c, "558 x\n", V6, REFUSAL_FAMILY, "bare");
	expect(c, "558 5.0.0 x\n", V6, REFUSAL_NONE, NULL);
	expect(c, "550 oNe, TWO and THREE\n", V6, REFUSAL_LISTED, "parts");
	expect(c, "550 a onetwothree b\n", V6, REFUSAL_LISTED, "parts");
	expect(c, "550 two one three\n", V6, REFUSAL_NONE, NULL);
	expect(c, "550 one two thre\n", V6, REFUSAL_NONE, NULL);
	expect(c, "550 abcd\n", V6, REFUSAL_NONE, NULL); /* no letter counts twice */
	expect(c, "550 abcbcd\n", V6, REFUSAL_FAMILY, "apart");
	expect(c, "559 x\n", V4, REFUSAL_FAMILY, "over4");
	expect(c, "559 x\n", V6, REFUSAL_LISTED, "over6");
	conf_unref(c);
}

/* The rows of the file go first, in its order; none is an answer too. */
static void test_order(void **state)
{
	struct conf *c = good(HOST "refusal b { kind = none text = \"no reverse dns, sorry\" }\n"
				   "refusal a { kind = listed text = \"no reverse dns\" }\n");
	(void)state;
	expect(c, "550 No reverse DNS, sorry\n", V6, REFUSAL_NONE, "b");
	expect(c, "550 No reverse DNS\n", V6, REFUSAL_LISTED, "a");
	expect(c, "550 Missing reverse DNS\n", V6, REFUSAL_FAMILY, "reverse-dns");
	conf_unref(c);
}

static void test_replaced_and_switched_off(void **state)
{
	struct conf *c = good(HOST "refusal reverse-dns-status { kind = none }\n"
				   "refusal Google-IPv6 { kind = listed text = \"something else\" }\n");
	(void)state;
	assert_int_equal(c->refusal_count, refusal_preset_count);
	expect(c, "550 5.7.25 go away\n", V6, REFUSAL_NONE, NULL);
	expect(c, "550 does not meet IPv6 sending guidelines\n", V4, REFUSAL_NONE, NULL);
	expect(c, "550 something else\n", V4, REFUSAL_LISTED, "google-ipv6");
	conf_unref(c);
	c = good(HOST);
	expect(c, "550 5.7.25 go away\n", V6, REFUSAL_FAMILY, "reverse-dns-status");
	expect(c, "550 does not meet IPv6 sending guidelines\n", V4, REFUSAL_FAMILY, "google-ipv6");
	conf_unref(c);
}

/* ---- the configuration ---- */

/* Reading `text` ends in one error, which has `error` in it. */
static void wrong(const char *text, const char *error)
{
	struct conf *c = NULL;
	struct buf errors;
	buf_init(&errors, 100000);
	int err = conf_parse(&c, "t", text, strlen(text), &errors);
	if (err != -EINVAL || errors.data == NULL || strstr((char *)errors.data, error) == NULL ||
		strchr((char *)errors.data, '\n') != (char *)errors.data + errors.len - 1)
		fail_msg("%s\ngave %d and\n%s\nexpected: %s", text, err, errors.data ? (char *)errors.data : "", error);
	buf_fini(&errors);
}

static void test_errors(void **state)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
		{"refusal { kind = none }", "t:2:1: block refusal has no title; expected NAME"},
		{"refusal a { kind = maybe code = 550 }", "t:2:20: kind: \"maybe\"; expected none, family or listed"},
		{"refusal a { code = 550 }", "t:2:9: refusal a has no kind; expected kind = family, listed or none"},
		{"refusal a { kind = family }", "t:2:9: refusal a: without a condition it matches every refusal; "
						"expected code, status or text"},
		{"refusal a { kind = listed over = ipv6 }", "t:2:9: refusal a: without a condition it matches every"},
		{"refusal google-ipv { kind = none }",
			"t:2:9: refusal google-ipv: there is no built-in row of that name"},
		{"refusal a { kind = family text = \"***\" }",
			"t:2:34: text: \"***\"; expected texts in printable ASCII"},
		{"refusal a { kind = family text = \"x * y\" }", "t:2:34: text: \"x * y\"; expected"},
		{"refusal a { kind = family text = \"na\xc3\xafve\" }", "expected texts in printable ASCII"},
		{"refusal a { kind = family code = 250 }", "t:2:34: code: \"250\"; expected reply codes of refusals"},
		{"refusal a { kind = family code = 5x0 }", "t:2:34: code: \"5x0\"; expected"},
		{"refusal a { kind = family code = xxx }", "t:2:34: code: \"xxx\"; expected"},
		{"refusal a { kind = family code = 550, 5500 }", "t:2:39: code: \"5500\"; expected"},
		{"refusal a { kind = family code = 55 }", "t:2:34: code: \"55\"; expected"},
		{"refusal a { kind = family status = 5.7 }", "t:2:36: status: \"5.7\"; expected enhanced status codes"},
		{"refusal a { kind = family status = 2.7.1 }", "status: \"2.7.1\"; expected"},
		{"refusal a { kind = family status = 5.*.1 }", "status: \"5.*.1\"; expected"},
		{"refusal a { kind = family status = 5.7.1234 }", "status: \"5.7.1234\"; expected"},
		{"refusal a { kind = family status = 5.7.1* }", "status: \"5.7.1*\"; expected"},
		{"refusal a { kind = family code = 550 over = ipv5 }", "over: \"ipv5\"; expected any, ipv6 or ipv4"},
		{"refusal a { kind = family code = 550 texts = abc }",
			"t:2:38: unknown key \"texts\" in block refusal; did you mean \"text\"?"},
		{"refusal \"a b\" { kind = family code = 550 }",
			"t:2:9: refusal \"a b\"; expected a name of 1 to 32 letters, digits and hyphens"},
		{"refusal a { kind = family code = 550 }\nrefusal A { kind = none code = 550 }",
			"t:3:9: refusal \"A\" is given twice; first at t:2:9"},
		{"refusal a { kind = family code = 550,551,552,553,554,555,556,557,558,559,450,451,452,453,454,455,456 "
		 "}",
			"code: more than 16 entries; expected at most so many"},
		{"policy_failover = maybe", "policy_failover: \"maybe\"; expected no or yes"},
		{"route d.example { policy_failover = always }", "expected inherit, no or yes"},
	};
	char text[400];
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		snprintf(text, sizeof text, HOST "%s\n", rows[i].text);
		wrong(text, rows[i].error);
	}
}

static void test_long_texts(void **state)
{
	char text[400], pattern[CONF_PATTERN_MAX + 2];
	(void)state;
	memset(pattern, 'a', sizeof pattern);
	pattern[CONF_PATTERN_MAX + 1] = '\0';
	snprintf(text, sizeof text, HOST "refusal a { kind = family text = %s }\n", pattern);
	wrong(text, "of at most 200 bytes");
	pattern[CONF_PATTERN_MAX] = '\0';
	snprintf(text, sizeof text, HOST "refusal a { kind = family text = %s }\n", pattern);
	conf_unref(good(text));
	wrong(HOST "refusal abcdefghijabcdefghijabcdefghijabc { kind = family code = 550 }\n",
		"expected a name of 1 to 32");
}

static void test_too_many_rows(void **state)
{
	static char text[40000];
	(void)state;
	for (size_t rows = CONF_REFUSALS_MAX - refusal_preset_count; rows <= CONF_REFUSALS_MAX + 1; rows++) {
		int n = snprintf(text, sizeof text, HOST);
		for (size_t i = 0; i < rows; i++)
			n += snprintf(text + n, sizeof text - n, "refusal r%zu { kind = none code = 550 }\n", i);
		if (rows == CONF_REFUSALS_MAX - refusal_preset_count)
			conf_unref(good(text));
		else if (rows <= CONF_REFUSALS_MAX)
			wrong(text, "more than 256 rows of refusals, the built-in ones among them; expected fewer");
		else
			wrong(text, "t:258:9: more than 256 rows of refusals; expected fewer");
	}
}

static char *dump(const struct conf *c)
{
	struct buf out;
	size_t len;
	buf_init(&out, GRAMMAR_FILE_MAX);
	assert_int_equal(conf_dump(c, &out), 0);
	assert_int_equal(buf_append(&out, "", 1), 0);
	return (char *)buf_detach(&out, &len);
}

/* What is dumped reads back as the same rows, in the same order. */
static void test_dump_reads_back(void **state)
{
	struct conf *c = good(HOST "policy_failover = no\nroute d.example { policy_failover = yes }\n"
				   "refusal z { kind = listed code = 421, 55x status = 5.7.*, none\n"
				   "  text = plain, \"with, comma\", \"a \\\"quote\\\" and \\\\\" over = ipv4 }\n"
				   "refusal a { kind = none text = \"a*b*c\" }\nrefusal google-ptr { kind = none }\n");
	char *first = dump(c);
	(void)state;
	assert_non_null(strstr(first, "refusal z { kind = listed code = 421, 55x status = 5.7.*, none text = plain, "
				      "\"with, comma\", \"a \\\"quote\\\" and \\\\\" over = ipv4 } # t:4\n"));
	assert_non_null(strstr(first, "refusal a { kind = none text = a*b*c }"));
	assert_non_null(strstr(first, "refusal google-ptr { kind = none }"));
	const char *preset = strstr(first, "refusal reverse-dns-status { kind = family status = 5.7.25, 4.7.25 }");
	assert_non_null(preset);
	assert_non_null(strstr(preset, "# default\n"));
	struct conf *again = good(first);
	assert_int_equal(again->refusal_count, c->refusal_count);
	for (size_t i = 0; i < c->refusal_count; i++) {
		const struct conf_refusal *x = &c->refusals[i], *y = &again->refusals[i];
		assert_string_equal(x->name, y->name);
		assert_int_equal(x->kind, y->kind);
		assert_int_equal(x->over, y->over);
		assert_true(texts_equal(&x->codes, &y->codes));
		assert_true(texts_equal(&x->statuses, &y->statuses));
		assert_true(texts_equal(&x->texts, &y->texts));
	}
	assert_false(again->policy_failover);
	assert_int_equal(conf_route(again, "d.example")->policy_failover, CONF_ANSWER_YES);
	free(first);
	conf_unref(again);
	conf_unref(c);
}

/* `relayq config` walks these: each built-in row is there, and comes from nowhere. */
static void test_settings_say_where_from(void **state)
{
	struct conf *c = good(HOST "refusal a { kind = family code = 550 }\n");
	struct settings_cursor at = {0};
	struct setting s;
	size_t rows = 0;
	(void)state;
	setting_init(&s);
	while (settings_next(c, &at, &s) == 1) {
		if (strcmp(s.block, "refusal") != 0 || strcmp(s.name, "kind") != 0)
			continue;
		bool own = s.title.len == 1 && s.title.data[0] == 'a';
		assert_true(own == (s.file != NULL));
		rows++;
	}
	assert_int_equal(rows, refusal_preset_count + 1);
	setting_fini(&s);
	conf_unref(c);
}

/* What a file could not say is in no built-in row. */
static void test_presets_are_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < refusal_preset_count; i++) {
		const struct refusal_preset *p = &refusal_presets[i];
		assert_true(refusals_is_name(p->name));
		assert_true(p->codes[0] != NULL || p->statuses[0] != NULL || p->texts[0] != NULL);
		for (const char *const *t = p->codes; *t != NULL; t++)
			assert_true(text_is(TEXT_CODE, *t));
		for (const char *const *t = p->statuses; *t != NULL; t++)
			assert_true(text_is(TEXT_STATUS, *t));
		for (const char *const *t = p->texts; *t != NULL; t++)
			assert_true(text_is(TEXT_PATTERN, *t));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(p->name, refusal_presets[k].name);
	}
}

static void test_policy(void **state)
{
	struct conf *c =
		good(HOST "route n.example { policy_failover = no }\nroute i.example { policy_failover = inherit }\n");
	(void)state;
	assert_true(policy_of(c, NULL).policy_failover);
	assert_false(policy_of(c, conf_route(c, "n.example")).policy_failover);
	assert_true(policy_of(c, conf_route(c, "i.example")).policy_failover);
	assert_false(policy_of(c, conf_route(c, "n.example")).own_site);
	conf_unref(c);
	c = good(HOST "policy_failover = no\nroute y.example { policy_failover = yes }\nroute i.example { }\n");
	assert_false(policy_of(c, NULL).policy_failover);
	assert_true(policy_of(c, conf_route(c, "y.example")).policy_failover);
	assert_false(policy_of(c, conf_route(c, "i.example")).policy_failover);
	assert_false(policy_of(c, conf_route(c, "y.example")).own_site);
	conf_unref(c);
}

/* ---- the manual ---- */

static void expect_text(const char *from, const char *to, const char *before, const char *what, const char *after)
{
	char text[CONF_PATTERN_MAX + 10];
	snprintf(text, sizeof text, "%s%s%s", before, what, after);
	const char *at = strstr(from, text);
	if (at == NULL || at > to)
		fail_msg("the manual does not say \"%s\" of the row:\n%.*s", text, (int)(to - from), from);
}

/* Does the item say each condition? */
static void expect_listed(const char *from, const char *to, const struct refusal_preset *p)
{
	for (const char *const *t = p->codes; *t != NULL; t++)
		expect_text(from, to, "", *t, "");
	for (const char *const *t = p->statuses; *t != NULL; t++)
		expect_text(from, to, "", *t, "");
	for (const char *const *t = p->texts; *t != NULL; t++)
		expect_text(from, to, "\n\\(dq", *t, "\\(dq");
	if (p->over == CONF_FAMILY_IPV6)
		expect_text(from, to, "over ", "ipv6", "");
}

/* The list of the built-in rows in the manual has their names, kinds and order. */
static void test_manual_lists_the_rows(void **state)
{
	static char page[1 << 20];
	FILE *f = fopen("conf/relay64.conf.5", "r");
	(void)state;
	assert_non_null(f); /* run from the top of the tree */
	page[fread(page, 1, sizeof page - 1, f)] = '\0';
	fclose(f);
	const char *at = strstr(page, "\n.Sh POLICY FAIL-OVER\n");
	assert_non_null(at);
	const char *end = strstr(at + 1, "\n.Sh ");
	assert_non_null(end);
	for (size_t i = 0; i < refusal_preset_count; i++) {
		static const char *const kinds[] = {"none", "family", "listed"};
		char line[100];
		snprintf(line, sizeof line, "\n.It Sy %s , Cm %s\n", refusal_presets[i].name,
			kinds[refusal_presets[i].kind]);
		const char *next = strstr(at, "\n.It Sy ");
		if (next == NULL || next > end || strncmp(next, line, strlen(line)) != 0)
			fail_msg("the manual's list should go on with:%s", line);
		at = next + 1;
		const char *item_end = strstr(at, "\n.It Sy ");
		expect_listed(at, item_end != NULL && item_end < end ? item_end : end, &refusal_presets[i]);
	}
	const char *more = strstr(at, "\n.It Sy ");
	assert_true(more == NULL || more > end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_about_the_family),
		cmocka_unit_test(test_about_a_list),
		cmocka_unit_test(test_about_neither),
		cmocka_unit_test(test_each_row_is_seen),
		cmocka_unit_test(test_no_reply),
		cmocka_unit_test(test_late_lines),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_replaced_and_switched_off),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_long_texts),
		cmocka_unit_test(test_too_many_rows),
		cmocka_unit_test(test_dump_reads_back),
		cmocka_unit_test(test_settings_say_where_from),
		cmocka_unit_test(test_presets_are_good),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_manual_lists_the_rows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
