/* tests/unit/mime_test.c: content made fit for next hops that take less: what becomes of each part, byte by byte; what
 * MIME forbids; and that every part decodes to what it was. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/mime/convert.h"
#include "queue/mime/field.h"

struct result {
	int err;
	char reason[100];
	unsigned changed;
	bool broken;
	struct buf out;
};

static void convert(struct result *r, enum mime_target target, const char *in, size_t len, size_t piece)
{
	struct mime *m = mime_new(target);
	assert_non_null(m);
	buf_init(&r->out, 1 << 22);
	for (size_t at = 0; at < len; at += piece)
		assert_int_equal(mime_survey(m, (const uint8_t *)in + at, len - at < piece ? len - at : piece), 0);
	r->err = mime_survey_end(m);
	snprintf(r->reason, sizeof r->reason, "%s", mime_reason(m));
	r->changed = mime_changed(m);
	r->broken = mime_breaks_signature(m);
	for (size_t at = 0; r->err == 0 && at < len; at += piece)
		assert_int_equal(
			mime_convert(m, (const uint8_t *)in + at, len - at < piece ? len - at : piece, &r->out), 0);
	if (r->err == 0) {
		assert_int_equal(mime_convert_end(m, &r->out), 0);
		assert_int_equal(r->out.len, mime_size(m));
	}
	mime_free(m);
}

struct row {
	const char *in, *out;
	unsigned changed;
	bool broken;
};

static void check(enum mime_target target, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t piece = 1; piece <= 4096; piece = piece < 9 ? piece + 1 : piece * 8) {
			struct result r;
			convert(&r, target, rows[i].in, strlen(rows[i].in), piece);
			if (r.err != 0)
				fail_msg("%s\ncannot be converted: %s", rows[i].in, r.reason);
			if (r.out.len != strlen(rows[i].out) ||
				(r.out.len > 0 && memcmp(r.out.data, rows[i].out, r.out.len) != 0))
				fail_msg("<<%s>>\nbecame <<%s>>\nnot <<%s>>", rows[i].in, (char *)r.out.data,
					rows[i].out);
			assert_int_equal(r.changed, rows[i].changed);
			assert_int_equal(r.broken, rows[i].broken);
			buf_fini(&r.out);
		}
}

#define QP "Content-Transfer-Encoding: quoted-printable\r\n"
#define B64 "Content-Transfer-Encoding: base64\r\n"
#define UNKNOWN "Content-Type: text/plain; charset=unknown-8bit\r\n"
#define V "MIME-Version: 1.0\r\n"
#define GREEK "\xce\xb1\xce\xb2\xce\xb3\xce\xb4\xce\xb5\xce\xb6"
#define UTF8 "Content-Type: text/plain; charset=utf-8\r\n"
#define MIXED "Content-Type: multipart/mixed; boundary=b\r\n"

static void test_to_7bit(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"", "", 0, false},
		{"Subject: x\r\n\r\nplain\r\n", "Subject: x\r\n\r\nplain\r\n", 0, false},
		/* no MIME at all */
		{"Subject: x\r\n\r\n\xc3\xbc\r\n", "Subject: x\r\n" V UNKNOWN QP "\r\n=C3=BC\r\n", 1, false},
		/* a label in any form is replaced where it stands, the others go */
		{V UTF8 "content-transfer-ENCODING :\r\n (8-bit)\r\n 8BIT\r\nX: y\r\n\r\n\xc3\xbc = \r\n.\r\nend",
			V UTF8 QP "X: y\r\n\r\n=C3=BC =3D=20\r\n=2E\r\nend=\r\n", 1, false},
		{V UTF8 "Content-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\xc3\xbc\r\n",
			V UTF8 QP "\r\n=C3=BC\r\n", 1, false},
		/* the bytes are fine, the label is not */
		{V UTF8 "Content-Transfer-Encoding: 8bit\r\n\r\nplain\r\n",
			V UTF8 "Content-Transfer-Encoding: 7bit\r\n\r\nplain\r\n", 0, false},
		/* mostly 8-bit text is much shorter in base64 */
		{V UTF8 "\r\n" GREEK GREEK GREEK GREEK GREEK "\r\n",
			V UTF8 B64
			"\r\nzrHOss6zzrTOtc62zrHOss6zzrTOtc62zrHOss6zzrTOtc62zrHOss6zzrTOtc62zrHOss6zzrTO\r\n"
			"tc62DQo=\r\n",
			1, false},
		/* what is no text goes in base64 */
		{V "Content-Type: image/png\r\n\r\n\x89PNG\r\n", V "Content-Type: image/png\r\n" B64 "\r\niVBORw0K\r\n",
			1, false},
		/* encoded parts stay */
		{V UTF8 QP "\r\n=C3=BC\r\n", V UTF8 QP "\r\n=C3=BC\r\n", 0, false},
		/* parts that need it alone, the multipart's own label, preamble and epilogue */
		{V "Content-Transfer-Encoding: 8bit\r\n" MIXED "\r\npre\r\n--b\r\n\r\nplain\r\n--b \t\r\n" UTF8
		   "\r\n\xc3\xbc \r\n--b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: "
		   "8bit\r\n\r\n\xff\r\n\r\n--b--\r\nepi\r\n",
			V "Content-Transfer-Encoding: 7bit\r\n" MIXED
			  "\r\npre\r\n--b\r\n\r\nplain\r\n--b \t\r\n" UTF8 QP
			  "\r\n=C3=BC=20\r\n--b\r\nContent-Type: application/x\r\n" B64 "\r\n/w0K\r\n--b--\r\nepi\r\n",
			2, false},
		/* a part without a header, an inner multipart that is not ended, a part cut off in its header */
		{V MIXED "\r\n--b\r\nContent-Type: multipart/x; "
			 "boundary=\"b1\"\r\n\r\n--b1\r\n\r\n\xe4\r\n--b\r\n\r\n\xf6\r\n"
			 "--b\r\nX: y\r\n--b--",
			V MIXED "\r\n--b\r\nContent-Type: multipart/x; boundary=\"b1\"\r\n\r\n--b1\r\n" UNKNOWN QP
				"\r\n=E4\r\n--b\r\n" UNKNOWN QP "\r\n=F6\r\n--b\r\nX: y\r\n--b--",
			2, false},
		/* messages in messages: their headers are headers */
		{V "Content-Type: message/rfc822\r\n\r\nContent-Transfer-Encoding: 8bit\r\nSubject: y\r\n\r\n\xe4\r\n",
			V "Content-Type: message/rfc822\r\n\r\n" QP "Subject: y\r\n" V UNKNOWN "\r\n=E4\r\n", 1, false},
		{V "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nA: b\r\n\r\n\xe4\r\n--b--\r\n",
			V "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nA: b\r\n" V UNKNOWN QP
			  "\r\n=E4\r\n--b--\r\n",
			1, false},
		/* what begins like a boundary and is none */
		{V MIXED "\r\n--b\r\n\r\n-\r\n--\r\n--a\xe4\r\n -b\r\n--b--\r\n",
			V MIXED "\r\n--b\r\n" UNKNOWN QP "\r\n-\r\n--\r\n--a=E4\r\n -b\r\n--b--\r\n", 1, false},
		/* one boundary begins with the other: the whole line says which it is */
		{V "Content-Type: multipart/x; boundary=b1\r\n\r\n--b1\r\n" MIXED
		   "\r\n--b\r\n\r\n\xe4\r\n--b1\r\n\r\n\xf6\r\n--b1--\r\n",
			V "Content-Type: multipart/x; boundary=b1\r\n\r\n--b1\r\n" MIXED "\r\n--b\r\n" UNKNOWN QP
			  "\r\n=E4\r\n--b1\r\n" UNKNOWN QP "\r\n=F6\r\n--b1--\r\n",
			2, false},
		{V "Content-Type: multipart/x; boundary=\"b c\"\r\n\r\n--b c\r\n" MIXED
		   "\r\n--b \r\n\r\n\xe4\r\n--b c \r\n\r\n\xf6\r\n--b c-- ",
			V "Content-Type: multipart/x; boundary=\"b c\"\r\n\r\n--b c\r\n" MIXED "\r\n--b \r\n" UNKNOWN QP
			  "\r\n=E4\r\n--b c \r\n" UNKNOWN QP "\r\n=F6\r\n--b c-- ",
			2, false},
		/* half a boundary line is no matter where nothing changes */
		{V MIXED "\r\n--b\r\n\r\nx\r\n--bc\r\n\r\ny\r\n--b--\r\n",
			V MIXED "\r\n--b\r\n\r\nx\r\n--bc\r\n\r\ny\r\n--b--\r\n", 0, false},
		/* no end of the last part */
		{V MIXED "\r\n--b\r\n\r\n\xe4", V MIXED "\r\n--b\r\n" UNKNOWN QP "\r\n=E4=\r\n", 1, false},
		/* RFC 6533 parts may be encoded */
		{V "Content-Type: message/global-headers\r\n\r\nSubject: \xc3\xbc\r\n",
			V "Content-Type: message/global-headers\r\n" B64 "\r\nU3ViamVjdDogw7wNCg==\r\n", 1, false},
		/* signatures */
		{"DKIM-Signature: x\r\n" V UTF8 "\r\n\xc3\xbc\r\n", "DKIM-Signature: x\r\n" V UTF8 QP "\r\n=C3=BC\r\n",
			1, true},
		{"DKIM-Signature: x\r\n" V UTF8 "\r\nplain\r\n", "DKIM-Signature: x\r\n" V UTF8 "\r\nplain\r\n", 0,
			false},
		{V "Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\n\xe4\r\n--s--\r\n",
			V "Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n" UNKNOWN QP "\r\n=E4\r\n--s--\r\n",
			1, true},
		{V MIXED "\r\n--b\r\nContent-Type: multipart/signed; "
			 "boundary=s\r\n\r\n--s\r\n\r\nx\r\n--s--\r\n--b\r\n\r\n\xe4\r\n"
			 "--b--\r\n",
			V MIXED "\r\n--b\r\nContent-Type: multipart/signed; "
				"boundary=s\r\n\r\n--s\r\n\r\nx\r\n--s--\r\n--b\r\n" UNKNOWN QP "\r\n=E4\r\n--b--\r\n",
			1, false},
	};
	check(MIME_TO_7BIT, rows, sizeof rows / sizeof rows[0]);
}

static void test_to_8bit(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{V UTF8 "Content-Transfer-Encoding: 8bit\r\n\r\n\xc3\xbc\r\n",
			V UTF8 "Content-Transfer-Encoding: 8bit\r\n\r\n\xc3\xbc\r\n", 0, false},
		{V UTF8 "Content-Transfer-Encoding: binary\r\n\r\n\xc3\xbc\r\n",
			V UTF8 "Content-Transfer-Encoding: 8bit\r\n\r\n\xc3\xbc\r\n", 0, false},
		{V UTF8 "Content-Transfer-Encoding: binary\r\n\r\na\nb\rc\r\n", V UTF8 QP "\r\na=0Ab=0Dc\r\n", 1,
			false},
		{V "Subject: \xc3\xbc\r\nContent-Type: x/y\r\n\r\na\nb",
			V "Subject: \xc3\xbc\r\nContent-Type: x/y\r\n" B64 "\r\nYQpi\r\n", 1, false},
		/* binary content without a line end at its end keeps it so */
		{V "Content-Type: x/y\r\nContent-Transfer-Encoding: binary\r\n\r\nhello",
			V "Content-Type: x/y\r\n" B64 "\r\naGVsbG8=\r\n", 1, false},
		{V "Content-Transfer-Encoding: binary\r\n" MIXED
		   "\r\n--b\r\nContent-Transfer-Encoding: binary\r\n\r\n\xe4\r\n--b\r\n"
		   "Content-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n\r\n\r\r\n--b--\r\n",
			V "Content-Transfer-Encoding: 8bit\r\n" MIXED
			  "\r\n--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe4\r\n--b\r\nContent-Type: a/b\r\n" B64
			  "\r\nDQ==\r\n--b--\r\n",
			1, false},
	};
	check(MIME_TO_8BIT, rows, sizeof rows / sizeof rows[0]);
	/* lines over 998 bytes, and NUL */
	static char in[3000], nul[] = V UTF8 "\r\na\0b\r\n";
	struct result r;
	snprintf(in, sizeof in, V UTF8 "\r\n%01500d\r\n", 7);
	convert(&r, MIME_TO_8BIT, in, strlen(in), 100);
	assert_int_equal(r.err, 0);
	assert_int_equal(r.changed, 1);
	for (const char *line = (char *)r.out.data; *line != '\0'; line = strchr(line, '\n') + 1)
		assert_true(strcspn(line, "\n") <= 77);
	buf_fini(&r.out);
	convert(&r, MIME_TO_8BIT, nul, sizeof nul - 1, 100);
	assert_string_equal((char *)r.out.data, V UTF8 QP "\r\na=00b\r\n");
	buf_fini(&r.out);
}

#define GOES_ON "a line in it begins with a boundary and goes on"

static void test_what_cannot_be(void **state)
{
	(void)state;
	static const struct {
		enum mime_target target;
		const char *in, *reason;
	} rows[] = {
		{MIME_TO_7BIT, "Subject: \xc3\xbc\r\n\r\nx\r\n", "a header holds 8-bit characters"},
		{MIME_TO_7BIT, V MIXED "\r\n--b\r\nX: \xe4\r\n\r\nx\r\n--b--", "a header holds 8-bit characters"},
		{MIME_TO_8BIT, "Subject: a\rb\r\n\r\nx\r\n",
			"a header holds NUL, CR or LF, or a line that is too long"},
		{MIME_TO_7BIT, V MIXED "\r\n\xe4\r\n--b--", "there is text between its parts that may not be encoded"},
		{MIME_TO_7BIT, V MIXED "\r\n--b--\r\n\xe4", "there is text between its parts that may not be encoded"},
		{MIME_TO_7BIT, V MIXED "\r\n--b\xe4\r\n\r\nx\r\n--b--",
			"there is text between its parts that may not be encoded"},
		{MIME_TO_8BIT, V MIXED "\r\na\nb\r\n--b--", "there is text between its parts that may not be encoded"},
		{MIME_TO_7BIT, V "Content-Type: message/partial; id=x\r\n\r\n\xe4\r\n",
			"it has a part of a kind that may not be encoded"},
		{MIME_TO_7BIT, V "Content-Type: message/external-body\r\n\r\n\xe4\r\n",
			"it has a part of a kind that may not be encoded"},
		{MIME_TO_7BIT, V "Content-Type: message/delivery-status\r\n\r\n\xe4\r\n",
			"it has a part of a kind that may not be encoded"},
		{MIME_TO_7BIT, V UTF8 QP "\r\n\xe4\r\n", "a part that says it is encoded holds raw bytes"},
		{MIME_TO_7BIT, V UTF8 "Content-Transfer-Encoding: x-uue\r\n\r\n\xe4\r\n",
			"a part that says it is encoded holds raw bytes"},
		{MIME_TO_7BIT, V "Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\n\xe4\r\n",
			"a multipart has no boundary, or lies too deep"},
		/* RFC 2046 §5.1.1: boundaries to a reader of its prose, to one of its grammar none */
		{MIME_TO_7BIT, V MIXED "\r\n--b\r\n\r\n\xe4\r\n--bc\r\n\r\ny\r\n--b--\r\n", GOES_ON},
		{MIME_TO_7BIT, V MIXED "\r\n--b\r\n\r\n\xe4\r\n--b-\r\n\r\ny\r\n--b--\r\n", GOES_ON},
		{MIME_TO_7BIT, V MIXED "\r\n--b\r\n\r\n\xe4\r\n--b \tc\r\n\r\ny\r\n--b--\r\n", GOES_ON},
		{MIME_TO_7BIT, V MIXED "\r\n--b\r\n\r\n\xe4\r\n--b --\r\n\r\ny\r\n--b--\r\n", GOES_ON},
		{MIME_TO_7BIT, V MIXED "\r\n--bc\r\n\r\n\xe4\r\n--b--\r\n", GOES_ON},
		{MIME_TO_7BIT, V MIXED "\r\n--b\r\nX: y\r\n--bc\r\n\r\n\xe4\r\n--b--\r\n", GOES_ON},
		{MIME_TO_7BIT, V MIXED "\r\n--b\r\n\r\n\xe4\r\n--b---\r\n", GOES_ON},
		{MIME_TO_7BIT, V MIXED "\r\n--b\r\n\r\n\xe4\r\n--b-- c", GOES_ON},
		{MIME_TO_7BIT, V MIXED "\r\n--b\r\n\r\n\xe4\r\n--b-", GOES_ON},
		{MIME_TO_8BIT, V MIXED "\r\n--b\r\n\r\na\rb\r\n--bc\r\n\r\ny\r\n--b--\r\n", GOES_ON},
		/* a label that changes may be text */
		{MIME_TO_7BIT,
			V MIXED "\r\n--b\r\n\r\nx\r\n--bc\r\nContent-Transfer-Encoding: 8bit\r\n\r\ny\r\n--b--\r\n",
			GOES_ON},
		/* the longer boundary is no longer one, or not yet */
		{MIME_TO_7BIT,
			V MIXED
			"\r\n--b\r\nContent-Type: multipart/x; boundary=bc\r\n\r\n--bc\r\n\r\n\xe4\r\n--bc--\r\n"
			"--bc\r\n\r\ny\r\n--b--\r\n",
			GOES_ON},
		/* the end of one, or the other */
		{MIME_TO_7BIT,
			V "Content-Type: multipart/x; boundary=\"b--\"\r\n\r\n--b--\r\n" MIXED
			  "\r\n--b\r\n\r\n\xe4\r\n--b--\r\n\r\ny\r\n--b----\r\n",
			GOES_ON},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (size_t piece = 1; piece < 200; piece += 37) {
			struct result r;
			convert(&r, rows[i].target, rows[i].in, strlen(rows[i].in), piece);
			assert_int_equal(r.err, -EILSEQ);
			assert_string_equal(r.reason, rows[i].reason);
			buf_fini(&r.out);
		}
}

/* Too many parts, too deep, a header too long: it is said, and nothing is taken for what it is not. */
static void test_limits(void **state)
{
	(void)state;
	struct buf in;
	struct result r;
	buf_init(&in, 1 << 22);
	buf_append_str(&in, V MIXED "\r\n");
	for (int i = 0; i < MIME_PARTS_MAX; i++)
		buf_append_str(&in, "--b\r\n\r\n\xe4\r\n");
	convert(&r, MIME_TO_7BIT, (char *)in.data, in.len, 8192);
	assert_string_equal(r.reason, "it has too many parts");
	buf_fini(&r.out);
	buf_reset(&in);
	buf_append_str(&in, V);
	for (int i = 0; i < 40; i++)
		buf_printf(&in, "Content-Type: multipart/mixed; boundary=b%02d\r\n\r\n--b%02d\r\n", i, i);
	buf_append_str(&in, "\r\n\xe4\r\n");
	convert(&r, MIME_TO_7BIT, (char *)in.data, in.len, 8192);
	assert_string_equal(r.reason, "a multipart has no boundary, or lies too deep");
	buf_fini(&r.out);
	buf_reset(&in);
	buf_append_str(&in, "X: ");
	for (int i = 0; i < 7000; i++)
		buf_append_str(&in, "0123456789\r\n ");
	convert(&r, MIME_TO_7BIT, (char *)in.data, in.len, 8192);
	assert_string_equal(r.reason, "a header is too long");
	buf_fini(&r.out);
	buf_fini(&in);
}

/* RFC 5321 §4.5.3.1.6: 998 bytes and CRLF. One more is encoded where that can be, and cannot go where it cannot; both
 * to 7 and to 8 bits. */
static void test_long_lines(void **state)
{
	(void)state;
	static const struct {
		const char *before, *after;
		const char *reason; /* with 999 bytes; NULL: they are encoded */
	} rows[] = {
		{V UTF8 "\r\n", "\r\n", NULL},
		{V UTF8 "\r\n", "", NULL}, /* the last line, without an end */
		{V UTF8 "\r\nx\r\n", "\r\ny\r\n", NULL},
		{V MIXED "\r\n--b\r\n\r\n", "\r\n--b--\r\n", NULL},
		{V MIXED "\r\n", "\r\n--b\r\n\r\nx\r\n--b--\r\n",
			"there is text between its parts that may not be encoded"},
		{V MIXED "\r\n--b\r\n\r\nx\r\n--b--\r\n", "\r\n",
			"there is text between its parts that may not be encoded"},
		{V "X: ", "\r\n\r\nx\r\n", "a header holds NUL, CR or LF, or a line that is too long"},
		{V MIXED "\r\n--b\r\nX: ", "\r\n\r\nx\r\n--b--\r\n",
			"a header holds NUL, CR or LF, or a line that is too long"},
		{V UTF8 QP "\r\n", "\r\n", "a part that says it is encoded holds raw bytes"},
		{V "Content-Type: message/delivery-status\r\n\r\n", "\r\n",
			"it has a part of a kind that may not be encoded"},
	};
	for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++)
		for (int over = 0; over < 2; over++) {
			const char *before = rows[i / 2].before, *reason = over ? rows[i / 2].reason : NULL;
			const char *line = strrchr(before, '\n') + 1; /* what of the line stands there already */
			char in[2000];
			struct result r;
			snprintf(in, sizeof in, "%s%0*d%s", before, 998 + over - (int)strlen(line), 7,
				rows[i / 2].after);
			convert(&r, i % 2 ? MIME_TO_8BIT : MIME_TO_7BIT, in, strlen(in), 100);
			assert_int_equal(r.err, reason ? -EILSEQ : 0);
			assert_string_equal(reason ? r.reason : "", reason ? reason : "");
			assert_int_equal(reason ? 0 : r.changed, reason ? 0 : over);
			if (!over)
				assert_string_equal((char *)r.out.data, in);
			buf_fini(&r.out);
		}
}

/* Other content than what was surveyed is no content at all. */
static void test_other_content(void **state)
{
	(void)state;
	static const char in[] = UTF8 "\r\n\xc3\xbc\r\n", longer[] = UTF8 "\r\n\xc3\xbc\xc3\xbc\xc3\xbc\r\n";
	for (int i = 0; i < 2; i++) {
		struct mime *m = mime_new(MIME_TO_7BIT);
		struct buf out;
		buf_init(&out, 4096);
		assert_int_equal(mime_survey(m, (const uint8_t *)in, sizeof in - 1), 0);
		assert_int_equal(mime_survey_end(m), 0);
		int err = i == 0 ? mime_convert(m, (const uint8_t *)longer, sizeof longer - 1, &out)
				 : mime_convert(m, (const uint8_t *)in, sizeof in - 4, &out);
		err = err ? err : mime_convert_end(m, &out);
		assert_int_equal(err, -EBADMSG);
		mime_free(m);
		buf_fini(&out);
	}
}

/* A decoder of the test's own. */
static size_t decode_qp(const char *in, size_t len, char *out)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		unsigned c;
		if (in[i] != '=') {
			out[n++] = in[i];
		} else if (in[i + 1] == '\r') {
			i += 2;
		} else {
			assert_int_equal(sscanf(in + i + 1, "%2x", &c), 1);
			out[n++] = (char)c;
			i += 2;
		}
	}
	return n;
}

static size_t decode_base64(const char *in, size_t len, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = 0;
	unsigned bits = 0, have = 0;
	for (size_t i = 0; i < len; i++) {
		const char *at = in[i] != '\0' ? strchr(digits, in[i]) : NULL;
		if (at == NULL)
			continue;
		bits = bits << 6 | (unsigned)(at - digits);
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (char)(bits >> have);
		}
	}
	return n;
}

/* Random content, whatever it holds, decodes to what it was. */
static void test_property(void **state)
{
	(void)state;
	static const char *const types[] = {"text/plain", "application/x"};
	static char in[4096], decoded[16384];
	uint32_t seed = 4711;
	for (int round = 0; round < 3000; round++) {
		size_t head = (size_t)snprintf(in, sizeof in, V "Content-Type: %s\r\n\r\n", types[round % 2]),
		       len = head;
		seed = seed * 1103515245 + 12345;
		size_t body = (seed >> 16) % 600;
		for (size_t i = 0; i < body; i++) {
			static const char some[] = "\r\n\r\n\0 .\t=-aF\xe4\xff";
			seed = seed * 1103515245 + 12345;
			in[len++] = round % 3 ? some[(seed >> 16) % (sizeof some - 1)] : (char)(seed >> 16);
		}
		for (int target = 0; target < 2; target++) {
			struct result r;
			convert(&r, (enum mime_target)target, in, len, 1 + (seed >> 20) % 300);
			assert_int_equal(r.err, 0);
			const char *text = (char *)r.out.data, *start = strstr(text, "\r\n\r\n") + 4;
			size_t left = r.out.len - (size_t)(start - text), n = left;
			if (strstr(text, QP) != NULL)
				n = decode_qp(start, left, decoded);
			else if (strstr(text, B64) != NULL)
				n = decode_base64(start, left, decoded);
			else
				memcpy(decoded, start, left);
			assert_int_equal(n, body);
			assert_memory_equal(decoded, in + head, body);
			buf_fini(&r.out);
		}
	}
}

static void test_fields(void **state)
{
	(void)state;
	static const struct {
		const char *header, *main, *sub, *boundary;
		enum mime_encoding encoding;
		bool type;
	} rows[] = {
		{"", "text", "plain", "", MIME_UNLABELLED, false},
		{"Content-Type: Multipart/MIXED; Boundary=\"a b\"\r\n", "multipart", "mixed", "a b", MIME_UNLABELLED,
			true},
		{"content-type:multipart/x;x=\"y;boundary=z\";\r\n\tboundary=w (no)\r\n", "multipart", "x", "w",
			MIME_UNLABELLED, true},
		{"Content-Type: (c) a (c (d\\)) / \r\n b (e)\r\n", "text", "plain", "", MIME_UNLABELLED, true},
		{"Content-Type: (c) a (c (d\\))) / \r\n b (e)\r\n", "a", "b", "", MIME_UNLABELLED, true},
		{"Content-Type: nothing\r\n", "text", "plain", "", MIME_UNLABELLED, true},
		{"Content-Type: a/b\r\nContent-Type: c/d\r\n", "a", "b", "", MIME_UNLABELLED, true},
		{"Content-Type: multipart/a; boundary=\"x \"\r\n", "multipart", "a", "", MIME_UNLABELLED, true},
		/* not quoted, though it must be: half of it is no boundary */
		{"Content-Type: multipart/a; boundary=----=_Part_1\r\n", "multipart", "a", "", MIME_UNLABELLED, true},
		{"Content-Type: multipart/a; boundary=abc/def; x=y\r\n", "multipart", "a", "", MIME_UNLABELLED, true},
		{"Content-Type: multipart/a; boundary="
		 "12345678901234567890123456789012345678901234567890123456789012345678901\r\n",
			"multipart", "a", "", MIME_UNLABELLED, true},
		{"Content-Transfer-Encoding: Base64 (x)\r\n", "text", "plain", "", MIME_ENCODED, false},
		{"Content-Transfer-Encoding: x-own\r\n", "text", "plain", "", MIME_UNKNOWN, false},
		{"Content-Transfer-Encoding:\r\n", "text", "plain", "", MIME_UNKNOWN, false},
		{"XContent-Transfer-Encoding: 8bit\r\n", "text", "plain", "", MIME_UNLABELLED, false},
		{"Content-Transfer-Encoding : BINARY\r\n", "text", "plain", "", MIME_BINARY, false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct mime_fields f;
		mime_fields_read(&f, (const uint8_t *)rows[i].header, strlen(rows[i].header));
		if (strcmp(f.main, rows[i].main) != 0 || strcmp(f.sub, rows[i].sub) != 0 ||
			strcmp(f.boundary, rows[i].boundary) != 0 || f.encoding != rows[i].encoding ||
			f.type != rows[i].type)
			fail_msg("%s was read as %s/%s \"%s\" %d", rows[i].header, f.main, f.sub, f.boundary,
				(int)f.encoding);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_to_7bit),
		cmocka_unit_test(test_to_8bit),
		cmocka_unit_test(test_what_cannot_be),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_other_content),
		cmocka_unit_test(test_property),
		cmocka_unit_test(test_fields),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
