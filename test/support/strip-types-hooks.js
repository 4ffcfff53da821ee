import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const cache = fileURLToPath(new URL('../../node_modules/.cache/strip-types/', import.meta.url))
mkdirSync(cache, { recursive: true })

/** A hook of node:module. */
export async function load (url, context, nextLoad) {
  if (!url.startsWith('file:') || !/\.ts(\?|$)/.test(url)) return await nextLoad(url, context)
  // The next hook records the file for the coverage.
  const { source } = await nextLoad(url, { ...context, format: 'module' })
  return { format: 'module', shortCircuit: true, source: await stripTypes(String(source)) }
}

async function stripTypes (source) {
  const file = join(cache, createHash('sha256').update(source).digest('hex'))
  try {
    return readFileSync(file, 'utf8')
  } catch {
    const { transformSync } = await import('@swc/wasm-typescript')
    const { code } = transformSync(source, { mode: 'strip-only', module: true })
    const draft = `${file}.${process.pid}`
    writeFileSync(draft, code)
    renameSync(draft, file)
    return code
  }
}
