import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { test, type Test } from 'tap'
import { createDatabase, PASSWORD, SECRET, sql } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { signUp } from '../support/http-client.ts'
import { CHEAP, runServer } from '../support/process.ts'
import { until } from '../support/wait.ts'
import { QUIET } from './description.ts'

const TYPES = { html: 'text/html', js: 'text/javascript' }

const pageFile = (extension: keyof typeof TYPES) => join(import.meta.dirname, 'pages', `passkeys.${extension}`)

/** Serves the page of the tests from an origin of its own, under a policy as strict as the page permits. */
async function servePage (t: Test, connectTo: () => string): Promise<string> {
  const contents = { html: await readFile(pageFile('html')), js: await readFile(pageFile('js')) }
  const server = createServer((request, response) => {
    const type = request.url?.startsWith('/passkeys.js') ? 'js' : 'html'
    response.setHeader('content-type', `${TYPES[type]}; charset=utf-8`)
    response.setHeader('content-security-policy',
      `default-src 'none'; script-src 'self'; connect-src ${connectTo()}; img-src data:; base-uri 'none'; form-action 'none'`)
    response.end(contents[type])
  }).listen(0, 'localhost')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://localhost:${(server.address() as AddressInfo).port}`
}

interface Device {
  protocol: 'ctap2' | 'u2f'
  transport: 'internal' | 'usb'
  hasResidentKey: boolean
  hasUserVerification: boolean
  isUserVerified: boolean
}

interface Shown {
  status?: number
  body?: Record<string, unknown>
  /** the name of what the browser has thrown */
  error?: string
}

/** The built service, a page of another origin with Chromium in front of it, and a user. */
async function openPage (t: Test) {
  let service = ''
  const origin = await servePage(t, () => service)
  const url = await createDatabase(t)
  const { address, logs } = runServer(t, {
    cwd: await createFolder(t),
    script: 'dist/src/server.js',
    env: {
      ...CHEAP,
      DATABASE_URL: url,
      JWT_SECRET: SECRET,
      PASSKEY_RP_ID: 'localhost',
      PASSKEY_ORIGINS: origin,
      CORS_ORIGIN: origin,
      RATE_LIMIT_SIGNIN: '1000'
    }
  })
  service = await address()
  await signUp(service, 'ada')

  const browser = await chromium.launchPersistentContext(await createFolder(t), {
    executablePath: '/usr/bin/chromium', headless: true, args: QUIET
  })
  t.teardown(async () => await browser.close())
  const page = await browser.newPage()
  const errors: string[] = []
  page.on('console', message => {
    // The console also reports the responses of status 4xx that these tests expect.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) errors.push(message.text())
  })
  page.on('pageerror', error => errors.push(error.message))
  const devtools = await browser.newCDPSession(page)
  await devtools.send('WebAuthn.enable')
  let count = 0
  const load = async (more = {}) => {
    await page.goto(`${origin}/?${new URLSearchParams({ service, ...more }).toString()}`)
    count = 0
  }
  await load()
  const press = async (name: string): Promise<Shown> => {
    await page.getByRole('button', { name, exact: true }).click()
    return JSON.parse(await page.locator(`output[data-count="${++count}"]`).innerText()) as Shown
  }
  return {
    devtools,
    press,
    /** Loads the page anew, as one that asks devices for less than the service requires. */
    becomeCareless: async () => await load({ careless: '' }),
    sql: async (text: string) => await sql(url, text),
    securityEvents: () => logs().map(line => line['event']).filter(Boolean),
    /** Adds a virtual device: one that is built in and verifies its user, unless `options` say otherwise. */
    async addDevice (options: Partial<Device> = {}) {
      const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
        options: {
          protocol: 'ctap2',
          transport: 'internal',
          hasResidentKey: true,
          hasUserVerification: true,
          isUserVerified: true,
          automaticPresenceSimulation: true,
          ...options
        }
      })
      return authenticatorId
    },
    /** The first step of a sign-in. */
    async signIn () {
      await page.getByLabel('Username').fill('ada')
      await page.getByLabel('Password').fill(PASSWORD)
      return await press('Sign in')
    },
    calm: () => t.strictSame(errors, [], 'neither errors nor violations of the content security policy')
  }
}

const INVALID = { status: 401, body: { message: 'The code or the passkey was not accepted. A code works once.', code: 'CODE_INVALID' } }

test('a person adds a passkey, signs in with it in three ways, reauthenticates, renames it and removes it', async t => {
  const { addDevice, press, signIn, sql, calm } = await openPage(t)
  await addDevice()
  t.match(await signIn(), { status: 200, body: { username: 'ada' } })
  const added = await press('Add a passkey')
  t.match(added, { status: 201, body: { id: String, name: 'Passkey', accessToken: String, recoveryCodes: { length: 10 } } })
  const listed = await press('List')
  const passkey = { id: added.body?.['id'], created: String, lastUsed: null }
  t.match(listed, { status: 200, body: { passkeys: [{ ...passkey, name: 'Passkey' }] } })
  t.strictSame(await press('Add a passkey'), { error: 'InvalidStateError' }, 'this device has one already')

  const user = { username: 'ada', email: 'ada@example.com', roles: ['ROLE_USER'] }
  t.match(await signIn(), { status: 401, body: { code: 'SECOND_FACTOR_REQUIRED', methods: ['passkey', 'recovery-code'] } })
  t.match(await press('Confirm with a passkey'), { status: 200, body: user }, 'the challenge of the password is that of WebAuthn')
  t.match(await press('Sign in with autofill'), { status: 200, body: user })
  t.match(await press('Sign in with a passkey'), { status: 200, body: user })

  await sql('UPDATE refresh_tokens SET authenticated_at = now() - interval \'1 hour\'')
  t.match(await press('Rename'), { status: 401, body: { code: 'REAUTHENTICATION_REQUIRED' } })
  t.match(await press('Reauthenticate'), { status: 200, body: { accessToken: String } })
  t.strictSame(await press('Rename'), { status: 200, body: { message: 'The passkey was renamed.' } })
  t.match(await press('List'), { status: 200, body: { passkeys: [{ id: passkey.id, name: 'My laptop', lastUsed: String }] } })
  t.strictSame(await press('Remove'), { status: 200, body: { message: 'The passkey was removed.' } })
  t.strictSame(await press('List'), { status: 200, body: { passkeys: [] } })

  t.strictSame(await press('Sign in with a passkey'), INVALID, 'the device still has it')
  t.match(await signIn(), { status: 200, body: user }, 'the password suffices again')
  calm()
})

test('no passkey is made while the device does not recognize its user', async t => {
  const { addDevice, press, signIn, calm } = await openPage(t)
  await addDevice({ isUserVerified: false })
  await signIn()
  t.strictSame(await press('Add a passkey'), { error: 'NotAllowedError' })
  t.strictSame(await press('List'), { status: 200, body: { passkeys: [] } })
  calm()
})

/** Devices that the service accepts no passkey of, and why not if a page asks for less than the service does. */
const REJECTED: Record<string, [Partial<Device>, string]> = {
  'that verifies no user': [{ hasUserVerification: false, isUserVerified: false }, 'its response could not be verified'],
  'that stores no passkeys': [{ hasResidentKey: false }, 'it is not discoverable'],
  'that knows U2F only': [
    { protocol: 'u2f', transport: 'usb', hasResidentKey: false, hasUserVerification: false, isUserVerified: false },
    'it is not discoverable'
  ]
}

for (const [title, [device, reason]] of Object.entries(REJECTED)) {
  test(`a device ${title} makes no passkey, and the service rejects the one that a careless page has made`, async t => {
    const { addDevice, becomeCareless, press, signIn, calm } = await openPage(t)
    await addDevice(device)
    await signIn()
    t.strictSame(await press('Add a passkey'), { error: 'NotAllowedError' })
    await becomeCareless()
    await signIn()
    t.strictSame(await press('Add a passkey'), {
      status: 400, body: { message: `The passkey was not accepted: ${reason}.`, code: 'PASSKEY_INVALID' }
    })
    t.strictSame(await press('List'), { status: 200, body: { passkeys: [] } })
    calm()
  })
}

test('a device that does not verify its user any more signs nobody in', async t => {
  const { addDevice, devtools, press, signIn, calm } = await openPage(t)
  const authenticatorId = await addDevice()
  await signIn()
  t.equal((await press('Add a passkey')).status, 201)
  await devtools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false })
  t.strictSame(await press('Sign in with a passkey'), { error: 'NotAllowedError' })
  await devtools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: true })
  t.equal((await press('Sign in with a passkey')).status, 200)
  calm()
})

test('a signature counter that falls is logged, and signs in', async t => {
  const { addDevice, devtools, press, securityEvents, signIn, calm } = await openPage(t)
  const authenticatorId = await addDevice()
  await signIn()
  t.equal((await press('Add a passkey')).status, 201)
  t.equal((await press('Sign in with a passkey')).status, 200)
  t.notOk(securityEvents().includes('authn_passkey_counter_fell'))
  const { credentials: [credential] } = await devtools.send('WebAuthn.getCredentials', { authenticatorId })
  if (!credential) throw new Error('the device has no passkey')
  t.ok(credential.signCount > 1, 'the device counts')
  // As a copy of the device from before.
  await devtools.send('WebAuthn.clearCredentials', { authenticatorId })
  await devtools.send('WebAuthn.addCredential', { authenticatorId, credential: { ...credential, signCount: 0 } })
  t.equal((await press('Sign in with a passkey')).status, 200)
  await until('the line of the log', () => securityEvents().includes('authn_passkey_counter_fell'))
  calm()
})
