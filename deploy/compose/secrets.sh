#!/bin/sh
# Makes the passwords that docker-compose.yml reads, once: secrets.sh [FOLDER]
# The folder is for its owner only; the files in it are readable, since containers run as other users.
set -eu

folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
chmod 700 "$folder"
for name in clickhouse_password clickhouse_migrate_password; do
  if [ ! -s "$folder/$name" ]; then
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$folder/$name"
    chmod 644 "$folder/$name"
  fi
done
