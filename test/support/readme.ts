import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { delimiter, join, posix } from 'node:path'
import { text as readAll } from 'node:stream/consumers'
import type { Test } from 'tap'
import { settings } from '../../src/config/settings.ts'
import { createFolder } from './folder.ts'
import { loaders } from './process.ts'

// Runs the blocks of the README and compares their output with the answers that the page shows.

const root = join(import.meta.dirname, '..', '..')

/** A fenced block of a document. */
export interface Block {
  language: string
  text: string
}

export const blocksOf = (document: string): Block[] =>
  Array.from(document.matchAll(/^```(\w*)\n([^]*?)^```$/gm), ([, language = '', text = '']) => ({ language, text }))

/** The lines that a shell block should print: the `text` block that follows it, if there is one. */
export function answersOf (blocks: readonly Block[], block: Block): string[] {
  const next = blocks[blocks.indexOf(block) + 1]
  return next?.language === 'text' ? next.text.trimEnd().split('\n') : []
}

/** Differences between promised and printed lines. An ellipsis in a promise stands for any text. */
export function answerFaults (promised: readonly string[], printed: readonly string[]): string[] {
  const escape = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const pattern = (line: string) => new RegExp(`^${line.split('…').map(escape).join('.+')}$`)
  const length = Math.max(promised.length, printed.length)
  return Array.from({ length }, (_, index) => [promised[index], printed[index]])
    .filter(([expected, found]) => expected === undefined || found === undefined || !pattern(expected).test(found))
    .map(([expected, found]) => `promised ${expected ?? 'nothing'}, printed ${found ?? 'nothing'}`)
}

/** Links of documents whose target does not exist: a file, or a heading of a Markdown file. */
export function linkFaults (documents: ReadonlyMap<string, string>, exists: (path: string) => boolean): string[] {
  const slugs = (markdown: string) => Array.from(markdown.matchAll(/^#+ (.*)$/gm), ([, heading = '']) =>
    heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-'))
  const isBroken = (document: string, link: string) => {
    const [file = '', anchor] = link.split('#')
    const path = file === '' ? document : posix.join(posix.dirname(document), file)
    const text = documents.get(path)
    if (text === undefined) return !exists(path)
    return anchor !== undefined && !slugs(text).includes(anchor)
  }
  return [...documents].flatMap(([document, markdown]) =>
    Array.from(markdown.matchAll(/\]\(([^)\s]+)\)/g), ([, link = '']) => link)
      .filter(link => !/^https?:/.test(link) && isBroken(document, link))
      .map(link => `${document}: ${link}`))
}

/** npm commands that package.json does not know. */
export const commandFaults = (commands: readonly string[], scripts: readonly string[]): string[] =>
  commands.filter(command => command.startsWith('npm ')).filter(command => {
    const [, verb = '', script = ''] = command.split(' ')
    if (verb === 'run') return !scripts.includes(script)
    return verb !== 'ci' && !(['start', 'test'].includes(verb) && scripts.includes(verb))
  })

// What the blocks call instead of npm: records the command, and runs create-admin from the source.
const NPM = `#!/bin/sh
echo "npm $*" >> "$TEST_COMMANDS"
case "$*" in
  'run create-admin -- '*)
    shift 3
    export DATABASE_URL="$TEST_DATABASE_URL"
    exec "$TEST_NODE" $TEST_NODE_ARGS "$TEST_SERVER" create-admin "$@"
esac
`

// Instead of node: records the start of the service with its environment, and runs everything else.
const NODE = `#!/bin/sh
case "$*" in
  *dist/src/server.js)
    echo "node $*" >> "$TEST_COMMANDS"
    exec "$TEST_NODE" -p 'JSON.stringify(process.env)' > "$TEST_ENVIRONMENT"
esac
exec "$TEST_NODE" "$@"
`

// Instead of sleep: the tests have a shorter REFRESH_GRACE.
const SLEEP = `#!/bin/sh
exec "$TEST_NODE" -e 'setTimeout(() => {}, 1200)'
`

const SEPARATOR = '--- next block ---'

export interface Run {
  code: number | null
  stderr: string
  /** the lines that each block printed; npm's are not among them */
  outputs: Array<{ block: Block, printed: string[] }>
  /** commands of npm and starts of the service, in order */
  commands: string[]
  /** the environment of the service's start */
  environment: Record<string, string>
}

/**
 * Runs shell blocks one after the other in one shell, as if pasted. The start of the service and npm are recorded
 * instead of run, but for create-admin.
 * @param input what is typed into commands that ask for something
 */
export async function runBlocks (
  t: Test,
  blocks: readonly Block[],
  { DATABASE_URL, input }: { DATABASE_URL: string, input: string }
): Promise<Run> {
  const folder = await createFolder(t)
  const commands = join(folder, 'commands')
  const environment = join(folder, 'environment')
  await writeFile(commands, '')
  await writeFile(environment, '{}')
  for (const [name, script] of Object.entries({ npm: NPM, node: NODE, sleep: SLEEP })) {
    await writeFile(join(folder, name), script)
    await chmod(join(folder, name), 0o755)
  }
  const script = blocks.map(({ text }) => `${text}echo '${SEPARATOR}'\n`).join('')
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !(name in settings.properties)))
  const child = spawn('sh', ['-e', '-c', script], {
    cwd: folder,
    env: {
      ...inherited,
      PATH: [folder, process.env['PATH']].join(delimiter),
      TEST_COMMANDS: commands,
      TEST_ENVIRONMENT: environment,
      TEST_DATABASE_URL: DATABASE_URL,
      TEST_NODE: process.execPath,
      TEST_NODE_ARGS: loaders.join(' '),
      TEST_SERVER: join(root, 'src', 'server.ts')
    }
  })
  child.stdin.end(input)
  const exited = once(child, 'close')
  const [stdout, stderr] = await Promise.all([readAll(child.stdout), readAll(child.stderr)])
  const [code] = await exited as [number | null]
  const printed = stdout.split(`${SEPARATOR}\n`)
  return {
    code,
    stderr,
    outputs: blocks.map((block, index) => ({ block, printed: (printed[index] ?? '').split('\n').filter(line => line !== '') })),
    commands: (await readFile(commands, 'utf8')).trim().split('\n'),
    environment: JSON.parse(await readFile(environment, 'utf8')) as Record<string, string>
  }
}

/** A folder inside the checkout, where modules find its packages. */
export async function folderInCheckout (t: Test): Promise<string> {
  const folder = await mkdtemp(join(root, '.tap', 'docs-'))
  t.teardown(async () => await rm(folder, { recursive: true, force: true }))
  return folder
}
