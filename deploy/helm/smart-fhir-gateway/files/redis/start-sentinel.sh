# Starts the Sentinel of this pod. It keeps what it learns in /data/sentinel.conf.
set -eu
umask 077
. /scripts/find-primary.sh

write_configuration() {
  # The others know it by its id.
  id=$(grep '^sentinel myid ' /data/sentinel.conf 2>/dev/null) || id=
  {
    echo "port 26379"
    echo "dir /data"
    echo "protected-mode no"
    [ -z "$id" ] || echo "$id"
    echo "sentinel resolve-hostnames yes"
    echo "sentinel announce-hostnames yes"
    echo "sentinel announce-ip $me"
    echo "sentinel announce-port 26379"
    echo "sentinel monitor gateway $1 6379 $((REPLICAS / 2 + 1))"
    echo "sentinel down-after-milliseconds gateway 2000"
    # Twice this time passes before they try again, where two of them wanted to lead, or after the last failover.
    echo "sentinel failover-timeout gateway 3000"
    echo "sentinel parallel-syncs gateway 1"
  } >/data/sentinel.new
  mv /data/sentinel.new /data/sentinel.conf
}

primary=$(find_primary)
if [ "$primary" != "$(known_before)" ]; then
  # Sentinel does not start while the name of the primary leads nowhere.
  until timeout 2 redis-cli -h "$primary" ping 2>/dev/null | grep -q PONG; do
    sleep 1
    primary=$(find_primary)
  done
  write_configuration "$primary"
fi
# Sentinel writes the password back without its quotes, which it could not read again.
grep -v '^sentinel auth-pass ' /data/sentinel.conf >/data/sentinel.new
printf 'sentinel auth-pass gateway %s\n' "$(quoted_password)" >>/data/sentinel.new
mv /data/sentinel.new /data/sentinel.conf
exec redis-server /data/sentinel.conf --sentinel
