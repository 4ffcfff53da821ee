// Compiles the sources to dist.
//
//   node scripts/build.js                 builds
//   node scripts/build.js --if-changed    builds unless dist was built from these sources
//
// The running service, whose workers load dist when they are replaced, and a working build must survive: the compiler
// writes to a folder beside dist, which takes the place of dist only if it is complete.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const dist = join(root, 'dist')
// On the level of dist, because source maps have relative paths.
const draft = join(root, `dist-${process.pid}`)
const old = `${draft}-old`
const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
/** Has the hash of the sources. Times do not suffice: rsync and git keep or change them as they like. */
const stamp = 'sources.sha256'

/** A hash of all that the build depends on. */
function hashSources () {
  const { include } = JSON.parse(readFileSync(join(root, 'tsconfig.build.json'), 'utf8'))
  const files = [...include, 'views'].flatMap(folder => readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name)))
  const settings = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'tsconfig.types.json'].map(name => join(root, name))
  const hash = createHash('sha256')
  for (const file of [...settings, import.meta.filename, ...files.sort()]) {
    const text = readFileSync(file)
    hash.update(`${file.slice(root.length)} ${text.length}\n`).update(text)
  }
  return hash.digest('hex')
}

const builtFrom = () => existsSync(join(dist, stamp)) ? readFileSync(join(dist, stamp), 'utf8') : ''

/** Moves the draft to dist. Another build may do the same at this moment: then the later one remains. */
function swap (tries = 3) {
  try {
    if (existsSync(dist)) renameSync(dist, old)
    renameSync(draft, dist)
  } catch (error) {
    if (existsSync(dist)) rmSync(old, { recursive: true, force: true })
    else renameSync(old, dist)
    if (tries === 0) throw error
    swap(tries - 1)
  }
}

function build (sources) {
  // Ctrl-C also ends the compiler; this process then removes the draft.
  process.on('SIGINT', () => {})
  try {
    // The second has the types of what the package exports, and of what that imports.
    for (const project of ['tsconfig.build.json', 'tsconfig.types.json']) {
      execFileSync(process.execPath, [compiler, '-p', join(root, project), '--outDir', draft], { stdio: 'inherit' })
    }
    for (const folder of [join('sql', 'migrations'), 'views']) cpSync(join(root, folder), join(draft, folder), { recursive: true })
    writeFileSync(join(draft, stamp), sources)
    swap()
  } finally {
    for (const folder of [draft, old]) rmSync(folder, { recursive: true, force: true })
  }
}

const ifChanged = process.argv.includes('--if-changed')
const sources = hashSources()
if (!ifChanged || builtFrom() !== sources) {
  if (existsSync(compiler)) {
    try {
      build(sources)
    } catch (error) {
      console.error(`The build failed: ${error.message}`)
      process.exitCode = 1
    }
  } else if (ifChanged && existsSync(join(dist, 'src', 'server.js'))) {
    console.error('The sources differ from those of the build in dist, which is used as it is: TypeScript is not ' +
      'installed (npm ci).')
  } else {
    console.error('TypeScript, which the build needs, is not installed. Run npm ci.')
    process.exitCode = 1
  }
}
