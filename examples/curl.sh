#!/usr/bin/env bash
# From a prompt to a file, with curl alone. RUSHES_API_KEY=... examples/curl.sh
set -euo pipefail

api="${RUSHES_BASE_URL:-http://127.0.0.1:8080}/api/v1/videos"
ask=(curl -sS --fail-with-body -H "Authorization: Bearer $RUSHES_API_KEY")

# The idempotency key makes it safe to send the request again when its answer was lost: --retry does.
started=$("${ask[@]}" "$api/generations" --retry 3 --retry-connrefused \
  -H "Idempotency-Key: $(date +%s)-$$" -H "Content-Type: application/json" \
  -d '{"prompt": "A lighthouse in a storm", "model": "animatic/storyboard", "duration": 1}')
job=$(grep -oE 'job_[a-z0-9]{24}' <<<"$started" | head -n 1)

# A line of this shape is all that a shell needs to read; jq does it better where it is installed.
field() { grep -oE "\"$1\":\"[^\"]*\"" <<<"$state" | head -n 1 | cut -d '"' -f 4; }

state=$started
until [[ $(field status) =~ ^(completed|failed)$ ]]; do
  sleep 1
  state=$("${ask[@]}" --retry 5 --retry-connrefused "$api/jobs/$job")
done
if [[ $(field status) == failed ]]; then
  echo "$job failed: $(field error)" >&2
  exit 1
fi

# The link in the job needs no key, and works for an hour; this route needs the key, and works as long as the video is kept.
"${ask[@]}" -o lighthouse.mp4 "$api/jobs/$job/content"
echo lighthouse.mp4
