import type * as otel from '@opentelemetry/api';
import { ConfigError } from '../settings/config.ts';
import { type Attributes, type SpanPlace, type Tracer, traceWith } from '../telemetry/traces.ts';

const packages = [
  '@opentelemetry/api',
  '@opentelemetry/context-async-hooks',
  '@opentelemetry/exporter-trace-otlp-http',
  '@opentelemetry/resources',
  '@opentelemetry/sdk-trace',
];

/** How long the last spans may take to leave a process that ends, in milliseconds: a collector that is away holds nobody. */
const partingMs = 2_000;

/**
 * Sends the spans of this process to a collector, by OTLP over HTTP. Nothing of OpenTelemetry is loaded without an
 * address.
 *
 * @returns sends what is left, and ends it.
 * @throws ConfigError when a package is missing.
 */
export async function startTraces(address: string | undefined): Promise<() => Promise<void>> {
  if (address === undefined) return () => Promise.resolve();
  const { api, hooks, otlp, resources, sdk } = await loadPackages();
  const ids = new ChosenIds(new sdk.RandomIdGenerator());
  const exporter = new otlp.OTLPTraceExporter({ url: `${address.replace(/\/+$/u, '')}/v1/traces` });
  const provider = new sdk.TracerProvider({
    resource: resources.resourceFromAttributes({
      'service.name': process.env['OTEL_SERVICE_NAME'] ?? 'keystride-worker',
    }),
    idGenerator: ids,
    spanProcessors: [new sdk.BatchSpanProcessor({ exporter })],
  });
  api.context.setGlobalContextManager(new hooks.AsyncLocalStorageContextManager());
  api.trace.setGlobalTracerProvider(provider);
  traceWith(tracerOf(api, provider.getTracer('keystride'), ids));
  return async () => {
    await provider.forceFlush({ timeoutMillis: partingMs }).catch(() => undefined);
  };
}

async function loadPackages() {
  try {
    const [api, hooks, otlp, resources, sdk] = await Promise.all([
      import('@opentelemetry/api'),
      import('@opentelemetry/context-async-hooks'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/resources'),
      import('@opentelemetry/sdk-trace'),
    ]);
    return { api, hooks, otlp, resources, sdk };
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new ConfigError(
      [{ variable: 'KEYSTRIDE_TRACES', problem: 'is set, and packages that it needs are not installed' }],
      `Run: npm install ${packages.join(' ')}`,
    );
  }
}

interface Ids {
  generateTraceId(): string;
  generateSpanId(): string;
}

/** Gives the next span the ids that were chosen for it; to others random ones. */
class ChosenIds implements Ids {
  readonly #random: Ids;
  #next: SpanPlace | undefined;

  constructor(random: Ids) {
    this.#random = random;
  }

  /** Begins a span, which takes its ids while `begin` runs. */
  with<Begun>(place: SpanPlace, begin: () => Begun): Begun {
    this.#next = place;
    try {
      return begin();
    } finally {
      this.#next = undefined;
    }
  }

  generateTraceId(): string {
    return this.#next?.traceId ?? this.#random.generateTraceId();
  }

  generateSpanId(): string {
    return this.#next?.spanId ?? this.#random.generateSpanId();
  }
}

function tracerOf(
  { context, trace, ROOT_CONTEXT, SpanStatusCode, TraceFlags }: typeof otel,
  tracer: otel.Tracer,
  ids: ChosenIds,
): Tracer {
  const below = (parent: SpanPlace | undefined): otel.Context => {
    if (!parent) return ROOT_CONTEXT;
    const remote: otel.SpanContext = { ...parent, traceFlags: TraceFlags.SAMPLED, isRemote: true };
    return trace.setSpanContext(ROOT_CONTEXT, remote);
  };
  const fail = (span: otel.Span) => span.setStatus({ code: SpanStatusCode.ERROR });
  return {
    within: async (name, attributes, body, parent) => {
      const above = parent ? below(parent) : context.active();
      const span = tracer.startSpan(name, { attributes: told(attributes) }, above);
      try {
        return await context.with(trace.setSpan(above, span), body);
      } catch (error) {
        // Its message may be long, and is told where it ends.
        fail(span).setAttribute('error.type', typeOf(error));
        throw error;
      } finally {
        span.end();
      }
    },
    tell: ({ name, place, parent, attributes, from, to, failed }) => {
      const options = { startTime: from, attributes: told(attributes) };
      const span = ids.with(place, () => tracer.startSpan(name, options, below(parent)));
      if (failed) fail(span);
      span.end(to);
    },
  };
}

function told(attributes: Attributes): otel.Attributes {
  return Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`keystride.${name}`, value]));
}

function typeOf(error: unknown): string {
  const { type } = error as { readonly type?: unknown };
  return typeof type === 'string' ? type : error instanceof Error ? error.name : 'unknown';
}
