import { test } from 'tap'
import { presentedToken } from '../../../src/api/refresh-token-body.ts'

test('a refresh token that is absent or null is missing', async t => {
  t.equal(presentedToken({ refreshToken: '' }), '')
  for (const body of [null, {}, { refreshToken: null }]) {
    t.throws(() => presentedToken(body), { code: 'REFRESH_TOKEN_MISSING' })
  }
})
