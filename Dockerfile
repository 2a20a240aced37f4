# The image of the agent: docker build -t tailrace:0.1.0 .
#
# `npm run image:check` reads this file and carries out its steps without a container engine: keep to instructions that it knows.
ARG NODE_IMAGE=node:26-slim

# Compiles. No package may run an install script: neither do those that the agent needs.
FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
COPY plugins plugins
RUN npm run build

# What the agent needs at run time, without what it never reads.
FROM ${NODE_IMAGE} AS runtime
WORKDIR /opt/tailrace
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts
COPY --from=build /build/dist dist
COPY bin bin
COPY LICENSE ./
COPY scripts/image/prune.ts /tmp/prune.ts
RUN node /tmp/prune.ts node_modules dist && rm package-lock.json .npmrc

FROM ${NODE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tailrace" \
      org.opencontainers.image.description="A log pipeline agent: reads logs, parses and filters them, and delivers every record" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Nobody installs packages in a running agent, and what is not there has no vulnerabilities. The state belongs to the agent's user.
RUN rm -rf /usr/local/lib/node_modules /usr/local/include/node /opt/yarn-* \
      /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/yarn /usr/local/bin/yarnpkg \
 && ln -s /opt/tailrace/bin/tailrace.js /usr/local/bin/tailrace \
 && install -d -m 0755 /etc/tailrace \
 && install -d -m 0700 -o 65532 -g 65532 /var/lib/tailrace
COPY --from=runtime /opt/tailrace /opt/tailrace
ENV NODE_ENV=production \
    STATE_DIRECTORY=/var/lib/tailrace
VOLUME /var/lib/tailrace
USER 65532:65532
EXPOSE 2020
# With http_port or http_listen of its own a configuration needs TAILRACE_HEALTH_URL. Kubernetes has probes instead.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 CMD ["node", "/opt/tailrace/bin/health.js"]
# In exec form: the agent is process 1, or the child of an init (docker run --init), and gets its signals itself.
STOPSIGNAL SIGTERM
ENTRYPOINT ["tailrace"]
CMD ["run", "--http", "-c", "/etc/tailrace/tailrace.yaml"]
