import { createHash } from 'node:crypto'
import { test } from 'tap'
import { NOT_FRESH } from '../../../support/factor-errors.ts'
import { challengeOf, FACTOR_SETTINGS, finish, signUpWithPasskey, signUpWithTotp } from '../../../support/factors.ts'
import { openMailbox } from '../../../support/mailbox.ts'
import { shareApp } from '../../../support/shared-app.ts'

const PATH = '/api/users/me/recovery-codes'

test('ten new codes replace the earlier ones, and the sessions stay', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken, recoveryCodes: [old = '', used = ''] } = await signUpWithTotp(service, 'ada')
  const other = (await finish(service, await challengeOf(service, 'ada'), { code: used })).json<{ accessToken: string }>()
  const response = await service.as(accessToken, 'POST', PATH)
  const { recoveryCodes } = response.json<{ recoveryCodes: string[] }>()
  t.strictSame([response.status, response.body], [201, { recoveryCodes }])
  t.equal(response.headers['cache-control'], 'no-store')
  t.equal(new Set([...recoveryCodes, old]).size, 11)
  const challenge = await challengeOf(service, 'ada')
  t.equal((await finish(service, challenge, { code: old })).status, 401)
  t.equal((await finish(service, challenge, { code: String(recoveryCodes[9]) })).status, 200)
  t.equal((await service.as(other.accessToken, 'GET', '/api/test/user')).status, 200)
})

test('without a second factor there are no recovery codes', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  await service.signUp('ada')
  const response = await service.as((await service.signIn('ada')).accessToken, 'POST', PATH)
  t.strictSame([response.status, response.body],
    [409, { message: 'Recovery codes require a second factor.', code: 'SECOND_FACTOR_MISSING' }])
  t.strictSame(await service.sql('SELECT FROM credentials WHERE kind <> \'password\''), [])
})

test('a user with a passkey alone has recovery codes as well', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken, recoveryCodes } = await signUpWithPasskey(service, 'ada')
  t.equal(recoveryCodes?.length, 10)
  t.equal((await service.as(accessToken, 'POST', PATH)).status, 201)
})

test('a session that has only the password makes none', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken } = await signUpWithTotp(service, 'ada')
  await service.sql('UPDATE refresh_tokens SET amr = ARRAY[\'pwd\']')
  service.app.sessionCache.invalidate(1)
  const response = await service.as(accessToken, 'POST', PATH)
  t.strictSame([response.status, response.body], [401, NOT_FRESH])
})

test('the database has only the SHA-256 of each code, whose 128 random bits cannot be searched', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { recoveryCodes } = await signUpWithTotp(service, 'ada')
  const hashes = recoveryCodes.map(code => createHash('sha256').update(code.replaceAll('-', '')).digest('base64url'))
  t.strictSame(await service.sql('SELECT data FROM credentials WHERE kind = \'recovery_codes\''), [{ data: { hashes } }])
  const dump = JSON.stringify(await service.sql(
    'SELECT to_jsonb(credentials), (SELECT jsonb_agg(to_jsonb(audit_events)) FROM audit_events) FROM credentials'))
  for (const code of recoveryCodes) {
    t.notOk(dump.includes(code) || dump.includes(code.replaceAll('-', '')))
    t.notOk(JSON.stringify(service.logs).includes(code))
  }
})

test('of ten parallel sign-ins with one code, one succeeds, and the owner is told how many codes are left', async t => {
  const box = await openMailbox(t, FACTOR_SETTINGS)
  const { recoveryCodes: [code = ''] } = await signUpWithTotp(box, 'ada')
  const challenges = await Promise.all(Array.from({ length: 10 }, async () => await challengeOf(box, 'ada')))
  const responses = await Promise.all(challenges.map(async challenge => await finish(box, challenge, { code })))
  t.equal(responses.filter(({ status }) => status === 200).length, 1)
  const { subject } = await box.letter('ada@example.com', 2)
  t.equal(subject, 'A recovery code was used for gatehouse')
  await box.settled()
  t.equal(box.server.mails.length, 2)
  t.match(box.server.mails[1]?.text.replaceAll(/\s+/g, ' '), /A recovery code of ada was used\. Codes that are left: 9\./)
})
