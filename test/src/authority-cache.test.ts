import { test } from 'tap'
import { AuthorityCache, type Grant } from '../../src/authority-cache.ts'

const grant = (userId: number, sessionId: string): Grant =>
  ({ userId, sessionId, roles: ['user'], expiresAt: new Date(Date.now() + 60_000) })

const fill = async (cache: AuthorityCache, ...grants: Grant[]) => {
  for (const one of grants) await cache.load(one.userId, async () => one)
}

test('what was loaded is recalled, the same object', async t => {
  const cache = new AuthorityCache(10)
  const alice = grant(1, 'a')
  t.equal(await cache.load(1, async () => alice), alice)
  t.equal(cache.recall('a'), alice)
  t.equal(cache.recall('b'), undefined)
})

test('a session that is not alive is not remembered', async t => {
  const cache = new AuthorityCache(10)
  t.equal(await cache.load(1, async () => undefined), undefined)
  t.equal(cache.size, 0)
})

test('a user is forgotten with all sessions, and nobody else', async t => {
  const cache = new AuthorityCache(10)
  const bob = grant(2, 'c')
  await fill(cache, grant(1, 'a'), grant(1, 'b'), bob)
  cache.forget(1)
  t.strictSame([cache.recall('a'), cache.recall('b'), cache.recall('c')], [undefined, undefined, bob])
  cache.forget(3)
  t.equal(cache.size, 1)
})

test('everything is forgotten at once', async t => {
  const cache = new AuthorityCache(10)
  await fill(cache, grant(1, 'a'), grant(2, 'b'))
  cache.clear()
  t.strictSame([cache.size, cache.recall('a'), cache.recall('b')], [0, undefined, undefined])
})

test('it holds no more than its size, and the one used longest ago goes first', async t => {
  const cache = new AuthorityCache(2)
  await fill(cache, grant(1, 'a'), grant(1, 'b'))
  cache.recall('a')
  await fill(cache, grant(2, 'c'))
  t.strictSame([cache.size, cache.recall('b')], [2, undefined])
  t.ok(cache.recall('a'))
  cache.forget(1)
  t.strictSame([cache.size, cache.recall('a')], [1, undefined], 'the index by user knows what is left')
})

test('an answer that a change has overtaken is given, and not remembered', async t => {
  for (const change of [(cache: AuthorityCache) => cache.forget(1), (cache: AuthorityCache) => cache.clear()]) {
    const cache = new AuthorityCache(10)
    const old = grant(1, 'a')
    t.equal(await cache.load(1, async () => {
      change(cache)
      return old
    }), old)
    t.equal(cache.recall('a'), undefined)
  }
})

test('another user\'s change does not keep an answer from being remembered', async t => {
  const cache = new AuthorityCache(10)
  const alice = grant(1, 'a')
  await cache.load(1, async () => {
    cache.forget(2)
    return alice
  })
  t.equal(cache.recall('a'), alice)
})

test('a question that failed leaves nothing behind', async t => {
  const cache = new AuthorityCache(10)
  await t.rejects(cache.load(1, async () => { throw new Error('the database is away') }), { message: 'the database is away' })
  t.equal(cache.size, 0)
})

test('a session loaded twice is remembered once', async t => {
  const cache = new AuthorityCache(10)
  const second = grant(1, 'a')
  await fill(cache, grant(1, 'a'), second)
  t.equal(cache.recall('a'), second)
  cache.forget(1)
  t.equal(cache.size, 0)
})
