import { Type } from '@sinclair/typebox'
import { Id, WELL_FORMED } from './fields.ts'

// Lists are paged by keyset: `after` is the id of the last item of the previous page.

export const Cursor = Type.Optional(Type.Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'the `next` of the previous page'
}))

export const PageSize = Type.Integer({
  minimum: 1,
  maximum: 100,
  default: 20,
  description: 'a whole number from 1 to 100'
})

export const SearchText = Type.Optional(Type.String({
  pattern: WELL_FORMED,
  maxLength: 254,
  description: 'a string of at most 254 characters'
}))

export const Next = Type.Union([Id, Type.Null()], {
  description: 'the `after` of the next page; null on the last page'
})

/** The cursor of the next page; null if the page is not full, as the last one is. */
export const nextCursor = (page: ReadonlyArray<{ id: number }>, limit: number): number | null =>
  page[limit - 1]?.id ?? null
