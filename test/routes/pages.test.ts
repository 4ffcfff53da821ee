import { test } from 'tap'
import { startApp } from '../support/app.ts'
import { MAIL_SETTINGS } from '../support/mails.ts'
import { filesUnder, readText } from '../support/source.ts'

const PAGES = { '/email/verify': 'Confirm your e-mail address', '/email/undo': 'Restore your e-mail address', '/password/reset': 'Choose a new password' }

test('the pages of links load a script and a style from the service and nothing else', async t => {
  const { get } = await startApp(t, { ...MAIL_SETTINGS, MAIL_URL: 'smtp://127.0.0.1:1', PRODUCT_NAME: 'Shop & <Co>', PASSWORD_MIN_LENGTH: 12 })
  for (const [url, title] of Object.entries(PAGES)) {
    const { status, headers, body } = await get(url)
    t.equal(status, 200)
    t.match(headers, {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
      'referrer-policy': 'no-referrer',
      'content-security-policy': 'default-src \'none\'; base-uri \'none\'; form-action \'none\'; frame-ancestors \'none\'; ' +
        'script-src \'self\'; style-src \'self\'; connect-src \'self\'; img-src data:'
    })
    t.match(body, `<title>${title} – Shop &amp; &lt;Co&gt;</title>`)
    t.strictSame(String(body).match(/<(script|style|link)\b[^>]*>/g), [
      '<link rel="icon" href="data:,">', '<link rel="stylesheet" href="../assets/pages.css">',
      '<script src="../assets/pages.js" defer>'
    ])
    t.notMatch(body, / on\w+=| style=|<%/, 'nothing inline, and no tag is left')
  }
  t.match((await get('/password/reset')).body, 'minlength="12"')
  t.equal((await get('/assets/pages.css')).headers['content-type'], 'text/css; charset=utf-8')
  t.equal((await get('/assets/pages.js')).headers['content-type'], 'text/javascript; charset=utf-8')
  for (const file of filesUnder(['views/pages'], '')) t.notMatch(readText(file), /https?:|\/\/\w/, `${file} names no host`)
})

test('without mail there are no pages', async t => {
  const { get } = await startApp(t)
  for (const url of [...Object.keys(PAGES), '/assets/pages.js']) t.equal((await get(url)).status, 404, url)
})
