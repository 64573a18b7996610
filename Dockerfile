# syntax=docker/dockerfile:1
#
#   docker build -t sentopic .                     the onnx engine; no TensorFlow
#   docker build -t sentopic:gpu --target gpu .    TensorFlow with CUDA; the host gives the NVIDIA driver and container toolkit
#   docker build -t sentopic:ray --target ray .    a node of a Ray cluster (docs/ray.md)
#
#   docker run -p 8000:8000 --read-only --cap-drop ALL sentopic
#   docker run -p 8000:8000 --read-only --cap-drop ALL --tmpfs /tmp --gpus all sentopic:gpu
#
# A release adds the labels that only it knows: --label org.opencontainers.image.version=... (and revision, source, created).

ARG PYTHON_VERSION=3.11

# ---- The service's dependencies.
FROM python:${PYTHON_VERSION}-slim AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
# Without pip: it installs from outside, and what runs later has no use for it.
RUN python -m venv --without-pip /opt/venv
WORKDIR /build

# image.txt: what serving needs, and the drivers of what containers share, PostgreSQL and Redis.
FROM builder AS cpu-venv
COPY requirements/image.txt .
# The libraries' own tests would be 32 MB of the image.
RUN pip --python /opt/venv/bin/python install --require-hashes --only-binary=:all: -r image.txt \
 && find /opt/venv/lib -type d \( -name tests -o -path '*/onnx/backend/test' \) -prune -exec rm -r {} +

FROM builder AS ray-venv
COPY requirements/ray.txt .
RUN pip --python /opt/venv/bin/python install --require-hashes --only-binary=:all: -r ray.txt \
 && find /opt/venv/lib -type d \( -name tests -o -path '*/onnx/backend/test' \) -prune -exec rm -r {} +

# ---- The code, compiled here since the running container writes nothing.
FROM builder AS code
COPY app app
RUN python -m compileall -q app

# ---- What both images share.
FROM python:${PYTHON_VERSION}-slim AS runtime
LABEL org.opencontainers.image.title="Sentopic" \
      org.opencontainers.image.description="Text classification by small recurrent networks, served over HTTP" \
      org.opencontainers.image.licenses="Apache-2.0"
# /tmp as home: the only place that a read-only container may have been given to write to.
# /var/lib/sentopic: for a volume with jobs (SENTOPIC_JOBS), which takes this directory's owner.
RUN useradd --no-log-init --uid 1000 --home-dir /tmp --shell /usr/sbin/nologin sentopic \
 && install -d -o 1000 -g 1000 -m 700 /var/lib/sentopic \
# No program of the base may lend anybody more rights than he has.
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} +
# ONNX Runtime for Linux has sent telemetry since 1.29 unless told not to.
ENV ORT_DISABLE_TELEMETRY=1 \
    PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SENTOPIC_HOST=0.0.0.0 \
    SENTOPIC_PORT=8000
WORKDIR /srv/sentopic
# By number: Kubernetes' runAsNonRoot cannot judge a name.
USER 1000:1000
EXPOSE 8000
STOPSIGNAL SIGTERM
# No proxy: http_proxy may be set in the container, and would be asked for 127.0.0.1. The start period is TensorFlow's; onnx needs a second.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open(f\"http://127.0.0.1:{os.environ['SENTOPIC_PORT']}/health/ready\", timeout=4)"]
ENTRYPOINT ["python", "-m", "app.cli"]
CMD ["serve"]

# ---- For GPUs: installed here and not copied, as it would be 6 GB twice.
FROM runtime AS gpu
USER 0:0
# Headers, static libraries, Clang and what no library here names would be 0.8 GB more.
RUN --mount=type=bind,source=requirements/gpu.txt,target=/build/gpu.txt \
    --mount=type=bind,source=requirements/image.txt,target=/build/image.txt \
    python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python --no-cache-dir --disable-pip-version-check install --root-user-action=ignore \
      --require-hashes --only-binary=:all: -r /build/gpu.txt -r /build/image.txt \
 && find /opt/venv/lib \( \
      -type d \( -name tests -o -path '*/tensorflow/include' -o -path '*/nvidia/*/include' -o -path '*/site-packages/clang' \) \
      -o -path '*/nvidia/*.a' -o -name 'libcusolverMg.so*' -o -name 'libnvrtc*.alt.so*' \
    \) -prune -exec rm -r {} +
USER 1000:1000
# The engine writes a temporary file and CUDA caches kernels: read-only, this image needs --tmpfs /tmp.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NVIDIA_VISIBLE_DEVICES=all \
    SENTOPIC_ENGINE=keras \
    TF_FORCE_GPU_ALLOW_GROWTH=true
COPY LICENSE ./
COPY --from=code /build/app app
COPY artifacts artifacts

# A node writes to /tmp (read-only, it needs --tmpfs /tmp) and shares memory: --shm-size, or Ray takes /tmp for that too.
FROM runtime AS ray
# Without a token a node ends at once: whoever reaches an open cluster may run any code on it.
# Ray's processes start somewhere else, so that the path says where the application is.
# HAProxy, which comes with Ray, hands requests to replicas: several times as many as Ray's own proxy did. It asks another replica
# where one has gone without a word, for requests of up to 16 KB; docs/ray.md has the rest.
ENV PYTHONPATH=/srv/sentopic \
    RAY_AUTH_MODE=token \
    RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S=10 \
    RAY_SERVE_ENABLE_HA_PROXY=1 \
    RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER=2s \
    RAY_SERVE_HAPROXY_RETRY_ON="conn-failure empty-response" \
    RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S=60 \
    RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=app.replica:middlewares \
    RAY_SERVE_THROUGHPUT_OPTIMIZED=1 \
    RAY_USAGE_STATS_ENABLED=0 \
    SENTOPIC_ENGINE=onnx
COPY --from=ray-venv /opt/venv /opt/venv
COPY LICENSE ./
COPY --from=code /build/app app
COPY artifacts artifacts
COPY deploy/ray deploy/ray
# Of the node: what is deployed on it is looked at by Ray.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:52365/api/local_raylet_healthz', timeout=4)"]
ENTRYPOINT ["ray"]
CMD ["start", "--head", "--block"]

# ---- For CPUs, and what `docker build` makes without being told which: the last one.
FROM runtime AS cpu
ENV SENTOPIC_ENGINE=onnx
COPY --from=cpu-venv /opt/venv /opt/venv
COPY LICENSE ./
COPY --from=code /build/app app
COPY artifacts artifacts
