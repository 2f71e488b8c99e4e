# syntax=docker/dockerfile:1

# docker build --build-arg VERSION=$(git describe --tags --always) -t crmsync .
# How to run it: docs/deployment.md

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
# Modules change seldom: their layer stays in the cache.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION=dev
ARG TARGETOS
ARG TARGETARCH
# timetzdata: time zones are in the binary, since nothing is beside it.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -tags timetzdata -ldflags "-s -w -X crmsync/worker.version=$VERSION" -o /crmsync .

# There is no HEALTHCHECK: without a shell it would take a program of its own.
# Probe GET /healthz and GET /readyz instead.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /crmsync /crmsync
USER 65532:65532
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
ENTRYPOINT ["/crmsync"]
CMD ["run", "--config", "/etc/crmsync/crmsync.yaml"]
