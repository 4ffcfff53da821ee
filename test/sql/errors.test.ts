import pg from 'pg'
import { test } from 'tap'
import { isStatementError, isTransient, isUniqueViolation } from '../../sql/errors.ts'

/** An error of the server. */
function databaseError (code: string, constraint?: string): pg.DatabaseError {
  const error = new pg.DatabaseError('a fault', 0, 'error')
  return Object.assign(error, { code, constraint })
}

/** An error of the network or the pool. */
const connectionError = (message: string, code?: string) =>
  Object.assign(new Error(message), code !== undefined && { code })

test('bad data, a violated constraint, bad syntax and a missing right are errors of the statement', async t => {
  for (const code of ['22021', '22P02', '23505', '23514', '42601', '42P01', '42501']) {
    t.equal(isStatementError(databaseError(code)), true, code)
    t.equal(isTransient(databaseError(code)), false, code)
  }
  t.equal(isStatementError(new TypeError('a value that cannot be serialised')), true)
})

test('a restart, a lost connection and a read-only server are transient', async t => {
  for (const code of ['08006', '25006', '40001', '53300', '57014', '57P01', '57P03']) {
    t.equal(isStatementError(databaseError(code)), false, code)
    t.equal(isTransient(databaseError(code)), true, code)
  }
  for (const error of [
    connectionError('connect ECONNREFUSED 127.0.0.1:5432', 'ECONNREFUSED'),
    connectionError('Connection terminated unexpectedly'),
    connectionError('timeout expired')
  ]) {
    t.equal(isStatementError(error), false, error.message)
    t.equal(isTransient(error), true, error.message)
  }
})

test('a rejected login and a database that does not exist are not transient', async t => {
  for (const code of ['28P01', '28000', '3D000']) t.equal(isTransient(databaseError(code)), false, code)
  for (const error of [new Error('a bug'), 'a string', undefined]) t.equal(isTransient(error), false, String(error))
})

test('a unique violation is recognised with its constraint', async t => {
  const constraints = ['users_username_key', 'users_email_key']
  t.equal(isUniqueViolation(databaseError('23505', 'users_email_key'), constraints), true)
  t.equal(isUniqueViolation(databaseError('23505', 'another_key'), constraints), false)
  t.equal(isUniqueViolation(databaseError('23514', 'users_email_key'), constraints), false)
  t.equal(isUniqueViolation(Object.assign(new Error('not of PostgreSQL'), { code: '23505', constraint: 'users_email_key' }), constraints), false)
})
