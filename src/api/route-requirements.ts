import type { FastifyContextConfig, RouteOptions } from 'fastify'
import { type Access, isAccess, policies } from '../access.ts'

/** What a route declares. @throws Error that prevents the start, if the guard could not enforce it */
export function requirementsOf ({ method, url, config }: RouteOptions): FastifyContextConfig {
  const route = `Route ${String(method)} ${url}`
  if (!isAccess(config?.access)) {
    throw new Error(`${route} declares ` +
      `${config?.access === undefined ? 'no access' : `the unknown access "${String(config.access)}"`}. ` +
      `Add config: { access } with one of: ${Object.keys(policies).join(', ')}.`)
  }
  const freshness: unknown = config.freshness
  if (freshness !== undefined && freshness !== true) {
    throw new Error(`${route} declares the unknown freshness "${String(freshness)}". Use true, or leave it out.`)
  }
  const { apiKeys, access }: { apiKeys?: unknown, access: Access } = config
  if (apiKeys !== undefined && apiKeys !== true && apiKeys !== 'only') {
    throw new Error(`${route} declares the unknown apiKeys "${String(apiKeys)}". Use true or "only", or leave it out.`)
  }
  if (freshness && access === 'public') throw new Error(`${route} is public, so it cannot require freshness.`)
  if (apiKeys && access === 'public') throw new Error(`${route} is public, so it cannot admit API keys.`)
  if (freshness && apiKeys) throw new Error(`${route} requires freshness, which API keys never have.`)
  return config
}
