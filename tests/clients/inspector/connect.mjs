// Connects from the URL alone with the command line of MCP Inspector of npm, as it is. It wants Node 22, and a terminal.
//
//   node connect.mjs <MCP URL> <address to be answered at> <folder to remember in> [<address of its metadata document>]
//
// A line of JSON at a time. Out: where a person must approve, then what was seen. It hears by its own port where the person ended up.

import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'

const [url, callback, folder, clientMetadataUrl] = process.argv.slice(2)
const say = (event, said) => console.log(JSON.stringify({ event, ...said }))
const package_ = new URL('node_modules/@modelcontextprotocol/inspector/', import.meta.url).pathname
const words = [process.execPath, `${package_}clients/launcher/build/index.js`, '--cli', url, '--transport', 'http',
  '--method', 'tools/list', '--format', 'json', '--callback-url', callback]
if (clientMetadataUrl) {
  const config = `${folder}/client.json`
  writeFileSync(config, JSON.stringify({ cimd: { enabled: true, clientMetadataUrl } }))
  words.push('--client-config', config)
}
const inspector = spawn('script', ['-qec', words.map((word) => `'${word}'`).join(' '), '/dev/null'], {
  env: { PATH: '/usr/bin:/bin', HOME: folder, MCP_STORAGE_DIR: folder, MCP_INSPECTOR_SECRET_STORE: 'memory', TERM: 'dumb' },
  stdio: ['pipe', 'pipe', 'inherit'],
})

let shown = ''
let asked = false
inspector.stdout.on('data', (bytes) => {
  shown += bytes
  // Ended by what ends a link on a terminal.
  const address = shown.match(/http[^\s\x07\x1b]*\/oauth\/authorize\?[^\s\x07\x1b]*(?=[\s\x07\x1b])/)
  if (address && !asked) {
    asked = true
    say('authorize', { url: address[0] })
  }
})
inspector.on('close', (status) => {
  const answer = shown.split('\n').find((line) => line.startsWith('{'))
  const result = answer && JSON.parse(answer).result
  if (!result) throw new Error(`nothing was listed: ${shown}`)
  say('connected', { status, tools: result.tools.map(({ name }) => name) })
})
