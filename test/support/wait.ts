import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Waits until `probe` returns something other than undefined and false, which it then returns. Probes every 20 ms.
 * @param what the condition, for the error message
 * @param ms after which the wait fails
 */
export async function until<T> (
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  ms = 30_000
): Promise<T> {
  const deadline = Date.now() + ms
  while (Date.now() < deadline) {
    const found = await probe()
    if (found !== undefined && found !== false) return found
    await sleep(20)
  }
  throw new Error(`waited ${ms} ms in vain for ${what}`)
}
