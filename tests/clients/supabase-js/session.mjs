// A product's server: signs a person in with the real clients of Supabase, and reads the session of a browser that comes along.
//
//   node session.mjs <URL of the project> <publishable key> <e-mail address> <password>
//
// A line of JSON at a time. Out: the cookies of the person who has signed in. In: the cookies that a browser holds. Out: who that is.

import { createInterface } from 'node:readline'
import { createServerClient } from '@supabase/ssr'

globalThis.WebSocket ??= class {} // realtime-js insists on one, Node 20 has none
const [url, key, email, password] = process.argv.slice(2)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const heard = async () => JSON.parse((await lines.next()).value)
const say = (event, said) => console.log(JSON.stringify({ event, ...said }))

/** The session in these cookies, as a server of the product sees it. */
const session = (cookies) => createServerClient(url, key, {
  cookies: {
    getAll: () => [...cookies].map(([name, value]) => ({ name, value })),
    setAll: (all) => all.forEach(({ name, value, options }) =>
      options.maxAge === 0 ? cookies.delete(name) : cookies.set(name, value)),
  },
}).auth

const cookies = new Map()
const { error } = await session(cookies).signInWithPassword({ email, password })
if (error) throw error
say('signed in', { cookies: Object.fromEntries(cookies) })

const theirs = new Map(Object.entries((await heard()).cookies))
const known = await session(theirs).getUser()
if (known.error) throw known.error
say('knows', { email: known.data.user.email })
process.exit(0) // standard input would keep it waiting
