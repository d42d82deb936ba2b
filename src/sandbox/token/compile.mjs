// Compiles the sandbox's contracts with the solc that package.json names, and writes
// - <Contract>.json beside the source: ABI, runtime code, compiler version and settings;
// - abi/usdc.json: the part of the token's ABI that the real USDC has too, which rampwatch itself reads.
// Run by `make token`. The output is committed; the same source and compiler give the same bytes.
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import solc from 'solc'

const here = dirname(fileURLToPath(import.meta.url))
const top = join(here, '..', '..', '..')

// Only what USDC on Polygon has with the same signature.
const usdc = new Set([
  'Transfer', 'AuthorizationUsed', 'Blacklisted', 'UnBlacklisted', 'Pause', 'Unpause',
  'name', 'symbol', 'version', 'decimals', 'balanceOf', 'transfer', 'transferFrom', 'paused', 'isBlacklisted',
  'authorizationState', 'transferWithAuthorization', 'DOMAIN_SEPARATOR',
])

const settings = {
  optimizer: { enabled: true, runs: 200 },
  evmVersion: 'shanghai',
  viaIR: true,
  // Without a metadata hash, a changed comment does not change the code.
  metadata: { bytecodeHash: 'none', appendCBOR: false },
}

for (const contract of ['TestUsdc', 'BatchPayer']) {
  const file = `${contract}.sol`
  const input = {
    language: 'Solidity',
    sources: { [file]: { content: readFileSync(join(here, file), 'utf8') } },
    settings: { ...settings, outputSelection: { '*': { '*': ['abi', 'evm.deployedBytecode.object'] } } },
  }
  const output = JSON.parse(solc.compile(JSON.stringify(input)))
  const messages = output.errors ?? []
  for (const { formattedMessage } of messages) console.error(formattedMessage)
  if (messages.length > 0) process.exit(1)
  const { abi, evm } = output.contracts[file][contract]
  const code = evm.deployedBytecode
  if (/__\$/.test(code.object)) throw new Error(`${contract} needs a library; its code cannot be placed as it is`)
  const artefact = { contractName: contract, compiler: solc.version(), settings, abi, deployedBytecode: `0x${code.object}` }
  // The artefact is one line, because nobody reads it; the interface is laid out, because people do.
  write(join(here, `${contract}.json`), artefact)
  if (contract === 'TestUsdc') write(join(top, 'abi', 'usdc.json'), abi.filter(item => usdc.has(item.name)), 2)
}

function write(path, value, indent) {
  writeFileSync(path, `${JSON.stringify(value, null, indent)}\n`)
  console.log(`wrote ${path.slice(top.length + 1)}`)
}
