# One image for the worker, the command line and the stubs: the jobs as TypeScript, which Node takes as it is, and the
# library as it is published.

FROM node:24.21.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc tsconfig.json LICENSE ./
COPY packages ./packages
RUN npm ci
RUN npm run build

FROM node:24.21.0-bookworm-slim
ENV NODE_ENV=production
# What a worker started by its own command would set itself, see packages/keystride/src/host/worker-memory.ts.
ENV NODE_OPTIONS=--max-semi-space-size=8 MALLOC_ARENA_MAX=2 MALLOC_TRIM_THRESHOLD_=131072
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY --from=build /app/packages/keystride/dist ./packages/keystride
# The lock knows the command as it is among the sources; this finds the published one.
RUN npm ci --omit=dev && npm rebuild --ignore-scripts keystride
COPY keystride.config.ts ./
COPY src ./src
ENV PATH=/app/node_modules/.bin:$PATH
RUN mkdir made && chown node made
# The image's own user without rights, for whom Node keeps compiled code.
USER node
# Made once, here, instead of by each worker when it starts.
ENV KEYSTRIDE_WORKFLOW_BUNDLE=/app/made/workflows.js NODE_COMPILE_CACHE=/app/made/compiled
RUN keystride bundle "$KEYSTRIDE_WORKFLOW_BUNDLE"
CMD ["node", "src/worker.ts"]
