// Connects from the URL alone with the official client of npm, of the line that knows both eras, as it is.
//
//   node connect.mjs <MCP URL> auto|legacy [<address of its metadata document>]
//
// A line of JSON at a time. Out: where a person must approve, each set of tokens, what was seen. In: where the person ended up,
// each time, then how many seconds have passed.

import { createInterface } from 'node:readline'
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client'

const url = new URL(process.argv[2])
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const heard = async () => JSON.parse((await lines.next()).value)
const say = (event, said) => console.log(JSON.stringify({ event, ...said }))

/** What an application that uses the client brings along: a memory, and a way to send a person somewhere. */
const kept = {}
const authProvider = {
  redirectUrl: 'http://localhost:49163/callback',
  clientMetadataUrl: process.argv[4],
  clientMetadata: {
    client_name: 'TypeScript client',
    redirect_uris: ['http://localhost:49163/callback'],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  },
  state: () => (kept.state = crypto.randomUUID()),
  clientInformation: () => kept.client,
  saveClientInformation: (client) => { kept.client = client },
  tokens: () => kept.tokens,
  saveTokens: (tokens) => { kept.tokens = tokens; say('tokens', tokens) },
  codeVerifier: () => kept.verifier,
  saveCodeVerifier: (verifier) => { kept.verifier = verifier },
  discoveryState: () => kept.discovery,
  saveDiscoveryState: (discovery) => { kept.discovery = discovery },
  redirectToAuthorization: (to) => say('authorize', { url: to.href }),
}

/** Does what a person must first approve. */
const approved = async (transport, act) => {
  try {
    await act()
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error
    const back = new URL((await heard()).redirected).searchParams
    if (back.get('state') !== kept.state) throw new Error('another state came back')
    await transport.finishAuth(back)
    return
  }
  throw new Error('nobody was asked')
}

const options = { versionNegotiation: { mode: process.argv[3] } }
const about = { name: 'typescript-client', version: '1.0.0' }
const before = new StreamableHTTPClientTransport(url, { authProvider })
await approved(before, () => new Client(about, options).connect(before))
await before.close()

const client = new Client(about, options)
const transport = new StreamableHTTPClientTransport(url, { authProvider })
await client.connect(transport)
// What it remembers of the first list is not asked for.
const tools = async () => (await client.listTools(undefined, { cacheMode: 'refresh' })).tools.map(({ name }) => name)
say('connected', {
  version: client.getNegotiatedProtocolVersion(),
  tools: await tools(),
  rolled: await client.callTool({ name: 'roll_dice', arguments: { dice: 2, sides: 6 } }),
  skills: await client.callTool({ name: 'list_skills', arguments: {} }),
  resources: (await client.listResources()).resources.map(({ uri }) => uri),
  skill: await client.readResource({ uri: 'skill://weekly-report' }),
  prompts: (await client.listPrompts()).prompts.map(({ name }) => name),
  prompt: await client.getPrompt({ name: 'weekly-report', arguments: { week: '2026-W47' } }),
})

const documents = () => client.callTool({ name: 'list_documents', arguments: {} })
await approved(transport, documents)
say('stepped up', {
  documents: await documents(),
  document: await client.readResource({ uri: 'document://refund-policy' }),
})

await heard()
say('later', { tools: await tools() })
await client.close()
process.exit(0) // standard input would keep it waiting
