import type { RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { type Access, isAccess, policies } from '../src/access.ts'
import type { ErrorCode } from '../src/errors.ts'
import { errorReplies } from '../src/error-replies.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The refusals a route throws on its own account; what its access and its schemas bring is added. */
    errors?: readonly ErrorCode[]
  }
}

/** Gives every route a reply schema for every status it can send, from what it declares. */
export default fp(async function replies (fastify) {
  fastify.addHook('onRoute', route => {
    const { config } = route
    // The guard stops the boot of such a route.
    if (!config || !isAccess(config.access)) return
    const { access, errors = [] } = config
    const schema = route.schema ?? {}
    route.schema = {
      ...schema,
      response: { ...errorReplies([...new Set([...errors, ...implied(route, access)])]), ...Object(schema.response) }
    }
  })
}, { name: 'replies', fastify: '5.x', dependencies: ['cors', 'openapi'] })

function implied (route: RouteOptions, access: Access): ErrorCode[] {
  const codes: ErrorCode[] = ['INTERNAL', 'DATABASE_UNAVAILABLE', 'REQUEST_MALFORMED']
  if (access !== 'public') codes.push('ACCESS_TOKEN_MISSING', 'ACCESS_TOKEN_EXPIRED', 'ACCESS_TOKEN_INVALID')
  const policy = policies[access]
  if ('refusal' in policy) codes.push(policy.refusal)
  if (route.config?.rateLimit) codes.push('TOO_MANY_REQUESTS')
  const { body, params, querystring } = route.schema ?? {}
  if (body || params || querystring) codes.push('VALIDATION_FAILED')
  if (body) codes.push('BODY_TOO_LARGE', 'MEDIA_TYPE_UNSUPPORTED')
  return codes
}
