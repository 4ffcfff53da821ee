import { collectDefaultMetrics, Registry } from 'prom-client'
import { test } from 'tap'
import { settings } from '../src/config/settings.ts'
import { startApp } from './support/app.ts'
import { filesUnder, readText } from './support/source.ts'

// What a change of the source can break in deploy/ without anybody noticing; npm run test:cluster runs the rest.

test('the Dockerfile copies everything that the build compiles', async t => {
  const { include }: { include: string[] } = JSON.parse(readText('tsconfig.build.json'))
  const copied = Array.from(readText('Dockerfile').matchAll(/^COPY (\w+) \.\/\1$/gm), match => String(match[1]))
  t.strictSame(copied.sort(), include.sort())
  const sent = readText('.dockerignore').split('\n').filter(line => line.startsWith('!')).map(line => line.slice(1))
  for (const folder of include) t.ok(sent.includes(folder), folder)
})

test('the container files name settings that exist', async t => {
  const files = filesUnder(['deploy'], '.yaml')
  // As a mapping's key (compose, a Secret), or as the name of a variable (a Deployment).
  const named = files.flatMap(path => Array.from(readText(path).matchAll(/^ +(?:- name: )?([A-Z][A-Z0-9_]+)(?::|$)/gm), match => String(match[1])))
  const known = named.filter(name => !name.startsWith('POSTGRES_'))
  t.ok(known.length > 5)
  t.strictSame(known.filter(name => !(name in settings.properties)), [])
})

test('the dashboard, the alarms and the table of figures name what the service shows, and the table all of it', async t => {
  const { app } = await startApp(t)
  const process = new Registry()
  collectDefaultMetrics({ register: process })
  t.teardown(() => process.clear())
  const own = app.metrics.getMetricsAsArray().map(({ name }) => name)
  const shown = [...own, ...process.getMetricsAsArray().map(({ name }) => name)]
  const named = (text: string) => [...new Set(Array.from(text.matchAll(/\b(?:gatehouse|nodejs|process)_[a-z0-9_]+/g), match => match[0].replace(/_(bucket|sum|count)$/, '')))]
  for (const file of ['deploy/grafana.json', 'deploy/alerts.yml']) {
    t.ok(named(readText(file)).length > 3)
    t.strictSame(named(readText(file)).filter(name => !shown.includes(name)), [], file)
  }
  t.strictSame(Array.from(readText('docs/operations.md').matchAll(/^\| `(gatehouse_\w+)` \|/gm), match => match[1]).sort(), [...own].sort())
})
