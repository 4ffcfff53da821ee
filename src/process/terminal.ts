import type { Settings } from '../config/settings.ts'
import type { LogStream } from '../telemetry/log-options.ts'

/** Log lines for people, by pino-pretty, which is loaded only if the output is a terminal. */
export async function prettyStream (): Promise<LogStream> {
  const { default: pretty } = await import('pino-pretty')
  return pretty({ ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss', sync: true })
}

/** Prints what to open, once the service listens. */
export function printAddresses ({ HOST, PORT, DOCS, METRICS_HOST, METRICS_PORT }: Settings): void {
  const url = (host: string, port: number, path = '') =>
    `http://${host === '0.0.0.0' ? 'localhost' : host}:${port}${path}`
  console.log(['',
    `  Service   ${url(HOST, PORT)}`,
    ...DOCS === 'on' ? [`  API       ${url(HOST, PORT, '/docs')}`] : [],
    ...METRICS_PORT === 0 ? [] : [`  Metrics   ${url(METRICS_HOST, METRICS_PORT, '/metrics')}`],
    ''
  ].join('\n'))
}
