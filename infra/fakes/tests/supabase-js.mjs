// Drives a running fake Supabase with the real client of Supabase: password, code, link, social provider with PKCE,
// refresh, getClaims, sign-out, and the cookies of @supabase/ssr.
//
//   node supabase-js.mjs <url> <folder with node_modules of @supabase/ssr@0.12.7 and @supabase/supabase-js@2.119.1>
//
// Further: the publishable key, an e-mail address and its password; the defaults are those of tests/fake_supabase.rs.
// Prints one line per step and exits 0, or fails at the first that is not as it should be.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import path from 'node:path'

const [url, modules = '.', key = 'sb_publishable_apart', email = 'ana@example.com',
  password = 'correct horse battery staple'] = process.argv.slice(2)
const { createServerClient } = createRequire(path.resolve(modules, 'index.js'))('@supabase/ssr')
globalThis.WebSocket ??= class {} // realtime-js insists on one, Node 20 has none
const callback = 'http://localhost:3000/auth/callback?flow=7'

/** A browser as @supabase/ssr sees it: a jar of cookies. */
function visitor() {
  const jar = new Map()
  const client = createServerClient(url, key, {
    cookies: {
      getAll: () => [...jar].map(([name, value]) => ({ name, value })),
      setAll: (cookies) => cookies.forEach(({ name, value, options }) =>
        options.maxAge === 0 ? jar.delete(name) : jar.set(name, value)),
    },
  })
  return { jar, auth: client.auth }
}

const good = ({ data, error }) => { assert.equal(error, null); return data }
const step = async (name, run) => { await run(); console.log('ok', name) }

const { jar, auth } = visitor()

await step('password', async () => {
  const refused = await auth.signInWithPassword({ email, password: 'wrong' })
  assert.equal(refused.error.code, 'invalid_credentials')
  const { session, user } = good(await auth.signInWithPassword({ email, password }))
  assert.equal(user.email, email)
  assert.equal(session.token_type, 'bearer')
  const cookie = jar.get('sb-127-auth-token')
  assert.match(cookie, /^base64-[A-Za-z0-9_-]+$/)
  const stored = JSON.parse(Buffer.from(cookie.slice('base64-'.length), 'base64url'))
  assert.equal(stored.access_token, session.access_token)
})

await step('getClaims, offline with the JWKS', async () => {
  const { claims, header } = good(await auth.getClaims())
  assert.equal(header.alg, 'ES256')
  assert.equal(claims.iss, `${url}/auth/v1`)
  assert.equal(claims.email, email)
})

await step('getUser, online', async () => {
  assert.equal(good(await auth.getUser()).user.email, email)
})

await step('refresh', async () => {
  const before = (await auth.getSession()).data.session
  const { session } = good(await auth.refreshSession())
  assert.notEqual(session.refresh_token, before.refresh_token)
  assert.equal(good(await visitor().auth.refreshSession({ refresh_token: before.refresh_token })).session.refresh_token,
    session.refresh_token)
  const unknown = await visitor().auth.refreshSession({ refresh_token: 'aaaaaaaaaaaa' })
  assert.equal(unknown.error.code, 'refresh_token_not_found')
})

await step('signOut', async () => {
  const { access_token } = (await auth.getSession()).data.session
  assert.equal((await auth.signOut({ scope: 'local' })).error, null)
  assert.deepEqual([...jar.keys()], [])
  // What auth-js makes of session_not_found.
  assert.equal((await auth.getUser(access_token)).error.name, 'AuthSessionMissingError')
})

await step('e-mail code and link', async () => {
  const typing = visitor()
  const unknown = await typing.auth.signInWithOtp({ email: 'nobody@example.com', options: { shouldCreateUser: false } })
  assert.equal(unknown.error.code, 'otp_disabled')
  const options = { shouldCreateUser: false, emailRedirectTo: callback }
  good(await typing.auth.signInWithOtp({ email, options }))
  const again = await typing.auth.signInWithOtp({ email, options })
  assert.equal(again.error.code, 'over_email_send_rate_limit')
  const inbox = await fetch(`${url}/inbox/${email}`, { headers: { accept: 'application/json' } })
  const { code, link } = (await inbox.json()).at(-1)
  const wrong = await typing.auth.verifyOtp({ email, token: code === '000000' ? '1' : '000000', type: 'email' })
  assert.equal(wrong.error.code, 'otp_expired')
  const { user } = good(await typing.auth.verifyOtp({ email, token: code, type: 'email' }))
  assert.equal(user.email, email)
  const used = new URL((await fetch(link, { redirect: 'manual' })).headers.get('location'))
  assert.equal(used.searchParams.get('error_code'), 'otp_expired')
  assert.equal(used.searchParams.get('flow'), '7')
})

await step('social provider with PKCE', async () => {
  const social = visitor()
  const begun = good(await social.auth.signInWithOAuth({
    provider: 'google', options: { redirectTo: callback, skipBrowserRedirect: true } }))
  const at = async (address, init) => (await fetch(address, { redirect: 'manual', ...init })).headers.get('location')
  const provider = await at(begun.url)
  const page = await (await fetch(provider)).text()
  const people = [...page.matchAll(/value="([0-9a-f-]{36})">([^<]*) <small>([^<]*)</g)]
  const person = people.find(([, , , address]) => address === email)[1]
  const body = new URLSearchParams({ state: new URL(provider).searchParams.get('state'), person })
  const back = new URL(await at(await at(new URL('/provider', url), { method: 'POST', body })))
  assert.equal(back.searchParams.get('flow'), '7')
  const { session } = good(await social.auth.exchangeCodeForSession(back.searchParams.get('code')))
  assert.equal(session.user.email, email)
  assert.ok(session.provider_token)
  assert.equal(good(await social.auth.getClaims()).claims.amr[0].method, 'oauth')
  assert.equal((await social.auth.signOut()).error, null)
})

process.exit(0)
