# What of this machine the container sees: which arguments are paths, and which of them are written.
# Sourced by run.sh, after commands.sh. Fills `options` (for the engine's `run`) and `arguments` (for
# the tool).
# shellcheck shell=bash

# Folders of the image that none of the user's may cover.
IMAGE_FOLDERS="|/|/bin|/dev|/etc|/lib|/lib64|/proc|/sbin|/sys|/usr|/usr/bin|/usr/lib|/usr/local|\
/usr/local/bin|/usr/local/lib|/usr/local/lib/retrain|"

options=()
arguments=()
subcommand=""
argument_roles="" option_roles="" # of the subcommand, see commands.sh
mounted="|"
made=() # folders that are made for the command, the deepest first

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

# Shows the folder `path` to be written to. One that is not there is made, so that nothing around it
# need be shown.
share_folder() {
    local folder="$path" missing=()
    while [ -n "$folder" ] && [ ! -e "$folder" ]; do
        missing+=("$folder")
        folder="${folder%/*}"
    done
    if [ -f "$folder" ]; then # it is in the way, which the tool tells better
        reads+=("$folder")
    else
        made=(${missing[@]+"${missing[@]}"} ${made[@]+"${made[@]}"})
        mount "$path" rw
    fi
}

# Makes the folders that are missing, and sees to it that those which stay empty are taken away again.
# This shell is about to become the engine's client, which signals must reach; so a process of its
# own waits for the end of a pipe that the client, without knowing of it, holds open while it lives.
make_folders() {
    local folder why
    if [ ${#made[@]} = 0 ]; then return; fi
    exec 9> >(
        trap '' HUP INT TERM
        cat >/dev/null
        rmdir -- "${made[@]}" 2>/dev/null
    )
    for folder in "${made[@]}"; do
        why="$(mkdir -p -- "$folder" 2>&1)" || fail 8 "$folder cannot be made: ${why##*: }."
    done
}

# share ROLE WORD: shows the container what a word of the command line means. Sets `argument`.
share() {
    local path
    argument="$2"
    if [ "$1" = value ]; then return; fi
    resolve "$2"
    case "$1" in
        folder) share_folder ;;
        file)
            if [ ! -d "$path" ]; then path="${path%/*}"; fi
            share_folder
            ;;
        *)
            if is_model_file; then path="${path%/*}"; fi
            if [ "$1" = workspace ] && [ -d "$path" ]; then mount "$path" rw; else reads+=("$path"); fi
            share_around
            ;;
    esac
}

# Tells whether `path` is a published model where links do not exist: a file with the name of a run.
is_model_file() {
    [ -f "$path" ] && [ "${path##*/}" = model ] && [ -d "${path%/*}/runs" ]
}

# Shows the workspace around the run at `path`, by whose pictures the run is judged.
share_around() {
    local above="${path%/*}"
    case "$subcommand" in evaluate | compare | report) ;; *) return ;; esac
    if [ ! -f "$path/manifest.json" ]; then return; fi
    if [ "${above##*/}" = runs ]; then
        reads+=("${above%/*}")
    elif [ -L "$path" ]; then
        reads+=("$above")
    fi
}

# Tells whether a folder holds more of the user's, or of the container's, than a command should see.
is_wide() {
    case "$IMAGE_FOLDERS/tmp|" in *"|$1|"*) return 0 ;; esac
    [ "$1" -ef "${HOME:-/}" ]
}

# Shows what is read. Files of one folder are shown by that folder, once, for an engine is slow with
# thousands of mounts; links each by itself, since they may lead anywhere.
share_reads() {
    local path folder once="|" often="|"
    for path in "$@"; do
        folder="${path%/*}"
        if [ ! -f "$path" ] || [ -L "$path" ]; then continue; fi
        if [[ "$often" = *"|$folder|"* ]]; then continue; fi
        if [[ "$once" != *"|$folder|"* ]]; then
            once="$once$folder|"
        elif ! is_wide "$folder"; then
            often="$often$folder|"
        fi
    done
    for path in "$@"; do
        folder="${path%/*}"
        if [ -f "$path" ] && [ ! -L "$path" ] && [[ "$often" = *"|$folder|"* ]]; then
            mount "$folder" ro
        elif [ -e "$path" ]; then
            mount "$path" ro
        fi
    done
}

# share_paths ARGUMENT...: the tool's whole command line.
share_paths() {
    local word argument role option="" ended="" reads=() roles=() count=0
    describe ""
    for word in "$@"; do
        argument="$word"
        if [ -n "$option" ]; then
            share "$option" "$word"
            option=""
        elif [ -z "$ended" ] && [ "$word" = -- ]; then
            ended=yes
        elif [ -z "$ended" ] && [[ "$word" = -* ]]; then
            find_role "${word%%=*}"
            if [ -n "$role" ] && [[ "$word" = *=* ]]; then
                share "$role" "${word#*=}"
                argument="${word%%=*}=$argument"
            else
                option="$role"
            fi
        elif [ -z "$subcommand" ]; then
            subcommand="$word"
            describe "$word"
            read -r -a roles <<<"$argument_roles"
        else
            share "${roles[count]:-read}" "$word"
            count=$((count + 1))
        fi
        arguments+=("$argument")
    done
    while IFS= read -r -d : word; do
        if [ -z "$word" ]; then continue; fi
        [ -e "$word" ] || fail 8 "RETRAIN_MOUNT must name what exists. Received: $word"
        share read "$word"
    done <<<"${RETRAIN_MOUNT:-}:"
    share_reads ${reads[@]+"${reads[@]}"}
}

# Sets `role` to what the option $1 takes; empty if that is nothing.
find_role() {
    role=""
    if [[ "$option_roles" = *"|$1="* ]]; then
        role="${option_roles#*"|$1="}"
        role="${role%%|*}"
    fi
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
