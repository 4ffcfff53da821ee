import { test } from 'tap'
import { startApp } from '../support/app.ts'
import { jwks, keyFile, privateKeys, secretsOf, toJwk } from '../support/keys.ts'

const PATH = '/.well-known/jwks.json'

test('with JWT_SECRET there are no public keys', async t => {
  const { get } = await startApp(t, { JWT_SECRET_ACCEPTED: ['another secret of the tests, which is long enough'] })
  const { status, headers, body } = await get(PATH)
  t.equal(status, 200)
  t.strictSame(body, { keys: [] })
  t.equal(headers['content-type'], 'application/json; charset=utf-8')
  t.equal(headers['cache-control'], 'public, max-age=300')
})

test('each key is published with its public members and no others', async t => {
  const keys = [privateKeys.EdDSA(), privateKeys.ES256(), privateKeys.RS256()]
  const further = { key_ops: ['sign'], ext: true, note: 'internal', k: 'c2VjcmV0' }
  const { file } = await keyFile(t, jwks(...keys.map(key => toJwk(key, further))))
  const { get } = await startApp(t, { JWT_KEYS_FILE: file })
  const response = await get(PATH)
  t.equal(response.status, 200)
  t.equal(response.headers['cache-control'], 'public, max-age=300')
  t.strictSame(response.json<{ keys: object[] }>().keys.map(key => Object.keys(key).sort().join(' ')), [
    'alg crv kid kty use x', 'alg crv kid kty use x y', 'alg e kid kty n use'
  ])
  t.strictSame(keys.flatMap(secretsOf).filter(secret => JSON.stringify(response.body).includes(secret)), [])
})
