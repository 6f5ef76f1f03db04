// Connects from the URL alone with the official SDK of npm, as it is.
//
//   node connect.mjs <MCP URL> refreshing|once
//
// A line of JSON at a time. Out: where a person must approve, each set of tokens, what was seen. In: where the person ended up,
// each time, then how many seconds have passed.

import { createInterface } from 'node:readline'
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

const url = new URL(process.argv[2])
const refreshes = process.argv[3] === 'refreshing'
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const heard = async () => JSON.parse((await lines.next()).value)
const say = (event, said) => console.log(JSON.stringify({ event, ...said }))

/** What an application that uses the SDK brings along: a memory, and a way to send a person somewhere. */
const kept = {}
const authProvider = {
  redirectUrl: 'http://localhost:49160/callback',
  clientMetadata: {
    client_name: 'TypeScript SDK',
    redirect_uris: ['http://localhost:49160/callback'],
    grant_types: refreshes ? ['authorization_code', 'refresh_token'] : ['authorization_code'],
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
    await transport.finishAuth(back.get('code'))
    return
  }
  throw new Error('nobody was asked')
}

const client = new Client({ name: 'typescript-sdk', version: '1.0.0' })
const before = new StreamableHTTPClientTransport(url, { authProvider })
await approved(before, () => client.connect(before))
await before.close()

const transport = new StreamableHTTPClientTransport(url, { authProvider })
await client.connect(transport)
const tools = async () => (await client.listTools()).tools.map(({ name }) => name)
say('connected', {
  version: transport.protocolVersion,
  tools: await tools(),
  rolled: await client.callTool({ name: 'roll_dice', arguments: { dice: 2, sides: 6 } }),
  skills: await client.callTool({ name: 'list_skills', arguments: {} }),
  resources: (await client.listResources()).resources.map(({ uri }) => uri),
  skill: await client.readResource({ uri: 'skill://weekly-report' }),
  prompts: (await client.listPrompts()).prompts.map(({ name }) => name),
  prompt: await client.getPrompt({ name: 'weekly-report', arguments: { week: '2026-W47' } }),
})

const documents = () => client.callTool({ name: 'list_documents', arguments: {} })
if (refreshes) {
  // Holding a refresh token, this line answers "insufficient_scope" by refreshing, which widens nothing, and gives up.
  say('gave up', { error: await documents().then(() => 'nothing was refused', (error) => error.message) })
  await heard()
  say('later', { tools: await tools() })
} else {
  await approved(transport, documents)
  say('stepped up', {
    documents: await documents(),
    document: await client.readResource({ uri: 'document://refund-policy' }),
  })
}
await client.close()
process.exit(0) // standard input would keep it waiting
