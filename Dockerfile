# The image of Pricebook: the server and its command line, without MongoDB.

# The base image is not pinned: its digest was not known here, and one that cannot be checked is worse than none. Pin it in
# your build: look it up with `docker buildx imagetools inspect python:3.13-slim-bookworm`, and build with
# --build-arg PYTHON_IMAGE=python:3.13-slim-bookworm@sha256:...
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM $PYTHON_IMAGE AS build

WORKDIR /source
RUN pip install --no-cache-dir uv==0.13.9 \
 && python -m venv --without-pip /opt/pricebook

# The dependencies, with the versions and hashes of the lock. They change less often than the code, so they come first.
COPY pyproject.toml requirements.lock ./
RUN uv pip install --no-cache --compile-bytecode --python /opt/pricebook --require-hashes \
      --requirement pyproject.toml --extra otel --extra console --constraint requirements.lock

COPY README.md LICENSE ./
COPY cli cli
COPY console console
COPY graph graph
COPY loaders loaders
COPY storage storage
# Without a network, browsers load GraphiQL from a content delivery network instead.
RUN (PYTHONPATH=. /opt/pricebook/bin/python -m graph.graphiql.install || true) \
    && uv pip install --no-cache --compile-bytecode --python /opt/pricebook --no-deps \
      --build-constraint requirements.lock .

FROM $PYTHON_IMAGE

# A user with no account on the host, no password and no shell. Its home is the only folder that a pod can write to.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin pricebook
COPY --from=build /opt/pricebook /opt/pricebook

ENV PATH=/opt/pricebook/bin:$PATH \
    PRICEBOOK_HOST=0.0.0.0
USER 10001:10001
EXPOSE 8000 8090 9000
ENTRYPOINT ["pricebook"]
CMD ["serve"]
