import { test } from 'tap'
import { shareApp } from '../support/shared-app.ts'

test('DOCS=on serves the page, its files and the document', async t => {
  const { get } = await shareApp(t, { DOCS: 'on' })
  const page = await get('/docs')
  t.equal(page.status, 200)
  t.equal(page.headers['content-type'], 'text/html; charset=utf-8')
  const files = Array.from(String(page.body).matchAll(/(?:src|href)="([^"]+)"/g), match => String(match[1]))
  t.ok(files.length > 3)
  for (const file of files) {
    t.match(file, /^\/docs\//, 'no file is from another host')
    t.equal((await get(file)).status, 200, file)
  }
  t.equal((await get('/docs/json')).status, 200)
  const yaml = await get('/docs/yaml')
  t.equal(yaml.headers['content-type'], 'application/x-yaml')
  t.match(yaml.body, /^openapi: 3\.1\.0\n/)
})

test('the page may load from and call only the service', async t => {
  const { get } = await shareApp(t, { DOCS: 'on' })
  for (const url of ['/docs', '/docs/', '/docs/static/swagger-ui-bundle.js']) {
    const { headers } = await get(url)
    t.equal(headers['content-security-policy'], 'default-src \'none\'; script-src \'self\'; ' +
      'style-src \'self\' \'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w=\'; ' +
      'img-src \'self\' data:; connect-src \'self\'; base-uri \'none\'; form-action \'none\'; frame-ancestors \'none\'', url)
  }
  t.equal((await get('/')).headers['content-security-policy'], 'default-src \'none\';frame-ancestors \'none\'', 'other responses load nothing')
})

test('a file that does not exist is a 404 of the service', async t => {
  const { get } = await shareApp(t, { DOCS: 'on' })
  for (const url of ['/docs/no-such-file', '/docs/static/no-such-file', '/docs/static/../../package.json', '/docs/static/%2e%2e%2fpackage.json']) {
    const { status, body } = await get(url)
    t.strictSame([status, body], [404, { message: 'Route not found.', code: 'ROUTE_NOT_FOUND' }], url)
  }
})

test('DOCS=off serves neither the page nor the document', async t => {
  const { get } = await shareApp(t, { DOCS: 'off' })
  for (const url of ['/docs', '/docs/', '/docs/json', '/docs/yaml', '/docs/static/swagger-ui.css']) {
    t.equal((await get(url)).status, 404, url)
  }
})
