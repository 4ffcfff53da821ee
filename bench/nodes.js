import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** @typedef {{ version: string, path: string }} Node a Node.js executable */

/**
 * Finds the executable of a Node.js version in the npm package `node`, which npm downloads once.
 * @param {string} range a version, or a part of one, such as 24
 * @returns {Promise<Node>}
 */
async function findNode (range) {
  const { stdout } = await promisify(execFile)('npm', [
    'exec', '--yes', `--package=node@${range}`, '--', 'node', '-p', 'process.version + process.execPath'
  ])
  const [, version, path] = /^(v[\d.]+)(.+)$/m.exec(stdout)
  return { version, path }
}

/**
 * @param {string[]} [ranges] by default the version of this process
 * @returns {Promise<Node[]>}
 */
export async function findNodes (ranges) {
  if (ranges === undefined) return [{ version: process.version, path: process.execPath }]
  const nodes = []
  for (const range of ranges) nodes.push(await findNode(range))
  return nodes
}
