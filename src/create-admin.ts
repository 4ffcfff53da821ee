import { buildApp } from './app.ts'
import type { Config } from './config.ts'

export interface NewAdmin {
  username: string
  email: string
  password: string
}

/**
 * Makes a user with the role admin, as an anonymous sign-up would if that role were open to it: the same rules for
 * names and passwords, the same messages.
 * @returns the sign-up's message
 * @throws Error with the sign-up's message where it was refused
 */
export async function createAdmin (config: Config, admin: NewAdmin): Promise<string> {
  const app = await buildApp({ ...config, SIGNUP_ROLES: ['admin'], LOG_LEVEL: 'silent' })
  try {
    const reply = await app.inject({ method: 'POST', url: '/api/auth/signup', payload: { ...admin, roles: ['admin'] } })
    const { message } = reply.json<{ message: string }>()
    if (reply.statusCode !== 200) throw new Error(message)
    return message
  } finally {
    await app.close()
  }
}
