#!/usr/bin/env bash
# Sorts a folder into category-score.ext copies: bash guessDir.sh $PWD/tf_files SRC DEST
set -euo pipefail
exec bash "$(dirname "${BASH_SOURCE[0]}")/docker/run.sh" guess-dir "$@"
