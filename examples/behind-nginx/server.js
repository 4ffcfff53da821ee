import { createServer } from 'node:http'

// An API that knows nothing of tokens. nginx lets a request pass only if gatehouse does, and tells whose it is. Listens
// on the local machine only: whoever reaches it past nginx can claim to be anybody.

const server = createServer((request, response) => {
  const { 'x-user-id': id, 'x-user-name': name, 'x-user-roles': roles = '', 'x-auth-method': method } = request.headers
  // Never without the headers of the proxy, in case it is misconfigured.
  if (!id || !name) return response.writeHead(401).end()
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ hello: name, roles: roles.split(',').filter(Boolean), method }))
})

server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`The API listens on http://127.0.0.1:${server.address().port}`)
})
