import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'

/** The client's address. If a trusted proxy forwards something other than an address, the proxy's own address. */
export const clientAddress = ({ ip, socket }: FastifyRequest): string => isIP(ip) ? ip : String(socket.remoteAddress)
