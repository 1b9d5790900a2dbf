#!/usr/bin/env bash
# Runs `retrain ARGUMENTS...` on this machine, in a virtual environment that it sets up itself:
# .venv for the CPU, .venv-gpu where there is an NVIDIA GPU.
#
#   local.sh --set-up REQUIREMENTS   only sets up; REQUIREMENTS is `cpu`, `cluster`, `gpu` or `dev`
#   local.sh ARGUMENTS...            sets up what is missing, then runs the tool
#
# RETRAIN_GPUS is auto, all or none, as for run.sh; auto takes the GPU where nvidia-smi answers.
# RETRAIN_BECAUSE is why it runs here and not in a container, unless the user wants it so.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"

say() {
    echo "retrain: $1" >&2
}

fail() {
    say "${RETRAIN_BECAUSE:+No container: $RETRAIN_BECAUSE. And here: }$1"
    exit 8
}

# Prints the first Python here that TensorFlow supports.
find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "Python 3.11, 3.12 or 3.13 is needed and none was found. Install one and start again."
}

# Sets `venv` to the environment that holds requirements/$1.txt, and tells whether it does already.
# Each build of TensorFlow has an environment of its own: one does not replace the other cleanly.
find_environment() {
    venv="$root/.venv"
    if [ "$1" = gpu ]; then venv="$root/.venv-gpu"; fi
    [ -x "$venv/bin/python" ] && cmp -s "$root/requirements/$1.txt" "$venv/retrain-requirements-$1.txt"
}

# Tells whether the environment was made elsewhere: its scripts, such as `pytest`, name that place,
# while its Python runs anywhere.
was_moved() {
    local place
    place="$(cd "$venv" && pwd -P)"
    case "$(grep '^command = ' "$venv/pyvenv.cfg")" in *" $place") return 1 ;; esac
}

# Sets `variant` to gpu or cpu, and `reason`.
choose_variant() {
    variant=cpu
    case "${RETRAIN_GPUS:-auto}" in
        none) reason="as RETRAIN_GPUS=none wants it" ;;
        all)
            [ "$(uname)" = Linux ] || fail "RETRAIN_GPUS=all needs Linux: no other system has a TensorFlow for NVIDIA GPUs."
            variant=gpu reason="as RETRAIN_GPUS=all wants it"
            ;;
        *)
            reason="as no NVIDIA GPU answers"
            if find_environment gpu || { nvidia-smi && [ "$(uname)" = Linux ]; } >/dev/null 2>&1; then
                variant=gpu reason="as nvidia-smi answers"
            fi
            ;;
    esac
}

# Sets up the environment for requirements/$1.txt, for which $2 says what it is.
set_up() {
    local python output
    [ -w "$root" ] || fail "$root must be writable to set up $venv."
    python="$(find_python)"
    say "setting up $venv, once: $2."
    trap 'say "Interrupted. The same command goes on with it."; exit 130' INT
    if ! "$venv/bin/python" -c '' 2>/dev/null || was_moved; then
        if ! output="$("$python" -m venv --clear "$venv" 2>&1)"; then
            echo "$output" >&2
            fail "$python could not make a virtual environment (on Debian: apt-get install python3-venv)."
        fi
    fi
    install "$root/requirements/$1.txt"
    # Relative to site-packages, so that it leads to the sources of a moved project, too.
    echo "../../../../src" >"$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/retrain.pth"
    cp "$root/requirements/$1.txt" "$venv/retrain-requirements-$1.txt"
    trap - INT
    say "set up."
}

# Installs the requirements of a file. What pip says goes to a log, but for the steps that take long.
install() {
    local log="$venv/retrain-set-up.log" line
    say "fetching packages; $log has the details."
    if ! "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off \
        --require-hashes --requirement "$1" 2>&1 | while IFS= read -r line; do
        echo "$line" >&3
        case "$line" in
            *"Downloading "*" ("[1-9][0-9][0-9].*" MB)") say "fetching ${line##*Downloading }" ;;
            "Installing collected packages: "*) say "installing packages." ;;
        esac
    done 3>"$log"; then
        fail "the requirements could not be installed; $log says why: $(grep '^ERROR: ' "$log" | tail -n 1)"
    fi
}

if [ "${1:-}" = "--set-up" ]; then
    if ! find_environment "$2" || was_moved; then set_up "$2" "requirements/$2.txt"; fi
    exit 0
fi
choose_variant
# What the tests installed holds all that the tool needs on a CPU, with a cluster or without.
if [ "$variant" = cpu ]; then
    case " $* " in
        *" --cluster"[\ =]* | *" cluster doctor "*) variant=cluster ;;
        *) if find_environment cluster; then variant=cluster; fi ;;
    esac
fi
if ! find_environment "$variant" && { [ "$variant" = gpu ] || ! find_environment dev; }; then
    if [ "$variant" = gpu ]; then
        set_up gpu "for the GPU, $reason; about 3.4 GB to fetch"
    else
        set_up "$variant" "for the CPU, $reason; about 0.6 GB to fetch"
    fi
fi
if [ -n "${RETRAIN_BECAUSE:-}" ]; then
    say "running in $venv, without a container: $RETRAIN_BECAUSE."
fi
if [ "$variant" = gpu ]; then # TensorFlow's own search path misses some of CUDA's libraries
    libraries="$(sh "$root/docker/cuda_libraries.sh" "$venv" /dev/stdout | tr '\n' ':')"
    export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:-}"
fi
# These sources and no others: an environment that was copied or linked may know of those it was
# made for, and with -P the folder where the user happens to be counts for nothing.
export PYTHONPATH="$root/src${PYTHONPATH:+:$PYTHONPATH}"
exec "$venv/bin/python" -P -m retrain "$@"
