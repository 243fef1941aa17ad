# Everyday commands; `just` lists them. CI runs `ci/test`, not this file.

default:
    @just --list

# The main job: every shipped scenario, in simulation.
run *ARGS:
    cargo run --release -- run scenarios/ {{ARGS}}

# What a plain machine can test: no server, no Docker.
test:
    cargo test --workspace

# Everything, with real servers. What CI runs.
ci:
    bash ci/test

# Container images of Kafka, Redis and Postgres for fixtures, from Debian's packages and Maven Central.
images *NAMES:
    ci/images/build {{NAMES}}

fmt:
    cargo fmt --all

check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# The planted bugs, and which checker kills each.
mutants:
    cargo run --release -- mutants

# Seeds per second, idle speed, profile input.
bench:
    cargo bench -p squall

deny:
    cargo deny check

# Fuzz a target for ten minutes: redis_parse, redis_exec, kafka_parse or kafka_exec. Needs a nightly compiler
# and cargo-fuzz. With the sanitizer `address`, memory is watched, that of Lua's C too.
fuzz TARGET="redis_exec" SANITIZER="none":
    mkdir -p mocks/fuzz/corpus/{{TARGET}}
    cd mocks && CFLAGS="{{ if SANITIZER == "address" { "-fsanitize=address -fno-omit-frame-pointer" } else { "" } }}" cargo +nightly fuzz run -s {{SANITIZER}} {{TARGET}} fuzz/corpus/{{TARGET}} {{ if TARGET =~ "^redis" { "tests/redis_differential/golden" } else { "" } }} -- -max_total_time=600 -timeout=30 -rss_limit_mb=3000 -max_len=4096
