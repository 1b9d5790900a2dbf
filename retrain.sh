#!/usr/bin/env bash
# Any other command: bash retrain.sh COMMAND [ARGUMENTS...]
set -euo pipefail
exec bash "$(dirname "${BASH_SOURCE[0]}")/docker/run.sh" "$@"
