import { test } from 'tap'
import { challengeOf, verifyRegistration } from '../../../src/factors/webauthn.ts'
import { Authenticator, ORIGIN, PASSKEY_SETTINGS } from '../../support/authenticator.ts'

const RP = { id: PASSKEY_SETTINGS.PASSKEY_RP_ID, name: 'gatehouse', origins: [ORIGIN] }

const created = () => new Authenticator().create({ challenge: 'x', user: { id: 'x' } })

const hex = (text: string): string => Buffer.from(text).toString('hex')

/** The response with a statement that its own key has signed (WebAuthn §8.2), although nobody has asked for one. */
function withSelfAttestation ({ response, ...rest }: ReturnType<typeof created>, signature: string) {
  const attestation = Buffer.from(response.attestationObject, 'base64url')
  const data = attestation.subarray(attestation.indexOf('authData') - 1).toString('hex')
  const bytes = `a3 63${hex('fmt')} 66${hex('packed')} 67${hex('attStmt')} a2 63${hex('alg')} 26 63${hex('sig')} 48${signature} ${data}`
  const attestationObject = Buffer.from(bytes.replaceAll(' ', ''), 'hex').toString('base64url')
  return { ...rest, type: 'public-key' as const, response: { ...response, attestationObject } }
}

test('a registration whose attestation has a wrong signature is refused', async t => {
  // The DER of r = 1 and s = 1.
  t.strictSame(await verifyRegistration(RP, 'x', withSelfAttestation(created(), '3006020101020101')),
    { reason: 'its response could not be verified' })
})

test('a registration gives the id, the key, the counter and the model of the passkey', async t => {
  const authenticator = new Authenticator('fbfc3007-154e-4ecc-8c0b-6e020557d7bd')
  const { response: { transports: _, ...response }, ...rest } = authenticator.create({ challenge: 'x', user: { id: 'x' } }, { counter: 7 })
  const passkey = await verifyRegistration(RP, 'x', { ...rest, type: 'public-key', response })
  t.match(passkey, { id: authenticator.id, publicKey: /^[\w-]{60,}$/, counter: 7, aaguid: 'fbfc3007-154e-4ecc-8c0b-6e020557d7bd' })
  t.match(passkey, { transports: [] })
})

test('the challenge of a response is read without trust', t => {
  const of = (json: string) => challengeOf({
    ...created(), type: 'public-key', response: { ...created().response, clientDataJSON: Buffer.from(json).toString('base64url') }
  })
  t.equal(of('{"challenge":"abc"}'), 'abc')
  for (const json of ['', '{', 'null', '[]', '{}', '{"challenge":1}', '"challenge"']) t.equal(of(json), undefined, json)
  t.end()
})
