# Which container engine answers, whether it offers GPUs, and the image. Sourced by run.sh, which
# sets `root`, the folder of the project.
# shellcheck shell=bash

# Sets `engine` and `facts` (version, security, runtimes) if $1 answers; else `why`, the reason.
try_engine() {
    local format='{{.ServerVersion}} {{.SecurityOptions}} {{json .Runtimes}}' answer
    if [ "$1" = podman ]; then format='{{.Version.Version}} rootless={{.Host.Security.Rootless}}'; fi
    if ! command -v "$1" >/dev/null; then
        why="$1 is not installed"
        return 1
    fi
    if answer="$("$1" info --format "$format" 2>&1)"; then
        engine="$1"
        facts="$answer"
        return 0
    fi
    answer="$("$1" version 2>&1)" || true # `info` blames its template
    case "$answer" in
        *"permission denied"*)
            why="you may not use $1's socket (sudo usermod -aG $1 $(id -un), then log in again)"
            ;;
        *"Cannot connect"* | *"daemon running"*)
            why="$1's daemon is not running (sudo systemctl start $1, or start Docker Desktop)"
            ;;
        *) why="$1 does not answer: ${answer##*$'\n'}" ;;
    esac
    return 1
}

# The first engine that answers; else `why` tells of the first that is installed.
find_engine() {
    local reason=""
    try_engine docker && return
    if command -v docker >/dev/null; then reason="$why"; fi
    try_engine podman && return
    if command -v podman >/dev/null; then reason="${reason:-$why}"; fi
    why="${reason:-there is neither Docker nor Podman}"
    return 1
}

has_gpu() {
    [ -e /dev/nvidia0 ] || { [ -e /dev/dxg ] && command -v nvidia-smi >/dev/null; }
}

# Sets `gpu` to the option by which the engine hands out GPUs; empty where it cannot.
find_gpu_option() {
    local specification
    gpu=""
    if [ "$engine" = docker ]; then
        if [[ "$facts" = *'"nvidia"'* ]] || command -v nvidia-container-runtime-hook >/dev/null; then
            gpu="--gpus=all"
            return
        fi
    fi
    for specification in /etc/cdi/*nvidia* /var/run/cdi/*nvidia*; do
        if [ -e "$specification" ]; then gpu="--device=nvidia.com/gpu=all"; fi
    done
}

# Sets `variant` to gpu or cpu, and `gpu`.
choose_variant() {
    local wanted="${RETRAIN_GPUS:-auto}"
    variant=cpu gpu=""
    if [ "$wanted" = none ]; then return; fi
    if ! has_gpu; then
        [ "$wanted" = auto ] || fail 8 "RETRAIN_GPUS=all needs an NVIDIA GPU and its driver; this machine shows none."
        return
    fi
    find_gpu_option
    if [ -n "$gpu" ]; then
        variant=gpu
    elif [ "$wanted" = all ]; then
        fail 8 "RETRAIN_GPUS=all: $engine does not offer the GPU; install nvidia-container-toolkit."
    else
        say "there is a GPU, but $engine does not offer it (install nvidia-container-toolkit): on the CPU."
    fi
}

# find_cluster ARGUMENT...: sets `cluster` to the address of a Ray cluster that is named; "" if none is.
find_cluster() {
    local word before=""
    cluster=""
    for word in "$@"; do
        case "$before $word" in
            "--cluster "* | "cluster doctor") cluster="$word" ;;
            "doctor "*) if [ "$cluster" = doctor ]; then cluster="$word"; fi ;;
        esac
        case "$word" in --cluster=*) cluster="${word#--cluster=}" ;; esac
        before="$word"
    done
}

# Sets `variant` to the image that has Ray, where a cluster is named.
choose_cluster_variant() {
    if [ -z "$cluster" ]; then return; fi
    if [ "$cluster" != local ]; then
        fail 2 "In a container a cluster must be local, since a driver shares memory with its node. Received: $cluster. Where that node runs, RETRAIN_RUNTIME=local works; see docs/cluster.md."
    fi
    if [ "$variant" = gpu ]; then
        fail 8 "The image for GPUs has no Ray. RETRAIN_GPUS=none takes the CPU, RETRAIN_RUNTIME=local no container."
    fi
    variant=cluster
    options+=(--shm-size 1g) # for the object store
}

sha256() {
    if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi
}

# Prints a digest of all that the image is made of.
image_inputs() {
    local files=() file
    cd "${root:?}" || return
    while IFS= read -r file; do files+=("$file"); done < <(
        find .dockerignore docker/Dockerfile docker/cuda_libraries.sh "requirements/$variant.txt" src \
            -type f ! -name '*.pyc' | LC_ALL=C sort
    )
    { echo "${RETRAIN_BASE_IMAGE:-}|${RETRAIN_WEIGHTS:-}" && sha256 "${files[@]}"; } | sha256 | cut -c -64
}

# Sets `image`, and builds it unless it is there and made of just these files.
build_image() {
    local wanted found choices=() name
    image="retrain:$variant"
    wanted="$(image_inputs)"
    found="$("$engine" image inspect --format '{{index .Config.Labels "retrain.inputs"}}' "$image" 2>/dev/null)" || true
    if [ "$found" = "$wanted" ]; then return; fi
    say "building the image $image; the first time this takes minutes."
    for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_PROXY; do
        if [ -n "${!name:-}" ]; then choices+=(--build-arg "$name=${!name}"); fi
    done
    if [ -s "${PIP_CERT:-}" ]; then choices+=(--secret "id=ca,src=$PIP_CERT"); fi
    if [ -n "${RETRAIN_BASE_IMAGE:-}" ]; then choices+=(--build-arg "BASE_IMAGE=$RETRAIN_BASE_IMAGE"); fi
    # shellcheck disable=SC2086 # these options are meant to be split
    DOCKER_BUILDKIT=1 "$engine" build --file "$root/docker/Dockerfile" --tag "$image" \
        --build-arg "VARIANT=$variant" --build-arg "WEIGHTS=${RETRAIN_WEIGHTS:-}" \
        --label "retrain.inputs=$wanted" ${choices[@]+"${choices[@]}"} \
        ${RETRAIN_BUILD_OPTIONS:-} "$root" >&2 || return 1
    # What the name stood for before is nobody's now.
    "$engine" image prune --force --filter label=retrain.inputs >/dev/null 2>&1 || true
}
