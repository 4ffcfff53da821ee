import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'

/**
 * The client's address. If a trusted proxy forwards something other than an address, this is the proxy's own address;
 * `unknown` if the client has disconnected.
 */
export const clientAddress = ({ ip, socket }: Pick<FastifyRequest, 'ip' | 'socket'>): string =>
  isIP(ip) ? ip : socket.remoteAddress ?? 'unknown'
