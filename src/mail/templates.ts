import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Eta } from 'eta/core'
import { errorCode, errorMessage } from '../unknown.ts'
import { kindNames, kinds, type MailKind } from './kinds.ts'

export interface Content {
  subject: string
  text: string
  html: string
}

export type Variables = Readonly<Record<string, unknown>>

/** Renders the mail of a kind. @throws Error if there is no such kind, or a variable is missing */
type Render = (kind: string, variables: Variables) => Content

type Extension = 'txt' | 'html'

const BUILT_IN = join(import.meta.dirname, '..', '..', 'views', 'mails')

/** The first line of a text part is the subject of the mail. */
const TEXT_PART = /^Subject: ([^\n]+)\n\n([^]+)$/

// Without autoTrim: false, a line that ends with a variable would lose its end.
const engines: Record<Extension, Eta> = {
  txt: new Eta({ autoEscape: false, autoTrim: false }),
  html: new Eta({ autoEscape: true, autoTrim: false })
}

/**
 * Loads and compiles the templates, and renders each once, so that a fault stops the start instead of a mail.
 * @param folder MAIL_TEMPLATES
 * @param common variables that every template has
 * @throws Error that names the file
 */
export function loadTemplates (folder: string | undefined, common: Readonly<Record<string, string>>): Render {
  const replaced = folder === undefined ? new Map<string, string>() : listTemplates(folder)
  const load = (kind: MailKind, extension: Extension) => {
    const name = `${kind}.${extension}`
    const sample = Object.fromEntries([...kinds[kind], ...Object.keys(common)].map(each => [each, each]))
    return loadTemplate(replaced.get(name) ?? join(BUILT_IN, name), extension, sample)
  }
  const renderers = new Map<string, (values: Variables) => Content>(kindNames.map(kind => {
    const [text, html] = [load(kind, 'txt'), load(kind, 'html')]
    return [kind, values => ({ ...splitText(text(values)), html: html(values) })]
  }))
  return (kind, variables) => {
    const render = renderers.get(kind)
    if (!render) throw new Error(`There are no templates of the kind ${kind}.`)
    return render({ ...variables, ...common })
  }
}

/** The paths of the templates in a folder, by name. Names that begin with a dot are ignored. */
function listTemplates (folder: string): Map<string, string> {
  const known = kindNames.flatMap(kind => [`${kind}.txt`, `${kind}.html`])
  let names: string[]
  try {
    names = readdirSync(folder).filter(name => !name.startsWith('.'))
  } catch (error) {
    throw new Error(`The folder ${folder} of MAIL_TEMPLATES cannot be read: ${errorCode(error)}`, { cause: error })
  }
  const unknown = names.find(name => !known.includes(name))
  if (unknown !== undefined) {
    throw new Error(`${join(folder, unknown)} replaces no template. The templates are ${known.join(', ')}.`)
  }
  return new Map(names.map(name => [name, join(folder, name)]))
}

function loadTemplate (file: string, extension: Extension, sample: Variables): (variables: Variables) => string {
  const engine = engines[extension]
  try {
    const compiled = engine.compile(readFileSync(file, 'utf8').replaceAll('\r\n', '\n'))
    const render = (variables: Variables) => compiled.call(engine, demand(variables))
    const rendered = render(sample)
    if (extension === 'txt') splitText(rendered)
    return render
  } catch (error) {
    throw new Error(`The template ${file} is invalid: ${errorMessage(error)}`, { cause: error })
  }
}

function splitText (rendered: string): { subject: string, text: string } {
  const [, subject, text] = TEXT_PART.exec(rendered) ?? []
  if (subject === undefined || text === undefined) {
    throw new Error('it does not begin with a line "Subject: …" and an empty line')
  }
  return { subject, text }
}

/** The variables, of which a missing one is an error instead of the text "undefined". */
const demand = (variables: Variables): Variables => new Proxy(variables, {
  get (target, name) {
    const value = typeof name === 'string' && Object.hasOwn(target, name) ? target[name] : undefined
    if (value === undefined) throw new Error(`there is no variable ${String(name)}`)
    return value
  }
})
