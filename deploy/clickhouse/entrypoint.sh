#!/bin/bash
# Passwords come as files (secrets); the server's configuration takes a hash from its environment.
# entrypoint.sh [COMMAND...]: hands over to COMMAND, the image's own entrypoint if none is given.
set -euo pipefail

secrets=${SECRETS_DIRECTORY:-/run/secrets}

hash_of() {
  test -s "$secrets/$1" || { echo "no password in $secrets/$1; run deploy/compose/secrets.sh" >&2; exit 1; }
  tr -d '\r\n' <"$secrets/$1" | sha256sum | cut -d ' ' -f 1
}

TRUEUP_CLICKHOUSE_PASSWORD_SHA256=$(hash_of clickhouse_password)
TRUEUP_CLICKHOUSE_MIGRATE_PASSWORD_SHA256=$(hash_of clickhouse_migrate_password)
export TRUEUP_CLICKHOUSE_PASSWORD_SHA256 TRUEUP_CLICKHOUSE_MIGRATE_PASSWORD_SHA256

if [ $# -eq 0 ]; then
  set -- /entrypoint.sh
fi
exec "$@"
