# The daemon's image; `--target local` makes the one of the whole `ftq` command, for docker-compose.yml.
# With your handlers in it:
#
#   FROM ftq-daemon
#   COPY mailer.py ./
#   ENV FTQ_HANDLERS=mailer:registry
#
# What they need beside ftq goes to /opt/ftq as ftq itself does below: see docs/how-to/deploy.md.

# The tag says to people what the digest says to machines: an index of amd64 and arm64.
ARG PYTHON_IMAGE=python:3.13.14-slim-bookworm@sha256:67a1e1f215ccda113cfc024e8639049257e88f273898f595b61476d128d387e8

FROM ${PYTHON_IMAGE} AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements/build.txt requirements/daemon.txt requirements/
# Wheels only: nothing is compiled, so no compiler is needed. Hashes or nothing. The root will be
# read-only, so what is not compiled to bytecode now would be at every start.
RUN python -m venv --without-pip /opt/ftq \
    && pip install --no-deps --require-hashes --only-binary :all: -r requirements/build.txt \
    && pip --python /opt/ftq/bin/python install --no-deps --no-compile --require-hashes --only-binary :all: \
        -r requirements/daemon.txt \
    && python -m compileall -q -j 0 /opt/ftq/lib

FROM packages AS build
COPY pyproject.toml README.md LICENSE ./
COPY ftq ftq
COPY ftq_daemon ftq_daemon
COPY api_lambda api_lambda
COPY ftq_cli ftq_cli
COPY ftq_testing ftq_testing
# Apart from the packages, so that a change of ftq is a small layer.
RUN pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist . \
    && pip --python /opt/ftq/bin/python install --quiet --no-deps --no-index --no-compile --root /own dist/*.whl \
    && python -m compileall -q -j 0 -s /own -p / /own

FROM packages AS packages-local
COPY requirements/local.txt requirements/
RUN pip --python /opt/ftq/bin/python install --no-deps --no-compile --require-hashes --only-binary :all: \
        -r requirements/local.txt \
    && python -m compileall -q -j 0 /opt/ftq/lib

FROM ${PYTHON_IMAGE} AS base
# An image is made, not changed: no installer in what runs, and /app is root's, whoever builds. Nobody
# becomes root by a program of Debian's: Fargate has no "no-new-privileges" (dockerSecurityOptions).
RUN find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
    && rm -rf /usr/local/lib/python3.*/site-packages/pip* /usr/local/lib/python3.*/ensurepip /usr/local/bin/pip* \
    && groupadd --gid 10001 ftq \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin ftq \
    && mkdir /app
ENV PATH=/opt/ftq/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
USER 10001:10001
# The one place to write to when the root is read-only. Fargate copies its owner and mode from here
# ("Use bind mounts with Amazon ECS").
VOLUME ["/tmp"]
STOPSIGNAL SIGTERM

# The API as `ftq up` serves it, the embedded AWS, and the commands: nothing for AWS itself.
FROM base AS local
COPY --from=packages-local /opt/ftq /opt/ftq
COPY --from=build /own/opt/ftq /opt/ftq
EXPOSE 8700
ENTRYPOINT ["ftq"]

FROM base AS daemon
COPY --from=packages /opt/ftq /opt/ftq
# Not the command, whose packages a daemon has not; the demo's handlers need none.
COPY --from=build /own/opt/ftq/lib /opt/ftq/lib
EXPOSE 8081
# ECS has its own, in the task definition, and ignores this one.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-m", "ftq_daemon.healthcheck"]
ENTRYPOINT ["python", "-m", "ftq_daemon"]
