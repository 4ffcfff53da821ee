/* global PublicKeyCredential */

// A page with passkeys, as a front-end of the service has one. It shows the last response.

const query = new URLSearchParams(window.location.search)
const service = query.get('service')

let accessToken
let challenge

async function call (method, path, body) {
  const response = await fetch(`${service}${path}`, {
    method,
    headers: {
      ...accessToken && { 'x-access-token': accessToken }, ...body && { 'content-type': 'application/json' }
    },
    ...body && { body: JSON.stringify(body) }
  })
  const received = await response.json()
  if (response.ok && received.accessToken) accessToken = received.accessToken
  if (received.challenge) challenge = received.challenge
  return { status: response.status, body: received }
}

async function create (options) {
  // As a page that asks for less than the service requires.
  const selection = query.has('careless') && { residentKey: 'discouraged', userVerification: 'discouraged' }
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(
    selection ? { ...options, authenticatorSelection: selection } : options)
  return (await navigator.credentials.create({ publicKey })).toJSON()
}

async function get (options, more = {}) {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options)
  return (await navigator.credentials.get({ publicKey, ...more })).toJSON()
}

async function signInByPasskey (more) {
  const { body: options } = await call('POST', '/api/auth/signin/passkey/options')
  return await call('POST', '/api/auth/signin/passkey', { response: await get(options, more) })
}

const value = id => document.getElementById(id).value

const firstPasskey = async () => {
  const { body: { passkeys } } = await call('GET', '/api/users/me/passkeys')
  return `/api/users/me/passkeys/${passkeys[0].id}`
}

const actions = {
  'Sign in': async () => {
    accessToken = undefined
    return await call('POST', '/api/auth/signin', { username: value('username'), password: value('password') })
  },
  'Confirm with a passkey': async () => await call('POST', '/api/auth/signin/second-factor', {
    challenge, passkey: await get({ challenge, rpId: window.location.hostname, userVerification: 'required' })
  }),
  'Sign in with a passkey': async () => await signInByPasskey(),
  'Sign in with autofill': async () => {
    if (!await PublicKeyCredential.isConditionalMediationAvailable()) throw new Error('no conditional mediation')
    return await signInByPasskey({ mediation: 'conditional' })
  },
  'Add a passkey': async () => {
    const options = await call('POST', '/api/users/me/passkeys/options')
    if (options.status !== 200) return options
    return await call('POST', '/api/users/me/passkeys', { response: await create(options.body) })
  },
  List: async () => await call('GET', '/api/users/me/passkeys'),
  Rename: async () => await call('PATCH', await firstPasskey(), { name: 'My laptop' }),
  Remove: async () => await call('DELETE', await firstPasskey()),
  Reauthenticate: async () => {
    const { body: options } = await call('POST', '/api/auth/reauthenticate/options')
    return await call('POST', '/api/auth/reauthenticate', { passkey: await get(options) })
  }
}

let count = 0
for (const button of document.querySelectorAll('button')) {
  button.addEventListener('click', async () => {
    const output = document.querySelector('output')
    try {
      output.textContent = JSON.stringify(await actions[button.textContent]())
    } catch (error) {
      output.textContent = JSON.stringify({ error: error.name })
    }
    output.dataset.count = ++count
  })
}
