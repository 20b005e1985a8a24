/* queue/doctor/checks.c: protocol. */
#include "queue/doctor/checks.h"

#include "queue/doctor/check_daemon.h"
#include "queue/doctor/check_host.h"
#include "queue/doctor/check_machine.h"
#include "queue/doctor/check_names.h"
#include "queue/doctor/check_paths.h"

const struct doctor_check doctor_checks[] = {
	{"config", "the configuration: can it be read, and is it the one in force", check_config},
	{"daemon", "does the daemon run and answer on its control socket", check_daemon},
	{"version", "is the daemon of the same version as relayq", check_version},
	{"families", "has the host a usable global address of each family", check_families},
	{"routes", "is there a default route of each family, and does it stay", check_routes},
	{"source", "the address from which mail goes out over each family", check_source},
	{"ptr", "has each source address a PTR record whose name leads back to it", check_ptr},
	{"helo", "does the name in EHLO lead to the source address, and is it that of its PTR record", check_helo},
	{"spf", "does the SPF record of each --sender domain let both source addresses pass", check_spf},
	{"port25", "is each --probe host reached over each family, and does it greet", check_port25},
	{"resolver", "does each DNS server answer, by UDP and by TCP", check_resolver},
	{"dnssec", "does each DNS server validate, and can its word be trusted", check_dnssec},
	{"listeners", "is mail taken in over both families: each listener greets", check_listeners},
	{"clock", "is the clock synchronised, and not behind the journal", check_clock},
	{"files", "may the daemon open as many files as the configuration asks for", check_files},
	{"spool", "the directory of the queue: owner, mode, free space, kind of file system", check_spool},
	{"sync", "how long the spool's disk takes to make a small write durable", check_sync},
	{"certificates", "nothing yet: this version has no TLS", check_certificates},
};
const size_t doctor_check_count = sizeof doctor_checks / sizeof doctor_checks[0];

void doctor_examine(const struct facts *f, struct names *n, struct findings *out)
{
	findings_reset(out);
	for (size_t i = 0; i < doctor_check_count; i++) {
		out->check = doctor_checks[i].name;
		doctor_checks[i].examine(f, n, out);
	}
}
