# shellcheck shell=bash disable=SC2034,SC2154  # it is sourced after podman.sh: others use what it sets
# Two nodes of a Ray cluster, each a container with an address of its own. After `prepare`:
#   build ray "$ray_image"             the Dockerfile's stage
#   start_nodes [OPTION...]            head and worker; options are podman's (--volume ..., --env ...)
#   inside_head COMMAND...             in the head's container, where RAY_ADDRESS is set
#   inside_worker COMMAND...
#   kill_node worker                   at once, as if its power were gone
#   cut_off worker                     it runs on, and nobody reaches it
#   restart_node worker                another one in its place, with an empty disk
#   stop_nodes                         for a trap
# Both see the directory $shared of this machine as /shared.

ray_image=localhost/sentopic-check:ray
ray_cluster=sentopic-ray-$$
shared=$scratch/shared
node_options=()

# The nodes notice sooner that one of them is gone than by default (30 s), at the price of some messages more.
ray_settings=(
  --env RAY_health_check_period_ms=1000 --env RAY_health_check_timeout_ms=2000 --env RAY_health_check_failure_threshold=3
  --env RAY_SERVE_HAPROXY_MAXCONN=1500  # as many as the limit on open files here lets it have
)

start_nodes() {
  local node
  node_options=("$@")
  install -d -m 777 "$shared"
  RAY_AUTH_TOKEN=$(cat /proc/sys/kernel/random/uuid /proc/sys/kernel/random/uuid | tr -d '\n-')
  export RAY_AUTH_TOKEN
  quiet podman network create "$ray_cluster" || fail "the network"
  start_head
  start_worker
  for node in {1..120}; do
    [[ $(count_nodes) == 2 ]] && return
    sleep 0.5
  done
  inside_head ray status >&2 || true
  fail "two nodes did not become a cluster in a minute"
}

# start_node ROLE RAY_OPTION...
start_node() {
  local role=$1
  shift
  quiet podman run --detach --name "$ray_cluster-$role" --hostname "$role" --network "$ray_cluster" \
    --read-only --read-only-tmpfs=false --tmpfs /tmp:size=2g,mode=1777 --shm-size 512m --cap-drop ALL \
    --security-opt no-new-privileges --memory 5g --env RAY_AUTH_TOKEN "${ray_settings[@]}" --volume "$shared:/shared" \
    "${node_options[@]}" "$ray_image" start --block --num-cpus 2 --object-store-memory 300000000 "$@" || fail "the start of the $role"
}

start_head() {
  start_node head --head --port 6379 --dashboard-host 127.0.0.1
  head_address=$(podman inspect --format "{{(index .NetworkSettings.Networks \"$ray_cluster\").IPAddress}}" "$ray_cluster-head")
}
start_worker() { start_node worker --address "$head_address:6379"; }

inside_head() { podman exec --env RAY_ADDRESS=127.0.0.1:6379 "$ray_cluster-head" "$@"; }
inside_worker() { podman exec "$ray_cluster-worker" "$@"; }

count_nodes() {
  inside_head python -c "
import ray
ray.init(log_to_driver=False, logging_level='ERROR')
print(sum(node['Alive'] for node in ray.nodes()))" 2>"$scratch/nodes" || true
}

kill_node() { quiet podman kill --signal KILL "$ray_cluster-$1" || fail "the killing of the $1"; }
cut_off() { quiet podman network disconnect "$ray_cluster" "$ray_cluster-$1" || fail "cutting the $1 off"; }

restart_node() {
  podman rm --force --time 0 "$ray_cluster-$1" >/dev/null 2>&1 || true
  "start_$1"
}

stop_nodes() {
  local node
  for node in head worker; do
    podman rm --force --time 2 "$ray_cluster-$node" >/dev/null 2>&1 || true
  done
  podman network rm --force "$ray_cluster" >/dev/null 2>&1 || true
}
