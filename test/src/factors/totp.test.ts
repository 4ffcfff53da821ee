import { test, type Test } from 'tap'
import { newTotpSecret, totpStep, totpUri, toText } from '../../../src/factors/totp.ts'

/** The secret of RFC 6238, appendix B. */
const SECRET = Buffer.from('12345678901234567890')

/** Seconds, and the last six of the eight digits that the appendix lists for SHA-1. */
const VECTORS: Array<[seconds: number, code: string]> = [
  [59, '287082'], [1111111109, '081804'], [1111111111, '050471'], [1234567890, '005924'], [2000000000, '279037'],
  [20000000000, '353130']
]

const setClock = (t: Test, seconds: number) => { t.intercept(Date, 'now', { value: () => seconds * 1000 }) }

for (const [seconds, code] of VECTORS) {
  test(`the code of RFC 6238 for second ${seconds} is accepted one step early and late, and tells its step`, t => {
    const step = Math.floor(seconds / 30)
    for (const [drift, accepted] of [[-60, false], [-30, true], [0, true], [30, true], [60, false]] as const) {
      setClock(t, seconds + drift)
      t.equal(totpStep(SECRET, code), accepted ? step : undefined, `${drift} s`)
    }
    t.end()
  })
}

test('spaces in a code are ignored, and a text of another form is no code', t => {
  setClock(t, 59)
  t.equal(totpStep(SECRET, '287 082'), 1)
  for (const text of ['', '28708', '2870820', '94287082', '287082a', 'abcdef', '-287082']) {
    t.equal(totpStep(SECRET, text), undefined, text)
  }
  t.end()
})

test('a secret has 160 random bits, and is shown as base32', t => {
  t.equal(newTotpSecret().length, 20)
  t.notSame(newTotpSecret(), newTotpSecret())
  t.equal(toText(SECRET), 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ')
  t.end()
})

test('the URI names the service and the user, and what every app supports', t => {
  t.equal(totpUri(SECRET, 'Shop & Co', 'ada'), 'otpauth://totp/Shop%20%26%20Co:ada?issuer=Shop%20%26%20Co' +
    '&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&algorithm=SHA1&digits=6&period=30')
  t.end()
})
