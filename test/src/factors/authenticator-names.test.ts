import { test } from 'tap'
import { authenticatorName } from '../../../src/factors/authenticator-names.ts'

test('a known model has its name, and any other a general one', t => {
  t.equal(authenticatorName('fbfc3007-154e-4ecc-8c0b-6e020557d7bd'), 'iCloud Keychain')
  t.equal(authenticatorName('08987058-cadc-4b81-b6e1-30de50dcbe96'), 'Windows Hello')
  t.equal(authenticatorName('00000000-0000-0000-0000-000000000000'), 'Passkey')
  t.end()
})
