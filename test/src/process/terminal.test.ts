import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { test } from 'tap'
import { printAddresses } from '../../../src/process/terminal.ts'
import { loaders } from '../../support/process.ts'
import { configOf } from '../../support/settings.ts'

const config = configOf('postgres://localhost/gatehouse', {
  HOST: '0.0.0.0', PORT: 8080, METRICS_HOST: '127.0.0.1', METRICS_PORT: 9464, DOCS: 'on'
})

test('the addresses to open are printed', async t => {
  const args: unknown[][] = []
  t.intercept(console, 'log', { value: (...printed: unknown[]) => { args.push(printed) } })
  printAddresses(config)
  printAddresses({ ...config, HOST: '::1', DOCS: 'off', METRICS_PORT: 0 })
  t.strictSame(args, [
    ['\n  Service   http://localhost:8080\n  API       http://localhost:8080/docs\n  Metrics   http://127.0.0.1:9464/metrics\n'],
    ['\n  Service   http://[::1]:8080\n']
  ])
})

test('at a terminal a log line is readable text', async t => {
  // In a process of its own, because it is written to the file descriptor of the standard output.
  const script = `import { prettyStream } from ${JSON.stringify(import.meta.resolve('../../../src/process/terminal.ts'))}
    const stream = await prettyStream()
    stream.write('{"level":40,"time":1764000000000,"pid":1,"hostname":"here","msg":"invalidations lost"}\\n')`
  const { stdout } = await promisify(execFile)(process.execPath, [...loaders, '--input-type=module', '-e', script])
  t.match(stdout, /\[\d\d:\d\d:\d\d\].*WARN.*: .*invalidations lost/)
  t.notMatch(stdout, /hostname|here|"msg"/)
})
