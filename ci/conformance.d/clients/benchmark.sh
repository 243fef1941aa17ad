#!/usr/bin/env bash
# redis-benchmark: its default run, pipelined, with few requests. Prints the tests it came through, and its errors.

set -u
example() { echo "## $1"; }
bench() {
    redis-benchmark -h "$REDIS_HOST" -p "$REDIS_PORT" -n 2000 "$@" 2>&1 | tr '\r' '\n' |
        sed -nE 's/^"([^"]+)","[0-9].*/\1/p; s/^(.*): [0-9.]+ requests per second.*/\1/p; /rror/p' | sort -u
}

example "default run"
bench -P 16 --csv
example "default run, one request at a time, quiet"
bench -q
example "random keys and threads"
bench -P 8 -r 1000 -t set,incr,sadd,zadd,xadd --threads 2 -q
example "RESP3"
bench -3 -q -t set,get,lrange
example "a command of one's own"
bench -q -n 100 eval "return redis.call('incr', KEYS[1])" 1 counter
redis-cli -h "$REDIS_HOST" -p "$REDIS_PORT" get counter
