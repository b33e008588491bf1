# One service as one image: `docker build --build-arg BIN=sotp-ping .`
#
# THIS FILE HAS NOT BEEN RUN by the project: there is no container engine where it is tested.
# The image holds one static binary and the certificate authorities, and runs as nobody's user 65532. A service that keeps
# versions needs git beside it: `--build-arg BASE=with-git`.

ARG BASE=scratch

FROM debian:bookworm-slim AS with-git
RUN apt-get update \
 && apt-get install --yes --no-install-recommends git openssh-client \
 && rm -rf /var/lib/apt/lists/*

FROM rust:1.95.0-bookworm AS chef
RUN cargo install cargo-chef --version 0.1.78 --locked
WORKDIR /src

FROM chef AS plan
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS build
ARG BIN
RUN test -n "$BIN" || { echo 'name the service: --build-arg BIN=sotp-ping' >&2; exit 1; }
# A static binary needs its target named, or build scripts and macros would be built static too.
ENV RUSTFLAGS="-C target-feature=+crt-static"
# What others wrote is compiled once, and again only when Cargo.lock changes.
COPY --from=plan /src/recipe.json recipe.json
RUN cargo chef cook --locked --profile dist --bin "$BIN" --target "$(rustc -vV | sed -n 's/^host: //p')"
COPY . .
RUN target=$(rustc -vV | sed -n 's/^host: //p') \
 && cargo build --locked --profile dist --bin "$BIN" --target "$target" \
 && install -D -m 0755 "target/$target/dist/$BIN" /out/service \
 && mkdir /out/data
# Whose work the binary is made of: their licences want to be beside it.
RUN unset RUSTFLAGS \
 && cargo fetch --locked \
 && cargo run --locked -q -p sotp-checks --bin sotp-packages -- notices "$BIN" > /out/THIRD-PARTY.md

FROM ${BASE}
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/service /service
COPY --from=build /out/THIRD-PARTY.md /src/LICENSE /usr/share/doc/sotp/
# A volume on it belongs to the user of the service: for what must survive the container.
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
ENTRYPOINT ["/service"]
