// Coverage over what `npm test` and `npm run test:system` cover together: neither has to cover everything.
//
//   node test/coverage.js keep test|system        after a run: keeps its V8 coverage, which the next run would delete
//   node test/coverage.js check [reporter…]       fails unless both runs together cover every line, branch and function

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const of = name => join(root, '.tap', `coverage-${name}`)
const [command, ...args] = process.argv.slice(2)

/**
 * Copies the coverage of a process, without the files for which it has source maps: tap's own loader compiled these
 * (for test/support/before.ts and after.ts), so their offsets differ from those of all other processes.
 */
function merge (from, to) {
  const { result, 'source-map-cache': maps = {} } = JSON.parse(readFileSync(from, 'utf8'))
  writeFileSync(to, JSON.stringify({ result: result.filter(({ url }) => !(url in maps)) }))
}

if (command === 'keep') {
  const kept = of(args[0])
  rmSync(kept, { recursive: true, force: true })
  renameSync(join(root, '.tap', 'coverage'), kept)
} else {
  const merged = of('merged')
  rmSync(merged, { recursive: true, force: true })
  mkdirSync(merged)
  for (const [name, script] of [['test', 'npm test'], ['system', 'npm run test:system']]) {
    if (!existsSync(of(name))) throw new Error(`There is no coverage of ${script}. Run it first; it has to pass.`)
    for (const file of readdirSync(of(name))) merge(join(of(name), file), join(merged, file))
  }
  const reporters = args.length > 0 ? args : ['text']
  try {
    execFileSync(process.execPath, [
      createRequire(import.meta.url).resolve('c8/bin/c8.js'), 'report', '--temp-directory', merged,
      // Also the files that no test loads.
      '--all', ...['src', 'plugins', 'routes', 'sql'].flatMap(folder => ['--src', folder]), '--extension', '.ts',
      '--skip-full', '--check-coverage', '--100', '--reports-dir', join(root, '.tap', 'report'),
      ...reporters.flatMap(reporter => ['--reporter', reporter])
    ], { cwd: root, stdio: 'inherit' })
  } catch {
    process.exitCode = 1
  }
}
