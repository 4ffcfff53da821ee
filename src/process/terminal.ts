import { isIPv6 } from 'node:net'
import { isatty } from 'node:tty'
import { isDevelopment } from '../config/read-settings.ts'
import type { Settings } from '../config/settings.ts'
import type { LogStream } from '../telemetry/log-options.ts'

/** Writes human-readable log lines, by pino-pretty, which is loaded only if the output is a terminal. */
export async function prettyStream (): Promise<LogStream> {
  const { default: pretty } = await import('pino-pretty')
  return pretty({ ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss', sync: true })
}

/** @returns a function that tells whether a terminal of this process has been closed since */
export function watchTerminal (): () => boolean {
  const terminals = [0, 1, 2].filter(isatty)
  return () => !terminals.every(isatty)
}

/** Prints what to open, once the service listens. */
export function printAddresses (settings: Settings): void {
  const { HOST, PORT, DOCS, METRICS_HOST, METRICS_PORT } = settings
  console.log(['',
    `  Service   ${url(HOST, PORT)}`,
    ...DOCS === 'on' ? [`  API       ${url(HOST, PORT, '/docs')}`] : [],
    ...METRICS_PORT === 0 ? [] : [`  Metrics   ${url(METRICS_HOST, METRICS_PORT, '/metrics')}`],
    ...isDevelopment(settings) ? [`  Mode      development, with an embedded PostgreSQL in ${settings.DATA_DIR}`] : [],
    ''
  ].join('\n'))
}

function url (host: string, port: number, path = ''): string {
  if (['0.0.0.0', '::'].includes(host)) return url('localhost', port, path)
  return `http://${isIPv6(host) ? `[${host}]` : host}:${port}${path}`
}
