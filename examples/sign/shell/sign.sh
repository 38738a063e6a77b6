#!/usr/bin/env bash
# Sends one signed request: METHOD PATH [QUERY] [BODY-FILE], path and query percent-encoded. Needs openssl, curl and jq.
set -euo pipefail

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# decode VARIABLE TEXT: a name or a value of a query.
decode() {
  local decoded=${2//+/ }
  decoded=${decoded//\\/\\\\}
  printf -v "$1" '%b' "${decoded//%/\\x}"
}

# query_params QUERY: an object of names and decoded values; a repeated name has an array.
query_params() {
  local pairs pair name value texts=()
  IFS='&' read -ra pairs <<<"$1"
  for pair in "${pairs[@]}"; do
    [[ -n $pair ]] || continue
    [[ $pair == *=* ]] || pair+==
    decode name "${pair%%=*}"
    decode value "${pair#*=}"
    texts+=("$name" "$value")
  done
  jq -nc '$ARGS.positional | [range(0; length; 2) as $at | {name: .[$at], value: .[$at + 1]}] | group_by(.name)
    | map({(.[0].name): (map(.value) | if length == 1 then .[0] else . end)}) | add // {}' --args -- "${texts[@]}"
}

# sign METHOD PATH QUERY BODY-FILE: the Api-Signature.
sign() {
  local alg=ES256 crv=P-256 hash=sha256 size=32 point x y kid header claims message
  [[ $(openssl pkey -in "$CUSTOMERS_KEY" -noout -text_pub) != *P-384* ]] || alg=ES384 crv=P-384 hash=sha384 size=48
  point=$(openssl pkey -in "$CUSTOMERS_KEY" -pubout -outform DER | tail -c $((2 * size)) | openssl base64 -A)
  x=$(openssl base64 -d -A <<<"$point" | head -c $size | base64url)
  y=$(openssl base64 -d -A <<<"$point" | tail -c $size | base64url)
  kid=$(printf '{"crv":"%s","kty":"EC","x":"%s","y":"%s"}' $crv "$x" "$y" | openssl dgst -sha256 -binary | base64url)
  header=$(jq -nc --arg alg $alg --arg kid "${CUSTOMERS_KEY_ID:-$kid}" '$ARGS.named')
  claims=$(jq -nc --arg jti "$(openssl rand -hex 16)" --arg method "$1" --arg path "$2" \
    --arg aud "${CUSTOMERS_AUDIENCE:-customers-api}" \
    '$ARGS.named + {iat: (now | floor), exp: (now | floor + 300)}')
  [[ -z $3 ]] || claims=$(jq -c --argjson params "$(query_params "$3")" '.queryParams = $params' <<<"$claims")
  [[ -z $4 ]] || claims=$(jq -c --arg hash "$(openssl dgst -sha256 -r "$4" | head -c 64)" '.bodyHash = $hash' <<<"$claims")
  message=$(printf %s "$header" | base64url).$(printf %s "$claims" | base64url)
  # openssl writes r and s as DER; a JWT has them side by side, each with its full length.
  printf '%s.' "$message"
  printf '%b' "$(printf %s "$message" | openssl dgst -$hash -sign "$CUSTOMERS_KEY" | openssl asn1parse -inform DER |
    sed -n 's/.*INTEGER *://p' | while read -r number; do printf "%$((2 * size))s" "$number"; done |
    tr ' ' 0 | sed 's/../\\x&/g')" | base64url
}

: "${CUSTOMERS_KEY:?must name the file with the private key}"
method=$1 query=${3:-} body=${4:-}
server=${CUSTOMERS_URL:-http://127.0.0.1:8080}
url=${server%/}$2
path=/$(cut -s -d / -f 4- <<<"$url")
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
options=(--header "Api-Signature: $(sign "$method" "$path" "$query" "$body")")
[[ -z $body ]] || options+=(--header 'Content-Type: application/json' --data-binary "@$body")
# Sends the same signed request again after 500, 503 or a lost answer: the service carries it out at most once.
status=$(curl --silent --show-error --globoff --path-as-is --max-time 30 --retry 4 --retry-all-errors \
  --request "$method" --output "$answer" --write-out '%{http_code}' "${options[@]}" "$url${query:+?$query}")
printf '%s\n%s\n' "$status" "$(<"$answer")"
[[ $status == 2?? ]]
