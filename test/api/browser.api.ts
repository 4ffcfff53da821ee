import { chromium } from 'playwright-core'
import { test } from 'tap'
import { roles } from '../../src/access.ts'
import { PASSWORD } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { QUIET, startDescribed } from './description.ts'

test('on the page at /docs a person signs up, signs in, authorises and calls the test endpoints', async t => {
  const { origin } = await startDescribed(t, { SIGNUP_ROLES: [...roles] })
  const browser = await chromium.launchPersistentContext(await createFolder(t), {
    executablePath: '/usr/bin/chromium', headless: true, args: QUIET
  })
  t.teardown(async () => await browser.close())
  const page = await browser.newPage()
  const hosts = new Set<string>()
  const errors: string[] = []
  page.on('request', request => { if (!request.url().startsWith('data:')) hosts.add(new URL(request.url()).origin) })
  page.on('console', message => {
    // The console also reports the responses of status 4xx that this test expects.
    const isResponse = message.text().startsWith('Failed to load resource')
    if (message.type() === 'error' && !isResponse) errors.push(message.text())
  })
  page.on('pageerror', error => errors.push(error.message))

  await page.goto(`${origin}/docs`)
  await page.waitForSelector('.opblock')
  t.equal(await page.title(), 'gatehouse')

  /** Opens an operation, sends it with the body on the page or with this one, and reads what the page shows. */
  async function execute (operation: string, body?: object): Promise<{ status: number, text: string }> {
    const block = page.locator(`[id="operations-${operation}"]`)
    if (!await block.locator('.opblock-body').isVisible()) await block.locator('.opblock-summary-control').click()
    if (body) await block.locator('textarea.body-param__text').fill(JSON.stringify(body))
    const answered = page.waitForResponse(response => ['fetch', 'xhr'].includes(response.request().resourceType()))
    await block.locator('button.execute').click()
    await answered
    const shown = block.locator('.live-responses-table')
    await shown.waitFor()
    return {
      status: Number.parseInt(await shown.locator('.response-col_status').last().innerText()),
      text: await shown.locator('.response-col_description pre').first().innerText()
    }
  }

  t.match(await execute('test-getTestUser'), { status: 403, text: 'ACCESS_TOKEN_MISSING' })
  const user = { username: 'ann', email: 'ann@example.com', password: PASSWORD, roles: ['user'] }
  t.match(await execute('auth-postAuthSignup', user), { status: 200, text: 'User was registered successfully!' })
  const signedIn = await execute('auth-postAuthSignin', { username: 'ann', password: PASSWORD })
  t.equal(signedIn.status, 200)
  const { accessToken } = JSON.parse(signedIn.text) as { accessToken: string }

  await page.locator('.btn.authorize.unlocked').first().click()
  const scheme = page.locator('.modal-ux .auth-container').filter({ hasText: 'bearer' }).first()
  await scheme.locator('input').fill(accessToken)
  await scheme.locator('button.authorize').click()
  await page.locator('.modal-ux .btn-done').first().click()

  t.match(await execute('test-getTestAll'), { status: 200, text: 'Public Content.' })
  t.match(await execute('test-getTestUser'), { status: 200, text: 'User Content.' })
  t.match(await execute('test-getTestAdmin'), { status: 403, text: 'ADMIN_REQUIRED' })
  t.strictSame([...hosts], [origin], 'no request to another host')
  t.strictSame(errors, [], 'neither errors nor violations of the content security policy')
})
