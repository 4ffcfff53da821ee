import { setTimeout as sleep } from 'node:timers/promises'
import { chromium, type Page } from 'playwright-core'
import { test, type Test } from 'tap'
import { PASSWORD, signUpBody } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { freePort } from '../support/port.ts'
import { enrolTotp, FACTOR_SETTINGS } from '../support/factors.ts'
import { type Mailbox, openMailbox, signUpVerified } from '../support/mailbox.ts'
import { QUIET } from './description.ts'

const NEW = 'battery staple'

/** A service whose mails link to itself, and Chromium, which may only talk to it. */
async function openPages (t: Test) {
  const port = await freePort()
  // Not 127.0.0.1: a passkey is bound to a domain.
  const origin = `http://localhost:${port}`
  const passkeys = { ENCRYPTION_KEYS: FACTOR_SETTINGS.ENCRYPTION_KEYS }
  const box = await openMailbox(t, { PUBLIC_URL: origin, PORT: port, ...passkeys })
  await box.app.listen({ port, host: 'localhost' })
  const browser = await chromium.launchPersistentContext(await createFolder(t), {
    executablePath: '/usr/bin/chromium', headless: true, args: QUIET, viewport: { width: 390, height: 844 }
  })
  t.teardown(async () => await browser.close())
  const page = await browser.newPage()
  const hosts = new Set<string>()
  const errors: string[] = []
  page.on('request', request => { if (!request.url().startsWith('data:')) hosts.add(new URL(request.url()).origin) })
  page.on('console', message => {
    // The console also reports the responses of status 4xx that this test expects.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) errors.push(message.text())
  })
  page.on('pageerror', error => errors.push(error.message))
  const calm = () => {
    t.strictSame([...hosts], [origin], 'no request to another host')
    t.strictSame(errors, [], 'neither errors nor violations of the content security policy')
  }
  const linkTo = async (address: string, count = 1) => linkOf(await box.letter(address, count))
  return { box, origin, page, calm, linkTo }
}

const linkOf = ({ page, fields }: Awaited<ReturnType<Mailbox['letter']>>) =>
  `${page}#${new URLSearchParams(fields).toString()}`

const status = async (page: Page, text: string) => {
  await page.locator('#status', { hasText: text }).waitFor()
}

test('a user who has forgotten the password gets a mail, opens its link, and signs in with a new password', async t => {
  const { box, page, calm, linkTo } = await openPages(t)
  await signUpVerified(box, 'alice')
  await box.post('/api/auth/password/forgot', { email: 'alice@example.com' })
  await page.goto(await linkTo('alice@example.com'))
  t.equal(await page.title(), 'Choose a new password – gatehouse')
  t.equal(new URL(page.url()).hash, '', 'the token is not in the address bar')
  t.match(await page.locator('main').innerText(), 'user alice')
  t.equal(await page.locator('input[autocomplete="username"]').inputValue(), 'alice', 'a password manager knows whose it is')
  t.equal(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), true, 'nothing scrolls sideways')
  // With the keyboard alone.
  await page.keyboard.press('Tab')
  await page.keyboard.type(NEW)
  await page.keyboard.press('Enter')
  await status(page, 'The password was reset. Please sign in.')
  t.equal(await page.locator('form').isVisible(), false)
  t.equal((await box.post('/api/auth/signin', { username: 'alice', password: NEW })).status, 200)
  calm()
})

test('a user with an authenticator app enters a code to choose a new password', async t => {
  const { box, page, calm, linkTo } = await openPages(t)
  await signUpVerified(box, 'alice')
  const { recoveryCodes: [recoveryCode = ''] } = await enrolTotp(box, (await box.signIn('alice')).accessToken)
  await box.post('/api/auth/password/forgot', { email: 'alice@example.com' })
  await page.goto(await linkTo('alice@example.com', 2))
  t.equal(await page.getByLabel('Code of your authenticator app').isVisible(), false)
  await page.getByLabel('New password').fill(NEW)
  await page.keyboard.press('Enter')
  await status(page, 'Please confirm with a second factor.')
  t.equal(await page.getByRole('button', { name: 'Change password with a passkey' }).isVisible(), false)
  await page.keyboard.type('000000')
  await page.keyboard.press('Enter')
  await status(page, 'The code or the passkey was not accepted. A code works once.')
  await page.getByLabel('Code of your authenticator app').fill(recoveryCode)
  await page.keyboard.press('Enter')
  await status(page, 'The password was reset. Please sign in.')
  calm()
})

test('a user with a passkey uses it to choose a new password', async t => {
  const { box, page, calm, linkTo } = await openPages(t)
  await signUpVerified(box, 'alice')
  const { accessToken } = await box.signIn('alice')
  const devtools = await page.context().newCDPSession(page)
  await devtools.send('WebAuthn.enable')
  await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true
    }
  })
  await box.post('/api/auth/password/forgot', { email: 'alice@example.com' })
  await page.goto(await linkTo('alice@example.com'))
  const options = (await box.as(accessToken, 'POST', '/api/users/me/passkeys/options')).json<object>()
  const response: unknown = await page.evaluate(`(async () => {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(${JSON.stringify(options)})
    return (await navigator.credentials.create({ publicKey })).toJSON()
  })()`)
  t.match(await box.as(accessToken, 'POST', '/api/users/me/passkeys', { response }), { status: 201 })
  await page.getByLabel('New password').fill(NEW)
  await page.keyboard.press('Enter')
  await status(page, 'Please confirm with a second factor.')
  await page.getByRole('button', { name: 'Change password with a passkey' }).click()
  await status(page, 'The password was reset. Please sign in.')
  calm()
})

test('a person confirms an address with the password, and corrects a wrong one', async t => {
  const { box, page, calm, linkTo } = await openPages(t)
  await box.post('/api/auth/signup', signUpBody('bob'))
  await page.goto(await linkTo('bob@example.com'))
  t.match(await page.locator('main').innerText(), 'Confirm that bob@example.com belongs to the user\nbob.'.replace('\n', ' '))
  await page.getByLabel('Your password').fill('wrong')
  await page.getByRole('button', { name: 'Confirm address' }).click()
  await status(page, 'Invalid Password!')
  await page.getByLabel('Your password').fill(PASSWORD)
  await page.getByRole('button', { name: 'Confirm address' }).click()
  await status(page, 'The e-mail address was confirmed.')
  t.strictSame(await box.sql('SELECT email_verified_at IS NOT NULL AS verified FROM users'), [{ verified: true }])
  calm()
})

test('the owner of a mailbox that somebody else has registered chooses a password', async t => {
  const { box, page, calm, linkTo } = await openPages(t)
  await box.post('/api/auth/signup', signUpBody('eve'))
  await page.goto(await linkTo('eve@example.com'))
  await page.getByText('I do not know this password').click()
  await page.getByLabel('New password').fill(NEW)
  await page.getByRole('button', { name: 'Choose password and confirm address' }).click()
  await status(page, 'The e-mail address was confirmed.')
  t.equal((await box.post('/api/auth/signin', { username: 'eve', password: PASSWORD })).status, 401)
  t.equal((await box.post('/api/auth/signin', { username: 'eve', password: NEW })).status, 200)
  calm()
})

test('a person confirms a new address, and undoes the change', async t => {
  const { box, page, calm, linkTo } = await openPages(t)
  await signUpVerified(box, 'alice')
  const { accessToken } = await box.signIn('alice')
  await box.as(accessToken, 'PUT', '/api/users/me/email', { email: 'alice@new.example.com' })
  await page.goto(await linkTo('alice@new.example.com'))
  t.equal(await page.getByText('I do not know this password').isVisible(), false, 'a new password is no proof here')
  await page.getByLabel('Your password').fill(PASSWORD)
  await page.getByRole('button', { name: 'Confirm address' }).click()
  await status(page, 'The e-mail address was confirmed.')
  await page.goto(await linkTo('alice@example.com'))
  t.equal(await page.title(), 'Restore your e-mail address – gatehouse')
  await page.getByRole('button', { name: 'Restore address' }).click()
  await status(page, 'The e-mail address was restored')
  t.strictSame(await box.sql('SELECT email FROM users'), [{ email: 'alice@example.com' }])
  calm()
})

test('a mail scanner that opens every link and runs its scripts changes nothing', async t => {
  const { box, page, linkTo } = await openPages(t)
  await box.post('/api/auth/signup', signUpBody('bob'))
  await signUpVerified(box, 'alice')
  const { accessToken } = await box.signIn('alice')
  await box.as(accessToken, 'PUT', '/api/users/me/email', { email: 'alice@new.example.com' })
  await box.post('/api/auth/email/verify', { token: (await box.letter('alice@new.example.com')).token, password: PASSWORD })
  await box.as(accessToken, 'PUT', '/api/users/me/email', { email: 'alice@newer.example.com' })
  await box.post('/api/auth/password/forgot', { email: 'alice@new.example.com' })
  const links = [
    await linkTo('bob@example.com'), await linkTo('alice@example.com'),
    await linkTo('alice@newer.example.com'), await linkTo('alice@new.example.com', 2)
  ]
  const state = async () => JSON.stringify([
    await box.sql('SELECT * FROM users ORDER BY id'), await box.sql('SELECT * FROM credentials ORDER BY id'),
    await box.sql('SELECT * FROM email_tokens ORDER BY token_hash'), await box.sql('SELECT * FROM refresh_tokens ORDER BY id')
  ])
  const before = await state()
  const sent: string[] = []
  page.on('request', request => { if (request.method() !== 'GET') sent.push(request.url()) })
  for (const link of links) {
    await page.goto('about:blank')
    await page.goto(link, { waitUntil: 'networkidle' })
    t.equal(await page.locator('#content').isVisible(), true, 'its scripts have run')
  }
  await sleep(500)
  t.strictSame(sent, [])
  t.equal(await state(), before)
})

test('a link without its fragment says so', async t => {
  const { box, origin, page, calm } = await openPages(t)
  t.equal((await box.get('/password/reset')).status, 200)
  await page.goto(`${origin}/password/reset`)
  await status(page, 'This link is incomplete.')
  t.equal(await page.locator('form').isVisible(), false)
  calm()
})
