# syntax=docker/dockerfile:1
# The service: docker build -t router-memory:0.1.0 .
# On Linux the package index's own torch brings gigabytes of CUDA, which only slows the build down:
#   docker build --build-arg PIP_EXTRA_INDEX_URL=<PyTorch's index of CPU builds> -t router-memory:0.1.0 .
# docs/kubernetes.md says more.

ARG PYTHON=3.11-slim-bookworm

# Builds the wheel, and exports the model: the one place that needs torch.
FROM python:${PYTHON} AS export
ARG PIP_EXTRA_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements/ requirements/
RUN python -m venv /opt/export && /opt/export/bin/pip install -r requirements/runtime.lock
COPY pyproject.toml README.md ./
COPY router_memory/ router_memory/
COPY config/ config/
RUN /opt/export/bin/pip wheel --no-deps --wheel-dir /wheels . && /opt/export/bin/pip install --no-deps /wheels/*.whl
ENV XDG_CACHE_HOME=/opt/models
# A configuration with another model or `embedding.runtime` than the default is exported here as well.
ARG MODEL_CONFIG=config/kubernetes.yaml
RUN /opt/export/bin/router-memory model export --config "${MODEL_CONFIG}" && chmod -R a+rX,go-w /opt/models

# What runs, without torch and what only loads models for it.
FROM python:${PYTHON} AS install
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements/container.lock /tmp/container.lock
RUN python -m venv /opt/router-memory && /opt/router-memory/bin/pip install --no-deps -r /tmp/container.lock
COPY --from=export /wheels /wheels
RUN /opt/router-memory/bin/pip install --no-deps /wheels/*.whl && /opt/router-memory/bin/pip uninstall --yes pip setuptools

FROM python:${PYTHON}
RUN groupadd --gid 10001 router-memory \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin router-memory \
 && install --directory --owner 10001 --group 10001 --mode 0700 /data
COPY --from=install /opt/router-memory /opt/router-memory
COPY --from=export /opt/models /opt/models
COPY config/kubernetes.yaml config/compose.yaml /etc/router-memory/
ENV PATH=/opt/router-memory/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ROUTER_MEMORY_CONFIG=/etc/router-memory/kubernetes.yaml \
    XDG_CACHE_HOME=/opt/models \
    XDG_DATA_HOME=/data
# Nothing else is written to: `docker run --read-only --tmpfs /tmp -v memories:/data router-memory:0.1.0`.
VOLUME /data
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/livez', timeout=2)"]
ENTRYPOINT ["router-memory"]
CMD ["serve"]
