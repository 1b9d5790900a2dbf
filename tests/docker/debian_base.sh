#!/usr/bin/env bash
# Makes a base image where no image registry can be reached: Debian with Python, from Debian's own
# packages, trusting whom this machine trusts. Needs root, debootstrap and a running engine.
#
#   debian_base.sh NAME
set -euo pipefail
certificates=/etc/ssl/certs/ca-certificates.crt
folder="$(mktemp -d)"
chmod 755 "$folder" # it becomes the root of the image, which others enter, too
trap 'rm -rf "$folder"' EXIT

debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
    bookworm "$folder" http://deb.debian.org/debian
rm -rf "$folder"/var/cache/apt/archives/*.deb "$folder"/var/lib/apt/lists/*
cp "$certificates" "$folder$certificates"
tar -C "$folder" -c . | docker import - "$1"
