# shellcheck shell=bash disable=SC2034,SC2154  # it is sourced, after podman.sh
# A service in a container, and what each check asks of one. Offers `launch`, `halt`, `drop`, `refuse`, `predict` and
# others; $container and $url are those of the container launched last. Every name has $$, and goes at the end.

prefix=sentopic-check-$$
volumes=()
strict=(--read-only --read-only-tmpfs=false --cap-drop ALL --security-opt no-new-privileges --memory "${memory:-512m}")

clean_up() {
  local status=$? name
  if declare -F take_down >/dev/null; then take_down "$status"; fi # what only one check has begun
  for name in $(podman ps --all --quiet --filter "name=^$prefix-" 2>/dev/null); do
    [[ $status == 0 ]] || podman logs --tail 40 "$name" >&2 || true
    podman rm --force --time 5 "$name" >/dev/null 2>&1 || true
  done
  for name in "${volumes[@]}"; do podman volume rm --force "$name" >/dev/null 2>&1 || true; done
  rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

new_volume() { volumes+=("$1"); quiet podman volume create "$1"; }
since_ms() { echo $(( ($(date +%s%N) - $1) / 10**6 )); }
state() { podman inspect --format "{{.State.$1}}" "$container"; }

# A container that serves, once it is ready: launch NAME IMAGE [OPTION...]. $ready_ms: how long that took.
launch() {
  local image=$2 begun
  container=$prefix-$1
  shift 2
  begun=$(date +%s%N)
  quiet podman run --detach --name "$container" --publish "127.0.0.1::${port:-8000}" "$@" "$image" || fail "the start of $container"
  url=http://$(podman port "$container" "${port:-8000}/tcp")
  await_ready "$begun"
}
await_ready() {
  until ask "$url/health/ready" >/dev/null 2>&1; do
    (( $(since_ms "$1") < ${patience:-60} * 1000 )) || fail "not ready after ${patience:-60} s"
    [[ $(state Running) == true ]] || fail "it ended before it was ready"
    sleep 0.02
  done
  ready_ms=$(since_ms "$1")
}

# SIGTERM, as an orchestrator sends it: it must end by itself, with 0.
halt() {
  local begun
  begun=$(date +%s%N)
  limit=90 quiet podman stop --time "${grace:-30}" "$container" || fail "the stop"
  stop_ms=$(since_ms "$begun")
  [[ $(state ExitCode) == 0 ]] || fail "exit status $(state ExitCode) after SIGTERM"
}
drop() { quiet podman rm --force --time 5 "$container"; }

# What must not start: refuse STATUS PATTERN IMAGE [OPTION...]. It says so in one line.
refuse() {
  local status=$1 pattern=$2 image=$3
  container=$prefix-refused
  shift 3
  quiet podman run --detach --name "$container" "${strict[@]}" "$@" "$image" || fail "the start of $container"
  limit=90 podman wait "$container" >/dev/null || fail "it goes on, though it should not: $pattern"
  podman logs "$container" >"$scratch/refusal" 2>&1
  [[ $(wc -l <"$scratch/refusal") == 1 ]] || fail "not one line: $pattern"
  grep -qE "^sentopic: .*$pattern" "$scratch/refusal" || fail "it does not say: $pattern"
  [[ $(state ExitCode) == "$status" ]] || fail "exit status $(state ExitCode), not $status: $pattern"
  say "refused with $status: $(cut -c 11-130 "$scratch/refusal")"
  drop
}

predict() {
  local answer label
  answer=$(ask --header 'content-type: application/json' --data "{\"text\": \"$2\"}" "$url/predict/$1") || fail "POST /predict/$1"
  label=$(sed -nE 's/^\{.*"label": ?"([^"]+)", ?"confidence".*/\1/p' <<<"$answer")
  [[ $label =~ ^($3)$ ]] || fail "POST /predict/$1 answered $answer"
}
predict_both() {
  predict sentiment "a wonderful film, moving and beautifully acted" positive
  predict topic "shr 39 cts vs 50 cts net 1.3 mln vs 1.6 mln revs 20 mln vs 18 mln" earn
}

inside() { podman exec "$container" "$@"; }
# Nothing of what a service says that writes where it may not, or of what any defect says; that there are no jobs is no complaint.
stays_quiet() {
  ! podman logs "$container" 2>&1 | grep -v 'there are no jobs, as they cannot be kept' \
    | grep -iE 'read-only|permission denied|errno|traceback|telemetry' >&2 || fail "$container complains"
}
megabytes_beyond() { # megabytes_beyond BASE IMAGE
  local base image
  read -rd '' base image < <(podman image inspect --format '{{.Size}}' "$1" "$2") || true
  echo $(( (image - base) / 10**6 ))
}
