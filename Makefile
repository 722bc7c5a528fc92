# The commands for development. Most call a script in dev/, which documents how it works.
.PHONY: help demo test test-fast check bench bench-guards cassettes stack-up stack-down

help:
	@echo 'make demo        crawl an invented catalog through Kafka into PostgreSQL, and look at it'
	@echo 'make test        run every test'
	@echo 'make test-fast   run a subset that takes about a minute'
	@echo 'make check       check format, lints, scripts, spelling, and the licences and sources of dependencies'
	@echo 'make bench       measure both programs against the limits of Kafka and PostgreSQL (ARGS=--help shows options)'
	@echo 'make bench-guards  count the instructions of hot functions, and compare them with committed counts'
	@echo 'make cassettes   record the recordings of the tests again (docs/how-to/record-the-api.md)'
	@echo 'make stack-up    start the Kafka and the PostgreSQL that demo and tests use (they do so themselves)'
	@echo 'make stack-down  stop them; their data stays'
	@echo
	@echo 'Each does all the set-up that it needs. Rust is the one prerequisite: https://rustup.rs'

demo:
	@dev/demo

test:
	@dev/test

test-fast:
	@PROPTEST_CASES=$${PROPTEST_CASES:-8} dev/test --profile fast

check:
	@dev/check

bench:
	@dev/bench $(ARGS)

bench-guards:
	@dev/guards

# Records tests/cassettes again from the mock server, and plays the recordings back.
cassettes:
	@CATALOG_RECORD_CASSETTES=1 dev/test -p catalog-tests --test pipeline cassettes::recording
	@dev/test -p catalog-tests --test pipeline cassettes::
	@git --no-pager diff --stat -- tests/cassettes
	@git status --short -- tests/cassettes

stack-up:
	@dev/setup
	@dev/services up

stack-down:
	@dev/services down
