import { setTimeout as sleep } from 'node:timers/promises'

/** Waits for some milliseconds, or until the signal, without keeping the process alive. */
export const pause = async (ms: number, signal: AbortSignal): Promise<void> => {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => {})
}
