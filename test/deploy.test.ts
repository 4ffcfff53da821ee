import { collectDefaultMetrics, Registry } from 'prom-client'
import { test } from 'tap'
import { parse } from 'yaml'
import { settings } from '../src/config/settings.ts'
import { isRecord, property } from '../src/unknown.ts'
import { startApp } from './support/app.ts'
import { faultsOf, SERVICE } from './support/settings.ts'
import { filesUnder, readText } from './support/source.ts'

// What a change of the source can break in deploy/ unnoticed. npm run test:cluster covers the rest.

/** The matches of a pattern's first group in a text, without duplicates. */
const matchesOf = (text: string, pattern: RegExp) =>
  [...new Set(Array.from(text.matchAll(pattern), match => String(match[1])))]

test('the Dockerfile copies every folder that the build reads', async t => {
  const { include } = JSON.parse(readText('tsconfig.build.json')) as { include: string[] }
  const read = [...include, 'scripts', 'views']
  t.strictSame(matchesOf(readText('Dockerfile'), /^COPY (\w+) \.\/\1$/gm).sort(), [...read].sort())
  const sent = matchesOf(readText('.dockerignore'), /^!(.*)$/gm)
  for (const folder of read) t.ok(sent.includes(folder), folder)
  const settings = matchesOf(readText('scripts/build.js'), /'(tsconfig[\w.]*\.json)'/g)
  const copied = /^COPY (tsconfig.*) \.\/$/m.exec(readText('Dockerfile'))?.[1]
  t.strictSame(copied?.split(' ').sort(), settings.sort())
  t.strictSame(settings.filter(name => !sent.includes(name)), [])
})

test('the container files name settings that exist', async t => {
  // As the key of a mapping (compose, a Secret), or as the name of a variable (a Deployment).
  const names = filesUnder(['deploy'], '.yaml')
    .flatMap(path => matchesOf(readText(path), /^ +(?:- name: )?([A-Z][A-Z0-9_]+)(?::|$)/gm))
    .filter(name => !name.startsWith('POSTGRES_'))
  t.ok(names.length > 5)
  t.strictSame(names.filter(name => !(name in settings.properties)), [])
})

test('container images have exact versions, and those of the service have the version of the package', async t => {
  const { version } = JSON.parse(readText('package.json')) as { version: string }
  const images = ['Dockerfile', ...filesUnder(['deploy'], '.yaml')]
    .flatMap(path => matchesOf(readText(path), /^(?:FROM| +image:) (\S+)/gm))
  t.strictSame([...new Set(images.map(image => image.split(':')[0]))].sort(), ['gatehouse', 'node', 'postgres'])
  // PostgreSQL's versions have two numbers.
  t.strictSame(images.filter(image => !/^(postgres:\d+\.\d+|node:\d+\.\d+\.\d+-[a-z-]+|gatehouse:\d+\.\d+\.\d+)$/.test(image)), [])
  t.strictSame(images.filter(image => image.startsWith('gatehouse:') && image !== `gatehouse:${version}`), [])
})

test('every Kubernetes file but the example of the Secret is part of the kustomization', async t => {
  const files = filesUnder(['deploy/kubernetes'], '.yaml').map(path => path.replace('deploy/kubernetes/', ''))
  const own = ['kustomization.yaml', 'secret.example.yaml']
  t.strictSame(matchesOf(readText('deploy/kubernetes/kustomization.yaml'), /^ {2}- (\S+)$/gm).sort(),
    files.filter(name => !own.includes(name)))
})

const IDENTITY = ['X-User-Id', 'X-User-Name', 'X-User-Roles', 'X-Auth-Method']
const PRESENTED = ['Authorization', 'X-Access-Token', 'X-Api-Key']

/** The values of a property, anywhere in a document. */
function valuesOf (document: unknown, name: string): unknown[] {
  if (Array.isArray(document)) return document.flatMap(item => valuesOf(item, name))
  if (!isRecord(document)) return []
  return Object.entries(document).flatMap(([key, value]) => [...key === name ? [value] : [], ...valuesOf(value, name)])
}

test('Traefik deletes what clients claim, asks gatehouse, and deletes the secrets, in this order', async t => {
  const document: unknown = parse(readText('deploy/forward-auth/traefik.yaml'))
  t.strictSame(valuesOf(document, 'middlewares').filter(Array.isArray), [
    ['unclaimed', 'check', 'without-secrets'], ['unclaimed', 'check-admin', 'without-secrets']
  ])
  const [claims, secrets] = valuesOf(document, 'customRequestHeaders').map(headers => isRecord(headers) ? headers : {})
  t.strictSame(Object.values({ ...claims, ...secrets }).filter(value => value !== ''), [], 'an empty value deletes a header')
  const forms = IDENTITY.flatMap(name => {
    const [x = '', middle = '', last = ''] = name.split('-')
    return ['-', '_'].flatMap(one => ['-', '_'].map(other => `${x}${one}${middle}${other}${last}`))
  })
  t.strictSame(Object.keys(claims ?? {}).sort(), forms.sort())
  t.strictSame(Object.keys(secrets ?? {}), PRESENTED)
  t.strictSame(valuesOf(document, 'authResponseHeaders'), [IDENTITY, IDENTITY])
  t.strictSame(valuesOf(document, 'authRequestHeaders'), [PRESENTED, PRESENTED])
  t.strictSame(valuesOf(document, 'address'),
    ['http://10.0.0.11:8080/api/auth/check', 'http://10.0.0.11:8080/api/auth/check?role=admin'])
  t.strictSame(valuesOf(document, 'trustForwardHeader'), [])
})

test('Envoy deletes what clients claim before its filters, and lets nothing pass if gatehouse fails', async t => {
  const document: unknown = parse(readText('deploy/forward-auth/envoy.yaml'))
  const names = IDENTITY.map(name => name.toLowerCase())
  t.strictSame(valuesOf(document, 'mutations'), [names.map(name => ({ remove: name }))])
  t.strictSame(valuesOf(document, 'headers_with_underscores_action'), ['REJECT_REQUEST'])
  t.strictSame(valuesOf(document, 'allowed_upstream_headers'), [{ patterns: names.map(name => ({ exact: name })) }])
  t.strictSame(valuesOf(document, 'allowed_headers'),
    [{ patterns: [...PRESENTED, 'X-Forwarded-For'].map(name => ({ exact: name.toLowerCase() })) }])
  t.strictSame(valuesOf(document, 'request_headers_to_remove'), [PRESENTED.map(name => name.toLowerCase())])
  t.strictSame(valuesOf(document, 'failure_mode_allow'), [false])
  const clusters = valuesOf(document, 'clusters').flat().map(cluster => property(cluster, 'name'))
  t.strictSame(valuesOf(document, 'cluster').filter(name => !clusters.includes(name)), [])
  const [script] = valuesOf(document, 'inline_string')
  t.match(script, '"/api/auth/check"')
})

test('every configuration for forward authentication asks the check of this service', async t => {
  const { app } = await startApp(t)
  t.ok(app.hasRoute({ method: 'GET', url: '/api/auth/check' }))
  const files = ['nginx.conf', 'gatehouse.lua', 'Caddyfile', 'traefik.yaml', 'envoy.yaml']
  for (const file of files) t.match(readText(`deploy/forward-auth/${file}`), '/api/auth/check', file)
  t.match(readText('examples/behind-nginx/nginx.conf'), '/api/auth/check;')
})

test('only the namespace of the monitoring may reach the metrics in Kubernetes', async t => {
  const policy = readText('deploy/kubernetes/network-policy.yaml')
  const [, rules = ''] = policy.split(/^ {2}ingress:\n/m)
  const ports = rules.split(/^ {4}- /m).filter(Boolean).map(rule => [
    matchesOf(rule, /port: (\w+)/g), matchesOf(rule, /kubernetes\.io\/metadata\.name: (\w+)/g)
  ])
  t.strictSame(ports, [[['http'], []], [['metrics'], ['monitoring']]])
  t.match(policy, /^ {2}policyTypes: \[Ingress\]$/m, 'what no rule allows is denied')
  const containerPorts = matchesOf(readText('deploy/kubernetes/deployment.yaml'), /- name: (\w+)\n +containerPort:/g)
  t.strictSame(containerPorts, ['http', 'metrics'])
  const label = 'app.kubernetes.io/name: gatehouse'
  t.ok(policy.includes(`podSelector:\n    matchLabels:\n      ${label}\n`), 'it selects the pods of the Deployment')
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
