# The engine alone, from its Debian package. docker/image.sh builds it: the context is the folder with the package.
ARG BASE=debian:bookworm-slim

FROM ${BASE}
COPY nfsteer_*.deb /tmp/
RUN apt-get update -q && \
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends /tmp/nfsteer_*.deb && \
    apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /tmp/*.deb && \
    mkdir -p /run/nfsteer
ARG VERSION
LABEL org.opencontainers.image.title="nfsteer" \
      org.opencontainers.image.description="Packet steering engine for virtual IPs" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="GPL-2.0-or-later"
# Root without capabilities but the two that it needs (docker/image.sh --help): nothing is root's own but the lock and
# the control socket. The setting `user` makes it another user after that.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["nfsteer", "status"]
ENTRYPOINT ["nfsteer"]
CMD ["run", "-c", "/etc/nfsteer/nfsteer.yaml"]
