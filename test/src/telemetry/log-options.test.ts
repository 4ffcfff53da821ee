import { test } from 'tap'
import { ApiError } from '../../../src/errors.ts'
import { describeError, logOptions } from '../../../src/telemetry/log-options.ts'
import { configOf } from '../../support/settings.ts'

test('an error is logged with its name, code, message and stack', async t => {
  const error = Object.assign(new TypeError('that went wrong'), { code: 'E_WRONG', detail: 'alice@example.com' })
  t.strictSame(describeError(error), { type: 'TypeError', code: 'E_WRONG', message: 'that went wrong', stack: error.stack })
})

test('an error without a stack or a code is logged as well', async t => {
  const error = new Error('bare')
  delete error.stack
  t.strictSame(describeError(error), { type: 'Error', code: undefined, message: 'bare', stack: '' })
})

test('an ApiError is logged with its code', async t => {
  const { type, code, message } = describeError(new ApiError('BUSY'))
  t.strictSame({ type, code, message },
    { type: 'Error', code: 'BUSY', message: 'Too many passwords are being verified. Please try again.' })
})

test('only the code and the constraint of a PostgreSQL error are logged', async t => {
  const error = Object.assign(new Error('invalid input syntax for type json: "alice@example.com"'), {
    name: 'error',
    severity: 'ERROR',
    code: '23505',
    constraint: 'users_email_key',
    detail: 'Key (email)=(alice@example.com) already exists.',
    where: 'alice@example.com',
    hint: 'alice@example.com'
  })
  t.strictSame(describeError(error), {
    type: 'error',
    code: '23505',
    constraint: 'users_email_key',
    severity: 'ERROR',
    message: 'PostgreSQL error',
    stack: ''
  })
})

test('the log level comes from the settings, and errors are logged without PostgreSQL\'s details', async t => {
  const config = configOf('postgres://localhost/gatehouse', { LOG_LEVEL: 'warn' })
  t.strictSame(logOptions(config), { level: 'warn', serializers: { err: describeError } })
})
