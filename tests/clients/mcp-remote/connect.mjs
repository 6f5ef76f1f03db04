// Connects from the URL alone through mcp-remote of npm, as it is: the bridge for clients that speak standard input and output only.
//
//   node connect.mjs <MCP URL> <port to listen on> <folder to remember in> [<address of its metadata document>]
//
// A line of JSON at a time. Out: where a person must approve, then what was seen. It hears by its own port where the person ended up.

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const [url, port, folder, document] = process.argv.slice(2)
const say = (event, said) => console.log(JSON.stringify({ event, ...said }))
const program = new URL('node_modules/mcp-remote/dist/proxy.js', import.meta.url).pathname
const bridge = spawn(process.execPath, [program, url, port, '--allow-http', ...document ? ['--client-metadata-url', document] : []], {
  env: { PATH: '', HOME: folder, MCP_REMOTE_CONFIG_DIR: folder }, // no browser is found there
  stdio: ['pipe', 'pipe', 'pipe'],
})

createInterface({ input: bridge.stderr }).on('line', (line) => {
  const address = line.trim()
  if (address.startsWith('http') && address.includes('/oauth/authorize?')) say('authorize', { url: address })
})

const answers = createInterface({ input: bridge.stdout })[Symbol.asyncIterator]()
const tell = (message) => bridge.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
const ask = async (id, method, params) => {
  tell({ id, method, params })
  for (;;) {
    const { value, done } = await answers.next()
    if (done) throw new Error('mcp-remote ended')
    const answer = JSON.parse(value)
    if (answer.id === id) return answer.result
  }
}

const about = { name: 'behind-mcp-remote', version: '1.0.0' }
await ask(1, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: about })
tell({ method: 'notifications/initialized' })
const { tools } = await ask(2, 'tools/list', {})
const rolled = await ask(3, 'tools/call', { name: 'roll_dice', arguments: { dice: 2, sides: 6 } })
say('connected', { tools: tools.map(({ name }) => name), rolled: rolled.structuredContent })
bridge.kill()
