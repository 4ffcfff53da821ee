import { test } from 'tap'
import { relyingPartyOf } from '../../../src/factors/relying-party.ts'
import { configOf } from '../../support/settings.ts'

const of = (settings: Parameters<typeof configOf>[1]) =>
  relyingPartyOf(configOf('postgres://localhost/gatehouse', { PRODUCT_NAME: 'Shop', ...settings }))

test('without PUBLIC_URL, both settings of passkeys are required', t => {
  t.equal(of({}), undefined)
  t.equal(of({ PASSKEY_RP_ID: 'example.com' }), undefined)
  t.equal(of({ PASSKEY_ORIGINS: ['https://app.example.com'] }), undefined)
  t.strictSame(of({ PASSKEY_RP_ID: 'example.com', PASSKEY_ORIGINS: ['https://app.example.com'] }),
    { id: 'example.com', name: 'Shop', origins: ['https://app.example.com'] })
  t.end()
})

test('PUBLIC_URL gives what the settings of passkeys leave out', t => {
  const PUBLIC_URL = 'https://auth.example.com:8443/auth'
  t.strictSame(of({ PUBLIC_URL }), { id: 'auth.example.com', name: 'Shop', origins: ['https://auth.example.com:8443'] })
  t.strictSame(of({ PUBLIC_URL, PASSKEY_RP_ID: 'example.com' }),
    { id: 'example.com', name: 'Shop', origins: ['https://auth.example.com:8443'] })
  t.strictSame(of({ PUBLIC_URL, PASSKEY_ORIGINS: ['https://app.example.com'] }),
    { id: 'auth.example.com', name: 'Shop', origins: ['https://app.example.com'] })
  t.end()
})
