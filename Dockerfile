# Both programs in one image. `docker run IMAGE --help` explains how to use it; compose.yaml shows it in use.

FROM rust:1-slim-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ make pkg-config libcurl4-openssl-dev libssl-dev zlib1g-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# For --version, because Git's folder is not in the context: --build-arg CATALOG_COMMIT="$(git rev-parse HEAD)"
ARG CATALOG_COMMIT=
# The builder keeps downloads and compiled dependencies, so the next build is quick. All clones on this machine share
# them, one build at a time. The project's own crates are always compiled again: cargo compares modification times, and
# the files of one clone may be older than what was compiled from another one.
RUN --mount=type=cache,id=catalog-stream-registry,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=catalog-stream-target,target=/src/target,sharing=locked \
    cargo clean --quiet --release --locked -p catalog-shared -p catalog-producer -p catalog-consumer \
 && cargo build --release --locked -p catalog-producer -p catalog-consumer \
 && install -D -t /programs target/release/catalog-producer target/release/catalog-consumer
# Debug information is most of the programs' size. It goes to a stage of its own.
RUN mkdir /debug && cd /programs && for program in *; do \
      objcopy --only-keep-debug "$program" "/debug/$program.debug" \
   && objcopy --strip-debug --add-gnu-debuglink="/debug/$program.debug" "$program" \
   || exit 1; \
    done

# For a debugger:  docker build --target debug --output debug .
FROM scratch AS debug
COPY --from=build /debug/ /

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libcurl4 libssl3 zlib1g \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin catalog
COPY --from=build /programs/ /usr/local/bin/
COPY deploy/docker-entrypoint /usr/local/bin/
# A number, so that Kubernetes can check that it is not root.
USER 10001:10001
# Both programs finish the pages or batches in flight.
STOPSIGNAL SIGTERM
ENTRYPOINT ["docker-entrypoint"]
