#!/bin/sh
# Runs the conformance cases that lie beside the project, all of them or the groups named as arguments.
# Without the cases it says so and is content.
cd "$(dirname "$0")/.." || exit 1
cases=${TAILRACE_CASES:-../shared/cases}
if [ ! -f "$cases/run.py" ]; then
  echo "No conformance cases: $cases is not there."
  exit 0
fi
for group; do
  set -- "$@" --group "$group"
  shift
done
exec python3 "$cases/run.py" --agent "$(command -v node) $PWD/bin/tailrace.js run -c {config}" -j 2 "$@"
