#!/usr/bin/env bash
# kcat: what its README shows. Each example prints its name, then what kcat printed.

set -u
cd "$(mktemp -d)" || exit 1
trap 'rm -rf "$PWD"' EXIT
cat() { timeout 30 kcat -b "$KAFKA" "$@" 2>&1; }
example() { echo "## $1"; }

example "produce from standard input, consume to the end"
printf 'one\ntwo\nthree\n' | cat -P -t letters -p 0
cat -C -t letters -p 0 -o beginning -e -q

example "keys, headers and a format"
printf 'k1:first\nk2:second\n:empty key\n' | cat -P -t keyed -K : -H source=page -H empty= -p 0
cat -C -t keyed -o beginning -e -q -f '%t [%p] at offset %o: key %K %k, value %S %s, headers %h\n'

example "null keys and null values"
printf 'k1:\n' | cat -P -t nulls -Z -K : -p 0
cat -C -t nulls -o beginning -e -q -f '%K %S\n'

example "the last records, from an offset, a count"
seq 10 | cat -P -t numbers -p 0
cat -C -t numbers -p 0 -o -3 -e -q
cat -C -t numbers -p 0 -o 4 -c 2 -q
cat -C -t numbers -p 0 -o 100 -e

for codec in gzip snappy lz4 zstd; do
    example "compressed by $codec"
    seq 200 | cat -P -t "packed-$codec" -p 0 -z "$codec"
    cat -C -t "packed-$codec" -o beginning -e -q | md5sum
done

example "metadata"
cat -L -t letters
cat -L -J -t letters | python3 -c 'import json, sys; found = json.load(sys.stdin); print(found["controllerid"], found["topics"])'

example "a topic that is not there"
cat -L -t nowhere | grep -v "^Metadata"
cat -C -t nowhere -o beginning -e | grep -v "^%3"

example "offsets by time"
cat -Q -t numbers:0:-1
cat -Q -t numbers:0:-2
cat -Q -t numbers:0:1

example "a time to begin and a time to end"
cat -C -t numbers -p 0 -o s@1 -o e@4102444800000 -e -q | head -3

example "a group reads each record once"
seq 5 | cat -P -t grouped -p 0
cat -G readers -X auto.offset.reset=earliest -c 5 -q grouped
seq 6 8 | cat -P -t grouped -p 0
cat -G readers -X auto.offset.reset=earliest -c 3 -q grouped

example "JSON"
printf 'k:{"a":1}\n' | cat -P -t json -K : -p 0
cat -C -t json -o beginning -e -q -J | sed 's/"ts":[0-9]*/"ts":0/'

example "a transaction"
printf 'one\ntwo\n' | cat -P -t paid -p 0 -X transactional.id=page | grep -v GETPID
cat -C -t paid -o beginning -e -q -X isolation.level=read_committed

example "an idempotent producer"
seq 3 | cat -P -t once -p 0 -X enable.idempotence=true
cat -C -t once -o beginning -e -q

example "acks"
for acks in 0 1 all; do echo "acks $acks" | cat -P -t acks -p 0 -X acks="$acks"; done
cat -C -t acks -o beginning -c 3 -q
