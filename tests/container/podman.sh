# shellcheck shell=bash disable=SC2034  # it is sourced: others use what it sets
# podman and a base image on a Debian machine without a Docker engine or a registry: what every check of containers stands on.
# Offers `prepare` (once, first), `build TARGET TAG [ARGUMENT...]`, say, fail, quiet, ask, podman, and $scratch, which goes at the end.

checkout=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sentopic
scratch=$(mktemp -d)
more_packages=()  # of Debian, that a check needs besides
mounts=()  # how this machine reaches its package index, lent to each build and left out of the images

say() { printf '%s: %s\n' "$(basename "$0")" "$*"; }
fail() { say "FAILED: $*" >&2; exit 1; }
podman() { timeout --kill-after 10 "${limit:-60}" podman "$@"; }
# Keeps what a command says to itself, unless it fails.
quiet() { "$@" >"$scratch/log" 2>&1 || { grep -v ^WARNING "$scratch/log" | tail -n 40 >&2; return 1; }; }
ask() { curl --noproxy '*' --max-time 10 --silent --show-error --fail "$@"; }

prepare() {
  [[ $EUID == 0 ]] || fail "it needs root"
  install_packages buildah podman runc conmon debootstrap catatonit golang-github-containernetworking-plugin-dnsname ca-certificates curl "${more_packages[@]}"
  configure_podman
  prepare_base
  lend_index
}

install_packages() {
  # shellcheck disable=SC2016  # dpkg-query's own variable
  if [[ $(dpkg-query -Wf '${db:Status-Status}\n' "$@" 2>/dev/null | grep -cx installed) != "$#" ]]; then
    say "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    quiet timeout 300 apt-get update
    quiet timeout 600 apt-get install -y --no-install-recommends "$@"
  fi
}

# podman's defaults want systemd, crun's cgroups and limits that a container in a container may not set.
configure_podman() {
  cat >"$scratch/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=8192:8192", "nproc=4096:4096"]
[network]
network_backend = "${network_backend:-cni}"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
  export CONTAINERS_CONF=$scratch/containers.conf
}

# Debian's Python in the official image's place, with what the Dockerfile relies on.
make_base() {
  local root=$scratch/base mirror
  # shellcheck disable=SC2016  # apt-get's own variables
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(ORIGIN) $(COMPONENT)' 'Created-By: Packages' | sed -n 's/ [a-z]* Debian main$//p' | head -n 1)
  quiet timeout 900 debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates \
    bookworm "$root" ${mirror:+"$mirror"}
  rm -rf "$root"/usr/lib/python3*/EXTERNALLY-MANAGED "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
  ln -s python3 "$root/usr/bin/python"
  tar -C "$root" -cf "$1.part" .
  mv "$1.part" "$1"
}
import_base() {
  limit=300 quiet podman import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' "$1" "$2"
}

# $base_image, which `FROM python:3.11-slim` finds.
prepare_base() {
  local base
  base=$cache/base-$(declare -f make_base import_base | sha256sum | cut -c 1-16).tar
  base_image=localhost/sentopic-$(basename "$base" .tar)
  if [[ ! -f $base ]]; then
    say "making the base image with debootstrap (a minute or two, once)"
    mkdir -p "$cache"
    make_base "$base"
  fi
  if ! podman image exists "$base_image"; then
    say "importing the base image"
    import_base "$base" "$base_image"
  fi
  podman tag "$base_image" localhost/python:3.11-slim
}

lend() { if [[ -f $1 ]]; then mounts+=(--volume "$(realpath "$1"):$2:ro"); fi; }
lend_index() {
  local authorities=${PIP_CERT:-${SSL_CERT_FILE:-}} home=/root  # of the build's user, in the image
  lend "$authorities" /etc/ssl/certs/ca-certificates.crt
  [[ $authorities == /etc/ssl/certs/ca-certificates.crt ]] || lend "$authorities" "$authorities"
  { echo '[global]'; env | sed -n 's/^PIP_\([A-Z_]*=\)/\1/p'; } >"$scratch/pip.conf"  # an option in the environment may stand in the file
  lend /etc/pip.conf /etc/pip.conf
  lend "$HOME/.pip/pip.conf" "$home/.pip/pip.conf"
  lend "${XDG_CONFIG_HOME:-$HOME/.config}/pip/pip.conf" "$home/.pip/pip.conf"  # the newer place wins: the later mount
  lend "$scratch/pip.conf" "$home/.config/pip/pip.conf"
}

# A stage of the Dockerfile as an image: build TARGET TAG [ARGUMENT...]
build() {
  local target=$1 tag=$2
  shift 2
  limit=${limit:-900} quiet podman build --format docker --pull=never --target "$target" --tag "$tag" "${mounts[@]}" "$@" "${context:-$checkout}"
}
