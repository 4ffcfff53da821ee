import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { RequestQueues } from '../src/api/request-queues.ts'
import type { Config } from '../src/config/read-settings.ts'
import { ApiError } from '../src/errors.ts'
import { createQuietLog, logSecurityEvent } from '../src/telemetry/security-events.ts'
import { sha256 } from '../src/tokens/sha256.ts'

interface Guess {
  /** as given; the user need not exist */
  username: string
  userId?: number | undefined
  /**
   * What speaks for the user: a network that the user has signed in from, or a living session. It has a budget of its
   * own, which guesses from elsewhere do not use up.
   */
  origin?: string | undefined
  /** whether the right password completes the sign-in, so that it resets the counter; true unless given */
  isFinal?: boolean
}

/** Whose codes are guessed. */
interface CodeOwner {
  id: number
  email: string
}

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Verifies a password, unless its user has had too many failures.
     * @param request whose address is logged
     * @param verify whether the password is right; not called while the user is throttled
     * @throws ApiError SIGNIN_THROTTLED with the seconds to wait, DATABASE_UNAVAILABLE, and what `verify` throws
     */
    throttleSignIn (guess: Guess, request: FastifyRequest, verify: () => Promise<boolean>): Promise<boolean>
    /** The same for the codes of a user who has proved something else, in one count for all of them and all places. */
    throttleCode <Result> (
      owner: CodeOwner, request: FastifyRequest, verify: () => Promise<Result | false>
    ): Promise<Result | false>
    /**
     * Adds a failure to the count of `throttleCode`, of somebody who has proved nothing. It starts no delay, so that
     * nobody can keep a user out.
     * @param email of the user, who need not exist
     */
    countCodeFailure (email: string): Promise<void>
    /** Resets the counter of a guess whose sign-in was completed after `isFinal: false`. */
    resetSignIn (guess: Guess): Promise<void>
  }
}

/** Seconds. */
const DAY = 24 * 60 * 60

/**
 * Maximum number of passwords of one user that this process verifies at once; further ones are queued. Without it, the
 * parallel sign-ins of one user would look like a burst of guesses, since each is counted until it turns out to be
 * right. The workers of a process share what SIGNIN_MAX_FAILURES allows, and leave two for another replica.
 */
const concurrency = ({ SIGNIN_MAX_FAILURES, WORKERS }: Config): number =>
  Math.max(1, Math.min(4, Math.floor((SIGNIN_MAX_FAILURES - 2) / WORKERS)))

/**
 * Limits guesses at one user's password (OWASP ASVS 5.0 §6.3.1). SIGNIN_MAX_FAILURES per day are verified without
 * delay, then one after each delay, which doubles. A guess is counted before it is verified, and taken back if it was
 * right, so that no burst gets more guesses, on any number of replicas. Those from a known network, or from a living
 * session, are counted apart from all others: otherwise anybody could keep a user out by guessing without pause.
 */
export default fp<{ config: Config }>(async function signInThrottle (fastify, { config }) {
  const failures = fastify.createCounter({ name: 'failures', duration: DAY })
  const delays = fastify.createCounter({ name: 'delays', duration: DAY })
  // Closed for the first delay, until passGate() sets the right one.
  const gate = fastify.createCounter({ name: 'gate', duration: config.SIGNIN_DELAY })
  const logQuietly = createQuietLog()
  const queues = new RequestQueues(concurrency(config), config.DATABASE_CONNECT_TIMEOUT)

  interface Attempt {
    key: string
    userId: number | undefined
    isFinal: boolean
  }

  const reset = async (key: string, counters = [failures, delays, gate]) => {
    await Promise.all(counters.map(async counter => { await counter.reset(key) }))
  }

  async function attempt<Result> (
    { key, userId, isFinal }: Attempt, request: FastifyRequest, verify: () => Promise<Result | false>
  ): Promise<Result | false> {
    const { total } = await failures.add(key)
    // The last undelayed guess already starts the first delay, so that no other slips through in between.
    const isDelayed = total >= config.SIGNIN_MAX_FAILURES
    let result: Result | false
    try {
      if (isDelayed) await passGate(key, userId, request)
      result = await verify()
    } catch (error) {
      // Not verified, so not counted: the gate is closed, the hash queue was full, or the database was unavailable.
      await failures.add(key, -1).catch(() => {})
      throw error
    }
    if (result !== false && isFinal) await reset(key, isDelayed ? undefined : [failures])
    else if (result !== false) await failures.add(key, -1)
    return result
  }

  /** Lets one guess pass, and closes the gate for the next delay. */
  async function passGate (key: string, userId: number | undefined, request: FastifyRequest): Promise<void> {
    const { total, msLeft } = await gate.add(key)
    if (total > 1) {
      logQuietly(request, 'authn_login_lock', key, { userId })
      throw new ApiError('SIGNIN_THROTTLED', undefined, { retryAfter: Math.max(1, Math.ceil(msLeft / 1000)) })
    }
    const { total: passed } = await delays.add(key)
    const seconds = Math.min(config.SIGNIN_DELAY * 2 ** (passed - 1), config.SIGNIN_DELAY_MAX)
    await gate.hold(key, seconds)
    logSecurityEvent(request, 'authn_login_fail_max', { userId, seconds })
  }

  // A digest: users sometimes type their password into the username field.
  const digest = (text: string): string => sha256(text.toLowerCase())
  // An origin contains no space.
  const keyOf = ({ username, origin = '' }: Guess): string => digest(`${origin} ${username}`)
  const codeKeyOf = (email: string): string => digest(`codes  ${email}`)

  fastify.decorate('throttleSignIn', async (guess, request, verify) => {
    const { userId, isFinal = true } = guess
    const key = keyOf(guess)
    return await queues.run(key, async () => await attempt({ key, userId, isFinal }, request, verify))
  })
  fastify.decorate('throttleCode', async ({ id: userId, email }, request, verify) => {
    const key = codeKeyOf(email)
    return await queues.run(key, async () => await attempt({ key, userId, isFinal: true }, request, verify))
  })
  fastify.decorate('countCodeFailure', async email => { await failures.add(codeKeyOf(email)) })
  fastify.decorate('resetSignIn', async guess => { await reset(keyOf(guess)) })
}, { name: 'sign-in-throttle', fastify: '5.x', dependencies: ['counters'] })
