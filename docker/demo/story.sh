# shellcheck shell=bash
# What the demo does and shows, the same with either kind of hosts; read by demo.sh. The hosts are behind in_client,
# in_client_detached, hosts_up and hosts_down of containers.sh and namespaces.sh.

vip=10.0.0.40
url=http://$vip
# within SECONDS COMMAND...: until the command succeeds.
within() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    [[ $SECONDS -lt $deadline ]] || return 1
    sleep 0.1
  done
}

engine_flags=(--name web --vip "$vip" --backend 10.0.0.20 --backend "10.0.0.30,weight=3")

engine_start() {
  in_client rm -f "$client_folder/engine.log" "$client_folder/engine.exit"
  # shellcheck disable=SC2016  # $1 and $@ are the inner shell's
  in_client_detached sh -c '
    cd "$1" || exit; shift
    nfsteer run "$@" >engine.log 2>&1 &
    echo $! >engine.pid
    wait $!
    echo $? >engine.exit' sh "$client_folder" "${engine_flags[@]}"
  if ! within 15 in_client sh -c "grep -qs ready: $client_folder/engine.log || test -e $client_folder/engine.exit" ||
     ! in_client grep -s ready: "$client_folder/engine.log" | indented; then
    in_client cat "$client_folder/engine.log" >&2 || true
    die "the engine did not start"
  fi
}

engine_signal() { in_client sh -c "kill -$1 \$(cat $client_folder/engine.pid)"; }
engine_ended() { in_client test -s "$client_folder/engine.exit"; }

# Packets that all workers got to see.
packets_seen() {
  in_client nfsteer status --json |
    sed 's/.*"workers":\[\([^]]*\)\].*/\1/' | grep -o '"packets":[0-9]*' |
    awk -F: '{ all += $2 } END { print all }'
}

# Each request is a connection of its own: one line with who answered, the HTTP status and the seconds it took.
request_stream() {  # count
  : >"$state/answers"
  in_client curl --silent --no-buffer --rate 100/s --max-time 5 --header 'Connection: close' \
    --write-out ' %{http_code} %{time_total}\n' "$url/?[1-$1]" >"$state/answers" 2>/dev/null &
  stream=$!
}

rules() { in_client iptables-legacy -w -t "$1" -S; }  # table

tell_hosts() {
  title "Three hosts on 10.0.0.0/24 ($hosts_are)"
  cat <<TEXT
    client   10.0.0.10   curl, and the engine
    server1  10.0.0.20   nginx, weight 1
    server2  10.0.0.30   nginx, weight 3
    (nobody) 10.0.0.40   the virtual IP (VIP)
TEXT
}

tell_start() {
  title "The engine starts"
  show_command "nfsteer run ${engine_flags[*]}"
  engine_start
  say "The rules it installed: who goes to user space (mangle), how conntrack learns its choice (NETMAP), and the" \
      "ladder of DNAT rules for connections that the engine did not see (nat). The bytecode spreads connections" \
      "over the queues by address and port."
  local table
  for table in mangle nat; do
    show_command "iptables-legacy -t $table -S | grep NFSTEER"
    rules "$table" | grep NFSTEER | sed 's/--bytecode "[^"]*"/--bytecode .../' | indented || bad "no rule in $table"
  done
}

declare -A about=(
  [connection]="User space sees the first packet of each connection, the kernel carries the rest."
  [dnat]="The kernel alone: user space sees nothing."
  [inspect]="User space sees the headers of every packet from client to VIP."
  [rewrite]="User space rewrites every packet from client to VIP."
)

tell_mode() {  # mode
  local requests=300 before seen
  title "Mode $1"
  say "${about[$1]}"
  show_command "nfsteer mode web $1"
  in_client nfsteer mode web "$1"
  before=$(packets_seen)
  request_stream $requests
  watch_answers "$state/answers" 0 $requests
  wait "$stream" || true
  seen=$(($(packets_seen) - before))
  judge_shares "$state/answers" 0 $requests
  judge_failures $requests
  local text verdict=bad
  text="packets that user space saw per connection: $(awk -v n="$seen" -v r=$requests 'BEGIN { printf "%.2f", n / r }')"
  case $1 in
    dnat) [[ $seen -eq 0 ]] ;;
    connection) [[ $seen -ge $requests && $seen -le $((requests + 3)) ]] ;;
    *) [[ $seen -ge $((requests * 3)) ]] ;;
  esac && verdict=good
  $verdict "$text"
}

judge_failures() {  # requests
  local answered late
  answered=$(awk '$2 == 200' "$state/answers" | wc -l)
  late=$(awk '$2 == 200 && $3 > 0.5' "$state/answers" | wc -l)
  if [[ $answered -eq $1 && $late -le 2 ]]; then
    good "$1 requests, none failed, $late took longer than 0.5 s"
  else
    bad "$1 requests, $(($1 - answered)) failed, $late took longer than 0.5 s"
  fi
}

tell_ping() {
  title "The service is every protocol of the VIP: ping"
  show_command "ping -c 3 $vip"
  if in_client ping -c 3 -i 0.2 -W 2 $vip | indented; then good "echo replies"; else bad "no echo reply"; fi
}

tell_kill() {
  title "kill -9 of the engine while requests go on"
  request_stream 900
  say "The engine balances:"
  watch_answers "$state/answers" 0 300
  local killed started owners seen
  show_command "kill -9 $(in_client cat "$client_folder/engine.pid")"
  engine_signal KILL
  killed=$(wc -l <"$state/answers")
  owners=$(in_client cat /proc/net/netfilter/nfnetlink_queue | wc -l)
  if [[ $owners -eq 0 ]]; then good "no program holds a queue"; else bad "$owners queues are still held"; fi
  say "The ladder balances:"
  watch_answers "$state/answers" "$killed" 600
  judge_shares "$state/answers" "$killed" 600
  show_command "nfsteer run ${engine_flags[*]}"
  engine_start
  started=$(wc -l <"$state/answers")
  say "The new engine balances:"
  watch_answers "$state/answers" "$started" 900
  wait "$stream" || true
  judge_shares "$state/answers" "$started" 900
  judge_failures 900
  seen=$(packets_seen)
  if [[ $seen -gt 0 ]]; then good "the new engine saw $seen first packets"; else bad "the new engine saw no packet"; fi
}

tell_stop() {  # tables before the start
  title "The engine stops while requests go on"
  request_stream 400
  say "The engine balances:"
  watch_answers "$state/answers" 0 100
  local ended stopped
  show_command "kill -TERM $(in_client cat "$client_folder/engine.pid")"
  engine_signal TERM
  within 10 engine_ended || die "the engine does not stop"
  ended=$(in_client cat "$client_folder/engine.exit")
  if [[ $ended == 0 ]]; then good "exit status 0"; else bad "exit status $ended"; fi
  stopped=$(wc -l <"$state/answers")
  say "The ladder balances:"
  watch_answers "$state/answers" "$stopped" 400
  wait "$stream" || true
  judge_shares "$state/answers" "$stopped" 400
  judge_failures 400
  say "The ladder would balance until the next start. This removes it:"
  show_command "nfsteer cleanup"
  in_client nfsteer cleanup
  show_command "iptables-legacy -t mangle -S; iptables-legacy -t nat -S"
  local after
  after=$(rules mangle; rules nat)
  indented <<<"$after"
  if [[ $after == "$1" ]]; then good "the tables are as before the start"; else bad "the tables have changed"; fi
}

tell_kept() {
  title "The hosts and the engine are left up"
  cat <<'TEXT'
  docker/demo.sh --client curl http://10.0.0.40/
  docker/demo.sh --client nfsteer status
  docker/demo.sh --client nfsteer mode web dnat
  docker/demo.sh --client nfsteer weight web 10.0.0.20 9
  docker/demo.sh --client iptables-legacy -t nat -nvL
  docker/demo.sh --client bash
  docker/demo.sh --down                         ends it
TEXT
}

tell() {
  local tables_before
  hosts_up || die "the hosts cannot be made"
  within 20 in_client curl -s --max-time 2 http://10.0.0.20/ http://10.0.0.30/ >/dev/null ||
    die "the servers do not answer"
  tables_before=$(rules mangle; rules nat)
  tell_hosts
  tell_start
  tell_mode connection
  tell_mode dnat
  tell_mode inspect
  tell_mode rewrite
  tell_ping
  in_client nfsteer mode web connection
  tell_kill
  if [[ $keep == yes ]]; then
    touch "$state/kept"
    tell_kept
  else
    tell_stop "$tables_before"
  fi
  title "Done"
  [[ $wrong -eq 0 ]] || die "$wrong of the checks above went wrong"
  good "every check above"
}
