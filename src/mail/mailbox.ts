import { EMAIL } from '../api/fields.ts'

/** A sender or a recipient. Objects, because a text would be parsed, and could name further recipients. */
export interface Mailbox {
  /** empty for none */
  name: string
  address: string
}

const ADDRESS = new RegExp(EMAIL)

/** Reads `address` or `Name <address>`. @returns undefined for any other text */
export function parseMailbox (text: string): Mailbox | undefined {
  const [, name = '', address = text] = /^([^<>"\p{Cc}]{1,64}) <([^<>]+)>$/u.exec(text) ?? []
  return address.length <= 254 && ADDRESS.test(address) ? { name, address } : undefined
}
