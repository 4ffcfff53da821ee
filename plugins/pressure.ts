import { monitorEventLoopDelay } from 'node:perf_hooks'
import fp from 'fastify-plugin'
import type { Config } from '../src/config/read-settings.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Whether the event-loop delay exceeds MAX_EVENT_LOOP_DELAY, or the resident memory MAX_MEMORY_MIB. */
    isUnderPressure (): boolean
  }
}

/** Milliseconds over which the event-loop delay is averaged. */
const WINDOW = 1000

/** Milliseconds between two samples, which each of them includes. */
const RESOLUTION = 10

/**
 * Measures the load of the process. @fastify/under-pressure is not used: its timer calls `process.memoryUsage()`, which
 * throws when file descriptors run out, and an error of a timer ends the process.
 */
export default fp<{ config: Config }>(async function pressure (fastify, { config }) {
  const { MAX_EVENT_LOOP_DELAY: maxDelay, MAX_MEMORY_MIB: maxMemory } = config
  const samples = monitorEventLoopDelay({ resolution: RESOLUTION })
  let delay = 0
  samples.enable()
  const averaging = setInterval(() => {
    delay = samples.mean / 1e6 - RESOLUTION
    samples.reset()
  }, WINDOW)
  averaging.unref()
  fastify.addHook('onClose', async () => {
    clearInterval(averaging)
    samples.disable()
  })

  /** Resident memory in MiB; NaN if it cannot be read. */
  function memory (): number {
    try {
      return process.memoryUsage.rss() / 2 ** 20
    } catch {
      return NaN
    }
  }

  // What cannot be measured (NaN) counts as pressure.
  fastify.decorate('isUnderPressure', () =>
    (maxDelay > 0 && !(delay <= maxDelay)) || (maxMemory > 0 && !(memory() <= maxMemory)))
}, { name: 'pressure', fastify: '5.x' })
