#!/bin/sh
# Tells the linker of CUDA's libraries, which Python packages hold in nvidia/*/lib.
#
#   cuda_libraries.sh ENVIRONMENT CONF
set -eu
environment="$1" conf="$2"

for folder in "$environment"/lib/python3*/site-packages/nvidia/*/lib; do
    if [ -d "$folder" ]; then
        echo "$folder"
    fi
done >"$conf"
