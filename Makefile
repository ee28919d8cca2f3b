# 只需要 make 和 Python 3.11–3.13 · needs nothing but make and Python 3.11 to 3.13
# Relative paths and `python -m` throughout: the checkout may lie under a path with spaces or Chinese characters.

SHELL := /bin/sh
PY := .venv/bin/python
MAKEFLAGS += --no-print-directory
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help setup run test check test-deep bench-smoke lock clean

help: ## 显示这份清单 · show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## 把一切装进 .venv（run 与 test 会自动调用） · install everything into .venv (run and test call it)
	@sh tools/setup.sh

run: setup ## 启动小惠：内嵌数据库、演示数据、沙盒手机 · start Xiaohui: embedded servers, demo data, sandbox phones
	@$(PY) -m xiaohui run

# Each process brings servers or databases of its own; more than four gain little.
test: setup ## 运行测试；T= 传给 pytest · run the tests; T= goes to pytest, e.g. make test T="tests/loyalty -x"
	@$(PY) -m pytest $(if $(T),,-n auto --maxprocesses=4 --dist=worksteal) $(T)

check: setup ## 格式、规则、依赖方向、类型、整洁 · format, lint, import direction, types, tidiness
	@status=0; \
	$(PY) -m ruff format --check . || status=1; \
	$(PY) -m ruff check . || status=1; \
	$(PY) -c 'import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())' || status=1; \
	$(PY) -m mypy || status=1; \
	$(PY) -m pytest -q tests/architecture || status=1; \
	exit $$status

test-deep: setup ## 更多随机样本的长测试（约十分钟） · the tests with many more random examples (about ten minutes)
	@$(PY) -m pytest --hypothesis-profile=deep --timeout=900 $(T)

bench-smoke: setup ## 几秒钟的基准，确认它们能跑 · the benchmarks for a few seconds, to see that they run
	@$(PY) -m xiaohui bench --seconds 0.5 --connections 16 --members 1000
	@$(PY) -m xiaohui bench ledger --growth --seconds 0.5 --sizes 3000,30000

lock: ## 重新计算锁定文件 · compute the lock files again from pyproject.toml
	@sh tools/lock.sh

clean: ## 删除 .venv 与缓存；数据不动 · remove .venv and caches; data stays
	@rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache ./*.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
