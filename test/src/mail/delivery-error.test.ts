import { inspect } from 'node:util'
import { test } from 'tap'
import { DeliveryError } from '../../../src/mail/delivery-error.ts'

const isPermanent = (command: string, responseCode: number) =>
  new DeliveryError(Object.assign(new Error(), { command, responseCode })).isPermanent

test('only a rejected recipient or message is permanent', async t => {
  for (const command of ['RCPT TO', 'DATA']) {
    t.strictSame([500, 550, 554].map(status => isPermanent(command, status)), [true, true, true])
    t.strictSame([421, 450, 503, 530].map(status => isPermanent(command, status)), [false, false, false, false])
  }
  for (const command of ['CONN', 'EHLO', 'STARTTLS', 'AUTH PLAIN', 'MAIL FROM']) t.equal(isPermanent(command, 550), false, command)
  t.equal(new DeliveryError(new Error('no')).isPermanent, false)
  t.equal(new DeliveryError(undefined).isPermanent, false)
})

test('it has the code of the system, and nothing that the server said', async t => {
  const secret = 'alice@example.com'
  const error = new DeliveryError(Object.assign(new Error(secret), {
    code: 'ESOCKET', originalCode: 'ECONNREFUSED', command: 'CONN', response: secret, rejected: [secret]
  }))
  t.strictSame(error.fields, { code: 'ECONNREFUSED', command: 'CONN', responseCode: undefined })
  t.notMatch(inspect(error), secret)
})
