# The worker service, and its scheduler: the [worker] extra, and nothing of the API's. Build from the repository:
#   docker build -f docker/worker.Dockerfile -t vedette-worker .

FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements-build.txt requirements-worker.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-build.txt \
    && python -m venv --without-pip /opt/vedette \
    && pip --python /opt/vedette install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: -r requirements-worker.txt
COPY pyproject.toml README.md ./
COPY api_service api_service
COPY worker_service worker_service
COPY shared shared
RUN pip wheel --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation -w /wheels . \
    && pip --python /opt/vedette install --no-cache-dir --disable-pip-version-check --no-deps /wheels/*.whl

FROM python:3.13-slim
# For network scans. It connects as any program may: no capability is needed, and none is given.
RUN apt-get update \
    && apt-get install -y --no-install-recommends nmap \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/vedette /opt/vedette
COPY docker/worker_health.py /opt/vedette/health.py
RUN useradd --system --uid 10001 --home-dir /var/lib/vedette --create-home --shell /usr/sbin/nologin vedette
ENV PATH=/opt/vedette/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    VEDETTE_DATA_DIR=/var/lib/vedette
USER 10001:10001
WORKDIR /var/lib/vedette
# Tasks that do not end within 20 s are handed back for another worker.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "/opt/vedette/health.py", "worker"]
# Queues may be named after it: vedette worker scans
CMD ["vedette", "worker"]
