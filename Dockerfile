# Production image: the locked dependencies and the project, no build tools, an unprivileged user.
# One image for every process: docker run … xiaohui web | worker | migrate | check | doctor

FROM python:3.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/xiaohui
# The dependencies change less often than the project, so they are a layer of their own.
COPY requirements.lock ./
RUN /opt/xiaohui/bin/python -m pip install --no-deps --require-hashes -r requirements.lock
COPY . .
RUN /opt/xiaohui/bin/python -m pip install --no-deps --no-build-isolation . \
    && /opt/xiaohui/bin/python -m pip uninstall --yes setuptools pip

FROM python:3.13-slim-bookworm
LABEL org.opencontainers.image.title="Xiaohui" \
      org.opencontainers.image.description="Chat-native membership for WeChat, WeCom and Telegram" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --system --gid 10001 xiaohui \
    && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/xiaohui --create-home --shell /usr/sbin/nologin xiaohui
COPY --from=build /opt/xiaohui /opt/xiaohui
ENV PATH=/opt/xiaohui/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    XIAOHUI_ENVIRONMENT=production \
    XIAOHUI_HOME=/var/lib/xiaohui \
    HOST=0.0.0.0 \
    PORT=8080
USER 10001:10001
WORKDIR /var/lib/xiaohui
EXPOSE 8080
# SIGTERM drains: readiness turns off, requests in flight end, then the process does.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/readyz', timeout=4)"]
ENTRYPOINT ["xiaohui"]
CMD ["web"]
