# The service in one image (docs/operating/deploy.md):
#   docker build -t rushes .
#   docker run --init -p 127.0.0.1:8080:8080 -v rushes-data:/data rushes
ARG PYTHON_VERSION=3.13

FROM python:${PYTHON_VERSION}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv --without-pip /opt/rushes && python -m venv /opt/packaging
# What changes seldom comes first. All is installed as the locks say it, byte for byte, and as wheels: nothing is compiled.
COPY requirements.lock requirements-build.lock ./
RUN /opt/packaging/bin/pip --python /opt/rushes/bin/python install --require-hashes --only-binary :all: -r requirements.lock \
 && /opt/packaging/bin/pip install --require-hashes --only-binary :all: -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/packaging/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && /opt/packaging/bin/pip --python /opt/rushes/bin/python install --no-deps dist/*.whl

FROM python:${PYTHON_VERSION}-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="rushes" \
      org.opencontainers.image.description="A self-hosted video generation gateway" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# A fixed number, so that rights on a mounted folder and `runAsNonRoot` can name it. rushes.toml is looked for in /etc/rushes.
RUN groupadd --gid 10001 rushes \
 && useradd --uid 10001 --gid rushes --no-create-home --home-dir /data --shell /usr/sbin/nologin rushes \
 && install -d -m 0700 -o rushes -g rushes /data \
 && install -d -m 0755 /etc/rushes
COPY --from=build /opt/rushes /opt/rushes
ENV PATH=/opt/rushes/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RUSHES_DATA_DIR=/data \
    RUSHES_METRICS_HOST=0.0.0.0 \
    RUSHES_METRICS_PORT=9090
USER 10001:10001
WORKDIR /etc/rushes
VOLUME /data
# 9090 has the metrics, so that whoever reaches the API does not reach them.
EXPOSE 8080 9090
# Whether the process answers; whether it can take jobs is /readyz, which a restart would not mend.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["rushes"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8080"]
