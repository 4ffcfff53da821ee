import pino from 'pino'
import type { LogStream } from './log-options.ts'

/** Bytes of lines that wait to be written. Further ones are dropped, rather than kept while nobody reads. */
const MAX_WAITING = 16 * 1024 * 1024

/**
 * The standard output as a destination of log lines. If it cannot be written to, such as a file on a full disk, lines
 * are lost, and the service goes on. pino's own destination would end the process, which would then hang: at the exit,
 * its flush tries again without end.
 */
export function createLogStream (): LogStream {
  const stream = pino.destination({ dest: 1, sync: false, maxLength: MAX_WAITING })
  const flush = stream.flushSync.bind(stream)
  stream.on('error', () => { stream.flushSync = () => {} })
  stream.on('write', () => { stream.flushSync = flush })
  return stream
}
