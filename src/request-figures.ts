import { type FastifyReply, type FastifyRequest, LogController } from 'fastify'
import { Histogram } from 'prom-client'

// From a board out of memory to a password behind a full queue, in seconds.
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

const ABOUT = {
  name: 'gatehouse_request_duration_seconds',
  help: 'Requests by route, from the first byte read to the last written.'
}

type Labels = { method: string, route: string, status: number }

/** The requests of one route that were answered with one status. */
class Series {
  readonly labels: Labels
  readonly #counts = new Array<number>(BOUNDS.length + 1).fill(0)
  #seconds = 0

  constructor (labels: Labels) {
    this.labels = labels
  }

  add (seconds: number): void {
    let bucket = 0
    for (const bound of BOUNDS) {
      if (seconds <= bound) break
      bucket++
    }
    this.#counts[bucket]!++
    this.#seconds += seconds
  }

  /** As prom-client keeps a histogram's values. */
  values () {
    let count = 0
    const buckets = this.#counts.map((own, index) => {
      count += own
      return { metricName: `${ABOUT.name}_bucket`, labels: { le: BOUNDS[index] ?? '+Inf' }, sharedLabels: this.labels, value: count }
    })
    const value = (suffix: string, value: number) => ({ metricName: `${ABOUT.name}_${suffix}`, labels: {}, sharedLabels: this.labels, value })
    return [...buckets, value('sum', this.#seconds), value('count', count)]
  }
}

/**
 * How long requests take, by route and status. prom-client's own counting puts its labels together to one text at every
 * observation, and a hook that calls it took a tenth of a board's throughput; here a request costs two look-ups.
 */
export class RequestFigures extends Histogram<'method' | 'route' | 'status'> {
  readonly #series = new Map<object, Map<number, Series>>()

  constructor () {
    super({ ...ABOUT, labelNames: ['method', 'route', 'status'], buckets: BOUNDS, registers: [] })
  }

  count ({ routeOptions, method }: FastifyRequest, { statusCode: status, elapsedTime }: FastifyReply): void {
    const { config, url: route = 'none' } = routeOptions
    let byStatus = this.#series.get(config)
    if (!byStatus) this.#series.set(config, byStatus = new Map())
    let series = byStatus.get(status)
    // A path that is no route's may be asked for by any method that a stranger thinks of.
    if (!series) byStatus.set(status, series = new Series({ method: route === 'none' ? 'any' : method, route, status }))
    series.add(elapsedTime / 1000)
  }

  /** What prom-client reads a metric by, also for `get`. */
  async getForPromString () {
    const values = [...this.#series.values()].flatMap(byStatus => [...byStatus.values()].flatMap(series => series.values()))
    return { ...ABOUT, type: 'histogram', aggregator: 'sum', values }
  }
}

/**
 * Counts each request when its reply is out. Fastify tells its log controller of that anyway; a hook of its own would
 * cost more than the counting.
 */
export class RequestCounter extends LogController {
  readonly #figures: RequestFigures

  constructor (figures: RequestFigures) {
    // A line per request costs near half of a trivial route's throughput; plugins/request-log.ts writes one at level debug.
    super({ disableRequestLogging: true })
    this.#figures = figures
  }

  override requestCompleted (_error: Error | null | undefined, request: FastifyRequest, reply: FastifyReply): void {
    this.#figures.count(request, reply)
  }
}
