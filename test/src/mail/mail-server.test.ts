import { test } from 'tap'
import { parseMailUrl } from '../../../src/mail/mail-server.ts'

test('smtps uses TLS from the start, and smtp requires STARTTLS except on this machine', async t => {
  t.strictSame(parseMailUrl('smtps://mail.example.com'), { host: 'mail.example.com', port: 465, secure: true, requireTLS: false })
  t.strictSame(parseMailUrl('smtp://mail.example.com/'), { host: 'mail.example.com', port: 587, secure: false, requireTLS: true })
  t.strictSame(parseMailUrl('smtp://localhost:1025'), { host: 'localhost', port: 1025, secure: false, requireTLS: false })
  t.strictSame(parseMailUrl('smtp://[::1]:1025'), { host: '::1', port: 1025, secure: false, requireTLS: false })
  t.strictSame(parseMailUrl('smtp://127.0.0.2:25'), { host: '127.0.0.2', port: 25, secure: false, requireTLS: false })
})

test('the user name and the password are decoded', async t => {
  t.match(parseMailUrl('smtps://a%40b:c%3Ad%2F%25@mail.example.com'), { auth: { user: 'a@b', pass: 'c:d/%' } })
  t.match(parseMailUrl('smtps://a@mail.example.com'), { auth: { user: 'a', pass: '' } })
})

test('other texts are not URLs of mail servers', async t => {
  for (const text of ['', 'mail.example.com', 'http://mail.example.com', 'smtp://', 'smtp://host/path', 'smtp://host?secure=false',
    'smtp://host#fragment', 'smtp://a%zz@host', 'smtp://host:port']) {
    t.equal(parseMailUrl(text), undefined, text)
  }
})
