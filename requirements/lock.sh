#!/usr/bin/env bash
# Writes the hash-locked requirements anew from pyproject.toml. Needs uv (pip install uv).
set -euo pipefail
cd "$(dirname "$0")/.."

lock() {
    uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
        --no-header --no-emit-index-url --quiet "$@"
}

lock --extra cpu --extra films --extra vary --output-file requirements/cpu.txt
# What an image that only serves imports, in the same versions.
printf '%s\n' ai-edge-litert click jinja2 numpy pi-heif pillow python-multipart starlette threadpoolctl uvicorn |
    uv pip compile - --universal --python-version 3.11 --generate-hashes --no-header \
        --no-emit-index-url --quiet --constraint requirements/cpu.txt --no-annotate \
        --output-file requirements/serve.txt
lock --extra cpu --extra films --extra vary --extra cluster --constraint requirements/cpu.txt \
    --output-file requirements/cluster.txt
lock --extra gpu --extra films --extra vary --constraint requirements/cpu.txt --output-file requirements/gpu.txt
lock --extra cpu --extra lite1 --extra films --extra vary --extra onnx --extra openvino --extra cluster \
    --group dev --constraint requirements/cpu.txt \
    --output-file requirements/dev.txt
