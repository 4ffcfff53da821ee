import { Counter, Gauge, type Registry } from 'prom-client'

type MailResult = 'sent' | 'retried' | 'failed' | 'dropped'

/** Metrics of mails. The backlog is that of the database, which all processes share. */
export function createMailMetrics (registry: Registry) {
  const registers = [registry]
  const results = new Counter({
    name: 'gatehouse_mails_total',
    help: 'Attempts to send a mail by result: `sent`, `retried` later, `failed` for good, `dropped` because there was ' +
      'nothing to send.',
    labelNames: ['result'] as const,
    registers
  })
  // The maximum, because every worker reports the same backlog.
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers, aggregator: 'max' })
  const queued = gauge('gatehouse_mails_queued', 'Mails in the database that have yet to be sent, as of the last poll.')
  const oldest = gauge('gatehouse_mails_oldest_seconds', 'Age of the oldest of them.')
  return {
    count (result: MailResult) { results.inc({ result }) },
    /** @param age of the oldest, in seconds */
    setBacklog (count: number, age: number) {
      queued.set(count)
      oldest.set(age)
    }
  }
}

export type MailMetrics = ReturnType<typeof createMailMetrics>
