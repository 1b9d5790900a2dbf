#!/usr/bin/env bash
# Trains on TF_FILES/data/<category>/: bash train.sh $PWD/tf_files [OPTIONS]
set -euo pipefail
exec bash "$(dirname "${BASH_SOURCE[0]}")/docker/run.sh" train "$@"
