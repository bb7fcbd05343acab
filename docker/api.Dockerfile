# The HTTP service: the [api] extra, and nothing of the worker's. Build from the repository:
#   docker build -f docker/api.Dockerfile -t vedette-api .

FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements-build.txt requirements-api.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-build.txt \
    && python -m venv --without-pip /opt/vedette \
    && pip --python /opt/vedette install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: -r requirements-api.txt
COPY pyproject.toml README.md ./
COPY api_service api_service
COPY worker_service worker_service
COPY shared shared
RUN pip wheel --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation -w /wheels . \
    && pip --python /opt/vedette install --no-cache-dir --disable-pip-version-check --no-deps /wheels/*.whl

FROM python:3.13-slim
COPY --from=build /opt/vedette /opt/vedette
COPY docker/api_health.py /opt/vedette/health.py
RUN useradd --system --uid 10001 --home-dir /var/lib/vedette --create-home --shell /usr/sbin/nologin vedette
ENV PATH=/opt/vedette/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    VEDETTE_DATA_DIR=/var/lib/vedette \
    VEDETTE_HOST=0.0.0.0
USER 10001:10001
WORKDIR /var/lib/vedette
EXPOSE 8000
# Requests under way are answered first; the longest may take half a minute.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "/opt/vedette/health.py"]
CMD ["vedette", "api"]
