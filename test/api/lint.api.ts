import { join } from 'node:path'
import { test } from 'tap'
import { run, startDescribed, tool } from './description.ts'

interface SpectralResult {
  severity: number
  code: string
  message: string
  path: string[]
}

interface RedoclyReport {
  problems: Array<{ severity: string, ruleId: string, message: string, location: Array<{ pointer: string }> }>
  totals: { errors: number }
}

test('Spectral finds no error, also by the rules of OWASP', async t => {
  const { file } = await startDescribed(t)
  const ruleset = join(import.meta.dirname, 'spectral.yaml')
  const args = ['lint', file, '--ruleset', ruleset, '--format', 'json', '--quiet']
  const { code, stdout, stderr } = await run(tool('spectral'), args)
  t.equal(stderr, '')
  const errors = (JSON.parse(stdout || '[]') as SpectralResult[]).filter(({ severity }) => severity === 0)
  t.strictSame(errors.map(({ code, message, path }) => `${code} ${path.join('/')}: ${message}`), [])
  t.equal(code, 0)
})

test('Redocly finds no error by its recommended rules', async t => {
  const { file } = await startDescribed(t)
  const args = ['lint', file, '--config', join(import.meta.dirname, 'redocly.yaml'), '--format', 'json']
  const { code, stdout } = await run(tool('redocly'), args)
  const { problems, totals } = JSON.parse(stdout) as RedoclyReport
  const errors = problems.filter(({ severity }) => severity === 'error')
  t.strictSame(errors.map(({ ruleId, message, location }) => `${ruleId} ${location[0]?.pointer}: ${message}`), [])
  t.equal(totals.errors, 0)
  t.equal(code, 0)
})
