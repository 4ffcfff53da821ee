import type { RouteOptions } from 'fastify'

type HookName = 'onRequest' | 'preValidation' | 'onSend' | 'onError'

/** The handlers of one hook, which Fastify declares as one handler or several. */
type HandlerOf<Hook> = Exclude<Hook, undefined | readonly unknown[]>

/** Runs a handler before those that a route declares for the same hook. For use in an `onRoute` hook. */
export function prependHook<Name extends HookName> (
  route: RouteOptions,
  name: Name,
  handler: HandlerOf<RouteOptions[Name]>
): void {
  const declared: unknown[] = [route[name] ?? []].flat()
  Object.assign(route, { [name]: [handler, ...declared] })
}
