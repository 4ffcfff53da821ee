import { test } from 'tap'
import { errorCode, errorMessage, isRecord, property } from '../../src/unknown.ts'

test('objects and lists are records; null and primitive values are not', async t => {
  for (const value of [{}, [], new Date(), Object.create(null)]) t.equal(isRecord(value), true)
  for (const value of [null, undefined, '', 'text', 0, true, () => {}]) t.equal(isRecord(value), false, String(value))
})

test('a property of a value without properties is undefined', async t => {
  t.equal(property({ name: 'alice' }, 'name'), 'alice')
  t.equal(property(['alice'], '0'), 'alice')
  for (const value of [null, undefined, 'text', 1, {}]) t.equal(property(value, 'length'), undefined)
})

test('the code of an error is a string, or there is none', async t => {
  t.equal(errorCode(Object.assign(new Error('none'), { code: 'ENOENT' })), 'ENOENT')
  for (const value of [{ code: 1 }, new Error('none'), null]) t.equal(errorCode(value), undefined)
})

test('the message of anything that was thrown is text', async t => {
  t.equal(errorMessage(new TypeError('it failed')), 'it failed')
  t.equal(errorMessage('it failed'), 'it failed')
  t.equal(errorMessage(new AggregateError([new Error('::1 refused'), '127.0.0.1 refused'])), '::1 refused; 127.0.0.1 refused')
  t.equal(errorMessage(new AggregateError([], 'all failed')), 'all failed')
  t.equal(errorMessage(undefined), 'undefined')
})
