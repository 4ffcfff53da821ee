import { test } from 'tap'
import { startApp, type TestApp } from '../../../support/app.ts'
import { Authenticator, ORIGIN } from '../../../support/authenticator.ts'
import {
  CHALLENGE_INVALID, claimsOf, NO_PASSKEY, NOT_FRESH, notConfigured, passkeyInvalid, passkeysExceeded, TOKEN_INVALID
} from '../../../support/factor-errors.ts'
import {
  type CreationOptions, type EnrolledPasskey, enrolPasskey, FACTOR_SETTINGS, signUpWithPasskey, signUpWithTotp
} from '../../../support/factors.ts'
import { openMailbox } from '../../../support/mailbox.ts'
import { shareApp } from '../../../support/shared-app.ts'

const PATH = '/api/users/me/passkeys'
const UNKNOWN = '019ab0c4-7c00-7000-8000-000000000001'
const UNVERIFIED = passkeyInvalid('its response could not be verified')

const optionsOf = async ({ as }: TestApp, accessToken: string) =>
  (await as(accessToken, 'POST', `${PATH}/options`)).json<CreationOptions & { excludeCredentials: object[] }>()

const register = async ({ as }: TestApp, accessToken: string, response: object, name?: string) =>
  await as(accessToken, 'POST', PATH, { response, ...name !== undefined && { name } })

async function signUpAda (service: TestApp) {
  await service.signUp('ada')
  return await service.signIn('ada')
}

test('the options ask for a discoverable passkey that verifies the user, with a random user handle', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken } = await signUpAda(service)
  const response = await service.as(accessToken, 'POST', `${PATH}/options`)
  const { challenge, user } = response.json<CreationOptions>()
  t.match([challenge, user.id], [/^[\w-]{43}$/, /^[\w-]{43}$/])
  t.strictSame([response.status, response.body], [200, {
    challenge,
    rp: { id: 'auth.example.com', name: 'gatehouse' },
    user: { id: user.id, name: 'ada', displayName: 'ada' },
    pubKeyCredParams: [-8, -7, -257].map(alg => ({ type: 'public-key', alg })),
    timeout: 300_000,
    excludeCredentials: [],
    authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
    attestation: 'none',
    extensions: { credProps: true }
  }])
  t.notSame((await optionsOf(service, accessToken)).user.id, user.id, 'another one each time, until there is a passkey')
  t.notMatch(JSON.stringify(await service.sql('SELECT * FROM challenges')), challenge)
})

test('the first passkey gives recovery codes; the session is fresh by it, and every other one ends', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken } = await signUpAda(service)
  const other = await service.signIn('ada')
  const authenticator = new Authenticator()
  const response = await register(service, accessToken, authenticator.create(await optionsOf(service, accessToken)), 'Desk 🔑')
  const { id, accessToken: renewed, recoveryCodes = [] } = response.json<EnrolledPasskey>()
  t.strictSame([response.status, response.body], [201, { id, name: 'Desk 🔑', accessToken: renewed, recoveryCodes }])
  t.equal(new Set(recoveryCodes).size, 10)
  t.match(claimsOf(renewed), { amr: ['pwd', 'hwk', 'mfa'], sid: claimsOf(accessToken)['sid'] })
  const ended = await service.as(other.accessToken, 'GET', '/api/test/user')
  t.strictSame([ended.status, ended.body], [401, TOKEN_INVALID])
})

test('further passkeys have the same user handle, exclude each other, and give no recovery codes', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const first = await signUpWithPasskey(service, 'ada')
  const { excludeCredentials, user } = await optionsOf(service, first.accessToken)
  t.equal(user.id, first.authenticator.userHandle)
  t.strictSame(excludeCredentials, [{ type: 'public-key', id: first.authenticator.id, transports: ['internal'] }])
  const second = await enrolPasskey(service, first.accessToken)
  t.equal(second.recoveryCodes, undefined)
  t.strictSame(await service.sql('SELECT DISTINCT data ->> \'userHandle\' AS handle FROM credentials WHERE kind = \'passkey\''),
    [{ handle: user.id }])
  const bob = await signUpWithPasskey(service, 'bob')
  t.not(bob.authenticator.userHandle, user.id)
})

for (const [title, changes] of [
  ['that has verified no user', { isUserVerified: false }],
  ['without a user present', { isUserPresent: false }],
  ['of another origin', { origin: 'https://evil.example.com' }],
  ['of a subdomain', { origin: `${ORIGIN}.evil.example.com` }],
  ['of an insecure page', { origin: 'http://auth.example.com' }],
  ['of another RP ID', { rpId: 'evil.example.com' }],
  ['of a parent of the RP ID', { rpId: 'example.com' }],
  ['that is one of a sign-in', { type: 'webauthn.get' }]
] as const) {
  test(`a registration ${title} is refused, and the challenge stays`, async t => {
    const service = await shareApp(t, FACTOR_SETTINGS)
    const { accessToken } = await signUpAda(service)
    const options = await optionsOf(service, accessToken)
    const authenticator = new Authenticator()
    const response = await register(service, accessToken, authenticator.create(options, changes))
    t.strictSame([response.status, response.body], [400, UNVERIFIED])
    t.match(service.logs.find(({ msg }) => msg === 'a passkey was not accepted'), { userId: 1, detail: String })
    t.equal((await register(service, accessToken, authenticator.create(options))).status, 201)
  })
}

test('a passkey that is not discoverable is refused, and a response that is none', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken } = await signUpAda(service)
  const options = await optionsOf(service, accessToken)
  const created = new Authenticator().create(options)
  const cases: Array<[response: object, reason: string]> = [
    [{ ...created, clientExtensionResults: { credProps: { rk: false } } }, 'it is not discoverable'],
    [{ ...created, response: { ...created.response, clientDataJSON: 'AAAA' } }, 'it names no challenge'],
    [{ ...created, response: { ...created.response, clientDataJSON: 'bnVsbA' } }, 'it names no challenge'],
    [{ ...created, response: { ...created.response, clientDataJSON: 'eyJjaGFsbGVuZ2UiOjF9' } }, 'it names no challenge'],
    [{ ...created, response: { ...created.response, attestationObject: 'AAAA' } }, 'its response could not be verified'],
    [{ ...created, id: 'AAAA' }, 'its response could not be verified']
  ]
  for (const [response, reason] of cases) {
    const refused = await register(service, accessToken, response)
    t.strictSame([refused.status, refused.body], [400, passkeyInvalid(reason)])
  }
  const { clientExtensionResults: _, ...silent } = created
  t.equal((await register(service, accessToken, silent)).status, 201, 'a browser may not tell')
})

test('a challenge is used once, expires, and belongs to its session and its user', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const ada = await signUpAda(service)
  await service.signUp('eve')
  const [again, eve] = [await service.signIn('ada'), await service.signIn('eve')]
  const options = await optionsOf(service, ada.accessToken)
  for (const { accessToken } of [again, eve]) {
    const response = await register(service, accessToken, new Authenticator().create(options))
    t.strictSame([response.status, response.body], [401, CHALLENGE_INVALID])
  }
  t.equal((await register(service, ada.accessToken, new Authenticator().create(options))).status, 201)
  const used = await register(service, ada.accessToken, new Authenticator().create(options))
  t.strictSame([used.status, used.body], [401, CHALLENGE_INVALID])
  const late = await optionsOf(service, ada.accessToken)
  await service.sql('UPDATE challenges SET expires_at = now()')
  t.strictSame((await register(service, ada.accessToken, new Authenticator().create(late))).body, CHALLENGE_INVALID)
  const own = await register(service, ada.accessToken, new Authenticator().create({ challenge: 'own', user: { id: 'own' } }))
  t.strictSame(own.body, CHALLENGE_INVALID, 'a challenge that the service has not made')
})

test('a passkey that is registered already is refused, also to another user', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken, authenticator } = await signUpWithPasskey(service, 'ada')
  await service.signUp('eve')
  const eve = await service.signIn('eve')
  for (const token of [accessToken, eve.accessToken]) {
    const response = await register(service, token, authenticator.create(await optionsOf(service, token)))
    t.strictSame([response.status, response.body], [400, passkeyInvalid('it is registered already')])
  }
})

test('a user has at most MAX_PASSKEYS, at the options and at the registration', async t => {
  const service = await shareApp(t, { ...FACTOR_SETTINGS, MAX_PASSKEYS: 2 })
  const strict = await startApp(t, { ...FACTOR_SETTINGS, DATABASE_URL: service.url, MAX_PASSKEYS: 1 })
  const { accessToken } = await signUpWithPasskey(service, 'ada')
  const options = await optionsOf(service, accessToken)
  const late = await register(strict, accessToken, new Authenticator().create(options))
  t.strictSame([late.status, late.body], [409, passkeysExceeded(1)], 'an instance with another limit')
  const parallel = [options, await optionsOf(service, accessToken), await optionsOf(service, accessToken)]
  const responses = await Promise.all(parallel.map(async each =>
    await register(service, accessToken, new Authenticator().create(each))))
  t.strictSame(responses.map(({ status }) => status).sort(), [201, 401, 401], 'the first one voids the other challenges')
  const full = await service.as(accessToken, 'POST', `${PATH}/options`)
  t.strictSame([full.status, full.body], [409, passkeysExceeded(2)])
  t.strictSame(await service.sql('SELECT count(*)::int FROM credentials WHERE kind = \'passkey\''), [{ count: 2 }])
})

test('passkeys are listed, oldest first, renamed and removed', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  await service.signUp('ada')
  const { accessToken } = await service.signIn('ada')
  const known = await enrolPasskey(service, accessToken, new Authenticator('fbfc3007-154e-4ecc-8c0b-6e020557d7bd'))
  const unknown = await enrolPasskey(service, accessToken)
  t.strictSame([known.name, unknown.name], ['iCloud Keychain', 'Passkey'])
  const rename = async (id: string, name: string) => await service.as(accessToken, 'PATCH', `${PATH}/${id}`, { name })
  const renamed = await rename(unknown.id, 'Key on the desk')
  t.strictSame([renamed.status, renamed.body], [200, { message: 'The passkey was renamed.' }])
  const list = async () => (await service.as(accessToken, 'GET', PATH)).json<{ passkeys: Array<{ created: string }> }>()
  const [one, two] = (await list()).passkeys.map(({ created }) => new Date(created).toISOString())
  t.strictSame(await list(), {
    passkeys: [
      { id: known.id, name: 'iCloud Keychain', created: one, lastUsed: null },
      { id: unknown.id, name: 'Key on the desk', created: two, lastUsed: null }
    ]
  })
  const removed = await service.as(accessToken, 'DELETE', `${PATH}/${known.id}`)
  t.strictSame([removed.status, removed.body], [200, { message: 'The passkey was removed.' }])
  for (const response of [await rename(known.id, 'x'), await service.as(accessToken, 'DELETE', `${PATH}/${UNKNOWN}`)]) {
    t.strictSame([response.status, response.body], [404, NO_PASSKEY])
  }
  t.strictSame((await list()).passkeys.length, 1)
})

test('nobody renames or removes the passkey of another user', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { id } = await signUpWithPasskey(service, 'ada')
  const { accessToken } = await signUpWithPasskey(service, 'eve')
  for (const response of [
    await service.as(accessToken, 'PATCH', `${PATH}/${id}`, { name: 'mine' }), await service.as(accessToken, 'DELETE', `${PATH}/${id}`)
  ]) t.strictSame([response.status, response.body], [404, NO_PASSKEY])
})

test('a name has 1 to 64 characters, and no line breaks, since mails show it', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken, id } = await signUpWithPasskey(service, 'ada')
  const names = ['', 'a'.repeat(65), 'a\nb', 'a\r', 'a\tb', 'a\u0000', 'a\u2028b', 'a\u2029', 'a\u001b[31m', '\ud800']
  for (const [index, name] of names.entries()) {
    const response = await service.as(accessToken, 'PATCH', `${PATH}/${id}`, { name })
    t.strictSame([response.status, response.body],
      [400, { message: 'name must be a line of 1 to 64 characters, not only spaces', code: 'VALIDATION_FAILED' }], `name ${index}`)
  }
  t.equal((await service.as(accessToken, 'PATCH', `${PATH}/${id}`, { name: '👩‍👧 Schlüssel' })).status, 200)
})

test('the last passkey takes the recovery codes with it, and the other sessions', async t => {
  const box = await openMailbox(t, FACTOR_SETTINGS)
  const { accessToken, id } = await signUpWithPasskey(box, 'ada')
  await box.as(accessToken, 'DELETE', `${PATH}/${id}`)
  await box.letter('ada@example.com', 2)
  t.match(box.server.mails.map(({ text }) => text), [/ada: a passkey \(Passkey\)\./, /a passkey \(Passkey\)/])
  t.strictSame(await box.sql('SELECT kind, version FROM credentials'), [{ kind: 'password', version: 3 }])
  t.match(await box.signIn('ada'), { accessToken: String })
})

test('a session that has only the password does not change the passkeys, but lists them', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken } = await signUpWithTotp(service, 'ada')
  const options = await optionsOf(service, accessToken)
  const { id, authenticator } = await enrolPasskey(service, accessToken)
  await service.sql('UPDATE refresh_tokens SET amr = ARRAY[\'pwd\']')
  service.app.sessionCache.invalidate(1)
  for (const [method, path, payload] of [
    ['POST', '/options', undefined], ['POST', '', { response: authenticator.create(options) }], ['DELETE', `/${id}`, undefined],
    ['PATCH', `/${id}`, { name: 'x' }]
  ] as const) {
    const response = await service.as(accessToken, method, `${PATH}${path}`, payload)
    t.strictSame([response.status, response.body], [401, NOT_FRESH], `${method} ${path}`)
  }
  t.equal((await service.as(accessToken, 'GET', PATH)).status, 200)
})

test('without the settings of passkeys there are none', async t => {
  const service = await shareApp(t)
  const { accessToken } = await signUpAda(service)
  const created = new Authenticator().create({ challenge: 'x', user: { id: 'x' } })
  for (const response of [
    await service.as(accessToken, 'POST', `${PATH}/options`), await register(service, accessToken, created)
  ]) t.strictSame([response.status, response.body], [501, notConfigured('PASSKEY_RP_ID')])
  t.strictSame((await service.as(accessToken, 'GET', PATH)).body, { passkeys: [] })
})

test('the RP ID is that of the settings, whatever Host a request names', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken } = await signUpAda(service)
  const headers = { host: 'evil.example', 'x-forwarded-host': 'evil.example', origin: 'https://evil.example' }
  const response = await service.post(`${PATH}/options`, {}, { ...headers, 'x-access-token': accessToken })
  const options = response.json<CreationOptions>()
  t.match([response.status, response.body], [200, { rp: { id: 'auth.example.com' } }])
  const evil = new Authenticator().create(options, { rpId: 'evil.example', origin: 'https://evil.example' })
  const refused = await service.post(PATH, { response: evil }, { ...headers, 'x-access-token': accessToken })
  t.strictSame([refused.status, refused.body], [400, UNVERIFIED])
})
