#!/usr/bin/env bash
# redis-cli: what its guide shows besides the prompt. Each example prints its name, then what redis-cli printed.

set -u
cd "$(mktemp -d)" || exit 1
trap 'rm -rf "$PWD"' EXIT
cli() { redis-cli -h "$REDIS_HOST" -p "$REDIS_PORT" "$@" 2>&1; }
example() {
    echo "## $1"
    cli flushall >/dev/null
}
# Waits for a condition, though not for ever.
until_true() {
    local tries=0
    until "$@" || ((++tries == 300)); do sleep 0.01; done
}
heard() { [[ $(cli publish "$1" "$2") == 1 ]]; }
says() {
    local pattern=$1
    shift
    cli "$@" | grep -q "$pattern"
}
# Ends what does not end by itself, once it printed a line that matches.
until_line() {
    local pattern=$1 line
    shift
    coproc running { exec redis-cli -h "$REDIS_HOST" -p "$REDIS_PORT" "$@" 2>&1; }
    local pid=$running_PID
    exec 3<&"${running[0]}"
    while IFS= read -r -t 10 line <&3; do
        echo "$line"
        [[ $line =~ $pattern ]] && break
    done
    kill "$pid"
    wait "$pid" 2>/dev/null
    exec 3<&-
}

example "commands as arguments"
cli set mykey "hello world"
cli incr mycounter
cli --no-raw incr mycounter
cli --no-raw get mykey
cli get none
cli --no-raw get none
cli lpush mylist a b c
cli --no-raw lrange mylist 0 -1
cli -e incr mykey
echo "status $?"
cli nope x y
cli --no-raw hgetall none

example "host, database, URI, user and password"
cli -n 3 set where three
cli -n 3 dbsize
redis-cli -u "redis://$REDIS_HOST:$REDIS_PORT/3" get where 2>&1
cli acl setuser ann on '>secret' '~*' '+@all'
cli --user ann --pass secret --no-auth-warning acl whoami
cli --user ann --pass wrong --no-auth-warning ping
redis-cli -u "redis://ann:secret@$REDIS_HOST:$REDIS_PORT" --no-auth-warning acl whoami 2>&1
REDISCLI_AUTH=nothing cli ping
cli acl deluser ann

example "last argument from standard input, -x and -X"
printf 'line one\nline two' | cli -x set document
cli getrange document 0 7
cli --raw -D "" dump document >dump
cli -X payload restore copy 0 payload <dump
cli get copy

example "commands from standard input"
printf 'SET item:1 one\nINCR counter\nGET "item:1"\nSELECT 2\nDBSIZE\n' | cli
printf 'MULTI\nSET a 1\nGET a\nEXEC\n' | cli

example "--csv"
cli rpush mylist a 'b "quoted"' '' >/dev/null
cli --csv lrange mylist 0 -1
cli --csv get none
cli hset h f v >/dev/null
cli --csv hgetall h

example "--json and --quoted-json"
cli hset h f v n 1 >/dev/null
cli --json hgetall h
cli -2 --json hgetall h
cli zadd z 1.5 m 2 n >/dev/null
cli --json zrange z 0 -1 withscores
cli set bytes $'a\xff\xe2\x82\xac' >/dev/null
cli --quoted-json get bytes
cli --json get none
cli --json nope
cli --json command info get

example "-3"
cli hset h f v >/dev/null
cli -3 --no-raw hgetall h
cli zadd z 1.5 m >/dev/null
cli -3 --no-raw zrange z 0 -1 withscores
cli -3 --no-raw debug protocol true
cli sadd s x >/dev/null
cli -3 --no-raw smembers s
cli -3 hello | sed 's/^id .*/id ID/'

example "repeat and delimiters"
cli -r 3 -i 0.01 incr n
cli rpush l a b >/dev/null
cli -d , lrange l 0 -1
cli -D '|' -r 2 get n

example "--eval"
cat >compare.lua <<'LUA'
if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) else return {0, KEYS, ARGV} end
LUA
cli set lock mine >/dev/null
cli --no-raw --eval compare.lua lock , other
cli --no-raw --eval compare.lua lock , mine
echo 'return redis.call("nope")' >wrong.lua
cli --eval wrong.lua

example "mass insertion, --pipe"
for at in $(seq 1 10000); do printf '*3\r\n$3\r\nSET\r\n$%d\r\nkey:%d\r\n$1\r\nv\r\n' $((4 + ${#at})) "$at"; done >data
cli --pipe <data
cli dbsize
printf 'LPUSH key:1 a\r\nSET x y\r\n' | cli --pipe
echo "status $?"

example "--scan, with a pattern"
for at in 1 2 3 11 12; do cli set "key:$at" v; cli lpush "list:$at" v; done >/dev/null
cli --scan | sort
cli --scan --pattern 'key:1*' | sort
cli --scan --quoted-pattern '"list:\x31*"' | sort

example "--bigkeys"
cli set string "$(printf 'x%.0s' {1..100})" >/dev/null
cli rpush list a b c >/dev/null
cli sadd set a b >/dev/null
cli zadd zset 1 a 2 b >/dev/null
cli hset hash a 1 b 2 c 3 d 4 >/dev/null
cli xadd stream 1-1 f v >/dev/null
# Which key is met first is the server's choice.
cli --bigkeys | grep -v '^\[' | sort

example "--memkeys"
cli set only value >/dev/null
cli --memkeys | sed 's/[0-9.]* bytes/N bytes/g; s/size [0-9.]*/size N/' | grep -v '^\['

example "--hotkeys"
cli set hot 1 >/dev/null
cli --hotkeys
cli config set maxmemory-policy allkeys-lfu
for at in $(seq 50); do echo get hot; done | cli >/dev/null
cli --hotkeys | sed 's/counter: *[0-9]*/counter: N/; s/counter [0-9]*/counter N/'
cli config set maxmemory-policy noeviction

example "--latency, --latency-history, --intrinsic-latency"
cli --latency -i 0.2 | sed 's/[0-9.]\+/N/g'
cli --csv --latency -i 0.2 | sed 's/[0-9.]\+/N/g'

example "--stat"
until_line '[0-9]+ \(\+[0-9]+\)' --stat -i 0.05 | sed 's/[0-9.]\+[KMG]\?/N/g; s/  */ /g'

example "--lru-test"
cli config set maxmemory-policy allkeys-lru
until_line 'Hits' --lru-test 50 | sed 's/[0-9.]\+/N/g'
cli config set maxmemory-policy noeviction

example "subscribe and psubscribe"
until_true heard news hello &
until_line '^hello$' subscribe news music
wait $!
until_true heard pattern last &
until_line '^last$' psubscribe 'p*'
wait $!

example "monitor"
(until_true says cmd=monitor client list; cli set a 'b c' >/dev/null) &
until_line 'set' monitor | grep -v client | sed 's/^[0-9.]*/TIME/; s/127.0.0.1:[0-9]*/ADDRESS/'
wait $!

example "--rdb and --functions-rdb"
cli config set repl-diskless-sync-delay 0 >/dev/null
cli set a value >/dev/null
cli function load '#!lua name=lib
redis.register_function("f", function() return 1 end)'
cli --rdb dump.rdb | sed 's/[0-9]\+ bytes/N bytes/g'
head -c 9 dump.rdb; echo
strings dump.rdb | grep -c value
cli --functions-rdb functions.rdb | sed 's/[0-9]\+ bytes/N bytes/g'
head -c 9 functions.rdb; echo
cli function flush

example "--replica"
cli config set repl-diskless-sync-delay 0 >/dev/null
(until_true says connected_slaves:1 info replication; cli set followed 1 >/dev/null) &
until_line 'followed' --replica | sed 's/[0-9]\+ bytes/N bytes/g; s/\$[0-9]*/N/'
wait $!

example "help and cluster"
cli --cluster check "$REDIS_HOST:$REDIS_PORT" | sed "s/$REDIS_PORT/PORT/g"
cli cluster info
cli --json command docs get | grep -o '"summary":"[^"]*"' | head -1
cli info server | grep -E 'redis_version|redis_mode|arch_bits'
