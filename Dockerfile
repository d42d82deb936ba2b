# rampwatch in a container. The image holds the program and the certificate authorities, and no configuration, key or store.
#
#   docker build -t rampwatch .
#   docker run --network host --user "$(id -u)" --stop-timeout 15 \
#     -v /etc/rampwatch/config.toml:/etc/rampwatch/config.toml:ro -v /etc/rampwatch/api-key:/run/secrets/api-key:ro \
#     -e RAMPWATCH__API__KEY_ENV= -e RAMPWATCH__API__KEY_FILE=/run/secrets/api-key \
#     -v /srv/rampwatch:/var/lib/rampwatch rampwatch
#
# The configuration belongs to root, or to the user in the container, and nobody else may write it.
#
# Commands run inside (`docker exec`), over a socket beside the store. The operator API listens on loopback only: metrics are read
# on the host's own network or by a neighbour that shares the container's.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY abi ./abi
COPY config.toml README.md ./
COPY src ./src
COPY tests ./tests
RUN cargo build --release --locked --bin rampwatch && strip --strip-debug target/release/rampwatch

FROM debian:bookworm-slim
# Nobody: a number, so that orchestrators can see that it is not root.
ARG UID=10001
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/target/release/rampwatch /usr/local/bin/rampwatch
RUN install -d -m 0700 -o ${UID} -g ${UID} /var/lib/rampwatch
USER ${UID}:${UID}
ENV RAMPWATCH_CONFIG=/etc/rampwatch/config.toml \
    RAMPWATCH__STORE__PATH=/var/lib/rampwatch/store \
    RAMPWATCH__LOG__FORMAT=json
VOLUME /var/lib/rampwatch
# It hears TERM as the first process too, ends within 10 seconds and has no children: there is no need for an init.
STOPSIGNAL SIGTERM
ENTRYPOINT ["rampwatch"]
CMD ["run"]
