#!/usr/bin/env bash
# Writes the hash-locked requirements anew from pyproject.toml. Needs uv (pip install uv).
set -euo pipefail
cd "$(dirname "$0")/.."

lock() {
    uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
        --no-header --no-emit-index-url --quiet "$@"
}

lock --output-file requirements/main.txt
lock --group dev --extra lite1 --constraint requirements/main.txt --output-file requirements/dev.txt
