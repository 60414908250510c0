# Makes the bucket, once; the S3 server may need a moment to start.
export AWS_SECRET_ACCESS_KEY="$(cat "$AWS_SECRET_ACCESS_KEY_FILE")"
for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
  aws --endpoint-url http://s3:7070 s3api head-bucket --bucket weft 2>/dev/null && exit 0
  aws --endpoint-url http://s3:7070 s3api create-bucket --bucket weft >/dev/null 2>&1 && exit 0
  sleep 2
done
echo "the S3 server does not answer" >&2
exit 1
