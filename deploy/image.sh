#!/usr/bin/env bash
# `make image`: builds the daemon's image with whatever builder this machine has.
#
#   deploy/image.sh [NAME[:TAG]] [PLATFORM]      FTQ_BUILDER=docker|podman|buildah chooses
#
# docker's format, since the other one has no HEALTHCHECK.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

name=${1:-ftq-daemon} platform=${2:-}
options=(--tag "$name")
[[ -z $platform ]] || options+=(--platform "$platform")

works() {
    case $1 in
        docker) docker info ;;
        *) command -v "$1" ;;
    esac >/dev/null 2>&1
}

builder=${FTQ_BUILDER:-}
for candidate in docker podman buildah; do
    [[ -n $builder ]] && break
    works "$candidate" && builder=$candidate
done
case $builder in
    docker) docker build "${options[@]}" . ;;
    podman) podman build --format docker "${options[@]}" . ;;
    buildah) buildah build --format docker "${options[@]}" . ;;
    *)
        echo "An image needs docker, podman or buildah, and none of them works here." >&2
        exit 1
        ;;
esac
