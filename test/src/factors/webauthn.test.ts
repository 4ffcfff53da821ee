import { test } from 'tap'
import { challengeOf, verifyRegistration } from '../../../src/factors/webauthn.ts'
import { Authenticator, ORIGIN, PASSKEY_SETTINGS } from '../../support/authenticator.ts'

const RP = { id: PASSKEY_SETTINGS.PASSKEY_RP_ID, name: 'gatehouse', origins: [ORIGIN] }

const created = () => new Authenticator().create({ challenge: 'x', user: { id: 'x' } })

const hex = (text: string): string => Buffer.from(text).toString('hex')

/** The response with the format and the statement of an attestation, in hexadecimal CBOR (WebAuthn §6.5.4). */
function attested ({ response, ...rest }: ReturnType<typeof created>, format: string, statement: string) {
  const attestation = Buffer.from(response.attestationObject, 'base64url')
  const data = attestation.subarray(attestation.indexOf('authData') - 1).toString('hex')
  const bytes = `a3 63${hex('fmt')} ${format} 67${hex('attStmt')} ${statement} ${data}`
  const attestationObject = Buffer.from(bytes.replaceAll(' ', ''), 'hex').toString('base64url')
  return { ...rest, type: 'public-key' as const, response: { ...response, attestationObject } }
}

test('an attestation is not verified: its certificates could name an address to fetch', async t => {
  const signed = `63${hex('alg')} 26 63${hex('sig')} 48 3006020101020101`
  for (const [format, statement] of [
    [`66${hex('packed')}`, `a2 ${signed}`],
    [`6b${hex('android-key')}`, `a3 ${signed} 63${hex('x5c')} 81 41 00`],
    [`66${hex('nobody')}`, 'a0']
  ] as const) {
    const authenticator = new Authenticator()
    const response = attested(authenticator.create({ challenge: 'x', user: { id: 'x' } }), format, statement)
    t.match(await verifyRegistration(RP, 'x', response), { id: authenticator.id, counter: 0 })
  }
})

test('a public key that no authenticator uses is refused', async t => {
  const response = (keyPadding: number) => ({
    ...new Authenticator().create({ challenge: 'x', user: { id: 'x' } }, { keyPadding }), type: 'public-key' as const
  })
  t.match(await verifyRegistration(RP, 'x', response(2000)), { counter: 0 })
  t.strictSame(await verifyRegistration(RP, 'x', response(2100)), { reason: 'its public key is too long' })
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
