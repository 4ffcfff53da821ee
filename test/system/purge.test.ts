import pg from 'pg'
import { test } from 'tap'
import { createDatabase, PASSWORD, signUpBody, startApp, type Tokens } from '../support/app.ts'
import { addKey } from '../support/api-keys.ts'
import { addExpired, EXPIRED, expiredNetwork } from '../support/expired.ts'
import { MAIL_SETTINGS } from '../support/mails.ts'

/** Tables that housekeeping purges. */
const TABLES = 9

test('no request waits 100 ms for a lock while every table is purged', async t => {
  const url = await createDatabase(t)
  const service = await startApp(t, {
    ...MAIL_SETTINGS,
    MAIL_URL: 'smtp://127.0.0.1:1',
    EMAIL_VERIFICATION: 'required',
    AUDIT_RETENTION: 90,
    MAX_SESSIONS_PER_USER: 1000,
    RATE_LIMIT_SIGNUP: 0,
    RATE_LIMIT_SIGNIN: 0,
    // A statement that waits for longer fails, and its request gets 503.
    DATABASE_URL: `${url}?options=${encodeURIComponent('-c lock_timeout=100ms')}`
  })
  t.strictSame(await service.sql('SHOW lock_timeout'), [{ lock_timeout: '100ms' }])
  // The expired rows belong to these ten, who send the requests.
  const names = Array.from({ length: 10 }, (_, index) => `user${index}`)
  for (const name of names) await service.signUp(name)
  await service.sql('UPDATE users SET email_verified_at = now()')
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await addExpired(client)
  await client.end()

  const purged = new AbortController()
  const purging = service.app.purge().finally(() => { purged.abort() })
  const taken: number[] = []
  const failed: unknown[] = []
  const visit = async (name: string, index: number): Promise<void> => {
    const { key } = await addKey(service, index + 1)
    for (let round = 1; !purged.signal.aborted || round <= 3; round++) {
      // The username of a user whom the purge deletes meanwhile. With the address of another, a sign-up is accepted.
      taken.push((await service.post('/api/auth/signup', signUpBody(`late0-${round * 10 + index}`))).status)
      // Records the use of a network, whose row may just be deleted.
      const signedIn = await service.app.inject({
        method: 'POST',
        url: '/api/auth/signin',
        remoteAddress: expiredNetwork(index + 1),
        payload: { username: name, password: PASSWORD }
      })
      const { refreshToken } = signedIn.json<Tokens>()
      const responses = [
        { status: signedIn.statusCode, body: signedIn.payload },
        await service.post('/api/auth/refreshtoken', { refreshToken }),
        await service.get('/api/test/user', { authorization: `Bearer ${key}` }),
        await service.post('/api/auth/signout', { refreshToken })
      ]
      failed.push(...responses.filter(({ status }) => status !== 200).map(({ body }) => body))
    }
  }
  await Promise.all(names.map(visit))

  // Sign-ins keep networks from being purged, or add them again: fewer than one table has.
  const kept = await service.sql('SELECT FROM known_networks WHERE network LIKE \'10.0.%\'')
  t.ok(await purging >= TABLES * EXPIRED - kept.length, `${await purging} rows were purged`)
  t.strictSame(failed, [])
  t.strictSame(taken.filter(status => status !== 200 && status !== 400), [])
  t.comment(`${taken.length} rounds of requests`)
})
