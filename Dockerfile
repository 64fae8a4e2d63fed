# The image of all roles: `docker build -t inkling .`, then deploy/compose.yaml. What is only needed to build stays behind.
FROM python:3.13-slim AS build
WORKDIR /src
COPY . .
RUN deploy/install /opt/inkling

FROM python:3.13-slim
# For `inkling backup` of PostgreSQL.
RUN apt-get update \
    && apt-get install -y --no-install-recommends postgresql-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin inkling \
    && install -d -o inkling -g inkling -m 0700 /data
COPY --from=build /opt/inkling /opt/inkling
ENV PATH=/opt/inkling/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    INKLING_DATA_DIR=/data
USER inkling
WORKDIR /data
VOLUME /data
EXPOSE 8000 2525
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=20s --interval=30s --timeout=5s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["inkling"]
CMD ["serve", "--host", "0.0.0.0"]
