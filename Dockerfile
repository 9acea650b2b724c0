# The image of Pricebook: the server and its command line, for a MongoDB elsewhere.
FROM python:3.13-slim-bookworm AS build

WORKDIR /source
RUN pip install --no-cache-dir uv==0.13.9 \
 && python -m venv --without-pip /opt/pricebook

# What it needs, in the versions and with the hashes of the lock; before the code, which changes more often.
COPY pyproject.toml requirements.lock ./
RUN uv pip install --no-cache --compile-bytecode --python /opt/pricebook --require-hashes \
      --requirement pyproject.toml --extra otel --constraint requirements.lock

COPY README.md LICENSE ./
COPY cli cli
COPY graph graph
COPY loaders loaders
COPY storage storage
RUN uv pip install --no-cache --compile-bytecode --python /opt/pricebook --no-deps \
      --build-constraint requirements.lock .

FROM python:3.13-slim-bookworm

# A user without a name on the host, a password or a shell; its home is the one place that a pod may write to.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin pricebook
COPY --from=build /opt/pricebook /opt/pricebook

ENV PATH=/opt/pricebook/bin:$PATH \
    PRICEBOOK_HOST=0.0.0.0
USER 10001:10001
EXPOSE 8000 9000
ENTRYPOINT ["pricebook"]
CMD ["serve"]
