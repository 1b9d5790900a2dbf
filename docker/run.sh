#!/usr/bin/env bash
# Runs `retrain ARGUMENTS...`. The commands in the root of the project are shorthands for this.
#
#   RETRAIN_RUNTIME=local    a virtual environment on this machine (the default for now)
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

case "${RETRAIN_RUNTIME:-local}" in
    local) exec bash "$here/local.sh" "$@" ;;
    docker | podman)
        echo "retrain: RETRAIN_RUNTIME=$RETRAIN_RUNTIME is not built yet; leave it out or set local." >&2
        exit 8
        ;;
    *)
        echo "retrain: RETRAIN_RUNTIME must be docker, podman or local. Received: $RETRAIN_RUNTIME" >&2
        exit 2
        ;;
esac
