# The image of every process: `sortation api`, `sortation worker`, `sortation relay`, `sortation migrate`.
FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /opt/sortation
# What is installed is what the lock names, byte for byte.
COPY requirements.lock ./
RUN /opt/sortation/bin/pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY ports ports
COPY adapters adapters
COPY plugins plugins
COPY sortation sortation
COPY entrypoints entrypoints
RUN /opt/sortation/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/sortation sortation
COPY --from=build /opt/sortation /opt/sortation
ENV PATH=/opt/sortation/bin:$PATH \
    SORTATION_DATA_DIR=/var/lib/sortation/data \
    SORTATION_HOST=0.0.0.0 \
    ORT_DISABLE_TELEMETRY=1 \
    OMP_NUM_THREADS=1 \
    PYTHONUNBUFFERED=1
USER sortation
WORKDIR /var/lib/sortation
EXPOSE 8080
ENTRYPOINT ["sortation"]
CMD ["api"]
