# The daemon's image. With your handlers in it:
#
#   FROM ftq-daemon
#   COPY mailer.py ./
#   ENV FTQ_HANDLERS=mailer:registry
#
# What they need beside ftq goes to /opt/ftq as ftq itself does below: see docs/how-to/deploy.md.

# The tag says to people what the digest says to machines: an index of amd64 and arm64.
ARG PYTHON_IMAGE=python:3.13.14-slim-bookworm@sha256:67a1e1f215ccda113cfc024e8639049257e88f273898f595b61476d128d387e8

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements/build.txt requirements/daemon.txt requirements/
# Wheels only: nothing is compiled, so no compiler is needed. Hashes or nothing.
RUN python -m venv --without-pip /opt/ftq \
    && pip install --no-deps --require-hashes --only-binary :all: -r requirements/build.txt \
    && pip --python /opt/ftq/bin/python install --no-deps --no-compile --require-hashes --only-binary :all: \
        -r requirements/daemon.txt
COPY pyproject.toml README.md LICENSE ./
COPY ftq ftq
COPY ftq_daemon ftq_daemon
COPY api_lambda api_lambda
COPY ftq_cli ftq_cli
COPY ftq_testing ftq_testing
# The command needs packages that a daemon does not; the demo's handlers need none. The root will
# be read-only, so what is not compiled now would be compiled at every start.
RUN pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist . \
    && pip --python /opt/ftq/bin/python install --quiet --no-deps --no-index --no-compile dist/*.whl \
    && rm /opt/ftq/bin/ftq \
    && python -m compileall -q -j 0 /opt/ftq/lib

FROM ${PYTHON_IMAGE}
# An image is made, not changed: no installer in what runs.
RUN rm -rf /usr/local/lib/python3.*/site-packages/pip* /usr/local/lib/python3.*/ensurepip /usr/local/bin/pip* \
    && groupadd --gid 10001 ftq \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin ftq
COPY --from=build /opt/ftq /opt/ftq
ENV PATH=/opt/ftq/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
USER 10001:10001
# The one place to write to when the root is read-only. Fargate copies its owner and mode from here
# ("Use bind mounts with Amazon ECS").
VOLUME ["/tmp"]
EXPOSE 8081
STOPSIGNAL SIGTERM
# ECS has its own, in the task definition, and ignores this one.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-m", "ftq_daemon.healthcheck"]
ENTRYPOINT ["python", "-m", "ftq_daemon"]
