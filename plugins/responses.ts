import type { TObject } from '@sinclair/typebox'
import build from 'fast-json-stringify'
import type { RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { type Access, isAccess, policies } from '../src/access.ts'
import { errorResponses } from '../src/api/error-responses.ts'
import { lazily } from '../src/api/lazily.ts'
import type { ErrorCode } from '../src/errors.ts'
import { isRecord } from '../src/unknown.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The errors that a route's handler throws. Those of its access and its schemas are added. */
    errors?: readonly ErrorCode[]
  }
}

/** Gives every route a response schema for every status it can send. */
export default fp(async function responses (fastify) {
  fastify.addHook('onRoute', route => {
    const access = route.config?.access
    // The guard rejects such a route.
    if (!isAccess(access)) return
    const errors = route.config?.errors ?? []
    const schema = route.schema ?? {}
    const declared = isRecord(schema.response) ? schema.response : {}
    route.schema = {
      ...schema,
      response: { ...errorResponses([...new Set([...errors, ...impliedErrors(route, access)])]), ...declared }
    }
  })

  // Hundreds of error responses differ only in their texts, and a serializer depends on the fields alone.
  const ofErrors = new Map<string, ReturnType<typeof build>>()
  fastify.setSerializerCompiler<TObject>(({ schema, httpStatus }) => {
    const serialize = lazily(() => build(schema))
    if (Number(httpStatus) < 400) return serialize
    const fields = Object.keys(schema.properties).sort().join()
    const shared = ofErrors.get(fields) ?? serialize
    ofErrors.set(fields, shared)
    return shared
  })
}, { name: 'responses', fastify: '5.x' })

function impliedErrors (route: RouteOptions, access: Access): ErrorCode[] {
  const codes: ErrorCode[] = ['INTERNAL', 'DATABASE_UNAVAILABLE', 'REQUEST_MALFORMED']
  if (access !== 'public') codes.push('ACCESS_TOKEN_INVALID')
  if (access !== 'public' && !route.config?.missing) codes.push('ACCESS_TOKEN_MISSING')
  if (access !== 'public' && route.config?.apiKeys !== 'only') codes.push('ACCESS_TOKEN_EXPIRED')
  if (route.config?.freshness) codes.push('REAUTHENTICATION_REQUIRED')
  if (access !== 'public' && !route.config?.enrolment) codes.push('SECOND_FACTOR_ENROLMENT_REQUIRED')
  if (route.config?.deadline !== false) codes.push('DEADLINE_EXCEEDED')
  const policy = policies[access]
  if ('denial' in policy) codes.push(policy.denial)
  // plugins/request-ceiling.ts exempts probes.
  if (!route.url.startsWith('/health/')) codes.push('TOO_MANY_REQUESTS')
  const { body, params, querystring } = route.schema ?? {}
  if (body || params || querystring) codes.push('VALIDATION_FAILED')
  if (body) codes.push('BODY_TOO_LARGE', 'MEDIA_TYPE_UNSUPPORTED')
  return codes
}
