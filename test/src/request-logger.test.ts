import pino from 'pino'
import { test } from 'tap'
import { withLateChildren } from '../../src/request-logger.ts'

function capture () {
  const lines: Array<Record<string, unknown>> = []
  const logger = pino({ level: 'info', base: null, timestamp: false }, { write: line => { lines.push(JSON.parse(line)) } })
  return { lines, parent: withLateChildren(logger) }
}

test('a child writes with its bindings, whichever of its methods is called first', async t => {
  const { lines, parent } = capture()
  const child = parent.child({ reqId: 'r1' })
  child.info({ a: 1 }, 'one')
  child.warn('two')
  child.debug('not at this level')
  child.child({ step: 2 }).error('three')
  parent.info('four')
  t.strictSame(lines, [
    { level: 30, reqId: 'r1', a: 1, msg: 'one' },
    { level: 40, reqId: 'r1', msg: 'two' },
    { level: 50, reqId: 'r1', step: 2, msg: 'three' },
    { level: 30, msg: 'four' }
  ])
  t.equal(child.level, 'info')
})

test('a child takes options of its own', async t => {
  const { lines, parent } = capture()
  const child = parent.child({}, { level: 'error' })
  child.info('no')
  child.error('yes')
  t.strictSame(lines, [{ level: 50, msg: 'yes' }])
})

test('no child is made before it has something to say, a child\'s child neither', async t => {
  let made = 0
  const service = withLateChildren(pino({ onChild: () => { made++ } }, { write: () => {} })).child({})
  service.info('the service is a child itself, which Fastify makes')
  t.equal(made, 1)
  const request = service.child({ reqId: 'r1' })
  t.equal(made, 1)
  request.info('one')
  request.info('two')
  t.equal(made, 2)
})
