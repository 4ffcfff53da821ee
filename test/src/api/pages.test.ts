import { test } from 'tap'
import { nextCursor } from '../../../src/api/pages.ts'

test('only a full page has a next one', async t => {
  t.equal(nextCursor([{ id: 4 }, { id: 7 }], 2), 7)
  t.equal(nextCursor([{ id: 4 }], 2), null)
  t.equal(nextCursor([], 2), null)
})
