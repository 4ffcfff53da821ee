import type { FastifyBaseLogger } from 'fastify'

type Bindings = Parameters<FastifyBaseLogger['child']>[0]
type Options = Parameters<FastifyBaseLogger['child']>[1]

/**
 * A request's logger that is made when it first has something to say. Fastify gives every request a child of the
 * service's logger, which serialises the request's id at once; nearly no request logs.
 */
class RequestLogger {
  readonly #parent: FastifyBaseLogger
  readonly #bindings: Bindings
  readonly #options: Options
  #child: FastifyBaseLogger | undefined

  constructor (parent: FastifyBaseLogger, bindings: Bindings, options: Options) {
    this.#parent = parent
    this.#bindings = bindings
    this.#options = options
  }

  get logger (): FastifyBaseLogger {
    this.#child ??= this.#parent.child(this.#bindings, this.#options)
    return this.#child
  }

  /** Made late as well: the service's own logger is a child already, Fastify's, and the requests' are children of that. */
  child (bindings: Bindings, options: Options): RequestLogger {
    return new RequestLogger(this.logger, bindings, options)
  }
}

// Each name of a logger leads to the child's; written once, on the prototype, not per request.
for (const name of ['level', 'fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const) {
  Object.defineProperty(RequestLogger.prototype, name, {
    get (this: RequestLogger) {
      const value = this.logger[name]
      return typeof value === 'function' ? value.bind(this.logger) : value
    }
  })
}

/**
 * The service's logger, whose children are made late. Not Fastify's `childLoggerFactory`: with one, Fastify looks at
 * every method of every request's logger.
 */
export const withLateChildren = (logger: FastifyBaseLogger): FastifyBaseLogger => Object.create(logger, {
  child: { value: (bindings: Bindings, options: Options) => new RequestLogger(logger, bindings, options) }
})
