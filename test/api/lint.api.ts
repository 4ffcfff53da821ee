import { join } from 'node:path'
import { test } from 'tap'
import { run, startDescribed, tool } from './description.ts'

test('Spectral\'s rules, OWASP\'s among them, find no error', async t => {
  const { file } = await startDescribed(t)
  const { code, output, said } = await run(tool('spectral'), ['lint', file, '--ruleset', join(import.meta.dirname, 'spectral.yaml'), '--format', 'json', '--quiet'])
  t.equal(said, '')
  const found: Array<{ severity: number, code: string, message: string, path: string[] }> = JSON.parse(output || '[]')
  t.strictSame(found.filter(({ severity }) => severity === 0).map(({ code, message, path }) => `${code} ${path.join('/')}: ${message}`), [])
  t.equal(code, 0)
})

test('Redocly\'s recommended rules find no error', async t => {
  const { file } = await startDescribed(t)
  const { code, output } = await run(tool('redocly'), ['lint', file, '--config', join(import.meta.dirname, 'redocly.yaml'), '--format', 'json'])
  const { problems, totals }: { problems: Array<{ severity: string, ruleId: string, message: string, location: Array<{ pointer: string }> }>, totals: { errors: number } } =
    JSON.parse(output)
  t.strictSame(problems.filter(({ severity }) => severity === 'error').map(({ ruleId, message, location }) => `${ruleId} ${location[0]?.pointer}: ${message}`), [])
  t.equal(totals.errors, 0)
  t.equal(code, 0)
})
