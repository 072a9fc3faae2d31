# shellcheck shell=bash
# The demo's hosts as containers of docker/compose.yaml; read by demo.sh, which names $repo and $state.

client_folder=/run/nfsteer
hosts_are="containers"

if docker compose version >/dev/null 2>&1; then
  compose() { docker compose -p nfsteer-demo -f "$repo/docker/compose.yaml" "$@"; }
else
  compose() { docker-compose -p nfsteer-demo -f "$repo/docker/compose.yaml" "$@"; }
fi

# Prints why containers cannot be used; nothing if they can.
containers_refused() {
  if ! command -v docker >/dev/null; then
    echo "docker is not installed"
  elif ! timeout 20 docker info >/dev/null 2>&1; then
    echo "no Docker engine answers"
  elif ! compose version >/dev/null 2>&1; then
    echo "Docker has no compose"
  elif [[ -n $(ip -4 route show root 10.0.0.0/24 2>/dev/null) ]]; then
    echo "this machine uses addresses of 10.0.0.0/24 itself"
  fi
}

hosts_prepare() {
  NFSTEER_BASE_IMAGE=$("$repo/docker/base-image.sh") || return 1
  export NFSTEER_BASE_IMAGE
  [[ $build == yes ]] || return 0
  say "Building the images (the first time takes some minutes) ..."
  quietly "$state/build.log" compose build
}

in_client() { timeout 120 docker exec -i "$(cat "$state/client")" "$@"; }

in_client_detached() { docker exec -d "$(cat "$state/client")" "$@"; }

hosts_up() {
  quietly "$state/up.log" compose up -d --no-build &&
    compose ps -q client >"$state/client" &&
    in_client mkdir -p "$client_folder"
}

hosts_down() { compose down --timeout 2 --remove-orphans >/dev/null 2>&1; }
