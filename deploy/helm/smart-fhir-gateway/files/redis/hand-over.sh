# Before this pod ends: if it has the writes, another takes them over, so that nobody waits for a failover.
set -eu
. /scripts/find-primary.sh

# The Sentinel of this pod ends too, so that another one does it.
asked_to_fail_over() {
  timeout 2 redis-cli -h "$host" -p 26379 sentinel failover gateway 2>/dev/null | grep -q OK && echo "$host"
}

if [ "$REPLICAS" -gt 1 ] && [ "$(ask_sentinels)" = "$me" ] && [ -n "$(ask_each asked_to_fail_over)" ]; then
  tries=0
  while [ "$(ask_sentinels)" = "$me" ] && [ "$tries" -lt 20 ]; do
    sleep 0.5
    tries=$((tries + 1))
  done
fi
