'use strict'
// ts-node's `transpiler` (tsconfig.json): TypeScript's own output, kept in .tap/typescript between runs and shared by
// all processes of one. Without it every test file and every service that it starts compiles the same 80 modules, which
// takes 2.5 s of CPU time each.

const { createHash } = require('node:crypto')
const { mkdirSync, readFileSync, renameSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')

const folder = join(__dirname, '..', '..', '.tap', 'typescript')

exports.create = ({ service: { config: { options } }, nodeModuleEmitKind }) => {
  // Loaded by ts-node already.
  const ts = require('typescript')
  // transpileModule sees one file and no package.json, from which `nodenext` would tell the kind of module.
  const compilerOptions = nodeModuleEmitKind === 'nodeesm' ? { ...options, module: ts.ModuleKind.ESNext } : options
  const settings = JSON.stringify([ts.version, compilerOptions])

  const compile = (code, fileName) => {
    const { outputText, sourceMapText } = ts.transpileModule(code, { fileName, compilerOptions })
    return { outputText, sourceMapText }
  }

  return {
    transpile (code, { fileName }) {
      const key = createHash('sha256').update(JSON.stringify([settings, fileName, code])).digest('hex')
      const file = join(folder, key)
      try {
        return JSON.parse(readFileSync(file, 'utf8'))
      } catch {
        const compiled = compile(code, fileName)
        mkdirSync(folder, { recursive: true })
        // Renamed, so that another process never reads half of it.
        writeFileSync(`${file}.${process.pid}`, JSON.stringify(compiled))
        renameSync(`${file}.${process.pid}`, file)
        return compiled
      }
    }
  }
}
