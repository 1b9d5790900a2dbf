# What of this machine the container sees: which arguments are paths, and which of them are written.
# Sourced by run.sh. Fills `options` (for the engine's `run`) and `arguments` (for the tool).
# shellcheck shell=bash

# Options of the tool that take a value: what follows one is no TF_FILES, SRC or DEST.
VALUE_OPTIONS="|--backbone|--weights|--size|--fit|--group-by|--fine-tune|--epochs|--groups|--lr|\
--batch|--precision|--minutes|--seed|--top|"
# Folders of the image that none of the user's may cover.
IMAGE_FOLDERS="|/|/bin|/dev|/etc|/lib|/lib64|/proc|/sbin|/sys|/usr|/usr/bin|/usr/lib|/usr/local|\
/usr/local/bin|/usr/local/lib|/usr/local/lib/retrain|"

options=()
arguments=()
mounted="|"

# mount PATH ro|rw: PATH, absolute and existing, at the same place inside; the first call counts.
mount() {
    local field="${1//\"/\"\"}" readonly="" # the option is a line of CSV
    case "$IMAGE_FOLDERS" in
        *"|$1|"*) fail 8 "$1 cannot be shared with a container; use a folder of its own below it." ;;
    esac
    case "$mounted" in *"|$1|"*) return ;; esac
    mounted="$mounted$1|"
    if [ "$2" = ro ]; then readonly=",readonly"; fi
    options+=(--mount "type=bind,\"source=$field\",\"target=$field\"$readonly")
}

# Sets `path` to the absolute form of $1, and `argument` to $1, or to `path` where a step of it leads
# up: the container holds no folder from which to go up.
resolve() {
    argument="$1"
    path="${1%/}"
    case "$path" in
        "") path=/ ;;
        .) path="$PWD" ;;
        /*) ;;
        *) path="${PWD%/}/${path#./}" ;;
    esac
    if [[ "$path/" = */../* ]]; then
        if [ -d "$path" ]; then
            path="$(cd -P -- "$path" && pwd)"
        elif [ -d "${path%/*}" ]; then
            path="$(cd -P -- "${path%/*}" && pwd)/${path##*/}"
        fi
        argument="$path"
    fi
}

# Sets `place` to the number of the argument that a command writes to: TF_FILES, but guesses do not.
written_place() {
    case "$1" in
        guess | weights) place=0 ;;
        guess-dir) place=3 ;;
        *) place=1 ;;
    esac
}

# share_paths COMMAND ARGUMENT...
share_paths() {
    local word argument path folder place count=0 previous="" ended="" reads=()
    written_place "${1:-}"
    for word in "$@"; do
        argument="$word"
        if [ -z "$ended" ] && [ "$word" = -- ]; then
            ended=yes
        elif [ -z "$ended" ] && [[ "$word" = --*=* ]]; then
            reads+=("${word#*=}")
        elif [ -z "$ended" ] && [[ "$word" = -* ]]; then
            :
        elif [[ "$VALUE_OPTIONS" = *"|$previous|"* ]]; then
            reads+=("$word")
        elif [ "$count" = 0 ]; then # the command itself
            count=1
        else
            resolve "$word"
            if [ "$count" != "$place" ]; then
                reads+=("$argument")
            elif [ -e "$path" ]; then
                mount "$path" rw
            elif [ "$place" = 3 ]; then # DEST, which is yet to be made
                folder="$(dirname -- "$path")"
                while [ ! -d "$folder" ]; do folder="$(dirname -- "$folder")"; done
                mount "$folder" rw
            fi
            count=$((count + 1))
        fi
        previous="$word"
        arguments+=("$argument")
    done
    for word in ${reads[@]+"${reads[@]}"}; do share_readonly "$word"; done
    while IFS= read -r -d : word; do
        [ -z "$word" ] || [ -e "$word" ] || fail 8 "RETRAIN_MOUNT must name what exists. Received: $word"
        share_readonly "$word"
    done <<<"${RETRAIN_MOUNT:-}:"
}

share_readonly() {
    local argument path
    if [ -n "$1" ] && [ -e "$1" ]; then
        resolve "$1"
        mount "$path" ro
    fi
}

# Sets KERAS_HOME to the user's weights, which outlive the container.
share_weights() {
    local cache="${KERAS_HOME:-${HOME:+$HOME/.keras}}"
    if [ -n "$cache" ] && mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ]; then
        cache="$(cd -P -- "$cache" && pwd)"
        mount "$cache" rw
        options+=(--env "KERAS_HOME=$cache")
    fi
}
