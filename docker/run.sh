#!/usr/bin/env bash
# Runs `retrain ARGUMENTS...` in a container, or on this machine where no container engine answers.
# The commands in the root of the project are shorthands for this. Settings are in the environment:
#
#   RETRAIN_RUNTIME=docker|podman|local   where to run; not set: the first of them that answers
#   RETRAIN_GPUS=auto|all|none            auto: if this machine has NVIDIA GPUs and the engine offers them
#   RETRAIN_MOUNT=/a:/b                   further folders to show, read-only, such as where links lead
#   RETRAIN_BASE_IMAGE=IMAGE              a Debian with Python to build on, not the Dockerfile's
#   RETRAIN_WEIGHTS="NAME ..."            backbones whose weights go into the image
#   RETRAIN_BUILD_OPTIONS="..."           for the engine's `build`, such as --network host
#
# Written for bash 3.2 too, where an empty array counts as unset: hence ${a[@]+"${a[@]}"}.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

say() {
    echo "retrain: $1" >&2
}

fail() {
    say "$2"
    exit "$1"
}

# shellcheck source=docker/engine.sh
source "$root/docker/engine.sh"
# shellcheck source=docker/commands.sh
source "$root/docker/commands.sh"
# shellcheck source=docker/paths.sh
source "$root/docker/paths.sh"

# Files that the container makes belong to the caller.
run_as_caller() {
    local group
    case "$engine $facts" in
        docker*name=rootless*) return ;; # the caller is its root
        podman*rootless=true*) options+=(--userns=keep-id) ;;
    esac
    options+=(--user "$(id -u):$(id -g)")
    # Root may read and write what belongs to others here, so it may there.
    if [ "$(id -u)" = 0 ]; then options+=(--cap-add DAC_OVERRIDE); fi
    for group in $(id -G); do options+=(--group-add "$group"); done
}

run_in_container() {
    local name
    share_paths "$@"
    if [ -n "$network" ]; then share_weights; fi
    if [ -n "$listens" ]; then
        options+=(--network host) # so that --host and --port mean the same on both sides
    elif [ -z "$network" ]; then
        options+=(--network none)
    fi
    if [ -n "$asks" ]; then options+=(--interactive); fi
    run_as_caller
    if [[ "$mounted" != *"|/tmp|"* ]]; then options+=(--tmpfs /tmp:mode=1777); fi
    # No --tty: the engine's client passes signals on without it alone, and hangs on a terminal that
    # it does not own, as a job in the background. Bars are drawn because the tool is told.
    if [ -t 2 ]; then options+=(--env TTY_COMPATIBLE=1 --env "COLUMNS=$(tput cols 2>/dev/null || echo 80)"); fi
    if [ -n "$gpu" ]; then options+=("$gpu"); fi
    if has_gpu; then
        options+=(--env "RETRAIN_HOST_GPUS=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null || true)")
    fi
    for name in RETRAIN_TOKEN TERM NO_COLOR CUDA_VISIBLE_DEVICES RETRAIN_GPUS TF_CPP_MIN_LOG_LEVEL TF_ENABLE_ONEDNN_OPTS; do
        if [ -n "${!name:-}" ]; then options+=(--env "$name=${!name}"); fi
    done
    make_folders
    exec "$engine" run --rm --init --log-driver none --read-only --cap-drop ALL \
        --security-opt no-new-privileges --security-opt label=disable --workdir "$PWD" \
        --env "USER=$(id -un 2>/dev/null || id -u)" --env "RETRAIN_ENGINE=$engine ${facts%% *}" \
        "${options[@]}" "$image" ${arguments[@]+"${arguments[@]}"}
}

# run_here WHY ARGUMENT...; an empty WHY: because the user wants it.
run_here() {
    local why="$1"
    shift
    RETRAIN_BECAUSE="$why" exec bash "$root/docker/local.sh" "$@"
}

cd -P . # a path through links is not the same inside
runtime="${RETRAIN_RUNTIME:-auto}"
case "${RETRAIN_GPUS:-auto}" in
    auto | all | none) ;;
    *) fail 2 "RETRAIN_GPUS must be auto, all or none. Received: $RETRAIN_GPUS" ;;
esac
case "$runtime" in
    local) run_here "" "$@" ;;
    docker | podman) try_engine "$runtime" || fail 8 "RETRAIN_RUNTIME=$runtime: $why." ;;
    auto) find_engine || run_here "$why" "$@" ;;
    *) fail 2 "RETRAIN_RUNTIME must be docker, podman or local. Received: $runtime" ;;
esac
choose_variant
find_cluster "$@"
choose_cluster_variant
trap 'fail 130 "Interrupted. The same command starts again."' INT
if ! build_image; then
    [ "$runtime" = auto ] || fail 8 "RETRAIN_RUNTIME=$runtime: the image could not be built, see above."
    run_here "the image could not be built" "$@"
fi
trap - INT
run_in_container "$@"
