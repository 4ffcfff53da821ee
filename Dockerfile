# The service alone: PostgreSQL runs elsewhere (DATABASE_URL), so the embedded one, an optional dependency, stays out.
#   docker build -t gatehouse . && docker run -p 8080:8080 -e DATABASE_URL=… -e JWT_SECRET=… gatehouse

FROM node:24-bookworm-slim AS build
WORKDIR /gatehouse
COPY package.json package-lock.json ./
# No package needs an install script: argon2 brings its binary for Linux.
RUN npm ci --omit=optional --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
COPY plugins ./plugins
COPY routes ./routes
COPY sql ./sql
RUN npm run build
RUN npm ci --omit=dev --omit=optional --ignore-scripts

FROM node:24-bookworm-slim
WORKDIR /gatehouse
ENV NODE_ENV=production
COPY --from=build /gatehouse/package.json ./
COPY --from=build /gatehouse/node_modules ./node_modules
COPY --from=build /gatehouse/dist ./dist
# The image's own user, by number: Kubernetes' runAsNonRoot cannot judge a name.
USER 1000:1000
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 8080}/health/live`).then(reply => process.exit(reply.ok ? 0 : 1), () => process.exit(1))"]
# Not through npm, which does not pass signals on to what it starts.
CMD ["node", "--enable-source-maps", "dist/src/server.js"]
