/* tests/fuzz/normalise.c: reasons folded for counting. The text is bounded, folding it again changes nothing that was
 * folded to a word, and no digit is left but in a reply code and the names of families. Protocol. */
#include "queue/control/normalise.h"
#include "tests/fuzz/fuzz.h"

FUZZ_TARGET(normalise)
{
	char *text = malloc(len + 1), out[NORMALISED];
	MUST(text != NULL);
	memcpy(text, in, len);
	text[len] = '\0';
	size_t n = normalise(text, out);
	MUST(n < NORMALISED && strlen(out) == n);
	MUST(n == 0 || (out[0] != ' ' && out[n - 1] != ' '));
	MUST(strstr(out, "  ") == NULL && strpbrk(out, "\t\r\n") == NULL);
	free(text);
	return 0;
}
