# The image of the gateway: its wheel and the locked libraries in a virtual environment on the official Python image.
#
#   make image             build it by podman, buildah or docker
#
# It runs as a numeric user without a name, on a read-only root, and writes nothing but /tmp.
FROM python:3.13-slim-trixie AS build
WORKDIR /src
# What builds the wheel has a virtual environment of its own, which stays here.
COPY requirements/build.txt requirements/run.txt requirements/
RUN python -m venv /opt/build && \
    /opt/build/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/build.txt && \
    python -m venv --without-pip /opt/smart-gateway && \
    /opt/build/bin/pip --python /opt/smart-gateway/bin/python install \
        --no-cache-dir --no-compile --require-hashes --only-binary :all: -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
# Bytecode is made here, because nothing can write it later. Its hash is not compared with the source, which is fixed.
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /tmp/wheels . && \
    /opt/build/bin/pip --python /opt/smart-gateway/bin/python install --no-cache-dir --no-compile --no-deps --no-index \
        /tmp/wheels/*.whl && \
    find /opt/smart-gateway -type d \( -name tests -o -name test \) -prune -exec rm -r {} + && \
    find /opt/smart-gateway -type f \( -name '*.pyx' -o -name '*.pxd' -o -name '*.pyi' -o -name '*.c' -o -name '*.h' \) \
        -delete && \
    python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/smart-gateway/lib

FROM python:3.13-slim-trixie
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="smart-fhir-gateway" \
      org.opencontainers.image.description="SMART App Launch in front of any FHIR R4 server" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"
COPY --from=build /opt/smart-gateway /opt/smart-gateway
ENV PATH=/opt/smart-gateway/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /tmp
USER 10001:10001
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s \
    CMD ["smart-gateway", "check-health", "--config", "/etc/smart-gateway/gateway.yaml"]
ENTRYPOINT ["smart-gateway"]
CMD ["serve", "--config", "/etc/smart-gateway/gateway.yaml"]
