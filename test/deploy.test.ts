import { test } from 'tap'
import { settings } from '../src/settings.ts'
import { filesUnder, readText } from './support/source.ts'

// What a change of the source can break in deploy/ without anybody noticing; npm run test:cluster runs the rest.

test('the Dockerfile copies everything that the build compiles', async t => {
  const { include }: { include: string[] } = JSON.parse(readText('tsconfig.build.json'))
  const copied = Array.from(readText('Dockerfile').matchAll(/^COPY (\w+) \.\/\1$/gm), match => String(match[1]))
  t.strictSame(copied.sort(), include.sort())
  const sent = readText('.dockerignore').split('\n').filter(line => line.startsWith('!')).map(line => line.slice(1))
  for (const folder of include) t.ok(sent.includes(folder), folder)
})

test('the container files name settings that exist', async t => {
  const files = filesUnder(['deploy'], '.yaml')
  // As a mapping's key (compose, a Secret), or as the name of a variable (a Deployment).
  const named = files.flatMap(path => Array.from(readText(path).matchAll(/^ +(?:- name: )?([A-Z][A-Z0-9_]+)(?::|$)/gm), match => String(match[1])))
  const known = named.filter(name => !name.startsWith('POSTGRES_'))
  t.ok(known.length > 5)
  t.strictSame(known.filter(name => !(name in settings.properties)), [])
})
