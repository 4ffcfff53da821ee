/** Seconds. Greylisting servers accept a second attempt after one to five minutes. */
const [FIRST, MAX] = [30, 3600]

/** Seconds for which a mail is attempted. */
const GIVE_UP = 24 * 3600

/**
 * When to attempt a mail again: the delay doubles with each attempt, and varies by half, so that mails that failed
 * together are not attempted together.
 * @param attempts so far, at least 1
 * @param age seconds since the mail was queued
 * @returns seconds; undefined if a day has passed by then
 */
export function retryDelay (attempts: number, age: number, random = Math.random()): number | undefined {
  const delay = Math.round(Math.min(FIRST * 2 ** (attempts - 1), MAX) * (0.5 + random))
  return age + delay > GIVE_UP ? undefined : delay
}
