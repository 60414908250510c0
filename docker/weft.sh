#!/bin/sh
# `weft`, with secrets that stand in files: NAME_FILE=/run/secrets/name becomes NAME.
for name in AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY WEFT_RECORDS; do
  eval "file=\${${name}_FILE:-}"
  if [ -n "$file" ]; then
    value=$(cat "$file") || exit 2
    export "$name=$value"
    unset "${name}_FILE"
  fi
done
exec /weft/bin/weft "$@"
