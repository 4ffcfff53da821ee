import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'

/** The client's address. A trusted proxy that forwards something else than an address is itself the client. */
export const clientAddress = ({ ip, socket }: FastifyRequest): string => isIP(ip) ? ip : String(socket.remoteAddress)
