/* queue/doctor/settings.h: which configuration is judged, and how it differs from the one in force. State; reads the
 * file. */
#ifndef QUEUE_DOCTOR_SETTINGS_H
#define QUEUE_DOCTOR_SETTINGS_H

#include "conf/buf.h"
#include "queue/doctor/facts.h"

extern const char settings_default_file[];

/* Reads `named` (NULL: the default place, if there is a file). 0: it is in `*out`, or NULL: there is no file; else a
 * negative code with the first errors in `errors`. `*file` is the name of the file that was read. */
int settings_read(const char *named, struct conf **out, const char **file, char errors[FACT_TEXT]);
/* The names of settings that are not the same, as many as there is room for, separated by ", "; "": none. Of limits
 * that a daemon lowers itself for want of files a lower one counts as the same (check_files says it); `loops`,
 * routes and refusals are not compared. */
void settings_compare(const struct conf *file, const struct conf *in_force, char out[FACT_TEXT]);

#endif
