import { connect } from './client.js'

const { GATEHOUSE = 'http://localhost:8080', USERNAME = 'alice', PASSWORD = 'correct horse' } = process.env
const gatehouse = connect(GATEHOUSE)

function fail (message: string): never {
  console.error(message)
  process.exit(1)
}

await fetch(`${GATEHOUSE}/health/live`).catch((error: Error & { cause?: { code?: string } }) => {
  fail(`gatehouse is not reachable at ${GATEHOUSE} (${error.cause?.code ?? error.message}). ` +
    'Start it with npm start in its folder, or set GATEHOUSE to its URL.')
})

const { error } = await gatehouse.POST('/api/auth/signup', {
  body: { username: USERNAME, email: `${USERNAME}@example.com`, password: PASSWORD }
})
// The codes are typed: a misspelt one does not compile.
if (error && error.code !== 'USERNAME_TAKEN') fail(`The sign-up failed: ${error.message}`)

const code = await gatehouse.signIn(USERNAME, PASSWORD)
if (code) fail(`The sign-in failed: ${code}`)

if (process.argv.includes('--wait')) {
  console.log('waiting for the access token to expire')
  await new Promise(resolve => setTimeout(resolve, 1500))
}

const session = await gatehouse.POST('/api/auth/reauthenticate', { body: { password: PASSWORD } })
console.log(session.response.status, session.error?.code ?? 'signed in again')

const allowed = await gatehouse.GET('/api/test/user', { parseAs: 'text' })
console.log(allowed.response.status, allowed.data)
const denied = await gatehouse.GET('/api/test/admin', { parseAs: 'text' })
console.log(denied.response.status, denied.data ?? denied.error)
const { data: me } = await gatehouse.GET('/api/users/me')
console.log(me?.username, me?.roles)
await gatehouse.signOut()
const after = await gatehouse.GET('/api/users/me')
console.log(after.response.status, after.error?.code)
