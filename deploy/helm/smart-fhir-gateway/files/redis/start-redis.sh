# Starts the Redis server of this pod, with a configuration that the Sentinels may rewrite.
set -eu
umask 077
. /scripts/find-primary.sh

primary=$(find_primary)
if [ "$primary" = "$me" ]; then
  await_failover
  primary=$(find_primary)
fi
password=$(quoted_password)
# What was written counts once a replica has it: a primary that is cut off accepts nothing.
needed=$((REPLICAS > 1 ? 1 : 0))
{
  echo "port 6379"
  echo "dir /data"
  echo "protected-mode no"
  printf 'requirepass %s\n' "$password"
  printf 'masterauth %s\n' "$password"
  echo "appendonly yes"
  echo "appendfsync everysec"
  echo 'save ""'
  echo "maxmemory-policy noeviction"
  echo "repl-diskless-sync-delay 0"
  echo "replica-announce-ip $me"
  echo "min-replicas-to-write $needed"
  echo "min-replicas-max-lag 5"
  if [ "$primary" != "$me" ]; then
    echo "replicaof $primary 6379"
    # It may have missed writes: no Sentinel promotes it until probe-redis.sh has seen it in step with the primary.
    echo "replica-priority 0"
  fi
} >/data/redis.conf
echo "The primary is $primary."
exec redis-server /data/redis.conf
