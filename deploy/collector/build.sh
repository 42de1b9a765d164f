#!/bin/sh
# Builds the collector of builder.yaml with Go:
#   build.sh OUTPUT    writes the program; every module is the one that go.mod and go.sum pin
#   build.sh --lock    writes go.mod and go.sum anew, after a change of builder.yaml
set -eu

here=$(cd "$(dirname "$0")" && pwd)
version=$(sed -n 's/^  version: //p' "$here/builder.yaml")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cd "$scratch"
export CGO_ENABLED=0
# The builder only writes the sources: left alone it would also resolve the modules of every part's tests.
go run "go.opentelemetry.io/collector/cmd/builder@v$version" \
  --skip-get-modules --skip-compilation --config "$here/builder.yaml"
cd sources

if [ "$1" = --lock ]; then
  go mod init dev.trueup/collector
  go mod edit -go=1.25.0
  # shellcheck disable=SC2046
  go get $(sed -n 's/^  - gomod: \(.*\) \(v.*\)$/\1@\2/p' "$here/builder.yaml") \
    "go.opentelemetry.io/collector/otelcol@v$version"
  go build -mod=mod -o "$scratch/collector" .
  cp go.mod go.sum "$here"
else
  cp "$here/go.mod" "$here/go.sum" .
  go build -mod=readonly -trimpath -ldflags='-s -w' -o "$1" .
fi
