# Whether the Redis server of this pod answers. A replica that is in step with its primary may take over from now on.
set -eu
redis-cli ping | grep -q PONG
if redis-cli info replication | grep -q '^master_link_status:up'; then
  redis-cli config set replica-priority 100 >/dev/null
fi
