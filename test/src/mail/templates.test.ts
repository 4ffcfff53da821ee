import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { kindNames, kinds } from '../../../src/mail/kinds.ts'
import { loadTemplates } from '../../../src/mail/templates.ts'
import { createFolder } from '../../support/folder.ts'
import { filesUnder, readText } from '../../support/source.ts'

const COMMON = { product: 'Shop & Co', url: 'https://auth.example.com' }

const VARIABLES = { username: 'alice', link: 'https://auth.example.com/verify#a&b', code: '012345', factor: 'a passkey (Work & home)', left: '9' }

/** A folder for MAIL_TEMPLATES. */
async function folderOf (t: Test, files: Record<string, string>): Promise<string> {
  const folder = await createFolder(t)
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  return folder
}

test('every kind has a text part, an HTML part and a subject', async t => {
  t.strictSame(filesUnder(['views/mails'], ''), kindNames.flatMap(kind => [`views/mails/${kind}.html`, `views/mails/${kind}.txt`]).sort())
  const render = loadTemplates(undefined, COMMON)
  for (const kind of kindNames) {
    const { subject, text, html } = render(kind, VARIABLES)
    t.match(subject, /^[A-Z][^<>]+ Shop & Co( was (changed|reset|changed back)| were removed)?$/, kind)
    const names: readonly string[] = kinds[kind]
    t.equal(text.includes(`\n${VARIABLES.link}\n`), names.includes('link'), `${kind} has a link on a line of its own`)
    t.equal(html.includes('href="https://auth.example.com/verify#a&amp;b"'), names.includes('link'))
    for (const part of [text, html]) t.equal(part.includes('012345'), names.includes('code'))
    t.equal(text.includes(VARIABLES.factor), names.includes('factor'))
    t.equal(html.includes('a passkey (Work &amp; home)'), names.includes('factor'))
    t.ok(html.startsWith('<!DOCTYPE html>\n<html lang="en">\n'))
    for (const line of text.split('\n')) t.ok(line.length <= 100, line)
  }
})

test('the HTML parts escape every variable, and load nothing', async t => {
  const hostile = '"><script>alert(1)</script>\''
  const render = loadTemplates(undefined, { product: hostile, url: hostile })
  for (const kind of kindNames) {
    const { html } = render(kind, { username: hostile, link: hostile, code: hostile, factor: hostile, left: hostile })
    t.notMatch(html, /<(script|img|link|style|svg|iframe|object)\b|url\(|@import/i, kind)
    t.notOk(html.includes(hostile), kind)
    t.match(html, '&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&#39;')
  }
  for (const file of filesUnder(['views/mails'], '')) t.notMatch(readText(file), /<%[^=]|https?:/, `${file} has no other tags and no hosts`)
})

test('a mail to an address that is not verified does not show the username, which anybody may have chosen', async t => {
  const render = loadTemplates(undefined, COMMON)
  for (const kind of ['verification', 'email-change']) {
    const { subject, text, html } = render(kind, { ...VARIABLES, username: 'bargain.example' })
    t.notMatch(`${subject}${text}${html}`, 'bargain.example', kind)
  }
})

test('templates of the same name replace the built-in ones, one by one', async t => {
  const folder = await folderOf(t, {
    'verification.txt': 'Subject: <%= it.product %>: <%= it.code %>\r\n\r\nHello <%= it.username %>,\r\n<%= it.link %>\r\n',
    '.hidden': ''
  })
  const { subject, text, html } = loadTemplates(folder, COMMON)('verification', VARIABLES)
  t.strictSame([subject, text], ['Shop & Co: 012345', 'Hello alice,\nhttps://auth.example.com/verify#a&b\n'])
  t.equal(html, loadTemplates(undefined, COMMON)('verification', VARIABLES).html)
})

test('a template that is wrong is reported at start, with its file', async t => {
  const cases: Array<[name: string, text: string, message: RegExp]> = [
    ['verification.txt', 'Hello', / is invalid: it does not begin with a line "Subject: …" and an empty line$/],
    ['verification.txt', 'Subject: a\nHello', /an empty line$/],
    ['verification.html', '<%= it.code', / is invalid: unclosed tag/],
    ['verification.html', '<%= it.( %>', / is invalid: Bad template syntax/],
    ['verification.html', '<%= it.Code %>', / is invalid: there is no variable Code$/],
    ['password-changed.html', '<%= it.link %>', / is invalid: there is no variable link$/],
    ['verificaton.txt', 'Subject: a\n\nHello', / replaces no template\. The templates are verification\.txt, verification\.html, /]
  ]
  for (const [name, text, message] of cases) {
    const folder = await folderOf(t, { [name]: text })
    t.throws(() => loadTemplates(folder, COMMON), { message })
    t.throws(() => loadTemplates(folder, COMMON), { message: join(folder, name) })
  }
  const folder = await createFolder(t)
  await mkdir(join(folder, 'verification.txt'))
  t.throws(() => loadTemplates(folder, COMMON), { message: /verification\.txt is invalid: EISDIR/ })
  t.throws(() => loadTemplates(join(folder, 'none'), COMMON), { message: `The folder ${join(folder, 'none')} of MAIL_TEMPLATES cannot be read: ENOENT` })
})

test('a kind without templates, or a missing variable, is an error', async t => {
  const render = loadTemplates(undefined, COMMON)
  t.throws(() => render('nothing', VARIABLES), { message: 'There are no templates of the kind nothing.' })
  t.throws(() => render('password-changed', {}), { message: 'there is no variable username' })
  t.throws(() => render('password-changed', { username: undefined }), { message: 'there is no variable username' })
})
