# Both programs in one image. Without arguments it says so; compose.yaml shows how they are run.

FROM rust:1-slim-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ make pkg-config libssl-dev zlib1g-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# What was fetched and compiled stays with the builder, so that the next build compiles what has changed.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p catalog-producer -p catalog-consumer \
 && install -D -t /programs target/release/catalog-producer target/release/catalog-consumer

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libssl3 zlib1g \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --no-create-home --shell /usr/sbin/nologin catalog
COPY --from=build /programs/ /usr/local/bin/
USER catalog
# Both finish the page or the batch that they are at.
STOPSIGNAL SIGTERM
CMD ["sh", "-c", "echo 'Run catalog-producer or catalog-consumer; --help says more.' >&2; exit 2"]
