#!/usr/bin/env bash
# Names what a picture shows: bash guess.sh $PWD/tf_files PICTURE...
set -euo pipefail
exec bash "$(dirname "${BASH_SOURCE[0]}")/docker/run.sh" guess "$@"
