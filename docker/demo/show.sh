# shellcheck shell=bash
# What the demo prints, at most 78 columns wide, and how it judges shares. Colour only on a terminal.

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m' live=yes
else
  bold='' dim='' green='' red='' plain='' live=no
fi

title() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
say() { printf '%s\n' "$*" | fold -s -w 78; }
good() { printf '  %sok%s    %s\n' "$green" "$plain" "$*"; }
bad() { printf '  %sWRONG%s %s\n' "$red" "$plain" "$*"; wrong=$((wrong + 1)); }

# The command, as a user would type it, and then what it prints.
show_command() { printf '%s$ %s%s\n' "$dim" "$*" "$plain" | fold -s -w 78; }
indented() { fold -s -w 74 | sed 's/^/    /'; }

# quietly LOG COMMAND...: the command's output goes to LOG; its last lines are printed if it fails.
quietly() {
  local log=$1
  shift
  "$@" >"$log" 2>&1 </dev/null && return 0
  tail -n 30 "$log" >&2
  echo "demo.sh: failed: $*" >&2
  return 1
}

# bars FILE FROM TO: who gave the answers FROM+1 to TO of FILE, which may still grow.
bars() {
  head -n "$(wc -l <"$1")" "$1" |  # the last line may be half written
    awk -v from="$2" -v to="$3" -v green="$green" -v plain="$plain" '
      NR > from && NR <= to { count[$2 == 200 ? $1 : "failed"]++; all++ }
      function bar(name,   i, text) {
        for (i = 0; i < int(count[name] * 44 / (to - from) + 0.5); i++) text = text "#"
        printf "  %-8s %s%-44s%s %5d  %5.1f %%\n", name, green, text, plain, count[name],
               all ? 100 * count[name] / all : 0
      }
      END { bar("server1"); bar("server2"); if (count["failed"]) bar("failed") }'
}

# watch_answers FILE FROM TO: draws the bars while the answers come in, until there are TO or 30 s are over.
watch_answers() {
  local drawn='' deadline=$((SECONDS + 30)) picture
  until [[ $(wc -l <"$1") -ge $3 || $SECONDS -ge $deadline ]]; do
    if [[ $live == yes ]]; then
      picture=$(bars "$@")
      printf '%s%s\n' "$drawn" "${picture//$'\n'/$'\e[K\n'}"
      drawn=$'\e['$(wc -l <<<"$picture")A
    fi
    sleep 0.1
  done
  printf '%s' "$drawn"
  bars "$@"
}

# judge_shares FILE FROM TO: do the answers FROM+1 to TO fit the weights? Pearson's chi-square with one degree of
# freedom; a balancer that is right fails once in a million times.
judge_shares() {
  local verdict
  verdict=$(awk -v from="$2" -v to="$3" '
    NR > from && NR <= to && $2 == 200 { count[$1]++; all++ }
    END {
      if (!all) { print "bad no answers"; exit }
      first = all / 4; second = all * 3 / 4
      chi = (count["server1"] - first) ^ 2 / first + (count["server2"] - second) ^ 2 / second
      printf "%s shares against the weights 1:3: chi-square %.2f, limit 23.93\n", chi < 23.93 ? "good" : "bad", chi
    }' "$1")
  "${verdict%% *}" "${verdict#* }"
}
