#!/usr/bin/env bash
# Runs `retrain ARGUMENTS...` on this machine, in a virtual environment that it sets up itself.
#
#   local.sh --set-up REQUIREMENTS   only sets up; REQUIREMENTS is `cpu` or `dev`
#   local.sh ARGUMENTS...            sets up what is missing, then runs the tool
#
# RETRAIN_BECAUSE is why it runs here and not in a container, unless the user wants it so.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
venv="$root/.venv"

fail() {
    echo "retrain: ${RETRAIN_BECAUSE:+No container: $RETRAIN_BECAUSE. And here: }$1" >&2
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

# Tells whether the environment was made elsewhere: its scripts, such as `pytest`, name that place,
# while its Python runs anywhere.
was_moved() {
    local place
    place="$(cd "$venv" && pwd -P)"
    case "$(grep '^command = ' "$venv/pyvenv.cfg")" in *" $place") return 1 ;; esac
}

# Installs requirements/$1.txt unless the environment holds just these already.
set_up() {
    local wanted="$root/requirements/$1.txt" stamp="$venv/retrain-requirements-$1.txt" python
    if [ -x "$venv/bin/python" ] && cmp -s "$wanted" "$stamp" && ! { [ "$1" = dev ] && was_moved; }; then
        return
    fi
    [ -w "$root" ] || fail "$root must be writable to set up $venv."
    python="$(find_python)"
    echo "retrain: setting up $venv, once; this downloads about 0.6 GB." >&2
    if ! "$venv/bin/python" -c '' 2>/dev/null || was_moved; then
        "$python" -m venv --clear "$venv" >&2 ||
            fail "$python could not make a virtual environment (on Debian: apt-get install python3-venv)."
    fi
    "$venv/bin/python" -m pip install --disable-pip-version-check --require-hashes \
        --requirement "$wanted" >&2 || fail "the requirements could not be installed, see above."
    # Relative to site-packages, so that it leads to the sources of a moved project, too.
    echo "../../../../src" >"$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/retrain.pth"
    cp "$wanted" "$stamp"
    echo "retrain: set up." >&2
}

if [ "${1:-}" = "--set-up" ]; then
    set_up "$2"
    exit 0
fi
# What the tests installed holds all that the tool needs.
cmp -s "$root/requirements/dev.txt" "$venv/retrain-requirements-dev.txt" || set_up cpu
if [ -n "${RETRAIN_BECAUSE:-}" ]; then
    echo "retrain: running in $venv, without a container: $RETRAIN_BECAUSE." >&2
fi
# These sources and no others: an environment that was copied or linked may know of those it was
# made for, and with -P the folder where the user happens to be counts for nothing.
export PYTHONPATH="$root/src${PYTHONPATH:+:$PYTHONPATH}"
exec "$venv/bin/python" -P -m retrain "$@"
