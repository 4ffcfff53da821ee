import { test } from 'tap'
import { SessionCache, type SessionEntry } from '../../../src/tokens/session-cache.ts'

const grant = (userId: number, sessionId: string): SessionEntry =>
  ({ userId, sessionId, roles: ['user'], expiresAt: new Date(Date.now() + 60_000) })

const fill = async (cache: SessionCache, ...grants: SessionEntry[]) => {
  for (const one of grants) await cache.load(one.userId, async () => one)
}

test('what was loaded is recalled, the same object', async t => {
  const cache = new SessionCache(10)
  const alice = grant(1, 'a')
  t.equal(await cache.load(1, async () => alice), alice)
  t.equal(cache.get('a'), alice)
  t.equal(cache.get('b'), undefined)
})

test('a session that is not alive is not remembered', async t => {
  const cache = new SessionCache(10)
  t.equal(await cache.load(1, async () => undefined), undefined)
  t.equal(cache.size, 0)
})

test('a user is forgotten with all sessions, and nobody else', async t => {
  const cache = new SessionCache(10)
  const bob = grant(2, 'c')
  await fill(cache, grant(1, 'a'), grant(1, 'b'), bob)
  cache.invalidate(1)
  t.strictSame([cache.get('a'), cache.get('b'), cache.get('c')], [undefined, undefined, bob])
  cache.invalidate(3)
  t.equal(cache.size, 1)
})

test('everything is forgotten at once', async t => {
  const cache = new SessionCache(10)
  await fill(cache, grant(1, 'a'), grant(2, 'b'))
  cache.clear()
  t.strictSame([cache.size, cache.get('a'), cache.get('b')], [0, undefined, undefined])
})

test('it holds no more than its size, and the one used longest ago goes first', async t => {
  const cache = new SessionCache(2)
  await fill(cache, grant(1, 'a'), grant(1, 'b'))
  cache.get('a')
  await fill(cache, grant(2, 'c'))
  t.strictSame([cache.size, cache.get('b')], [2, undefined])
  t.ok(cache.get('a'))
  cache.invalidate(1)
  t.strictSame([cache.size, cache.get('a')], [1, undefined], 'the index by user knows what is left')
})

test('an answer that a change has overtaken is given, and not remembered', async t => {
  for (const change of [(cache: SessionCache) => cache.invalidate(1), (cache: SessionCache) => cache.clear()]) {
    const cache = new SessionCache(10)
    const old = grant(1, 'a')
    t.equal(await cache.load(1, async () => {
      change(cache)
      return old
    }), old)
    t.equal(cache.get('a'), undefined)
  }
})

test('another user\'s change does not keep an answer from being remembered', async t => {
  const cache = new SessionCache(10)
  const alice = grant(1, 'a')
  await cache.load(1, async () => {
    cache.invalidate(2)
    return alice
  })
  t.equal(cache.get('a'), alice)
})

test('a question that failed leaves nothing behind', async t => {
  const cache = new SessionCache(10)
  await t.rejects(cache.load(1, async () => { throw new Error('the database is away') }), { message: 'the database is away' })
  t.equal(cache.size, 0)
})

test('a session loaded twice is remembered once', async t => {
  const cache = new SessionCache(10)
  const second = grant(1, 'a')
  await fill(cache, grant(1, 'a'), second)
  t.equal(cache.get('a'), second)
  cache.invalidate(1)
  t.equal(cache.size, 0)
})
