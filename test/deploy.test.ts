import { collectDefaultMetrics, Registry } from 'prom-client'
import { test } from 'tap'
import { settings } from '../src/config/settings.ts'
import { startApp } from './support/app.ts'
import { faultsOf, SERVICE } from './support/settings.ts'
import { filesUnder, readText } from './support/source.ts'

// What a change of the source can break in deploy/ unnoticed. npm run test:cluster covers the rest.

/** The matches of a pattern's first group in a text, without duplicates. */
const matchesOf = (text: string, pattern: RegExp) =>
  [...new Set(Array.from(text.matchAll(pattern), match => String(match[1])))]

test('the Dockerfile copies every folder that the build reads', async t => {
  const { include } = JSON.parse(readText('tsconfig.build.json')) as { include: string[] }
  const read = [...include, 'scripts']
  t.strictSame(matchesOf(readText('Dockerfile'), /^COPY (\w+) \.\/\1$/gm).sort(), [...read].sort())
  const sent = matchesOf(readText('.dockerignore'), /^!(.*)$/gm)
  for (const folder of read) t.ok(sent.includes(folder), folder)
})

test('the container files name settings that exist', async t => {
  // As the key of a mapping (compose, a Secret), or as the name of a variable (a Deployment).
  const names = filesUnder(['deploy'], '.yaml')
    .flatMap(path => matchesOf(readText(path), /^ +(?:- name: )?([A-Z][A-Z0-9_]+)(?::|$)/gm))
    .filter(name => !name.startsWith('POSTGRES_'))
  t.ok(names.length > 5)
  t.strictSame(names.filter(name => !(name in settings.properties)), [])
})

test('what runs the service behind a proxy sets TRUST_PROXY, or a text that stops the start', async t => {
  const [value = ''] = matchesOf(readText('deploy/kubernetes/deployment.yaml'), /- name: TRUST_PROXY\n +value: (.+)/g)
  t.strictSame(faultsOf({ ...SERVICE, TRUST_PROXY: value }), [
    'TRUST_PROXY must be a comma-separated list of addresses, networks such as 10.0.0.0/8, loopback, linklocal or uniquelocal'
  ])
  t.match(readText('deploy/compose.yaml'), /\n {6}TRUST_PROXY: \$\{TRUST_PROXY:-\}\n/)
  t.match(readText('deploy/haproxy.cfg'), 'TRUST_PROXY=10.0.0.1')
})

test('the dashboard, the alerts and the table of metrics name metrics that exist, and the table has all', async t => {
  const { app } = await startApp(t)
  const process = new Registry()
  collectDefaultMetrics({ register: process })
  t.teardown(() => process.clear())
  const familyOf = (name: string) => name.replace(/(_seconds)_(bucket|sum|count)$/, '$1')
  const own = [...new Set(app.metrics.getMetricsAsArray().map(({ name }) => familyOf(name)))]
  const existing = [...own, ...process.getMetricsAsArray().map(({ name }) => name)]
  for (const file of ['deploy/grafana.json', 'deploy/alerts.yml']) {
    const names = matchesOf(readText(file), /\b((?:gatehouse|http_request|nodejs|process)_[a-z0-9_]+)/g).map(familyOf)
    t.ok(names.length > 3)
    t.strictSame(names.filter(name => !existing.includes(name)), [], file)
  }
  const listed = matchesOf(readText('docs/operations.md'), /^\| `((?:gatehouse|http)_\w+)` \|/gm)
  t.strictSame([...new Set(listed.map(familyOf))].sort(), own.sort())
})
