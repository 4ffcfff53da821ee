import type { InjectOptions } from 'fastify'
import { test } from 'tap'
import { catalogue, type ErrorCode } from '../../src/errors.ts'
import { startApp } from '../support/app.ts'

type Hostile = [title: string, request: InjectOptions, code: ErrorCode, message?: string]

const SIGNUP = '/api/auth/signup'
const SIGNIN = '/api/auth/signin'
const REFRESH = '/api/auth/refreshtoken'

const body = (url: string, type: string, payload: string | Buffer): InjectOptions =>
  ({ method: 'POST', url, headers: { 'content-type': type }, payload })

/** A JSON body given as text, for what JSON.stringify does not write. */
const raw = (url: string, payload: string | Buffer) => body(url, 'application/json', payload)
const json = (url: string, payload: unknown) => raw(url, JSON.stringify(payload))
const form = (url: string, payload: string) => body(url, 'application/x-www-form-urlencoded', payload)

const mallory = { username: 'mallory', email: 'mallory@example.com', password: 'long enough' }
const signUp = (changes: Record<string, unknown>) => json(SIGNUP, { ...mallory, ...changes })
/** A sign-up with one field given as the text of its JSON. */
const signUpRaw = (name: string, text: string) =>
  raw(SIGNUP, JSON.stringify({ ...mallory, [name]: '?' }).replace('"?"', () => text))
const signIn = (changes: Record<string, unknown>) => json(SIGNIN, { username: 'alice', password: 'wrong password', ...changes })
const refresh = (refreshToken: unknown) => json(REFRESH, { refreshToken })

const USERNAME = 'username must be 3 to 64 letters, digits, dots, underscores or hyphens'
const EMAIL = 'email must be an e-mail address of at most 254 characters'
const PASSWORD = 'password must be 8 to 256 characters'
const ROLES = 'roles must be a list of at most 16 role names'
const GIVEN_USERNAME = 'username must be a string of at most 256 characters'
const GIVEN_PASSWORD = 'password must be a string of at most 256 characters'
const TOKEN = 'refreshToken must be a string'
const ID = 'id must be a whole number above 0'

const INJECTION = '\'; DROP TABLE users; --'
const OR = '\' OR \'1\'=\'1'

const bodies: Hostile[] = [
  // bytes that are not JSON
  ['sign-up with no body', { method: 'POST', url: SIGNUP }, 'VALIDATION_FAILED', 'the body must be object'],
  ['sign-up with an empty JSON body', raw(SIGNUP, ''), 'VALIDATION_FAILED', 'the body must be object'],
  ['sign-up with a body of spaces', raw(SIGNUP, '   '), 'REQUEST_MALFORMED'],
  ['sign-up with half a body', raw(SIGNUP, '{"username":"mallory"'), 'REQUEST_MALFORMED'],
  ['sign-up with a comma too many', raw(SIGNUP, '{"username":"mallory",}'), 'REQUEST_MALFORMED'],
  ['sign-up with single quotes', raw(SIGNUP, "{'username':'mallory'}"), 'REQUEST_MALFORMED'],
  ['sign-up with a comment', raw(SIGNUP, '/**/{}'), 'REQUEST_MALFORMED'],
  ['sign-up with NaN', signUpRaw('username', 'NaN'), 'REQUEST_MALFORMED'],
  ['sign-up with NUL between the tokens', raw(SIGNUP, '{\0}'), 'REQUEST_MALFORMED'],
  ['sign-up with NUL inside a text', signUpRaw('username', '"mal\0lory"'), 'REQUEST_MALFORMED'],
  ['sign-up with two bodies', raw(SIGNUP, '{}{}'), 'REQUEST_MALFORMED'],
  ['sign-up with bytes that are not UTF-8', raw(SIGNUP, Buffer.of(0x7b, 0xff, 0xfe, 0x7d)), 'REQUEST_MALFORMED'],
  ['sign-up in UTF-16', raw(SIGNUP, Buffer.from(JSON.stringify(mallory), 'utf16le')), 'REQUEST_MALFORMED'],
  ['sign-in with a body that is a bare word', raw(SIGNIN, 'alice'), 'REQUEST_MALFORMED'],
  ['refresh with broken JSON', raw(REFRESH, '{"refreshToken":'), 'REQUEST_MALFORMED'],

  // JSON that is not an object
  ['sign-up with null', raw(SIGNUP, 'null'), 'VALIDATION_FAILED', 'the body must be object'],
  ['sign-up with a list', json(SIGNUP, [mallory]), 'VALIDATION_FAILED', 'the body must be object'],
  ['sign-up with a text', json(SIGNUP, 'mallory'), 'VALIDATION_FAILED', 'the body must be object'],
  ['sign-up with a number', raw(SIGNUP, '1e999'), 'VALIDATION_FAILED', 'the body must be object'],
  ['sign-in with true', raw(SIGNIN, 'true'), 'VALIDATION_FAILED', 'the body must be object'],
  ['refresh with a list', json(REFRESH, ['x']), 'VALIDATION_FAILED', 'the body must be object'],
  ['refresh with a text', json(REFRESH, 'x'), 'VALIDATION_FAILED', 'the body must be object'],
  ['sign-up with lists nested 7000 deep', raw(SIGNUP, '['.repeat(7000) + ']'.repeat(7000)), 'VALIDATION_FAILED', 'the body must be object'],
  ['sign-up with a name nested 2000 deep', signUpRaw('username', '{"a":'.repeat(2000) + '1' + '}'.repeat(2000)), 'VALIDATION_FAILED', USERNAME],
  ['sign-up with unclosed lists', raw(SIGNUP, '['.repeat(16000)), 'REQUEST_MALFORMED'],

  // fields that are missing or too many
  ['sign-up with nothing in it', json(SIGNUP, {}), 'VALIDATION_FAILED', 'username is required'],
  ['sign-up without an e-mail', signUp({ email: undefined }), 'VALIDATION_FAILED', 'email is required'],
  ['sign-up without a password', signUp({ password: undefined }), 'VALIDATION_FAILED', 'password is required'],
  ['sign-up that sets its own id', signUp({ id: 1 }), 'VALIDATION_FAILED', 'id is not a known field'],
  ['sign-up that sets its own hash', signUp({ password_hash: '$argon2id$' }), 'VALIDATION_FAILED', 'password_hash is not a known field'],
  ['sign-up with a field whose name has NUL', signUp({ 'a\0b': 1 }), 'VALIDATION_FAILED', 'a\\u0000b is not a known field'],
  ['sign-up with a field whose name is long', signUp({ ['x'.repeat(5000)]: 1 }), 'VALIDATION_FAILED', `${'x'.repeat(64)} is not a known field`],
  ['sign-up with a field whose name is empty', signUp({ '': 1 }), 'VALIDATION_FAILED', ' is not a known field'],
  ['sign-up with the field toString', signUp({ toString: 1 }), 'VALIDATION_FAILED', 'toString is not a known field'],
  ['sign-in with the field roles', signIn({ roles: ['admin'] }), 'VALIDATION_FAILED', 'roles is not a known field'],
  ['refresh with another field', json(REFRESH, { refreshToken: 'x', userId: 1 }), 'VALIDATION_FAILED', 'userId is not a known field'],

  // the prototype
  ['sign-up with __proto__', raw(SIGNUP, '{"__proto__":{"isAdmin":true},"username":"mallory"}'), 'REQUEST_MALFORMED'],
  ['sign-up with an escaped __proto__', raw(SIGNUP, '{"\\u005f_proto__":{"isAdmin":true}}'), 'REQUEST_MALFORMED'],
  ['sign-up with constructor.prototype', raw(SIGNUP, '{"constructor":{"prototype":{"isAdmin":true}}}'), 'REQUEST_MALFORMED'],
  ['sign-up with a plain constructor', signUp({ constructor: 'x' }), 'VALIDATION_FAILED', 'constructor is not a known field'],
  ['sign-up with __proto__ in a field', signUpRaw('roles', '{"__proto__":["admin"]}'), 'REQUEST_MALFORMED'],
  ['refresh with __proto__', raw(REFRESH, '{"__proto__":{"refreshToken":"x"}}'), 'REQUEST_MALFORMED'],

  // names
  ['sign-up with a list as a name', signUp({ username: ['mallory'] }), 'VALIDATION_FAILED', USERNAME],
  ['sign-up with a number as a name', signUp({ username: 12345 }), 'VALIDATION_FAILED', USERNAME],
  ['sign-up with null as a name', signUp({ username: null }), 'VALIDATION_FAILED', USERNAME],
  ['sign-up with an object as a name', signUp({ username: { $ne: null } }), 'VALIDATION_FAILED', USERNAME],
  ['sign-up with an empty name', signUp({ username: '' }), 'VALIDATION_FAILED', USERNAME],
  ['sign-up with a name of 65', signUp({ username: 'm'.repeat(65) }), 'VALIDATION_FAILED', USERNAME],
  ['sign-up with NUL in the name', signUp({ username: 'mal\0lory' }), 'VALIDATION_FAILED', USERNAME],
  ['sign-up with a line break after the name', signUp({ username: 'mallory\n' }), 'VALIDATION_FAILED', USERNAME],
  ['sign-up with a lone surrogate in the name', signUpRaw('username', '"mallory\\ud800"'), 'VALIDATION_FAILED', USERNAME],
  ['sign-up with a Cyrillic letter in the name', signUp({ username: 'аdmin' }), 'VALIDATION_FAILED', USERNAME],
  ['sign-up with a right-to-left mark in the name', signUp({ username: 'mallory\u202e' }), 'VALIDATION_FAILED', USERNAME],
  ['sign-up with a statement as a name', signUp({ username: INJECTION }), 'VALIDATION_FAILED', USERNAME],
  ['sign-up with markup as a name', signUp({ username: '<script>alert(1)</script>' }), 'VALIDATION_FAILED', USERNAME],

  // e-mail addresses
  ['sign-up with a list as an e-mail', signUp({ email: ['mallory@example.com'] }), 'VALIDATION_FAILED', EMAIL],
  ['sign-up with no @', signUp({ email: 'mallory' }), 'VALIDATION_FAILED', EMAIL],
  ['sign-up with an e-mail of 255', signUp({ email: `${'m'.repeat(255 - 12)}@example.com` }), 'VALIDATION_FAILED', EMAIL],
  ['sign-up with a domain label of 64', signUp({ email: `m@${'x'.repeat(64)}.com` }), 'VALIDATION_FAILED', EMAIL],
  ['sign-up with a line break in the e-mail', signUp({ email: 'mallory@example.com\nbcc: all@example.com' }), 'VALIDATION_FAILED', EMAIL],
  ['sign-up with NUL in the e-mail', signUp({ email: 'mallory\0@example.com' }), 'VALIDATION_FAILED', EMAIL],
  ['sign-up with a lone surrogate in the e-mail', signUpRaw('email', '"m\\udfff@example.com"'), 'VALIDATION_FAILED', EMAIL],
  ['sign-up with a statement as an e-mail', signUp({ email: `${INJECTION}@example.com` }), 'VALIDATION_FAILED', EMAIL],
  ['sign-up with an e-mail that would make a slow pattern slow', signUp({ email: `m@${'a-'.repeat(7000)}` }), 'VALIDATION_FAILED', EMAIL],

  // passwords
  ['sign-up with a number as a password', signUp({ password: 1234567890 }), 'VALIDATION_FAILED', PASSWORD],
  ['sign-up with a password of seven', signUp({ password: '1234567' }), 'VALIDATION_FAILED', PASSWORD],
  ['sign-up with a password of 257', signUp({ password: 'x'.repeat(257) }), 'VALIDATION_FAILED', PASSWORD],
  ['sign-up with NUL in the password', signUp({ password: 'long enough\0' }), 'VALIDATION_FAILED', PASSWORD],
  ['sign-up with a lone high surrogate in the password', signUpRaw('password', '"long enough\\ud800"'), 'VALIDATION_FAILED', PASSWORD],
  ['sign-up with a lone low surrogate in the password', signUpRaw('password', '"long enough\\udc00"'), 'VALIDATION_FAILED', PASSWORD],

  // roles
  ['sign-up with a text as roles', signUp({ roles: 'admin' }), 'VALIDATION_FAILED', ROLES],
  ['sign-up with null as roles', signUp({ roles: null }), 'VALIDATION_FAILED', ROLES],
  ['sign-up with an object as roles', signUp({ roles: { 0: 'admin', length: 1 } }), 'VALIDATION_FAILED', ROLES],
  ['sign-up with 17 roles', signUp({ roles: Array(17).fill('user') }), 'VALIDATION_FAILED', ROLES],
  ['sign-up with a number as a role', signUp({ roles: [1] }), 'VALIDATION_FAILED', 'roles.0 must be the name of a role'],
  ['sign-up with a list as a role', signUp({ roles: ['user', ['admin']] }), 'VALIDATION_FAILED', 'roles.1 must be the name of a role'],
  ['sign-up with a long role', signUp({ roles: ['x'.repeat(65)] }), 'VALIDATION_FAILED', 'roles.0 must be the name of a role'],
  ['sign-up with an inherited name as a role', signUp({ roles: ['__proto__'] }), 'ROLE_UNKNOWN', 'Failed! Role does not exist = __proto__'],
  ['sign-up with a statement as a role', signUp({ roles: [INJECTION] }), 'ROLE_UNKNOWN', `Failed! Role does not exist = ${INJECTION}`],
  ['sign-up with a format as a role', signUp({ roles: ['%s%d'] }), 'ROLE_UNKNOWN', 'Failed! Role does not exist = %s%d'],
  ['sign-up with NUL as a role', signUp({ roles: ['user\0'] }), 'ROLE_UNKNOWN', 'Failed! Role does not exist = user\0'],
  ['sign-up with a lone surrogate as a role', signUpRaw('roles', '["\\ud800"]'), 'ROLE_UNKNOWN', 'Failed! Role does not exist = \ud800'],
  ['sign-up as an admin', signUp({ roles: ['user', 'admin'] }), 'ROLE_NOT_OPEN', 'Failed! Role admin is not open to sign-up. Send an admin\'s access token, or add the role to SIGNUP_ROLES.'],

  // sign-in
  ['sign-in with the wrong password', signIn({}), 'PASSWORD_INVALID'],
  ['sign-in with an empty password', signIn({ password: '' }), 'PASSWORD_INVALID'],
  ['sign-in with a statement as a password', signIn({ password: OR }), 'PASSWORD_INVALID'],
  ['sign-in with a list as a password', signIn({ password: ['wrong password'] }), 'VALIDATION_FAILED', GIVEN_PASSWORD],
  ['sign-in with null as a password', signIn({ password: null }), 'VALIDATION_FAILED', GIVEN_PASSWORD],
  ['sign-in with a password of 257', signIn({ password: 'x'.repeat(257) }), 'VALIDATION_FAILED', GIVEN_PASSWORD],
  ['sign-in with NUL in the password', signIn({ password: 'wrong\0' }), 'VALIDATION_FAILED', GIVEN_PASSWORD],
  ['sign-in with a lone surrogate in the password', raw(SIGNIN, '{"username":"alice","password":"\\udead"}'), 'VALIDATION_FAILED', GIVEN_PASSWORD],
  ['sign-in with an empty name', signIn({ username: '' }), 'USER_NOT_FOUND'],
  ['sign-in with a statement as a name', signIn({ username: INJECTION }), 'USER_NOT_FOUND'],
  ['sign-in with a condition as a name', signIn({ username: OR }), 'USER_NOT_FOUND'],
  ['sign-in with a comment after the name', signIn({ username: 'alice\'--' }), 'USER_NOT_FOUND'],
  ['sign-in with a wildcard as a name', signIn({ username: '%' }), 'USER_NOT_FOUND'],
  ['sign-in with an emoji as a name', signIn({ username: '🔑' }), 'USER_NOT_FOUND'],
  ['sign-in with a list as a name', signIn({ username: ['alice'] }), 'VALIDATION_FAILED', GIVEN_USERNAME],
  ['sign-in with an operator as a name', signIn({ username: { $gt: '' } }), 'VALIDATION_FAILED', GIVEN_USERNAME],
  ['sign-in with a name of 257', signIn({ username: 'x'.repeat(257) }), 'VALIDATION_FAILED', GIVEN_USERNAME],
  ['sign-in with NUL in the name', signIn({ username: 'alice\0' }), 'VALIDATION_FAILED', GIVEN_USERNAME],
  ['sign-in with a lone surrogate in the name', raw(SIGNIN, '{"username":"alice\\ud800","password":"x"}'), 'VALIDATION_FAILED', GIVEN_USERNAME],

  // refresh: never a 401
  ['refresh with no body', { method: 'POST', url: REFRESH }, 'REFRESH_TOKEN_MISSING'],
  ['refresh with an empty JSON body', raw(REFRESH, ''), 'REFRESH_TOKEN_MISSING'],
  ['refresh with null', raw(REFRESH, 'null'), 'REFRESH_TOKEN_MISSING'],
  ['refresh with null as a token', refresh(null), 'REFRESH_TOKEN_MISSING'],
  ['refresh with an empty token', refresh(''), 'REFRESH_TOKEN_UNKNOWN'],
  ['refresh with a statement', refresh(INJECTION), 'REFRESH_TOKEN_UNKNOWN'],
  ['refresh with NUL', refresh('\0'), 'REFRESH_TOKEN_UNKNOWN'],
  ['refresh with a lone surrogate', raw(REFRESH, '{"refreshToken":"\\ud800"}'), 'REFRESH_TOKEN_UNKNOWN'],
  ['refresh with 16,000 letters', refresh('A'.repeat(16_000)), 'REFRESH_TOKEN_UNKNOWN'],
  ['refresh with a uuid', refresh('0190f5b4-7c3e-7a10-8c2d-3f4b5a6c7d8e'), 'REFRESH_TOKEN_UNKNOWN'],
  ['refresh with a number', refresh(1), 'VALIDATION_FAILED', TOKEN],
  ['refresh with a list', refresh(['x']), 'VALIDATION_FAILED', TOKEN],
  ['refresh with an object', refresh({}), 'VALIDATION_FAILED', TOKEN],

  // forms
  ['a form with __proto__', form(SIGNUP, '__proto__=x&__proto__[isAdmin]=1'), 'VALIDATION_FAILED', 'username is required'],
  ['a form with constructor', form(SIGNUP, 'constructor=x'), 'VALIDATION_FAILED', 'username is required'],
  ['a form with a field twice', form(SIGNIN, 'username=alice&username=bob&password=x'), 'VALIDATION_FAILED', GIVEN_USERNAME],
  ['a form with brackets', form(SIGNIN, 'username[$ne]=x&password=x'), 'VALIDATION_FAILED', 'username is required'],
  ['a form with NUL', form(SIGNIN, 'username=alice%00&password=x'), 'VALIDATION_FAILED', GIVEN_USERNAME],
  ['a form with broken percent-encoding', form(SIGNIN, 'username=%E0%A4%A&password=%'), 'USER_NOT_FOUND'],
  ['a form that is JSON', form(SIGNIN, JSON.stringify({ username: 'alice' })), 'VALIDATION_FAILED', 'username is required'],
  ['an empty form', form(SIGNUP, ''), 'VALIDATION_FAILED', 'username is required'],
  ['a form with a thousand fields', form(SIGNUP, Array.from({ length: 1000 }, (_, at) => `f${at}=`).join('&')), 'VALIDATION_FAILED', 'username is required'],
  ['a refresh form with the token twice', form(REFRESH, 'refreshToken=a&refreshToken=b'), 'VALIDATION_FAILED', TOKEN],

  // size and type
  ['a JSON body of more than 16 KiB', raw(SIGNUP, ' '.repeat(16 * 1024 + 1)), 'BODY_TOO_LARGE'],
  ['a form of more than 16 KiB', form(SIGNIN, `username=${'x'.repeat(16 * 1024)}`), 'BODY_TOO_LARGE'],
  ['a body of 1 MiB', signUp({ password: 'x'.repeat(1024 * 1024) }), 'BODY_TOO_LARGE'],
  ['a large body of another type', body(SIGNUP, 'application/octet-stream', 'x'.repeat(64 * 1024)), 'MEDIA_TYPE_UNSUPPORTED'],
  ['XML', body(SIGNUP, 'application/xml', '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'), 'MEDIA_TYPE_UNSUPPORTED'],
  ['plain text', body(SIGNIN, 'text/plain', JSON.stringify({ username: 'alice', password: 'x' })), 'MEDIA_TYPE_UNSUPPORTED'],
  ['multipart', body(SIGNUP, 'multipart/form-data; boundary=x', '--x--'), 'MEDIA_TYPE_UNSUPPORTED'],
  ['an invalid content type', body(SIGNUP, 'json', '{}'), 'MEDIA_TYPE_UNSUPPORTED'],
  ['an empty content type', body(SIGNUP, '', '{}'), 'MEDIA_TYPE_UNSUPPORTED'],
  ['a content type that only begins like JSON', body(SIGNUP, 'application/jsonp', '{}'), 'MEDIA_TYPE_UNSUPPORTED'],
  ['a body to a route that does not exist', { ...json('/', {}), method: 'POST' }, 'ROUTE_NOT_FOUND']
]

const urls: Hostile[] = [
  ['an unknown route', { url: '/api/nothing' }, 'ROUTE_NOT_FOUND'],
  ['an unknown method of a known route', { method: 'DELETE', url: SIGNIN }, 'ROUTE_NOT_FOUND'],
  ['sign-in by GET', { url: `${SIGNIN}?username=alice&password=x` }, 'ROUTE_NOT_FOUND'],
  ['PATCH', { method: 'PATCH', url: '/api/users/me' }, 'ROUTE_NOT_FOUND'],
  ['a path that climbs', { url: '/api/../../../etc/passwd' }, 'ROUTE_NOT_FOUND'],
  ['an encoded path that climbs', { url: '/api/%2e%2e%2f%2e%2e%2fetc/passwd' }, 'ROUTE_NOT_FOUND'],
  ['a path to a file of the service', { url: '/package.json' }, 'ROUTE_NOT_FOUND'],
  ['an authenticated route with an encoded slash', { url: '/api%2ftest%2fadmin' }, 'ROUTE_NOT_FOUND'],
  ['an authenticated route with a slash doubled', { url: '/api//test/admin' }, 'ROUTE_NOT_FOUND'],
  ['an authenticated route with a semicolon', { url: '/api/test/admin;/all' }, 'ROUTE_NOT_FOUND'],
  ['an authenticated route with NUL after it', { url: '/api/test/admin%00' }, 'ROUTE_NOT_FOUND'],
  ['an authenticated route in upper case', { url: '/API/TEST/ADMIN' }, 'ACCESS_TOKEN_MISSING'],
  ['an authenticated route with an encoded letter', { url: '/api/test/%61dmin' }, 'ACCESS_TOKEN_MISSING'],
  ['an authenticated route with a slash after it', { url: '/api/test/admin/' }, 'ACCESS_TOKEN_MISSING'],
  ['an authenticated route with its token in the query', { url: '/api/test/user?x-access-token=x&access_token=x' }, 'ACCESS_TOKEN_MISSING'],
  ['invalid percent-encoding', { url: '/api/%zz' }, 'REQUEST_MALFORMED'],
  ['incomplete percent-encoding', { url: '/api/users/%' }, 'REQUEST_MALFORMED'],
  ['percent-encoding that is not UTF-8', { url: '/api/users/%ff' }, 'REQUEST_MALFORMED'],
  ['percent-encoding longer than needed', { url: '/api/users/%c0%ae' }, 'REQUEST_MALFORMED'],
  ['percent-encoding of a surrogate', { url: '/api/users/%ed%a0%80' }, 'REQUEST_MALFORMED'],
  ['a path of 10,000 letters', { url: `/${'x'.repeat(10_000)}` }, 'ROUTE_NOT_FOUND'],
  ['a path of 10,000 slashes', { url: `/api${'/'.repeat(10_000)}` }, 'ROUTE_NOT_FOUND'],
  ['an Authorization of another scheme', { url: '/api/test/user', headers: { authorization: 'Basic YWxpY2U6eA==' } }, 'ACCESS_TOKEN_MISSING'],
  ['an Authorization without a token', { url: '/api/test/user', headers: { authorization: 'Bearer ' } }, 'ACCESS_TOKEN_MISSING'],
  ['an Authorization without a scheme', { url: '/api/test/user', headers: { authorization: 'x.y.z' } }, 'ACCESS_TOKEN_MISSING'],
  ['an Authorization of ten thousand spaces', { url: '/api/test/user', headers: { authorization: `Bearer${' '.repeat(10_000)}` } }, 'ACCESS_TOKEN_MISSING'],
  ['an Authorization of two tokens', { url: '/api/test/user', headers: { authorization: 'Bearer x, Bearer y' } }, 'ACCESS_TOKEN_INVALID'],
  ['an Authorization with NUL', { url: '/api/test/user', headers: { authorization: 'Bearer \0' } }, 'ACCESS_TOKEN_INVALID'],
  ['an x-access-token that is a statement', { url: '/api/test/user', headers: { 'x-access-token': INJECTION } }, 'ACCESS_TOKEN_INVALID'],
  ['two x-access-tokens', { url: '/api/test/user', headers: { 'x-access-token': ['x', 'y'] } }, 'ACCESS_TOKEN_INVALID']
]

// Sent by an admin, so that the id decides.
const ids: Array<[id: string, code: ErrorCode, message?: string]> = [
  ['abc', 'VALIDATION_FAILED', ID],
  ['0', 'VALIDATION_FAILED', ID],
  ['-1', 'VALIDATION_FAILED', ID],
  ['1.5', 'VALIDATION_FAILED', ID],
  ['1e999', 'VALIDATION_FAILED', ID],
  ['0x1', 'VALIDATION_FAILED', ID],
  ['1e0', 'VALIDATION_FAILED', ID],
  ['+1', 'VALIDATION_FAILED', ID],
  ['%201', 'VALIDATION_FAILED', ID],
  ['NaN', 'VALIDATION_FAILED', ID],
  ['Infinity', 'VALIDATION_FAILED', ID],
  ['null', 'VALIDATION_FAILED', ID],
  ['%00', 'VALIDATION_FAILED', ID],
  ['1%00', 'VALIDATION_FAILED', ID],
  ['1;drop table users', 'VALIDATION_FAILED', ID],
  ['1 or 1=1', 'VALIDATION_FAILED', ID],
  ['9007199254740992', 'VALIDATION_FAILED', ID],
  ['99999999999999999999999', 'VALIDATION_FAILED', ID],
  ['__proto__', 'VALIDATION_FAILED', ID],
  ['me/../..', 'ROUTE_NOT_FOUND'],
  ['9007199254740991', 'USER_NOT_FOUND'],
  ['9'.repeat(101), 'REQUEST_MALFORMED']
]

test('every hostile request is rejected with an error of the contract, and changes nothing', async t => {
  const { app, logs, get, signUp, signIn, sql } = await startApp(t)
  await signUp('alice', ['user', 'admin'])
  const { accessToken } = await signIn('alice')
  const before = await sql('SELECT * FROM users')
  const sessions = await sql('SELECT * FROM refresh_tokens')

  const headers = { 'x-access-token': accessToken }
  const asAdmin = ids.map(([id, code, message]): Hostile =>
    [`the user ${id}`, { url: `/api/users/${id}`, headers }, code, message ?? catalogue[code].message])
  const table = [...bodies, ...urls, ...asAdmin]
  t.ok(table.length >= 70)
  for (const [title, request, code, message = catalogue[code].message] of table) {
    const response = await app.inject(request)
    t.equal(response.statusCode, catalogue[code].status, `${title}: status`)
    t.equal(response.headers['content-type'], 'application/json; charset=utf-8', `${title}: content type`)
    t.match(response.headers['x-request-id'], /^[0-9a-f-]{36}$/, `${title}: request id`)
    t.strictSame(response.json<unknown>(), { ...code === 'PASSWORD_INVALID' && { accessToken: null }, message, code }, `${title}: body`)
  }

  t.strictSame(await sql('SELECT * FROM users'), before)
  t.strictSame(await sql('SELECT * FROM refresh_tokens'), sessions)
  t.strictSame(logs.filter(line => Number(line['level']) >= 40 && !('event' in line)), [])
  t.strictSame(Object.keys(Object.prototype), [])
  const { status, body } = await get('/api/test/admin', headers)
  t.strictSame({ status, body }, { status: 200, body: 'Admin Content.' })
  t.ok((await signIn('alice')).accessToken)
})
