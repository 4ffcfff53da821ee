import { test } from 'tap'
import { parseMailbox } from '../../../src/mail/mailbox.ts'

test('a mailbox is an address, or a name and an address in angle brackets', async t => {
  t.strictSame(parseMailbox('a@example.com'), { name: '', address: 'a@example.com' })
  t.strictSame(parseMailbox('gatehouse@localhost'), { name: '', address: 'gatehouse@localhost' })
  t.strictSame(parseMailbox('Müller & Söhne, Inc. <a@example.com>'), { name: 'Müller & Söhne, Inc.', address: 'a@example.com' })
})

test('nothing else is', async t => {
  for (const text of ['', 'a', 'a@', '@a', '<a@example.com>', 'A<a@example.com>', 'A <a@example.com> ', 'A <a@example.com>, b@example.com',
    'A\r\nBcc: <b@example.com>', 'A "B" <a@example.com>', `${'n'.repeat(65)} <a@example.com>`, `${'a'.repeat(243)}@example.com`]) {
    t.equal(parseMailbox(text), undefined, JSON.stringify(text))
  }
})
