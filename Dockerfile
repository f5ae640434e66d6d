# One image for the worker, the command line and the stubs. Node takes TypeScript as it is, so nothing is compiled.

FROM node:24.21.0-bookworm-slim
ENV NODE_ENV=production
# What a worker started by its own command would set itself, see packages/keystride/src/host/worker-memory.ts.
ENV NODE_OPTIONS=--max-semi-space-size=8 MALLOC_ARENA_MAX=2 MALLOC_TRIM_THRESHOLD_=131072
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY packages/keystride/package.json packages/keystride/
# npm gives the command its place and its rights while it installs.
COPY packages/keystride/src/cli/main.ts packages/keystride/src/cli/
RUN npm ci --omit=dev
COPY packages/keystride ./packages/keystride
COPY keystride.config.ts ./
COPY src ./src
ENV PATH=/app/node_modules/.bin:$PATH
# Made once, here, instead of by each worker when it starts.
ENV KEYSTRIDE_WORKFLOW_BUNDLE=/app/workflows.js
RUN keystride bundle "$KEYSTRIDE_WORKFLOW_BUNDLE"
# The image's own user without rights.
USER node
CMD ["node", "src/worker.ts"]
