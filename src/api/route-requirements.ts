import type { FastifyContextConfig, RouteOptions } from 'fastify'
import { isAccess, policies } from '../access.ts'

/** The options of a route that are either true or absent. */
const FLAGS = ['freshness', 'enrolment'] as const

/** What a route declares. @throws Error that prevents the start, if the guard could not enforce it */
export function requirementsOf ({ method, url, config }: RouteOptions): FastifyContextConfig {
  const route = `Route ${String(method)} ${url}`
  if (!isAccess(config?.access)) {
    throw new Error(`${route} declares ` +
      `${config?.access === undefined ? 'no access' : `the unknown access "${String(config.access)}"`}. ` +
      `Add config: { access } with one of: ${Object.keys(policies).join(', ')}.`)
  }
  for (const flag of FLAGS) {
    const value: unknown = config[flag]
    if (value !== undefined && value !== true) {
      throw new Error(`${route} declares the unknown ${flag} "${String(value)}". Use true, or leave it out.`)
    }
    if (value && config.access === 'public') throw new Error(`${route} is public, so it cannot declare ${flag}.`)
  }
  const apiKeys: unknown = config.apiKeys
  if (apiKeys !== undefined && apiKeys !== true && apiKeys !== 'only') {
    throw new Error(`${route} declares the unknown apiKeys "${String(apiKeys)}". Use true or "only", or leave it out.`)
  }
  if (apiKeys && config.access === 'public') throw new Error(`${route} is public, so it cannot admit API keys.`)
  if (apiKeys && config.freshness) throw new Error(`${route} requires freshness, which API keys never have.`)
  return config
}
