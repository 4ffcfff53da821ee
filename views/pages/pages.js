// The token is in the fragment of the link, which browsers send to no server. Nothing happens until a person presses a
// button: mail scanners open links, and run scripts.

const content = document.getElementById('content')
const status = document.getElementById('status')
const fields = new URLSearchParams(location.hash.slice(1))
const token = fields.get('token')

// Neither the history nor a shared screen should keep the token.
history.replaceState(null, '', location.pathname)

for (const element of document.querySelectorAll('[data-field]')) {
  const value = fields.get(element.dataset.field)
  if (value) element.textContent = value
}
for (const input of document.querySelectorAll('[data-value]')) input.value = fields.get(input.dataset.value) ?? ''
for (const element of document.querySelectorAll('[data-purpose]')) {
  element.hidden = fields.get('purpose') !== element.dataset.purpose
}

function show (message) {
  status.textContent = message
  status.focus()
}

const factor = document.getElementById('second-factor')
let challenge

/** Asks for the second factor of the user, which only the reset of a password may require. */
function ask (required) {
  challenge = required.challenge
  factor.hidden = false
  const code = document.getElementById('code')
  code.required = !required.methods.includes('passkey')
  document.getElementById('passkey').hidden = !required.methods.includes('passkey')
  show(required.message)
  code.focus()
}

/** Has the browser sign the challenge, which is also one of WebAuthn. */
async function usePasskey () {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON({
    challenge, rpId: factor.dataset.rpId, userVerification: 'required'
  })
  return (await navigator.credentials.get({ publicKey })).toJSON()
}

async function send (form, passkey) {
  const password = form.querySelector('input[type="password"]')
  const code = form.querySelector('#code')?.value
  const body = {
    token,
    ...password && { [form.dataset.password]: password.value },
    ...passkey ? { secondFactor: { passkey } } : code && { secondFactor: { code } }
  }
  const response = await fetch(form.dataset.action, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body)
  })
  const answer = await response.json()
  if (answer.code === 'SECOND_FACTOR_REQUIRED') ask(answer)
  else show(answer.message)
  if (response.ok) content.hidden = true
}

/** Runs `work` while the buttons of a form cannot be pressed again. */
async function run (form, work, failure) {
  const buttons = form.querySelectorAll('button')
  for (const button of buttons) button.disabled = true
  await work().catch(() => { show(failure) })
  for (const button of buttons) button.disabled = false
}

const UNREACHABLE = 'The service cannot be reached. Please try again.'

for (const form of document.forms) {
  form.addEventListener('submit', event => {
    event.preventDefault()
    run(form, async () => await send(form), UNREACHABLE)
  })
}

document.getElementById('passkey')?.addEventListener('click', event => {
  const { form } = event.target
  if (!form.reportValidity()) return
  run(form, async () => { await send(form, await usePasskey()) }, 'The passkey was not used. Please try again.')
})

if (token) content.hidden = false
else show('This link is incomplete. Please open it from the mail again.')
