import { test } from 'tap'
import { hashRecoveryCode, newRecoveryCodes } from '../../src/factors/recovery-codes.ts'
import type { TestApp } from '../support/app.ts'
import { openTwo, PARALLEL, PASSKEY_SIGN_INS, ROUNDS } from '../support/factor-races.ts'
import { challengeOf, codeOf, finish, signUpWithPasskey, signUpWithTotp } from '../support/factors.ts'

const OUTLINE = `of ${PARALLEL} parallel uses`
const DETAIL = `${ROUNDS} rounds on two instances`

/** Without the losers of a race for a challenge and a code, which meet either of the two first. */
function withoutLosers ({
  '401 CODE_INVALID': codes = 0, '401 CHALLENGE_INVALID': challenges = 0, ...others
}: Record<string, number>) {
  return { ...others, losers: codes + challenges }
}

test(`${OUTLINE} of one TOTP code, each with a challenge of its own, one succeeds, ${DETAIL}`, async t => {
  const { here, race, challenges, stateOf, rewind } = await openTwo(t)
  const { id, secret } = await signUpWithTotp(here, 'ada')
  for (let round = 1; round <= ROUNDS; round++) {
    await rewind(id)
    const own = await challenges('ada')
    const code = codeOf(secret)
    const tally = await race(async (service, index) => await finish(service, own[index] ?? '', { code }))
    t.strictSame([tally, await stateOf(id)], [{ 200: 1, '401 CODE_INVALID': PARALLEL - 1 }, {
      sessions: 1 + round, challenges: PARALLEL - 1, recoveryCodes: 10, stepAccepted: true
    }], `round ${round}`)
  }
})

test(`${OUTLINE} of one TOTP code with one challenge, one succeeds, ${DETAIL}`, async t => {
  const { here, race, stateOf, rewind } = await openTwo(t)
  const { id, secret } = await signUpWithTotp(here, 'ada')
  for (let round = 1; round <= ROUNDS; round++) {
    await rewind(id)
    const challenge = await challengeOf(here, 'ada')
    const code = codeOf(secret)
    const tally = await race(async service => await finish(service, challenge, { code }))
    t.strictSame([withoutLosers(tally), await stateOf(id)], [{ 200: 1, losers: PARALLEL - 1 }, {
      sessions: 1 + round, challenges: 0, recoveryCodes: 10, stepAccepted: true
    }], `round ${round}`)
  }
})

test(`${OUTLINE} of one TOTP code to reauthenticate, one succeeds, ${DETAIL}`, async t => {
  const { here, race, stateOf, rewind } = await openTwo(t)
  const { id, secret, accessToken } = await signUpWithTotp(here, 'ada')
  for (let round = 1; round <= ROUNDS; round++) {
    await rewind(id)
    const code = codeOf(secret)
    const tally = await race(async service => await service.as(accessToken, 'POST', '/api/auth/reauthenticate', { code }))
    t.strictSame([tally, await stateOf(id)], [{ 200: 1, '401 CODE_INVALID': PARALLEL - 1 }, {
      sessions: 1, challenges: 0, recoveryCodes: 10, stepAccepted: true
    }], `round ${round}`)
  }
})

/** Gives a user as many recovery codes as a race takes. */
async function giveRecoveryCodes ({ sql }: TestApp, userId: number): Promise<string[]> {
  const codes = [...newRecoveryCodes(), ...newRecoveryCodes()]
  await sql(`UPDATE credentials SET data = jsonb_build_object('hashes', to_jsonb($2::text[]))
    WHERE user_id = $1 AND kind = 'recovery_codes'`, [userId, codes.map(hashRecoveryCode)])
  return codes
}

test(`${OUTLINE} of one recovery code, each with a challenge of its own, one succeeds, ${DETAIL}`, async t => {
  const { here, race, challenges, stateOf, rewind } = await openTwo(t)
  const { id } = await signUpWithTotp(here, 'ada')
  for (let round = 1; round <= ROUNDS; round++) {
    await rewind(id)
    const { length, [round % PARALLEL]: code = '' } = await giveRecoveryCodes(here, id)
    const own = await challenges('ada')
    const tally = await race(async (service, index) => await finish(service, own[index] ?? '', { code }))
    t.strictSame([tally, await stateOf(id)], [{ 200: 1, '401 CODE_INVALID': PARALLEL - 1 }, {
      sessions: 1 + round, challenges: PARALLEL - 1, recoveryCodes: length - 1, stepAccepted: false
    }], `round ${round}`)
  }
})

test(`${OUTLINE} of one challenge with different recovery codes, one succeeds and uses its code, ${DETAIL}`, async t => {
  const { here, race, stateOf } = await openTwo(t)
  const { id } = await signUpWithTotp(here, 'ada')
  for (let round = 1; round <= ROUNDS; round++) {
    const codes = await giveRecoveryCodes(here, id)
    const challenge = await challengeOf(here, 'ada')
    const tally = await race(async (service, index) => await finish(service, challenge, { code: codes[index] ?? '' }))
    t.strictSame([tally, await stateOf(id)], [{ 200: 1, '401 CHALLENGE_INVALID': PARALLEL - 1 }, {
      sessions: 1 + round, challenges: 0, recoveryCodes: codes.length - 1, stepAccepted: true
    }], `round ${round}`)
  }
})

for (const [title, { begin, end }] of Object.entries(PASSKEY_SIGN_INS)) {
  // A device counts its signatures; a synced passkey says 0.
  for (const counts of title === 'without a password' ? [true, false] : [true]) {
    const passkey = `a passkey that counts ${counts ? 'its signatures' : 'nothing'}`
    test(`${OUTLINE} of one response of ${passkey}, ${title}, one succeeds, ${DETAIL}`, async t => {
      const { here, race, stateOf } = await openTwo(t)
      const { userId, authenticator } = await signUpWithPasskey(here, 'ada')
      for (let round = 1; round <= ROUNDS; round++) {
        const challenge = await begin(here)
        const response = authenticator.get(challenge, { counter: counts ? round : 0 })
        const tally = await race(async service => await end(service, challenge, response))
        t.strictSame([tally, await stateOf(userId)], [{ 200: 1, '401 CHALLENGE_INVALID': PARALLEL - 1 }, {
          sessions: 1 + round, challenges: 0, recoveryCodes: 10, stepAccepted: null
        }], `round ${round}`)
      }
      t.strictSame(await here.sql('SELECT (data ->> \'counter\')::int AS counter FROM credentials WHERE kind = \'passkey\''),
        [{ counter: counts ? ROUNDS : 0 }])
      t.strictSame(await here.sql('SELECT FROM challenges'), [])
    })
  }
}
