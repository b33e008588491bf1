# The door. Each target is one line that calls something real; what has logic is Rust (`sotp-lab`, `sotp-checks`).
# `make` alone prints what there is.

CARGO   ?= cargo
PROFILE ?= release
SERVICES := $(shell sed -n 's/^name = "\(.*\)"$$/-p \1/p' lab/services.toml)
BIN     = target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
DEMO    ?=
INVENTORY ?=
SYSLOG  ?=
MQTT    ?=
SNMP    ?=
FUZZ    ?=
TIME    ?= 60
SOAK    ?= 600
INCIDENTS ?= 1000
KILLS   ?= 20

.DEFAULT_GOAL := help
.PHONY: which-devices help beside build dashboards-pl app app-page cluster deb packages-bare demo up test built soak sizing lint style tables reference bench bench-forecast bench-inventory bench-mqtt bench-netflow bench-ping bench-prometheus bench-remediator bench-reporter bench-snmp bench-ssh-config bench-syslog bench-toolkit docs fuzz miri

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

build: ## our services and the lab, as the demo runs them (PROFILE=dev for a quicker build)
	$(CARGO) build --profile $(PROFILE) -p sotp-lab -p sotp-audit -p sotp-certs $(SERVICES)

dashboards-pl: ## the dashboards in Polish, into target/dashboards-pl
	$(CARGO) run -q -p sotp-checks --bin sotp-dashboards

app: ## the SOTP app for Grafana, from npm, into target/app/dist; demo and up then have it
	$(CARGO) run -q -p sotp-checks --bin sotp-app

app-page: build # the same, with what the story of the demo needs to use it in a browser
	$(BIN)/sotp-lab stack install --yes --story --no-download
	$(CARGO) run -q -p sotp-checks --bin sotp-app -- --page

demo: build $(if $(DEMO),app-page) ## a real network of routers, watched; DEMO=once plays the story of the product, DEMO=STEP,STEP a part of it
	$(BIN)/sotp-lab demo $(if $(DEMO),--once --timeline target/demo/timeline.json $(if $(filter once,$(DEMO)),,--steps $(DEMO)))

up: $(if $(INVENTORY),build,which-devices) ## the same stack on your own network: make up INVENTORY=my.yaml
	$(BIN)/sotp-lab stack install --no-lab
	$(BIN)/sotp-lab stack up --inventory $(INVENTORY)

deb: PROFILE = dist
deb: build ## Debian packages of every service and of the whole, in target/deb
	$(CARGO) run -q -p sotp-checks --bin sotp-packages -- deb --bin-dir $(BIN)

packages-bare: ## the packages installed, run, upgraded and purged on a Debian made by debootstrap, as make test does
	checks/tests/packages/bare.sh target/debian-bare
	$(CARGO) test -q -p sotp-checks --test it -- packages::each_package

cluster: ## the whole on a cluster of this machine, made with k3d or kind: build, load, apply, wait, show Grafana
	$(CARGO) run -q -p sotp-checks --bin sotp-cluster

which-devices:
	@echo "say which devices: make up INVENTORY=my.yaml (docs/inventory.md shows the format)" >&2; exit 64

tables: ## what is written from lab/services.toml: the prometheus.yml files and the tables of the documents
	SOTP_UPDATE=1 $(CARGO) test -q -p sotp-checks --test it table::what_is_written

sizing: ## docs/sizing.md from what make bench has written into target/bench
	$(CARGO) run -q -p sotp-checks --bin sotp-sizing

reference: ## what is written from the code: docs/reference/ and the default configurations
	SOTP_UPDATE=1 $(CARGO) test -q $(SERVICES) --lib from_the_code

# First the programs that the gate itself needs. Then one build of everything, in which clippy's driver is the compiler, so that nothing
# is compiled once to run and again to be looked at; Debian's packages, a bare Debian and the app in Grafana are made beside it. Then the tests, side
# by side (checks/src/runner.rs); most of them wait, so the documentation and what no test starts are made meanwhile.
PHASE    = @echo "$$(date +%s.%N) $(1)" $(if $(2),>,>>) target/phases.txt
GATE     := --bin sotp-lab --bin sotp-app --bin sotp-certs --example echo --example roster

test built beside: export RUSTC_WORKSPACE_WRAPPER = clippy-driver
test built beside: export CLIPPY_ARGS = -Dwarnings
# What is compiled once and from nothing is compiled faster without notes for a next time.
test built beside: export CARGO_INCREMENTAL = 0
test: ## everything CI runs; installs what the tests talk to
	@mkdir -p target
	$(call PHASE,what the gate itself needs,first)
	$(CARGO) build --workspace -q $(GATE)
	$(call PHASE,build with lints beside the app in Grafana)
	@{ target/debug/sotp-lab stack install --tests --no-download || exit 1; \
	timeout 600 checks/tests/packages/bare.sh target/debian-bare > target/debian.log 2>&1 & target/debug/sotp-app --test; app=$$?; wait; exit $$app; } > target/app.log 2>&1 & app=$$!; \
	$(MAKE) built; built=$$?; wait $$app; app=$$?; cat target/app.log; \
	[ $$built = 0 ] && { [ $$app = 0 ] || [ $$app = 69 ]; }
	$(call PHASE,tests beside documentation and examples)
	@nice $(MAKE) beside > target/beside.log 2>&1 & beside=$$!; target/debug/sotp-tests target/tests.json --phases target/phases.txt; tests=$$?; \
	wait $$beside || { cat target/beside.log; exit 1; }; exit $$tests

built:
	$(CARGO) fmt --all --check
	$(CARGO) test --workspace --no-run --tests --message-format=json-render-diagnostics > target/tests.json

beside:
	$(CARGO) build --workspace -q --example '*' --bench '*'
	RUSTDOC=$(CURDIR)/checks/rustdoc.sh $(CARGO) test --workspace -q --doc

soak: build ## an idle lab on a busy machine for SOAK seconds, 600 unless said otherwise: no alert may fire; ten repairs with their median; then histories in reports, incidents with kills, and CloudWatch by a YACE that Go builds
	$(BIN)/sotp-lab demo --once --no-install --name soak --steps cut --idle $(SOAK) --busy $$(nproc)
	$(BIN)/sotp-lab demo --once --no-install --name soak --steps selfheal,left-alone --rounds 10
	$(CARGO) test -q -p sotp-reporter --test it -- --ignored
	SOTP_GO=1 $(CARGO) test -q -p sotp-checks --test it -- cloudwatch::
	$(MAKE) bench-remediator INCIDENTS=10000 KILLS=500
	SOTP_STREAMS=1000000 $(CARGO) test --release -q -p sotp-remediator --lib -- rails::
	SOTP_STREAMS=2000 $(CARGO) test --release -q -p sotp-remediator --test it -- streams::

lint: style ## format, lints, documentation, dependency audit and house rules
	$(CARGO) test -q -p sotp-checks --test it -- conventions:: audit::

style: ## the part of lint that is no test; make test has it in its build
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps -q

bench: bench-forecast bench-inventory bench-mqtt bench-netflow bench-ping bench-prometheus bench-remediator bench-reporter bench-snmp bench-ssh-config bench-syslog bench-toolkit ## every benchmark; each prints a table and writes target/bench/NAME.json

FORECAST = target/bench/forecast
bench-forecast: ## how true forecasts are on public series and made-up links, beside statsforecast and Prophet; fetches all three; minutes
	python3 exporters/forecast/examples/bench-forecast/data.py $(FORECAST)/data $(FORECAST)/packages
	python3 -m venv $(FORECAST)/python
	$(FORECAST)/python/bin/pip install -q statsforecast==2.1.1 prophet==1.5.0 'pandas<3'
	$(FORECAST)/python/bin/python exporters/forecast/examples/bench-forecast/peers.py $(FORECAST)/data $(FORECAST)/peers.json
	$(CARGO) run --release -q -p sotp-forecast --example bench-forecast -- $(FORECAST)/data $(FORECAST)/peers.json --load 10000

bench-inventory: ## 20,000 devices, listed, changed, discovered
	$(CARGO) bench -q -p sotp-inventory --bench inventory

bench-mqtt: ## 50,000 messages a second of 5,000 sensors, beside Debian's prometheus-mqtt-exporter: MQTT='--rate 20000'
	$(CARGO) build --release -q -p sotp-mqtt --bin sotp-mqtt --example bench-mqtt
	$(CARGO) run --release -q -p sotp-mqtt --example bench-mqtt -- $(MQTT)

bench-ping: ## what a ping costs and how true it is, beside fping, smokeping_prober and surge-ping; needs root
	$(CARGO) build --release -q -p sotp-ping --bin sotp-ping
	$(CARGO) run --release -q -p sotp-ping --example bench-ping
	$(CARGO) bench -q -p sotp-ping --bench page

bench-prometheus: ## what our series cost Prometheus, on disk and in memory; needs root, Debian's prometheus and snmpd
	$(CARGO) build --release -q -p sotp-ping -p sotp-snmp --bin sotp-ping --bin sotp-snmp
	$(CARGO) run --release -q -p sotp-checks --example bench-prometheus

bench-reporter: ## a report's pages beside Chromium's, a month of 1,000 devices, 500 reports at the full hour
	$(CARGO) build --release -q -p sotp-reporter --bin sotp-reporter
	$(CARGO) run --release -q -p sotp-reporter --example bench-reporter -- --service target/release/sotp-reporter

bench-netflow: ## flows decoded beside netflow_parser, the whole service beside Debian's nfcapd on the same load, and its bounds: NETFLOW='--only decode'
	$(CARGO) build --release -q -p sotp-netflow --bin sotp-netflow --example bench-netflow
	$(CARGO) build --release -q --manifest-path exporters/netflow/oracle/Cargo.toml --target-dir target/netflow-oracle
	$(CARGO) run --release -q -p sotp-netflow --example bench-netflow -- $(NETFLOW)

bench-toolkit: ## one scrape of 10,000 targets, beside the prometheus crate
	$(CARGO) bench -q -p toolkit --bench exposition

bench-remediator: ## incidents of three senders while the program is killed again and again: INCIDENTS=10000 KILLS=500 as in make soak
	SOTP_INCIDENTS=$(INCIDENTS) SOTP_KILLS=$(KILLS) $(CARGO) test --release -q -p sotp-remediator --test it -- incidents --nocapture

bench-snmp: ## one device and 500, as it is shipped, beside Debian's snmp_exporter: SNMP=one for a part
	$(CARGO) build --profile dist -q -p sotp-snmp --bin sotp-snmp --example bench
	target/dist/examples/bench $(SNMP)

bench-ssh-config: ## a farm of 2,000 devices, beside netmiko and scrapli, and an archive of 100,000 versions: DEVICES='--only collect --devices 10000'
	$(CARGO) build --release -q -p sotp-ssh-config --bin sotp-ssh-config
	$(CARGO) run --release -q -p sotp-ssh-config --example bench-ssh-config -- --service target/release/sotp-ssh-config $(DEVICES)

bench-syslog: ## syslog as it is shipped, end to end, beside rsyslog and syslog-ng
	$(CARGO) build --profile dist -q -p sotp-syslog --bin sotp-syslog
	$(CARGO) run --release -q -p sotp-syslog --example bench-syslog -- --service target/dist/sotp-syslog $(SYSLOG)

# libFuzzer comes with a dependency and the compiler's own pass counts edges, so that any toolchain will do.
COUNTERS := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
	-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks
HOST     := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
FUZZED   := $(subst _,-,$(FUZZ))
CORPUS   := target/fuzz/corpus/$(FUZZED)

fuzz: ## one parser under libFuzzer, guided by coverage: make fuzz FUZZ=icmp TIME=60; without FUZZ it lists them
ifeq ($(FUZZ),)
	@ls fuzz/targets | sed -e 's/\.rs$$//' -e 's/_/-/g'
else
	RUSTFLAGS="$(COUNTERS)" $(CARGO) build --release -q -p sotp-fuzz --features libfuzzer --target $(HOST) --target-dir target/fuzz
	mkdir -p $(CORPUS) target/fuzz/found
	SOTP_FUZZ_TARGET=$(FUZZED) target/fuzz/$(HOST)/release/sotp-fuzz -max_total_time=$(TIME) -timeout=10 -rss_limit_mb=2048 \
		-artifact_prefix=target/fuzz/found/$(FUZZED)- $(CORPUS) $(wildcard fuzz/seeds/$(FUZZED))
endif

PURE := echo:: wheel:: account:: tally:: clock:: mos:: reason:: path::known path::trace path::wire path::run

miri: ## the code over bytes of the kernel, and what ping does without system calls, under Miri; needs a nightly toolchain with it
	@$(CARGO) +nightly miri --version >/dev/null 2>&1 || { echo "no Miri: rustup toolchain install nightly --component miri,rust-src" >&2; exit 69; }
	PROPTEST_CASES=8 MIRIFLAGS=-Zmiri-disable-isolation $(CARGO) +nightly miri test -p netio --lib
	PROPTEST_CASES=4 MIRIFLAGS=-Zmiri-disable-isolation $(CARGO) +nightly miri test -p sotp-ping --lib -- $(PURE)

docs: ## the API documentation of every crate, in target/doc
	$(CARGO) doc --workspace --no-deps
