import { execFile } from 'node:child_process'
import { cp, mkdir, readdir, readFile, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { createFolder } from '../support/folder.ts'
import { until } from '../support/wait.ts'

const root = join(import.meta.dirname, '..', '..')

interface Ended {
  code: number
  stdout: string
  stderr: string
}

/** A checkout with the scripts of this one and a service that prints a text instead of serving. */
async function checkout (t: Test, text: string) {
  const folder = await createFolder(t)
  const path = (...names: string[]) => join(folder, ...names)
  const settings = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'tsconfig.types.json']
  for (const name of [...settings, 'scripts', 'sql/migrations', 'views']) {
    await cp(join(root, name), path(name), { recursive: true })
  }
  for (const name of ['src/verify', 'plugins', 'routes']) await mkdir(path(name), { recursive: true })
  await writeFile(path('src', 'verify', 'index.ts'), 'export const one = 1\n')
  await symlink(join(root, 'node_modules'), path('node_modules'))
  const write = async (source: string) => await writeFile(path('src', 'server.ts'), source)
  await write(`const text: string = '${text}'\nconsole.log(text, ...process.argv.slice(2))\n`)
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')))
  const npm = async (...args: string[]): Promise<Ended> => await new Promise(resolve => {
    execFile('npm', ['--silent', ...args], { cwd: folder, env }, (error, stdout, stderr) => {
      resolve({ code: Number(error?.code ?? 0), stdout, stderr })
    })
  })
  const built = async () => (await stat(path('dist'))).ino
  const drafts = async () => (await readdir(folder)).filter(name => name.startsWith('dist-'))
  return { path, write, npm, built, drafts }
}

const printed = (stdout: string) => ({ code: 0, stdout, stderr: '' })

test('npm start builds the sources, and only once', async t => {
  const { path, write, npm, built, drafts } = await checkout(t, 'one')
  t.strictSame(await npm('start'), printed('one\n'))
  t.ok((await readdir(path('dist', 'sql', 'migrations'))).length > 0)
  t.strictSame(await readdir(path('dist', 'views', 'mails')), await readdir(path('views', 'mails')))
  t.strictSame((await readdir(path('dist', 'src', 'verify'))).sort(), ['index.d.ts', 'index.js', 'index.js.map'])
  const { sources } = JSON.parse(await readFile(path('dist', 'src', 'server.js.map'), 'utf8')) as { sources: string[] }
  t.strictSame(sources, ['../../src/server.ts'])
  const first = await built()

  await t.test('a second start uses the build, also after the files were copied or touched', async t => {
    await utimes(path('src', 'server.ts'), new Date(), new Date())
    t.strictSame(await npm('start'), printed('one\n'))
    t.equal(await built(), first)
  })

  await t.test('the commands use it as well', async t => {
    t.strictSame(await npm('run', 'create-admin', '--', '--help'), printed('one create-admin --help\n'))
    t.strictSame(await npm('run', 'keys:new'), printed('one keys new\n'))
    t.equal(await built(), first)
  })

  await t.test('a build that fails leaves the last one, and starts nothing', async t => {
    await write('console.log(\'two\'\n')
    t.match(await npm('start'), { code: 1, stdout: /src\/server\.ts.*error TS/, stderr: /^The build failed: / })
    t.equal((await npm('run', 'build')).code, 1)
    t.equal(await built(), first)
    t.strictSame(await drafts(), [])
  })

  await t.test('changed sources are built, and nothing of the last build is left', async t => {
    await write('console.log(\'three\')\n')
    await writeFile(path('dist', 'src', 'removed.js'), '')
    t.strictSame(await npm('start'), printed('three\n'))
    t.not(await built(), first)
    t.strictSame((await readdir(path('dist', 'src'))).sort(), ['server.js', 'server.js.map', 'verify'])
    t.strictSame(await drafts(), [])
  })

  await t.test('two builds at once both succeed', async t => {
    t.strictSame(await Promise.all([npm('run', 'build'), npm('run', 'build')]), [printed(''), printed('')])
    t.strictSame(await npm('start'), printed('three\n'))
    t.strictSame(await drafts(), [])
  })

  await t.test('without TypeScript, as after npm prune --omit=dev, the build is used as it is', async t => {
    await rm(path('node_modules'))
    const last = await built()
    t.strictSame(await npm('start'), printed('three\n'))
    await write('console.log(\'four\')\n')
    t.strictSame(await npm('start'), {
      code: 0,
      stdout: 'three\n',
      stderr: 'The sources differ from those of the build in dist, which is used as it is: TypeScript is not installed ' +
        '(npm ci).\n'
    })
    const missing = 'TypeScript, which the build needs, is not installed. Run npm ci.\n'
    t.strictSame(await npm('run', 'build'), { code: 1, stdout: '', stderr: missing })
    t.equal(await built(), last)
    await rename(path('dist'), path('elsewhere'))
    t.strictSame(await npm('start'), { code: 1, stdout: '', stderr: missing })
  })
})

/** Instead of the compiler: waits for the file `go`, then writes what prints `new`. */
const COMPILER = `
const { existsSync, mkdirSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')
writeFileSync('compiling', '')
while (!existsSync('go')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
const folder = join(process.argv.at(-1), 'src')
mkdirSync(folder, { recursive: true })
writeFileSync(join(folder, 'server.js'), 'console.log("new")')
`

test('while the compiler works, the last build works, so a running service can replace its workers', async t => {
  const { path, npm, built } = await checkout(t, 'new')
  await rm(path('node_modules'))
  await mkdir(path('node_modules', 'typescript', 'bin'), { recursive: true })
  await writeFile(path('node_modules', 'typescript', 'package.json'), '{}')
  await writeFile(path('node_modules', 'typescript', 'bin', 'tsc'), COMPILER)
  await mkdir(path('dist', 'src'), { recursive: true })
  await writeFile(path('dist', 'src', 'server.js'), 'console.log("old")')
  const last = await built()
  const starting = npm('start')
  await until('the compiler', async () => (await readdir(path())).includes('compiling'))
  t.equal(await built(), last)
  t.equal(await readFile(path('dist', 'src', 'server.js'), 'utf8'), 'console.log("old")')
  await writeFile(path('go'), '')
  t.strictSame(await starting, printed('new\n'))
})
