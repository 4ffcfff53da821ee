import { type FastifyReply, type FastifyRequest, LogController } from 'fastify'

/** Upper bounds of the buckets in seconds, from a cached response to a password in a full queue. */
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, Infinity]

export interface DurationSeries {
  labels: { method: string, route: string, status: number }
  /** number of requests that took at most `le` seconds, but more than those of the bucket before */
  buckets: Array<{ le: number, count: number }>
  /** seconds */
  sum: number
}

/** The buckets as Prometheus expects them: cumulative, by the label `le`. */
export function cumulativeBuckets ({ buckets }: DurationSeries): Array<{ le: string, count: number }> {
  let total = 0
  return buckets.map(({ le, count }) => {
    total += count
    return { le: le === Infinity ? '+Inf' : String(le), count: total }
  })
}

/**
 * Counts the durations of requests by method, route and status. It counts in buckets of its own, because prom-client's
 * histogram builds a key from all labels for every request: 7 % of the throughput of `/api/test/user`. It is a log
 * controller, because Fastify calls that at the end of every request anyway, and a hook would cost a further 10 %.
 */
export class RequestDurations extends LogController {
  /** by route, whose config object identifies it, and by status */
  readonly #series = new Map<object, Map<number, DurationSeries>>()

  constructor () {
    // A log line per request costs almost half of the throughput of a trivial route. plugins/request-log.ts logs one at
    // level debug.
    super({ disableRequestLogging: true })
  }

  get series (): DurationSeries[] {
    return [...this.#series.values()].flatMap(byStatus => [...byStatus.values()])
  }

  override requestCompleted (_error: Error | null | undefined, request: FastifyRequest, reply: FastifyReply): void {
    const { config, url } = request.routeOptions
    let byStatus = this.#series.get(config)
    if (!byStatus) this.#series.set(config, byStatus = new Map<number, DurationSeries>())
    let series = byStatus.get(reply.statusCode)
    if (!series) byStatus.set(reply.statusCode, series = createSeries(request.method, url, reply.statusCode))
    record(series, reply.elapsedTime / 1000)
  }
}

/** @param route undefined if no route matched; the request then has any method, and each label takes memory */
export function createSeries (method: string, route: string | undefined, status: number): DurationSeries {
  const labels = route === undefined ? { method: 'any', route: 'none', status } : { method, route, status }
  return { labels, buckets: BOUNDS.map(le => ({ le, count: 0 })), sum: 0 }
}

export function record (series: DurationSeries, seconds: number): void {
  series.sum += seconds
  const bucket = series.buckets.find(({ le }) => seconds <= le)
  if (bucket) bucket.count++
}
