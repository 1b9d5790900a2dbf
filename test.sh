#!/usr/bin/env bash
# Every check, one command; sets itself up.
#
#   bash test.sh           all; what CI runs
#   bash test.sh --quick   what takes no training and no container, in three minutes
#
# Further arguments go to pytest: bash test.sh -k split. Two files of tests run at a time; with -n 0
# one, which is easier to follow.
#
# The container is tested where a Docker engine answers; RETRAIN_BASE_IMAGE and
# RETRAIN_BUILD_OPTIONS hold for its image as they do for docker/run.sh. Pages are looked at where
# chromium is installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
bash docker/local.sh --set-up dev
export PATH="$PWD/.venv/bin:$PATH"

if [ "${1:-}" = --quick ]; then
    shift
    set -- -m "not slow" "$@"
fi
ruff check
ruff format --check
mypy
lint-imports
shellcheck --external-sources ./*.sh .ci/run .ci/pythons docker/*.sh requirements/*.sh tests/docker/*.sh
hadolint docker/Dockerfile
python -m pytest --numprocesses 2 --no-loadscope-reorder --durations 20 "$@"
