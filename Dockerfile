# syntax=docker/dockerfile:1
#
#   docker build -t sentopic .                     the onnx engine; no TensorFlow
#   docker build -t sentopic:gpu --target gpu .    TensorFlow with CUDA; the host gives the NVIDIA driver and container toolkit
#
#   docker run -p 8000:8000 --read-only --cap-drop ALL sentopic
#   docker run -p 8000:8000 --read-only --cap-drop ALL --tmpfs /tmp --gpus all sentopic:gpu
#
# A release adds the labels that only it knows: --label org.opencontainers.image.version=... (and revision, source, created).

ARG PYTHON_VERSION=3.11

# ---- Dependencies: each locked file in a stage of its own, so that one stage is built without the other.
FROM python:${PYTHON_VERSION}-slim AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
# Without pip: it installs from outside, and what runs later has no use for it.
RUN python -m venv --without-pip /opt/venv
WORKDIR /build

FROM builder AS cpu-venv
COPY requirements/serve.txt .
# The libraries' own tests would be 32 MB of the image.
RUN pip --python /opt/venv/bin/python install --require-hashes --only-binary=:all: -r serve.txt \
 && find /opt/venv/lib -type d \( -name tests -o -path '*/onnx/backend/test' \) -prune -exec rm -r {} +

FROM builder AS gpu-venv
COPY requirements/gpu.txt .
RUN pip --python /opt/venv/bin/python install --require-hashes --only-binary=:all: -r gpu.txt

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
 && install -d -o 1000 -g 1000 -m 700 /var/lib/sentopic
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

FROM runtime AS gpu
# The engine writes a temporary file and CUDA caches kernels: read-only, this image needs --tmpfs /tmp.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NVIDIA_VISIBLE_DEVICES=all \
    SENTOPIC_ENGINE=keras
COPY --from=gpu-venv /opt/venv /opt/venv
COPY LICENSE ./
COPY --from=code /build/app app
COPY artifacts artifacts

FROM runtime AS cpu
ENV SENTOPIC_ENGINE=onnx
COPY --from=cpu-venv /opt/venv /opt/venv
COPY LICENSE ./
COPY --from=code /build/app app
COPY artifacts artifacts
