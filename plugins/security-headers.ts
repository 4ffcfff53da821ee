import helmet, { type FastifyHelmetOptions } from '@fastify/helmet'
import Fastify from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    /** The headers that every reply has, by name; `overHttps` where a trusted proxy says that it came so. */
    securityHeaders: Readonly<Record<'overHttp' | 'overHttps', Readonly<Record<string, string>>>>
  }
}

/**
 * What a reply of an API needs (OWASP REST Security cheat sheet): it loads nothing, is framed by nobody, and is what
 * its type says. The rest of helmet's headers speak of pages, or repeat the first for browsers of before 2015; the one
 * page there is, at /docs, has a policy of its own (plugins/docs.ts).
 */
const policy: FastifyHelmetOptions = {
  contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ['\'none\''], frameAncestors: ['\'none\''] } },
  strictTransportSecurity: false,
  crossOriginEmbedderPolicy: false,
  crossOriginOpenerPolicy: false,
  crossOriginResourcePolicy: false,
  originAgentCluster: false,
  referrerPolicy: false,
  xDnsPrefetchControl: false,
  xDownloadOptions: false,
  xFrameOptions: false,
  xPermittedCrossDomainPolicies: false,
  xPoweredBy: false,
  xXssProtection: false
}

/** What it needs besides where it came by HTTPS; without, the header must not be sent (RFC 6797 §7.2). */
const securePolicy: FastifyHelmetOptions = {
  ...policy,
  strictTransportSecurity: { maxAge: 365 * 24 * 60 * 60, includeSubDomains: false }
}

/** What helmet adds to a reply, asked of it once: its hooks would make the same headers anew at every request. */
async function headersOf (options: FastifyHelmetOptions): Promise<Record<string, string>> {
  const app = Fastify()
  app.get('/plain', async () => '')
  await app.register(async scope => {
    await scope.register(helmet, options)
    scope.get('/helmeted', async () => '')
  })
  const { headers: plain } = await app.inject('/plain')
  const { headers } = await app.inject('/helmeted')
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !(name in plain)).map(([name, value]) => [name, String(value)]))
}

export default fp(async function securityHeaders (fastify) {
  fastify.decorate('securityHeaders', { overHttp: await headersOf(policy), overHttps: await headersOf(securePolicy) })
}, { name: 'security-headers', fastify: '5.x' })
