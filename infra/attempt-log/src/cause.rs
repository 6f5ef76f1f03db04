//! Why an attempt may have stopped where it did, and what to do: what was found in the field, the likeliest first.

use crate::attempt::ConnectionAttempt;
use crate::step::Step;

/// A likely cause: what may be so, and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause(pub &'static str, pub &'static str);

const PAGE_CLOSED: Cause = Cause("the person closed the page", "ask them to connect again");
const UPSTREAM_FAILED: Cause =
    Cause("AWS or Supabase did not answer", "look for lines of level ERROR or with a reason in the function's log");
const STALE_CLIENT: Cause =
    Cause("the client holds on to something that is over", "remove the connector in the application and add it again");

impl ConnectionAttempt {
    /// What may have kept it from going on from its last step; nothing if nothing did.
    #[must_use]
    pub fn causes(&self) -> &'static [Cause] {
        let here = self.host().is_some_and(|host| ["localhost", "127.0.0.1", "[::1]", "::1"].contains(&host));
        match (self.step(), self.reason().unwrap_or_default()) {
            (Step::GrantUsed, _) => &[],
            (_, "unavailable") => &[UPSTREAM_FAILED],
            (Step::ErrorPageShown, reason) => error_page_causes(reason),
            (Step::SignInAsked, _) => &[
                PAGE_CLOSED,
                Cause("signing in fails", "read the log of login, and of the Supabase project"),
                Cause(
                    "the session does not reach us",
                    "a login page of your own must set its cookies for the issuer's host (SessionCookie, SupabaseUrl)",
                ),
                Cause(
                    "a login page of your own does not lead back",
                    "it must send the browser to the address in `next`",
                ),
                Cause("the application shows the page in a view without cookies", "open the address in a browser"),
            ],
            (Step::ConsentShown, "nothing_allowed") => {
                &[Cause("the person's role allows nothing of what is asked", "give them a role that does")]
            }
            (Step::ConsentShown, "forged" | "another_account") => &[
                Cause("the page was open for too long, or the account has changed", "ask the person to connect again"),
                Cause("the form came from another site or a rewriting proxy", "open the address in a plain browser"),
            ],
            (Step::ConsentShown, "sign_in_too_old") => &[
                PAGE_CLOSED,
                Cause(
                    "a login page of your own leads back without a new sign-in",
                    "it must ask for one if the last is older than the seconds in `max_age` (SignInMaxAge)",
                ),
            ],
            (Step::ConsentShown, "sign_in_time_unknown") => &[Cause(
                "the project's custom access token hook drops when people signed in",
                "it must keep the claim amr with its times, as long as SignInMaxAge is set",
            )],
            (Step::ConsentShown, _) => &[
                PAGE_CLOSED,
                Cause(
                    "they are in no workspace, or their role allows nothing of it",
                    "look their membership up in the directory",
                ),
            ],
            (Step::AuthorizationRefused, reason) => authorization_error_causes(reason),
            (Step::GrantDenied, _) => {
                &[Cause("they did not want to, or chose Deny by mistake", "connecting again asks again")]
            }
            (Step::GrantApproved, _) if here => &[
                Cause("the program that listened on this port has ended", "start connecting from the program again"),
                Cause(
                    "the browser runs on another machine than the program",
                    "forward the port, or paste the address there",
                ),
                Cause(
                    "the client did not accept `state` or `iss`",
                    "ISSUER must be the address that the client was given",
                ),
            ],
            (Step::GrantApproved, _) => &[
                Cause(
                    "a firewall or bot filter turns the client's server away",
                    "let POST /oauth/token through for Claude-User and python-httpx (Claude calls from 160.79.104.0/21)",
                ),
                Cause(
                    "the client has the token endpoint of an earlier deployment in its cache",
                    "it is kept per address of the server: wait, or use another host name",
                ),
                Cause(
                    "the client did not accept `state` or `iss`",
                    "ISSUER must be the address that the client was given",
                ),
                Cause("the browser did not get back to the client", "ask what the person saw after Approve"),
            ],
            (Step::TokenRefused, reason) => token_error_causes(reason),
            (Step::GrantActivated, _) => &[
                Cause(
                    "a firewall or bot filter turns the client's server away",
                    "let POST /api/mcp/server through, with its Authorization header, as /oauth/token is",
                ),
                Cause(
                    "the address that was pasted is not the resource that we name",
                    "it must be the output ConnectorUrl to the letter: no trailing slash, no other host or path",
                ),
                Cause(
                    "something between rewrites the challenge or the documents",
                    "curl -si -X POST <ConnectorUrl> must show www-authenticate with resource_metadata, and that address JSON",
                ),
                Cause("the client stopped by itself", "Claude shows an id ofid_…: its support traces by it"),
            ],
            (Step::CallRefused, "audience" | "another_grant") => &[Cause(
                "the token was issued for another address of this server",
                "call the address that was connected, or connect this one too",
            )],
            (Step::CallRefused, _) => {
                &[Cause("the connection was ended before its first use", "look for grant_ended with its grant")]
            }
        }
    }
}

fn error_page_causes(reason: &str) -> &'static [Cause] {
    match reason {
        "unknown_client" => &[
            Cause("its registration has expired, or was made elsewhere", STALE_CLIENT.1),
            Cause("it was to be registered by hand", "compare its id with the item in the table of clients"),
        ],
        "address" | "no_address" => &[
            Cause(
                "the client wants to be answered at an address that it did not register",
                "compare redirect_uri with its item in the table of clients: only a loopback port may differ",
            ),
            Cause("somebody else made the link", "if nobody was connecting, there is nothing to do: no code was sent"),
        ],
        "unusable_address" => &[Cause(
            "the client wants to be answered at an address that its registration left out: a private scheme, or http in a local network",
            "tell its makers: it has to use its https or loopback address",
        )],
        "unrecognized_session" => &[
            Cause(
                "the session that sign-in made is not one that counts here",
                "`amble doctor` compares SUPABASE_URL, SUPABASE_ISSUER and SESSION_COOKIE with the project",
            ),
            Cause("the person went back without signing in", "if it was once, there is nothing to do"),
        ],
        "session_without_amr" => &[Cause(
            "the project's custom access token hook drops `amr`, and Supabase's own OAuth server is on",
            "have the hook keep the claims `amr` and `client_id`",
        )],
        "blocked_client" => &[Cause("an operator blocked the application", "`amble client unblock` lets it in again")],
        "no_membership" => &[Cause(
            "the person is in no workspace, and nobody else has brought the application yet",
            "look at `amble member list`",
        )],
        "client_document" => &[Cause(
            "the client's metadata document cannot be fetched or used",
            "read the reason of client_document_failed in the audit; CLIENT_METADATA_HOSTS may name the hosts that are allowed",
        )],
        _ => &[Cause(
            "the link was cut or changed on its way",
            "start from the application again, not from a copied link",
        )],
    }
}

fn authorization_error_causes(reason: &str) -> &'static [Cause] {
    match reason {
        "target" => &[Cause(
            "the address that was pasted is not the resource that we name",
            "it must be the output ConnectorUrl to the letter: no trailing slash, no other host or path",
        )],
        "no_challenge" | "challenge_method" | "challenge" => {
            &[Cause("the client does not do PKCE with S256", "update the client: nothing less is accepted")]
        }
        "scope" => {
            &[Cause("a scope has a character that no scope may have", "correct the scopes in the client's settings")]
        }
        _ => &[Cause("the client asks for what OAuth 2.1 does not have", "update the client")],
    }
}

fn token_error_causes(reason: &str) -> &'static [Cause] {
    match reason {
        "unknown_client" => &[STALE_CLIENT],
        "unauthenticated" => &[
            Cause(
                "the client's secret is missing, wrong or replaced",
                "enter the present one; Claude's connectors have to be added again for that",
            ),
            Cause(
                "a client with keys sent no assertion, or one of another key, for another server or too late",
                "read the reason in the function's log; compare the clock and the key set of the client",
            ),
        ],
        "client_keys_unavailable" => &[Cause(
            "the client's key set cannot be fetched",
            "read the reason of client_keys_failed in the audit; the client may come back",
        )],
        "assertion_replayed" => &[Cause(
            "the client sent an assertion twice",
            "tell its makers: each request needs an assertion with a jti of its own",
        )],
        "verifier" | "not_a_verifier" => &[
            Cause("two attempts at once were mixed up by the client", "close other tabs, then connect once"),
            Cause("somebody else shows the code", "if it comes again, look at who was connecting"),
        ],
        "code_expired" => &[Cause(
            "the client took more than a minute",
            "connect again; look for what delays its way to /oauth/token",
        )],
        "code_replayed" | "code_raced" | "ended" => &[Cause(
            "the code was shown twice, so what it led to was ended",
            "a page that was reloaded does that, or a proxy that repeats POST; if neither, it was stolen",
        )],
        "redirect_uri" => &[Cause("the client names another redirect_uri than it asked with", "update the client")],
        "target" => &[Cause(
            "the client names another resource than it asked for",
            "paste the address again, to the letter: no trailing slash, no other host or path",
        )],
        _ => &[Cause("the client's request is not what OAuth 2.1 asks for", "read its reason in the log of token")],
    }
}
