# Which server has the writes. The others know best; this pod's own Sentinel only knows what was before the pod was away.
me="$POD_NAME.$DOMAIN"

# The password as a configuration file spells it.
quoted_password() { printf '"%s"' "$(printf %s "$REDISCLI_AUTH" | sed 's/[\\"]/\\&/g')"; }

# Another server of the release that a command names, asked of each of the others in turn; nothing if nobody answers.
ask_each() {
  number=0
  while [ "$number" -lt "$REPLICAS" ]; do
    if [ "$NAME-$number" != "$POD_NAME" ]; then
      host="$NAME-$number.$DOMAIN"
      found=$("$1") || found=
      case $found in "$NAME"-*".$DOMAIN") echo "$found"; return ;; esac
    fi
    number=$((number + 1))
  done
}

# Sentinels have no password; redis-cli complains about that on standard error.
named_by_sentinel() {
  timeout 2 redis-cli -h "$host" -p 26379 sentinel get-master-addr-by-name gateway 2>/dev/null | head -n 1
}

named_by_server() {
  answer=$(timeout 2 redis-cli -h "$host" role 2>/dev/null)
  case $answer in
  master*) echo "$host" ;;
  slave*) echo "$answer" | sed -n 2p ;;
  esac
}

ask_sentinels() { ask_each named_by_sentinel; }

known_before() { sed -n 's/^sentinel monitor gateway \([^ ]*\) .*/\1/p' /data/sentinel.conf 2>/dev/null || true; }

find_primary() {
  before=$(known_before)
  before=${before:-$NAME-0.$DOMAIN}
  deadline=$(($(date +%s) + 30))
  while :; do
    primary=$(ask_sentinels)
    [ -n "$primary" ] || primary=$(ask_each named_by_server)
    # Only who would take the writes itself has to be sure that nobody else has them: it takes the network some seconds to
    # let a new pod through.
    if [ -n "$primary" ] || [ "$before" != "$me" ] || [ "$REPLICAS" = 1 ] || [ "$(date +%s)" -ge "$deadline" ]; then
      echo "${primary:-$before}"
      return
    fi
    sleep 1
  done
}

# Before this server takes the writes: while it was away the Sentinels may have begun to let another one take them over,
# and a server that comes back in the middle of that would be a second primary. Two seconds after it fell silent they act;
# if they still name it after this time, they have nobody else.
await_failover() {
  deadline=$(($(date +%s) + 12))
  while [ "$(ask_sentinels)" = "$me" ] && [ "$(date +%s)" -lt "$deadline" ]; do
    sleep 0.5
  done
}
