import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { FastifyInstance, RouteOptions } from 'fastify'

/** A route as its file declares it and the plugins complete it. */
export type DeclaredRoute = RouteOptions & {
  /** the file under routes/ that registers it, or `elsewhere` */
  file: string
}

/**
 * Collects the routes of a service that `build` makes. Fastify's diagnostics channel gives access to the instance
 * before its first plugin, so the service needs no option for tests.
 */
export async function collectRoutes<App extends FastifyInstance> (
  build: () => Promise<App>
): Promise<{ app: App, routes: DeclaredRoute[] }> {
  const routes: DeclaredRoute[] = []
  const listen = (message: unknown) => {
    const { fastify } = message as { fastify: FastifyInstance }
    fastify.addHook('onRoute', route => {
      // Fastify adds a HEAD route to every GET route.
      if (route.method !== 'HEAD') routes.push(Object.assign(route, { file: callingRouteFile() }))
    })
  }
  subscribe('fastify.initialization', listen)
  try {
    return { app: await build(), routes }
  } finally {
    unsubscribe('fastify.initialization', listen)
  }
}

/** Autoload does not tell which file a plugin comes from, but the call of fastify.get is on the stack. */
function callingRouteFile (): string {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 50
  const { stack = '' } = new Error()
  Error.stackTraceLimit = limit
  return /\/(routes\/[\w./-]+\.ts):\d/.exec(stack)?.[1] ?? 'elsewhere'
}
