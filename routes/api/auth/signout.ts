import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Message } from '../../../src/api/fields.ts'
import { presentedToken, refreshTokenBody } from '../../../src/api/refresh-token-body.ts'

const signedOut = { message: 'You have been signed out.' }
const signedOutEverywhere = { message: 'You have been signed out everywhere.' }

export default (async fastify => {
  const { sessions } = fastify

  fastify.post('/signout', {
    // The refresh token suffices, so that a client whose access token has expired can sign out.
    config: { access: 'public', errors: ['REFRESH_TOKEN_MISSING', 'REFRESH_TOKEN_UNKNOWN'] },
    schema: {
      summary: 'Ends the session of a refresh token.',
      body: refreshTokenBody({}),
      response: { 200: Message(signedOut.message) }
    }
  }, async request => {
    await sessions.signOut(presentedToken(request.body), request)
    return signedOut
  })

  fastify.post('/signout/all', {
    config: { access: 'signed-in' },
    schema: {
      summary: 'Ends every session of the caller, including the current one.',
      response: { 200: Message(signedOutEverywhere.message) }
    }
  }, async request => {
    await sessions.endAll(request)
    return signedOutEverywhere
  })
}) satisfies FastifyPluginAsyncTypebox
