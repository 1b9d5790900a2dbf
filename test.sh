#!/usr/bin/env bash
# Every check, one command; sets itself up. Arguments go to pytest: bash test.sh -k split
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
bash docker/local.sh --set-up dev
export PATH="$PWD/.venv/bin:$PATH"

ruff check
ruff format --check
mypy
lint-imports
shellcheck ./*.sh .ci/run docker/*.sh requirements/*.sh
python -m pytest "$@"
