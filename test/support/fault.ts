import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createFolder } from './folder.ts'

// ELF: man 5 elf. The numbers are those of elf.h.
const MACHINES: Partial<Record<NodeJS.Architecture, number>> = { x64: 62, arm64: 183 }
const [FILE_HEADER, PROGRAM_HEADER] = [64, 56]
const [SHARED_OBJECT, LOAD, DYNAMIC, STACK] = [3, 1, 2, 0x6474e551]
/** Flags of a segment: readable and writable, not executable. */
const READ_WRITE = 6
/** An address, relative to the file's own, at which nothing is mapped. */
const NOWHERE = 0x7ff000000000

/**
 * A shared object without code, whose initialisation function is at an invalid address: loading it is a native fault,
 * at which the kernel sends SIGSEGV, as in a defective native module. A signal that another process sends is no
 * substitute: its handler returns to an instruction that works, so the process does not spin.
 */
function sharedObject (): Buffer {
  // DT_STRTAB, DT_SYMTAB, DT_STRSZ, DT_SYMENT, DT_INIT, DT_NULL
  const tags = [[5, 0], [6, 0], [10, 1], [11, 24], [12, NOWHERE], [0, 0]]
  const dynamic = FILE_HEADER + 3 * PROGRAM_HEADER
  const size = dynamic + tags.length * 16
  const file = Buffer.alloc(size)
  const write16 = (at: number, ...values: number[]) => {
    values.forEach((value, index) => file.writeUInt16LE(value, at + 2 * index))
  }
  const write64 = (at: number, ...values: number[]) => {
    values.forEach((value, index) => file.writeBigUInt64LE(BigInt(value), at + 8 * index))
  }
  // 64 bits, little-endian, version 1.
  file.write('\x7fELF\x02\x01\x01', 'latin1')
  write16(16, SHARED_OBJECT, MACHINES[process.arch] ?? 0, 1)
  write64(32, FILE_HEADER)
  write16(52, FILE_HEADER, PROGRAM_HEADER, 3)
  // Type, flags, offset, address, physical address, size in the file, size in memory, alignment.
  const segments = [
    [LOAD, 0, 0, 0, size, size, 4096],
    [DYNAMIC, dynamic, dynamic, dynamic, size - dynamic, size - dynamic, 8],
    [STACK, 0, 0, 0, 0, 0, 16]
  ]
  for (const [index, [type = 0, ...rest]] of segments.entries()) {
    const at = FILE_HEADER + index * PROGRAM_HEADER
    file.writeUInt32LE(type, at)
    file.writeUInt32LE(READ_WRITE, at + 4)
    write64(at + 8, ...rest)
  }
  tags.forEach((tag, index) => { write64(dynamic + index * 16, ...tag) })
  return file
}

/** Whether this machine can load the shared object. */
export const canFault = process.platform === 'linux' && process.arch in MACHINES

/** A NODE_OPTIONS with which SIGUSR2 makes a process access an invalid address. */
export async function faultOnSignal (t: Test): Promise<string> {
  const file = join(await createFolder(t), 'fault.node')
  await writeFile(file, sharedObject())
  const code = `process.on("SIGUSR2", () => { process.dlopen({ exports: {} }, ${JSON.stringify(file)}) })`
  return `--import=data:text/javascript,${encodeURIComponent(code)}`
}
