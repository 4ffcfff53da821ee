import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'

const tracer = trace.getTracer('gatehouse')

/**
 * Runs a statement in a span of the current request. The span has the statement's name, but neither its values nor
 * the messages of the server, which may repeat them.
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
