import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { FastifyInstance, RouteOptions } from 'fastify'

/** A route as its file declared it and the plugins completed it. */
export type DeclaredRoute = RouteOptions & {
  /** the file under routes/ that made it */
  file: string
}

/**
 * The routes of a service that `build` makes. Listens on Fastify's own diagnostics channel, so that the service has no
 * door for tests: the hook is added to the new instance before its first plugin.
 */
export async function collectRoutes<App extends FastifyInstance> (build: () => Promise<App>): Promise<{ app: App, routes: DeclaredRoute[] }> {
  const routes: DeclaredRoute[] = []
  const listen = (message: unknown) => {
    const { fastify } = message as { fastify: FastifyInstance }
    fastify.addHook('onRoute', route => {
      // HEAD routes are Fastify's companions of the GET ones.
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

// autoload gives a plugin no name of its file; the call of fastify.get stands in it.
function callingRouteFile (): string {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 50
  const { stack = '' } = new Error()
  Error.stackTraceLimit = limit
  return /\/(routes\/[\w./-]+\.ts):\d/.exec(stack)?.[1] ?? 'elsewhere'
}
