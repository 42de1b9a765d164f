#!/bin/sh
# Pins what goes into the application's image, at the versions of requirements.lock: lock.sh [UV]
# The local stack's engine and broker stay out (not-in-image.txt), and so do the tools of developers.
set -eu

cd "$(dirname "$0")/.."
uv=${1:-uv}

compile() {
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
    --constraint requirements.lock --custom-compile-command "make lock" "$@"
}

compile --no-emit-package trueup-sdk --excludes deploy/not-in-image.txt \
  --output-file deploy/requirements-runtime.lock pyproject.toml sdk/pyproject.toml
compile --group build --output-file deploy/requirements-build.lock
