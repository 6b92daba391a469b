# The app in an image, for plans that take one, such as Container Apps. Untested: it was never built or run.
#
#   docker build -t appcenter-dsr .
#
# Settings come from the environment, as everywhere; nothing secret is in the image.

FROM rust:1.95-slim-trixie AS build
WORKDIR /src
# What cargo xtask itself is built with; the handler needs none of it.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential cmake libssl-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cargo xtask package --out /out

# The Functions host of a custom handler, as the Core Tools' template has it.
FROM mcr.microsoft.com/azure-functions/dotnet:4
ENV AzureWebJobsScriptRoot=/srv/app \
    AzureFunctionsJobHost__Logging__Console__IsEnabled=true \
    FUNCTIONS_WORKER_RUNTIME=custom
COPY --from=build /out/app /srv/app
