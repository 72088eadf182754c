# curl: a plain answer, a stream and an error, as the how-to page has them.
set -eu
said() { printf '{"feature": "%s", "ok": %s, "error": null}\n' "$1" "$2"; }
check() { if printf '%s' "$2" | grep -q "$3"; then said "$1" true; else said "$1" false; fi; }

ask() { # path, body
  curl -sS "$SERVICE/$1" -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" -d "$2"
}
BODY='"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4'

check models "$(curl -sS "$SERVICE/v1/models" -H "Authorization: Bearer $KEY")" '"object": "list"'
check chat "$(ask v1/chat/completions "{\"model\": \"\", $BODY}")" '"finish_reason"'
check stream "$(ask v1/chat/completions "{\"model\": \"\", $BODY, \"stream\": true}")" 'data: \[DONE\]'
check errors "$(ask v1/chat/completions "{\"model\": \"@nobody/nothing\", $BODY}")" '"code": "not_found"'
