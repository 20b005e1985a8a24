# relay64: `make help` lists the targets.
SHELL      := /bin/bash
PREFIX     ?= /usr/local
DESTDIR    ?=
VERSION    := 0.3.0
FOLDERS    := conf dns tls queue smtpd

BUILD_PACKAGES := build-essential pkg-config libuv1-dev libc-ares-dev libjansson-dev libxxhash-dev uthash-dev libidn2-dev
TEST_PACKAGES  := libcmocka-dev python3 iproute2 nftables nsd unbound bind9-dnsutils bind9-utils postfix tayga swaks haproxy procps mandoc
FUZZ_PACKAGES  := clang-14 libclang-rt-14-dev
LINT_PACKAGES  := clang-format clang-tidy cppcheck mandoc

CC       ?= gcc
# -Wno-sign-conversion: sizes come as ssize_t from the kernel and as size_t to it; each place checks for < 0 once,
# and a cast at each further use would hide the conversions that do matter. Narrowing stays an error.
WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wconversion -Wno-sign-conversion \
            -Wformat=2 -Wpointer-arith -Wwrite-strings -Werror
DEFINES  := -D_GNU_SOURCE -DRELAY64_VERSION='"$(VERSION)"' -I.
LIBS     := -luv -lcares -ljansson -lxxhash -lidn2 -lresolv -lm -lpthread
OPTIMISE := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fPIE
HARDEN   := -pie -Wl,-z,relro,-z,now
SANITIZE := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
THREADS  := -O1 -g -fno-omit-frame-pointer -fsanitize=thread

SOURCES  := $(sort $(foreach f,$(FOLDERS),$(wildcard $(f)/*.c $(f)/*/*.c)))
HEADERS  := $(sort $(foreach f,$(FOLDERS),$(wildcard $(f)/*.h $(f)/*/*.h)))
MAINS    := smtpd/main.c queue/tool/main.c
PARTS    := $(filter-out $(MAINS),$(SOURCES))
UNITS    := $(sort $(wildcard tests/unit/*_test.c))
TESTED   := $(UNITS:tests/unit/%.c=build/asan/unit/%)
# Made-up neighbours define the functions of the real ones: only the tests that name them in an include are linked with them.
FAKES    := $(wildcard tests/unit/*_fake.c tests/unit/*_fakes.c)
HELPERS  := $(filter-out $(UNITS) $(FAKES),$(wildcard tests/unit/*.c))
PROBES   := $(patsubst tests/lab/%.c,build/asan/lab/%,$(wildcard tests/lab/*.c))
BENCHES  := $(patsubst tests/bench/%.c,build/bench/%,$(wildcard tests/bench/*.c))
FUZZERS  := $(sort $(wildcard tests/fuzz/*.c))
FAKED_BY_queue   := $(shell grep -l 'queue_fixture.h' $(UNITS))
FAKED_BY_inspect := $(shell grep -l 'inspect_fake.h' $(UNITS))
FAKED_BY_dialer  := $(shell grep -l 'dialer_fake.h' $(UNITS))
FAKED_BY_session := $(shell grep -l 'session_fake.h' $(UNITS))

all: build/relay64 build/relayq                       ## build into build/ (-O2, hardened, debug symbols)

# One set of rules for the builds: the release, ASan with UBSan, TSan. $(1) folder, $(2) compile flags, $(3) link flags.
define variant
$(1)/obj/%.o: %.c
	@mkdir -p $$(dir $$@)
	@echo '  CC    $$@'
	@$$(CC) -std=gnu11 $(WARN) $(DEFINES) $(2) -MMD -MP -c -o $$@ $$<
$(1)/librelay64.a: $(PARTS:%.c=$(1)/obj/%.o) Makefile
	@rm -f $$@
	@ar rcs $$@ $$(filter %.o,$$^)
$(1)/relay64: $(1)/obj/smtpd/main.o $(1)/librelay64.a
	@echo '  LINK  $$@'
	@$$(CC) $(2) $(3) -o $$@ $$^ $(LIBS)
$(1)/relayq: $(1)/obj/queue/tool/main.o $(1)/librelay64.a
	@echo '  LINK  $$@'
	@$$(CC) $(2) $(3) -o $$@ $$^ $(LIBS)
# programs of the lab: parts of the daemon alone
$(1)/lab/%: $(1)/obj/tests/lab/%.o $(1)/librelay64.a
	@mkdir -p $$(dir $$@)
	@echo '  LINK  $$@'
	@$$(CC) $(2) $(3) -o $$@ $$^ $(LIBS)
# an archive: a test takes only the helpers that it uses, so it may stand in for what another one's helper needs
$(1)/libhelpers.a: $(HELPERS:%.c=$(1)/obj/%.o) Makefile
	@rm -f $$@
	@ar rcs $$@ $$(filter %.o,$$^)
$(1)/unit/%: $(1)/obj/tests/unit/%.o $(1)/libhelpers.a $(1)/librelay64.a
	@mkdir -p $$(dir $$@)
	@echo '  LINK  $$@'
	@$$(CC) $(2) $(3) $$(WRAPPED:%=-Wl,--wrap=%) -o $$@ $$(filter %.o,$$^) $$(filter %.a,$$^) $(LIBS) -lcmocka
$(FAKED_BY_queue:tests/unit/%.c=$(1)/unit/%): $(1)/obj/tests/unit/queue_fakes.o
$(FAKED_BY_inspect:tests/unit/%.c=$(1)/unit/%): $(1)/obj/tests/unit/inspect_fake.o
$(FAKED_BY_dialer:tests/unit/%.c=$(1)/unit/%): $(1)/obj/tests/unit/dialer_fake.o
$(FAKED_BY_session:tests/unit/%.c=$(1)/unit/%): $(1)/obj/tests/unit/session_fake.o
$(1)/unit/fuzz_corpus_test: $(FUZZERS:%.c=$(1)/obj/%.o)
-include $(shell find $(1)/obj -name '*.d' 2>/dev/null)
endef
%/nomemory_test %/outcome_memory_test: WRAPPED := malloc calloc realloc reallocarray strdup strndup
.SECONDARY:
$(eval $(call variant,build,$(OPTIMISE),$(HARDEN)))
$(eval $(call variant,build/asan,$(SANITIZE),))
$(eval $(call variant,build/tsan,$(THREADS),))
# libFuzzer is clang's; each target is a program of its own
build/fuzz/%: CC = clang-14
$(eval $(call variant,build/fuzz,$(SANITIZE) -fsanitize=fuzzer-no-link -DFUZZ_ALONE,))
build/fuzz/target/%: build/fuzz/obj/tests/fuzz/%.o build/fuzz/librelay64.a
	@mkdir -p $(dir $@)
	@echo '  LINK  $@'
	@$(CC) $(SANITIZE) -fsanitize=fuzzer -o $@ $^ $(LIBS)

# programs that measure; the lab runs them too
build/bench/%: tests/bench/%.c
	@mkdir -p $(dir $@)
	@echo '  CC    $@'
	@$(CC) -std=gnu11 $(WARN) $(DEFINES) $(OPTIMISE) $(HARDEN) -o $@ $<

deps:                                                 ## install what the build needs (apt, only what is missing)
	@contrib/need $(BUILD_PACKAGES)

test-deps: deps
	@contrib/need $(TEST_PACKAGES)
	@tests/lab/unpack

run: deps                                             ## install, build, and run the relay on safe defaults (port 2525, ./var)
	@$(MAKE) --no-print-directory -s -j$$(nproc) all
	@build/relay64 --try

ROUNDS   ?= 5
test: test-deps                                       ## install what the tests need; unit, crash and lab tests; counts
	@$(MAKE) --no-print-directory -j$$(nproc) all $(TESTED) build/asan/relay64 build/asan/relayq $(BENCHES) $(PROBES)
	@tests/run

unit: $(TESTED)                                       ## unit tests alone (ASan, UBSan)
	tests/unit/run build/asan/unit

lab: all build/asan/relay64 build/asan/relayq $(BENCHES) $(PROBES) ## the lab alone: real servers in network namespaces (root)
	@tests/lab/unpack
	tests/lab/run

crash: build/asan/relay64 build/asan/relayq           ## kill -9 under load, ROUNDS=5 times, and do the books
	tests/crash/run --rounds $(ROUNDS)

SECONDS_EACH ?= 60
fuzz: deps                                            ## fuzz each parser and machine, SECONDS_EACH=60 seconds (clang's libFuzzer)
	@contrib/need $(FUZZ_PACKAGES)
	@$(MAKE) --no-print-directory -j$$(nproc) $(FUZZERS:tests/fuzz/%.c=build/fuzz/target/%)
	SECONDS_EACH=$(SECONDS_EACH) tests/fuzz/run

STORIES  := $(patsubst tests/lab/stories/%.py,demo-%,$(wildcard tests/lab/stories/*.py))
demo: demo-way                                        ## show a mail's way from an IPv4-only to an IPv6-only server (root)
demo-doctor:                                          ## show relayq doctor on a healthy host and on broken ones (root)
demo-oracle:                                          ## show a server that delivers itself what it can (root)
demo-reach:                                           ## show mail that waits for a family, and moves when it comes
demo-paths:                                           ## show a broken and a refused family, and what is remembered (root)
demo-sources:                                         ## show source addresses, and a new one that is warmed up
demo-survey:                                          ## show what a server with one family cannot send
$(STORIES): deps
	@contrib/need $(TEST_PACKAGES)
	@$(MAKE) --no-print-directory -s all
	@tests/lab/demo $(@:demo-%=%)

install: all                                          ## install to DESTDIR and PREFIX
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/doc/relay64
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 755 build/relay64 $(DESTDIR)$(PREFIX)/sbin/relay64
	install -m 755 build/relayq $(DESTDIR)$(PREFIX)/bin/relayq
	install -m 644 queue/relayq.1 $(DESTDIR)$(PREFIX)/share/man/man1/relayq.1
	install -m 644 conf/relay64.conf.5 $(DESTDIR)$(PREFIX)/share/man/man5/relay64.conf.5
	install -m 644 smtpd/relay64.8 $(DESTDIR)$(PREFIX)/share/man/man8/relay64.8
	install -m 644 conf/relay64.conf.sample README.md NEWS LICENSE contrib/recipes.md \
		$(DESTDIR)$(PREFIX)/share/doc/relay64/
	sed 's,/usr/local/,$(PREFIX)/,' contrib/relay64.service > $(DESTDIR)$(PREFIX)/share/doc/relay64/relay64.service
	install -D -m 644 contrib/completion.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/relayq

TEXTS    := $(SOURCES) $(HEADERS) $(wildcard tests/unit/*.[ch] tests/fuzz/*.[ch] tests/bench/*.[ch] tests/lab/*.[ch])
format:                                               ## clang-format all C files in place
	@contrib/need clang-format
	clang-format -i $(TEXTS)

QUEUE_H  := $(firstword $(wildcard /usr/include/*/sys/queue.h /usr/include/sys/queue.h))
lint: deps                                            ## formatting, includes, documents, clang-tidy, cppcheck
	@contrib/need $(LINT_PACKAGES) python3
	@echo '  clang-format' && clang-format --dry-run --Werror $(TEXTS)
	tests/includes .
	tests/documents .
	@echo '  cppcheck' && cppcheck --quiet --std=c11 --enable=warning,portability,performance --inline-suppr \
		--error-exitcode=1 -j $$(nproc) -I. $(addprefix --include=,$(QUEUE_H)) --include=tests/cppcheck.h $(SOURCES)
	@echo '  clang-tidy' && printf '%s\n' $(SOURCES) | \
		xargs -P $$(nproc) -I{} clang-tidy --quiet {} -- -std=gnu11 $(DEFINES) 2>/dev/null

clean:                                                ## remove build/
	rm -rf build

help:                                                 ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: all deps test-deps run test unit lab crash fuzz demo $(STORIES) install format lint clean help
