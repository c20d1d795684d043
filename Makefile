# The two commands that matter: `make demo` and `make test`. Everything else serves them.
# make deps       build tools and libraries by apt (sudo only if not root); stand-in servers are never installed (see standins)
# make standins   the stand-in servers, unpacked privately into build/standins (nothing is installed or started)
# make standins-udp  the servers that answer the UDP probes in the tests, likewise, into build/standins-udp
# make browser    the two npm packages of the browser tests, into build/browser
# make build      the programs, into build/dev/bin
# make demo       the whole loop on real input, up to "ready"; ARGS="--headless --json" plays the visitor too and ends with a JSON summary
# make test       installs, builds and runs all tests; the last line is "N passed, N failed"
# make nightly    thread sanitizer, long fuzzing, long properties
# make clean      removes build/
SHELL := /bin/bash
BUILD := build/dev
JOBS ?= $(shell nproc)

.PHONY: all deps standins standins-udp browser build demo test nightly tidy format clean

all: build

deps: build/.deps

build/.deps: deps/build.txt deps/install.sh
	@mkdir -p build
	bash deps/install.sh deps/build.txt
	@touch $@

standins: deps
	bash neighbourhood/unpack.sh build/standins

standins-udp: deps
	bash neighbourhood/unpack.sh build/standins-udp deps/standins_udp.txt

build: deps
	@[ -f $(BUILD)/build.ninja ] || cmake --preset dev
	cmake --build $(BUILD) -j $(JOBS)

browser: deps
	bash tests/browser/install.sh build/browser

demo: build standins
	$(BUILD)/bin/nora demo $(ARGS)

test: build standins standins-udp browser
	bash tests/run.sh $(BUILD)

nightly: build standins
	bash tests/nightly.sh

tidy: build
	bash tests/tidy.sh $(BUILD)

format:
	git ls-files '*.cc' '*.h' | xargs clang-format-19 -i

clean:
	rm -rf build
