import cluster from 'node:cluster'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { AggregatorRegistry, collectDefaultMetrics, Registry } from 'prom-client'
import type { Config } from '../config/read-settings.ts'
import { errorMessage } from '../unknown.ts'

/**
 * Publishes the metrics of a service and of its process: memory, CPU time, event-loop delay. A worker sends them to the
 * primary, which serves the sums (`serveClusterMetrics`).
 */
export async function publishMetrics (app: FastifyInstance, config: Config): Promise<void> {
  const { metrics: registry } = app
  collectDefaultMetrics({ register: registry })
  if (!cluster.isWorker) {
    await serveMetrics(config, async () => await registry.metrics(), app.log)
    return
  }
  AggregatorRegistry.setRegistries([registry])
}

/** Serves the sums of the metrics of all workers, from the primary. */
export async function serveClusterMetrics (config: Config, log: Log): Promise<void> {
  const sums = new AggregatorRegistry()
  await serveMetrics(config, async () => await sums.clusterMetrics(), log)
}

/**
 * Answers the primary's requests for metrics, in a worker. It has none until `publishMetrics`; without an answer, the
 * primary could not serve those of the others while this one starts. The constructor adds the listener.
 */
export const answerPrimary = () => new AggregatorRegistry()

type Log = Pick<FastifyBaseLogger, 'info' | 'warn'>

/**
 * Serves metrics to Prometheus at GET /metrics, on a port of its own, since they are not public. A port in use is
 * logged, but does not prevent the start.
 * @param read returns the metrics in Prometheus's text format
 */
async function serveMetrics (config: Config, read: () => Promise<string>, log: Log): Promise<void> {
  const { METRICS_HOST: host, METRICS_PORT: port } = config
  if (port === 0) return
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end()
      return
    }
    read().then(
      metrics => { response.writeHead(200, { 'content-type': Registry.PROMETHEUS_CONTENT_TYPE }).end(metrics) },
      (error: unknown) => {
        log.warn({ err: error }, 'the metrics could not be read')
        response.writeHead(503).end()
      })
  })
  // Does not keep the process alive.
  server.unref()
  try {
    server.listen(port, host)
    await once(server, 'listening')
    log.info(`Metrics at http://${host}:${port}/metrics`)
  } catch (error) {
    log.warn(`Metrics are not served: ${errorMessage(error)}. Set METRICS_PORT to another port, or to 0.`)
  }
}
