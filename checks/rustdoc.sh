#!/bin/sh
# What `cargo test --doc` would run as tests, made into documentation: cargo then hands rustdoc the libraries that are built already,
# while `cargo doc` would check every dependency again.
for argument; do
    shift
    if [ "$drop" ]; then drop=; continue; fi
    case $argument in
        --test) continue ;;
        --test-run-directory | --test-args) drop=1; continue ;;
    esac
    set -- "$@" "$argument"
done
exec rustdoc -D warnings --out-dir target/doc "$@"
