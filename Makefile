# The same words in every target and in scripts/; each target installs first and needs no set-up.
.DEFAULT_GOAL := help
.PHONY: help install demo test check bench format docs

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1	\2/p' $(MAKEFILE_LIST)

install: .venv/installed ## make .venv with pinned packages; quick when nothing changed

.venv/installed: pyproject.toml requirements/dev.txt scripts/install
	@scripts/install

demo: install ## a whole migration of two small services, at most 90 seconds
	.venv/bin/crossfade demo

test: install ## every test, fast ones first
	@scripts/test

check: install ## format, lint, types, layers and tidiness
	@scripts/check

bench: install ## every benchmark; one: .venv/bin/python -m bench NAME
	.venv/bin/python -m bench

format: install ## rewrite the files as the formatter wants them
	@scripts/format

docs: install ## prove that the documentation matches the code
	@scripts/docs
