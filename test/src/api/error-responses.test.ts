import { Value } from '@sinclair/typebox/value'
import { test } from 'tap'
import { errorResponses } from '../../../src/api/error-responses.ts'

test('errors are grouped by status, with their codes and messages', async t => {
  const responses = errorResponses(['ROLE_UNKNOWN', 'BUSY', 'VALIDATION_FAILED', 'OVERLOADED'])
  t.strictSame(Object.keys(responses), ['400', '503'])
  t.equal(responses[400]?.description,
    'ROLE_UNKNOWN: Failed! Role does not exist = owner\n\nVALIDATION_FAILED: username is required')
  t.equal(responses[503]?.description, 'BUSY: Too many passwords are being verified. Please try again.\n\n' +
    'OVERLOADED: The service is overloaded. Please try again.')
  t.match(responses[503]?.['properties'], { code: { enum: ['BUSY', 'OVERLOADED'] } })
})

test('the further fields of an error are part of its schema', async t => {
  const schema = errorResponses(['PASSWORD_INVALID'])[401]
  if (!schema) return t.fail('no schema for 401')
  const body = { message: 'Invalid Password!', code: 'PASSWORD_INVALID' }
  t.equal(Value.Check(schema, { ...body, accessToken: null }), true)
  t.equal(Value.Check(schema, { ...body, accessToken: 'x' }), false)
})
