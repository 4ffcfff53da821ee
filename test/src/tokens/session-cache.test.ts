import { test } from 'tap'
import type { KeyEntry } from '../../../src/tokens/api-key.ts'
import { type CallerEntry, SessionCache } from '../../../src/tokens/session-cache.ts'
import { sessionEntry } from '../../support/session.ts'

const entryOf = (userId: number, sessionId: string) => sessionEntry({ userId, sessionId, roles: ['user'] })

const fill = async (cache: SessionCache, ...entries: CallerEntry[]) => {
  for (const entry of entries) await cache.load(async () => entry)
}

test('a loaded entry is cached', async t => {
  const cache = new SessionCache(10)
  const alice = entryOf(1, 'a')
  t.equal(await cache.load(async () => alice), alice)
  t.equal(cache.getSession('a'), alice)
  t.equal(cache.getSession('b'), undefined)
})

test('a session that has ended is not cached', async t => {
  const cache = new SessionCache(10)
  t.equal(await cache.load(async () => undefined), undefined)
  t.equal(cache.size, 0)
})

test('invalidating a user drops all of the user\'s sessions and no others', async t => {
  const cache = new SessionCache(10)
  const bob = entryOf(2, 'c')
  await fill(cache, entryOf(1, 'a'), entryOf(1, 'b'), bob)
  cache.invalidate(1)
  t.strictSame([cache.getSession('a'), cache.getSession('b'), cache.getSession('c')], [undefined, undefined, bob])
  cache.invalidate(3)
  t.equal(cache.size, 1)
})

test('clear drops every entry', async t => {
  const cache = new SessionCache(10)
  await fill(cache, entryOf(1, 'a'), entryOf(2, 'b'))
  cache.clear()
  t.strictSame([cache.size, cache.getSession('a'), cache.getSession('b')], [0, undefined, undefined])
})

test('beyond its size, the least recently used entry is evicted', async t => {
  const cache = new SessionCache(2)
  await fill(cache, entryOf(1, 'a'), entryOf(1, 'b'))
  cache.getSession('a')
  await fill(cache, entryOf(2, 'c'))
  t.strictSame([cache.size, cache.getSession('b')], [2, undefined])
  t.ok(cache.getSession('a'))
  cache.invalidate(1)
  t.strictSame([cache.size, cache.getSession('a')], [1, undefined], 'the index by user has the remaining session')
})

test('an entry that was invalidated while it was loaded is returned but not cached', async t => {
  for (const change of [(cache: SessionCache) => cache.invalidate(1), (cache: SessionCache) => cache.clear()]) {
    const cache = new SessionCache(10)
    const old = entryOf(1, 'a')
    t.equal(await cache.load(async () => {
      change(cache)
      return old
    }), old)
    t.equal(cache.getSession('a'), undefined)
  }
})

test('invalidating another user does not prevent an entry from being cached', async t => {
  const cache = new SessionCache(10)
  const alice = entryOf(1, 'a')
  await cache.load(async () => {
    cache.invalidate(2)
    return alice
  })
  t.equal(cache.getSession('a'), alice)
})

test('a load that fails leaves nothing behind', async t => {
  const cache = new SessionCache(10)
  await t.rejects(cache.load(async () => { throw new Error('the database is unavailable') }), { message: 'the database is unavailable' })
  t.equal(cache.size, 0)
})

test('a session that is loaded twice is cached once', async t => {
  const cache = new SessionCache(10)
  const second = entryOf(1, 'a')
  await fill(cache, entryOf(1, 'a'), second)
  t.equal(cache.getSession('a'), second)
  cache.invalidate(1)
  t.equal(cache.size, 0)
})

const keyOf = (userId: number, keyId: string): KeyEntry => ({
  userId, username: 'ada', keyId, roles: [], hasSecondFactor: false, expiresAt: null, secretHash: Buffer.alloc(32), usedAt: 0
})

test('sessions and API keys are held together, and neither is taken for the other', async t => {
  const cache = new SessionCache(10)
  const [session, key] = [entryOf(1, 'a'), keyOf(1, 'b')]
  await fill(cache, session, key)
  t.strictSame([cache.getSession('a'), cache.getKey('b')], [session, key])
  t.strictSame([cache.getSession('b'), cache.getKey('a')], [undefined, undefined])
  cache.invalidate(1)
  t.equal(cache.size, 0)
})

test('the API key of a user who is invalidated while it is loaded is not cached', async t => {
  const cache = new SessionCache(10)
  await cache.load(async () => {
    cache.invalidate(1)
    return keyOf(1, 'a')
  })
  t.equal(cache.getKey('a'), undefined)
})

test('of 100,000 keys in turn, as many are held as fit', async t => {
  const cache = new SessionCache(1000)
  for (let i = 0; i < 100_000; i++) await cache.load(async () => keyOf(i % 5000, `key ${i}`))
  t.equal(cache.size, 1000)
  for (let userId = 0; userId < 5000; userId++) cache.invalidate(userId)
  t.equal(cache.size, 0, 'the index by user has exactly the remaining keys')
})
