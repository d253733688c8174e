# seats: seat-based pricing inside PostgreSQL, built by PGXS.
#
#   make, make install, make installcheck    as for any extension; PG_CONFIG=... chooses the server
#   make demo, make playground, make test    need no server: they start a private one and remove it
#   make demo-web                            the same, with the pages of examples/ to open in a browser; it needs Node
#   make test-http                           the same, for what is in examples/; it needs Node and nginx
#   make test-frameworks                     the same, for docs/frameworks.md; it needs Node, Python and Ruby
#   make test-shards                         the same, for examples/plproxy; it needs PL/Proxy and PgBouncer
#   make test-versions [VERSIONS="15 18"]    make test on each version, in trees by debootstrap, as root
#   make test-checked [KINDS="valgrind"]     make test on servers that look for mistakes in it, built in such a tree
#   make test-all                            all tests that there are, in hours; ci/README.md says what each of
#                                            these targets needs
#   make test-long, make test-long-full      what takes longer, or needs several versions at once; for some
#                                            minutes, or for hours
#   make docs                                writes docs/reference.md from the comments of the SQL objects
#   make dist                                the archive of a release, as PGXN takes it, of what is committed
#   make test-packages, make test-container  the Debian package and that archive, and the Containerfile's images, as root
#   make bench, make bench-full              the same; they measure, in minutes or in an hour

# Paths that make expands are seen from the build directory, which need not be the sources' own.
here := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
files = $(patsubst $(here)/%,%,$(sort $(wildcard $(here)/$(1))))
names = $(basename $(notdir $(call files,$(1))))

MODULE_big = seats
OBJS = $(patsubst %.c,%.o,$(call files,src/*.c))
EXTENSION = seats
DATA = $(call files,sql/seats--*.sql)

REGRESS = $(call names,test/sql/*.sql)
ISOLATION = $(call names,test/specs/*.spec)
TAP_TESTS = 1
# A pattern for the shell: PGXS runs prove in the directory of the sources. The environment may have another.
PROVE_TESTS ?= test/t/*.pl

# pg_regress of 15 looks for the expected output beside the input. Here it finds links to both.
inputs = regress_inputs
REGRESS_OPTS = --inputdir=$(inputs)
ISOLATION_OPTS = --inputdir=$(inputs)
REGRESS_PREP = $(inputs)
EXTRA_CLEAN = $(inputs)
# The same output whatever the server's own encoding and locale.
ENCODING = UTF8
NO_LOCALE = 1

# The code is C11. Newer compilers default to C23, which older server headers do not know.
PG_CFLAGS = $(if $(findstring -std=,$(CC) $(CFLAGS)),,-std=gnu11)
# Other libraries see only what PostgreSQL looks up; see src/compat.h.
PG_CFLAGS += -fvisibility=hidden

PG_CONFIG ?= pg_config
# Debian's server comes with PGXS, but not with the headers that it needs.
headers := $(wildcard $(shell $(PG_CONFIG) --includedir-server 2>/dev/null)/postgres.h)

# Each is a script of that name.
scripts = $(addprefix scripts/,demo demo-web playground test)
scripts += $(addprefix ci/,bench dist docs test-all test-container test-frameworks test-http test-long test-packages test-shards)

.PHONY: all $(inputs) $(notdir $(scripts)) test-versions test-checked test-long-full bench-full
all:

ifdef headers

PGXS := $(shell $(PG_CONFIG) --pgxs)

# Bitcode only helps JIT inlining: without the LLVM that the server was built with, go without it.
server_tool = $(shell sed -n 's/^$(1) *= *//p' $(dir $(PGXS))../Makefile.global)
ifeq ($(shell command -v $(call server_tool,CLANG) >/dev/null && \
		command -v $(call server_tool,LLVM_BINPATH)/llvm-lto >/dev/null && echo found),)
override with_llvm = no
endif

include $(PGXS)

# Right links are left alone: several runs may be going on at once. The sources may have moved.
$(inputs):
	@$(MKDIR_P) $@
	@for directory in test/sql test/specs expected; do \
		target="$(abspath $(here))/$$directory"; \
		link="$@/$${directory##*/}"; \
		test "$$(readlink "$$link")" = "$$target" || ln -sfn "$$target" "$$link" || exit; \
	done

# PGXS does not track headers. There are few sources: any header rebuilds them all.
# The absolute path keeps make from finding the sources' directory by VPATH instead.
$(OBJS) $(OBJS:.o=.bc): $(wildcard $(here)/src/*.h) | $(CURDIR)/src
$(CURDIR)/src:
	$(MKDIR_P) $@

else

all .DEFAULT:
	@echo "no PostgreSQL headers by $(PG_CONFIG): install postgresql-server-dev-15 (or 16 to 18), set PG_CONFIG, or run make demo" >&2
	@exit 1

endif

$(notdir $(scripts)):
	@$(here)/$(filter %/$@,$(scripts))
test-versions:
	@$(here)/ci/$@ $(VERSIONS)
test-checked:
	@$(here)/ci/$@ $(KINDS)
test-long-full bench-full:
	@$(here)/ci/$(@:-full=) --full
