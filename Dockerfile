# The service alone. PostgreSQL runs elsewhere (DATABASE_URL), so the embedded one, an optional dependency, is omitted.
#   docker build -t gatehouse . && docker run -p 8080:8080 -e DATABASE_URL=… -e JWT_SECRET=… gatehouse

FROM node:24.21.0-bookworm-slim AS build
WORKDIR /gatehouse
COPY package.json package-lock.json ./
# No package needs its install script: argon2 contains its binary for Linux.
RUN npm ci --omit=optional --ignore-scripts
COPY tsconfig.json tsconfig.build.json tsconfig.types.json ./
COPY src ./src
COPY plugins ./plugins
COPY routes ./routes
COPY sql ./sql
COPY views ./views
COPY scripts ./scripts
RUN npm run build
RUN npm ci --omit=dev --omit=optional --ignore-scripts

FROM node:24.21.0-bookworm-slim
WORKDIR /gatehouse
ENV NODE_ENV=production
COPY --from=build /gatehouse/package.json ./
COPY --from=build /gatehouse/node_modules ./node_modules
COPY --from=build /gatehouse/dist ./dist
# The image's unprivileged user, by number, because Kubernetes' runAsNonRoot cannot check a name.
USER 1000:1000
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 8080}/health/live`).then(response => process.exit(response.ok ? 0 : 1), () => process.exit(1))"]
# Not through npm, which does not pass signals on.
CMD ["node", "--enable-source-maps", "dist/src/server.js"]
