import { createHash } from 'node:crypto'
import fastq from 'fastq'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../src/config.ts'
import { ApiError } from '../src/errors.ts'
import { logSecurityEvent } from '../src/security-events.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Judges a password, unless its account has failed too often.
     * @param username as given, of an account that need not exist
     * @param request whose address the log names
     * @param judge whether the password is right; not called while the account has to wait
     * @throws ApiError SIGNIN_THROTTLED with the seconds to wait, DATABASE_UNAVAILABLE, and what `judge` throws
     */
    limitGuesses (username: string, request: FastifyRequest, judge: () => Promise<boolean>): Promise<boolean>
  }
}

const DAY = 24 * 60 * 60

/** The guesses at one account. */
type Queue = fastq.queueAsPromised<() => Promise<boolean>, boolean> & {
  /** the database's last fault, and when */
  fault?: { error: unknown, at: number }
}

/**
 * Passwords of one account that this process judges at a time; the others wait. Without it the parallel sign-ins of
 * a busy owner would look like a burst of guesses. Several replicas together stay below the default of 10.
 */
const AT_A_TIME = 4

/**
 * Bounds the guesses at one account's password (OWASP ASVS 5.0 §6.3.1): SIGNIN_MAX_FAILURES in a day are judged at once, then one
 * after each delay, which doubles. A guess is counted before it is judged and taken back when it was right, so that
 * no burst, on however many replicas, gets more.
 */
export default fp<{ config: Config }>(async function guessing (fastify, { config }) {
  const failures = fastify.createCounter({ name: 'failures', duration: DAY })
  const delays = fastify.createCounter({ name: 'delays', duration: DAY })
  const gate = fastify.createCounter({ name: 'gate', duration: config.SIGNIN_DELAY_MAX })
  const queues = new Map<string, Queue>()

  async function attempt (key: string, request: FastifyRequest, judge: () => Promise<boolean>): Promise<boolean> {
    const { total } = await failures.add(key)
    // The last of the free guesses begins the first delay, so that none slips through between them.
    const isFree = total < config.SIGNIN_MAX_FAILURES
    if (!isFree) await pass(key, request)
    let isRight: boolean
    try {
      isRight = await judge()
    } catch (error) {
      // Not judged, not counted: the queue was full, or the database away.
      await failures.add(key, -1).catch(() => {})
      throw error
    }
    if (isRight) await Promise.all([failures, ...isFree ? [] : [delays, gate]].map(async counter => await counter.reset(key)))
    return isRight
  }

  /** Lets one guess through and closes the gate behind it. */
  async function pass (key: string, request: FastifyRequest): Promise<void> {
    const { total, msLeft } = await gate.add(key)
    if (total > 1) {
      await failures.add(key, -1)
      throw new ApiError('SIGNIN_THROTTLED', undefined, { retryAfter: Math.max(1, Math.ceil(msLeft / 1000)) })
    }
    const { total: passed } = await delays.add(key)
    const seconds = Math.min(config.SIGNIN_DELAY * 2 ** (passed - 1), config.SIGNIN_DELAY_MAX)
    await gate.hold(key, seconds)
    logSecurityEvent(request, 'authn_login_fail_max', { seconds })
  }

  fastify.decorate('limitGuesses', async (username, request, judge) => {
    // A digest, because people type their password into the wrong field.
    const key = createHash('sha256').update(username.toLowerCase()).digest('base64url')
    const queue: Queue = queues.get(key) ?? fastq.promise(async (job: () => Promise<boolean>) => await job(), AT_A_TIME)
    queues.set(key, queue)
    const since = performance.now()
    try {
      return await queue.push(async () => {
        // Who waited while the database failed would only wait for the same again, and far beyond its deadline.
        if (queue.fault && queue.fault.at >= since) throw queue.fault.error
        return await attempt(key, request, judge).catch((error: unknown) => {
          if (Object(error).code === 'DATABASE_UNAVAILABLE') queue.fault = { error, at: performance.now() }
          throw error
        })
      })
    } finally {
      if (queue.idle() && queues.get(key) === queue) queues.delete(key)
    }
  })
}, { name: 'guessing', fastify: '5.x', dependencies: ['counters'] })
