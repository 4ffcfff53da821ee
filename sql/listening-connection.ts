import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import pg from 'pg'
import { property } from '../src/unknown.ts'
import { statement } from './statement.ts'

export interface ListeningOptions {
  connectionString: string
  /** seconds to wait for a connection */
  connectTimeout: number
  /** seconds between two checks of the connection */
  heartbeat: number
  /** receives the content of every notification that is not a proof of this connection */
  onPayload (payload: string): void
}

/** Sends a notification that proves to its sender that a connection receives notifications. Others ignore it. */
export const notifyProof = statement({
  name: 'notify_proof',
  text: 'SELECT FROM pg_notify(\'gatehouse_invalidation\', $1::text)',
  values: (proof: string) => [proof],
  row: Type.Object({})
})

const SHARED = 'it is not a connection of its own to PostgreSQL: set LISTEN_DATABASE_URL to bypass the pooler'
const UNPROVEN = 'a notification sent through DATABASE_URL did not arrive: LISTEN_DATABASE_URL must lead to the ' +
  'same database, past any pooler'

/** One connection that listens for invalidations, and how it is proven to receive them. */
export class ListeningConnection {
  readonly #client: pg.Client
  readonly #timeout: number
  readonly #lost = new AbortController()
  readonly #awaited = new Map<string, () => void>()

  constructor ({ connectionString, connectTimeout, heartbeat, onPayload }: ListeningOptions) {
    this.#timeout = heartbeat * 1000 + 2000
    this.#client = new pg.Client({
      connectionString,
      application_name: 'gatehouse invalidations',
      connectionTimeoutMillis: connectTimeout * 1000,
      // No event reports packets that are silently dropped. This timeout fails the check, and the listener reconnects.
      query_timeout: this.#timeout,
      keepAlive: true
    })
    this.#client.on('error', error => { this.close(error.message) })
    this.#client.on('end', () => { this.close('the server closed the connection') })
    this.#client.on('notification', ({ payload = '' }) => {
      const arrived = this.#awaited.get(payload)
      if (arrived) arrived()
      else onPayload(payload)
    })
  }

  /** Aborted, with the reason as a text, once the connection is closed. */
  get lost (): AbortSignal {
    return this.#lost.signal
  }

  /** Connects and listens. @throws Error */
  async open (): Promise<void> {
    // node-postgres never settles `connect` if the client is ended meanwhile.
    const lost = new Promise<never>((_resolve, reject) => {
      this.lost.addEventListener('abort', () => { reject(new Error(String(this.lost.reason))) })
    })
    await Promise.race([this.#client.connect(), lost])
    await this.#client.query('LISTEN gatehouse_invalidation')
  }

  /**
   * Checks that the connection works and that its server process is the one it was opened with. A pooler in transaction
   * mode lends a process per statement, and LISTEN has no effect on the next one. PostgreSQL
   * sends pending notifications before the response.
   * @throws Error
   */
  async check (): Promise<void> {
    const { rows } = await this.#client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    // The id that the handshake reported; missing in the types of node-postgres. A pooler reports one of its own.
    if (rows[0]?.pid !== property(this.#client, 'processID')) throw new Error(SHARED)
  }

  /**
   * Proves that a notification sent through the pool arrives here. If it does not, the connection is closed.
   * @param send sends the content of a notification through the pool
   * @returns whether it arrived
   * @throws what `send` throws, and AbortError if the connection is lost meanwhile
   */
  async prove (send: (proof: string) => Promise<unknown>): Promise<boolean> {
    const proof = `proof ${randomUUID()}`
    const arrival = new Promise<boolean>(resolve => { this.#awaited.set(proof, () => { resolve(true) }) })
    const waiting = new AbortController()
    try {
      await send(proof)
      const timeout = sleep(this.#timeout, false, { signal: AbortSignal.any([this.lost, waiting.signal]) })
      const hasArrived = await Promise.race([arrival, timeout])
      if (!hasArrived) this.close(UNPROVEN)
      return hasArrived
    } finally {
      waiting.abort()
      this.#awaited.delete(proof)
    }
  }

  /** Closes the socket at once, even while a statement is pending. */
  close (reason: string): void {
    if (this.lost.aborted) return
    this.#lost.abort(reason)
    this.#client.end().catch(() => {})
  }
}
