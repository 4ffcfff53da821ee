import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { type AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Config } from '../../src/config/read-settings.ts'
import { startApp } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'

export const root = join(import.meta.dirname, '..', '..')

/** The path of a program of the packages of test/api. */
export const tool = (name: string): string => join(import.meta.dirname, 'node_modules', '.bin', name)

// Without some of these, Chromium sends requests to other hosts at the start.
export const QUIET = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync']

interface Result {
  code: number
  stdout: string
  stderr: string
}

/** Runs a program to its end. */
export async function run (file: string, args: string[], cwd = import.meta.dirname): Promise<Result> {
  return await new Promise(resolve => {
    execFile(file, args, { cwd, maxBuffer: 32 * 2 ** 20 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr }))
  })
}

/** Starts the service, and writes its OpenAPI description to a file. */
export async function startDescribed (t: Test, overrides: Partial<Config> = {}) {
  const service = await startApp(t, { LOG_LEVEL: 'silent', DOCS: 'on', ...overrides })
  await service.app.listen({ port: 0, host: '127.0.0.1' })
  const file = join(await createFolder(t), 'openapi.json')
  await writeFile(file, JSON.stringify(service.app.swagger()))
  return { ...service, file, origin: `http://127.0.0.1:${(service.app.server.address() as AddressInfo).port}` }
}
