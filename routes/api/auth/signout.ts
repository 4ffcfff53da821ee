import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Message, RefreshTokenBody, shownToken } from '../../../src/schemas.ts'

const done = { message: 'You have been signed out.' }
const doneEverywhere = { message: 'You have been signed out everywhere.' }

export default (async fastify => {
  const { sessions } = fastify

  fastify.post('/signout', {
    // Holding the token is the right to end its session, also when the access token has expired.
    config: { access: 'public', errors: ['REFRESH_TOKEN_MISSING', 'REFRESH_TOKEN_UNKNOWN'] },
    schema: { summary: 'Ends the session of a refresh token.', body: RefreshTokenBody, response: { 200: Message(done.message) } }
  }, async request => {
    await sessions.signOut(shownToken(request.body), request)
    return done
  })

  fastify.post('/signout/all', {
    config: { access: 'signed-in' },
    schema: { summary: 'Ends every session of the caller, this one too.', response: { 200: Message(doneEverywhere.message) } }
  }, async request => {
    await sessions.endAll(request.caller.userId, request)
    return doneEverywhere
  })
}) satisfies FastifyPluginAsyncTypebox
