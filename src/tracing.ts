import { FastifyOtelInstrumentation } from '@fastify/otel'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import type { FastifyInstance } from 'fastify'

/**
 * Traces requests, and with them their statements (src/spans.ts), to a collector.
 * @param endpoint base URL of the collector; traces go to its /v1/traces (OTLP over HTTP)
 */
export async function trace (app: FastifyInstance, endpoint: string): Promise<void> {
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'gatehouse' }),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: new URL('v1/traces', endpoint.replace(/\/*$/, '/')).href }))]
  })
  provider.register()
  const instrumentation = new FastifyOtelInstrumentation()
  instrumentation.setTracerProvider(provider)
  await app.register(instrumentation.plugin())
  // What has not been sent yet goes out; a collector that is away keeps nobody from closing.
  app.addHook('onClose', async () => await provider.shutdown().catch(() => {}))
}
