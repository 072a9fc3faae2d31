# shellcheck shell=bash
# The demo's hosts as network namespaces; read by demo.sh, which names $repo and $state. A fourth namespace holds the
# bridge, so that the machine's own interfaces, addresses and rules are not touched.
#
#   nfsteer-demo-client    10.0.0.10 --+
#   nfsteer-demo-server1   10.0.0.20 --+-- bridge in nfsteer-demo-net
#   nfsteer-demo-server2   10.0.0.30 --+

client_folder=$state/client
hosts_are="network namespaces"
all_hosts=(net client server1 server2)

hosts_prepare() {
  [[ $build == yes ]] || return 0
  "$repo/docker/install.sh" build run client server hosts
  say "Building the engine ..."
  # The test packages may be missing; a folder that tests/run.sh has set up stays as it is.
  [[ -e $repo/build/release/build.ninja ]] ||
    quietly "$state/build.log" cmake -S "$repo" --preset release -DNFSTEER_TESTS=OFF || return 1
  quietly "$state/build.log" cmake --build "$repo/build/release" --target nfsteer
}

on_host() { local host=$1; shift; ip netns exec "nfsteer-demo-$host" "$@"; }

in_client() { PATH=$repo/build/release/engine:$PATH NFSTEER_CONTROL=$client_folder/control.sock on_host client "$@"; }

in_client_detached() { in_client setsid "$@" </dev/null >/dev/null 2>&1 & }

plug_in() {  # host address
  ip -n nfsteer-demo-net link add "$1" type veth peer name eth0 netns "nfsteer-demo-$1"
  ip -n nfsteer-demo-net link set "$1" master bridge up
  ip -n "nfsteer-demo-$1" address add "$2/24" dev eth0
  ip -n "nfsteer-demo-$1" link set eth0 up
}

serve() {  # host
  mkdir -p "$state/$1"
  # shellcheck disable=SC2016  # $1 to $3 are the inner shell's
  on_host "$1" setsid unshare --uts sh -c 'hostname "$1"; exec nginx -e stderr -p "$2" -c "$3"' \
    sh "$1" "$state/$1" "$repo/docker/nginx.conf" </dev/null >"$state/$1/log" 2>&1 &
}

hosts_up() {
  local host
  mkdir -p "$client_folder"
  for host in "${all_hosts[@]}"; do
    ip netns add "nfsteer-demo-$host"
    ip -n "nfsteer-demo-$host" link set lo up
  done
  ip -n nfsteer-demo-net link add bridge type bridge
  ip -n nfsteer-demo-net link set bridge up
  plug_in client 10.0.0.10
  plug_in server1 10.0.0.20
  plug_in server2 10.0.0.30
  serve server1
  serve server2
}

hosts_down() {
  local host
  for host in "${all_hosts[@]}"; do
    [[ -e /run/netns/nfsteer-demo-$host ]] || continue
    ip netns pids "nfsteer-demo-$host" | xargs -r kill -KILL 2>/dev/null || true
    ip netns del "nfsteer-demo-$host"
  done
}
