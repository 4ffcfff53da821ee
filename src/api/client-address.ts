import { isIP } from 'node:net'
import { normalizeIP } from '@fastify/rate-limit'
import type { FastifyRequest } from 'fastify'

/**
 * The client's address. If a trusted proxy forwards something other than an address, this is the proxy's own address;
 * `unknown` if the client has disconnected.
 */
export const clientAddress = ({ ip, socket }: Pick<FastifyRequest, 'ip' | 'socket'>): string =>
  isIP(ip) ? ip : socket.remoteAddress ?? 'unknown'

/** The client's address, or the /64 network of an IPv6 address, which one client usually has. */
export const clientNetwork = (request: Pick<FastifyRequest, 'ip' | 'socket'>): string =>
  normalizeIP(clientAddress(request))
