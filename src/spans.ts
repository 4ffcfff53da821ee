import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'

const tracer = trace.getTracer('gatehouse')

/**
 * Runs a statement as a span of the request under way. Its name says which statement; its values, and the server's
 * messages, which may repeat them, stay out of the trace.
 * @param name of the statement
 * @throws what `work` throws
 */
export async function inSpan<Result> (name: string, work: () => Promise<Result>): Promise<Result> {
  const attributes = { 'db.system.name': 'postgresql', 'db.query.summary': name }
  return await tracer.startActiveSpan(name, { kind: SpanKind.CLIENT, attributes }, async span =>
    await work().catch((error: unknown) => {
      span.setStatus({ code: SpanStatusCode.ERROR })
      throw error
    }).finally(() => span.end()))
}
