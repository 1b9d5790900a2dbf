# What of this machine the container sees: which arguments are paths, and which of them are written.
# Sourced by run.sh. Fills `options` (for the engine's `run`) and `arguments` (for the tool).
# shellcheck shell=bash

# Options of the tool that take a value: what follows one is no TF_FILES, SRC or DEST.
VALUE_OPTIONS="|--backbone|--weights|--size|--fit|--group-by|--fine-tune|--epochs|--groups|--lr|\
--batch|--precision|--minutes|--seed|--top|--min-score|--unsure|--patience|--best-by|--balance|\
--augment|--output|--data|--side|--use|--prune|--category|\
--method|--layer|"
# Those of them whose value is a path, and of these the ones that are written to.
PATH_OPTIONS="|--weights|--unsure|--output|--data|"
WRITTEN_OPTIONS="|--unsure|--output|"
# Folders of the image that none of the user's may cover.
IMAGE_FOLDERS="|/|/bin|/dev|/etc|/lib|/lib64|/proc|/sbin|/sys|/usr|/usr/bin|/usr/lib|/usr/local|\
/usr/local/bin|/usr/local/lib|/usr/local/lib/retrain|"

options=()
arguments=()
subcommand=""
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

# Sets `path` to the absolute form of $1, and `argument` to $1, or to `path` where $1 means something
# else inside: no folder is there from which a step could lead up, and home is elsewhere.
resolve() {
    local slash=/ # bash before 4.3 would keep the backslash of a quoted one
    argument="$1"
    case "$1" in
        /*) path="$1" ;;
        \~/*) path="${HOME:-}/${1#??}" && argument="$path" ;;
        *) path="$PWD/$1" ;;
    esac
    while [[ "$path" = *//* || "$path/" = */./* ]]; do
        path="$path/"
        path="${path//"//"/$slash}"
        path="${path//"/./"/$slash}"
    done
    if [ "$path" != / ]; then path="${path%/}"; fi
    if [[ "$path/" = */../* ]]; then
        if [ -d "$path" ]; then
            path="$(cd -P -- "$path" && pwd)"
        elif [ -d "${path%/*}" ]; then
            path="$(cd -P -- "${path%/*}" && pwd)/${path##*/}"
        fi
        argument="$path"
    fi
}

# Sets `place` to the number of the argument that `subcommand` writes to: TF_FILES, but for guesses.
written_place() {
    case "$subcommand" in
        guess | evaluate | compare | weights) place=0 ;;
        guess-dir) place=3 ;;
        *) place=1 ;;
    esac
}

# mount_written PATH: a folder to write to, or, if that is a file or yet to be made, the nearest one
# above it.
mount_written() {
    local folder="$1"
    while [ ! -d "$folder" ]; do folder="$(dirname -- "$folder")"; done
    mount "$folder" rw
}

# share_value OPTION: `path`, its value.
share_value() {
    if [[ "$WRITTEN_OPTIONS" = *"|$1|"* ]]; then
        mount_written "$path"
    else
        reads+=("$path")
    fi
}

# share_workspace: a run is judged by the pictures of the workspace that `path` leads into.
share_workspace() {
    case "$subcommand" in evaluate | compare | report) ;; *) return ;; esac
    if [ ! -f "$path/manifest.json" ]; then return; fi
    local above="${path%/*}"
    if [ "${above##*/}" = runs ]; then
        reads+=("${above%/*}")
    elif [ -L "$path" ]; then
        reads+=("$above")
    fi
}

# share_paths ARGUMENT...: the tool's whole command line.
share_paths() {
    local word argument path place=0 count=0 previous="" ended="" reads=()
    for word in "$@"; do
        argument="$word"
        if [ -z "$ended" ] && [ "$word" = -- ]; then
            ended=yes
        elif [ -z "$ended" ] && [[ "$word" = --*=* && "$PATH_OPTIONS" = *"|${word%%=*}|"* ]]; then
            resolve "${word#*=}"
            argument="${word%%=*}=$argument"
            share_value "${word%%=*}"
        elif [ -z "$ended" ] && [[ "$word" = -* ]]; then
            :
        elif [[ "$PATH_OPTIONS" = *"|$previous|"* ]]; then
            resolve "$word"
            share_value "$previous"
        elif [[ "$VALUE_OPTIONS" = *"|$previous|"* ]]; then
            :
        elif [ "$count" = 0 ]; then
            subcommand="$word"
            written_place
            count=1
        else
            resolve "$word"
            share_workspace
            if [ "$count" != "$place" ]; then
                reads+=("$path")
            elif [ -e "$path" ] || [ "$place" = 3 ]; then # DEST may be yet to be made
                mount_written "$path"
            fi
            count=$((count + 1))
        fi
        previous="$word"
        arguments+=("$argument")
    done
    while IFS= read -r -d : word; do
        if [ -z "$word" ]; then continue; fi
        [ -e "$word" ] || fail 8 "RETRAIN_MOUNT must name what exists. Received: $word"
        resolve "$word"
        reads+=("$path")
    done <<<"${RETRAIN_MOUNT:-}:"
    for word in ${reads[@]+"${reads[@]}"}; do
        if [ -e "$word" ]; then mount "$word" ro; fi
    done
}

# Sets KERAS_HOME to the user's weights, which outlive the container.
share_weights() {
    local cache="${KERAS_HOME:-${HOME:+$HOME/.keras}}" path argument mode=ro
    if [ -z "$cache" ]; then return; fi
    mkdir -p "$cache" 2>/dev/null || true
    resolve "$cache"
    if [ -w "$path" ]; then mode=rw; fi
    if [ -d "$path" ]; then
        mount "$path" "$mode"
        options+=(--env "KERAS_HOME=$path")
    fi
}
