import { connect } from './client.js'

const { GATEHOUSE = 'http://localhost:8080', USERNAME = 'alice', PASSWORD = 'correct horse' } = process.env
const gatehouse = connect(GATEHOUSE)

const { error } = await gatehouse.POST('/api/auth/signup', {
  body: { username: USERNAME, email: `${USERNAME}@example.com`, password: PASSWORD }
})
// The codes are typed: a misspelt one does not compile.
if (error && error.code !== 'USERNAME_TAKEN') throw new Error(`sign-up: ${error.message}`)

const refusal = await gatehouse.signIn(USERNAME, PASSWORD)
if (refusal) throw new Error(`sign-in: ${refusal}`)

if (process.argv.includes('--wait')) {
  console.log('waiting for the access token to expire')
  await new Promise(resolve => setTimeout(resolve, 1500))
}

const board = await gatehouse.GET('/api/test/user', { parseAs: 'text' })
console.log(board.response.status, board.data)
const refused = await gatehouse.GET('/api/test/admin', { parseAs: 'text' })
console.log(refused.response.status, refused.data ?? refused.error)
const { data: me } = await gatehouse.GET('/api/users/me')
console.log(me?.username, me?.roles)
await gatehouse.signOut()
const after = await gatehouse.GET('/api/users/me')
console.log(after.response.status, after.error?.code)
