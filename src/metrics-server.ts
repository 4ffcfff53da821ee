import cluster from 'node:cluster'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { AggregatorRegistry, collectDefaultMetrics, Registry } from 'prom-client'
import type { Config } from './config.ts'

/**
 * Publishes a service's figures, and those of its process: memory, processor time, how late the event loop is. A worker
 * gives them to the primary, which adds up those of all (`serveMetricsOfWorkers`).
 */
export async function publishMetrics (app: FastifyInstance, config: Config): Promise<void> {
  const { metrics: registry } = app
  collectDefaultMetrics({ register: registry })
  if (!cluster.isWorker) return await serveMetrics(config, async () => await registry.metrics(), app.log)
  AggregatorRegistry.setRegistries([registry])
  // Has the worker answer its primary.
  listenToPrimary()
}

/** Serves the sums of all workers' figures from the primary. */
export async function serveMetricsOfWorkers (config: Config, log: Log): Promise<void> {
  const sums = new AggregatorRegistry()
  await serveMetrics(config, async () => await sums.clusterMetrics(), log)
}

const listenToPrimary = () => new AggregatorRegistry()

type Log = Pick<FastifyBaseLogger, 'info' | 'warn'>

/**
 * Serves figures to Prometheus at GET /metrics, on a port of its own: what is on it is not for the public. A port that
 * is taken is said in the log; nobody's sign-in depends on it.
 * @param read the figures in Prometheus's text format
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
      figures => response.writeHead(200, { 'content-type': Registry.PROMETHEUS_CONTENT_TYPE }).end(figures),
      error => {
        log.warn({ err: error }, 'the figures could not be read')
        response.writeHead(503).end()
      })
  })
  // Figures keep no process alive.
  server.unref()
  try {
    server.listen(port, host)
    await once(server, 'listening')
    log.info(`Figures for Prometheus at http://${host}:${port}/metrics`)
  } catch (error) {
    log.warn(`No figures for Prometheus: ${Object(error).message}. METRICS_PORT chooses another port, 0 none.`)
  }
}
