# Three images of one project, made from the hash-pinned requirements:
#
#   app     serves and scores; no training library, no compiler, no pip of its own (the default)
#   train   trains into the volume that `app` serves from
#   test    runs the tests on the installed package
#
# Any base with Debian's tools and Python 3.11 or newer will do: --build-arg PYTHON_IMAGE=...
ARG PYTHON_IMAGE=python:3.13-slim-bookworm


# ------------------------------------------------------------ what all stages share
FROM ${PYTHON_IMAGE} AS base
# No pip or uv run by hand later may leave bytecode: what is needed is compiled while building.
# SAFEPATH keeps the working folder, which is the writable volume, off Python's module path.
ENV PATH=/opt/venv/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1
# The public Python images ship their standard library uncompiled, and the user below may not
# write there: without this every start compiles it again.
RUN python3 -m compileall -q --invalidation-mode unchecked-hash \
        -x '/(test|tests|idlelib|lib2to3|site-packages|dist-packages)/' \
        "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin clv


# ------------------------------------------------------------ builders, left behind
FROM base AS uv
COPY requirements-dev.txt /tmp/
# uv itself comes pinned too: its lines of the requirements that the developers use.
RUN sed -n '/^uv==/,/[^\\]$/p' /tmp/requirements-dev.txt >/tmp/uv.txt \
    && python3 -m venv /opt/uv \
    && /opt/uv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --quiet \
        --require-hashes -r /tmp/uv.txt

FROM base AS builder
# The program alone: its content decides whether what follows is built anew, not the requirements.
COPY --from=uv /opt/uv/bin/uv /usr/local/bin/uv
# Trust what the base trusts (a company's own certificate, say). Bytecode is not checked against
# its source at each import: nobody edits files in an image.
ENV UV_SYSTEM_CERTS=1 \
    UV_PYTHON_DOWNLOADS=never \
    UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=1 \
    PYC_INVALIDATION_MODE=UNCHECKED_HASH
WORKDIR /build
RUN python3 -m venv --without-pip /opt/venv

FROM builder AS app-packages
COPY requirements.txt ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --quiet --python /opt/venv --require-hashes -r requirements.txt

FROM builder AS train-packages
COPY requirements-train.txt ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --quiet --python /opt/venv --require-hashes -r requirements-train.txt

FROM builder AS test-packages
COPY requirements-dev.txt ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --quiet --python /opt/venv --require-hashes -r requirements-dev.txt

# clv alone in an environment of the same name: laid over the packages it is a small layer of its
# own, so that a change of the sources neither builds nor ships the packages again.
FROM builder AS clv
COPY pyproject.toml README.md ./
COPY src src
RUN --mount=type=cache,target=/root/.cache/uv \
    uv build --quiet --python /opt/venv --wheel --out-dir /wheel \
    && uv pip install --quiet --python /opt/venv --no-deps /wheel/*.whl


# ------------------------------------------------------------ what the images share
FROM base AS runtime
# All that is kept goes to the one volume. It is also home and working folder: what a library
# wants to write (a cache, DuckDB's spilled rows) lands there or in /tmp, never in the image.
ENV CLV_HOME=/data \
    HOME=/data
RUN mkdir /data && chown 10001:10001 /data
WORKDIR /data
VOLUME /data
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
STOPSIGNAL SIGTERM

# LightGBM's wheel brings everything but the OpenMP runtime.
FROM base AS openmp
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends libgomp1 >/dev/null \
    && rm -rf /var/lib/apt/lists/*


# ------------------------------------------------------------ test
FROM openmp AS test
LABEL org.opencontainers.image.title="clv test" \
      org.opencontainers.image.description="Runs the tests of clv."
COPY --from=test-packages /opt/venv /opt/venv
COPY --from=clv /opt/venv /opt/venv
WORKDIR /opt/clv
COPY . .
ENV HOME=/tmp HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["pytest", "-p", "no:cacheprovider", "-m", "not acceptance"]
