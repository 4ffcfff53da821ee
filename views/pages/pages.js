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

async function send (form) {
  const password = form.querySelector('input[type="password"]')
  const body = { token, ...password && { [form.dataset.password]: password.value } }
  const response = await fetch(form.dataset.action, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body)
  })
  const { message } = await response.json()
  show(message)
  if (response.ok) content.hidden = true
}

for (const form of document.forms) {
  form.addEventListener('submit', event => {
    event.preventDefault()
    const button = form.querySelector('button')
    button.disabled = true
    send(form)
      .catch(() => { show('The service cannot be reached. Please try again.') })
      .finally(() => { button.disabled = false })
  })
}

if (token) content.hidden = false
else show('This link is incomplete. Please open it from the mail again.')
