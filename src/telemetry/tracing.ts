import { setTimeout as sleep } from 'node:timers/promises'
import { FastifyOtelInstrumentation } from '@fastify/otel'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import type { FastifyInstance } from 'fastify'

/** Milliseconds for which a shutdown waits for the collector, far less than SHUTDOWN_GRACE. */
const MAX_FLUSH = 1000

/**
 * Sends traces of requests and their statements to a collector.
 * @param endpoint base URL of the collector; traces go to its /v1/traces (OTLP over HTTP)
 */
export async function startTracing (app: FastifyInstance, endpoint: string): Promise<void> {
  const { href: url } = new URL('v1/traces', endpoint.replace(/\/*$/, '/'))
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'gatehouse' }),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url }))]
  })
  provider.register()
  const instrumentation = new FastifyOtelInstrumentation({
    // Their messages can repeat rows of the database, which is why the log leaves them out.
    recordExceptions: false,
    // Replaces the whole URL, whose query may contain names and addresses.
    requestHook: (span, { url: path }) => { span.setAttribute('url.path', path.replace(/\?.*/s, '')) }
  })
  instrumentation.setTracerProvider(provider)
  await app.register(instrumentation.plugin())
  // Sends the remaining spans. An unreachable collector delays the close only for a moment.
  app.addHook('onClose', async () => {
    await Promise.race([provider.shutdown().catch(() => {}), sleep(MAX_FLUSH, undefined, { ref: false })])
  })
}
