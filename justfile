# Each recipe is one command that CI or a script in ci/ runs as well.

# List the recipes.
default:
    @just --list

# What CI runs.
check:
    bash .ci/run

# All tests: no network, no other program.
test:
    cargo test

# Format everything.
fmt:
    cargo fmt --all
    gofmt -w ci bench

# The figures of docs/benchmarks.md, each beside a peer measured in the same run.
bench:
    bench/run

# Everything that takes longer than `check`; name steps to run only those.
full *steps:
    ci/full {{ steps }}
